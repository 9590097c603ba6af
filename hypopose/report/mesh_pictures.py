"""A picture of a surface from two sides, colored by its spread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.bodies.meshes import COLOR_MAP, MeshScene
from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIGHT = np.array([0.3, 0.4, 0.87])
"""Where light comes from: right, up, towards the viewer."""


def draw_mesh(path: str | Path, scene: MeshScene, frame: int | None = None) -> None:
    """Draw one frame of the first motion: as the camera sees it, and from the right.

    Args:
        path: PNG.
        scene: With y up.
        frame: The middle one if None.

    Raises:
        OptionError: If there is no such frame, the body is unknown in it, or y is not up.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    at = scene.n_frames // 2 if frame is None else frame
    if not 0 <= at < scene.n_frames:
        raise OptionError(f"There is no frame {at}; the clip has {scene.n_frames}, from 0.")
    vertices = scene.takes[0].vertices[at]
    if "y up" not in scene.axes and "y down" not in scene.axes:
        raise OptionError("A picture is drawn of surfaces with y up; leave out --up.")
    if not np.isfinite(vertices).all():
        raise OptionError(f"The body could not be placed in frame {at}; name another frame.")
    if "y down" in scene.axes:
        vertices = vertices * [1.0, -1.0, -1.0]
    spread = None if scene.spread is None else scene.spread[at]
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, turned, title in (
        (axes[0], vertices, "from the camera"),
        (axes[1], vertices[:, [2, 1, 0]] * [-1.0, 1.0, 1.0], "from the right"),
    ):
        _draw_side(ax, turned, scene, scene.colors(spread))
        ax.set_title(title, fontsize=9)
    high = scene.spread_high
    if high is not None:
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1000 * high), COLOR_MAP)
        bar = figure.colorbar(scale, ax=list(axes), shrink=0.7)
        bar.set_label("spread of the hypotheses [mm]", fontsize=8)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=140, format="png")


def _draw_side(
    ax: Axes,
    vertices: Float[np.ndarray, "V 3"],
    scene: MeshScene,
    colors: Float[np.ndarray, "V 3"],
) -> None:
    """Triangles from far to near, seen along the last axis from its positive side."""
    from matplotlib.collections import PolyCollection

    corners = vertices[scene.faces]
    normal: NDArray[Any] = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(length, 1e-12)
    seen = normal[:, 2] > 0
    order = np.argsort(corners[seen][..., 2].mean(1))
    shade = 0.45 + 0.55 * np.clip(normal[seen] @ LIGHT, 0, 1)
    tint = np.clip(colors[scene.faces[seen]].mean(1) * shade[:, None], 0, 1)
    ax.add_collection(
        PolyCollection(
            corners[seen][order][..., :2], facecolors=tint[order], edgecolors=tint[order],
            linewidths=0.3,
        )
    )  # fmt: skip
    low, high = vertices[:, :2].min(0) - 0.1, vertices[:, :2].max(0) + 0.1
    middle, half = (low + high) / 2, max(high - low) / 2
    ax.set_xlim(middle[0] - half, middle[0] + half)
    ax.set_ylim(middle[1] - half, middle[1] + half)
    ax.set_aspect("equal")
    ax.set_axis_off()

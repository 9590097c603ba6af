"""Surfaces from two sides, colored by their spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.bodies.mesh_scenes import COLOR_MAP, MeshScene
from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically
from hypopose.report.plotting import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT = np.array([0.3, 0.4, 0.87])
"""Where light comes from: right, up, towards the viewer."""

N_PIXELS = 420
"""Side of the picture of a body."""


def draw_mesh(path: str | Path, scene: MeshScene, frame: int | None = None) -> None:
    """Draw one frame of the first motion: as the camera sees it, and from the right.

    Args:
        path: PNG.
        scene: With y up.
        frame: The middle one if None.

    Raises:
        OptionError: If there is no such frame, the body is unknown in it, or y is not up.
    """
    save_figure(path, frame_figure(scene, frame))


def save_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all.

    Args:
        path: Where to.
        figure: Of this module.
    """
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=140, format="png")


def frame_figure(scene: MeshScene, frame: int | None = None) -> Figure:
    """What :func:`draw_mesh` draws, with the same arguments and errors."""
    at = scene.n_frames // 2 if frame is None else frame
    if not 0 <= at < scene.n_frames:
        raise OptionError(f"There is no frame {at}; the clip has {scene.n_frames}, from 0.")
    if not np.isfinite(scene.takes[0].vertices[at]).all():
        raise OptionError(f"The body could not be placed in frame {at}; name another frame.")
    return mesh_figure(scene, (at,))


def mesh_figure(scene: MeshScene, frames: Sequence[int]) -> Figure:
    """Frames of the first motion, each as the camera sees it and from the right.

    Args:
        scene: With y up, or y down.
        frames: Which; bodies that are unknown stay out.

    Returns:
        A column for each frame, or for one frame the two sides beside each other; a bar of colors
        where there is a spread.

    Raises:
        OptionError: If another axis is up.
    """
    import matplotlib as mpl

    if "y up" not in scene.axes and "y down" not in scene.axes:
        raise OptionError("A picture is drawn of surfaces with y up; leave out --up.")
    one = len(frames) == 1
    figure = new_figure(7.0, 4.6) if one else new_figure(2.6 * len(frames) + 1.0, 6.0)
    axes = figure.subplots(*((1, 2) if one else (2, len(frames))), squeeze=False)
    for column, frame in enumerate(frames):
        vertices = scene.takes[0].vertices[frame] * ([1, -1, -1] if "y down" in scene.axes else 1)
        colors = scene.colors(None if scene.spread is None else scene.spread[frame])
        turned = vertices[:, [2, 1, 0]] * [-1.0, 1.0, 1.0]
        pair = axes[0] if one else axes[:, column]
        for ax, seen, side in zip(
            pair, (vertices, turned), ("the camera", "the right"), strict=True
        ):
            _draw_side(ax, seen, scene, colors)
            ax.set_title(f"from {side}" if one else f"frame {frame}, from {side}", fontsize=9)
    high = scene.spread_high
    if high is not None:
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1000 * high), COLOR_MAP)
        bar = figure.colorbar(scale, ax=list(axes.flat), shrink=0.7)
        bar.set_label("spread of the hypotheses [mm]", fontsize=8)
    return figure


def _draw_side(
    ax: Axes,
    vertices: Float[np.ndarray, "V 3"],
    scene: MeshScene,
    colors: Float[np.ndarray, "V 3"],
) -> None:
    """A surface seen along the last axis from its positive side."""
    ax.set_axis_off()
    if not np.isfinite(vertices).all():
        return
    corners = vertices[scene.faces]
    normal: NDArray[Any] = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(length, 1e-12)
    seen = normal[:, 2] > 0
    shade = 0.45 + 0.55 * np.clip(normal[seen] @ LIGHT, 0, 1)
    tint = np.clip(colors[scene.faces[seen]].mean(1) * shade[:, None], 0, 1)
    low, high = vertices[:, :2].min(0) - 0.1, vertices[:, :2].max(0) + 0.1
    middle, side = (low + high) / 2, max(high - low)
    start = middle - side / 2
    pixels = (corners[seen] - [*start, 0.0]) * [N_PIXELS / side, N_PIXELS / side, 1.0]
    x, y = (start[0], start[0] + side), (start[1], start[1] + side)
    ax.imshow(nearest_triangles(pixels, tint, N_PIXELS), extent=(*x, *y), origin="lower")


def nearest_triangles(
    corners: Float[np.ndarray, "T 3 3"], colors: Float[np.ndarray, "T 3"], n_pixels: int
) -> Float[np.ndarray, "n n 4"]:
    """A square picture of triangles, of which the one with the greatest depth is seen.

    Args:
        corners: Column, row and depth; pixel 0 reaches from 0 to 1.
        colors: Of each triangle, 0 to 1.
        n_pixels: Of a side.

    Returns:
        Red, green, blue and opacity, with soft edges.
    """
    n = 2 * n_pixels
    points = corners * [2.0, 2.0, 1.0]
    depth = np.full((n, n), -np.inf)
    picture = np.zeros((n, n, 4))
    low = np.clip(np.floor(points[..., :2].min(1)).astype(int), 0, n)
    high = np.clip(np.ceil(points[..., :2].max(1)).astype(int), 0, n)
    across = np.arange(n) + 0.5
    for (a, b, c), color, (x0, y0), (x1, y1) in zip(points, colors, low, high, strict=True):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0:
            continue
        x, y = across[x0:x1] - a[0], across[y0:y1, None] - a[1]
        second = (x * (c[1] - a[1]) - y * (c[0] - a[0])) / area
        third = (y * (b[0] - a[0]) - x * (b[1] - a[1])) / area
        z = a[2] + second * (b[2] - a[2]) + third * (c[2] - a[2])
        above = depth[y0:y1, x0:x1]
        hit = (second >= 0) & (third >= 0) & (second + third <= 1) & (z > above)
        above[hit] = z[hit]
        picture[y0:y1, x0:x1][hit] = [*color, 1.0]
    opacity = picture[..., 3:].reshape(n_pixels, 2, n_pixels, 2, 1).sum((1, 3))
    total = picture.reshape(n_pixels, 2, n_pixels, 2, 4).sum((1, 3))
    return np.concatenate([total[..., :3] / np.maximum(opacity, 1), opacity / 4], -1)

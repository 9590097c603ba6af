"""Files of surfaces: .glb for viewers, .ply for one frame, .npz for everything.

| ending | holds |
| --- | --- |
| ``.glb`` | animated skins, y up; ``COLOR_0`` shows the spread, ``_SPREAD`` is it in meters |
| ``.ply`` | one frame: places, colors, ``spread`` and ``part`` of the vertices, triangles |
| ``.npz`` | vertices of all frames and motions, spread, joints, parameters; nothing is pickled |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.bodies.body_parts import PARTS
from hypopose.bodies.mesh_glb import write_glb
from hypopose.bodies.mesh_scenes import MeshScene
from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically

MAX_BYTES = 4 * 2**30
"""Vertices of a file take no more."""


def check_size(n_motions: int, n_points: int) -> None:
    """Refuse surfaces that would take more than :data:`MAX_BYTES`.

    Args:
        n_motions: How many.
        n_points: Frames times vertices of each.

    Raises:
        OptionError: If they would.
    """
    n_bytes = 12 * n_motions * n_points
    if n_bytes > MAX_BYTES:
        cure = "motion (--motion aggregate)" if n_motions > 1 else "frame (--frame N)"
        raise OptionError(f"The vertices would take {n_bytes / 2**30:.1f} GB; write one {cure}.")


def write_npz(path: Path, scene: MeshScene, frame: int | None = None) -> tuple[str, ...]:
    """Write everything, of all frames or of one."""
    rows = slice(None) if frame is None else slice(frame, frame + 1)
    first = scene.takes[0]
    check_size(len(scene.takes), first.vertices[rows].size // 3)
    arrays: dict[str, NDArray[Any]] = {
        "labels": np.array([take.label for take in scene.takes]),
        "vertices": np.stack([take.vertices[rows] for take in scene.takes]).astype(np.float32),
        "joints": np.stack([take.joints[rows] for take in scene.takes]).astype(np.float32),
        "faces": scene.faces.astype(np.int32),
        "part_labels": scene.part_labels.astype(np.uint8),
        "part_names": np.array(PARTS),
    }
    if scene.spread is not None:
        arrays["spread"] = scene.spread[rows].astype(np.float32)
    if first.shape is not None:
        shapes = [take.shape[rows] for take in scene.takes if take.shape is not None]
        arrays["shape"] = np.stack(shapes).astype(np.float32)
    text = np.array(json.dumps({"hypopose": "mesh", **scene.header()}))
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{"metadata": text, **arrays})  # type: ignore[arg-type]
    return ()


def write_ply(path: Path, scene: MeshScene, frame: int | None = None) -> tuple[str, ...]:
    """Write one frame of the first motion, the middle one if none is named."""
    at = scene.n_frames // 2 if frame is None else frame
    take = scene.takes[0]
    vertices = take.vertices[at]
    if not np.isfinite(vertices).all():
        raise OptionError(f"The body could not be placed in frame {at}; name another: --frame N.")
    spread = None if scene.spread is None else scene.spread[at]
    places = [(name, "<f4") for name in ("x", "y", "z")]
    tints = [(name, "u1") for name in ("red", "green", "blue")]
    table = np.zeros(len(vertices), dtype=[*places, *tints, ("spread", "<f4"), ("part", "u1")])
    for i, (name, _) in enumerate(places):
        table[name] = vertices[:, i]
    colors = np.round(255 * scene.colors(spread)).astype(np.uint8)
    for i, (name, _) in enumerate(tints):
        table[name] = colors[:, i]
    table["spread"] = np.nan if spread is None else spread
    table["part"] = scene.part_labels
    triangles = np.zeros(len(scene.faces), dtype=[("n", "u1"), ("corners", "<i4", 3)])
    triangles["n"], triangles["corners"] = 3, scene.faces
    words = {"<f4": "float", "u1": "uchar"}
    properties = [f"property {words[str(kind)]} {name}" for name, kind in (*places, *tints)]
    lines = [
        "ply", "format binary_little_endian 1.0",
        f"comment HypoPose: {take.label}, frame {at}; {scene.axes}; spread in meters",
        f"comment record {json.dumps(scene.header(), ensure_ascii=True)}",
        f"element vertex {len(table)}", *properties,
        "property float spread", "property uchar part",
        f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header",
    ]  # fmt: skip
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        file.write(("\n".join(lines) + "\n").encode("ascii"))
        file.write(table.tobytes())
        file.write(triangles.tobytes())
    others = len(scene.takes) - 1
    return (f"{others} further motions are left out; .npz holds them",) if others else ()


MESH_WRITERS: dict[str, Callable[[Path, MeshScene, int | None], tuple[str, ...]]] = {
    "glb": write_glb,
    "ply": write_ply,
    "npz": write_npz,
}
"""Formats by ending."""


def mesh_ending(path: str | Path) -> str:
    """The format of a file name, before any work is done.

    Args:
        path: Where to.

    Raises:
        OptionError: If no format has that ending.

    Example:
        >>> mesh_ending("walk.GLB")
        'glb'
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in MESH_WRITERS:
        known = ", ".join(f".{name}" for name in MESH_WRITERS)
        raise OptionError(f"Meshes are written as {known}, not as {str(path)!r}.")
    return ending


def save_mesh(path: str | Path, scene: MeshScene, frame: int | None = None) -> tuple[str, ...]:
    """Write surfaces in the format of the ending.

    Args:
        path: Where to; written whole or not at all.
        scene: What to write; .glb needs y up.
        frame: Only this one; .ply holds one anyway, the middle one by default.

    Returns:
        What was left out or changed on the way.

    Raises:
        OptionError: If the ending is unknown, there is no such frame, or the format cannot hold
            the scene.
    """
    write = MESH_WRITERS[mesh_ending(path)]
    if frame is not None and not 0 <= frame < scene.n_frames:
        raise OptionError(f"There is no frame {frame}; the clip has {scene.n_frames}, from 0.")
    first = scene.takes[0]
    if not np.isfinite(first.vertices).all((1, 2)).any():
        raise OptionError(
            f"The body could not be placed in any frame of {first.label}: too few joints are known."
        )
    return write(Path(path), scene, frame)

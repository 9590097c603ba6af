"""glTF (binary, .glb): the surface as an animated skin, colored by its spread.

Every piece of a body is a separate node without parent, whose translation and rotation
are animated; a vertex follows up to four of them. ``COLOR_0`` (linear light) shows the spread of
the vertex over the clip; the attribute ``_SPREAD`` holds it in meters, ``_PART`` the part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose import __version__
from hypopose.bodies.mesh_scenes import MeshScene, MeshTake, nearest_known
from hypopose.errors import OptionError
from hypopose.io.writers.glb_container import (
    INDICES,
    VERTICES,
    GlbBuffer,
    quaternions,
    write_container,
)

N_FOLLOWED = 4
"""Pieces that a vertex follows at most: what viewers support."""


def write_glb(path: Path, scene: MeshScene, frame: int | None = None) -> tuple[str, ...]:
    """Write all motions; returns how far the animation is from the surface.

    Raises:
        OptionError: If the surface is no skin, or a motion is nowhere known.
    """
    if scene.bound is None or scene.weights is None:
        raise OptionError(
            "These surfaces are not moved by bones, so they cannot be an animated skin: write .npz "
            "or .ply, or fit with --shape shared."
        )
    buffer = GlbBuffer()
    rows = np.arange(scene.n_frames) if frame is None else np.array([frame])
    times = buffer.add(np.arange(len(rows)) / scene.fps, "f4", bounds=True)
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"HypoPose {__version__}"},
        "scene": 0,
        "scenes": [{"name": "HypoPose", "nodes": [], "extras": scene.header()}],
        "nodes": [],
        "skins": [],
        "meshes": [],
        "materials": [_material("surface", 1.0), _material("faint", 0.2)][: len(scene.takes)],
    }
    animation: dict[str, Any] = {"name": "HypoPose", "channels": [], "samplers": []}
    shared = _attributes(buffer, scene)
    bridged = 0
    for take in scene.takes:
        filled = _filled(take)
        bridged += int((filled != np.arange(scene.n_frames)).sum())
        moving = animation if len(rows) > 1 else None
        _add_take(document, buffer, shared, take, filled[rows], times, moving)
    if animation["channels"]:
        document["animations"] = [animation]
    write_container(path, document, buffer)
    notes = [f"animation departs from the surface by {1000 * _apart(scene):.1f} mm at most"]
    if bridged:
        notes.append(f"{bridged} frames in which the body is unknown repeat their neighbor")
    return tuple(notes)


def _material(name: str, alpha: float) -> dict[str, Any]:
    surface = {"baseColorFactor": [1, 1, 1, alpha], "metallicFactor": 0, "roughnessFactor": 0.8}
    material: dict[str, Any] = {"name": name, "pbrMetallicRoughness": surface}
    return material if alpha == 1 else {**material, "alphaMode": "BLEND"}


def _attributes(buffer: GlbBuffer, scene: MeshScene) -> dict[str, Any]:
    """Accessors that all motions share."""
    bound, weights = scene.bound, scene.weights
    assert bound is not None
    assert weights is not None
    spread = scene.mean_spread()
    colors = _linear(scene.colors(spread))
    owners, shares = strongest(weights)
    stored = np.nan_to_num(spread) if spread is not None else np.zeros(len(bound))
    attributes = {
        "POSITION": buffer.add(bound, "f4", bounds=True, target=VERTICES),
        "NORMAL": buffer.add(vertex_normals(bound, scene.faces), "f4", target=VERTICES),
        "COLOR_0": buffer.add(
            np.concatenate([colors, np.ones((len(colors), 1))], 1), "f4", target=VERTICES
        ),
        "JOINTS_0": buffer.add(owners, "u2", target=VERTICES),
        "WEIGHTS_0": buffer.add(shares, "f4", target=VERTICES),
        "_SPREAD": buffer.add(stored, "f4", target=VERTICES),
        "_PART": buffer.add(scene.part_labels, "f4", target=VERTICES),
    }
    indices = buffer.add(scene.faces.reshape(-1), "u4", target=INDICES)
    bind = np.tile(np.eye(4).reshape(-1), (weights.shape[1], 1))
    return {"attributes": attributes, "indices": indices, "bind": buffer.add(bind, "f4")}


def _add_take(
    document: dict[str, Any],
    buffer: GlbBuffer,
    shared: dict[str, Any],
    take: MeshTake,
    frames: NDArray[np.int64],
    times: int,
    animation: dict[str, Any] | None,
) -> None:
    """The pieces of a motion as nodes, its skin, mesh and channels."""
    assert take.turns is not None
    assert take.shifts is not None
    nodes = document["nodes"]
    first, n_pieces = len(nodes), take.turns.shape[1]
    for piece in range(n_pieces):
        turns = quaternions(take.turns[frames, piece].astype(np.float64))
        shifts = take.shifts[frames, piece].astype(np.float64)
        node = {"name": f"{take.label}_{piece}", "translation": shifts[0].tolist()}
        nodes.append({**node, "rotation": turns[0].tolist()})
        if animation is None:
            continue
        for kind, values in (("translation", shifts), ("rotation", turns)):
            target = {"node": first + piece, "path": kind}
            sampler = {"input": times, "interpolation": "LINEAR"}
            animation["channels"].append({"sampler": len(animation["samplers"]), "target": target})
            animation["samplers"].append({**sampler, "output": buffer.add(values, "f4")})
    pieces = list(range(first, first + n_pieces))
    skin = {"name": take.label, "joints": pieces, "inverseBindMatrices": shared["bind"]}
    document["skins"].append(skin)
    primitive = {
        "attributes": shared["attributes"],
        "indices": shared["indices"],
        "material": min(len(document["meshes"]), 1),
    }
    document["meshes"].append({"name": take.label, "primitives": [primitive]})
    figure = {"mesh": len(document["meshes"]) - 1, "skin": len(document["skins"]) - 1}
    nodes.append({"name": f"{take.label}_surface", **figure})
    nodes.append({"name": take.label, "children": pieces})
    document["scenes"][0]["nodes"] += [len(nodes) - 1, len(nodes) - 2]


def _filled(take: MeshTake) -> NDArray[np.int64]:
    """For each frame the nearest one in which the body is known."""
    assert take.shifts is not None
    known = np.isfinite(take.shifts).all((1, 2))
    if not known.any():
        raise OptionError(
            f"The body could not be placed in any frame of {take.label}: too few joints are known."
        )
    return nearest_known(known)


def _apart(scene: MeshScene) -> float:
    """Largest distance of skinned vertices from the surface, over some frames of all motions."""
    bound, weights = scene.bound, scene.weights
    assert bound is not None
    assert weights is not None
    owners, shares = strongest(weights)
    worst = 0.0
    for take in scene.takes:
        assert take.turns is not None
        assert take.shifts is not None
        for frame in np.linspace(0, scene.n_frames - 1, min(scene.n_frames, 8)).astype(int):
            if not np.isfinite(take.shifts[frame]).all():
                continue
            each = np.einsum("vkij,vj->vki", take.turns[frame][owners], bound)
            each = each + take.shifts[frame][owners]
            moved = (shares[..., None] * each).sum(1)
            worst = max(worst, float(np.linalg.norm(moved - take.vertices[frame], axis=1).max()))
    return worst


def strongest(
    weights: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pieces that move each vertex most, and their shares, which sum to 1.

    Args:
        weights: ``(V, K)``.

    Example:
        >>> owners, shares = strongest(np.array([[0.25, 0.0, 0.75]]))
        >>> owners[0, :2].tolist(), shares[0].tolist()
        ([2, 0], [0.75, 0.25, 0.0, 0.0])
    """
    n = min(N_FOLLOWED, weights.shape[1])
    owners = np.argsort(-weights, axis=1, kind="stable")[:, :n]
    shares = np.take_along_axis(weights, owners, 1).astype(np.float64)
    shares = np.pad(shares, ((0, 0), (0, N_FOLLOWED - n)))
    owners = np.pad(owners, ((0, 0), (0, N_FOLLOWED - n)))
    owners = np.where(shares > 0, owners, 0)
    return owners, shares / shares.sum(1, keepdims=True)


def vertex_normals(
    vertices: NDArray[np.floating[Any]], faces: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Unit normals: of the triangles around a vertex, by their area.

    Example:
        >>> corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
        >>> vertex_normals(corners, np.array([[0, 1, 2]]))[0].tolist()
        [0.0, 0.0, 1.0]
    """
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    flat = np.cross(b - a, c - a)
    total = np.zeros((len(vertices), 3))
    for i in range(3):
        np.add.at(total, faces[:, i], flat)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 0, total / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])


def _linear(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Screen colors as glTF wants those of vertices: linear light."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)

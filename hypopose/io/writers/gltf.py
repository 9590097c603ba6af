"""glTF (binary, .glb): skinned stick figures with an animation, for Blender and web viewers.

Meters, y up, as glTF demands. Each motion is a skeleton with its own skin: an octahedron per
bone, orange on the person's left, blue on the right, gray in the middle. The first motion is
opaque, further ones are faint. Rotations come from :mod:`hypopose.io.writers.rig`; frame, axes
and the result's record are in the scene's ``extras``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io.writers.glb_container import (
    VERTICES,
    GlbBuffer,
    quaternions,
    write_container,
)
from hypopose.io.writers.rig import BoneRig, Performance, perform
from hypopose.io.writers.scene import Defaults, ExportScene, Take
from hypopose.types import Skeleton

DEFAULTS = Defaults(
    which="aggregate", up="y", root="placed", unit="m", fixed=("up", "unit"), needs_rate=True
)

_COLORS = {"left": (0.88, 0.48, 0.0), "right": (0.0, 0.39, 0.65), "middle": (0.42, 0.42, 0.42)}


def write_glb(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write all motions of the scene into one file; returns how far constant bones are off."""
    performances = [perform(scene, take) for take in scene.takes]
    buffer = GlbBuffer()
    content = _document(buffer, scene, performances)
    write_container(path, content, buffer)
    return tuple(p.note for p in performances)


def _document(
    buffer: GlbBuffer, scene: ExportScene, performances: list[Performance]
) -> dict[str, Any]:
    times = buffer.add(np.arange(scene.n_frames) / scene.rate, "f4", bounds=True)
    materials = [_material("opaque", 1.0), _material("faint", 0.25)]
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": scene.record()["exported_by"]},
        "scene": 0,
        "scenes": [{"name": "HypoPose", "nodes": [], "extras": scene.record()}],
        "nodes": [],
        "skins": [],
        "meshes": [],
        "materials": materials[: len(performances)],
        "animations": [{"name": "HypoPose", "channels": [], "samplers": []}],
    }
    for take, performance in zip(scene.takes, performances, strict=True):
        _add_take(document, buffer, scene.skeleton, take, performance, times)
    return document


def _material(name: str, alpha: float) -> dict[str, Any]:
    surface = {"baseColorFactor": [1, 1, 1, alpha], "metallicFactor": 0, "roughnessFactor": 0.8}
    material = {"name": name, "pbrMetallicRoughness": surface}
    return material if alpha == 1 else {**material, "alphaMode": "BLEND"}


def _add_take(
    document: dict[str, Any],
    buffer: GlbBuffer,
    skeleton: Skeleton,
    take: Take,
    performance: Performance,
    times: int,
) -> None:
    """One skeleton: nodes, skin, mesh and its channels of the animation."""
    rig, nodes = performance.rig, document["nodes"]
    first = len(nodes)
    prefix = f"{take.label}_" if document["meshes"] else ""
    for i, name in enumerate(rig.names):
        node: dict[str, Any] = {"name": prefix + name, "translation": rig.offsets[i].tolist()}
        children = [first + c for c in rig.children(i)]
        nodes.append({**node, "children": children} if children else node)
    rest = _rest_places(rig)
    bind = np.tile(np.eye(4), (len(rest), 1, 1))
    bind[:, 3, :3] = -rest  # column-major, as glTF stores matrices
    document["skins"].append(
        {
            "name": take.label,
            "skeleton": first,
            "joints": list(range(first, first + len(rig.names))),
            "inverseBindMatrices": buffer.add(bind.reshape(-1, 16), "f4"),
        }
    )
    document["meshes"].append(_mesh(buffer, skeleton, rig, rest, min(len(document["meshes"]), 1)))
    figure = {"mesh": len(document["meshes"]) - 1, "skin": len(document["skins"]) - 1}
    nodes.append({"name": f"{take.label}_figure", **figure})
    # A node above each skeleton keeps programs from taking all of them for one.
    nodes.append({"name": take.label, "children": [first]})
    document["scenes"][0]["nodes"] += [len(nodes) - 1, len(nodes) - 2]
    _animate(document["animations"][0], buffer, performance, first, times)


def _animate(
    animation: dict[str, Any], buffer: GlbBuffer, performance: Performance, first: int, times: int
) -> None:
    tracks = [(first, "translation", buffer.add(performance.root, "f4"))]
    for i in range(len(performance.rig.names)):
        if performance.rig.children(i):  # ends never turn
            turns = quaternions(performance.turns[:, i])
            tracks.append((first + i, "rotation", buffer.add(turns, "f4")))
    for node, path, output in tracks:
        target = {"node": node, "path": path}
        animation["channels"].append({"sampler": len(animation["samplers"]), "target": target})
        animation["samplers"].append({"input": times, "interpolation": "LINEAR", "output": output})


def _rest_places(rig: BoneRig) -> NDArray[np.float64]:
    places = np.zeros_like(rig.offsets)
    for i, parent in enumerate(rig.parents):
        if parent >= 0:
            places[i] = places[parent] + rig.offsets[i]
    return places


def _mesh(
    buffer: GlbBuffer, skeleton: Skeleton, rig: BoneRig, rest: NDArray[np.float64], material: int
) -> dict[str, Any]:
    """An octahedron per bone, moved by the node the bone hangs on."""
    corners, normals, colors, owners = [], [], [], []
    for end, parent in enumerate(rig.parents):
        length = float(np.linalg.norm(rig.offsets[end]))
        if parent < 0 or length == 0:
            continue
        triangles = _octahedron(rest[parent], rest[end], 0.08 * length)
        corners.append(triangles.reshape(-1, 3))
        flat = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        flat /= np.linalg.norm(flat, axis=-1, keepdims=True)
        normals.append(np.repeat(flat, 3, axis=0))
        side = _side(skeleton, rig.joints[end])
        colors.append(np.tile((*_COLORS[side], 1.0), (24, 1)))
        owners.append(np.full(24, parent))
    owner = np.concatenate(owners)
    joints = np.zeros((len(owner), 4))
    joints[:, 0] = owner
    weights = np.tile([1.0, 0, 0, 0], (len(owner), 1))
    attributes = {
        "POSITION": buffer.add(np.concatenate(corners), "f4", bounds=True, target=VERTICES),
        "NORMAL": buffer.add(np.concatenate(normals), "f4", target=VERTICES),
        "COLOR_0": buffer.add(np.concatenate(colors), "f4", target=VERTICES),
        "JOINTS_0": buffer.add(joints, "u1", target=VERTICES),
        "WEIGHTS_0": buffer.add(weights, "f4", target=VERTICES),
    }
    return {"primitives": [{"attributes": attributes, "material": material}]}


def _side(skeleton: Skeleton, joint: int) -> str:
    return "left" if joint in skeleton.left else "right" if joint in skeleton.right else "middle"


def _octahedron(
    start: NDArray[np.float64], end: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Eight triangles (8, 3, 3), counter-clockwise from outside."""
    along = (end - start) / np.linalg.norm(end - start)
    square = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    square /= np.linalg.norm(square)
    other = np.cross(along, square)
    middle = start + 0.2 * (end - start)
    ring = [middle + width * d for d in (square, other, -square, -other)]
    pairs = [(ring[i], ring[(i + 1) % 4]) for i in range(4)]
    return np.array([[a, b, end] for a, b in pairs] + [[b, a, start] for a, b in pairs])

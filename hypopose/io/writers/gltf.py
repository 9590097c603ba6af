"""glTF (binary, .glb): skinned stick figures with an animation, for Blender and web viewers.

Meters, y up, as glTF demands. Each motion is a skeleton with its own skin: an octahedron per
bone, orange on the person's left, blue on the right, gray in the middle. The first motion is
opaque, further hypotheses are faint; several people stand in one scene. Rotations come from
:mod:`hypopose.io.writers.performing`; frame, axes and the result's record are in the scene's
``extras``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from hypopose.io.writers.performing import performed
from hypopose.io.writers.rig import BoneRig, Performance
from hypopose.io.writers.scene import Defaults, ExportScene, Take
from hypopose.types import Skeleton

DEFAULTS = Defaults(
    which="aggregate",
    up="y",
    root="placed",
    unit="m",
    fixed=("up", "unit"),
    needs_rate=True,
    turns=True,
)

_COLORS = {"left": (0.88, 0.48, 0.0), "right": (0.0, 0.39, 0.65), "middle": (0.42, 0.42, 0.42)}


def write_glb(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write all motions of the scene into one file; returns how far constant bones are off."""
    return write_people(path, [scene])


def write_people(path: Path, scenes: Sequence[ExportScene]) -> tuple[str, ...]:
    """Write the motions of several people into one file.

    Args:
        path: Where to; written whole or not at all.
        scenes: Of one person each, in one frame. With several, nodes carry the person's name.

    Returns:
        For each motion how far constant bones are off.
    """
    several = len(scenes) > 1
    actors = [
        _Actor(_label(scene, take, several), scene, performed(scene, take), take is not first)
        for scene in scenes
        for first in scene.takes[:1]
        for take in scene.takes
    ]
    buffer = GlbBuffer()
    write_container(path, _document(buffer, scenes, actors), buffer)
    return tuple(f"{a.label}: {a.performance.note}" if several else a.performance.note
                 for a in actors)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Actor:
    """One motion on its rig, and how its nodes are called."""

    label: str
    scene: ExportScene
    performance: Performance
    faint: bool


def _label(scene: ExportScene, take: Take, several: bool) -> str:
    if not several:
        return take.label
    person = f"person_{scene.called or '0'}"
    return person if take.hypothesis is None else f"{person}_{take.label}"


def _document(
    buffer: GlbBuffer, scenes: Sequence[ExportScene], actors: list[_Actor]
) -> dict[str, Any]:
    first = scenes[0].record()
    faint = any(actor.faint for actor in actors)
    extras = first if len(scenes) == 1 else {**first, "people": [s.record() for s in scenes]}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": first["exported_by"]},
        "scene": 0,
        "scenes": [{"name": "HypoPose", "nodes": [], "extras": extras}],
        "nodes": [],
        "skins": [],
        "meshes": [],
        "materials": [_material("opaque", 1.0), _material("faint", 0.25)][: 1 + faint],
        "animations": [{"name": "HypoPose", "channels": [], "samplers": []}],
    }
    for actor in actors:
        n = np.arange(actor.scene.n_frames)
        times = buffer.add(n / actor.scene.rate, "f4", bounds=True)
        _add_actor(document, buffer, actor, times)
    if len(actors) == 1 and scenes[0].rig == "vrm":
        document |= _vrm_animation(actors[0].performance.rig)
    return document


def _vrm_animation(rig: BoneRig) -> dict[str, Any]:
    """The extension by which VRM programs know the bones of an animation; its rig is the first."""
    bones = {name: {"node": i} for i, name in enumerate(rig.names)}
    name = "VRMC_vrm_animation"
    content = {"specVersion": "1.0", "humanoid": {"humanBones": bones}}
    return {"extensionsUsed": [name], "extensions": {name: content}}


def _material(name: str, alpha: float) -> dict[str, Any]:
    surface = {"baseColorFactor": [1, 1, 1, alpha], "metallicFactor": 0, "roughnessFactor": 0.8}
    material = {"name": name, "pbrMetallicRoughness": surface}
    return material if alpha == 1 else {**material, "alphaMode": "BLEND"}


def _add_actor(document: dict[str, Any], buffer: GlbBuffer, actor: _Actor, times: int) -> None:
    """One skeleton: nodes, skin, mesh and its channels of the animation."""
    rig, nodes, skeleton = actor.performance.rig, document["nodes"], actor.scene.skeleton
    first = len(nodes)
    prefix = f"{actor.label}_" if document["meshes"] else ""
    for i, name in enumerate(rig.names):
        node: dict[str, Any] = {"name": prefix + name, "translation": rig.offsets[i].tolist()}
        children = [first + c for c in rig.children(i)]
        nodes.append({**node, "children": children} if children else node)
    rest = _rest_places(rig)
    bind = np.tile(np.eye(4), (len(rest), 1, 1))
    bind[:, 3, :3] = -rest  # column-major, as glTF stores matrices
    document["skins"].append(
        {
            "name": actor.label,
            "skeleton": first,
            "joints": list(range(first, first + len(rig.names))),
            "inverseBindMatrices": buffer.add(bind.reshape(-1, 16), "f4"),
        }
    )
    document["meshes"].append(_mesh(buffer, skeleton, rig, rest, int(actor.faint)))
    figure = {"mesh": len(document["meshes"]) - 1, "skin": len(document["skins"]) - 1}
    nodes.append({"name": f"{actor.label}_figure", **figure})
    # A node above each skeleton keeps programs from taking all of them for one.
    nodes.append({"name": actor.label, "children": [first]})
    document["scenes"][0]["nodes"] += [len(nodes) - 1, len(nodes) - 2]
    _animate(document["animations"][0], buffer, actor.performance, first, times)


def _animate(
    animation: dict[str, Any], buffer: GlbBuffer, performance: Performance, first: int, times: int
) -> None:
    tracks = [(first, "translation", buffer.add(performance.root, "f4"))]
    for i in range(len(performance.rig.names)):
        if performance.rig.children(i) or performance.rig.tips[i].any():  # other nodes never rotate
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
    bones = [(p, end, rest[p], rest[end]) for end, p in enumerate(rig.parents) if p >= 0]
    bones += [(i, i, rest[i], rest[i] + tip) for i, tip in enumerate(rig.tips)]
    for parent, end, start, stop in bones:
        length = float(np.linalg.norm(stop - start))
        if length == 0:
            continue
        triangles = _octahedron(start, stop, 0.08 * length)
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

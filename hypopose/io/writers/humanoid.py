"""Humanoid rigs by the names that animation programs know: Mixamo's and VRM's.

Every bone of the rig begins at a place made of the skeleton's joints (``Spine2`` half way from
spine to thorax, a collar bone a fifth of the way to the shoulder), and has a constant length. There
are no helper bones: hips and chest are rigid, collar bones turn towards the shoulders. Hands, feet
and the head end in a tip of a typical length, so that no bone has length zero; hands and feet,
whose direction 17 joints do not show, follow the bone above as in the rest pose.

Rest pose: a T-pose, y up, facing +z, the person's left at +x, as Mixamo and VRM 1.0 have it.

* Mixamo: names begin with ``mixamorig:``.
* VRM: names of the humanoid bones of VRM 1.0; a glTF also carries the extension
  ``VRMC_vrm_animation`` (1.0), which makes it an animation that VRM programs load
  (https://github.com/vrm-c/vrm-specification, VRMC_vrm_animation-1.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.writers.rig import (
    BoneRig,
    Performance,
    bone_lengths,
    departure_note,
    fit_turn,
    known_places,
    rest_direction,
    swing,
)
from hypopose.io.writers.scene import ExportScene, Take
from hypopose.types import Skeleton

Recipe = Mapping[str, float]

HAND, FOOT, FOOT_DROP, HEAD = 0.108, 0.12, 0.039, 0.13
"""Lengths over stature (Winter, 2009, figure 4.1): hand, ankle to toes, ankle's height, head."""


@dataclass(frozen=True)
class Bone:
    """A bone of the humanoid.

    Args:
        mixamo: Name without ``mixamorig:``.
        vrm: Name in VRM 1.0.
        parent: Index of the bone it hangs on; -1 for the hips.
        place: Where it begins: joints and their weights.
    """

    mixamo: str
    vrm: str
    parent: int
    place: Recipe


def _arm(side: str, first: int) -> tuple[Bone, ...]:
    """Arm of one side; ``first`` is the index of the collar bone."""
    word = side.capitalize()
    return (
        Bone(f"{word}Shoulder", f"{side}Shoulder", 3, {"thorax": 0.8, f"{side}_shoulder": 0.2}),
        Bone(f"{word}Arm", f"{side}UpperArm", first, {f"{side}_shoulder": 1.0}),
        Bone(f"{word}ForeArm", f"{side}LowerArm", first + 1, {f"{side}_elbow": 1.0}),
        Bone(f"{word}Hand", f"{side}Hand", first + 2, {f"{side}_wrist": 1.0}),
    )


def _leg(side: str, first: int) -> tuple[Bone, ...]:
    """Leg of one side; ``first`` is the index of the upper leg."""
    word = side.capitalize()
    return (
        Bone(f"{word}UpLeg", f"{side}UpperLeg", 0, {f"{side}_hip": 1.0}),
        Bone(f"{word}Leg", f"{side}LowerLeg", first, {f"{side}_knee": 1.0}),
        Bone(f"{word}Foot", f"{side}Foot", first + 1, {f"{side}_ankle": 1.0}),
    )


BONES: tuple[Bone, ...] = (
    Bone("Hips", "hips", -1, {"pelvis": 1.0}),
    Bone("Spine", "spine", 0, {"pelvis": 0.5, "spine": 0.5}),
    Bone("Spine1", "chest", 1, {"spine": 1.0}),
    Bone("Spine2", "upperChest", 2, {"spine": 0.5, "thorax": 0.5}),
    Bone("Neck", "neck", 3, {"thorax": 1.0}),
    Bone("Head", "head", 4, {"neck": 1.0}),
    *_arm("left", 6),
    *_arm("right", 10),
    *_leg("left", 14),
    *_leg("right", 17),
)
"""Parents before children, depth first, as BVH lists them."""

RIGS = {
    "mixamo": tuple(f"mixamorig:{bone.mixamo}" for bone in BONES),
    "vrm": tuple(bone.vrm for bone in BONES),
}
"""Names of the bones by rig."""


TIPS = {"head": "head", "leftFoot": "left_big_toe", "rightFoot": "right_big_toe"}
"""Bones without children (VRM's names) and the joints that they point to, where they are known;
feet without toes keep square to the shank."""


def perform_humanoid(scene: ExportScene, take: Take, rig: str) -> Performance:
    """Put a motion on a humanoid.

    Args:
        scene: Skeleton, axes and unit.
        take: Places; gaps are bridged.
        rig: A key of :data:`RIGS`.

    Returns:
        The rig, its rotations, and the departure of rigid hips, chest and constant bones.

    Raises:
        OptionError: If the skeleton lacks a joint of the rig, or a joint is nowhere in the clip.
    """
    skeleton = scene.skeleton
    needed = dict.fromkeys(joint for bone in BONES for joint in (*bone.place, "head"))
    missing = [joint for joint in needed if joint not in skeleton.joint_names]
    if missing:
        raise OptionError(
            f"A {rig} rig needs {', '.join(missing[:3])}, which skeleton {skeleton.name!r} does "
            "not have; leave out --rig, or convert to 'h36m17'."
        )
    places, n_bridged = known_places(take, skeleton)
    bones = _build(skeleton, bone_lengths(places, skeleton), RIGS[rig], z_up=scene.up == "z")
    seen = _mixed(places, skeleton)
    tips = {
        bone: places[:, skeleton.index(joint)]
        for bone, joint in TIPS.items()
        if joint in skeleton.joint_names
    }
    performance = Performance(bones, seen[:, 0], _solve(bones, seen, tips), "")
    note = departure_note(performance, take, scene.unit, n_bridged)
    return Performance(bones, performance.root, performance.turns, f"{note}; rig {rig}")


def _mixed(places: Float[np.ndarray, "*any J 3"], skeleton: Skeleton) -> NDArray[np.float64]:
    """Where the bones begin."""
    weights = np.zeros((len(BONES), skeleton.n_joints))
    for i, bone in enumerate(BONES):
        for joint, weight in bone.place.items():
            weights[i, skeleton.index(joint)] = weight
    return np.asarray(weights @ places)


def _build(
    skeleton: Skeleton, lengths: Float[np.ndarray, " J"], names: tuple[str, ...], *, z_up: bool
) -> BoneRig:
    """Bones in the rest pose, from the T-pose of the joints."""
    rest = np.zeros((skeleton.n_joints, 3))
    for joint in _outwards(skeleton):
        direction = rest_direction(skeleton, joint, z_up=z_up)
        rest[joint] = rest[skeleton.parents[joint]] + lengths[joint] * direction
    at = _mixed(rest, skeleton)
    parents = tuple(bone.parent for bone in BONES)
    offsets = np.stack([at[i] - at[p] if p >= 0 else np.zeros(3) for i, p in enumerate(parents)])
    joints = tuple(
        skeleton.index(next(iter(bone.place))) if len(bone.place) == 1 else -1 for bone in BONES
    )
    return BoneRig(names, parents, offsets, joints, _tips(_stature(skeleton, lengths), z_up=z_up))


def _outwards(skeleton: Skeleton) -> list[int]:
    """Joints but the root, parents before children."""

    def depth(joint: int) -> int:
        return 0 if skeleton.parents[joint] < 0 else 1 + depth(skeleton.parents[joint])

    return sorted((j for j, p in enumerate(skeleton.parents) if p >= 0), key=depth)


def _stature(skeleton: Skeleton, lengths: Float[np.ndarray, " J"]) -> float:
    chain = ("left_knee", "left_ankle", "spine", "thorax", "neck", "head")
    return float(sum(lengths[skeleton.index(joint)] for joint in chain)) / (1 - FOOT_DROP)


def _tips(stature: float, *, z_up: bool) -> Float[np.ndarray, "N 3"]:
    """Ends of the bones without children, in the rest pose; zero elsewhere."""
    tips = np.zeros((len(BONES), 3))
    for i, bone in enumerate(BONES):
        side = 1.0 if bone.vrm.startswith("left") else -1.0
        if bone.vrm.endswith("Hand"):
            tips[i] = (side * HAND * stature, 0, 0)
        elif bone.vrm.endswith("Foot"):
            tips[i] = (0, -FOOT_DROP * stature, FOOT * stature)
        elif bone.vrm == "head":
            tips[i] = (0, HEAD * stature, 0)
    return np.stack((tips[:, 0], -tips[:, 2], tips[:, 1]), -1) if z_up else tips


def _solve(
    rig: BoneRig, seen: Float[np.ndarray, "F N 3"], tips: dict[str, NDArray[np.float64]]
) -> Float[np.ndarray, "F N 3 3"]:
    """Rotations of every bone against its parent; bones without children turn to known tips."""
    n_frames = len(seen)
    eye = np.broadcast_to(np.eye(3), (n_frames, 3, 3))
    globally = np.broadcast_to(np.eye(3), (n_frames, len(rig.names), 3, 3)).copy()
    turns = globally.copy()
    for i, parent in enumerate(rig.parents):
        above = globally[:, parent] if parent >= 0 else eye
        ends = [(rig.offsets[c], seen[:, c] - seen[:, i]) for c in rig.children(i)]
        if BONES[i].vrm in tips:
            ends = [(rig.tips[i], tips[BONES[i].vrm] - seen[:, i])]
        if len(ends) > 1:
            globally[:, i] = fit_turn(ends, above)
        elif ends:
            globally[:, i] = swing(*ends[0], above)
        else:
            globally[:, i] = above
        turns[:, i] = above.swapaxes(-1, -2) @ globally[:, i]
    return turns

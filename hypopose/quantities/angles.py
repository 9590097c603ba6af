"""Joint angles in degrees.

Terms follow clinical use and, as far as joint centers allow, the International Society of
Biomechanics (Wu et al., "ISB recommendation on definitions of joint coordinate systems of various
joints for the reporting of human joint motion, part I", Journal of Biomechanics 35, 2002; part II,
38, 2005). Joint centers do not show how a bone turns about itself, so internal and external
rotation of hip and shoulder, pronation, and pelvic tilt apart from lumbar bending are not measured.

Body axes: ``left`` is the line through the hip joints, from right to left; ``up`` the trunk from
pelvis to thorax, made perpendicular to it; ``forward = left × up``.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import SkeletonMismatchError
from hypopose.quantities.body_motion import BodyMotion, heading, level, unit
from hypopose.quantities.quantity import Quantity, sided

_PER_RADIAN = 180 / math.pi


def angle_between(a: Float[Tensor, "*any 3"], b: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any"]:
    """Angle between vectors, 0 to 180 degrees, exact near both ends.

    Args:
        a: Vectors of any length.
        b: Others.

    Returns:
        Degrees; NaN where a vector has no direction.

    Example:
        >>> angle_between(torch.tensor([1.0, 0, 0]), torch.tensor([0, 2.0, 0])).item()
        90.0
    """
    a, b = unit(a), unit(b)
    across = torch.linalg.cross(a, b).norm(dim=-1)
    return torch.atan2(across, (a * b).sum(-1)) * _PER_RADIAN


def joint_angle(motion: BodyMotion, first: str, middle: str, last: str) -> Tensor:
    """Angle at a joint between the directions to two others.

    Args:
        motion: Any.
        first: Joint at one end.
        middle: Joint where the angle is.
        last: Joint at the other end.

    Returns:
        Degrees per frame, 180 where the three lie on a line with ``middle`` between.

    Raises:
        SkeletonMismatchError: If the skeleton lacks one of them.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(5), H36M17)
        >>> bool(joint_angle(walk, "left_hip", "left_knee", "left_ankle").min() > 90)
        True
    """
    at = motion.at(middle)
    return angle_between(motion.at(first) - at, motion.at(last) - at)


def knee_flexion(motion: BodyMotion, side: str) -> Tensor:
    """180° minus the angle at the knee."""
    return 180 - joint_angle(motion, f"{side}_hip", f"{side}_knee", f"{side}_ankle")


def elbow_flexion(motion: BodyMotion, side: str) -> Tensor:
    """180° minus the angle at the elbow."""
    return 180 - joint_angle(motion, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")


def ankle_flexion(motion: BodyMotion, side: str) -> Tensor:
    """90° minus the angle between shank (ankle to knee) and foot (heel to big toe)."""
    if not motion.has(f"{side}_heel", f"{side}_big_toe"):
        raise SkeletonMismatchError(
            f"Ankle flexion needs heels and big toes, and {motion.skeleton.name!r} has none; "
            "sample with --feet, from BODY_25, Halpe-26, COCO-WholeBody or MediaPipe."
        )
    shank = motion.at(f"{side}_knee") - motion.at(f"{side}_ankle")
    foot = motion.at(f"{side}_big_toe") - motion.at(f"{side}_heel")
    return 90 - angle_between(shank, foot)


def body_axes(motion: BodyMotion) -> tuple[Tensor, Tensor, Tensor]:
    """Left, forward and up of the body, see the module.

    Args:
        motion: With hips, pelvis and thorax.

    Returns:
        Three unit vectors a frame, perpendicular to each other.
    """
    left = unit(motion.at("left_hip") - motion.at("right_hip"))
    trunk = motion.at("thorax") - motion.at("pelvis")
    up = unit(trunk - (trunk * left).sum(-1, keepdim=True) * left)
    return left, torch.linalg.cross(left, up), up


def hip_flexion(motion: BodyMotion, side: str) -> Tensor:
    """Angle of the thigh against the trunk, in the plane of forward and up."""
    _, forward, up = body_axes(motion)
    thigh = motion.at(f"{side}_knee") - motion.at(f"{side}_hip")
    return torch.atan2((thigh * forward).sum(-1), -(thigh * up).sum(-1)) * _PER_RADIAN


def hip_adduction(motion: BodyMotion, side: str) -> Tensor:
    """Angle of the thigh out of the plane of forward and up."""
    left, _, _ = body_axes(motion)
    thigh = unit(motion.at(f"{side}_knee") - motion.at(f"{side}_hip"))
    inwards = -left if side == "left" else left
    return torch.asin((thigh * inwards).sum(-1).clamp(-1, 1)) * _PER_RADIAN


def shoulder_elevation(motion: BodyMotion, side: str) -> Tensor:
    """Angle between the upper arm and the trunk's downward direction."""
    arm = motion.at(f"{side}_elbow") - motion.at(f"{side}_shoulder")
    return angle_between(arm, motion.at("pelvis") - motion.at("thorax"))


def trunk_lean(motion: BodyMotion) -> Tensor:
    """Angle between the trunk and the vertical."""
    trunk = motion.at("thorax") - motion.at("pelvis")
    return angle_between(trunk, trunk.new_tensor([0.0, 0.0, 1.0]).expand_as(trunk))


def trunk_lean_forward(motion: BodyMotion) -> Tensor:
    """Angle between the trunk and the vertical, seen from the side."""
    trunk = motion.at("thorax") - motion.at("pelvis")
    ahead = (trunk * _ahead(motion)).sum(-1)
    return torch.atan2(ahead, trunk[..., 2]) * _PER_RADIAN


def trunk_lean_left(motion: BodyMotion) -> Tensor:
    """Angle between the trunk and the vertical, seen from behind."""
    trunk = motion.at("thorax") - motion.at("pelvis")
    up = trunk.new_tensor([0.0, 0.0, 1.0]).expand_as(trunk)
    left = torch.linalg.cross(up, _ahead(motion))
    return torch.atan2((trunk * left).sum(-1), trunk[..., 2]) * _PER_RADIAN


def _ahead(motion: BodyMotion) -> Tensor:
    return heading(motion, window=0.0)


def trunk_rotation(motion: BodyMotion) -> Tensor:
    """Angle from the line through the hips to the line through the shoulders, about the trunk."""
    left, forward, _ = body_axes(motion)
    shoulders = motion.at("left_shoulder") - motion.at("right_shoulder")
    return torch.atan2(-(shoulders * forward).sum(-1), (shoulders * left).sum(-1)) * _PER_RADIAN


def pelvis_obliquity(motion: BodyMotion) -> Tensor:
    """Angle of the line through the hips above the horizontal."""
    across = motion.at("left_hip") - motion.at("right_hip")
    return torch.atan2(across[..., 2], level(across).norm(dim=-1)) * _PER_RADIAN


ANGLES: tuple[Quantity, ...] = (
    *sided(
        "knee_flexion", "deg", "frame",
        "180° minus the angle at the knee between hip and ankle.", knee_flexion, group="angles",
        positive="flexion", neutral="straight leg",
        limits="unsigned: an overextended knee also counts as flexed",
        least=0.0,
        greatest=180.0,
    ),
    *sided(
        "hip_flexion", "deg", "frame",
        "Angle of the thigh against the trunk (pelvis to thorax) in the body's sagittal plane, "
        "which is perpendicular to the line through the hips.",
        hip_flexion, group="angles", positive="thigh forward", neutral="thigh in line with trunk",
        limits="pelvic tilt and lumbar bending are part of it",
    ),
    *sided(
        "hip_adduction", "deg", "frame",
        "Angle of the thigh out of the body's sagittal plane.", hip_adduction, group="angles",
        positive="towards the other leg", neutral="thigh in the sagittal plane",
    ),
    *sided(
        "ankle_flexion", "deg", "frame",
        "90° minus the angle between the shank (ankle to knee) and the foot (heel to big toe).",
        ankle_flexion, group="angles", positive="dorsiflexion", neutral="foot square to the shank",
        limits="needs heel and big toe",
    ),
    *sided(
        "elbow_flexion", "deg", "frame",
        "180° minus the angle at the elbow between shoulder and wrist.", elbow_flexion,
        group="angles", positive="flexion", neutral="straight arm",
        limits="unsigned; pronation is not seen",
        least=0.0,
        greatest=180.0,
    ),
    *sided(
        "shoulder_elevation", "deg", "frame",
        "Angle between the upper arm and the trunk's direction from thorax to pelvis.",
        shoulder_elevation, group="angles", positive="arm raised, in any plane",
        neutral="arm along the trunk", limits="unsigned; axial rotation is not seen",
        least=0.0,
        greatest=180.0,
    ),
    Quantity(
        "trunk_lean", "deg", "frame",
        "Angle between the trunk (pelvis to thorax) and the vertical.", trunk_lean,
        group="angles", positive="any direction", neutral="upright", vertical=True,
        least=0.0,
        greatest=180.0,
    ),
    Quantity(
        "trunk_lean_forward", "deg", "frame",
        "Angle between trunk and vertical seen from the person's right side.",
        trunk_lean_forward, group="angles", positive="forward", neutral="upright", vertical=True,
    ),
    Quantity(
        "trunk_lean_left", "deg", "frame",
        "Angle between trunk and vertical seen from behind.", trunk_lean_left, group="angles",
        positive="to the left", neutral="upright", vertical=True,
    ),
    Quantity(
        "trunk_rotation", "deg", "frame",
        "Angle from the line through the hips to the line through the shoulders, about the trunk.",
        trunk_rotation, group="angles", positive="shoulders turned to the left",
        neutral="shoulders parallel to hips",
    ),
    Quantity(
        "pelvis_obliquity", "deg", "frame",
        "Angle of the line through the hip joints above the horizontal.", pelvis_obliquity,
        group="angles", positive="left hip higher", neutral="level pelvis", vertical=True,
    ),
)  # fmt: skip
"""Per frame, free of scale."""

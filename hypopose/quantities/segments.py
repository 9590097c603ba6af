"""Lengths of segments, and the center of mass.

Body segment parameters: Winter, "Biomechanics and Motor Control of Human Movement", 4th edition,
2009, table 4.1 (after Dempster, 1955): mass of a segment over the body's, and where its center of
mass lies between two joints, from the first. Hands are part of forearms and feet of shanks, because
17 joints have no ends of hands and feet; the trunk reaches from the hips to the shoulders.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.quantities.body_motion import BodyMotion
from hypopose.quantities.quantity import Quantity, sided
from hypopose.quantities.speeds import derivative

ANKLE_HEIGHT = 0.039
"""Height of the ankle joint over stature (Winter, figure 4.1)."""


@dataclass(frozen=True)
class SegmentMass:
    """A row of the table.

    Args:
        name: The segment.
        start: The joint at its proximal end; ``left_`` or ``right_`` is added to limbs.
        end: The joint at its distal end.
        mass: Over the body's mass.
        center: Place of the center of mass, 0 at the start and 1 at the end.
    """

    name: str
    start: str
    end: str
    mass: float
    center: float


LIMBS = (
    SegmentMass("upper arm", "shoulder", "elbow", 0.028, 0.436),
    SegmentMass("forearm and hand", "elbow", "wrist", 0.022, 0.682),
    SegmentMass("thigh", "hip", "knee", 0.100, 0.433),
    SegmentMass("foot and leg", "knee", "ankle", 0.061, 0.606),
)
"""Each counts twice."""

TRUNK = SegmentMass("trunk", "hip", "shoulder", 0.497, 0.50)
"""Between the middles of both sides' joints."""

HEAD_MASS = 0.081
"""Head and neck; their center lies at the ear, half way from the neck/nose joint to the top."""


def center_of_mass(motion: BodyMotion) -> Tensor:
    """The body's center of mass by the table above.

    Args:
        motion: With hips, knees, ankles, shoulders, elbows, wrists, neck and head.

    Returns:
        Meters ``(*batch, F, 3)``, in the frame of the joints.

    Raises:
        SkeletonMismatchError: If the skeleton lacks one of these joints.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(5), H36M17)
        >>> above = (center_of_mass(walk) - walk.at("pelvis"))[..., 2].mean().item()
        >>> 0.0 < above < 0.15
        True
    """
    head = (motion.at("neck") + motion.at("head")) / 2
    center = HEAD_MASS * head
    low, high = motion.middle(TRUNK.start), motion.middle(TRUNK.end)
    center = center + TRUNK.mass * (low + TRUNK.center * (high - low))
    for part in LIMBS:
        start, end = motion.middle(part.start), motion.middle(part.end)
        center = center + 2 * part.mass * (start + part.center * (end - start))
    return center


def length(motion: BodyMotion, start: str, end: str) -> Tensor:
    """Median distance of two joints over the clip, in meters."""
    return (motion.at(end) - motion.at(start)).norm(dim=-1).nanmedian(-1).values


def leg_length(motion: BodyMotion) -> Tensor:
    """Thigh and shank, mean of both sides, in meters: what relative quantities are relative to.

    Args:
        motion: With hips, knees and ankles.

    Returns:
        One number a motion.
    """
    parts = [
        length(motion, f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    ]
    return torch.stack(parts).sum(0) / 2


def stature(motion: BodyMotion) -> Tensor:
    """Stature read off the bones: (leg + pelvis to head along the spine) / (1 - 0.039), meters."""
    chain = [j for j in ("pelvis", "spine", "thorax", "neck", "head") if motion.has(j)]
    spine = sum(length(motion, a, b) for a, b in itertools.pairwise(chain))
    return (leg_length(motion) + torch.as_tensor(spine)) / (1 - ANKLE_HEIGHT)


def com_height(motion: BodyMotion) -> Tensor:
    """Height of the center of mass above the lower ankle."""
    ankles = torch.minimum(motion.at("left_ankle")[..., 2], motion.at("right_ankle")[..., 2])
    return center_of_mass(motion)[..., 2] - ankles


def com_speed(motion: BodyMotion) -> Tensor:
    """Speed of the center of mass through space, m/s."""
    motion.check_placed()
    return derivative(center_of_mass(motion), motion.rate).norm(dim=-1)


def com_acceleration(motion: BodyMotion) -> Tensor:
    """Length of the center of mass' acceleration through space, m/s²."""
    motion.check_placed()
    return derivative(center_of_mass(motion), motion.rate, order=2).norm(dim=-1)


def _side_length(family: str, start: str, end: str) -> tuple[Quantity, ...]:
    def compute(motion: BodyMotion, side: str) -> Tensor:
        return length(motion, f"{side}_{start}", f"{side}_{end}")

    return sided(
        family, "m", "clip", f"Median distance from {start} to {end}.", compute,
        group="segments", scale=True,
    )  # fmt: skip


def _across(family: str, joint: str) -> Quantity:
    return Quantity(
        family, "m", "clip", f"Median distance of the {joint} joints.",
        lambda motion: length(motion, f"left_{joint}", f"right_{joint}"), group="segments",
        scale=True,
    )  # fmt: skip


SEGMENTS: tuple[Quantity, ...] = (
    *_side_length("thigh_length", "hip", "knee"),
    *_side_length("shank_length", "knee", "ankle"),
    *_side_length("upper_arm_length", "shoulder", "elbow"),
    *_side_length("forearm_length", "elbow", "wrist"),
    Quantity(
        "trunk_length", "m", "clip", "Median distance from pelvis to thorax.",
        lambda motion: length(motion, "pelvis", "thorax"), group="segments", scale=True,
    ),
    _across("hip_width", "hip"),
    _across("shoulder_width", "shoulder"),
    Quantity(
        "stature", "m", "clip",
        "Leg and spine up to the head, over 0.961: the ankle's height is 3.9 % of stature.",
        stature, group="segments", scale=True, limits="without shoes",
    ),
)  # fmt: skip
"""Per clip, in meters."""

MASS: tuple[Quantity, ...] = (
    Quantity(
        "com_height", "m", "frame",
        "Height of the center of mass above the lower ankle joint (segment table of Winter, 2009).",
        com_height, group="center of mass", scale=True, vertical=True,
    ),
    Quantity(
        "com_speed", "m/s", "frame", "Speed of the center of mass through space.", com_speed,
        group="center of mass", scale=True, placed=True, timed=True,
    ),
    Quantity(
        "com_acceleration", "m/s²", "frame",
        "Length of the acceleration of the center of mass through space.", com_acceleration,
        group="center of mass", scale=True, placed=True, timed=True,
    ),
)  # fmt: skip
"""Per frame, in meters."""

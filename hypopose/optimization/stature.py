"""Metric scale: how tall the hypotheses are, and how tall the subject is.

One camera cannot distinguish a child close by from an adult farther away: bodies and their distance
scale together and every pixel stays where it is. Networks predict an adult of average size. A known
stature of the subject removes that error: everything is multiplied by one factor per hypothesis.

Stature is computed from bone lengths, which, unlike the height of the head above the floor, do not
depend on posture:

    ``stature = (shin + thigh + spine) / (1 - 0.039)``

with shin and thigh the means of both sides, the spine the bones from pelvis to head, all of them
medians over frames, and 0.039 the height of the ankle over stature (Winter, "Biomechanics and Motor
Control of Human Movement", 4th ed. 2009, figure 4.1).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.metrics import bone_lengths
from hypopose.types import Hypotheses, Skeleton

ANKLE_HEIGHT = 0.039
"""Height of the ankle joint over stature."""

SHORTEST, TALLEST = 0.5, 2.6
"""Plausible statures in meters."""


def stature(joints: Float[Tensor, "*any F J 3"], skeleton: Skeleton) -> Float[Tensor, "*any"]:
    """How tall the person with these bones stands.

    Args:
        joints: Motions in meters; poses may be anything.
        skeleton: With hips, knees, ankles and a chain of bones from the root to a head.

    Returns:
        Meters, one a motion.

    Raises:
        SkeletonMismatchError: If the skeleton lacks one of those joints.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> _, truth = example_pair()
        >>> 1.4 < stature(truth.joints, truth.skeleton).item() < 2.1
        True
    """
    length = dict(
        zip(
            (child for _, child in skeleton.bones),
            bone_lengths(joints, skeleton).nanmedian(-2).values.unbind(-1),
            strict=True,
        )
    )
    leg = sum(length[_joint(skeleton, f"{s}_{j}")] for s in ("left", "right")
              for j in ("knee", "ankle")) / 2  # fmt: skip
    spine = sum(length[j] for j in _up_to(skeleton, _joint(skeleton, "head")))
    return torch.as_tensor(leg + spine) / (1 - ANKLE_HEIGHT)


def scale_to_height(hypotheses: Hypotheses, height: float) -> Hypotheses:
    """Make every hypothesis as tall as the subject.

    Args:
        hypotheses: Meters.
        height: The subject's stature in meters, without shoes.

    Returns:
        Joints and roots multiplied by one factor per hypothesis: projections stay as they are.

    Raises:
        OptionError: If the height is outside 0.5 to 2.6 m, or a hypothesis has no size.
        SkeletonMismatchError: If the skeleton does not determine a stature.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> hypotheses = Hypotheses(torch.randn(3, 5, 17, 3), H36M17)
        >>> stature(scale_to_height(hypotheses, 1.78).joints, H36M17).round(decimals=4).tolist()
        [1.7799999713897705, 1.7799999713897705, 1.7799999713897705]
    """
    if not SHORTEST <= height <= TALLEST:
        raise OptionError(f"A stature lies between {SHORTEST} and {TALLEST} m, got {height}.")
    factor = height / stature(hypotheses.joints, hypotheses.skeleton)
    if not bool(torch.isfinite(factor).all()):
        raise OptionError("A hypothesis without bone lengths cannot be scaled to a stature.")
    root = hypotheses.root
    return replace(
        hypotheses,
        joints=hypotheses.joints * factor[..., None, None, None],
        root=None if root is None else root * factor[..., None, None],
    )


def _joint(skeleton: Skeleton, name: str) -> int:
    if name not in skeleton.joint_names:
        raise SkeletonMismatchError(
            f"Stature is read off legs and spine, but skeleton {skeleton.name!r} has no {name!r}; "
            "convert to 'h36m17'."
        )
    return skeleton.joint_names.index(name)


def _up_to(skeleton: Skeleton, joint: int) -> list[int]:
    """Joints from below the root to this one."""
    chain = []
    while skeleton.parents[joint] >= 0:
        chain.append(joint)
        joint = skeleton.parents[joint]
    return chain

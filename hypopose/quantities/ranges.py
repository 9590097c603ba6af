"""Range of motion: how far an angle goes over a clip."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hypopose.quantities.angles import ANGLES
from hypopose.quantities.body_motion import BodyMotion
from hypopose.quantities.bridging import unwrapped
from hypopose.quantities.quantity import Compute, Quantity

TAILS = 0.02
"""Share of frames left out at each end of a range, so that single frames do not decide."""

_OF = (
    "knee_flexion", "hip_flexion", "hip_adduction", "ankle_flexion", "elbow_flexion",
    "shoulder_elevation", "trunk_lean_forward", "trunk_lean_left", "trunk_rotation",
    "pelvis_obliquity",
)  # fmt: skip


def least(values: Tensor) -> Tensor:
    """The value that 2 % of the frames lie below, over the last axis; gaps do not count.

    Example:
        >>> least(torch.arange(101.0)).item()
        2.0
    """
    return torch.nanquantile(values, TAILS, dim=-1)


def greatest(values: Tensor) -> Tensor:
    """The value that 2 % of the frames lie above, over the last axis; gaps do not count."""
    return torch.nanquantile(values, 1 - TAILS, dim=-1)


def range_of(compute: Compute) -> Compute:
    """The range of another quantity.

    Args:
        compute: Of a quantity per frame.

    Returns:
        From a motion to the distance between :func:`least` and :func:`greatest`.
    """

    def compute_range(motion: BodyMotion) -> Tensor:
        values = unwrapped(compute(motion))
        return greatest(values) - least(values)

    return compute_range


def _range(angle: Quantity) -> Quantity:
    return replace(
        angle,
        family=f"{angle.family}_range",
        per="clip",
        definition=f"Range of {angle.family} over the clip, without the extreme 2 % of frames at "
        "each end.",
        compute=range_of(angle.compute),
        group="ranges of motion",
        positive="",
        neutral="",
    )


RANGES: tuple[Quantity, ...] = tuple(_range(angle) for angle in ANGLES if angle.family in _OF)
"""Per clip, free of scale."""

"""One row of the table of quantities: its name, unit, definition and function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import Tensor

from hypopose.quantities.body_motion import SIDES, BodyMotion

Compute = Callable[[BodyMotion], Tensor]
SidedCompute = Callable[..., Tensor]
"""A function of a motion and ``side``."""


@dataclass(frozen=True)
class Quantity:
    """Something that can be measured on a motion.

    Args:
        family: The name without a side, for example ``"knee_flexion"``.
        unit: ``"deg"``, ``"deg/s"``, ``"m"``, ``"m/s"``, ``"m/s²"``, ``"mm"``, ``"mm/s"``,
            ``"cm²"``, ``"s"``, ``"1/min"``, ``"%"``, ``"count"``, ``"probability"``, ``""``.
        per: ``"frame"``: values ``(*batch, F)``; ``"clip"``: ``(*batch)``.
        definition: What it is, in terms of joints.
        compute: From a motion to its values.
        group: Where tables list it.
        side: ``"left"``, ``"right"`` or empty.
        positive: Which direction counts as positive; empty if it has none.
        neutral: The pose in which it is zero; empty if there is none.
        limits: What joints do not determine, and other limits.
        scale: Whether it is measured in meters, so that it depends on the person's size.
        vertical: Whether it depends on which way is up.
        placed: Whether it depends on the root's way through space.
        timed: Whether it needs the frame rate.
        least: No value is below, so that no interval reaches there; minus infinity for signed ones.
        greatest: No value is above.

    Example:
        >>> compute = lambda motion: motion.joints[..., 0, 0]
        >>> Quantity("bend", "deg", "frame", "Bend.", compute, side="left").name
        'left_bend'
    """

    family: str
    unit: str
    per: Literal["frame", "clip"]
    definition: str
    compute: Compute = field(repr=False, compare=False)
    group: str = "yours"
    side: str = ""
    positive: str = ""
    neutral: str = ""
    limits: str = ""
    scale: bool = False
    vertical: bool = False
    placed: bool = False
    timed: bool = False
    least: float = -math.inf
    greatest: float = math.inf

    @property
    def name(self) -> str:
        """The side, if any, and the family: ``left_knee_flexion``."""
        return f"{self.side}_{self.family}" if self.side else self.family

    @property
    def has_intervals(self) -> bool:
        """Whether hypotheses spread over numbers; a share of hypotheses is a probability itself."""
        return self.unit != "probability"


def sided(
    family: str, unit: str, per: Literal["frame", "clip"], definition: str, compute: SidedCompute,
    **more: Any,
) -> tuple[Quantity, Quantity]:  # fmt: skip
    """The same quantity of both sides.

    Args:
        family: See :class:`Quantity`.
        unit: See there.
        per: See there.
        definition: See there.
        compute: From a motion and ``"left"`` or ``"right"`` to values.
        **more: Further fields.

    Returns:
        The left one and the right one.
    """
    left, right = (
        Quantity(family, unit, per, definition, partial(compute, side=side), side=side, **more)
        for side in SIDES
    )
    return left, right

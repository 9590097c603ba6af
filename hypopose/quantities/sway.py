"""Balance: sway of the center of mass above standing feet.

Measures of Prieto, Myklebust, Hoffmann, Lovett and Myklebust, "Measures of postural steadiness:
differences between healthy young and elderly adults", IEEE Transactions on Biomedical Engineering
43, 1996, computed for the horizontal position of the center of mass relative to the middle of the
ankles, instead of a force plate's center of pressure. The ankles are at rest, so the root's path,
whose depth one camera measures poorly, is not needed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.quantities.body_motion import BodyMotion, heading, level
from hypopose.quantities.quantity import Quantity
from hypopose.quantities.segments import center_of_mass, leg_length
from hypopose.quantities.speeds import derivative

STANDING = 0.05
"""Leg lengths of standard deviation up to which the feet stand still against each other."""

ELLIPSE = 5.991
"""95 % quantile of chi squared with two degrees of freedom."""


def sway(motion: BodyMotion) -> Float[Tensor, "*batch F 2"]:
    """Center of mass to the left of and ahead of the feet's middle, about its mean.

    Args:
        motion: With the joints of :func:`center_of_mass`.

    Returns:
        Meters; NaN for motions whose feet move against each other.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(50), H36M17, fps=25.0)
        >>> bool(sway(walk).isnan().all())  # it is no standing
        True
    """
    offset = level(center_of_mass(motion) - motion.middle("ankle"))
    forward = heading(motion).nanmean(-2, keepdim=True)
    left = torch.linalg.cross(forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward), forward)
    path = torch.stack(((offset * left).sum(-1), (offset * forward).sum(-1)), -1)
    path = path - path.nanmean(-2, keepdim=True)
    apart = level(motion.at("left_ankle") - motion.at("right_ankle"))
    spread = (apart - apart.nanmean(-2, keepdim=True)).square().sum(-1).nanmean(-1).sqrt()
    stands = spread < STANDING * leg_length(motion)
    return torch.where(stands[..., None, None], path, torch.nan)


def sway_area(motion: BodyMotion) -> Tensor:
    """Area of the ellipse that holds 95 % of the path, cm²."""
    path = sway(motion)
    known = torch.isfinite(path).all(-1, keepdim=True)
    filled = torch.where(known, path, 0.0)
    covariance = filled.mT @ filled / (known.sum(-2, keepdim=True) - 1).clamp(min=1)
    area = math.pi * ELLIPSE * torch.linalg.det(covariance).clamp(min=0).sqrt()
    return torch.where(known.any(-2)[..., 0], 1e4 * area, torch.nan)


def _rms(motion: BodyMotion, axis: int) -> Tensor:
    return 1000 * sway(motion)[..., axis].square().nanmean(-1).sqrt()


def sway_speed(motion: BodyMotion) -> Tensor:
    """Mean speed along the path, mm/s."""
    return 1000 * derivative(sway(motion), motion.rate).norm(dim=-1).nanmean(-1)


_BALANCE: dict[str, Any] = {"group": "balance", "scale": True, "vertical": True}
_STILL = "NaN unless both feet stand"

BALANCE: tuple[Quantity, ...] = (
    Quantity(
        "sway_left", "mm", "clip",
        "Root mean square of the center of mass sideways of the feet.",
        lambda motion: _rms(motion, 0), limits=_STILL, **_BALANCE,
    ),
    Quantity(
        "sway_forward", "mm", "clip",
        "Root mean square of the center of mass ahead of the feet.",
        lambda motion: _rms(motion, 1), limits=_STILL, **_BALANCE,
    ),
    Quantity(
        "sway_area", "cm²", "clip",
        "Area of the ellipse that holds 95 % of the center of mass' path.", sway_area,
        limits=_STILL, **_BALANCE,
    ),
    Quantity(
        "sway_speed", "mm/s", "clip", "Mean speed of the center of mass against the feet.",
        sway_speed, limits=_STILL, timed=True, **_BALANCE,
    ),
)  # fmt: skip
"""Per clip, of standing."""

"""The body shape of a person, from the bone lengths of hypotheses.

The lengths between the joints of a body at rest are compared with the medians of the hypotheses;
damped Gauss-Newton steps with differences over the numbers of the shape, each held near the average
person by how far people usually are from it. A step is kept if it brings the lengths nearer,
because lengths are not linear in the shape of some models (from newborn to child to adult).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies import BodyModel, ShapeSpace
from hypopose.types import Skeleton

LENGTH_ERROR = 0.002
"""Meters by which a median length may be off."""

STEP = 1e-2
"""Of the differences, in units of the shape's scale."""

N_ITERATIONS = 16


def bone_lengths_of(
    joints: Float[Tensor, "*n J 3"], skeleton: Skeleton
) -> Float[Tensor, "*n bones"]:
    """Distances along a skeleton.

    Args:
        joints: Meters.
        skeleton: Of the joints.
    """
    parents, children = map(list, zip(*skeleton.bones, strict=True))
    return (joints[..., children, :] - joints[..., parents, :]).norm(dim=-1)


def fit_shape(body: BodyModel, lengths: Float[Tensor, "G bones"]) -> Float[Tensor, "G S"]:
    """Shapes whose bones are as long as given.

    Args:
        body: Any.
        lengths: Meters, in the order of the skeleton's bones; NaN where unknown.

    Returns:
        Within the range of the body's shapes.

    Example:
        >>> from hypopose.bodies import make_body
        >>> body = make_body("capsules")
        >>> tall = 1.1 * bone_lengths_of(body.rest(body.shapes.mean[None]).joints, body.skeleton)
        >>> fit_shape(body, tall)[0, 1].exp().item() > 1.08
        True
    """
    space = body.shapes
    weight = torch.isfinite(lengths) / LENGTH_ERROR
    target = lengths.nan_to_num(0.0)
    shape = space.mean.expand(len(lengths), -1).clone()
    found, slope = _with_slopes(body, shape)
    damping = torch.ones(len(shape))
    for _ in range(N_ITERATIONS):
        residual = weight * (target - found)
        steep = slope * weight[:, :, None]
        normal = steep.mT @ steep + (1 + damping)[:, None, None] * torch.diag(space.scale**-2)
        pull = (steep.mT @ residual[..., None])[..., 0] - (shape - space.mean) / space.scale**2
        tried = (shape + torch.linalg.solve(normal, pull)).clamp(space.low, space.high)
        new_found, new_slope = _with_slopes(body, tried)
        better = _misfit(space, tried, weight * (target - new_found)) < _misfit(
            space, shape, residual
        )
        damping = torch.where(better, damping / 8, damping * 8)
        shape = torch.where(better[:, None], tried, shape)
        found = torch.where(better[:, None], new_found, found)
        slope = torch.where(better[:, None, None], new_slope, slope)
    return shape


def _misfit(
    space: ShapeSpace, shape: Float[Tensor, "G S"], residual: Float[Tensor, "G bones"]
) -> Float[Tensor, " G"]:
    return ((shape - space.mean) / space.scale).square().sum(-1) + residual.square().sum(-1)


def _with_slopes(
    body: BodyModel, shape: Float[Tensor, "G S"]
) -> tuple[Float[Tensor, "G bones"], Float[Tensor, "G bones S"]]:
    """Bone lengths, and how they change with the shape; steps stay within its range."""
    space = body.shapes
    sign = torch.where(shape + STEP * space.scale > space.high, -1.0, 1.0)
    steps = torch.diag_embed(sign * STEP * space.scale)
    tried = torch.cat([shape[:, None], shape[:, None] + steps], 1)
    lengths = bone_lengths_of(body.rest(tried).joints, body.skeleton)
    change = lengths[:, 1:] - lengths[:, :1]
    return lengths[:, 0], (change / (sign * STEP * space.scale)[..., None]).mT

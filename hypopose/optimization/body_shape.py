"""How a person is built, from how long the bones of hypotheses are.

The lengths between the joints of a body at rest are compared with the medians of the hypotheses;
Gauss-Newton with differences over the numbers of the shape, each held near the average person by
how far people usually are from it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies import BodyModel
from hypopose.types import Skeleton

LENGTH_ERROR = 0.002
"""Meters by which a median length may be off."""

STEP = 1e-2
"""Of the differences, in units of the shape's scale."""

N_ITERATIONS = 8


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
    known = torch.isfinite(lengths)
    target = lengths.nan_to_num(0.0)
    shape = space.mean.expand(len(lengths), -1).clone()
    weight = known / LENGTH_ERROR
    for _ in range(N_ITERATIONS):
        found, slope = _with_slopes(body, shape)
        residual = weight * (target - found)
        slope = slope * weight[:, :, None]
        normal = slope.mT @ slope + torch.diag(space.scale**-2)
        pull = (slope.mT @ residual[..., None])[..., 0] - (shape - space.mean) / space.scale**2
        step = torch.linalg.solve(normal, pull)
        shape = (shape + step).clamp(space.low, space.high)
    return shape


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

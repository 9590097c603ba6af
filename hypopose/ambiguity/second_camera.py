"""What a second camera, at a given angle, would remove.

Two answers. The *linear* one treats the hypotheses as normal: a camera measures two coordinates of
a joint across its own line of sight, and the covariance that remains is the Kalman update

    C' = C - C P^T (P C P^T + sigma^2 I)^-1 P C.

The *reweighted* one makes no such assumption: take one hypothesis as what is really there, let the
second camera see it, and weigh the other hypotheses by how well they explain what it saw (both
observations noisy: a normal of variance 2 sigma^2). Truth and posterior draw are exchangeable, so
half the weighted mean squared distance between them is the posterior variance; average over all
hypotheses in turn. It captures that a camera from the side resolves a depth flip. On normal
samples the deviation comes out 0 to 6 % high, and since each hypothesis is judged by the *others*
alone, higher where they are few: read it as an upper bound.

Both treat each joint separately, relative to the root, and assume a second camera at about the same
distance that turns around the subject's vertical axis (the image's y axis).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.ambiguity.covariance import joint_covariance, require_hypotheses, viewing_rays
from hypopose.errors import OptionError
from hypopose.types import Hypotheses


@dataclass(frozen=True, eq=False)
class SecondCamera:
    """Uncertainty before and after adding a camera, root-mean-square distance in meters.

    Args:
        angles_deg: Angles of the second camera; axis A of the results.
        now: With the first camera alone: root of the covariance's trace.
        linear: With the second camera, for normal hypotheses.
        reweighted: With the second camera, by reweighting the hypotheses themselves.
    """

    angles_deg: tuple[float, ...]
    now: Float[Tensor, "*batch F J"]
    linear: Float[Tensor, "A *batch F J"]
    reweighted: Float[Tensor, "A *batch F J"]


def second_camera(
    hypotheses: Hypotheses, angles_deg: Sequence[float], noise: float = 0.015
) -> SecondCamera:
    """Spread of each joint if a second camera looked on from each angle.

    Args:
        hypotheses: Three or more.
        angles_deg: Turn around the subject's vertical axis; 0 repeats the first view, 90 looks from
            the side.
        noise: Standard deviation in meters, at the subject, of what the second camera measures in
            each of its two directions: detector noise in pixels times distance over focal length (5
            px at 3 m with 1000 px is 0.015).

    Returns:
        Per frame and joint, by angle.

    Raises:
        OptionError: If there are fewer than three hypotheses, no angle, or no noise.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.randn(30, 1, 17, 3) * torch.tensor([0.01, 0.01, 0.1])
        >>> two = second_camera(Hypotheses(x, H36M17), [0.0, 90.0])
        >>> bool((two.linear[1] < 0.5 * two.linear[0]).all())
        True
    """
    require_hypotheses(hypotheses, 3, "A second camera")
    if not angles_deg or noise <= 0:
        raise OptionError(
            "A second camera needs one or more angles and a noise above 0 m; got "
            f"{list(angles_deg)} and {noise}."
        )
    covariance = joint_covariance(hypotheses)
    rays = viewing_rays(hypotheses)
    views = [_image_axes(rays, math.radians(angle)) for angle in angles_deg]
    return SecondCamera(
        angles_deg=tuple(float(a) for a in angles_deg),
        now=covariance.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt(),
        linear=torch.stack([_linear(covariance, axes, noise) for axes in views]),
        reweighted=torch.stack([_reweighted(hypotheses, axes, noise) for axes in views]),
    )


def _image_axes(rays: Float[Tensor, "*any 3"], angle: float) -> Float[Tensor, "*any 2 3"]:
    """The two directions across the line of sight of a camera turned by ``angle`` radians."""
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=rays.dtype).to(rays.device)
    sight = rays @ turn.T
    down = torch.tensor([0.0, 1.0, 0.0], dtype=rays.dtype).to(rays.device).expand_as(sight)
    right = torch.linalg.cross(down, sight, dim=-1)
    right = right / right.norm(dim=-1, keepdim=True)
    return torch.stack((right, torch.linalg.cross(sight, right, dim=-1)), -2)


def _linear(covariance: Tensor, axes: Tensor, noise: float) -> Tensor:
    nan = torch.isnan(covariance).flatten(-2).any(-1)
    covariance, axes = covariance.nan_to_num(), axes.nan_to_num()
    cross = axes @ covariance  # (..., 2, 3)
    seen = cross @ axes.transpose(-1, -2)
    seen = seen + noise**2 * torch.eye(2, dtype=seen.dtype, device=seen.device)
    left = covariance - cross.transpose(-1, -2) @ torch.linalg.solve(seen, cross)
    std = left.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=0).sqrt()
    return torch.where(nan, torch.full_like(std, torch.nan), std)


def _reweighted(hypotheses: Hypotheses, axes: Tensor, noise: float) -> Tensor:
    x = hypotheses.joints.double().movedim(-4, -2)  # (*batch, F, J, H, 3)
    n = x.shape[-2]
    others = ~torch.eye(n, dtype=torch.bool, device=x.device)
    seen = x @ axes.transpose(-1, -2)
    total = torch.zeros(x.shape[:-2], dtype=x.dtype, device=x.device)
    for h in range(n):
        square = (seen - seen[..., h : h + 1, :]).square().sum(-1)[..., others[h]]
        weight = torch.softmax(-0.5 * square / (2 * noise**2), -1)
        distance = (x[..., others[h], :] - x[..., h : h + 1, :]).square().sum(-1)
        total = total + (weight * distance).sum(-1)
    return (0.5 * total / n).sqrt()

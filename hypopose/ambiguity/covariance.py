"""How far the hypotheses of a joint spread, along which axes, and how much of it is depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.types import Hypotheses


@dataclass(frozen=True, eq=False)
class JointSpread:
    """The second moments of each joint's hypotheses.

    Args:
        covariance: In m², camera frame, unbiased (divided by H - 1).
        std: Standard deviations along the principal axes in meters, largest first.
        axes: Unit principal axes; row ``i`` belongs to ``std[i]``. Their sign is arbitrary.
        ray: Unit direction from the camera to the joint; (0, 0, 1) where the root is unknown.
        depth_share: Share of the variance along ``ray``, 0 to 1; NaN where nothing varies.
    """

    covariance: Float[Tensor, "*batch F J 3 3"]
    std: Float[Tensor, "*batch F J 3"]
    axes: Float[Tensor, "*batch F J 3 3"]
    ray: Float[Tensor, "*batch F J 3"]
    depth_share: Float[Tensor, "*batch F J"]


def require_hypotheses(hypotheses: Hypotheses, n: int, what: str) -> None:
    """Raise if there are fewer than ``n`` hypotheses.

    Raises:
        OptionError: Naming what was asked and how many hypotheses it needs.
    """
    if len(hypotheses) < n:
        raise OptionError(
            f"{what} needs at least {n} hypotheses, got {len(hypotheses)}; "
            f"sample with n_hypotheses={n} or more."
        )


def joint_covariance(hypotheses: Hypotheses) -> Float[Tensor, "*batch F J 3 3"]:
    """Covariance of each joint over the hypotheses.

    Convention:
        Root-relative, camera frame, m², float64, divided by H - 1.

    Args:
        hypotheses: Two or more.

    Returns:
        One matrix per frame and joint; NaN where a hypothesis is NaN.

    Raises:
        OptionError: If there is only one hypothesis.
    """
    require_hypotheses(hypotheses, 2, "A covariance")
    x = hypotheses.joints.double()
    d = x - x.mean(-4, keepdim=True)
    return torch.einsum("...hfja,...hfjb->...fjab", d, d) / (len(hypotheses) - 1)


def viewing_rays(hypotheses: Hypotheses) -> Float[Tensor, "*batch F J 3"]:
    """Unit directions from the camera to each joint's mean position.

    Args:
        hypotheses: With a root for the true directions.

    Returns:
        Directions in the camera frame; (0, 0, 1) everywhere if the root is unknown.
    """
    mean = hypotheses.joints.double().mean(-4)
    if hypotheses.root is None:
        return torch.tensor([0.0, 0.0, 1.0], dtype=mean.dtype).to(mean.device).expand_as(mean)
    position = mean + hypotheses.root.double().mean(-3)[..., None, :]
    return position / position.norm(dim=-1, keepdim=True)


def depth_share(
    covariance: Float[Tensor, "*any 3 3"], rays: Float[Tensor, "*any 3"]
) -> Float[Tensor, "*any"]:
    """Share of a joint's variance that lies along its viewing ray.

    Args:
        covariance: In m².
        rays: Unit directions in the same frame.

    Returns:
        0 (all lateral) to 1 (all depth), a third if isotropic; NaN where nothing varies.

    Example:
        >>> depth_share(torch.diag(torch.tensor([1.0, 1.0, 8.0])), torch.tensor([0.0, 0, 1])).item()
        0.800000011920929
    """
    along = torch.einsum("...a,...ab,...b->...", rays, covariance, rays)
    return along / covariance.diagonal(dim1=-2, dim2=-1).sum(-1)


def joint_spread(hypotheses: Hypotheses) -> JointSpread:
    """Covariance, principal axes and depth share of every joint.

    Args:
        hypotheses: Two or more; with a root, depth is measured along each joint's viewing ray,
            without along the camera's optical axis.

    Returns:
        Per frame and joint, in meters; NaN where a hypothesis is NaN.

    Raises:
        OptionError: If there is only one hypothesis.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.randn(50, 1, 17, 3) * torch.tensor([0.01, 0.01, 0.1])
        >>> bool((joint_spread(Hypotheses(x, H36M17)).depth_share > 0.9).all())
        True
    """
    covariance = joint_covariance(hypotheses)
    nan = torch.isnan(covariance).flatten(-2).any(-1)
    values, vectors = torch.linalg.eigh(covariance.nan_to_num())
    std = values.clamp(min=0).sqrt().flip(-1)
    rays = viewing_rays(hypotheses)
    return JointSpread(
        covariance=covariance,
        std=torch.where(nan[..., None], torch.full_like(std, torch.nan), std),
        axes=vectors.flip(-1).transpose(-1, -2),
        ray=rays,
        depth_share=depth_share(covariance, rays),
    )

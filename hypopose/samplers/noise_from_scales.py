"""Motions from a pose and a scale per joint: how a lifter's uncertainty becomes hypotheses.

Ours. :func:`hypopose.networks.uncertainty_loss` makes ``scale`` the expected distance r of a joint
from its prediction, under a likelihood proportional to ``exp(-r / b)``. In three dimensions that
density has r ~ Gamma(3, b) and mean 3 b, so b = scale / 3, and any direction is as likely.

Errors of a network are correlated between frames, and between a joint and its parent. Normal noise
is therefore smoothed over time and propagated along the skeleton, each time at unit variance, and
only its length is then mapped from that of normals to Gamma's: one joint in one frame has exactly
the predicted distribution, and the motion is smooth.

Errors of lifters are largest along the line of sight, which an image does not show. Given the share
of the squared error along it, draws are stretched along it and shrunk across, at the same expected
distance.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.types import Skeleton


def noise_from_scales(
    noise: Float[Tensor, "*batch H F J 3"],
    scale: Float[Tensor, "*batch F J"],
    skeleton: Skeleton,
    *,
    frames: float,
    parent_correlation: float,
    sight: Float[Tensor, "*batch F J 3"] | None = None,
    depth_share: float = 1 / 3,
) -> Float[Tensor, "*batch H F J 3"]:
    """Distances from the predicted pose.

    Args:
        noise: Standard normals.
        scale: Expected distance of each joint, meters.
        skeleton: Of the joints; the root stays.
        frames: Standard deviation of the smoothing kernel, in frames; 0 for none.
        parent_correlation: Correlation of a joint's error with its parent's, 0 to 1.
        sight: Unit vectors from the camera to the joints; None for draws alike in all directions.
        depth_share: Share of the squared error along them; 1/3 is alike in all directions.

    Returns:
        Meters; 0 at the root.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> z = torch.randn(2000, 1, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> scale = torch.full((1, 17), 0.1)
        >>> draws = noise_from_scales(z, scale, H36M17, frames=0.0, parent_correlation=0.5)
        >>> round(draws[:, 0, 3].norm(dim=-1).mean().item(), 2)
        0.1
    """
    z = _handed_down(smooth_in_time(noise, frames), skeleton, parent_correlation)
    draws = z * _stretch(z) * (scale / 3)[..., None, :, :, None]
    if sight is None:
        return draws
    line = sight.unsqueeze(-4)
    depth = (draws * line).sum(-1, keepdim=True) * line
    along, across = _stretches(depth_share)
    return along * depth + across * (draws - depth)


def _stretches(depth_share: float) -> tuple[float, float]:
    """Factors along and across that keep the expected length of isotropic draws."""
    along, across = (3 * depth_share) ** 0.5, (1.5 * (1 - depth_share)) ** 0.5
    cosine = np.linspace(0.0, 1.0, 2001)
    lengths = np.sqrt((along * cosine) ** 2 + across**2 * (1 - cosine**2))
    mean = float(np.trapezoid(lengths, cosine))
    return along / mean, across / mean


def smooth_in_time(
    noise: Float[Tensor, "*any F J C"], frames: float
) -> Float[Tensor, "*any F J C"]:
    """Noise through a Gaussian kernel, at unit variance in every frame.

    Args:
        noise: Standard normals, independent.
        frames: Standard deviation of the kernel; 0 leaves the noise unchanged.

    Example:
        >>> smooth = smooth_in_time(torch.randn(400, 60, 1, 1), 5.0)
        >>> bool((smooth.diff(dim=1).std() < 0.5) & ((smooth.std() - 1).abs() < 0.1))
        True
    """
    if frames <= 0 or noise.shape[-3] < 2:
        return noise
    half = min(int(np.ceil(3 * frames)), noise.shape[-3] - 1)
    at = torch.arange(-half, half + 1, dtype=noise.dtype, device=noise.device)
    kernel = torch.exp(-0.5 * (at / frames) ** 2)[None, None]
    rows = noise.movedim(-3, -1)
    flat = rows.reshape(-1, 1, rows.shape[-1])
    summed = functional.conv1d(flat, kernel, padding=half)
    power = functional.conv1d(torch.ones_like(flat[:1]), kernel.square(), padding=half)
    return (summed / power.sqrt()).reshape(rows.shape).movedim(-1, -3)


def _handed_down(z: Tensor, skeleton: Skeleton, parent_correlation: float) -> Tensor:
    """Correlate each joint with its parent; the root has no error, so its children begin anew."""
    own = (1 - parent_correlation**2) ** 0.5
    made: dict[int, Tensor] = {skeleton.root: torch.zeros_like(z[..., 0, :])}
    waiting = [(p, j) for p, j in skeleton.bones]
    while waiting:
        ready = [(p, j) for p, j in waiting if p in made]
        for p, j in ready:
            fresh = p == skeleton.root
            made[j] = z[..., j, :] if fresh else parent_correlation * made[p] + own * z[..., j, :]
        waiting = [bone for bone in waiting if bone not in ready]
    return torch.stack([made[j] for j in range(skeleton.n_joints)], -2)


def _stretch(z: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 1"]:
    """What turns the length of three normals into a draw of Gamma(3, 1)."""
    length = z.norm(dim=-1, keepdim=True)
    table = _table().to(z)
    place = (length / _STEP).clamp(max=len(table) - 1.001)
    low = place.long()
    part = place - low
    return table[low] * (1 - part) + table[low + 1] * part


_STEP = 0.01


@cache
def _table() -> Tensor:
    """Gamma(3, 1) quantile over length, at lengths 0, 0.01, ... 7 of three normals."""
    from scipy.special import gammainc, gammaincinv

    length = np.arange(1, 701) * _STEP
    ratio = gammaincinv(3.0, gammainc(1.5, length**2 / 2)) / length
    return torch.from_numpy(np.concatenate([ratio[:1], ratio]))

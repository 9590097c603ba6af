"""Procrustes alignment, frame by frame, and P-MPJPE.

Source: Schönemann 1966 and Gower 1975 (orthogonal Procrustes with scale); the reflection fix is
Kabsch's. P-MPJPE as in Martinez et al., ICCV 2017: the prediction is moved, turned and scaled
onto the truth with all joints, then measured. Computed in float64 whatever comes in.

A pose without size (all joints in one point, NaN or infinite) cannot be aligned: its errors are
NaN, never 0. Published code divides by the size unguarded. A singular value decomposition that
fails raises.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.metrics.position import check_pair, joint_errors

_MIN_SIZE = 1e-6  # of the largest coordinate: below it, float32 joints lie in one point


def _centered(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centered joints, their centroid, and True where a pose has a finite, positive size."""
    centroid = x.mean(-2, keepdim=True)
    x0 = x - centroid
    largest = x.abs().amax((-2, -1))
    usable = torch.isfinite(x).all(-1).all(-1) & (x0.norm(dim=(-2, -1)) > _MIN_SIZE * largest)
    return x0, centroid, usable


def align(
    pred: Float[Tensor, "*_pred J 3"],
    target: Float[Tensor, "*_target J 3"],
    scale: bool = True,
) -> tuple[Float[Tensor, "*_out J 3"], Bool[Tensor, "*_frames"]]:
    """Move every predicted pose onto its true pose by the best similarity (or rigid) transform.

    Args:
        pred: Predicted joints.
        target: True joints; leading axes broadcast.
        scale: Whether the size may change; without, the transform is rigid.

    Returns:
        Aligned joints in float64, and which frames could be aligned; the others are NaN.

    Raises:
        ShapeError: If joints or leading axes disagree.
    """
    check_pair(pred, target)
    y = pred.double() + torch.zeros_like(target, dtype=torch.float64)
    x = target.double() + torch.zeros_like(pred, dtype=torch.float64)
    x0, x_mean, x_usable = _centered(x)
    y0, _, y_usable = _centered(y)
    usable = x_usable & y_usable
    keep = usable[..., None, None]
    x0, y0 = torch.where(keep, x0, 0.0), torch.where(keep, y0, 0.0)
    u, s, vh = torch.linalg.svd(x0.transpose(-1, -2) @ y0)
    sign = torch.ones_like(s)
    sign[..., -1] = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0)
    rotation = u @ (sign[..., None] * vh)  # x ≈ rotation y, for column vectors
    aligned = y0 @ rotation.transpose(-1, -2)
    if scale:
        size = (y0 * y0).sum((-2, -1)).clamp_min(torch.finfo(torch.float64).tiny)
        aligned = aligned * ((s * sign).sum(-1) / size)[..., None, None]
    return torch.where(keep, aligned + x_mean, torch.nan), usable


def p_joint_errors(
    pred: Float[Tensor, "*_pred J 3"],
    target: Float[Tensor, "*_target J 3"],
    scale: bool = True,
) -> Float[Tensor, "*_out J"]:
    """Distances of every joint after aligning each pose to its truth.

    Args:
        pred: Predicted joints.
        target: True joints, same unit; leading axes broadcast.
        scale: Whether the size may change.

    Returns:
        Distances in float64; NaN for poses that cannot be aligned.
    """
    aligned, _ = align(pred, target, scale)
    return joint_errors(aligned, target.double())


def p_mpjpe(
    pred: Float[Tensor, "*_pred J 3"], target: Float[Tensor, "*_target J 3"]
) -> Float[Tensor, ""]:
    """MPJPE after aligning each pose to its truth by a similarity transform.

    Args:
        pred: Predicted joints.
        target: True joints, same unit; leading axes broadcast.

    Returns:
        The mean in float64; NaN if any pose cannot be aligned.

    Example:
        >>> truth = torch.randn(5, 17, 3)
        >>> turned = 2 * truth.roll(1, -1) + 1  # a rotation about the diagonal, a scale, a shift
        >>> p_mpjpe(turned, truth).item() < 1e-6
        True
        >>> p_mpjpe(torch.zeros(5, 17, 3), truth).isnan().item()
        True
    """
    return p_joint_errors(pred, target).mean()

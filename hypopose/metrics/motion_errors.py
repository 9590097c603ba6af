"""Errors of velocity and acceleration.

Source: MPJVE, Pavllo et al., "3D human pose estimation in video with temporal convolutions", CVPR
2019. Differences are per frame, without a frame-rate factor; they run along the frame axis of a
clip and never across clips. (Code that flattens clips before differencing adds the jumps between
clips.)
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from hypopose.errors import ShapeError
from hypopose.metrics.position import check_pair


def _difference_errors(pred: Tensor, target: Tensor, order: int, name: str) -> Tensor:
    check_pair(pred, target)
    if pred.dim() < 3 or pred.shape[-3] != target.shape[-3] or pred.shape[-3] <= order:
        raise ShapeError(
            f"{name} needs clips (..., F, J, 3) of at least {order + 1} frames; got "
            f"{tuple(pred.shape)} and {tuple(target.shape)}."
        )
    return (pred - target).diff(n=order, dim=-3).norm(dim=-1)


def velocity_errors(
    pred: Float[Tensor, "*_pred F J 3"], target: Float[Tensor, "*_target F J 3"]
) -> Float[Tensor, "*_out J"]:
    """Distance between predicted and true steps from each frame to the next.

    Args:
        pred: Predicted clips.
        target: True clips, same unit; leading axes broadcast.

    Returns:
        ``(..., F - 1, J)``, unit per frame.

    Raises:
        ShapeError: If a clip has fewer than two frames.
    """
    return _difference_errors(pred, target, 1, "MPJVE")


def mpjve(
    pred: Float[Tensor, "*_pred F J 3"], target: Float[Tensor, "*_target F J 3"]
) -> Float[Tensor, ""]:
    """Mean per-joint velocity error.

    Args:
        pred: Predicted clips.
        target: True clips, same unit; leading axes broadcast.

    Returns:
        The mean over clips, steps and joints, unit per frame.

    Raises:
        ShapeError: If a clip has fewer than two frames.

    Example:
        >>> import torch
        >>> truth = torch.randn(9, 17, 3)
        >>> mpjve(truth + 1.0, truth).item() < 1e-6  # a constant offset moves along
        True
    """
    return velocity_errors(pred, target).mean()


def acceleration_errors(
    pred: Float[Tensor, "*_pred F J 3"], target: Float[Tensor, "*_target F J 3"]
) -> Float[Tensor, "*_out J"]:
    """Distance between predicted and true second differences.

    Args:
        pred: Predicted clips.
        target: True clips, same unit; leading axes broadcast.

    Returns:
        ``(..., F - 2, J)``, unit per frame².

    Raises:
        ShapeError: If a clip has fewer than three frames.
    """
    return _difference_errors(pred, target, 2, "The acceleration error")


def acceleration_error(
    pred: Float[Tensor, "*_pred F J 3"], target: Float[Tensor, "*_target F J 3"]
) -> Float[Tensor, ""]:
    """Mean per-joint error of the second differences.

    Args:
        pred: Predicted clips.
        target: True clips, same unit; leading axes broadcast.

    Returns:
        The mean over clips, frames and joints, unit per frame².

    Raises:
        ShapeError: If a clip has fewer than three frames.

    Example:
        >>> import torch
        >>> truth, t = torch.randn(9, 17, 3), torch.arange(9.0)[:, None, None]
        >>> acceleration_error(truth + 2.0 * t, truth).item() < 1e-5  # a constant drift
        True
    """
    return acceleration_errors(pred, target).mean()

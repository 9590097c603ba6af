"""How far joints are from the truth: MPJPE and its scale-free form.

Sources: MPJPE, Ionescu et al., "Human3.6M", PAMI 2014; N-MPJPE, Rhodin et al., CVPR 2018. The root
counts as a joint (17 of 17), as the field does: leaving it out multiplies Human3.6M numbers by
17/16.

Every function keeps the unit of its inputs. A NaN joint makes the value NaN: an average over the
remaining joints would reward a method for leaving hard joints out. :mod:`hypopose.evaluation`
counts such frames instead.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import ShapeError


def check_pair(pred: Tensor, target: Tensor) -> None:
    """Refuse two arrays that are not poses of the same joints.

    Args:
        pred: Should be ``(..., J, 3)``.
        target: Should be ``(..., J, 3)`` and broadcast against ``pred``.

    Raises:
        ShapeError: If they are not; a batch that broadcasts by accident is refused too.
    """
    if pred.shape[-2:] != target.shape[-2:] or pred.shape[-1] != 3:
        raise ShapeError(
            f"Errors compare poses (..., J, 3) of the same joints; got {tuple(pred.shape)} and "
            f"{tuple(target.shape)}."
        )
    lead = zip(reversed(pred.shape[:-2]), reversed(target.shape[:-2]), strict=False)
    if any(a != b and 1 not in (a, b) for a, b in lead):
        raise ShapeError(
            f"Leading axes {tuple(pred.shape[:-2])} and {tuple(target.shape[:-2])} do not match; "
            "give hypotheses (*batch, H, F, J, 3) and truth (*batch, 1, F, J, 3)."
        )


def joint_errors(
    pred: Float[Tensor, "*_pred J 3"], target: Float[Tensor, "*_target J 3"]
) -> Float[Tensor, "*_out J"]:
    """Euclidean distance of every joint to its true place.

    Args:
        pred: Predicted joints, any unit.
        target: True joints, same unit and frame; leading axes broadcast.

    Returns:
        Distances in the inputs' unit; NaN where an input is NaN.

    Raises:
        ShapeError: If joints or leading axes disagree.
    """
    check_pair(pred, target)
    return (pred - target).norm(dim=-1)


def mpjpe(
    pred: Float[Tensor, "*_pred J 3"], target: Float[Tensor, "*_target J 3"]
) -> Float[Tensor, ""]:
    """Mean per-joint position error.

    Args:
        pred: Predicted joints, any unit.
        target: True joints, same unit and frame; leading axes broadcast.

    Returns:
        The mean distance over everything, in the inputs' unit; NaN if any joint is NaN.

    Example:
        >>> truth = torch.zeros(17, 3)
        >>> mpjpe(truth + torch.tensor([3.0, 0.0, 4.0]), truth).item()
        5.0
    """
    return joint_errors(pred, target).mean()


def n_joint_errors(
    pred: Float[Tensor, "*_pred J 3"], target: Float[Tensor, "*_target J 3"]
) -> Float[Tensor, "*_out J"]:
    """Distances after the best scale per frame (least squares, no rotation, no shift).

    ``s = sum <target, pred> / sum |pred|²`` over the joints of a frame.

    Args:
        pred: Predicted root-relative joints.
        target: True root-relative joints, same unit.

    Returns:
        Distances in the inputs' unit; NaN for frames whose prediction or truth has no size, which
        any scale would fit.
    """
    check_pair(pred, target)
    inner = (target * pred).sum((-2, -1), keepdim=True)
    size = (pred * pred).sum((-2, -1), keepdim=True)
    nothing = (size == 0) | ((target * target).sum((-2, -1), keepdim=True) == 0)
    scale = torch.where(nothing, torch.nan, inner / size)
    return joint_errors(scale * pred, target)


def n_mpjpe(
    pred: Float[Tensor, "*_pred J 3"], target: Float[Tensor, "*_target J 3"]
) -> Float[Tensor, ""]:
    """MPJPE after the best scale per frame.

    Args:
        pred: Predicted root-relative joints.
        target: True root-relative joints, same unit.

    Returns:
        The mean, in the inputs' unit; NaN if any frame has no size or a NaN.

    Example:
        >>> truth = torch.randn(5, 17, 3)
        >>> n_mpjpe(0.5 * truth, truth).item() < 1e-6
        True
    """
    return n_joint_errors(pred, target).mean()

"""Fractions of joints, or of whole poses, that are right to within a threshold.

Sources: PCK and AUC in 3D, Mehta et al., "Monocular 3D human pose estimation in the wild", 3DV 2017
(the MPI-INF-3DHP tool: strictly below, 150 mm, thresholds 0, 5, ... 150 mm); CPS, Wandt et al.,
"CanonPose", CVPR 2021. Thresholds are in the unit of the inputs; the defaults are meters. NaN
joints make a value NaN instead of counting as misses or being left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.metrics.alignment import p_joint_errors
from hypopose.metrics.position import joint_errors

PCK_JOINTS_H36M17 = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
"""The 14 joints of PCK in Human3.6M order: no pelvis, spine or neck."""

CPS_JOINTS_H36M17 = tuple(j for j in range(17) if j != 7)
"""The joints of CPS in Human3.6M order: all but the spine."""

PCK_GROUPS_3DHP17 = {
    "head": (0,),
    "neck": (1,),
    "shoulder": (2, 5),
    "elbow": (3, 6),
    "wrist": (4, 7),
    "hip": (8, 11),
    "knee": (9, 12),
    "ankle": (10, 13),
}
"""The MPI-INF-3DHP tool's groups in its 17-joint test order: no pelvis, spine or second head."""

AUC_THRESHOLDS = tuple(0.005 * i for i in range(31))
"""0, 5, ... 150 mm, in meters."""


def _chosen(errors: Tensor, joints: Sequence[int] | None) -> Tensor:
    return errors if joints is None else errors[..., list(joints)]


def below(errors: Tensor, thresholds: Sequence[float]) -> Tensor:
    """Whether errors are strictly below each threshold: (n_thresholds, ...) of 0 and 1, or NaN."""
    levels = errors.new_tensor(list(thresholds))
    hit = errors[None] < levels.view(-1, *[1] * errors.dim())
    return torch.where(errors.isnan(), torch.nan, hit.to(errors.dtype))


def pck(
    pred: Float[Tensor, "*_pred J 3"],
    target: Float[Tensor, "*_target J 3"],
    threshold: float = 0.150,
    joints: Sequence[int] | None = None,
) -> Float[Tensor, ""]:
    """Fraction of joints strictly closer to the truth than a threshold.

    Args:
        pred: Predicted joints.
        target: True joints, same unit; leading axes broadcast.
        threshold: In the unit of the inputs; 0.150 m by default.
        joints: The joints that count, e.g. :data:`PCK_JOINTS_H36M17`; all if None.

    Returns:
        A fraction from 0 to 1; NaN if a joint that counts is NaN.

    Example:
        >>> truth = torch.zeros(2, 17, 3)
        >>> off = truth.clone()
        >>> off[0, :, 0] = 0.2
        >>> pck(off, truth).item()
        0.5
    """
    return auc(pred, target, (threshold,), joints)


def auc(
    pred: Float[Tensor, "*_pred J 3"],
    target: Float[Tensor, "*_target J 3"],
    thresholds: Sequence[float] = AUC_THRESHOLDS,
    joints: Sequence[int] | None = None,
) -> Float[Tensor, ""]:
    """Mean of PCK over thresholds.

    Args:
        pred: Predicted joints.
        target: True joints, same unit; leading axes broadcast.
        thresholds: In the unit of the inputs; 0, 5, ... 150 mm in meters by default. Strictly
            below 0 is impossible, so the best value is 30/31.
        joints: The joints that count; all if None.

    Returns:
        A fraction from 0 to 1; NaN if a joint that counts is NaN.

    Raises:
        OptionError: If there is no threshold or no joint.
    """
    errors = _chosen(joint_errors(pred, target), joints)
    if not thresholds or errors.shape[-1] == 0:
        raise OptionError("PCK and AUC need at least one threshold and one joint.")
    total = errors.new_zeros(())
    for threshold in thresholds:  # one at a time, so that memory does not grow with their number
        total = total + below(errors, [threshold]).mean()
    return total / len(thresholds)


def cps(
    pred: Float[Tensor, "*batch H J 3"],
    target: Float[Tensor, "*batch J 3"],
    thresholds: Sequence[float] | None = None,
    joints: Sequence[int] | None = CPS_JOINTS_H36M17,
    scale: bool = False,
) -> Float[Tensor, ""]:
    """Correct poses score: the fraction of poses with *all* joints below a threshold, integrated.

    With several hypotheses the best one counts per threshold, by the truth: then the value is an
    oracle's.

    Args:
        pred: Hypotheses per pose (H may be 1).
        target: True poses, same unit.
        thresholds: In the unit of the inputs; 1, 2, ... 300 mm in meters by default.
        joints: The joints that must be right; all but the spine of Human3.6M-17 by default.
        scale: Whether the alignment to the truth may change the size; rigid by default.

    Returns:
        The mean fraction over thresholds, 0 to 1 (times 300 for the published range); NaN if a
        pose cannot be aligned.
    """
    levels = thresholds or [0.001 * i for i in range(1, 301)]
    worst = _chosen(p_joint_errors(pred, target.unsqueeze(-3), scale), joints).amax(-1)
    best = worst.amin(-1).flatten()  # amax and amin keep NaN
    return below(best, levels).mean()

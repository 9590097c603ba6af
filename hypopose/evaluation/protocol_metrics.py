"""Scores of published multi-hypothesis tables that :data:`~hypopose.evaluation.METRICS` lacks.

D3DP's P-Agg is the mean, J-Agg is JPMA *given the true root*, P-Best and J-Best choose by the truth
(Shan et al., ICCV 2023). Its P-MPJPE aligns every hypothesis as a whole before it chooses, so that
the value of J-Agg is not the P-MPJPE of the aggregated pose; that is kept here. Its P-Best chooses
once per batch of clips (:mod:`.published_best`); beside it stand the best per frame and per clip.

PCK and AUC follow the tool of MPI-INF-3DHP (Mehta et al., 3DV 2017): joints strictly below 150 mm;
the mean of 31 thresholds, 0, 5, ... 150 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.evaluation.comparison import Comparison
from hypopose.evaluation.frame_scores import METRICS, Metric, Values
from hypopose.metrics import AUC_THRESHOLDS, below, joint_errors, p_joint_errors

Errors = Callable[[Comparison], Float[Tensor, "*batch F J"]]
"""Meters per joint of one pose a frame."""


def at_true_root(
    errors: Callable[[Comparison], Float[Tensor, "*batch H F J"]], of_mean: Errors
) -> Errors:
    """Errors of the joints that JPMA chooses if it is given the true root.

    Args:
        errors: Of all hypotheses.
        of_mean: Of the mean, which joints without a keypoint become.

    Returns:
        Errors of the chosen joints; NaN without keypoints or a true root.
    """

    def chosen(c: Comparison) -> Tensor:
        index = c.true_root_index
        if index is None:
            return torch.full_like(of_mean(c), torch.nan)
        found = errors(c).gather(-3, index.clamp_min(0).unsqueeze(-3)).squeeze(-3)
        return torch.where(index < 0, of_mean(c).to(found), found)

    return chosen


def _of_mean(c: Comparison) -> Tensor:
    return joint_errors(c.mean, c.y)


def _of_aligned_mean(c: Comparison) -> Tensor:
    return p_joint_errors(c.mean, c.y)


def _pose_best(c: Comparison) -> Tensor:
    """Errors of the hypothesis that is best in each frame."""
    best = c.pose_errors.argmin(-2, keepdim=True).unsqueeze(-1)
    index = best.expand(*best.shape[:-1], c.errors.shape[-1])
    return c.errors.gather(-3, index).squeeze(-3)


def _joint_best(c: Comparison) -> Tensor:
    return c.errors.amin(-3)


J_AGG = at_true_root(lambda c: c.errors, _of_mean)
J_AGG_ALIGNED = at_true_root(lambda c: c.aligned_errors, _of_aligned_mean)

CHOICES: dict[str, tuple[str, Errors]] = {
    "mean": ("the mean", _of_mean),
    "oracle_jpma_true_root": ("JPMA given the true root", J_AGG),
    "oracle_pose_best_frame": ("the best hypothesis per frame", _pose_best),
    "oracle_joint_best": ("the best hypothesis per joint", _joint_best),
}
"""How one pose is chosen: part of a key -> words, and errors."""


def _millimeters(errors: Errors) -> Values:
    return lambda c: 1000 * errors(c).mean(-1)


PUBLISHED_METRICS: dict[str, Metric] = {
    "mpjpe_oracle_jpma_true_root_mm": Metric(
        "MPJPE of JPMA given the true root", _millimeters(J_AGG)
    ),
    "p_mpjpe_oracle_jpma_true_root_mm": Metric(
        "P-MPJPE of JPMA given the true root, joints of aligned hypotheses",
        _millimeters(J_AGG_ALIGNED),
    ),
    "p_mpjpe_oracle_pose_best_frame_mm": Metric(
        "P-MPJPE of the best hypothesis per frame",
        lambda c: 1000 * c.aligned_errors.mean(-1).amin(-2),
    ),
    "p_mpjpe_oracle_joint_best_mm": Metric(
        "P-MPJPE of the best hypothesis per joint, each aligned as a whole",
        lambda c: 1000 * c.aligned_errors.amin(-3).mean(-1),
    ),
}
"""Key -> metric."""

UNDEFINED_WITH_GAPS = (
    "mpjve_single_mm_per_frame", "mpjve_seam_mm_per_frame", "mpjve_mean_mm_per_frame",
    "energy_score_clip_mm", "bone_drift_single_mm", "mpjpe_oracle_pose_best_clip_mm",
    "p_mpjpe_oracle_pose_best_clip_mm", "acceleration_error_single_mm_per_frame2",
)  # fmt: skip
"""Scores that need frames which follow each other."""


def pck_metrics(joints: Sequence[int]) -> dict[str, Metric]:
    """PCK at 150 mm and AUC over some joints, for every way to choose a pose.

    Args:
        joints: Which count, among the judged joints.

    Example:
        >>> sorted(pck_metrics([0]))[0]
        'auc_mean_percent'
    """
    found = {}
    for choice, (words, errors) in CHOICES.items():
        for key, name, thresholds in (
            ("pck_150", "PCK below 150 mm", (0.150,)),
            ("auc", "AUC, PCK at 0, 5, ... 150 mm", AUC_THRESHOLDS),
        ):
            found[f"{key}_{choice}_percent"] = Metric(
                f"{name}, of {words}, {len(joints)} joints",
                _share(errors, tuple(joints), thresholds),
                lower_is_better=False,
            )
    return found


def _share(errors: Errors, joints: Sequence[int], thresholds: Sequence[float]) -> Values:
    def values(c: Comparison) -> Tensor:
        return 100 * below(errors(c)[..., list(joints)], thresholds).mean(0).mean(-1)

    return values


def protocol_metrics(
    asked: dict[str, Metric], *, pck_joints: Sequence[int] | None = None, gaps: bool = False
) -> dict[str, Metric]:
    """The metrics of a protocol's tables.

    Args:
        asked: The default ones and those asked for, of
            :func:`hypopose.evaluation.frame_scores.choose_metrics`.
        pck_joints: Joints of PCK and AUC; None leaves them out.
        gaps: Leave out what needs frames that follow each other.

    Returns:
        Key -> metric.
    """
    always = {key: METRICS[key] for key in ("n_mpjpe_mean_mm", "crps_mm")}
    found = asked | always | PUBLISHED_METRICS
    if pck_joints is not None:
        found |= pck_metrics(pck_joints)
    left_out = UNDEFINED_WITH_GAPS if gaps else ()
    return {key: metric for key, metric in found.items() if key not in left_out}

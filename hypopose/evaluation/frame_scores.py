"""Scores per frame: errors, proper scores and what picks by the truth, by name.

:data:`METRICS` is the table: a key, whose end is the unit, and a :class:`Metric`. Scores that pick
hypotheses by the truth carry ``oracle`` in their key and stand apart in every table. ``single`` is
the expected error of one hypothesis, ``mean`` the error of the mean pose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.calibration import crps, energy_score
from hypopose.cameras import fit_root
from hypopose.errors import OptionError, ShapeError
from hypopose.evaluation.comparison import Comparison
from hypopose.metrics import (
    AUC_THRESHOLDS,
    CPS_JOINTS_H36M17,
    PoseClusters,
    acceleration_errors,
    below,
    bone_lengths,
    cluster_entropy,
    joint_errors,
    n_joint_errors,
    p_joint_errors,
    pss,
    reprojection_error,
    symmetry_errors,
    velocity_errors,
)
from hypopose.plugins import look_up
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

Values = Callable[[Comparison], Tensor]
"""One value per frame, ``(*batch, F)``; NaN where there is none."""

UNITS = {
    "_mm_per_frame2": "mm/frame²",
    "_mm_per_frame": "mm/frame",
    "_mm": "mm",
    "_px": "px",
    "_percent": "%",
    "_nats": "nats",
}
"""End of a key -> unit."""


@dataclass(frozen=True)
class Metric:
    """A score of hypotheses against the truth.

    Args:
        title: What tables call it.
        values: One value per frame from a :class:`Comparison`, in the unit that ends the key.
        lower_is_better: Direction.
        default: Whether it is computed if no metric is named.

    Example:
        >>> knees = Metric("error of the knees", lambda c: c.errors[..., [2, 5]].mean((-3, -1)))
        >>> knees.title, knees.lower_is_better
        ('error of the knees', True)
    """

    title: str
    values: Values
    lower_is_better: bool = True
    default: bool = True


def is_oracle(key: str) -> bool:
    """Whether a score picks hypotheses by the truth.

    Example:
        >>> is_oracle("mpjpe_oracle_joint_best_mm"), is_oracle("mpjpe_mean_mm")
        (True, False)
    """
    return "oracle" in key


def unit_of(key: str) -> str:
    """The unit that ends a key; empty if there is none.

    Example:
        >>> unit_of("mpjve_mean_mm_per_frame"), unit_of("ece")
        ('mm/frame', '')
    """
    return next((unit for end, unit in UNITS.items() if key.endswith(end)), "")


def _mpjpe(poses: Callable[[Comparison], Tensor | None]) -> Values:
    def values(c: Comparison) -> Tensor:
        found = poses(c)
        return c.unknown() if found is None else 1000 * joint_errors(found, c.y).mean(-1)

    return values


def _p_mpjpe(poses: Callable[[Comparison], Tensor | None]) -> Values:
    def values(c: Comparison) -> Tensor:
        found = poses(c)
        return c.unknown() if found is None else 1000 * p_joint_errors(found, c.y).mean(-1)

    return values


def _p_mpjpe_single(c: Comparison) -> Tensor:
    return 1000 * c.aligned_errors.mean((-3, -1))


def _steps(
    c: Comparison, errors: Callable[[Tensor, Tensor], Tensor], pred: Tensor, y: Tensor
) -> Tensor:
    """Errors of differences along time in mm; the last frames repeat the difference before."""
    order = 2 if errors is acceleration_errors else 1
    n_frames = y.shape[-3]
    if n_frames <= order:
        return torch.full(pred.shape[:-2], torch.nan)
    found = 1000 * errors(pred, y).mean(-1)
    return torch.cat((found, found[..., -1:].expand(*found.shape[:-1], order)), -1)


def _mpjve_single(c: Comparison) -> Tensor:
    return _steps(c, velocity_errors, c.x, c.y.unsqueeze(-4)).mean(-2)


def _mpjve_seam(c: Comparison) -> Tensor:
    """The steps that lead to frames where windows meet; NaN elsewhere."""
    steps = _mpjve_single(c)
    found = torch.full_like(steps, torch.nan)
    into = torch.tensor(list(c.seams), dtype=torch.long)
    found[..., into] = steps[..., into - 1]
    return found


def _energy_joint(c: Comparison) -> Tensor:
    per_joint = energy_score(c.hypotheses, c.truth)
    return 1000 * c.judged(per_joint.unsqueeze(-1)).squeeze(-1).mean(-1)


def _energy_clip(c: Comparison) -> Tensor:
    """Energy score of the whole motion, over the root of the number of frames."""
    n_frames = c.truth.joints.shape[-3]
    score = energy_score(c.hypotheses, c.truth, level="clip") / n_frames**0.5
    return 1000 * c.per_frame(score)


def _bone_drift(c: Comparison) -> Tensor:
    """SD of bone lengths over a clip, mean over bones and hypotheses."""
    lengths = bone_lengths(c.hypotheses.joints, c.hypotheses.skeleton)
    return 1000 * c.per_frame(lengths.std(-2, correction=0).mean((-1, -2)))


def _clip_best(c: Comparison) -> Tensor:
    return 1000 * c.per_frame(c.pose_errors.mean(-1).amin(-1))


def _pck(c: Comparison, thresholds: Sequence[float]) -> Tensor:
    """Share of joints of the mean pose strictly below each threshold (meters), mean of all."""
    return 100 * below(joint_errors(c.mean, c.y), thresholds).mean(0).mean(-1)


def _cps(c: Comparison) -> Tensor:
    """Share of 1, 2, ... 300 mm below which every joint of the mean pose is, rigidly aligned."""
    pose, truth = c.hypotheses.joints.mean(-4), c.truth.joints
    errors = p_joint_errors(pose, truth, scale=False)
    if c.hypotheses.skeleton.name == "h36m17":
        errors = errors[..., list(CPS_JOINTS_H36M17)]
    return 100 * below(errors.amax(-1), [0.001 * i for i in range(1, 301)]).mean(0)


def _p_clip_best(c: Comparison) -> Tensor:
    return 1000 * c.per_frame(c.aligned_errors.mean((-2, -1)).amin(-1))


def _symmetry(c: Comparison) -> Tensor:
    return 1000 * symmetry_errors(c.hypotheses.joints, c.hypotheses.skeleton).mean((-3, -1))


def _diversity(c: Comparison) -> Tensor:
    """Mean distance of the hypotheses from their mean."""
    return 1000 * joint_errors(c.x, c.mean.unsqueeze(-4)).mean((-3, -1))


def _reprojection(c: Comparison) -> Tensor:
    """Pixels between the mean pose, its root fitted, and the keypoints."""
    if c.keypoints is None:
        return c.unknown()
    skeleton = c.hypotheses.skeleton
    pose = Poses3D(c.hypotheses.joints.mean(-4), skeleton)
    placed = Poses3D(pose.joints, skeleton, root=fit_root(pose.joints, c.keypoints))
    return reprojection_error(placed, c.keypoints).nanmean(-1)


def _pss(value: Callable[[Comparison, PoseClusters], Tensor]) -> Values:
    """Of the bundled 50 clusters of poses; no value for other joint sets."""

    def values(c: Comparison) -> Tensor:
        kinds = PoseClusters.bundled(50)
        return value(c, kinds) if c.hypotheses.skeleton.name == kinds.skeleton else c.unknown()

    return values


def _of_all(c: Comparison, kinds: PoseClusters) -> Tensor:
    """Which hypotheses fall into the pose cluster of the truth: 1, 0 or NaN."""
    return pss(c.hypotheses.joints, c.truth.joints.unsqueeze(-4), kinds)


METRICS: dict[str, Metric] = {
    "mpjpe_single_mm": Metric(
        "MPJPE of one hypothesis (expected)", lambda c: 1000 * c.pose_errors.mean(-2)
    ),
    "mpjpe_mean_mm": Metric("MPJPE of the mean", _mpjpe(lambda c: c.mean)),
    "mpjpe_median_mm": Metric("MPJPE of the median", _mpjpe(lambda c: c.median)),
    "mpjpe_jpma_mm": Metric("MPJPE of JPMA, root fitted", _mpjpe(lambda c: c.jpma)),
    "p_mpjpe_single_mm": Metric("P-MPJPE of one hypothesis (expected)", _p_mpjpe_single),
    "p_mpjpe_mean_mm": Metric("P-MPJPE of the mean", _p_mpjpe(lambda c: c.mean)),
    "p_mpjpe_median_mm": Metric("P-MPJPE of the median", _p_mpjpe(lambda c: c.median)),
    "p_mpjpe_jpma_mm": Metric("P-MPJPE of JPMA, root fitted", _p_mpjpe(lambda c: c.jpma)),
    "mpjve_single_mm_per_frame": Metric("MPJVE of one hypothesis", _mpjve_single),
    "mpjve_seam_mm_per_frame": Metric("MPJVE of one hypothesis, where windows meet", _mpjve_seam),
    "mpjve_mean_mm_per_frame": Metric(
        "MPJVE of the mean", lambda c: _steps(c, velocity_errors, c.mean, c.y)
    ),
    "energy_score_joint_mm": Metric("energy score per joint", _energy_joint),
    "energy_score_pose_mm": Metric(
        "energy score per pose", lambda c: 1000 * energy_score(c.hypotheses, c.truth, level="pose")
    ),
    "energy_score_clip_mm": Metric(
        "energy score per clip, over the root of its frames", _energy_clip
    ),
    "bone_drift_single_mm": Metric("bones of one hypothesis, SD over a clip", _bone_drift),
    "mpjpe_oracle_pose_best_clip_mm": Metric("MPJPE of the best hypothesis per clip", _clip_best),
    "mpjpe_oracle_pose_best_frame_mm": Metric(
        "MPJPE of the best hypothesis per frame", lambda c: 1000 * c.pose_errors.amin(-2)
    ),
    "mpjpe_oracle_joint_best_mm": Metric(
        "MPJPE of the best hypothesis per joint", lambda c: 1000 * c.errors.amin(-3).mean(-1)
    ),
    "crps_mm": Metric(
        "CRPS per coordinate",
        lambda c: 1000 * c.judged(crps(c.hypotheses, c.truth)).mean((-2, -1)),
        default=False,
    ),
    "n_mpjpe_mean_mm": Metric(
        "N-MPJPE of the mean (scaled to the truth)",
        lambda c: 1000 * n_joint_errors(c.mean, c.y).mean(-1),
        default=False,
    ),
    "acceleration_error_single_mm_per_frame2": Metric(
        "acceleration error of one hypothesis",
        lambda c: _steps(c, acceleration_errors, c.x, c.y.unsqueeze(-4)).mean(-2),
        default=False,
    ),
    "pck_150_mean_percent": Metric(
        "PCK of the mean, below 150 mm", lambda c: _pck(c, (0.150,)), False, default=False
    ),
    "auc_mean_percent": Metric(
        "AUC of the mean, PCK at 0, 5, ... 150 mm",
        lambda c: _pck(c, AUC_THRESHOLDS),
        False,
        default=False,
    ),
    "cps_mean_percent": Metric(
        "CPS of the mean, all joints below 1, 2, ... 300 mm", _cps, False, default=False
    ),
    "p_mpjpe_oracle_pose_best_clip_mm": Metric(
        "P-MPJPE of the best hypothesis per clip", _p_clip_best, default=False
    ),
    "pss_50_single_percent": Metric(
        "PSS of one hypothesis (expected), 50 clusters of poses",
        _pss(lambda c, kinds: 100 * _of_all(c, kinds).mean(-2)),
        False,
        default=False,
    ),
    "pss_50_mean_percent": Metric(
        "PSS of the mean, 50 clusters of poses",
        _pss(lambda c, kinds: 100 * pss(c.hypotheses.joints.mean(-4), c.truth.joints, kinds)),
        False,
        default=False,
    ),
    "pss_50_oracle_pose_best_frame_percent": Metric(
        "PSS of the best hypothesis per frame, 50 clusters of poses",
        _pss(lambda c, kinds: 100 * _of_all(c, kinds).amax(-2)),
        False,
        default=False,
    ),
    "cluster_entropy_50_nats": Metric(
        "entropy of the hypotheses over 50 clusters of poses",
        _pss(lambda c, kinds: cluster_entropy(c.hypotheses.joints, kinds)),
        False,
        default=False,
    ),
    "symmetry_error_single_mm": Metric(
        "left and right limbs of one hypothesis", _symmetry, default=False
    ),
    "diversity_mm": Metric(
        "distance of the hypotheses from their mean", _diversity, False, default=False
    ),
    "reprojection_mean_px": Metric(
        "reprojection error of the mean, root fitted", _reprojection, default=False
    ),
}
"""Key -> metric, in the order of tables. One of your own: add a line, or pass ``--metric``."""

CALIBRATION_TITLES = {
    "ece": "ECE, 0 to 0.5 (symmetrized ranks)",
    "ece_median": "ECE of the median joint's curve, as published (joints may cancel)",
    "ece_10": "ECE of the first 10 hypotheses",
    "coverage_50_percent": "coverage of 50 % regions",
    "coverage_80_percent": "coverage of 80 % regions",
    "coverage_95_percent": "coverage of 95 % regions",
}
"""Key -> title of what is not a mean over frames."""


def _titles() -> dict[str, str]:
    """Titles in the order of tables: calibration stands before the oracles."""
    titles = {key: metric.title for key, metric in METRICS.items()}
    plain = {key: title for key, title in titles.items() if not is_oracle(key)}
    default = {key: title for key, title in plain.items() if METRICS[key].default}
    return default | CALIBRATION_TITLES | plain | titles


TITLES: dict[str, str] = _titles()
"""Key of a score -> what it says, in the order of tables; the unit ends the key."""


def choose_metrics(names: Sequence[str] = ()) -> dict[str, Metric]:
    """The default metrics, and those asked for.

    Args:
        names: Keys of :data:`METRICS`, and plug-ins (:mod:`hypopose.plugins`). A plug-in is a
            :class:`Metric`, or a function of a :class:`Comparison` whose docstring begins with the
            title; its name, with the unit at the end, is the key.

    Raises:
        OptionError: If there is no such metric, or it is something else.

    Example:
        >>> "auc_mean_percent" in choose_metrics(["auc_mean_percent"])
        True
    """
    found = {name: look_up("metrics", name, METRICS) for name in names}
    own = {
        name.rpartition(":")[2]: _as_metric(name, metric)
        for name, metric in found.items()
        if name not in METRICS
    }
    return {k: m for k, m in METRICS.items() if m.default or k in found} | own


def _as_metric(name: str, found: object) -> Metric:
    if isinstance(found, Metric):
        return found
    if not callable(found) or isinstance(found, type):
        raise OptionError(
            f"{name} is a {type(found).__name__}; a metric is a hypopose.evaluation.Metric, or a "
            "function from a Comparison to a value per frame."
        )
    words = (found.__doc__ or name.rpartition(":")[2]).strip().splitlines()
    return Metric(words[0].rstrip("."), found)


def frame_scores(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D | None,
    truth: Poses3D,
    seams: Sequence[int] = (),
    metrics: Mapping[str, Metric] | None = None,
    *,
    exclude_root: bool = False,
) -> dict[str, Float[Tensor, "*batch F"]]:
    """Every error and score, per frame.

    Args:
        hypotheses: Root-relative, meters.
        keypoints: With a camera, in the hypotheses' skeleton; None leaves out JPMA.
        truth: Same batch axes.
        seams: Frames where windows meet, see :func:`hypopose.samplers.windows.window_seams`; the
            steps that lead there have a score of their own, if there are any.
        metrics: Key -> metric; the default ones of :data:`METRICS` if None.
        exclude_root: Leave the root joint out of errors; it counts otherwise, as the field does.

    Returns:
        Score -> value per frame, in the unit that ends its key. A clip's score stands in each of
        its frames. NaN where joints are missing, where a pose cannot be aligned, and for
        velocities of a single frame.

    Raises:
        ShapeError: If axes do not belong together, or a metric does not give a value per frame.
        SkeletonMismatchError: If the skeletons differ.
    """
    comparison = Comparison(hypotheses, truth, keypoints, seams, exclude_root)
    return scores_of(comparison, choose_metrics() if metrics is None else metrics)


def scores_of(
    comparison: Comparison, metrics: Mapping[str, Metric]
) -> dict[str, Float[Tensor, "*batch F"]]:
    """The scores of :func:`frame_scores` for a comparison that is used for more than them.

    Args:
        comparison: Hypotheses and their truth.
        metrics: Key -> metric.

    Raises:
        ShapeError: If a metric does not give a value per frame.
    """
    expected = tuple(comparison.truth.joints.shape[:-2])
    without = (comparison.keypoints is None, not comparison.seams)
    scores = {}
    for key, metric in metrics.items():
        if (without[0] and "jpma" in key) or (without[1] and "seam" in key):
            continue
        scores[key] = metric.values(comparison)
        if tuple(scores[key].shape) != expected:
            raise ShapeError(
                f"The metric {key!r} gave {tuple(scores[key].shape)}; it needs one value per "
                f"frame, {expected}."
            )
    return scores

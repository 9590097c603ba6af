"""From sums to results: the tables, curves and bands of an evaluator."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hypopose.calibration import CalibrationCurve, RankHistogram, SpreadSkill
from hypopose.calibration.bootstrap import equal_sequences
from hypopose.calibration.uniformity import simultaneous_band
from hypopose.evaluation.accumulator import COVERAGE_LEVELS, Evaluator
from hypopose.evaluation.evaluation_results import (
    Array,
    CalibrationResults,
    CoverageRow,
    Histograms,
    OracleCurve,
    Reliability,
    Skill,
)

_AXES = ("to the right", "down", "depth")
_N_DRAWS = 1000
_ALWAYS = ("ece", "ece_median")


def calibration_results(
    name: str, evaluator: Evaluator, details: Mapping[str, str] | None = None
) -> CalibrationResults:
    """Sum up an evaluator that kept ``distributions``.

    Args:
        name: The method, as tables call it.
        evaluator: What it saw.
        details: Further settings in words.

    Raises:
        OptionError: If nothing was seen.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.types import Hypotheses
        >>> keypoints, truth = example_pair()
        >>> x = truth.joints + 0.02 * torch.randn(12, *truth.joints.shape)
        >>> evaluator = Evaluator(distributions=True)
        >>> evaluator.add(Hypotheses(x, truth.skeleton), truth, ["walk"])
        >>> calibration_results("noise", evaluator).reliability.verdicts[0]
        'underconfident'
    """
    curve = evaluator.curve()
    scores = evaluator.scores()
    keys = [k for k in scores if k in evaluator.metrics and not math.isnan(scores[k].value)]
    skill = evaluator.spread_skill()
    after = evaluator.recalibrated().items()
    return CalibrationResults(
        name=name,
        skeleton=evaluator.skeleton,
        scores={k: scores[k] for k in (*_ALWAYS, *keys)},
        settings={**(details or {}), **_words(evaluator, curve)},
        reliability=_reliability(curve),
        histograms=_histograms(evaluator.axis_histogram()),
        skill=None if skill is None else _skill(skill),
        min_at_k=tuple(OracleCurve(b, _array(x)) for b, x in evaluator.best_of_k().items()),
        coverage=(
            _coverage_row("as sampled", curve),
            *(_coverage_row(label, c) for label, c in after),
        ),
    )


def _words(evaluator: Evaluator, curve: CalibrationCurve) -> dict[str, str]:
    counts, settings = curve.record.counts, evaluator.settings
    return {
        "hypotheses": str(evaluator.n_hypotheses),
        "clips": str(evaluator.n_items),
        "sequences": _lengths(curve),
        "frames": str(evaluator.n_frames),
        "skeleton": evaluator.skeleton,
        "alignment to the truth": settings.alignment,
        "ground truth": "compared with only"
        if settings.ground_truth == "none"
        else f"compared with; before that: {settings.ground_truth}",
        "seed": "unknown" if settings.seed is None else str(settings.seed),
        "root joint": "left out of errors, not judged by calibration"
        if evaluator.exclude_root
        else "zero by definition; counted in errors, not judged by calibration",
        "intervals": "95 %, whole sequences resampled (cluster bootstrap)",
        "truths missing": str(counts.missing_truth),
        "hypotheses missing": str(counts.nan_hypotheses),
        "ties": str(counts.tied),
        "identical hypotheses": str(counts.identical),
        **notes_of(curve),
    }


def notes_of(curve: CalibrationCurve) -> dict[str, str]:
    """What a reader of a curve must know, as a setting; empty if there is nothing."""
    return {"calibration": "; ".join(curve.record.notes)} if curve.record.notes else {}


def _lengths(curve: CalibrationCurve) -> str:
    """The number of sequences, and their effective number if lengths differ much."""
    n = len(curve.sequence_cover)
    worth = float(equal_sequences(curve.sequence_cover[..., -1].sum(-1)))
    return f"{n}, worth {worth:.1f} of one length" if worth < 0.8 * n else str(n)


def _reliability(curve: CalibrationCurve) -> Reliability:
    low, high = curve.bands()
    pooled_low, pooled_high = (_array(end) for end in curve.coverage_interval())
    ece_low, ece_high = curve.interval()
    return Reliability(
        joints=curve.record.cells,
        levels=_array(curve.levels),
        coverage=_array(curve.coverage),
        band_low=_array(low),
        band_high=_array(high),
        pooled=_array(curve.curve),
        pooled_low=pooled_low,
        pooled_high=pooled_high,
        excess=_array(curve.excess),
        verdicts=curve.verdicts(),
        ece=curve.ece,
        ece_low=ece_low,
        ece_high=ece_high,
        null_ece=curve.null_ece,
    )


def _coverage_row(label: str, curve: CalibrationCurve) -> CoverageRow:
    low, high = (_array(end) for end in curve.coverage_interval())
    at = [int((curve.levels - level).abs().argmin()) for level in COVERAGE_LEVELS]
    levels = np.asarray(COVERAGE_LEVELS)
    return CoverageRow(label, levels, _array(curve.curve)[at], low[at], high[at])


def _histograms(per_coordinate: RankHistogram) -> Histograms:
    """Pool the joints of each axis; they are not independent, so the effective size is one's."""
    counts = per_coordinate.counts.reshape(-1, 3, per_coordinate.counts.shape[-1])
    size = per_coordinate.n_effective.reshape(-1, 3).mean(0)
    pooled = RankHistogram(counts.sum(0), size, _AXES)
    lows, highs = zip(*(_density_band(float(n), pooled.n_hypotheses) for n in size), strict=True)
    return Histograms(
        _AXES, _array(pooled.density()), np.stack(lows), np.stack(highs), pooled.shapes()
    )


def _density_band(n: float, n_hypotheses: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    n_ranks = n_hypotheses + 1
    counts = rng.multinomial(max(1, round(n)), np.full(n_ranks, 1 / n_ranks), size=_N_DRAWS)
    null = RankHistogram(torch.as_tensor(counts), torch.full((_N_DRAWS,), n), ())
    return simultaneous_band(null.density().numpy())


def _skill(spread: SpreadSkill) -> Skill:
    return Skill(
        spread=1000 * _array(spread.spread),
        skill=1000 * _array(spread.skill),
        ratio=spread.ratio,
        spearman=spread.spearman,
        kept=_array(spread.kept),
        selective=1000 * _array(spread.sparsification),
        oracle_selective=1000 * _array(spread.oracle_sparsification),
    )


def _array(x: Tensor) -> Array:
    return np.asarray(x.detach().cpu().double().numpy())

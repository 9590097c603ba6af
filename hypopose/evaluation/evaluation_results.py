"""Results of an evaluation and of a calibration check, as plain data.

:class:`Evaluation` is what ``hypopose evaluate`` writes, :class:`CalibrationResults` what
``hypopose calibrate`` writes and the report draws: arrays and text, no samplers. Scores that select
by the truth are oracles and have ``oracle`` in their names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.calibration import Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a sampler reached on a benchmark.

    Args:
        benchmark: Its name.
        sampler: The method and its options.
        settings: Everything else that the numbers depend on, and what was taken from the truth.
        scores: Key -> estimate over all frames.
        actions: Action -> the same scores over its frames, with ``n_frames``.
    """

    benchmark: str
    sampler: dict[str, Any]
    settings: dict[str, Any]
    scores: dict[str, Estimate]
    actions: dict[str, dict[str, Estimate]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Coverage against nominal level, per joint and pooled.

    Args:
        joints: K names.
        levels: ``(L,)`` nominal levels.
        coverage: ``(K, L)`` per joint.
        band_low: ``(K, L)`` where a calibrated joint's curve stays with 95 % probability, lower.
        band_high: The same, upper.
        pooled: ``(L,)`` mean over joints.
        pooled_low: ``(L,)`` 95 % interval over sequences, NaN with fewer than two.
        pooled_high: The same, upper.
        excess: ``(K,)`` mean of coverage minus level; negative is overconfident.
        verdicts: K words: overconfident, underconfident, calibrated.
        ece: Expected calibration error.
        ece_low: Its 95 % interval over sequences.
        ece_high: The same, upper.
        null_ece: What a perfect model would show on as much data.
    """

    joints: tuple[str, ...]
    levels: Array
    coverage: Array
    band_low: Array
    band_high: Array
    pooled: Array
    pooled_low: Array
    pooled_high: Array
    excess: Array
    verdicts: tuple[str, ...]
    ece: float
    ece_low: float
    ece_high: float
    null_ece: float


@dataclass(frozen=True, eq=False)
class Histograms:
    """PIT histograms per camera axis, pooled over joints.

    Args:
        axes: Names of the axes.
        density: ``(A, B)`` relative frequency; 1 everywhere if calibrated.
        band_low: ``(A, B)`` 95 % simultaneous band of a calibrated model, lower.
        band_high: The same, upper.
        shapes: Per axis ``flat``, ``u``, ``hump``, ``high`` or ``low``.
    """

    axes: tuple[str, ...]
    density: Array
    band_low: Array
    band_high: Array
    shapes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Skill:
    """Does the spread tell the error? Millimeters.

    Args:
        spread: ``(B,)`` root-mean-square spread in bins of growing spread.
        skill: ``(B,)`` root-mean-square error of the mean in the same bins.
        ratio: Spread over error of everything; below 1 is overconfident.
        spearman: Rank correlation of spread and error.
        kept: ``(P,)`` share of joints kept.
        selective: ``(P,)`` mean error of those with the smallest spread.
        oracle_selective: ``(P,)`` mean error of those with the smallest error.
    """

    spread: Array
    skill: Array
    ratio: float
    spearman: float
    kept: Array
    selective: Array
    oracle_selective: Array


@dataclass(frozen=True, eq=False)
class OracleCurve:
    """Best of k hypotheses, picked by the truth: no method can reach it.

    Args:
        best: What one pick covers: ``clip``, ``frame`` or ``joint``.
        error: ``(S,)`` millimeters for k = 1 to S.
    """

    best: str
    error: Array


@dataclass(frozen=True, eq=False)
class CoverageRow:
    """How often regions that should hold a share of the truths do.

    Args:
        label: What was done to the hypotheses: ``as sampled``, or the recalibration's name.
        levels: ``(L,)`` nominal.
        coverage: ``(L,)`` measured; NaN at levels that the hypotheses are too few to resolve.
        low: ``(L,)`` 95 % interval over sequences; NaN with fewer than two.
        high: The same, upper.
    """

    label: str
    levels: Array
    coverage: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class CalibrationResults:
    """Everything the report says about one method against the truth.

    Args:
        name: The method, as tables call it.
        skeleton: Name of the joint set.
        scores: Key -> estimate; oracle scores carry ``oracle`` in their key.
        settings: What the numbers depend on, in words; ``ground truth`` says what was used of it.
        reliability: Calibration curves; None if only scores are known.
        histograms: PIT histograms.
        skill: Spread against error.
        min_at_k: Oracle curves.
        coverage: Nominal against measured coverage, before and after recalibration.
    """

    name: str
    skeleton: str
    scores: dict[str, Estimate]
    settings: dict[str, str]
    reliability: Reliability | None = None
    histograms: Histograms | None = None
    skill: Skill | None = None
    min_at_k: tuple[OracleCurve, ...] = ()
    coverage: tuple[CoverageRow, ...] = ()

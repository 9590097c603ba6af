"""Split-conformal recalibration of a quantity's intervals: one factor per family and level.

Romano, Patterson and Candès, "Conformalized quantile regression", NeurIPS 2019, with the score
relative to the interval's half width, so that intervals stay wide where hypotheses disagree;
sequences as units as in :mod:`hypopose.calibration.conformal`.

    score    max((median - y) / (median - low), (y - median) / (high - median))
    F_k      distribution of the scores of unit k = 1..n (a sequence)
    factor   least q with sum_k F_k(q) / (n + 1) >= level

``median ± q * half width`` then holds the value of a random frame of a new sequence, exchangeable
with those fitted, at least as often as the level says. The factors in the package were fitted on
people whom the bundled weights have not seen (benchmarks/quantities.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.errors import OptionError, ShapeError
from hypopose.quantities.intervals import LEVELS, interval, median
from hypopose.quantities.measurement import Measurement

NAME = "recalibration.json"


@dataclass(frozen=True)
class Recalibration:
    """Factors by family and level, and what was measured with and without them.

    Args:
        weights: The weights whose hypotheses it was fitted to.
        digest: SHA-256 of their tensors, so that other weights need a new fit.
        fitted_on: What it was fitted on, in words.
        n_hypotheses: Hypotheses each.
        factors: Family -> level -> factor about the median; infinite where too few sequences were
            fitted.
        coverage: Family -> level -> coverage on the test split, as sampled.
        recalibrated_coverage: The same after recalibration.
        tested_on: What coverage was measured on, in words.
    """

    weights: str
    digest: str
    fitted_on: str
    n_hypotheses: int
    factors: Mapping[str, Mapping[float, float]]
    coverage: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    recalibrated_coverage: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    tested_on: str = ""

    def apply(self, measurement: Measurement, *, scaled: bool) -> Measurement:
        """The measurement with its intervals stretched; as it is if its family was not fitted.

        Factors of what depends on scale were fitted to hypotheses scaled to the true stature, since
        the error of an unknown size is one per person, and few people are no sample of all.

        Args:
            measurement: As sampled.
            scaled: Whether the hypotheses were scaled to a stature.

        Returns:
            The same samples, with the factors of its family.
        """
        if measurement.quantity.scale and not scaled:
            return measurement
        factors = self.factors.get(measurement.quantity.family, {})
        known = {level: q for level, q in factors.items() if math.isfinite(q)}
        return replace(measurement, stretch=known) if len(known) == len(LEVELS) else measurement

    def judge(self, measurement: Measurement, *, scaled: bool) -> Measurement:
        """The measurement with the coverage that was measured of such intervals.

        Args:
            measurement: Recalibrated or not.
            scaled: Whether the hypotheses were scaled to a stature, as those were that were judged.

        Returns:
            The same, with evidence if there is some.
        """
        if measurement.quantity.scale and not scaled:
            return measurement
        table = self.recalibrated_coverage if measurement.stretch else self.coverage
        return replace(measurement, evidence=table.get(measurement.quantity.family, {}))


def scores(
    samples: Float[np.ndarray, "H n"], truth: Float[np.ndarray, " n"], level: float
) -> Float[np.ndarray, " n"]:
    """How many half widths the truth lies from the median, see the module.

    Args:
        samples: Of the hypotheses.
        truth: The true values.
        level: Of the interval.

    Returns:
        Scores; 0 to 1 inside. NaN where truth or interval are unknown.

    Example:
        >>> samples = np.linspace(0, 1, 9)[:, None]
        >>> scores(samples, np.array([0.9]), 0.8).round(1).tolist()
        [0.8]
    """
    low, high = interval(samples, level)
    middle = median(samples)
    below, above = middle - low, high - middle
    tiny = 1e-9
    found = np.maximum(
        (middle - truth) / np.maximum(below, tiny), (truth - middle) / np.maximum(above, tiny)
    )
    return np.where(np.isfinite(truth) & np.isfinite(low), found, np.nan)


def fit_factor(found: Float[np.ndarray, " n"], units: Sequence[Hashable], level: float) -> float:
    """The conformal factor of one level.

    Args:
        found: Scores; NaN does not count.
        units: The sequence of each.
        level: Nominal coverage.

    Returns:
        The factor; infinite if there are too few sequences for the level.

    Raises:
        ShapeError: If there is not one unit for every score.

    Example:
        >>> fit_factor(np.arange(1.0, 10.0), list("abcdefghi"), 0.8)
        8.0
    """
    if len(units) != len(found):
        raise ShapeError(f"{len(found)} scores need as many units, got {len(units)}.")
    known = np.isfinite(found)
    _, unit = np.unique([str(u) for u in units], return_inverse=True)
    values, unit = found[known], unit[known]
    if not len(values):
        return math.inf
    counts = np.bincount(unit)
    n = int((counts > 0).sum())
    order = np.argsort(values, kind="stable")
    held = np.cumsum(1 / counts[unit[order]]) / (n + 1)
    first = int(np.searchsorted(held, level - 1e-12))
    return float(values[order][first]) if first < len(values) else math.inf


def fit_factors(
    samples: Float[np.ndarray, "H n"], truth: NDArray[np.float64], units: Sequence[Hashable]
) -> dict[float, float]:
    """Factors of all levels.

    Args:
        samples: Of the hypotheses, frames of all sequences one after another.
        truth: The true values.
        units: The sequence of each.
    """
    return {level: fit_factor(scores(samples, truth, level), units, level) for level in LEVELS}


@cache
def bundled_recalibration() -> Recalibration:
    """The factors in the package.

    Returns:
        Fitted to the default weights, see the module.

    Example:
        >>> bundled_recalibration().weights
        'distributional-frame-small'
    """
    text = files("hypopose.quantities").joinpath(NAME).read_text(encoding="utf-8")
    return from_record(json.loads(text))


def from_record(record: Mapping[str, Any]) -> Recalibration:
    """A recalibration from its JSON."""

    def table(name: str) -> dict[str, dict[float, float]]:
        return {
            family: {float(level): math.inf if q is None else float(q) for level, q in row.items()}
            for family, row in record[name].items()
        }

    told = ("weights", "digest", "fitted_on", "n_hypotheses", "tested_on")
    words = {name: record[name] for name in told}
    return Recalibration(
        **words,
        factors=table("factors"),
        coverage=table("coverage"),
        recalibrated_coverage=table("recalibrated_coverage"),
    )


def to_record(recalibration: Recalibration) -> dict[str, Any]:
    """A recalibration as JSON, numbers to three digits; an infinite factor is null.

    Example:
        >>> record = to_record(Recalibration("w", "", "val", 20, {"cadence": {0.8: 1.23456}}))
        >>> record["factors"], from_record(record).factors
        ({'cadence': {'0.8': 1.235}}, {'cadence': {0.8: 1.235}})
    """

    def plain(table: Mapping[str, Mapping[float, float]]) -> dict[str, dict[str, float | None]]:
        return {
            family: {f"{level:g}": round(q, 3) if math.isfinite(q) else None
                     for level, q in row.items()}
            for family, row in table.items()
        }  # fmt: skip

    r = recalibration
    return {
        "weights": r.weights,
        "digest": r.digest,
        "fitted_on": r.fitted_on,
        "n_hypotheses": r.n_hypotheses,
        "tested_on": r.tested_on,
        "factors": plain(r.factors),
        "coverage": plain(r.coverage),
        "recalibrated_coverage": plain(r.recalibrated_coverage),
    }


def check_fits(weights: str, n_hypotheses: int, changed: str = "") -> Recalibration:
    """The factors in the package, if they are about such hypotheses.

    Args:
        weights: Of the hypotheses.
        n_hypotheses: How many.
        changed: How hypotheses were changed after sampling; empty if they were not.

    Raises:
        OptionError: If they were fitted to other hypotheses.

    Example:
        >>> len(check_fits("distributional-frame-small", 20).factors) > 20
        True
    """
    fitted = bundled_recalibration()
    if changed:
        raise OptionError(
            f"The recalibration was fitted to hypotheses as they were sampled; these were "
            f"{changed}. Leave out recalibrate, or sample again without."
        )
    if weights != fitted.weights:
        raise OptionError(
            f"The recalibration was fitted to {fitted.weights}, not to "
            f"{weights or 'a sampler without weights'}; leave out recalibrate, or sample with "
            "these weights."
        )
    if not fitted.n_hypotheses / 2 <= n_hypotheses <= 10 * fitted.n_hypotheses:
        raise OptionError(
            f"The recalibration was fitted to {fitted.n_hypotheses} hypotheses, these are "
            f"{n_hypotheses}; sample with --n-hypotheses {fitted.n_hypotheses}."
        )
    return fitted

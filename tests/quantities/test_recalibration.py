"""Split-conformal factors: exact on exchangeable data, refused for other hypotheses."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from hypopose.errors import OptionError, ShapeError
from hypopose.networks.load import BUNDLED
from hypopose.quantities import LEVELS, QUANTITIES, Measurement, interval
from hypopose.quantities.intervals import median
from hypopose.quantities.recalibration import (
    bundled_recalibration,
    check_fits,
    fit_factor,
    fit_factors,
    from_record,
    scores,
    to_record,
)

RNG = np.random.default_rng(0)


def test_factors_mend_intervals_that_are_too_narrow() -> None:
    """Sequences with an error of their own; half are fitted, half are judged."""
    n, frames = 400, 5
    center = RNG.normal(size=(n, 1))
    truth = center + RNG.normal(size=(n, frames))
    samples = center + 0.4 * RNG.normal(size=(20, n, frames))
    units = np.repeat(np.arange(n // 2), frames)
    fit_x, new_x = (part.reshape(20, -1) for part in np.split(samples, 2, axis=1))
    fit_y, new_y = (part.ravel() for part in np.split(truth, 2))
    factors = fit_factors(fit_x, fit_y, list(units))
    assert list(factors) == list(LEVELS)
    for level, q in factors.items():
        low, high = interval(new_x, level)
        raw = ((low <= new_y) & (new_y <= high)).mean()
        middle = median(new_x)
        held = (middle + q * (low - middle) <= new_y) & (new_y <= middle + q * (high - middle))
        assert raw < level - 0.1
        assert held.mean() == pytest.approx(level, abs=0.04)


def test_the_factor_is_the_conformal_quantile_of_sequences() -> None:
    found = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 20.0])
    assert fit_factor(found, list("abcdef"), 0.5) == 4.0  # 4 of 7
    # Two sequences of three frames: each frame weighs a third of its sequence.
    assert fit_factor(found, list("aaabbb"), 0.5) == 10.0
    assert fit_factor(found, list("abcdef"), 0.95) == math.inf
    assert fit_factor(np.full(3, np.nan), list("abc"), 0.5) == math.inf
    with pytest.raises(ShapeError, match="3 scores need as many units"):
        fit_factor(np.ones(3), ["a"], 0.5)


def test_scores_are_one_at_the_ends_of_the_interval() -> None:
    x = RNG.normal(size=(20, 50))
    low, high = interval(x, 0.8)
    assert scores(x, low, 0.8) == pytest.approx(1)
    assert scores(x, high, 0.8) == pytest.approx(1)
    assert scores(x, median(x), 0.8) == pytest.approx(0, abs=1e-9)


def test_the_factors_in_the_package_are_about_families_of_the_table() -> None:
    table = bundled_recalibration()
    families = {q.family for q in QUANTITIES.values()}
    assert set(table.factors) <= families
    assert {"knee_flexion", "hip_flexion", "trunk_lean", "knee_flexion_range"} <= set(table.factors)
    assert all(0.3 < q < 5 for row in table.factors.values() for q in row.values())
    assert all(set(row) == set(LEVELS) for row in table.factors.values())
    held = [row[0.8] for row in table.recalibrated_coverage.values()]
    raw = [row[0.8] for row in table.coverage.values()]
    assert np.abs(np.array(held) - 0.8).mean() < np.abs(np.array(raw) - 0.8).mean()
    assert from_record(to_record(table)) == table


def test_measurements_are_stretched_and_carry_their_evidence() -> None:
    table = bundled_recalibration()
    knee = Measurement(QUANTITIES["left_knee_flexion"], 90 + torch.randn(20, 3).double())
    mended = table.judge(table.apply(knee, scaled=False), scaled=False)
    low, high = knee.interval(0.8)
    q = table.factors["knee_flexion"][0.8]
    assert mended.interval(0.8)[1] - knee.median == pytest.approx(q * (high - knee.median))
    assert all(not m.evidence for m in mended.over_frames().values())  # other intervals
    assert mended.evidence == table.recalibrated_coverage["knee_flexion"]
    assert table.judge(knee, scaled=False).evidence == table.coverage["knee_flexion"]
    speed = Measurement(QUANTITIES["pelvis_speed"], torch.rand(20, 3))
    assert table.apply(speed, scaled=False) is speed  # its size is not known
    assert table.apply(speed, scaled=True).stretch
    sway = Measurement(QUANTITIES["sway_area"], torch.rand(20))  # no shard stands still
    assert not table.apply(sway, scaled=True).stretch
    assert low.shape == (3,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("d3dp-frame-small", 20, ""), "not to d3dp-frame-small"),
        (("", 20, ""), "a sampler without weights"),
        (("distributional-frame-small", 5, ""), "--n-hypotheses 20"),
        (("distributional-frame-small", 20, "refined (--refine)"), "these were refined"),
    ],
)
def test_other_hypotheses_are_refused(given, words) -> None:
    with pytest.raises(OptionError, match=words):
        check_fits(*given)


def test_the_factors_are_about_the_weights_in_the_package() -> None:
    """Whoever trains them anew fits anew: benchmarks/quantities.py MOTION --fit FILE."""
    table = bundled_recalibration()
    config = json.loads((BUNDLED / table.weights / "config.json").read_text())
    assert table.digest == config["_sha256"]["model.safetensors"]

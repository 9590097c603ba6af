"""Intervals: exact where samples reach, stretched beyond, NaN where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from hypopose.errors import OptionError
from hypopose.quantities import LEVELS, QUANTITIES, Measurement, interval
from hypopose.quantities.intervals import median

RNG = np.random.default_rng(0)


def test_reachable_levels_are_numpys_weibull_quantiles() -> None:
    x = RNG.normal(size=(20, 7, 3))
    for level in (0.5, 0.8):
        low, high = interval(x, level)
        wanted = np.quantile(x, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
        assert np.allclose((low, high), wanted)
    assert np.allclose(median(x), np.median(x, axis=0))


@pytest.mark.parametrize("n", [5, 20])
def test_intervals_of_exchangeable_values_cover_what_they_say(n: int) -> None:
    x = RNG.normal(size=(n + 1, 40_000))
    for level in LEVELS:
        low, high = interval(x[1:], level)
        held = ((low <= x[0]) & (x[0] <= high)).mean()
        reached = (n - 1) / (n + 1)
        # Beyond what n samples reach, the stretched interval is for normal values; it is close.
        assert held == pytest.approx(level, abs=0.01 if level <= reached and n == 20 else 0.08)


def test_wide_levels_are_the_reached_ones_stretched() -> None:
    x = np.linspace(-1, 1, 9)
    low, high = interval(x, 0.95)
    factor = norm.ppf(0.975) / norm.ppf(0.9)
    assert (low, high) == pytest.approx((-factor, factor))


def test_missing_samples_do_not_count() -> None:
    x = np.array([[1.0, np.nan, 5.0], [2.0, np.nan, np.nan], [3.0, np.nan, np.nan]])
    low, high = interval(x, 0.5)
    assert (low[0], high[0]) == (1.0, 3.0)
    assert np.isnan(low[1:]).all()
    assert np.isnan(high[1:]).all()
    measurement = Measurement(QUANTITIES["cadence"], torch.tensor([1.0, 3.0, torch.nan]))
    assert (float(measurement.mean), float(measurement.median)) == (2.0, 2.0)
    assert float(measurement.share) == pytest.approx(2 / 3)


def test_levels_out_of_range_and_unknown_levels() -> None:
    with pytest.raises(OptionError, match="level lies between"):
        interval(np.zeros(3), 1.0)
    steps = 100 + torch.arange(5.0)
    stretched = Measurement(QUANTITIES["cadence"], steps, stretch={0.8: 2.0})
    low, high = (end - 102 for end in Measurement(QUANTITIES["cadence"], steps).interval(0.8))
    assert [end - 102 for end in stretched.interval(0.8)] == pytest.approx([2 * low, 2 * high])
    with pytest.raises(OptionError, match="levels 80 %"):
        stretched.interval(0.5)


def test_probabilities_have_no_interval() -> None:
    contact = Measurement(QUANTITIES["left_foot_contact"], torch.tensor([[0.0], [1.0], [1.0]]))
    assert contact.mean.tolist() == pytest.approx([2 / 3])
    assert np.isnan(contact.interval(0.8)).all()


def test_frames_are_summed_up_per_hypothesis() -> None:
    x = torch.stack((torch.arange(101.0), 10 + torch.arange(101.0)))
    knee = Measurement(QUANTITIES["left_knee_flexion"], x)
    found = {name: m.values.tolist() for name, m in knee.over_frames().items()}
    assert found == {"mean": [50.0, 60.0], "least": [2.0, 12.0], "greatest": [98.0, 108.0]}


def test_intervals_end_where_values_end() -> None:
    """Stretched intervals of an unsigned angle or a size do not reach below zero."""
    x = torch.tensor([[5.0], [20.0], [35.0]], dtype=torch.float64)
    for name in ("left_knee_flexion", "pelvis_speed", "left_hip_flexion_range"):
        wide = Measurement(QUANTITIES[name], x, stretch={0.8: 5.0})
        low, high = wide.interval(0.8)
        assert low.tolist() == [0.0]
        assert high > 60
    signed = Measurement(QUANTITIES["left_hip_flexion"], x, stretch={0.8: 5.0})
    assert signed.interval(0.8)[0] < 0
    straight = Measurement(QUANTITIES["left_shoulder_elevation"], 175 + x / 10, stretch={0.8: 50.0})
    assert straight.interval(0.8)[1].tolist() == [180.0]


def test_values_lie_within_their_bounds(walk) -> None:
    for quantity in QUANTITIES.values():
        if "ankle_flexion" in quantity.family:
            continue
        values = quantity.compute(walk)
        known = values[torch.isfinite(values)]
        assert (known >= quantity.least).all(), quantity.name
        assert (known <= quantity.greatest).all(), quantity.name

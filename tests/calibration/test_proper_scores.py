"""Proper scores against closed forms, another library, and the spread that should win."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from hypopose.calibration import (
    cluster_bootstrap,
    crps,
    crps_points,
    energy_score,
    energy_score_points,
    min_at_k,
    oracle_min_at_k,
)
from hypopose.errors import OptionError, ShapeError

SCORES = {
    "crps": crps,
    "energy joint": energy_score,
    "energy pose": lambda x, y: energy_score(x, y, level="pose"),
    "energy clip": lambda x, y: energy_score(x, y, level="clip"),
    "energy beta": lambda x, y: energy_score(x, y, beta=1.5),
}


def still(world, n, s, **options):
    """Truth and hypotheses around one mean, so that scores depend on the spread alone."""
    x, y = world(n, s, frames=2, **options)
    mean = world(n, s, frames=2, spread=0.0, seed=options.get("seed", 0))[0][:, :1]
    return x - mean, y - mean[:, 0]


@pytest.mark.parametrize("name", SCORES)
def test_half_and_double_the_spread_score_worse(world, name):
    score = SCORES[name]
    right = score(*still(world, 600, 20)).mean()
    assert right < score(*still(world, 600, 20, spread=0.5)).mean()
    assert right < score(*still(world, 600, 20, spread=2.0)).mean()


@pytest.mark.parametrize("name", SCORES)
def test_fair_scores_do_not_depend_on_the_number_of_hypotheses(world, name):
    means, errors = [], []
    for s in (2, 5, 20, 60):
        values = SCORES[name](*still(world, 600, s, seed=s)).reshape(600, -1).mean(-1)
        means.append(values.mean())
        errors.append(values.std() / math.sqrt(len(values)))
    spread = torch.stack(means)
    assert (spread - spread[-1]).abs().max() < 4 * torch.stack(errors).max()


def test_energy_score_of_a_calibrated_normal_is_its_closed_form():
    g = torch.Generator().manual_seed(0)
    sigma = 0.03
    x = sigma * torch.randn(8000, 21, 3, generator=g, dtype=torch.float64)
    expected = 2 * sigma / math.sqrt(math.pi)
    assert energy_score_points(x[:, 1:], x[:, 0]).mean().item() == pytest.approx(expected, rel=0.02)


def test_crps_of_a_normal_is_its_closed_form():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5000, generator=g, dtype=torch.float64)
    y = torch.linspace(-3, 3, 40, dtype=torch.float64)
    cdf, pdf = torch.special.ndtr(y), torch.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
    expected = y * (2 * cdf - 1) + 2 * pdf - 1 / math.sqrt(math.pi)
    assert (crps_points(x, y) - expected).abs().max() < 0.06


def test_against_another_library(world):
    sr = pytest.importorskip("scoringrules")
    x, y = world(6, 12, joints=5)
    other = sr.crps_ensemble(y.numpy(), x.numpy(), m_axis=1, estimator="fair", backend="numpy")
    assert np.allclose(crps(x, y).numpy(), other, rtol=1e-10)
    flat, target = x[:, :, 0].flatten(-2), y[:, 0].flatten(-2)
    for fair, name in ((True, "fair"), (False, "nrg")):
        energy = sr.es_ensemble(target.numpy(), flat.numpy(), estimator=name, backend="numpy")
        assert np.allclose(energy_score_points(flat, target, fair=fair).numpy(), energy)


@pytest.mark.parametrize("name", SCORES)
def test_scores_of_parts_are_the_parts_of_scores(world, name, monkeypatch):
    x, y = world(5, 7, frames=6)
    whole = SCORES[name](x, y)
    monkeypatch.setattr("hypopose.calibration.paired_arrays.WORKING_BYTES", 3000)
    monkeypatch.setattr("hypopose.calibration.proper_scores.CACHE_BYTES", 3000)
    assert torch.allclose(SCORES[name](x, y), whole, rtol=1e-12, equal_nan=True)
    assert torch.allclose(SCORES[name](x[1:3], y[1:3]), whole[1:3], rtol=1e-12)


def test_weights_zero_and_nan_hypotheses_drop_out_alike(world):
    x, y = world(3, 6)
    kept = energy_score(x[:, :4], y)
    weights = torch.tensor([1.0, 1, 1, 1, 0, 0])
    assert torch.allclose(energy_score(x, y, weights=weights), kept, rtol=1e-12)
    assert torch.allclose(energy_score(x, y, weights=weights.expand(3, 6)), kept, rtol=1e-12)
    with pytest.raises(ShapeError, match="eights"):
        energy_score(x, y, weights=torch.ones(5))
    single = energy_score(x[:1], y[:1], weights=weights)
    assert torch.allclose(single, kept[:1], rtol=1e-12)


@pytest.mark.parametrize("score", [crps, energy_score])
def test_nan_hypotheses_are_left_out(world, score):
    x, y = world(3, 6)
    gone = x.clone()
    gone[:, 4:] = torch.nan
    assert torch.allclose(score(gone, y), score(x[:, :4], y), rtol=1e-12)
    gone[0] = torch.nan
    assert score(gone, y)[0].isnan().all()


def test_a_point_prediction_scores_its_error(world):
    x, y = world(4, 1)
    error = (x[:, 0] - y).norm(dim=-1)
    for copies in (1, 7):
        many = x.expand(4, copies, *x.shape[2:])
        assert torch.allclose(energy_score(many, y), error)
        assert torch.allclose(crps(many, y), (x[:, 0] - y).abs())
    y[0, 0, 1] = torch.nan
    assert energy_score(x, y).isnan().sum() == 1


def test_two_clusters_of_dimension_take_different_paths_to_one_value():
    x = torch.randn(3, 11, 9, dtype=torch.float64)
    y, w = torch.randn(3, 9, dtype=torch.float64), torch.rand(3, 11, dtype=torch.float64)
    table = energy_score_points(x, y, weights=w)
    pair = sum(
        w[:, i] * w[:, j] * (x[:, i] - x[:, j]).norm(dim=-1) for i in range(11) for j in range(11)
    )
    total = w.sum(-1)
    error = (w * (x - y[:, None]).norm(dim=-1)).sum(-1) / total
    fair = pair / total**2 / (1 - ((w / total[:, None]) ** 2).sum(-1))
    assert torch.allclose(table, error - fair / 2)


def test_min_at_k_is_the_mean_over_subsets_and_of_exponentials_mean_over_k():
    g = torch.Generator().manual_seed(0)
    errors = -torch.rand(4000, 40, generator=g, dtype=torch.float64).log()
    curve = min_at_k(errors).mean(0)
    k = torch.arange(1, 41, dtype=torch.float64)
    assert ((curve - 1 / k) * k).abs().max() < 0.06
    gone = torch.cat([errors, torch.full((4000, 3), torch.nan)], -1)
    assert torch.allclose(min_at_k(gone)[:, :40], min_at_k(errors), rtol=1e-12, atol=1e-14)
    assert min_at_k(gone)[:, 40:].isnan().all()


def test_oracles_are_ordered_and_frame_best_forgives_shuffling(world):
    x, y = world(6, 9, frames=5)
    curves = {best: oracle_min_at_k(x, y, best=best) for best in ("clip", "frame", "joint")}
    assert (curves["joint"] <= curves["frame"] + 1e-12).all()
    assert (curves["frame"] <= curves["clip"] + 1e-12).all()
    assert torch.allclose(curves["clip"][:, 0], curves["joint"][:, 0])
    order = torch.stack([torch.randperm(9) for _ in range(5)])
    shuffled = torch.stack([x[:, order[f], f] for f in range(5)], 2)
    assert torch.allclose(oracle_min_at_k(shuffled, y, best="frame"), curves["frame"])


def test_few_sequences_still_give_intervals_that_hold():
    """Five sequences: plain percentiles hold the truth in four of five cases, not in 19 of 20."""
    g = torch.Generator().manual_seed(0)
    held, plain = 0, 0
    for _ in range(300):
        values = torch.randn(5, 1, generator=g) + 0.1 * torch.randn(5, 20, generator=g)
        sums = torch.stack([values.sum(1), torch.full((5,), 20.0)], 1).double().numpy()
        low, high = cluster_bootstrap(sums, n_draws=1000)
        held += int(low <= 0 <= high)
        means = values.mean(1)
        draws = means[torch.randint(5, (400, 5), generator=g)].mean(1)
        low, high = draws.quantile(torch.tensor([0.025, 0.975])).tolist()
        plain += int(low <= 0 <= high)
    assert plain < 0.88 * 300
    assert held > 0.90 * 300


def test_lengths_that_differ_widely_keep_the_interval_around_the_estimate():
    sums = np.array([(5000.0, 10000.0), (2.0, 1.0), (0.0, 1.0)])
    low, high = cluster_bootstrap(sums)
    assert low <= 5002 / 10002 <= high
    assert high - low > 0.5  # a third of the resamples miss the long one


def test_options_out_of_range_say_so(world):
    x, y = world(2, 4)
    for call in (
        lambda: energy_score(x, y, beta=2.0),
        lambda: energy_score(x, y, level="limb"),
        lambda: oracle_min_at_k(x, y, best="limb"),
        lambda: energy_score(x, y, weights=-torch.ones(4)),
    ):
        with pytest.raises((OptionError, TypeCheckError)):
            call()


def test_a_clip_without_batch_axes_has_one_score() -> None:
    x = torch.zeros(3, 4, 17, 3)
    assert energy_score(x, torch.ones(4, 17, 3), level="clip").shape == ()

"""The calibration curve against problems whose coverage is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chi2

from hypopose.calibration import JUDGED_QUANTITIES, LEVELS, CurveAccumulator, ece, extrapolated_ece
from hypopose.calibration.provenance import Counts
from hypopose.calibration.ranks import Ranks, coverage_matrix, distance_ranks, rank_mass
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.skeletons.tables import H36M17
from hypopose.types import Hypotheses, Poses3D, Skeleton

FOOTED = Skeleton("footed", ("hip", "knee", "ankle", "toe"), (-1, 0, 1, 2))


@pytest.mark.parametrize("n_hypotheses", [2, 3, 5, 10, 20, 50, 200])
def test_a_calibrated_model_scores_zero_for_every_number_of_hypotheses(world, n_hypotheses):
    curve = ece(*world(3000, n_hypotheses))
    assert curve.ece < 2 * curve.null_ece < 0.03
    assert abs(curve.excess).max() < 0.02


@pytest.mark.parametrize("n_hypotheses", [5, 20, 200])
def test_halving_or_doubling_the_spread_flips_the_verdict(world, n_hypotheses):
    narrow = ece(*world(800, n_hypotheses, spread=0.5))
    wide = ece(*world(800, n_hypotheses, spread=2.0))
    assert set(narrow.verdicts()) == {"overconfident"}
    assert set(wide.verdicts()) == {"underconfident"}
    assert (narrow.excess < 0).all()
    assert (wide.excess > 0).all()
    assert set(ece(*world(800, n_hypotheses)).verdicts()) == {"calibrated"}


@pytest.mark.parametrize("of", ["joint", "axis"])
@pytest.mark.parametrize("spread", [0.5, 0.7, 1.5, 2.0])
def test_the_error_of_a_wrong_spread_does_not_depend_on_the_number_of_hypotheses(world, spread, of):
    """Counted from all hypotheses it did: 0.28 with 5, 0.36 with 200 at half the honest spread."""
    d = 3 if of == "joint" else 1
    q = torch.tensor(LEVELS, dtype=torch.float64)
    limit = abs(chi2.cdf(spread**2 * chi2.ppf(q, d), d) - q.numpy()).mean()
    found, noise = [], []
    for n_hypotheses in (5, 6, 11, 20, 50, 200):
        n = 8000 if n_hypotheses <= 20 else 2500
        curve = ece(*world(n, n_hypotheses, joints=2, spread=spread), of=of)
        found.append(curve.ece)
        noise.append(curve.null_ece)  # of each cell; of all cells' mean it is less
    worst = max(abs(e - found[0]) / (a + noise[0]) for e, a in zip(found, noise, strict=True))
    assert worst < 1.5, (worst, found, noise)
    assert max(found) - min(found) < 0.022, found
    assert min(found) > 0.88 * limit, (found, limit)
    assert max(found) < 1.08 * limit, (found, limit)


@pytest.mark.parametrize("n_hypotheses", [3, 5, 20, 200])
def test_the_pit_error_is_that_of_the_exact_curve(n_hypotheses):
    """u = a power of a uniform number has a known curve, whatever it is ranked among."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(20_000, n_hypotheses, 1, 1, 3, generator=g)
    y = torch.rand(20_000, 1, 1, 3, generator=g) ** 2
    accumulator = CurveAccumulator(of="axis", statistic="value")
    accumulator.update(x, y)
    curve = accumulator.compute()
    q = curve.levels
    # u is uniform squared: c_1 = E[2u - 1] = -1/3, c_2 = E[6u^2 - 6u + 1] = 1/5
    two_terms = q + (q - q**2) - (2 * q - 1) * (q - q**2)
    assert (curve.limit - two_terms).abs().max() < 0.012
    assert curve.ece == pytest.approx(float((q.sqrt() - q).mean()), abs=0.012)


def test_the_null_error_is_what_calibrated_samplers_show(world):
    for n_hypotheses in (5, 20, 60):
        shown = [
            float(ece(*world(400, n_hypotheses, seed=seed)).ece_per_cell.mean())
            for seed in range(25)
        ]
        expected = ece(*world(400, n_hypotheses)).null_ece
        assert sum(shown) / len(shown) == pytest.approx(expected, rel=0.2)


def test_medians_without_sorting_are_medians(world, monkeypatch):
    x, y = world(200, 43)
    coarse, truth = (50 * x).round(), (50 * y).round()  # with ties
    x, y = coarse[:, :, 0].permute(0, 2, 3, 1), truth[:, 0]
    fast = extrapolated_ece.distance_statistics(x, y)
    for size, center in extrapolated_ece.CENTERS.items():
        points = [x[..., i] for i in range(size)] + [y]
        expected = torch.stack(points).quantile(0.5, dim=0)
        assert torch.allclose(center(points), expected)
    monkeypatch.setattr(extrapolated_ece, "CENTERS", {})  # sorts instead
    assert torch.equal(extrapolated_ece.distance_statistics(x, y), fast)


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.25, 2.0])
def test_coverage_of_a_wrong_spread_is_the_chi_square_formula(world, spread):
    curve = ece(*world(2500, 150, joints=3, spread=spread))
    q = curve.levels.numpy()
    expected = chi2.cdf(spread**2 * chi2.ppf(q, 3), 3)
    assert abs(curve.curve.numpy() - expected).max() < 0.02


def test_opposite_joints_do_not_cancel(world):
    x, y = world(2000, 30, joints=2)
    mean = x.mean(1, keepdim=True)
    factor = torch.tensor([0.5, 2.0], dtype=torch.float64)[:, None]
    curve = ece(mean + factor * (x - mean), y)
    assert curve.ece > 0.2
    assert (curve.curve - curve.levels).abs().mean() < 0.5 * curve.ece


@pytest.mark.parametrize("name", sorted(JUDGED_QUANTITIES))
def test_every_quantity_is_uniform_under_calibration_and_sees_a_wrong_spread(world, name):
    x, y = world(1200, 16, frames=2)
    hypotheses, truth = Hypotheses(x, FOOTED), Poses3D(y, FOOTED)
    right = ece(hypotheses, truth, of=name)
    assert right.ece < 2.5 * right.null_ece
    mean = x.mean(1, keepdim=True)
    wrong = ece(Hypotheses(mean + 0.4 * (x - mean), FOOTED), truth, of=name)
    assert (wrong.excess < -0.05).all()
    assert len(wrong.record.cells) == len(wrong.coverage)


def test_the_root_is_left_out_with_and_without_a_skeleton(world):
    x, y = world(50, 8)
    x[..., 0, :], y[..., 0, :] = 0, 0
    assert ece(x, y).record.cells == ("joint 1", "joint 2", "joint 3")
    assert ece(Hypotheses(x, FOOTED), Poses3D(y, FOOTED)).record.cells == ("knee", "ankle", "toe")
    assert ece(x, y, joints=(2,)).record.cells == ("joint 2",)
    with pytest.raises(OptionError, match="joints="):
        ece(torch.zeros(3, 1, 1, 3), torch.zeros(1, 1, 3))


def test_merging_parts_gives_the_whole_and_sequences_are_units(world):
    x, y = world(60, 9, frames=3)
    labels = [i // 10 for i in range(60)]
    whole, left, right = CurveAccumulator(), CurveAccumulator(), CurveAccumulator()
    whole.update(x, y, sequences=labels)
    left.update(x[:25], y[:25], sequences=labels[:25])
    right.update(x[25:], y[25:], sequences=labels[25:])
    left.merge(right)
    a, b = whole.compute(), left.compute()
    assert torch.allclose(a.coverage, b.coverage, atol=1e-12, equal_nan=True)
    assert torch.allclose(a.limit, b.limit, atol=1e-12)
    assert torch.allclose(a.n_effective, b.n_effective)
    assert a.record == b.record
    assert a.record.counts.sequences == 6
    assert a.histogram.counts.sum().item() == pytest.approx(60 * 3 * 4)


def test_correlated_frames_count_as_fewer(world):
    x, y = world(40, 20)
    x, y = x.repeat(1, 1, 25, 1, 1), y.repeat(1, 25, 1, 1)
    curve = ece(x, y)
    assert (curve.n == 1000).all()
    assert (curve.n_effective < 80).all()
    assert curve.null_ece == pytest.approx(ece(x[:, :, :1], y[:, :1]).null_ece, rel=0.3)
    low, high = curve.interval()
    assert low < curve.ece < high


def test_the_band_holds_a_calibrated_curve_as_often_as_it_says(world):
    inside = 0
    for seed in range(60):
        curve = ece(*world(150, 19, joints=4, seed=seed))
        inside += curve.verdicts(0.9).count("calibrated")
    assert 0.84 < inside / 240 < 0.96


@pytest.mark.parametrize(("n_hypotheses", "highest"), [(2, 0.65), (4, 0.8), (5, 0.8), (19, 0.95)])
def test_levels_beyond_the_hypotheses_are_blank_and_say_so(world, n_hypotheses, highest):
    curve = ece(*world(60, n_hypotheses))
    blank = curve.levels > highest + 1e-9
    low, high = curve.bands()
    assert torch.equal(~curve.resolved, blank)
    for values in (curve.coverage, low, high):
        assert torch.equal(values.isnan(), blank.expand_as(values))
    assert curve.limit.isfinite().all()
    assert curve.ece == pytest.approx(float((curve.limit - curve.levels).abs().mean()), abs=1e-12)
    assert curve.null_ece > 0
    assert len(curve.verdicts()) == 4
    low_end, high_end = curve.interval()
    assert low_end <= curve.ece <= high_end
    noted = [note for note in curve.record.notes if "blank" in note]
    assert bool(noted) == bool(blank.any())


def test_merged_halves_keep_the_note_of_blank_levels(world):
    x, y = world(40, 5)
    left, right = CurveAccumulator(), CurveAccumulator()
    left.update(x[:20], y[:20])
    right.update(x[20:], y[20:])
    left.merge(right)
    assert left.compute().record.notes == ece(x, y).record.notes


@pytest.mark.parametrize("spread", [1.0, 0.9, 0.6])
def test_the_interval_holds_the_true_ece_and_the_estimate(world, spread):
    q = torch.tensor(LEVELS, dtype=torch.float64)
    true = abs(chi2.cdf(spread**2 * chi2.ppf(q, 3), 3) - q.numpy()).mean()
    held = 0
    for seed in range(40):
        curve = ece(*world(120, 100, joints=3, spread=spread, seed=seed))
        low, high = curve.interval(0.9, n_draws=300)
        assert low <= curve.ece <= high
        held += int(low <= true <= high)
    assert held >= 33  # 36 expected of 40; 32 or fewer by chance: 4 %


def test_joints_cancel_in_the_median_and_nowhere_else(world):
    x, y = world(400, 100, joints=3)
    center = x.mean(1, keepdim=True)
    curve = ece(center + (x - center) * torch.tensor([0.5, 1.0, 2.0])[:, None], y)
    assert curve.median_ece < 0.06  # chance: 0.04
    assert curve.ece > 0.15
    low, high = curve.interval(median=True)
    assert low <= curve.median_ece <= high < curve.ece
    some = torch.tensor([0.5, 0.5, 2.0])[:, None]
    narrow = ece(center + (x - center) * some, y)  # now two of three are too sure
    assert narrow.median_ece > 0.25


def test_the_interval_holds_the_estimate_where_two_sequences_disagree(world):
    x, y = world(2, 30, frames=40)
    curve = ece(x, y, sequences=["a", "b"])
    low, high = curve.interval()
    assert low <= curve.ece <= high
    assert all(math.isnan(end) for end in ece(x[:1], y[:1]).interval())


def test_a_long_sequence_does_not_vouch_for_itself(world):
    """One recording of copies beside a few frames is worth a few frames, not thousands."""
    verdicts = []
    for seed in range(10):
        x, y = world(12, 20, joints=2, seed=seed)
        x = torch.cat([x[:1].expand(3000, -1, -1, -1, -1), x[1:]])
        y = torch.cat([y[:1].expand(3000, -1, -1, -1), y[1:]])
        curve = ece(x, y, sequences=[0] * 3000 + list(range(1, 12)))
        assert (curve.n_effective < 30).all()
        verdicts += curve.verdicts()
    assert verdicts.count("calibrated") >= 16


def test_a_point_prediction_has_no_coverage_whatever_the_number_of_copies(world):
    x, y = world(20, 1)
    for copies in (1, 5, 50):
        curve = ece(x.repeat(1, copies, 1, 1, 1), y)
        assert curve.coverage.abs().max() == 0
        assert curve.ece == pytest.approx(0.5)
        assert curve.record.counts.identical == 80
    exact = ece(y[:, None].repeat(1, 5, 1, 1, 1), y)
    assert torch.allclose(exact.curve[exact.resolved], exact.levels[exact.resolved])


def test_ties_split_evenly():
    ranks = Ranks(
        torch.tensor([1]), torch.tensor([2]), torch.tensor([4]), torch.tensor([False]), Counts()
    )
    mass = rank_mass(ranks, torch.tensor([0]), 1, 4)
    assert torch.allclose(mass[0], torch.tensor([0, 1, 1, 1, 0, 0]).double() / 3)
    level = coverage_matrix(torch.tensor([0.6]), 4)
    assert (mass @ level).item() == pytest.approx(2 / 3)


def test_nan_hypotheses_and_truth_are_counted_and_leave_the_curve_unbiased(world):
    x, y = world(3000, 12)
    g = torch.Generator().manual_seed(1)
    x[torch.rand(x.shape[:-1], generator=g) < 0.3] = torch.nan
    x[0] = torch.nan
    y[1, 0, 2, 0] = torch.nan
    curve = ece(x, y)
    counts = curve.record.counts
    assert curve.ece < 2 * curve.null_ece
    assert counts.missing_truth == 1
    assert counts.no_hypothesis == 4
    assert counts.nan_hypotheses == int(torch.isnan(x[..., 0])[1:].sum()) - int(
        torch.isnan(x[1, :, 0, 2, 0]).sum()
    )
    assert counts.observations == 3000 * 4 - 5


def test_a_mask_selects_joints_and_frames(world):
    x, y = world(30, 8, frames=2)
    mask = torch.zeros(30, 2, 4, dtype=torch.bool)
    mask[:, 0, 1] = True
    curve = ece(x, y, mask=mask)
    assert curve.n.tolist() == [0, 30, 0, 0]
    first = ece(x[:, :, :1], y[:, :1]).coverage[1]
    assert torch.allclose(curve.coverage[1], first, equal_nan=True)
    with pytest.raises(ShapeError, match="mask"):
        ece(x, y, mask=mask[0])


def test_blocks_change_nothing(world, monkeypatch):
    x, y = world(7, 19, frames=11)
    results = {}
    for size in (1, 5000, 10**9):
        monkeypatch.setattr("hypopose.calibration.paired_arrays.WORKING_BYTES", size)
        results[size] = [ece(x, y, of=of).coverage for of in ("joint", "speed")]
    for joint, speed in results.values():
        assert torch.equal(joint, results[1][0])
        assert torch.equal(speed, results[1][1])


def test_the_center_is_symmetric_in_truth_and_hypotheses(world):
    x, y = world(1, 6, joints=5)
    samples, truth = x[0, :, 0].permute(1, 2, 0), y[0, 0]
    total = distance_ranks(samples, truth).below.clone()
    for s in range(6):
        swapped = samples.clone()
        swapped[..., s] = truth
        total += distance_ranks(swapped, samples[..., s]).below
    assert total.tolist() == [21] * 5  # each rank 0..6 is taken once


def test_wrong_input_says_what_to_do(world):
    x, y = world(3, 4)
    with pytest.raises(ShapeError, match="H differs"):
        ece(x, y[:2])
    with pytest.raises(OptionError, match="between 0 and 1"):
        ece(x, y, levels=(0.0, 0.5))
    with pytest.raises(OptionError, match="No quantity"):
        ece(x, y, of="angle")
    with pytest.raises(OptionError, match="skeleton"):
        ece(x, y, of="bone_length")
    with pytest.raises(SkeletonMismatchError, match="convert"):
        ece(Hypotheses(torch.zeros(2, 1, 17, 3), H36M17), Poses3D(torch.zeros(1, 4, 3), FOOTED))
    accumulator = CurveAccumulator()
    with pytest.raises(OptionError, match="update"):
        accumulator.compute()
    accumulator.update(x, y)
    with pytest.raises(OptionError, match="conventions"):
        accumulator.update(x[:, :2], y)
    assert LEVELS[9] == 0.5

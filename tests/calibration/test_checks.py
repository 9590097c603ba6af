"""Rank checks, TARP, simulation-based calibration, spread and intervals on known problems."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.stats import kstest

from hypopose.calibration import (
    PRERANKS,
    RankHistogram,
    SpreadAccumulator,
    benjamini_hochberg,
    cluster_bootstrap,
    holm,
    paired_difference,
    rank_histogram,
    run_sbc,
    sbc_from_samples,
    sharpness,
    tarp,
)
from hypopose.calibration.preranks import mst
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource, Poses3D, Skeleton

STICK = Skeleton("stick", ("hip", "knee"), (-1, 0))


@pytest.mark.parametrize("prerank", sorted(PRERANKS))
def test_preranks_are_flat_under_calibration_for_every_number_of_hypotheses(world, prerank):
    for s in (3, 10, 24):
        histogram = rank_histogram(*world(1500, s, seed=s), of="pose", statistic=prerank)
        assert histogram.p_values().item() > 0.005, s
        assert histogram.counts.sum().item() == pytest.approx(1500)


@pytest.mark.parametrize("prerank", ["band", "mst", "energy", "nearest", "scale", "dependence"])
def test_preranks_see_a_wrong_spread(world, prerank):
    x, y = world(800, 15)
    mean = x.mean(1, keepdim=True)
    if prerank in ("scale", "dependence"):  # these look at the shape of one pose
        x, y, mean = x - mean, y - mean[:, 0], 0 * mean
    histogram = rank_histogram(mean + 0.4 * (x - mean), y, of="pose", statistic=prerank)
    assert histogram.p_values().item() < 0.001
    outlying = "low" if prerank in ("band", "mst") else "high"
    assert histogram.shapes() == (outlying,)


def test_location_and_average_see_a_shift(world):
    x, y = world(500, 15)
    for prerank in ("location", "average"):
        assert rank_histogram(x + 0.1, y, of="pose", statistic=prerank).shapes() == ("low",)


def test_spanning_tree_of_the_others():
    line = torch.tensor([[[0.0], [1.0], [3.0], [7.0]]])
    assert mst(line).tolist() == [[6.0, 7.0, 7.0, 3.0]]


def test_preranks_leave_nan_hypotheses_out(world):
    x, y = world(600, 12)
    x[torch.rand(600, 12, generator=torch.Generator().manual_seed(0)) < 0.2] = torch.nan
    histogram = rank_histogram(x, y, of="pose", statistic="energy")
    assert histogram.p_values().item() > 0.005


def test_pit_shapes(world):
    x, y = world(2000, 19)
    mean = x.mean(1, keepdim=True)
    assert set(rank_histogram(x, y).shapes()) == {"flat"}
    assert set(rank_histogram(mean + 0.5 * (x - mean), y).shapes()) == {"u"}
    assert set(rank_histogram(mean + 2 * (x - mean), y).shapes()) == {"hump"}
    with pytest.raises(OptionError, match="one coordinate"):
        rank_histogram(x, y, of="joint")


def test_p_values_are_uniform_under_the_null_and_tiny_otherwise():
    g = torch.Generator().manual_seed(0)
    flat = torch.randint(0, 21, (200, 400), generator=g)
    counts = torch.stack([torch.bincount(row, minlength=21) for row in flat])
    cells = tuple(str(i) for i in range(200))
    histogram = RankHistogram(counts, torch.full((200,), 400.0), cells)
    for test in ("ks", "cvm", "chi2"):
        assert kstest(histogram.p_values(test).numpy(), "uniform").pvalue > 0.001
    tilted = RankHistogram(torch.arange(21)[None] * 10, torch.tensor([2100.0]), ("a",))
    assert tilted.p_values().item() < 2e-4
    with pytest.raises((OptionError, TypeCheckError), match="test"):
        histogram.p_values("t")


def test_density_rebins_exactly():
    flat = RankHistogram(torch.full((1, 7), 3.0), torch.tensor([21.0]), ("a",))
    assert torch.allclose(flat.density(20), torch.ones(1, 20, dtype=torch.float64))
    assert flat.mean.item() == pytest.approx(0.5)
    assert flat.dispersion.item() == pytest.approx(0.0, abs=1e-12)


def test_adjusted_p_values_match_scipy():
    from scipy.stats import false_discovery_control

    p = torch.rand(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 3
    assert torch.allclose(
        benjamini_hochberg(p), torch.as_tensor(false_discovery_control(p.numpy()))
    )
    assert (holm(p) >= benjamini_hochberg(p)).all()
    gap = torch.cat([p, torch.tensor([torch.nan])])
    assert torch.equal(holm(gap)[:-1], holm(p))


@pytest.mark.parametrize("references", ["uniform", "other", "hypothesis"])
@pytest.mark.parametrize("s", [5, 60])
def test_tarp_is_flat_when_right_and_signed_when_wrong(references, s):
    g = torch.Generator().manual_seed(1)
    mean = torch.randn(2000, 4, generator=g, dtype=torch.float64)
    x = torch.randn(s + 1, 2000, 4, generator=g, dtype=torch.float64)
    right = tarp(mean + x[1:], mean + x[0], references=references)
    wide = tarp(mean + 2 * x[1:], mean + x[0], references=references)
    narrow = tarp(mean + 0.5 * x[1:], mean + x[0], references=references)
    assert abs(right.area_to_curve) < 0.02
    assert right.histogram.p_values().item() > 0.001
    assert wide.area_to_curve > 0.03
    assert narrow.area_to_curve < -0.03


def test_tarp_refuses_what_it_cannot_place():
    x = torch.zeros(4, 5, 2)
    with pytest.raises(ShapeError, match="S, N, D"):
        tarp(x, torch.zeros(4, 2))
    with pytest.raises(ShapeError, match="References"):
        tarp(x, torch.zeros(5, 2), references=torch.zeros(3, 2))
    with pytest.raises(OptionError, match="NaN"):
        tarp(x * torch.nan, torch.zeros(5, 2))
    with pytest.raises(OptionError, match="two items"):
        tarp(x[:, :1], torch.zeros(1, 2), references="other")


CAMERA = Camera(torch.tensor([1000.0, 1000.0]), torch.tensor([500.0, 500.0]), (1000, 1000))
SIGMA, PRIOR = 0.05, 0.2


def simulate(noise: NoiseSource) -> tuple[Poses3D, Keypoints2D]:
    """A knee with a normal prior, seen at 3 m by a camera so far away that it is orthographic."""
    joints = PRIOR * noise((1, 1, 2, 3))[0].double()
    joints[:, 0] = 0
    seen = joints[..., :2] + SIGMA * noise((1, 1, 2, 2))[0].double()
    return Poses3D(joints, STICK), Keypoints2D(500 + 1000 * seen, STICK, camera=CAMERA)


@dataclass(frozen=True)
class ExactSampler:
    """The posterior in closed form; ``spread`` other than 1 makes it wrong."""

    spread: float = 1.0

    @property
    def skeleton(self) -> Skeleton:
        return STICK

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        gain = PRIOR**2 / (PRIOR**2 + SIGMA**2)
        mean = torch.zeros(1, 2, 3, dtype=torch.float64)
        mean[..., :2] = gain * (keypoints.xy.double() - 500) / 1000
        sd = torch.tensor([SIGMA * gain**0.5] * 2 + [PRIOR], dtype=torch.float64)
        x = mean + self.spread * sd * noise((n_hypotheses, 1, 2, 3)).double()
        x[..., 0, :] = 0
        return Hypotheses(x, STICK)


def test_sbc_accepts_the_posterior_and_rejects_half_and_double_its_spread():
    quantities = ("axis", "bone_length")
    right = run_sbc(ExactSampler(), simulate, 150, n_hypotheses=19, of=quantities, seed=1)
    assert right.ranks.shape == (150, 4)
    check = right.check()
    assert check.passed()
    assert set(check.shapes) == {"flat"}
    for spread, shape in ((0.5, "u"), (2.0, "hump")):
        wrong = run_sbc(ExactSampler(spread), simulate, 150, n_hypotheses=19)
        assert not wrong.check(adjust="bh").passed()
        assert set(wrong.check().shapes) == {shape}


def test_sbc_is_repeatable_and_names_what_it_cannot_rank():
    a, b = (run_sbc(ExactSampler(), simulate, 3, n_hypotheses=5, seed=4) for _ in range(2))
    assert torch.equal(a.ranks, b.ranks)
    with pytest.raises(OptionError, match="scalars"):
        run_sbc(ExactSampler(), simulate, 3, n_hypotheses=5, of=("joint",))
    with pytest.raises(OptionError, match="at least one"):
        run_sbc(ExactSampler(), simulate, 0)
    with pytest.raises(OptionError, match="holm"):
        a.check(adjust="bonferroni")


def test_equal_to_sbi_on_shared_samples():
    """``sbi`` itself, where it is installed; its recorded outputs are compared in tests/golden."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(101, 300, 4, generator=g)
    samples, truth = x[1:], 1.3 * x[0]
    ours = sbc_from_samples(samples, truth)
    references = torch.rand(300, 4, generator=g)
    result = tarp(samples, truth, references=references, normalize=False)
    from hypopose.calibration.tarp import histogram_ecp

    ecp, alpha = histogram_ecp(result.credibility[0], 30)
    if importlib.util.find_spec("sbi") is None:
        ranks = (samples < truth).sum(0)
        assert torch.equal(ours.ranks, ranks)
        pytest.skip("sbi is not installed (extra 'sbi'); its recorded outputs are compared instead")
    from sbi.diagnostics.sbc import _run_sbc
    from sbi.diagnostics.tarp import _run_tarp

    theirs = _run_sbc(truth, truth, samples, show_progress_bar=False)
    assert torch.equal(ours.ranks, theirs.long())
    their_ecp, their_alpha = _run_tarp(samples, truth, references, num_bins=30)
    assert torch.allclose(ecp, their_ecp, atol=1e-6)
    assert torch.allclose(alpha, their_alpha, atol=1e-6)


@pytest.mark.parametrize("s", [2, 5, 50])
def test_spread_equals_skill_when_calibrated(world, s):
    def ratio(spread: float) -> float:
        accumulator = SpreadAccumulator()
        accumulator.update(*world(3000, s, spread=spread))
        return accumulator.compute().ratio

    assert ratio(1.0) == pytest.approx(1, abs=0.03)
    # A center that wanders with the hypotheses lessens what half the spread shows at small s.
    assert ratio(0.5) < 0.7
    assert ratio(2.0) > 1.1


def test_spread_ranks_errors_and_merges(world):
    x, y = world(1000, 20)
    whole, left, right = SpreadAccumulator(), SpreadAccumulator(), SpreadAccumulator()
    whole.update(x, y)
    left.update(x[:300], y[:300])
    right.update(x[300:], y[300:])
    left.merge(right)
    a, b = whole.compute(), left.compute()
    assert a.ause == pytest.approx(b.ause)
    assert a.n == 4000
    assert 0 < a.ause < 0.5
    assert a.spearman > 0.5
    assert a.selective_error(0.5) < a.selective_error(1.0)
    assert a.ence < 0.1
    assert (a.oracle_sparsification <= a.sparsification + 1e-9).all()
    shuffled = SpreadAccumulator()
    noise = torch.randn(1000, 20, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    shuffled.update(y[:, None] + noise + (x - y[:, None]), y)
    assert shuffled.compute().ause > a.ause
    with pytest.raises(OptionError, match="two or more"):
        SpreadAccumulator().update(x[:, :1], y)
    with pytest.raises(OptionError, match="update"):
        SpreadAccumulator().compute()


def test_sharpness_of_a_normal():
    x = 0.1 * torch.randn(4000, 3, 1, 3, generator=torch.Generator().manual_seed(0))
    result = sharpness(x)
    assert result.pair_distance.item() == pytest.approx(0.4 / math.pi**0.5, rel=0.02)
    assert result.std.flatten().tolist() == pytest.approx([0.1] * 3, rel=0.02)
    assert result.radius[0].item() == pytest.approx(0.1 * 1.5382, rel=0.02)
    assert result.log_det.item() == pytest.approx(6 * math.log(0.1), abs=0.1)
    with pytest.raises(OptionError, match="two hypotheses"):
        sharpness(x[:1])


def sums(values: torch.Tensor) -> dict[int, tuple[float, float]]:
    """Sum and number of the values of each sequence (a row)."""
    return {i: (float(row.sum()), float(len(row))) for i, row in enumerate(values.double())}


def test_cluster_bootstrap_covers_and_pairing_helps():
    g = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(100):
        values = torch.randn(25, 1, generator=g) + 0.1 * torch.randn(25, 40, generator=g)
        low, high = cluster_bootstrap(np.asarray(list(sums(values).values())), n_draws=400)
        hits += low < 0 < high
    assert hits >= 85
    hard = torch.randn(25, 1, generator=g) * 5
    a = sums(hard + torch.randn(25, 9, generator=g))
    b = sums(hard + 1 + torch.randn(25, 9, generator=g))
    paired = paired_difference(a, b)
    assert paired.high < 0
    assert paired.p_value < 0.01
    same = paired_difference(a, sums(hard + torch.randn(25, 9, generator=g)))
    assert same.low < 0 < same.high
    assert same.p_value > 0.01
    with pytest.raises(OptionError, match="same sequences"):
        paired_difference(a, {"x": (1.0, 1.0)})


def test_one_sequence_and_values_that_are_never_finite_have_no_interval():
    for rows in (np.array([[3.0, 2.0]]), np.zeros((4, 2))):
        assert np.isnan(cluster_bootstrap(rows)).all()

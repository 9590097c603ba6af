"""Fit on one half, hold on the other: coverage, guarantees, files."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from hypopose.calibration import (
    CALIBRATORS,
    Chain,
    ConformalBalls,
    IsotonicRadii,
    SpreadScaling,
    ece,
    load_calibrator,
    save_calibrator,
)
from hypopose.calibration.conformal import joint_groups
from hypopose.errors import FormatError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.skeletons import get_skeleton
from hypopose.types import Hypotheses, Poses3D, Skeleton

LIMB = Skeleton("limb", ("hip", "knee", "ankle", "toe"), (-1, 0, 1, 2))
LEVELS = (0.5, 0.8, 0.95)


def pair(world, n, s, *, spread=1.0, seed=0, frames=1, tails=False):
    """Hypotheses and truth in LIMB, the root at zero; ``tails``: a truth with heavier tails."""
    x, y = world(n, s, spread=spread, seed=seed, frames=frames)
    if tails:
        mean = world(n, s, spread=0.0, seed=seed, frames=frames)[0][:, 0]
        g = torch.Generator().manual_seed(seed + 1)
        heavy = torch.rand(n, frames, 1, 1, generator=g, dtype=torch.float64)
        y = mean + (y - mean) * (0.3 + heavy / (1.05 - heavy)).sqrt()
    x[..., 0, :], y[..., 0, :] = 0, 0
    return Hypotheses(x, LIMB), Poses3D(y, LIMB)


FITS = {
    "pose": lambda data: SpreadScaling.fit(data, per="pose"),
    "joint": lambda data: SpreadScaling.fit(data, per="joint"),
    "axis": SpreadScaling.fit,
    "isotonic": IsotonicRadii.fit,
    "chain": Chain.fit,
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("spread", [0.4, 1.0, 2.5])
def test_coverage_is_within_two_percent_after_fitting(world, fit, spread):
    calibrator = FITS[fit]([pair(world, 1500, 20, spread=spread, seed=1)])
    hypotheses, truth = pair(world, 2500, 20, spread=spread, seed=2)
    before = ece(hypotheses, truth, levels=LEVELS)
    after = ece(calibrator.transform(hypotheses), truth, levels=LEVELS)
    assert (after.curve - after.levels).abs().max() < 0.02
    if spread != 1:
        assert (before.curve - before.levels).abs().max() > 0.2


def recordings(n, n_frames=3):
    """Sequences of their own difficulty: errors of a sequence are correlated, hypotheses narrow."""
    g = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(n, *shape, generator=g, dtype=torch.float64)  # noqa: E731
    hard = (0.3 * draw(1, 1, 1, 1)).exp()
    scale = 0.05 * hard * torch.tensor([0.0, 0.5, 1.0, 1.5], dtype=torch.float64)[:, None]
    shared, own = draw(1, 1, 4, 3), draw(1, n_frames, 4, 3)
    truth = scale * (0.6 * shared + 0.8 * own)
    x = 0.4 * scale * draw(20, n_frames, 4, 3) * torch.tensor([1.0, 1.0, 2.0])
    return Hypotheses(x, LIMB), Poses3D(truth[:, 0], LIMB), hard.flatten()


def coverage_on(rest, calibrator):
    hypotheses, truth = rest
    if isinstance(calibrator, ConformalBalls):
        inside = [calibrator.regions(hypotheses, q).contains(truth)[..., 1:] for q in LEVELS]
        return torch.stack([i.double().mean() for i in inside])
    return ece(calibrator.transform(hypotheses), truth, levels=LEVELS).curve


@pytest.mark.parametrize("fit", ["axis", "isotonic", "chain", "conformal"])
def test_an_exchangeable_split_is_covered_within_two_percent(fit):
    """Sequences drawn for both sides at random from one pool; then the easy against the hard.

    1000 sequences on each side leave about 0.9 points of chance (one sigma). Radii in spreads carry
    over to harder sequences whose hypotheses are as much wider; radii in meters do not.
    """
    x, y, hard = recordings(2000)
    at_random = torch.randperm(2000, generator=torch.Generator().manual_seed(1))
    off = {}
    for name, order in {"random": at_random, "easy first": hard.argsort()}.items():
        halves = [
            (Hypotheses(x.joints[rows], LIMB), Poses3D(y.joints[rows], LIMB))
            for rows in (order[:1000], order[1000:])
        ]
        given = {"levels": LEVELS, "scaled": False} if fit == "conformal" else {}
        made = ConformalBalls.fit if fit == "conformal" else FITS[fit]
        covered = coverage_on(halves[1], made([halves[0]], **given))
        off[name] = (covered - torch.tensor(LEVELS)).abs().max()
    assert off["random"] < 0.02
    if fit == "conformal":  # fitted with radii in meters
        assert off["easy first"] > 0.05


def test_one_factor_cannot_mend_a_shape_and_the_score_chooses_it_well():
    """A cloud 0.4 wide and 0.8 deep, errors round: 1.8 is best, and none covers all levels."""
    x, y, _ = recordings(2000)
    fitted = SpreadScaling.fit([(x, y)], per="pose")
    assert fitted.tau[1, 0].item() == pytest.approx(1.80, abs=0.03)
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    off = {}
    for tau in (1.6, 1.7, 1.8, 1.86, 1.9, 2.0):
        scaling = replace(fitted, tau=torch.full((4, 3), tau, dtype=torch.float64))
        off[tau] = (coverage_on((x, y), scaling) - levels).abs().max().item()
    assert 0.022 < min(off.values()) < 0.045
    assert off[1.8] < 0.07 < off[1.6]
    axes = coverage_on((x, y), SpreadScaling.fit([(x, y)]))
    assert (axes - levels).abs().max() < 0.02


@pytest.mark.parametrize("s", [5, 20, 50])
def test_the_factor_does_not_depend_on_the_number_of_hypotheses(world, s):
    data = [pair(world, 1200, s, spread=0.5, seed=3)]
    assert SpreadScaling.fit(data, per="pose").tau[1:].mean().item() == pytest.approx(2, abs=0.1)
    assert SpreadScaling.fit(data).tau[1:].mean().item() == pytest.approx(2, abs=0.1)


def test_each_axis_gets_its_own_factor(world):
    hypotheses, truth = pair(world, 1500, 20)
    mean = hypotheses.joints.mean(1, keepdim=True)
    factor = torch.tensor([1.0, 1.0, 0.25], dtype=torch.float64)
    flat = Hypotheses(mean + factor * (hypotheses.joints - mean), LIMB)
    tau = SpreadScaling.fit([(flat, truth)]).tau
    assert torch.allclose(tau[1:, 2], torch.full((3,), 4.0).double(), rtol=0.12)
    assert torch.allclose(tau[1:, :2], torch.ones(3, 2).double(), rtol=0.12)
    assert (tau[0] == 1).all()


def test_isotonic_radii_mend_a_shape_that_scaling_cannot(world):
    fit, new = (pair(world, 2000, 20, seed=seed, tails=True) for seed in (1, 2))
    scaled = SpreadScaling.fit([fit], per="joint").transform(new[0])
    bent = Chain.fit([fit], per="joint").transform(new[0])
    assert ece(bent, new[1]).ece < ece(new[0], new[1]).ece
    assert ece(bent, new[1]).ece < 0.7 * ece(scaled, new[1]).ece


def test_few_sequences_widen_radii_for_new_ones(world):
    data = [pair(world, 300, 10)]
    plain, wary = IsotonicRadii.fit(data), IsotonicRadii.fit(data, n_sequences=10)
    assert torch.equal(plain.before, wary.before)
    assert (wary.after[1:] >= plain.after[1:]).all()
    covered = ece(wary.transform(data[0][0]), data[0][1], levels=(0.5, 0.8)).curve
    assert covered.tolist() == pytest.approx([0.55, 0.88], abs=0.03)


@pytest.mark.parametrize("fit", FITS)
def test_transform_keeps_mean_order_nan_and_root_positions(world, fit):
    hypotheses, truth = pair(world, 40, 8, spread=0.5, frames=3)
    root = torch.randn(40, 8, 3, 3).double()
    hypotheses = Hypotheses(hypotheses.joints, LIMB, root)
    calibrator = FITS[fit]([(hypotheses, truth)])
    moved = calibrator.transform(hypotheses)
    x, z = hypotheses.joints, moved.joints
    assert moved.root is root
    assert (z[..., 0, :] == 0).all()
    if fit in ("pose", "joint", "axis"):
        assert torch.allclose(x.mean(1), z.mean(1))
    batchless = calibrator.transform(Hypotheses(x[0], LIMB)).joints
    assert torch.allclose(batchless, z[0])
    x = x.clone()
    x[0, 0, 0, 1] = torch.nan
    gone = calibrator.transform(Hypotheses(x, LIMB)).joints
    assert gone[0, 0, 0, 1].isnan().all()
    assert int(gone.isnan().sum()) == 3
    point = calibrator.transform(Hypotheses(truth.joints[:, None], LIMB)).joints
    assert torch.allclose(point[:, 0], truth.joints)


def test_fitting_in_batches_is_fitting_at_once(world):
    hypotheses, truth = pair(world, 90, 6, spread=0.7, frames=2)
    parts = [
        (Hypotheses(hypotheses.joints[i : i + 30], LIMB), Poses3D(truth.joints[i : i + 30], LIMB))
        for i in (0, 30, 60)
    ]
    a, b = SpreadScaling.fit([(hypotheses, truth)]), SpreadScaling.fit(iter(parts))
    assert torch.allclose(a.tau, b.tau)
    assert a.fitted == b.fitted
    assert (a.fitted.n_hypotheses, a.fitted.n_frames) == (6, 180)
    one, many = IsotonicRadii.fit([(hypotheses, truth)]), IsotonicRadii.fit(parts)
    assert torch.equal(one.after, many.after)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_conformal_balls_cover_new_sequences_whatever_the_spread(world, scaled, spread):
    fit, new = (pair(world, 1500, 10, spread=spread, seed=s) for s in (1, 2))
    balls = ConformalBalls.fit([fit], levels=LEVELS, scaled=scaled)
    for level in LEVELS:
        inside = balls.regions(new[0], level).contains(new[1])[..., 1:]
        assert inside.mean().item() == pytest.approx(level, abs=0.025)


def test_conformal_guarantee_counts_sequences(world):
    """Averaged over many fits, coverage is at least nominal though frames repeat each other."""
    covered = []
    for seed in range(150):
        x, y = world(20, 5, joints=2, seed=seed)
        x, y = x.repeat(1, 1, 30, 1, 1), y.repeat(1, 30, 1, 1)
        skeleton = Skeleton("two", ("a", "b"), (-1, 0))
        fit = Hypotheses(x[:19], skeleton), Poses3D(y[:19], skeleton)
        balls = ConformalBalls.fit([fit], levels=(0.8, 0.96))
        new = Hypotheses(x[19:], skeleton)
        covered.append(balls.regions(new, 0.8).contains(y[19:])[..., 1].mean())
        assert balls.n_units == 19
        assert math.isinf(balls.regions(new, 0.96).radius[0, 0, 1])
    assert torch.stack(covered).mean().item() == pytest.approx(0.8, abs=0.08)


def test_blocks_and_labels_define_the_units(world):
    hypotheses, truth = pair(world, 6, 5, frames=10)
    data = [(hypotheses, truth)]
    assert ConformalBalls.fit(data).n_units == 6
    assert ConformalBalls.fit(data, sequences=[["a", "a", "b", "b", "c", "c"]]).n_units == 3
    assert ConformalBalls.fit(data, block=4).n_units == 18
    assert ConformalBalls.fit(data, block=5, sequences=[list("aabbcc")]).n_units == 12
    with pytest.raises(ShapeError, match="labels"):
        ConformalBalls.fit(data, sequences=[["a"]])


def test_mondrian_groups_share_a_radius(world):
    data = [pair(world, 200, 8)]
    groups = {"far": ["ankle", "toe"], "near": ["hip", "knee"]}
    balls = ConformalBalls.fit(data, groups=groups, scaled=False)
    assert balls.group_names == ("far", "near")
    radius = balls.regions(data[0][0], 0.8).radius[0, 0]
    assert radius[2] == radius[3] > radius[0] == radius[1]
    assert ConformalBalls.fit(data, groups="all").radii.shape == (1, 4)
    with pytest.raises(OptionError, match="groups"):
        joint_groups(LIMB, "limbs")
    with pytest.raises(SkeletonMismatchError, match="no joint"):
        joint_groups(LIMB, {"far": ["hand"]})


def test_a_point_predictor_gets_balls_but_no_scaled_ones(world):
    fit = pair(world, 300, 1)
    balls = ConformalBalls.fit([fit], scaled=False)
    inside = balls.regions(fit[0], 0.8).contains(fit[1])[..., 1:]
    assert inside.mean().item() == pytest.approx(0.8, abs=0.02)
    for call in (ConformalBalls.fit, SpreadScaling.fit, IsotonicRadii.fit):
        with pytest.raises(OptionError, match="hypotheses or more"):
            call([fit])


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("spread", [0.4, 2.5])
def test_hypotheses_moved_to_conformal_radii_hold_what_the_balls_hold(world, spread, scaled):
    hypotheses, truth = pair(world, 800, 20, spread=spread)
    fit = Hypotheses(hypotheses.joints[:400], hypotheses.skeleton)
    balls = ConformalBalls.fit([(fit, Poses3D(truth.joints[:400], truth.skeleton))], scaled=scaled)
    new, y = Hypotheses(hypotheses.joints[400:], hypotheses.skeleton), truth.joints[400:]
    moved = balls.transform(new)
    assert torch.allclose(moved.joints.mean(1), new.joints.mean(1), atol=1e-9)
    before, after = (ece(x, y).curve for x in (new, moved))
    levels = torch.arange(1, 20) / 20
    assert (before - levels).abs().max() > 0.2
    assert (after - levels)[9:].abs().max() < 0.05  # from 50 %, the least level fitted
    inside = balls.regions(new, 0.8).contains(y)[..., 1:].mean()
    assert after[15].item() == pytest.approx(inside.item(), abs=0.05)


def test_files_give_the_same_object_back(world, tmp_path):
    hypotheses, truth = pair(world, 30, 6, spread=0.5)
    data = [(hypotheses, truth)]
    fitted = {name: fit(data) for name, fit in FITS.items()}
    fitted["balls"] = ConformalBalls.fit(data, levels=(0.5, 0.99))
    for name, calibrator in fitted.items():
        path = tmp_path / f"{name}.json"
        save_calibrator(calibrator, path)
        again = load_calibrator(path)
        assert type(again) is type(calibrator)
        if name == "balls":
            assert torch.equal(again.radii, calibrator.radii)
            assert math.isinf(again.radii[1, 1])
        expected = calibrator.transform(hypotheses).joints
        assert torch.equal(again.transform(hypotheses).joints, expected)
    assert {json.loads((tmp_path / f"{n}.json").read_text())["kind"] for n in fitted} == set(
        CALIBRATORS
    )
    assert len(list(tmp_path.iterdir())) == len(fitted)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "hypopose-calibrator", "version": 1, "kind": "magic"}',
     '{"format": "hypopose-calibrator", "version": 1, "kind": "spread_scaling", "tau": "wide"}',
     '{"format": "hypopose-calibrator", "version": 1, "kind": "chain", "steps": []}',
     '{"format": "hypopose-calibrator", "version": 2, "kind": "chain", "steps": []}'],
)  # fmt: skip
def test_a_bad_file_is_named(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"bad\.json"):
        load_calibrator(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"none\.json"):
        load_calibrator(tmp_path / "none.json")


def test_other_skeletons_and_empty_fits_are_refused(world):
    data = [pair(world, 20, 6)]
    other = Hypotheses(torch.zeros(6, 1, 17, 3).double(), get_skeleton("h36m17"))
    for fit in FITS.values():
        with pytest.raises(SkeletonMismatchError, match="fitted for"):
            fit(data).transform(other)
        with pytest.raises(OptionError, match="nothing to fit"):
            fit([])
    balls = ConformalBalls.fit(data)
    with pytest.raises(SkeletonMismatchError, match="fitted for"):
        balls.regions(other, 0.5)
    with pytest.raises(OptionError, match="fit it"):
        balls.regions(data[0][0], 0.77)
    with pytest.raises(OptionError, match="Levels"):
        ConformalBalls.fit(data, levels=(1.0,))
    with pytest.raises(OptionError, match="nothing to fit"):
        ConformalBalls.fit([])
    with pytest.raises(OptionError, match="same number"):
        SpreadScaling.fit([*data, pair(world, 20, 7)])
    mixed = (
        Hypotheses(other.joints[None], other.skeleton),
        Poses3D(torch.zeros(1, 1, 17, 3).double(), other.skeleton),
    )
    with pytest.raises(SkeletonMismatchError, match="one skeleton"):
        SpreadScaling.fit([*data, mixed])
    with pytest.raises(OptionError, match="at least one"):
        Chain(())
    with pytest.raises(SkeletonMismatchError, match="one skeleton"):
        Chain((SpreadScaling.fit(data), SpreadScaling.fit([(
            Hypotheses(torch.randn(2, 3, 1, 17, 3).double(), other.skeleton),
            Poses3D(torch.randn(2, 1, 17, 3).double(), other.skeleton),
        )])))  # fmt: skip

"""Laws of every aggregator and oracle; a new member joins by its name in the tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from scipy.spatial.transform import Rotation

from hypopose.aggregation import (
    AGGREGATORS,
    FALLBACK,
    ORACLES,
    jpma,
    jpma_index,
    mean,
    median,
    medoid,
    oracle_joint_best,
    oracle_pose_best,
    ppma,
    ppma_index,
    resample,
    silhouette,
    silhouette_weights,
    spread,
)
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import (
    MissingCameraError,
    OptionError,
    ShapeError,
    SkeletonMismatchError,
)
from hypopose.metrics import joint_errors
from hypopose.rendering.silhouettes import render_bodies
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Silhouettes, Skeleton


@cache
def true_silhouettes() -> Silhouettes:
    """What masks show of the body around the truth, in 3 of the 12 frames."""
    keypoints, truth = example_pair(12)
    window = torch.tensor([[300.0, 200.0, 600.0]]).expand(3, 3)
    frames = torch.tensor([0, 5, 10])
    placed = (truth.joints + truth.root[:, None])[frames]
    inside = (render_bodies(placed, keypoints.camera, window, 32).alpha > 0.5).float()
    record = {"file": "truth", "frames": 12, "looks": 3, "notes": []}
    return Silhouettes(frames, inside, torch.ones_like(inside), window, record=record)


def noisy(
    h: int = 6, sigma: float = 0.05, seed: int = 0
) -> tuple[Hypotheses, Keypoints2D, Poses3D]:
    keypoints, truth = example_pair(12)
    noise = torch.randn(h, 12, 17, 3, generator=torch.Generator().manual_seed(seed))
    noise[..., 0, :] = 0
    x = truth.joints + sigma * noise
    keypoints = replace(keypoints, silhouettes=true_silhouettes())
    return Hypotheses(x, H36M17, root=truth.root.expand(h, -1, -1)), keypoints, truth


BOTH: dict[str, Callable[[Hypotheses, Keypoints2D, Poses3D], Poses3D]] = {
    **{name: (lambda h, k, t, f=f: f(h, k)) for name, f in AGGREGATORS.items()},
    **{name: (lambda h, k, t, f=f: f(h, t)) for name, f in ORACLES.items()},
    "medoid per clip": lambda h, k, t: medoid(h, k, level="clip"),
    "oracle_pose_best per clip": lambda h, k, t: oracle_pose_best(h, t, level="clip"),
    "oracle_pose_best per batch": lambda h, k, t: oracle_pose_best(h, t, level="batch"),
}


@pytest.mark.parametrize("name", BOTH)
def test_law_aggregating_copies_of_one_pose_returns_it(name: str) -> None:
    hypotheses, keypoints, truth = noisy(h=1)
    copies = Hypotheses(hypotheses.joints.expand(5, -1, -1, -1), H36M17)
    pose = BOTH[name](copies, keypoints, truth)
    torch.testing.assert_close(pose.joints, hypotheses.joints[0], rtol=0, atol=1e-6)
    assert pose.std.abs().max() < 1e-6


@pytest.mark.parametrize("name", BOTH)
def test_law_order_of_hypotheses_does_not_matter(name: str) -> None:
    hypotheses, keypoints, truth = noisy()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = Hypotheses(hypotheses.joints[order], H36M17, root=hypotheses.root[order])
    a, b = BOTH[name](hypotheses, keypoints, truth), BOTH[name](shuffled, keypoints, truth)
    torch.testing.assert_close(a.joints, b.joints, rtol=0, atol=1e-6)
    torch.testing.assert_close(a.std, b.std, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in BOTH if "batch" not in name])
def test_law_batch_axes_are_independent(name: str) -> None:
    a, keypoints, truth = noisy(seed=0)
    b, _, _ = noisy(seed=1)
    both = Hypotheses(torch.stack((a.joints, b.joints)), H36M17)
    xy = keypoints.xy.expand(2, -1, -1, -1)
    two = replace(keypoints, xy=xy, confidence=torch.ones(xy.shape[:-1]))
    target = Poses3D(truth.joints.expand(2, -1, -1, -1), H36M17)
    pose = BOTH[name](both, two, target)
    for i, single in enumerate((a, b)):
        alone = BOTH[name](single, keypoints, truth)
        torch.testing.assert_close(pose.joints[i], alone.joints, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", BOTH)
def test_law_result_lies_within_the_hypotheses_and_carries_their_spread(name: str) -> None:
    hypotheses, keypoints, truth = noisy()
    pose = BOTH[name](hypotheses, keypoints, truth)
    low, high = hypotheses.joints.amin(0) - 1e-6, hypotheses.joints.amax(0) + 1e-6
    assert ((pose.joints >= low) & (pose.joints <= high)).all()
    torch.testing.assert_close(pose.std, hypotheses.joints.std(0))


@pytest.mark.parametrize("name", [n for n in BOTH if "oracle" in n])
def test_law_an_oracle_is_never_worse_than_the_average_hypothesis(name: str) -> None:
    for seed in range(5):
        hypotheses, keypoints, truth = noisy(seed=seed)
        average = joint_errors(hypotheses.joints, truth.joints[None]).mean()
        pose = BOTH[name](hypotheses, keypoints, truth)
        assert joint_errors(pose.joints, truth.joints).mean() <= average


@pytest.mark.parametrize("name", AGGREGATORS)
def test_law_no_aggregator_sees_the_truth_and_one_hypothesis_comes_back(name: str) -> None:
    hypotheses, keypoints, _ = noisy(h=1)
    pose = AGGREGATORS[name](hypotheses, keypoints)
    torch.testing.assert_close(pose.joints, hypotheses.joints[0])
    assert pose.std.isnan().all()  # one hypothesis says nothing about spread


def test_mean_and_medoid_commute_with_rotation() -> None:
    hypotheses, _, _ = noisy()
    r = torch.from_numpy(Rotation.random(random_state=1).as_matrix()).float()
    turned = Hypotheses(hypotheses.joints @ r.T, H36M17)
    for aggregator in (mean, medoid):
        torch.testing.assert_close(
            aggregator(turned).joints, aggregator(hypotheses).joints @ r.T, rtol=0, atol=1e-6
        )


def test_median_of_an_even_number_averages_the_middle_two() -> None:
    x = torch.tensor([0.0, 1.0, 2.0, 10.0]).view(4, 1, 1, 1).expand(4, 1, 17, 3)
    assert (median(Hypotheses(x, H36M17)).joints == 1.5).all()


def test_medoid_is_one_of_the_hypotheses_and_so_is_its_root() -> None:
    hypotheses, _, _ = noisy()
    root = torch.randn(6, 12, 3, generator=torch.Generator().manual_seed(5))
    pose = medoid(Hypotheses(hypotheses.joints, H36M17, root=root))
    for f in range(12):
        match = (hypotheses.joints[:, f] == pose.joints[f]).all(-1).all(-1)
        assert int(match.sum()) == 1
        assert torch.equal(pose.root[f], root[match, f][0])
    with pytest.raises(OptionError, match="'frame' or per 'clip'"):
        medoid(hypotheses, level="video")


@pytest.mark.parametrize("aggregator", [mean, median, medoid])
def test_a_nan_hypothesis_is_not_left_out_in_silence(aggregator) -> None:
    hypotheses, _, _ = noisy()
    x = hypotheses.joints.clone()
    x[2, 5, 16] = math.nan
    pose = aggregator(Hypotheses(x, H36M17))
    assert pose.joints[5, 16].isnan().all()
    assert pose.joints[4].isfinite().all()


def test_roots_follow_the_joints() -> None:
    hypotheses, keypoints, truth = noisy(sigma=0.01)
    for name in ("mean", "median", "medoid"):
        torch.testing.assert_close(AGGREGATORS[name](hypotheses, keypoints).root, truth.root)
    for name in ("jpma", "ppma", "silhouette"):
        root = AGGREGATORS[name](hypotheses, keypoints).root
        assert (root - truth.root).norm(dim=-1).max() < 0.2  # fitted, not given


# JPMA and PPMA ------------------------------------------------------------------------------------


@pytest.mark.parametrize("choose", [jpma, ppma])
def test_reprojection_beats_the_average_when_errors_show_in_the_image(choose) -> None:
    hypotheses, keypoints, truth = noisy(h=10)
    pose = choose(hypotheses, keypoints)
    average = joint_errors(hypotheses.joints, truth.joints[None]).mean()
    assert joint_errors(pose.joints, truth.joints).mean() < 0.9 * average


def test_jpma_finds_the_planted_joints_with_the_given_root() -> None:
    hypotheses, keypoints, truth = noisy(h=4)
    planted = torch.randint(4, (12, 17), generator=torch.Generator().manual_seed(3))
    wide = planted[None, ..., None] == torch.arange(4).view(4, 1, 1, 1)
    x = torch.where(wide, truth.joints, hypotheses.joints)
    mixed = Hypotheses(x, H36M17)
    index = jpma_index(mixed, keypoints, root=truth.root)
    assert torch.equal(index[:, 1:], planted[:, 1:])
    assert (index[:, 0] == 0).all()  # the root ties: the lowest index
    pose = jpma(mixed, keypoints, root=truth.root)
    torch.testing.assert_close(pose.joints, truth.joints)


def test_ppma_finds_the_planted_pose_without_a_given_root() -> None:
    hypotheses, keypoints, truth = noisy(h=5)
    x = hypotheses.joints.clone()
    for f in range(12):
        x[f % 5, f] = truth.joints[f]
    index = ppma_index(Hypotheses(x, H36M17), keypoints)
    assert index.tolist() == [f % 5 for f in range(12)]


def test_missing_keypoints_fall_back_to_the_mean() -> None:
    hypotheses, keypoints, truth = noisy()
    xy = keypoints.xy.clone()
    xy[:, 16] = math.nan
    xy[7] = math.nan
    holes = replace(keypoints, xy=xy)
    index = jpma_index(hypotheses, holes, root=truth.root)
    assert (index[:, 16] == FALLBACK).all()
    assert (index[7] == FALLBACK).all()
    pose, middle = jpma(hypotheses, holes), mean(hypotheses)
    torch.testing.assert_close(pose.joints[:, 16], middle.joints[:, 16])
    torch.testing.assert_close(pose.joints[7], middle.joints[7])
    assert ppma_index(hypotheses, holes, root=truth.root)[7] == FALLBACK
    torch.testing.assert_close(ppma(hypotheses, holes).joints[7], middle.joints[7])


def test_a_hypothesis_behind_the_camera_is_not_chosen() -> None:
    hypotheses, keypoints, truth = noisy(h=3)
    root = truth.root.expand(3, -1, -1).clone()
    root[0] *= -1  # mirrored through the pinhole: projects onto the same pixels
    index = jpma_index(hypotheses, keypoints, root=root)
    assert (index[:, 1:] != 0).all()


@pytest.mark.parametrize("choose", [jpma, ppma])
def test_what_reprojection_refuses(choose) -> None:
    hypotheses, keypoints, _ = noisy()
    with pytest.raises(MissingCameraError, match="with_camera"):
        choose(hypotheses, replace(keypoints, camera=None))
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="convert"):
        choose(hypotheses, replace(keypoints, skeleton=other))
    short, _ = example_pair(5)
    with pytest.raises(ShapeError, match="do not belong"):
        choose(hypotheses, short)


# Masks --------------------------------------------------------------------------------------------


def test_masks_that_fit_one_hypothesis_choose_it() -> None:
    hypotheses, keypoints, truth = noisy(h=5, sigma=0.08)
    x = hypotheses.joints.clone()
    x[3] = truth.joints
    planted = Hypotheses(x, H36M17)
    weights = silhouette_weights(planted, keypoints)
    torch.testing.assert_close(weights.sum(0), torch.ones(12))
    assert (weights.argmax(0) == 3).all()
    assert weights[3].min() > 0.7
    assert silhouette_weights(planted, keypoints, mask_error=0.02)[3].min() > 0.9
    error = joint_errors(silhouette(planted, keypoints).joints, truth.joints).mean()
    assert error < 0.4 * joint_errors(x[:3], truth.joints[None]).mean()
    sharp = silhouette_weights(planted, keypoints, mask_error=1e-4)
    assert sharp[3].min() > 0.999
    torch.testing.assert_close(resample(planted, sharp, seeded_noise(0)).joints, x[3].expand_as(x))


def test_masks_that_know_nothing_weigh_nothing() -> None:
    hypotheses, keypoints, _ = noisy()
    seen = true_silhouettes()
    blank = replace(seen, known=torch.zeros_like(seen.known))
    blind = replace(keypoints, silhouettes=blank)
    torch.testing.assert_close(silhouette_weights(hypotheses, blind), torch.full((6, 12), 1 / 6))
    middle = mean(hypotheses).joints
    torch.testing.assert_close(silhouette(hypotheses, blind).joints, middle, rtol=0, atol=1e-6)


def test_far_from_every_look_weights_become_equal() -> None:
    hypotheses, keypoints, _ = noisy()
    seen = true_silhouettes()
    first = Silhouettes(seen.frames[:1], seen.inside[:1], seen.known[:1], seen.window[:1])
    quick = replace(keypoints, silhouettes=first, fps=1.0)
    weights = silhouette_weights(hypotheses, quick)
    assert (weights[:, 0] - 1 / 6).abs().max() > 0.01
    torch.testing.assert_close(weights[:, 3:], torch.full((6, 9), 1 / 6))


def test_resampling_keeps_the_share_of_each_hypothesis() -> None:
    x = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 50, 17, 3)
    weights = torch.tensor([0.5, 0.0, 0.25, 0.25])[:, None].expand(4, 50)
    drawn = resample(Hypotheses(x, H36M17), weights, seeded_noise(0)).joints[..., 0, 0]
    counts = [(drawn == h).sum(0) for h in range(4)]
    assert [int(c.min()) for c in counts] == [2, 0, 1, 1]
    assert [int(c.max()) for c in counts] == [2, 0, 1, 1]


def test_what_silhouettes_refuse() -> None:
    hypotheses, keypoints, _ = noisy()
    with pytest.raises(OptionError, match="masks="):
        silhouette(hypotheses, replace(keypoints, silhouettes=None))
    with pytest.raises(MissingCameraError, match="with_camera"):
        silhouette(hypotheses, replace(keypoints, camera=None))
    with pytest.raises(OptionError, match="mask_error"):
        silhouette_weights(hypotheses, keypoints, mask_error=0.0)
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="h36m17"):
        silhouette(Hypotheses(hypotheses.joints, other), keypoints)


def test_oracles_refuse_what_does_not_fit() -> None:
    hypotheses, _, truth = noisy()
    with pytest.raises(OptionError, match="'frame', 'clip' or 'batch'"):
        oracle_pose_best(hypotheses, truth, level="video")
    with pytest.raises(ShapeError, match="need a truth"):
        oracle_joint_best(hypotheses, Poses3D(truth.joints[:5], H36M17))
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError):
        oracle_joint_best(hypotheses, replace(truth, skeleton=other))


def test_a_missing_joint_is_never_the_oracles_choice() -> None:
    hypotheses, _, truth = noisy()
    x = hypotheses.joints.clone()
    x[0] = math.nan
    pose = oracle_joint_best(Hypotheses(x, H36M17), truth)
    assert pose.joints.isfinite().all()


def test_oracles_are_labelled() -> None:
    assert all("oracle" in name for name in ORACLES)
    assert not any("oracle" in name for name in AGGREGATORS)
    assert all(not isinstance(f, partial) for f in AGGREGATORS.values())


def test_spread_of_two_hypotheses() -> None:
    x = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 17, 3)
    torch.testing.assert_close(spread(Hypotheses(x, H36M17)), torch.full((1, 17, 3), 2**0.5))

"""Feet of a walk that are known: lifted from exact 2D points, and from none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from hypopose.api import add_feet
from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.io import Result
from hypopose.optimization.feet import foot_points, lift_feet
from hypopose.optimization.foot_angles import autoregression, precision, prior_paths
from hypopose.optimization.stature import stature
from hypopose.quantities import QUANTITIES, BodyMotion
from hypopose.skeletons import BODY25, H36M17, H36M21, HALPE26, MEDIAPIPE33, SKELETONS
from hypopose.types import Hypotheses, Keypoints2D

H, F = 40, 50
FEET = ("left_heel", "left_big_toe", "right_heel", "right_big_toe")


def walk_with_feet() -> tuple[Keypoints2D, Hypotheses, torch.Tensor]:
    """Keypoints in BODY_25, hypotheses that are the true 17 joints, and the true 21 joints."""
    keypoints, truth = example_pair(F)
    assert truth.root is not None
    assert keypoints.camera is not None
    placed = truth.joints + truth.root[:, None]
    height = float(stature(truth.joints, H36M17))
    at = {n: placed[:, H36M17.index(n)] for n in H36M17.joint_names}
    left, up = at["left_hip"] - at["right_hip"], at["thorax"] - at["pelvis"]
    feet = []
    for side, phase in (("left", 0.0), ("right", 3.14)):
        down = functional.normalize(at[f"{side}_ankle"] - at[f"{side}_knee"], dim=-1)
        ahead = torch.linalg.cross(left, up)
        ahead = functional.normalize(ahead - (ahead * down).sum(-1, keepdim=True) * down, dim=-1)
        flex = torch.deg2rad(12 * torch.sin(torch.arange(F) / F * 12.6 + phase))[:, None]
        along = flex.cos() * ahead - flex.sin() * down
        sole = flex.cos() * down + flex.sin() * ahead
        ankle = at[f"{side}_ankle"]
        feet += [ankle + height * (0.039 * sole - 0.038 * along),
                 ankle + height * (0.034 * sole + 0.114 * along)]  # fmt: skip
    whole = torch.cat((placed, torch.stack(feet, 1)), 1)
    shown = project(whole, keypoints.camera)
    xy = torch.full((F, 25, 2), torch.nan)
    for name in BODY25.joint_names:
        if name in H36M21.joint_names:
            xy[:, BODY25.index(name)] = shown[:, H36M21.index(name)]
    seen = Keypoints2D(xy, BODY25, camera=keypoints.camera, fps=25.0)
    x = truth.joints.expand(H, F, 17, 3)
    return seen, Hypotheses(x, H36M17, truth.root.expand(H, F, 3)), whole


def lifted(seen: Keypoints2D, x: Hypotheses) -> torch.Tensor:
    found = lift_feet(x, seen, stature(x.joints, H36M17), seeded_noise(0))
    assert found.root is not None
    return found.joints + found.root[..., None, :]


def test_feet_are_near_the_truth_and_on_their_points() -> None:
    seen, x, whole = walk_with_feet()
    found = lifted(seen, x)
    assert torch.equal(found[..., :17, :], (x.joints + x.root[..., None, :]))
    error = (found[..., 17:, :] - whole[:, 17:]).norm(dim=-1)
    assert error.mean() < 0.04
    assert (found[..., 17:, :].mean(0) - whole[:, 17:]).norm(dim=-1).mean() < 0.03
    shown = project(found, seen.camera)[..., 17:, :]
    columns = [BODY25.index(name) for name in FEET]
    # A centimeter at 4.5 m is 2.5 px; rays that miss a small foot add a little.
    assert (shown - seen.xy[:, columns]).norm(dim=-1).median() < 4


def test_the_spread_holds_the_truth_and_is_mostly_depth() -> None:
    seen, x, whole = walk_with_feet()
    found = lifted(seen, x)[..., 17:, :]
    low, high = found.quantile(0.05, dim=0), found.quantile(0.95, dim=0)
    held = ((low <= whole[:, 17:]) & (whole[:, 17:] <= high)).double().mean((0, 1))
    assert held.min() > 0.6
    std = found.std(0).mean((0, 1))
    assert std[2] > 1.5 * std[0]


def test_ankles_flex_as_they_did() -> None:
    seen, x, whole = walk_with_feet()
    found = QUANTITIES["left_ankle_flexion"].compute(BodyMotion(lifted(seen, x), H36M21))
    true = QUANTITIES["left_ankle_flexion"].compute(BodyMotion(whole, H36M21))
    assert (found.mean(0) - true).abs().mean() < 8


def test_points_that_are_not_seen_leave_the_prior() -> None:
    seen, x, _ = walk_with_feet()
    blind = seen.xy.clone()
    blind[:, [BODY25.index(name) for name in FEET]] = torch.nan
    found = lifted(replace(seen, xy=blind), x)
    assert torch.isfinite(found).all()
    flexion = QUANTITIES["left_ankle_flexion"].compute(BodyMotion(found, H36M21))
    assert 10 < float(flexion[:, 0].std()) < 25  # the prior's 17 degrees
    seen_too = QUANTITIES["left_ankle_flexion"].compute(BodyMotion(lifted(seen, x), H36M21))
    assert seen_too.std(0).mean() < flexion.std(0).mean()


def test_noise_leaves_no_spikes_and_intervals_hold() -> None:
    """Points that are off by 2 cm from frame to frame, and now and then by 20."""
    seen, x, whole = walk_with_feet()
    g = torch.Generator().manual_seed(1)
    noise = 5.0 * torch.randn(seen.xy.shape, generator=g)
    noise = torch.where(torch.rand(F, 25, 1, generator=g) < 0.05, 10 * noise, noise)
    motion = BodyMotion(lifted(replace(seen, xy=seen.xy + noise), x), H36M21, fps=25.0)
    for side in ("left", "right"):
        angle = QUANTITIES[f"{side}_ankle_flexion"]
        found, true = angle.compute(motion), angle.compute(BodyMotion(whole, H36M21))
        assert found.median(0).values.diff(n=2).abs().max() < 8
        assert (found.mean(0) - true).abs().mean() < 8
        low, high = found.quantile(0.1, dim=0), found.quantile(0.9, dim=0)
        assert ((low <= true) & (true <= high)).double().mean() > 0.6


def test_paths_of_the_prior_are_stationary_and_precise() -> None:
    bands = autoregression(6, 0.04, 2.0, 0.2)
    matrix = sum(np.diag(bands[k, : 6 - k], -k) for k in range(3))
    covariance = np.linalg.inv(matrix.T @ matrix)
    assert np.allclose(np.diag(covariance), 4.0)
    assert np.allclose(np.diag(covariance, 1), covariance[0, 1])  # the same at every frame
    whole = sum(np.diag(precision(bands)[k, : 6 - k], -k) for k in range(3))
    assert np.allclose(whole, np.tril(matrix.T @ matrix))
    white = np.random.default_rng(0).normal(size=(3, 6))
    assert np.allclose(matrix @ prior_paths(bands, white).T, white.T)


def test_paths_do_not_jump() -> None:
    seen, x, whole = walk_with_feet()
    toe = lifted(seen, x)[..., H36M21.index("left_big_toe"), :]
    ankle = whole[:, H36M21.index("left_ankle")]
    steps = (toe - ankle).diff(dim=-2).norm(dim=-1)
    assert (steps > 0.12).double().mean() < 0.02


@pytest.mark.parametrize("skeleton", [BODY25, HALPE26, MEDIAPIPE33, SKELETONS["coco133"]])
def test_detectors_with_feet(skeleton) -> None:
    pairs = foot_points(Keypoints2D(torch.zeros(1, skeleton.n_joints, 2), skeleton))
    assert pairs is not None
    names = [[skeleton.joint_names[i] for i in pair] for pair in pairs]
    assert all("heel" in heel for heel, _ in names)
    assert [toe.split("_")[0] for _, toe in names] == ["left", "right"]
    assert foot_points(Keypoints2D(torch.zeros(1, 17, 2), SKELETONS["coco17"])) is None


def result_of(seen: Keypoints2D, x: Hypotheses) -> Result:
    keypoints, truth = example_pair(F)
    pose = replace(truth, std=torch.zeros_like(truth.joints))
    return Result(x, pose, keypoints, seed=0, sampler={"name": "boneflips"})


def test_results_say_what_is_derived() -> None:
    seen, x, _ = walk_with_feet()
    done = add_feet(result_of(seen, x), seen)
    assert done.sampler["derived"] == list(FEET)
    assert "derived joints: left_heel" in done.notes[-1]
    assert done.pose.skeleton == done.hypotheses.skeleton == done.keypoints.skeleton == H36M21
    assert done.pose.std is not None
    assert (done.pose.std[:, 17:] > 0).all()
    again = add_feet(result_of(seen, x), seen)
    assert torch.equal(done.hypotheses.joints, again.hypotheses.joints)
    other = add_feet(result_of(seen, x), seen, seed=5)
    assert not torch.equal(done.hypotheses.joints, other.hypotheses.joints)


def test_what_cannot_be_lifted_is_told() -> None:
    seen, x, _ = walk_with_feet()
    coco = Keypoints2D(torch.zeros(F, 17, 2), SKELETONS["coco17"], camera=seen.camera)
    with pytest.raises(OptionError, match="no heels and toes"):
        add_feet(result_of(seen, x), coco)
    with pytest.raises(OptionError, match="give those it was sampled from"):
        add_feet(result_of(seen, x), replace(seen, xy=seen.xy[:3]))
    with pytest.raises(MissingCameraError, match="with_camera"):
        lift_feet(x, replace(seen, camera=None), torch.ones(H), seeded_noise(0))
    wide = Hypotheses(torch.zeros(H, F, 21, 3), H36M21, x.root)
    with pytest.raises(SkeletonMismatchError, match="'h36m17', not to 'h36m21'"):
        lift_feet(wide, seen, torch.ones(H), seeded_noise(0))

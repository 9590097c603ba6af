"""Contacts of feet that roll from heel to toe, known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rolling_feet import rolling_walk, true_contact

import hypopose
from hypopose.cameras import project
from hypopose.diffusion import seeded_noise
from hypopose.io import Result
from hypopose.optimization.feet import lift_feet
from hypopose.optimization.stature import stature
from hypopose.quantities import QUANTITIES, BodyMotion
from hypopose.quantities.contacts import ankle_contact
from hypopose.skeletons import BODY25, H36M17, H36M21
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

SIDES = ("left", "right")
SEEN_FROM = torch.tensor([2.6, -6.0, 1.0], dtype=torch.float64)
TO_CAMERA = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)


def contact(motion: BodyMotion, side: str) -> np.ndarray:
    return QUANTITIES[f"{side}_foot_contact"].compute(motion).numpy()


def changes(down: np.ndarray, step: int) -> np.ndarray:
    """Seconds of strikes (1) or lifts (-1) at 100 Hz, apart from the ends of four seconds."""
    times = (np.flatnonzero(np.diff(down) == step) + 1) / 100
    return times[(times > 0.3) & (times < 3.7)]


def without_feet(motion: BodyMotion) -> BodyMotion:
    return replace(motion, joints=motion.joints[..., :17, :], skeleton=H36M17)


def test_the_walk_is_what_it_says() -> None:
    walk = rolling_walk(400, 100.0)
    for side in SIDES:
        down = true_contact(400, 100.0, side) == 1
        lowest = walk.joints[:, [H36M21.index(f"{side}_{p}") for p in ("heel", "big_toe")], 2]
        assert lowest.amin(-1)[down].abs().max() < 1e-9
        assert lowest.amin(-1)[~down].min() > -1e-9
        foot = walk.at(f"{side}_heel") - walk.at(f"{side}_big_toe")
        assert foot.norm(dim=-1).numpy() == pytest.approx(0.25)


@pytest.mark.parametrize("fps", [30.0, 100.0])
@pytest.mark.parametrize("side", SIDES)
def test_contact_is_that_of_heel_and_toe(fps: float, side: str) -> None:
    n = round(4 * fps)
    found, true = contact(rolling_walk(n, fps), side), true_contact(n, fps, side)
    assert (found == true).mean() > 0.96
    assert (ankle_contact(rolling_walk(n, fps), side).numpy() == true).mean() < 0.9


@pytest.mark.parametrize("side", SIDES)
def test_heels_strike_and_toes_leave_in_time(side: str) -> None:
    walk = rolling_walk(400, 100.0)
    found, true = contact(walk, side), true_contact(400, 100.0, side)
    for step in (1, -1):
        times = changes(true, step)
        assert len(times) >= 3
        assert changes(found, step) == pytest.approx(times, abs=0.025)
    early = changes(true, -1) - changes(ankle_contact(walk, side).numpy(), -1)
    assert early.min() > 0.08  # the ankle rises while the toe stands


@pytest.mark.parametrize("side", SIDES)
def test_without_feet_the_ankle_is_watched(side: str) -> None:
    walk = rolling_walk(200, 50.0)
    assert np.array_equal(contact(without_feet(walk), side), ankle_contact(walk, side).numpy())
    height = walk.at("left_ankle")[:, 2], walk.at("right_ankle")[:, 2]
    rest = np.quantile(np.minimum(*(h.numpy() for h in height)), 0.05)
    up = height[SIDES.index(side)].numpy() > rest + 0.13 * 0.85
    assert contact(without_feet(walk), side)[up].max() == 0


@pytest.mark.parametrize("side", SIDES)
def test_an_unknown_toe_leaves_contact_unknown(side: str) -> None:
    walk = rolling_walk(100, 50.0)
    walk.joints[40, H36M21.index(f"{side}_big_toe")] = torch.nan
    assert np.flatnonzero(np.isnan(contact(walk, side))).tolist() == [40]


def lifted_walk(n_hypotheses: int, n: int) -> tuple[Hypotheses, Keypoints2D]:
    """Hypotheses of the walk, their feet lifted from exact points."""
    walk = rolling_walk(n, 50.0)
    cam = (walk.joints - SEEN_FROM) @ TO_CAMERA.T
    camera = Camera.from_fov((1920, 1080))
    xy = torch.full((n, 25, 2), torch.nan)
    names = [name for name in H36M21.joint_names if name in BODY25.joint_names]
    shown = project(cam[:, [H36M21.index(name) for name in names]].float(), camera)
    xy[:, [BODY25.index(name) for name in names]] = shown
    keypoints = Keypoints2D(xy, BODY25, camera=camera, fps=50.0)
    g = torch.Generator().manual_seed(0)
    joints = (cam[:, :17] - cam[:, :1]).float() + 0.02 * torch.randn(
        n_hypotheses, 1, 17, 3, generator=g
    )
    x = Hypotheses(joints, H36M17, cam[:, 0].float().expand(n_hypotheses, n, 3))
    return lift_feet(x, keypoints, stature(joints, H36M17), seeded_noise(0)), keypoints


def test_lifted_feet_tell_when_the_toe_leaves() -> None:
    x, _ = lifted_walk(10, 200)
    assert x.root is not None
    world = (x.joints + x.root[..., None, :]).double() @ TO_CAMERA + SEEN_FROM
    motion = BodyMotion(world, H36M21, 50.0)
    for side in SIDES:
        true = true_contact(200, 50.0, side)
        likely = contact(motion, side).mean(0) > 0.5
        by_ankle = ankle_contact(motion, side).numpy().mean(0) > 0.5
        assert (likely == true).mean() > 0.95
        assert (by_ankle == true).mean() < 0.9


def test_the_record_says_what_was_watched() -> None:
    x, keypoints = lifted_walk(2, 40)
    pose = Poses3D(x.joints.mean(0), H36M21)
    result = Result(x, pose, keypoints, seed=0)
    assert "foot_contact judged by the lower of heel and big toe" in (
        hypopose.measure(result, "foot_contact").notes
    )
    plain = replace(
        result,
        hypotheses=Hypotheses(x.joints[..., :17, :], H36M17, x.root),
        pose=Poses3D(pose.joints[..., :17, :], H36M17),
    )
    found = hypopose.measure(plain, "foot_contact")
    assert "foot_contact judged by ankles: no heels and toes" in found.notes

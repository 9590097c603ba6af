"""Smoothing: calmer, close to the truth, and every hypothesis a motion of its own."""

from __future__ import annotations

from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

from hypopose.datasets import example_pair
from hypopose.errors import OptionError, ShapeError
from hypopose.metrics import bone_length_variation, bone_lengths
from hypopose.optimization import (
    keep_bone_lengths,
    smooth_hypotheses,
    smooth_kalman,
)
from hypopose.optimization.smoothing import MIN_STD, jitter_covariance
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses

FPS = 50.0


def noisy(n: int = 6, jitter: float = 0.02) -> tuple[Tensor, Tensor]:
    """Offsets that stay, jitter that does not, and the motion below."""
    _, truth = example_pair()
    generator = torch.Generator().manual_seed(0)
    offset = 0.05 * torch.randn(n, 1, 17, 3, generator=generator)
    shake = jitter * torch.randn(n, *truth.joints.shape, generator=generator)
    return truth.joints + offset + shake, truth.joints + offset


def jerk(joints: Tensor) -> float:
    return float(joints.diff(n=3, dim=-3).norm(dim=-1).mean())


def test_jitter_goes_and_offsets_stay() -> None:
    joints, calm = noisy()
    out = smooth_kalman(joints, jitter_covariance(joints), FPS)
    assert out.shape == joints.shape
    assert jerk(out) < 0.2 * jerk(joints)
    assert (out - calm).norm(dim=-1).mean() < 0.8 * (joints - calm).norm(dim=-1).mean()
    spread = [x.mean(-3).std(0).mean() for x in (out, calm)]
    torch.testing.assert_close(spread[0], spread[1], rtol=0.1, atol=0)


def test_the_mean_of_the_smoothed_is_the_smoothed_mean() -> None:
    joints, _ = noisy()
    R = jitter_covariance(joints)
    together = smooth_kalman(joints, R, FPS).mean(0, keepdim=True)
    alone = smooth_kalman(joints.mean(0, keepdim=True), R, FPS)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    one = smooth_kalman(joints[2:3], R, FPS)
    torch.testing.assert_close(one, smooth_kalman(joints, R, FPS)[2:3])


def test_against_the_posterior_of_the_whole_clip() -> None:
    """The smoother solves a linear Gaussian problem; so does one dense least-squares system."""
    generator = torch.Generator().manual_seed(3)
    n, fps, a = 12, 10.0, 4.0
    z = torch.randn(1, n, 1, 3, generator=generator, dtype=torch.float64)
    std = 0.1 + torch.rand(n, generator=generator, dtype=torch.float64)
    R = (std**2)[:, None, None, None] * torch.eye(3, dtype=torch.float64)
    ours = smooth_kalman(z, R, fps, a)[0, :, 0, 0].numpy()
    dt = 1 / fps
    Q = a**2 * np.array([[dt**4 / 3, dt**3 / 2], [dt**3 / 2, dt**2]])
    A = np.array([[1, dt], [0, 1]])
    precision, right = np.zeros((2 * n, 2 * n)), np.zeros(2 * n)
    precision[:2, :2] += np.diag([1 / 10, 1 / 25])
    right[0] += float(z[0, 0, 0, 0]) / 10
    for f in range(n):
        w = 1 / (float(std[f]) ** 2 + MIN_STD**2)
        precision[2 * f, 2 * f] += w
        right[2 * f] += w * float(z[0, f, 0, 0])
        if f:
            J = np.zeros((2, 2 * n))
            J[:, 2 * f : 2 * f + 2], J[:, 2 * f - 2 : 2 * f] = np.eye(2), -A
            precision += J.T @ np.linalg.inv(Q) @ J
    np.testing.assert_allclose(ours, np.linalg.solve(precision, right)[::2], atol=1e-6)


def test_what_hypotheses_disagree_about_is_smoothed_more() -> None:
    joints, _ = noisy(jitter=0.01)
    sure = torch.eye(3).expand(*joints.shape[1:], 3) * 0.001**2
    unsure = torch.eye(3).expand(*joints.shape[1:], 3) * 0.1**2
    assert jerk(smooth_kalman(joints, unsure, FPS)) < 0.5 * jerk(smooth_kalman(joints, sure, FPS))


def test_missing_joints_are_bridged() -> None:
    joints, calm = noisy(jitter=0.0)
    gap = joints.clone()
    gap[:, 10:14, 16] = torch.nan
    gap[:, :3, 5] = torch.nan
    out = smooth_kalman(gap, jitter_covariance(joints), FPS)
    assert torch.isfinite(out).all()
    assert (out[:, 10:14, 16] - calm[:, 10:14, 16]).norm(dim=-1).max() < 0.06


def test_batches_are_smoothed_one_by_one() -> None:
    joints, _ = noisy()
    both = torch.stack((joints, joints.flip(1)))
    out = smooth_kalman(both, jitter_covariance(both), FPS)
    for i in range(2):
        alone = smooth_kalman(both[i], jitter_covariance(both[i]), FPS)
        torch.testing.assert_close(out[i], alone)


def test_bones_become_rigid_and_joints_move_little() -> None:
    joints, _ = noisy()
    out = keep_bone_lengths(joints, H36M17)
    assert bone_length_variation(out, H36M17) < 1e-5
    assert bone_length_variation(joints, H36M17) > 0.01
    torch.testing.assert_close(
        bone_lengths(out, H36M17)[:, 0], bone_lengths(joints, H36M17).median(-2).values,
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip
    torch.testing.assert_close(out[..., 0, :], joints[..., 0, :])
    assert (out - joints).norm(dim=-1).mean() < 0.03
    again = keep_bone_lengths(out, H36M17)
    torch.testing.assert_close(again, out, atol=1e-5, rtol=1e-4)


def test_hypotheses_keep_their_axis_focal_and_root() -> None:
    keypoints, truth = example_pair()
    joints, _ = noisy()
    assert truth.root is not None
    joints = joints - joints[..., :1, :]
    many = Hypotheses(joints, H36M17, truth.root.expand(6, -1, -1), focal=torch.full((6,), 1100.0))
    out = smooth_hypotheses(many, keypoints)
    assert len(out) == 6
    assert out.focal is many.focal
    assert out.root is not None
    assert (out.joints[..., 0, :] == 0).all()
    assert bone_length_variation(out.joints, H36M17) < 1e-5
    step = out.root.diff(n=2, dim=-2).norm(dim=-1).mean()
    assert step < 0.02
    blind = smooth_hypotheses(replace(many, root=None), replace(keypoints, camera=None))
    assert blind.root is None


def test_wrong_covariances_are_refused() -> None:
    joints, _ = noisy()
    with pytest.raises((ShapeError, jaxtyping.TypeCheckError), match=r"belong|covariance"):
        smooth_kalman(joints, torch.eye(3).expand(2, 17, 3, 3), FPS)
    with pytest.raises(OptionError, match="positive"):
        smooth_kalman(joints, jitter_covariance(joints), FPS, -1.0)

"""Causes and a second camera: on a sampler whose posterior is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from hypopose.ambiguity import (
    hide_keypoints,
    jitter_keypoints,
    reveal_keypoints,
    second_camera,
)
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError, ShapeError
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Keypoints2D

WIDE, NARROW = 0.2, 0.02


def clip() -> Keypoints2D:
    keypoints, _ = example_pair()
    return replace(keypoints, xy=keypoints.xy[:3], confidence=None)


def normals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sample(keypoints: Keypoints2D) -> Hypotheses:
    """Seen joints are known to 2 cm, unseen ones to 20 cm; each keypoint pulls its own joint."""
    center = (keypoints.xy.double().nan_to_num(nan=500.0) - 500)[..., :] / 1000
    center = torch.cat((center, torch.zeros_like(center[..., :1])), -1)
    scale = torch.where(keypoints.detected, NARROW, WIDE)[..., None]
    x = center + scale * normals(60, *center.shape)
    return Hypotheses(x, H36M17, torch.tensor([0.0, 0.0, 4.0]).expand(60, center.shape[0], 3))


def test_hiding_brings_back_the_known_entropy() -> None:
    found = hide_keypoints(sample, clip(), ["left_wrist", "right_knee"])
    wrist = H36M17.index("left_wrist")
    expected = 3 * math.log(WIDE / NARROW)
    assert found.entropy_change[0, wrist].item() == pytest.approx(expected, abs=0.01)
    assert found.entropy_change[1, wrist].item() == 0
    assert (found.std_after[0, wrist] / found.std_before[wrist]).item() == pytest.approx(10)
    assert found.keypoints == ("left_wrist", "right_knee")
    assert found.ranking()[0][1] == pytest.approx(expected, abs=0.01)


def test_revealing_a_missing_keypoint_gains_it_and_touches_no_other_frame() -> None:
    keypoints = clip()
    xy = keypoints.xy.clone()
    wrist = H36M17.index("left_wrist")
    xy[:2, wrist] = torch.nan
    found = reveal_keypoints(sample, replace(keypoints, xy=xy), n_draws=3)
    assert found.keypoints == ("left_wrist",)
    expected = -3 * math.log(WIDE / NARROW) * 2 / 3
    assert found.entropy_change[0, wrist].item() == pytest.approx(expected, abs=0.01)
    assert found.entropy_change[0, wrist - 1].item() == 0


@pytest.mark.parametrize("with_root", [True, False])
def test_revealed_keypoints_are_seen_with_each_hypothesis_own_focal_length(with_root: bool) -> None:
    keypoints = clip()
    assert keypoints.camera is not None
    wrist = H36M17.index("left_wrist")
    xy = keypoints.xy.clone()
    xy[:, wrist] = torch.nan
    _, truth = example_pair()
    factor = torch.linspace(1.0, 1.5, 5)
    joints = truth.joints[None, :3] + 1e-4 * normals(5, 3, 17, 3).float()
    assert truth.root is not None
    away = torch.stack([torch.ones(5), torch.ones(5), factor], -1)  # as large in the image
    root = truth.root[None, :3] * away[:, None]
    focal = keypoints.camera.focal.mean() * factor
    placed: list[torch.Tensor] = []

    def remember(k: Keypoints2D) -> Hypotheses:
        placed.append(k.xy[:, wrist])
        return Hypotheses(joints, H36M17, root if with_root else None, focal)

    reveal_keypoints(remember, replace(keypoints, xy=xy), n_draws=2)
    for seen in placed[1:]:
        assert (seen - keypoints.xy[:, wrist]).norm(dim=-1).max() < 12
    assert len(placed) == 3


def test_revealed_keypoints_get_the_usual_confidence() -> None:
    keypoints = clip()
    confidence = torch.full(keypoints.xy.shape[:-1], 0.8)
    xy = keypoints.xy.clone()
    xy[:, 13], confidence[:, 13] = torch.nan, 0.0
    seen: list[Keypoints2D] = []

    def remember(k: Keypoints2D) -> Hypotheses:
        seen.append(k)
        return sample(k)

    reveal_keypoints(remember, replace(keypoints, xy=xy, confidence=confidence), n_draws=1)
    assert seen[-1].confidence is not None
    assert torch.allclose(seen[-1].confidence[:, 13], torch.tensor(0.8))
    assert bool(torch.isfinite(seen[-1].xy).all())
    hide_keypoints(remember, replace(keypoints, confidence=confidence), ["left_wrist"])
    assert seen[-1].confidence is not None
    assert seen[-1].confidence[:, 13].tolist() == [0, 0, 0]


def test_jitter_moves_the_mean_as_far_as_the_keypoint() -> None:
    # 1 px moves this sampler's joint by 1 mm; a 2D normal of 10 px is 12.5 px away on average
    found = jitter_keypoints(sample, clip(), seeded_noise(0), 10.0, ["left_wrist"], n_draws=40)
    wrist = H36M17.index("left_wrist")
    assert found.shift[0, wrist].item() == pytest.approx(0.0125, rel=0.15)
    assert found.shift[0, 0].item() == 0
    assert abs(found.entropy_change[0, wrist].item()) < 0.02


def test_errors_tell_the_cure() -> None:
    keypoints = clip()
    with pytest.raises(OptionError, match="use hide_keypoints"):
        reveal_keypoints(sample, keypoints)
    with pytest.raises(MissingCameraError, match="with_camera"):
        reveal_keypoints(sample, replace(keypoints, camera=None))
    with pytest.raises(ShapeError, match="one clip"):
        hide_keypoints(sample, replace(keypoints, xy=keypoints.xy[None]))
    with pytest.raises(OptionError, match="std_px"):
        jitter_keypoints(sample, keypoints, seeded_noise(0), 0.0)


def hypotheses(n: int = 400) -> Hypotheses:
    return Hypotheses(normals(n, 1, 17, 3) * torch.tensor([0.01, 0.01, 0.1]), H36M17)


def test_second_camera_linear_is_the_product_of_normals() -> None:
    h = hypotheses()
    noise = 0.015
    two = second_camera(h, [0.0, 90.0], noise)
    # from the side it measures z and y; from the front x and y once more
    var = torch.tensor([0.01, 0.01, 0.1]).double().square()
    fused = 1 / (1 / var + 1 / noise**2)
    side = (var[0] + fused[1] + fused[2]).sqrt()
    front = (fused[0] + fused[1] + var[2]).sqrt()
    assert two.linear[1].mean().item() == pytest.approx(side.item(), rel=0.03)
    assert two.linear[0].mean().item() == pytest.approx(front.item(), rel=0.03)
    assert two.now.mean().item() == pytest.approx(var.sum().sqrt().item(), rel=0.03)


def test_reweighting_agrees_on_normals_and_bounds_from_above() -> None:
    two = second_camera(hypotheses(), [0.0, 45.0, 90.0])
    ratio = two.reweighted.mean((1, 2)) / two.linear.mean((1, 2))
    assert bool((ratio > 0.99).all())
    assert bool((ratio < 1.15).all())


def test_from_the_side_a_depth_flip_is_decided() -> None:
    x = 0.01 * normals(40, 1, 17, 3)
    x[:, :, 16, 2] += torch.where(torch.arange(40) < 24, -0.2, 0.2)[:, None]
    two = second_camera(Hypotheses(x, H36M17), [0.0, 30.0, 90.0])
    flip = two.reweighted[:, 0, 16]
    assert flip[0] > 0.15
    assert flip[1] < 0.03
    assert flip[2] < 0.025
    # the normal approximation needs the full angle
    assert two.linear[1, 0, 16] > two.reweighted[1, 0, 16]


def test_the_angle_is_around_the_line_of_sight_to_the_subject() -> None:
    root = torch.tensor([3.0, 0.0, 3.0]).expand(400, 1, 3)
    h = hypotheses()
    turn = torch.tensor([[1.0, 0, 1], [0, 2**0.5, 0], [-1, 0, 1]]).double() / 2**0.5
    turned = Hypotheses(h.joints @ turn.T, H36M17, root)
    straight = second_camera(h, [0.0, 60.0]).linear
    slanted = second_camera(turned, [0.0, 60.0]).linear
    assert torch.allclose(straight, slanted, rtol=0.02)


def test_second_camera_needs_angles() -> None:
    with pytest.raises(OptionError, match="one or more angles"):
        second_camera(hypotheses(5), [])

"""Draws around a pose: as far as the scale says, smooth, along the line of sight."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy import stats

from hypopose.calibration import ece
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.networks import FrameTokens, ScaleTokens, load_network
from hypopose.samplers import Lifter
from hypopose.samplers.noise_from_scales import noise_from_scales, smooth_in_time
from hypopose.skeletons import H36M17
from hypopose.types import Poses3D

N = 6000


def test_distances_follow_the_likelihood() -> None:
    scale = torch.linspace(0.02, 0.2, 17).expand(1, 17)
    z = seeded_noise(0)((N, 1, 17, 3))
    draws = noise_from_scales(z, scale, H36M17, frames=0.0, parent_correlation=0.6)
    assert (draws[..., 0, :] == 0).all()
    for j in (3, 13):
        r = draws[:, 0, j].norm(dim=-1) / (scale[0, j] / 3)
        assert stats.kstest(r.numpy(), stats.gamma(3).cdf).pvalue > 0.01


def test_a_joint_errs_with_its_parent() -> None:
    z = seeded_noise(1)((N, 1, 17, 3))
    draws = noise_from_scales(
        z, torch.full((1, 17), 0.1), H36M17, frames=0.0, parent_correlation=0.8
    )
    wrist, elbow, other = draws[:, 0, 16, 0], draws[:, 0, 15, 0], draws[:, 0, 3, 0]
    assert 0.65 < float(torch.corrcoef(torch.stack([wrist, elbow]))[0, 1]) < 0.85
    assert abs(float(torch.corrcoef(torch.stack([wrist, other]))[0, 1])) < 0.05


def test_depth_share_keeps_the_expected_distance() -> None:
    z = seeded_noise(2)((N, 1, 17, 3))
    sight = torch.tensor([0.6, 0.0, 0.8]).expand(1, 17, 3)
    scale = torch.full((1, 17), 0.1)
    draws = noise_from_scales(
        z, scale, H36M17, frames=0.0, parent_correlation=0.0, sight=sight, depth_share=0.84
    )[:, 0, 5]  # fmt: skip
    assert draws.norm(dim=-1).mean().item() == pytest.approx(0.1, rel=0.03)
    along = (draws @ sight[0, 0]).square().mean() / draws.square().sum(-1).mean()
    assert along.item() == pytest.approx(0.84, abs=0.02)


@pytest.mark.parametrize("n_frames", [1, 2, 40])
def test_smoothing_keeps_unit_variance_to_the_ends(n_frames: int) -> None:
    z = smooth_in_time(seeded_noise(3)((1500, n_frames, 2, 1)), 6.0)
    assert (z.std(0) - 1).abs().max() < 0.12
    if n_frames > 2:
        assert z.diff(dim=1).std() < 0.2


def test_hypotheses_do_not_depend_on_how_many_or_on_the_batch() -> None:
    keypoints, _ = example_pair()
    torch.manual_seed(0)
    lifter = Lifter(ScaleTokens(width=16, n_layers=1, n_heads=2).eval())
    five = lifter.sample(keypoints, 5, seeded_noise(0, ["a"])).joints
    two = lifter.sample(keypoints, 2, seeded_noise(0, ["a"])).joints
    assert torch.equal(five[:2], two)
    twice = replace(
        keypoints,
        xy=torch.stack([keypoints.xy] * 2),
        confidence=None
        if keypoints.confidence is None
        else torch.stack([keypoints.confidence] * 2),
        covariance=None,
    )
    both = lifter.sample(twice, 5, seeded_noise(0, ["b", "a"])).joints
    assert torch.allclose(both[1], five, atol=1e-6)


def test_what_is_drawn_is_what_is_predicted() -> None:
    """If the truth is itself a draw, hypotheses are calibrated."""
    keypoints, _ = example_pair()
    torch.manual_seed(0)
    lifter = Lifter(ScaleTokens(width=16, n_layers=1, n_heads=2).eval(), correlation_s=0.0)
    truth = lifter.sample(keypoints, 1, seeded_noise(9)).joints[0]
    drawn = lifter.sample(keypoints, 40, seeded_noise(0))
    assert ece(drawn, Poses3D(truth, H36M17)).ece < 0.05


def test_lifters_without_a_scale_say_so() -> None:
    keypoints, _ = example_pair()
    torch.manual_seed(0)
    network = FrameTokens(width=16, n_layers=1, n_heads=2).eval()
    with pytest.raises(OptionError, match="n_hypotheses=1"):
        Lifter(network).sample(keypoints, 2, seeded_noise(0))
    x = Lifter(network, spread=0.05).sample(keypoints, 300, seeded_noise(0)).joints
    off = (x - Lifter(network).sample(keypoints, 1, seeded_noise(0)).joints)[..., 1:, :]
    assert off.norm(dim=-1).mean().item() == pytest.approx(0.05, rel=0.05)
    with pytest.raises(OptionError):
        Lifter(network, spread=0.0)
    with pytest.raises(OptionError):
        Lifter(network, parent_correlation=2.0)


def test_the_box_lifts_as_its_base_does_and_knows_its_errors() -> None:
    keypoints, truth = example_pair()
    lifter = Lifter(load_network("lifter-frame-small"), flip=False)
    pose, scale = lifter.predict(keypoints)
    base, none = Lifter(load_network("d3dp-frame-small"), flip=False).predict(keypoints)
    assert none is None
    assert torch.allclose(pose, base, atol=2e-3)  # the base predicts a root, a millimeter off
    assert scale is not None
    error = (pose - truth.joints).norm(dim=-1)[..., 1:]
    assert 0.2 < float(error.mean() / scale[..., 1:].mean()) < 2.0

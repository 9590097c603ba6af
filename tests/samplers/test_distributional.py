"""Distributional diffusion against a problem whose posterior is known at every noise level."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hypopose.datasets import example_pair
from hypopose.diffusion import cosine_schedule, seeded_noise
from hypopose.errors import OptionError
from hypopose.networks import ClipTokens, FrameTokens, NetworkInfo
from hypopose.samplers import D3DP, DistributionalDiffusion
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D

SPREAD = 0.2
SCALE = 3.0


class Exact:
    """Answers as p(x0 | x_t) of independent normals about the 2D position, from white noise."""

    info = NetworkInfo("screen", None, uses_confidence=True, max_frames=8, n_latent=204)

    def __call__(
        self,
        x_t: Tensor,
        keypoints: Tensor,
        t: Tensor,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        a = cosine_schedule().alpha_bar[t.long()].float().reshape(-1, 1, 1, 1, 1)
        prior = (SPREAD * SCALE) ** 2
        mean = SCALE * torch.cat([keypoints, keypoints[..., :1] * 0], -1)[:, None]
        noisy = x_t[..., :17, :] * SCALE
        gain = prior * a.sqrt() / (a * prior + 1 - a)
        std = (prior * (1 - a) / (a * prior + 1 - a)).sqrt()
        white = x_t[..., 17:, :].flatten(-2)[..., -51:].unflatten(-1, (17, 3))
        return (mean + gain * (noisy - a.sqrt() * mean) + std * white) / SCALE


def clip(F: int = 6) -> Keypoints2D:
    camera = replace(Camera.from_fov((1000, 1000)), assumed=False)
    g = torch.Generator().manual_seed(5)
    xy = 500 + 100 * torch.randn(F, 17, 2, generator=g)
    return Keypoints2D(xy, H36M17, camera=camera, fps=25.0)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_exact_answers_give_the_exact_posterior_in_any_number_of_steps(n_steps: int) -> None:
    sampler = DistributionalDiffusion(Exact(), n_steps=n_steps, scale=SCALE, clamp=None)
    x = sampler.sample(clip(), 2000, seeded_noise(0)).joints[:, :, 1:]
    assert x.std(0).mean().item() == pytest.approx(SPREAD, rel=0.01)
    assert (x.std(0) / SPREAD - 1).abs().max() < 0.08
    xy = (clip().xy[:, 1:] - 500) / 500
    assert (x.mean(0)[..., :2] - xy).abs().max() < 0.02


def generator_network() -> FrameTokens:
    torch.manual_seed(0)
    network = FrameTokens(width=32, n_layers=2, n_heads=2, n_latent=24, max_frames=9)
    torch.nn.init.normal_(network.to_pose.weight, std=0.3)
    torch.nn.init.normal_(network.from_pose.weight, std=0.3)
    return network.eval()


def test_hypotheses_differ_and_do_not_depend_on_how_many_are_drawn_or_chunked() -> None:
    network = generator_network()
    many = DistributionalDiffusion(network, scale=SCALE, chunk=18)
    few = DistributionalDiffusion(network, scale=SCALE)
    a = many.sample(clip(20), 6, seeded_noise(1)).joints
    b = few.sample(clip(20), 2, seeded_noise(1)).joints
    assert torch.allclose(a[:2], b, atol=1e-5)
    assert a[:, :, 1:].std(0).min() > 1e-3


def test_a_hypothesis_is_one_motion_across_windows() -> None:
    """With constant noise alone, a still subject stands still in a video of many windows."""
    network = generator_network()
    with torch.no_grad():  # pose and white and smooth noise are not read
        network.from_pose.weight[:, :51] = 0
        network.from_pose.weight[:, 51 + 12 :] = 0
    still = replace(clip(), xy=clip().xy[:1].expand(40, 17, 2).contiguous())
    x = DistributionalDiffusion(network, scale=SCALE, overlap=4).sample(still, 3, seeded_noise(2))
    # Positions count from a window's start, so only what repeats from window to window may change.
    assert x.joints[:, 12:28].diff(dim=1).norm(dim=-1).max() < 0.5 * x.joints.std(0).max()
    assert x.joints[:, 20, 1:].std(0).max() > 1e-3


def test_flipping_is_refused() -> None:
    with pytest.raises(OptionError, match="average"):
        DistributionalDiffusion(generator_network(), flip=True)


def test_generators_are_not_sampled_as_denoisers() -> None:
    with pytest.raises(OptionError, match="distributional"):
        D3DP(generator_network())


def test_without_flicker_pure_noise_does_not_enter_and_steps_tell_what_does() -> None:
    network, entered, told = generator_network(), [], []
    network.register_forward_pre_hook(lambda _, given: entered.append(given[0][..., :17, :]))
    sampler = DistributionalDiffusion(
        network,
        n_steps=2,
        scale=SCALE,
        clamp=None,
        frame_noise_scale=0.0,
        mirror=False,
        turning="none",
    )
    sampler.sample(clip(9), 3, seeded_noise(0), callback=lambda step: told.append(step.x_t))
    assert (entered[0] == 0).all()
    assert entered[1].std() > 0.05  # noise that steps put in between is never scaled
    for seen, step in zip(entered, told, strict=True):
        torch.testing.assert_close(SCALE * seen[0], step)


def test_without_flicker_hypotheses_differ_but_do_not_tremble() -> None:
    network = generator_network()
    still = replace(clip(), xy=clip().xy[:1].expand(9, 17, 2).contiguous())
    change = []
    for flicker in (0.0, 1.0):
        sampler = DistributionalDiffusion(network, scale=SCALE, frame_noise_scale=flicker)
        x = sampler.sample(still, 30, seeded_noise(2)).joints[:, :, 1:]
        assert x.std(0).min() > 1e-3
        change.append(x.diff(dim=1).norm(dim=-1).mean().item())
    assert change[0] < 0.6 * change[1]
    with pytest.raises(OptionError, match="latent noise"):
        DistributionalDiffusion(FrameTokens(width=16, n_layers=1, n_heads=2), frame_noise_scale=0.0)


def test_networks_that_draw_in_one_evaluation_take_no_second_step() -> None:
    network = ClipTokens(width=16, n_layers=2, n_heads=2, n_shared=1).eval()
    keypoints = example_pair()[0]
    sampler = DistributionalDiffusion(network, frame_noise_scale=0.0, window=27)
    drawn = sampler.sample(keypoints, 3, seeded_noise(0))
    bones = (drawn.joints[..., 13, :] - drawn.joints[..., 12, :]).norm(dim=-1)
    assert bones.std(-1).max() < 1e-5  # one skeleton a hypothesis, over all windows
    assert bones[:, 0].std() > 0
    with pytest.raises(OptionError, match="leave n_steps=1, got 2"):
        DistributionalDiffusion(network, n_steps=2)

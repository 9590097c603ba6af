from __future__ import annotations

import pytest
import torch

from hypopose.diffusion import latent_noise, seeded_noise
from hypopose.errors import OptionError


def test_every_channel_is_a_standard_normal() -> None:
    z = latent_noise(torch.arange(3) / 2, 4000, 12, seeded_noise(0))
    assert z.shape == (4000, 3, 12)
    assert z.mean(0).abs().max() < 0.07
    assert (z.std(0) - 1).abs().max() < 0.07
    correlation = torch.corrcoef(z[:, 1].T) - torch.eye(12)
    assert correlation.abs().max() < 0.07


def test_channels_are_constant_smooth_and_white_over_time() -> None:
    seconds = torch.arange(0, 200) / 50
    z = latent_noise(seconds, 3000, 12, seeded_noise(1))
    constant, smooth, white = z[..., :6], z[..., 6:9], z[..., 9:]
    assert (constant == constant[:, :1]).all()
    assert ((white[:, 1:] * white[:, :-1]).mean().abs()) < 0.01
    # A Gaussian kernel of 0.1 s, 0.4 s and 1.6 s: correlation exp(-1/2) after that long.
    for channel, lag in enumerate((5, 20, 80)):
        x = smooth[..., channel]
        assert (x[:, lag:] * x[:, :-lag]).mean().item() == pytest.approx(0.607, abs=0.05)


def test_a_frame_of_a_video_has_its_noise_at_any_frame_rate() -> None:
    slow = latent_noise(torch.arange(10) / 25, 2, 12, seeded_noise(3))
    fast = latent_noise(torch.arange(20) / 50, 2, 12, seeded_noise(3))
    assert torch.allclose(slow[..., :9], fast[:, ::2, :9], atol=1e-5)


def test_first_hypotheses_and_batch_items_do_not_depend_on_company() -> None:
    seconds = torch.arange(4) / 30
    many = latent_noise(seconds.expand(3, 4), 5, 8, seeded_noise(2, ["a", "b", "c"]))
    few = latent_noise(seconds.expand(1, 4), 2, 8, seeded_noise(2, ["b"]))
    assert (many[1, :2] == few[0]).all()


def test_channels_come_in_fours() -> None:
    with pytest.raises(OptionError, match="multiple of 4"):
        latent_noise(torch.zeros(2), 1, 6, seeded_noise(0))

"""Noise of a moving window belongs to frames of the video."""

from __future__ import annotations

import pytest
import torch

from hypopose.diffusion import RollingNoise, latent_noise
from hypopose.errors import OptionError


def test_windows_that_overlap_share_their_frames() -> None:
    rolling = RollingNoise(3)
    one = [rolling.window(0, 12, 0.0)(shape) for shape in [(2, 12, 17, 3)]]
    two = [rolling.window(5, 12, 0.2)(shape) for shape in [(2, 12, 17, 3)]]
    torch.testing.assert_close(one[0][:, 5:], two[0][:, :7], rtol=0, atol=0)


def test_windows_of_growing_length_share_their_frames() -> None:
    rolling = RollingNoise(3)
    short, long = rolling.window(0, 8, 0.0)((2, 8, 17, 3)), rolling.window(0, 9, 0.0)((2, 9, 17, 3))
    torch.testing.assert_close(long[:, :8], short, rtol=0, atol=0)


def test_latent_noise_runs_on_in_absolute_time() -> None:
    rolling, seconds = RollingNoise(0), torch.arange(20) / 25
    first = latent_noise(seconds, 3, 16, rolling.window(0, 20, 0.0))
    for start in (1, 7, 13):
        later = latent_noise(seconds, 3, 16, rolling.window(start, 20, start / 25))
        torch.testing.assert_close(later[:, : 20 - start], first[:, start:], rtol=0, atol=2e-5)


def test_frames_behind_are_forgotten() -> None:
    rolling = RollingNoise(0)
    for first in range(500):
        rolling.window(first, 9, first / 25)((2, 9, 17, 3))
    assert len(rolling._frames) == 9


def test_it_is_standard_normal_and_differs_between_seeds() -> None:
    draws = torch.stack([RollingNoise(s).window(0, 30, 0.0)((4, 30, 17, 3)) for s in range(8)])
    assert draws.mean().abs() < 0.01
    assert (draws.std() - 1).abs() < 0.01
    assert not torch.equal(draws[0], draws[1])


def test_windows_too_short_to_tell_draws_apart_are_refused() -> None:
    with pytest.raises(OptionError, match="at least 7 frames"):
        RollingNoise(0).window(0, 6, 0.0)

"""Schedules and timesteps keep their laws."""

from __future__ import annotations

import itertools

import pytest
import torch

from hypopose.diffusion import Schedule, cosine_schedule, timestep_pairs
from hypopose.errors import OptionError


@pytest.mark.parametrize("n_timesteps", [1, 2, 50, 1000])
def test_signal_falls_from_one_to_almost_nothing(n_timesteps: int) -> None:
    schedule = cosine_schedule(n_timesteps)
    assert schedule.n_timesteps == n_timesteps
    assert schedule.alpha_bar.dtype == torch.float64
    assert schedule.at(-1) == 1.0
    assert bool((schedule.alpha_bar.diff() < 0).all())
    assert 0 < schedule.at(n_timesteps - 1) < 0.01


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7, 26, 100, 999, 1000])
@pytest.mark.parametrize("spacing", [1.0, 1.5, 3.0])
def test_pairs_walk_from_noise_to_the_clean_pose(n_steps: int, spacing: float) -> None:
    pairs = timestep_pairs(n_steps, spacing=spacing)
    assert len(pairs) == n_steps
    assert pairs[0][0] == 999
    assert pairs[-1][1] == -1
    assert all(t > t_next for t, t_next in pairs)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pairs))


@pytest.mark.parametrize("n_steps", [0, 1001])
def test_impossible_numbers_of_steps_are_refused(n_steps: int) -> None:
    with pytest.raises(OptionError, match="n_steps"):
        timestep_pairs(n_steps)


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(OptionError, match="at least one"):
        cosine_schedule(0)
    with pytest.raises(OptionError, match="strictly between"):
        Schedule(torch.tensor([0.1, 1.0], dtype=torch.float64))


def test_spacing_shortens_steps_towards_the_clean_pose() -> None:
    lengths = [t - t_next for t, t_next in timestep_pairs(6, spacing=2.0)]
    assert lengths == sorted(lengths, reverse=True)
    with pytest.raises(OptionError, match="spacing"):
        timestep_pairs(5, spacing=0.5)

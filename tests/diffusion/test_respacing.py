"""Shortened chains keep their noise levels."""

from __future__ import annotations

import pytest
import torch

from hypopose.diffusion import cosine_schedule
from hypopose.diffusion.respacing import respace, respaced_timesteps
from hypopose.errors import OptionError


@pytest.mark.parametrize("spec", ["ddim1", "ddim7", "ddim50", "10,5", "50", "3,3,3"])
def test_kept_timesteps_keep_their_noise(spec: str) -> None:
    schedule = cosine_schedule(50)
    chain = respace(schedule, spec)
    at = list(chain.timesteps)
    assert at == sorted(set(at))
    assert at[0] >= 0
    assert at[-1] < 50
    assert torch.allclose(chain.schedule.alpha_bar, schedule.alpha_bar[at], rtol=1e-10)


def test_ends_are_kept() -> None:
    assert respaced_timesteps(50, "ddim20")[::19] == (0, 49)


def test_posterior_is_that_of_gaussians() -> None:
    chain = respace(cosine_schedule(50), "ddim20")
    variance, of_x0, of_xt = chain.posterior
    bar, beta = chain.schedule.alpha_bar, chain.schedule.betas
    i = 7
    precision = 1 / (1 - bar[i - 1]) + (1 - beta[i]) / beta[i]
    assert torch.isclose(variance[i], 1 / precision)
    assert torch.isclose(of_x0[i], variance[i] * bar[i - 1].sqrt() / (1 - bar[i - 1]))
    assert torch.isclose(of_xt[i], variance[i] * (1 - beta[i]).sqrt() / beta[i])
    assert variance[0] == 0


@pytest.mark.parametrize("spec", ["ddim51", "ddim", "ddim5,5", "60", "a", "0", ""])
def test_nonsense_is_refused(spec: str) -> None:
    with pytest.raises(OptionError):
        respaced_timesteps(50, spec)

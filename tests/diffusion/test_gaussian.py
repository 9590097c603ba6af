"""The process and its steps, against their defining properties."""

from __future__ import annotations

import math

import pytest
import torch

from hypopose.diffusion import (
    cosine_schedule,
    ddim_coefficients,
    ddim_step,
    implied_eps,
    q_sample,
    recorded_noise,
)
from hypopose.errors import OptionError

SCHEDULE = cosine_schedule()
GENERATOR = torch.Generator().manual_seed(3)


def normals(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def test_noised_poses_have_the_moments_of_the_process() -> None:
    x0, eps = torch.full((2, 20000), 3.0, dtype=torch.float64), normals(2, 20000)
    t = torch.tensor([200, 700])
    x_t = q_sample(x0, t, eps, SCHEDULE)
    bar = SCHEDULE.alpha_bar[t]
    assert torch.allclose(x_t.mean(1), bar.sqrt() * 3, atol=0.03)
    assert torch.allclose(x_t.std(1), (1 - bar).sqrt(), atol=0.02)


@pytest.mark.parametrize("t", [0, 10, 500, 998])
def test_the_implied_noise_is_the_noise(t: int) -> None:
    x0, eps = normals(1, 5), normals(1, 5)
    x_t = q_sample(x0, torch.tensor([t]), eps, SCHEDULE)
    assert torch.allclose(implied_eps(x_t, x0, t, SCHEDULE), eps, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("t", "t_next"), [(999, 749), (500, 20), (20, 0)])
def test_a_step_with_the_true_pose_stays_on_the_process(t: int, t_next: int, eta: float) -> None:
    sigma, c = ddim_coefficients(t, t_next, SCHEDULE, eta)
    assert sigma**2 + c**2 == pytest.approx(1 - SCHEDULE.at(t_next))
    x0, eps, z = normals(1, 4), normals(1, 4), normals(1, 4)
    x_t = q_sample(x0, torch.tensor([t]), eps, SCHEDULE)
    moved = ddim_step(x_t, x0, t, t_next, SCHEDULE, eta=eta, noise=recorded_noise([z]))
    assert torch.allclose(moved, math.sqrt(SCHEDULE.at(t_next)) * x0 + c * eps + sigma * z)


def test_eta_one_is_the_ddpm_posterior() -> None:
    t = 300
    beta, bar, before = SCHEDULE.betas[t].item(), SCHEDULE.at(t), SCHEDULE.at(t - 1)
    sigma, _ = ddim_coefficients(t, t - 1, SCHEDULE, 1.0)
    assert sigma**2 == pytest.approx(beta * (1 - before) / (1 - bar))
    x_t, x0, z = normals(6), normals(6), torch.zeros(6, dtype=torch.float64)
    moved = ddim_step(x_t, x0, t, t - 1, SCHEDULE, noise=recorded_noise([z]))
    mean = (
        beta * math.sqrt(before) / (1 - bar) * x0
        + (1 - before) * math.sqrt(1 - beta) / (1 - bar) * x_t
    )
    assert torch.allclose(moved, mean)


def test_a_deterministic_or_last_step_asks_for_no_noise() -> None:
    x0, x_t = normals(3), normals(3)
    assert torch.equal(ddim_step(x_t, x0, 99, -1, SCHEDULE), x0)
    ddim_step(x_t, x0, 99, 49, SCHEDULE, eta=0.0, noise=recorded_noise([]))


def test_a_noisy_step_without_a_source_and_impossible_steps_are_refused() -> None:
    x = normals(3)
    with pytest.raises(OptionError, match="noise"):
        ddim_step(x, x, 99, 49, SCHEDULE)
    with pytest.raises(OptionError, match="goes down"):
        ddim_step(x, x, 49, 99, SCHEDULE)
    with pytest.raises(OptionError, match="eta"):
        ddim_step(x, x, 99, 49, SCHEDULE, eta=1.5)

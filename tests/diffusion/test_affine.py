"""One process for all: its special cases, its closed forms, and what outputs stand for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import (
    AffineGaussian,
    Schedule,
    cosine_schedule,
    ddim_step,
    named_betas,
    q_sample,
    recorded_noise,
)
from hypopose.errors import OptionError

SCHEDULE = cosine_schedule()
GENERATOR = torch.Generator().manual_seed(11)


def normals(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def factor(*batch: int, d: int = 3) -> Tensor:
    x = normals(*batch, d, d)
    return torch.linalg.cholesky(x @ x.mT + 0.1 * torch.eye(d, dtype=x.dtype))


PROCESSES = {
    "standard": AffineGaussian(SCHEDULE),
    "scaled": AffineGaussian(SCHEDULE, scale=torch.tensor(0.3, dtype=torch.float64)),
    "diagonal": AffineGaussian(SCHEDULE, scale=normals(3).abs() + 0.1),
    "component": AffineGaussian(SCHEDULE, normals(5, 3), factor(5), triangular=True),
}


@pytest.fixture(params=list(PROCESSES))
def process(request: pytest.FixtureRequest) -> AffineGaussian:
    return PROCESSES[request.param]


def test_without_location_and_scale_it_is_d3dps_process_to_the_last_bit() -> None:
    process, x0, z = AffineGaussian(SCHEDULE), normals(4, 3).float(), normals(4, 3).float()
    t = torch.tensor([0, 10, 500, 999])
    assert torch.equal(process.prior(z), z)
    assert torch.equal(process.noised_at(x0, t, z), q_sample(x0, t, z, SCHEDULE))
    for t_next in (200, -1):
        ours = process.step(z, x0, 700, t_next, eta=0.6, noise=recorded_noise([x0]))
        theirs = ddim_step(z, x0, 700, t_next, SCHEDULE, eta=0.6, noise=recorded_noise([x0]))
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs)


def test_whitening_undoes_coloring(process: AffineGaussian) -> None:
    z = normals(5, 3)
    assert torch.allclose(process.whiten(process.color(z)), z, atol=1e-10)


def test_it_ends_in_its_prior(process: AffineGaussian) -> None:
    x0, z = normals(5, 3), normals(5, 3)
    assert torch.allclose(process.noised(x0, 999, z), process.prior(z), atol=1e-3)
    assert torch.equal(process.noised(x0, -1, z), x0)


def test_steps_up_have_the_moments_of_one_leap(process: AffineGaussian) -> None:
    # x_t is affine in (x0, z): follow the mean, and the covariance in units of L Lᵀ.
    x = x0 = normals(5, 3)
    variance = 0.0
    for t in range(60):
        x = process.forward_step(x, t - 1, t, torch.zeros_like(x))
        q = SCHEDULE.at(t) / SCHEDULE.at(t - 1)
        variance = q * variance + (1 - q)
    assert torch.allclose(x, process.noised(x0, 59, torch.zeros_like(x0)), atol=1e-12)
    assert variance == pytest.approx(1 - SCHEDULE.at(59), abs=1e-12)


@pytest.mark.parametrize("kind", ["x0", "eps", "v"])
@pytest.mark.parametrize("t", [0, 300, 950])
def test_outputs_go_there_and_back(process: AffineGaussian, kind: str, t: int) -> None:
    x0, z = normals(5, 3), normals(5, 3)
    x_t = process.noised(x0, t, z)
    output = process.output_from(x0, x_t, t, kind)
    assert torch.allclose(process.x0_from(output, x_t, t, kind), x0, atol=1e-8)
    eps = process.color(z)
    bar = SCHEDULE.at(t)
    v = math.sqrt(bar) * eps - math.sqrt(1 - bar) * (x0 - process.location)
    expected = {"x0": x0, "eps": eps, "v": v}
    assert torch.allclose(output, expected[kind], atol=1e-8)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_step_down_with_the_true_pose_stays_on_the_process(
    process: AffineGaussian, eta: float
) -> None:
    # Mean and covariance of q(x_next | x0) are kept: with z and the fresh noise both normal,
    # x_next - mean = c1 L z + c2 L z', c1² + c2² = 1 - ᾱ_next.
    x0, z = normals(5, 3), normals(5, 3)
    zero = torch.zeros_like(z)
    x_t = process.noised(x0, 700, z)
    old = process.step(x_t, x0, 700, 300, eta=eta, noise=lambda _: zero)
    fresh = process.step(x_t, x0, 700, 300, eta=eta, noise=lambda _: z) - old
    mean = process.noised(x0, 300, zero)
    c2 = (old - mean) / process.color(z)
    c1 = fresh / process.color(z)
    assert torch.allclose(c1**2 + c2**2, torch.full_like(c1, 1 - SCHEDULE.at(300)), atol=1e-8)


def test_density_and_score_are_those_of_torch(process: AffineGaussian) -> None:
    x0, t = normals(5, 3), 400
    x_t = process.noised(x0, t, normals(5, 3)).requires_grad_()
    spread = math.sqrt(1 - SCHEDULE.at(t))
    scale = process.scale.expand(5, 3, 3) if process.triangular else process.scale.expand(5, 3)
    tril = scale if process.triangular else torch.diag_embed(scale)
    mean = process.noised(x0, t, torch.zeros_like(x0))
    normal = torch.distributions.MultivariateNormal(mean, scale_tril=spread * tril)
    log_prob = process.log_prob(x_t, x0, t)
    assert torch.allclose(log_prob, normal.log_prob(x_t), atol=1e-10)
    (gradient,) = torch.autograd.grad(log_prob.sum(), x_t)
    assert torch.allclose(process.score(x_t, x0, t), gradient, atol=1e-9)


def test_precision_follows_on_request() -> None:
    process = PROCESSES["component"].to(torch.zeros(1))
    assert process.location.dtype == process.scale.dtype == torch.float32
    assert process.triangular


def test_impossible_scales_and_unknown_outputs_are_refused() -> None:
    with pytest.raises(OptionError, match="positive"):
        AffineGaussian(SCHEDULE, scale=torch.zeros(3))
    x = torch.zeros(1, 3)
    with pytest.raises(OptionError, match="eps, v"):
        AffineGaussian(SCHEDULE).x0_from(x, x, 3, "noise")
    with pytest.raises(OptionError, match="eps, v"):
        AffineGaussian(SCHEDULE).output_from(x, x, 3, "noise")


@pytest.mark.parametrize("kind", ["linear", "quad", "const", "sigmoid"])
def test_named_schedules_fall(kind: str) -> None:
    schedule = Schedule(named_betas(kind, 51))
    assert bool((schedule.alpha_bar.diff() < 0).all())
    assert 0.9 < schedule.at(50) < 1


def test_unknown_schedules_are_refused() -> None:
    with pytest.raises(OptionError, match="jsd"):
        named_betas("cosine", 51)
    with pytest.raises(OptionError, match="at least one"):
        named_betas("linear", 0)
    with pytest.raises(OptionError, match="strictly between"):
        Schedule(named_betas("jsd", 51))

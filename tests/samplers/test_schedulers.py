"""All solvers reach one posterior, known in closed form, as their steps grow.

The exact denoiser of a normal pose is linear, so a sampler's output is linear in its noise: the run
with zero noise is the mean, and the squared responses to each draw add up to the variance. Nothing
is estimated.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import cosine_schedule, recorded_noise, seeded_noise
from hypopose.errors import OptionError
from hypopose.samplers.schedulers import SCHEDULERS, Solver, make_solver

SCHEDULE = cosine_schedule()
MEAN, STD = 0.4, 0.25
SOLVERS = [
    ("ddim", 0.0),
    ("ddim", 1.0),
    ("diffusers-ddim", 0.0),
    ("diffusers-ddim", 1.0),
    ("dpm++", 0.0),
    ("dpm++", 1.0),
    ("unipc", 0.0),
]


def exact_x0(x: Tensor, t: int) -> Tensor:
    bar = SCHEDULE.at(t)
    return (MEAN * (1 - bar) + STD**2 * math.sqrt(bar) * x) / (STD**2 * bar + 1 - bar)


def moments(name: str, eta: float, n_steps: int, spacing: float = 1.0) -> tuple[float, float]:
    """Exact mean and standard deviation of what a solver draws."""
    drawn = iter(range(1, n_steps + 1))

    def one_at_a_time(shape: tuple[int, ...]) -> Tensor:
        z = torch.zeros(shape)
        z[next(drawn)] = 1.0
        return z

    solver = make_solver(name, SCHEDULE, n_steps, eta, spacing)
    x = one_at_a_time((n_steps + 1, 1, 1, 1))
    for t, t_next in solver.pairs:
        x = solver.step(x, exact_x0(x, t), t, t_next, one_at_a_time)
    x = x.double().flatten()
    return x[0].item(), (x[1:] - x[0]).norm().item()


@pytest.mark.parametrize(("name", "eta"), SOLVERS)
def test_every_solver_converges_to_the_posterior(name: str, eta: float) -> None:
    drawn = [moments(name, eta, n_steps) for n_steps in (5, 20, 100, 500)]
    errors = [abs(std / STD - 1) for _, std in drawn]
    assert all(abs(mean - MEAN) < 1e-4 for mean, _ in drawn)
    assert errors[0] > errors[1] > errors[2]
    assert errors[3] < max(errors[2], 1e-3)  # single precision ends near 3e-4
    assert errors[3] < 0.02


def test_second_order_solvers_need_fewer_steps() -> None:
    first = abs(moments("ddim", 0.0, 50)[1] / STD - 1)
    for name in ("dpm++", "unipc"):
        assert abs(moments(name, 0.0, 50)[1] / STD - 1) < first / 5


@pytest.mark.parametrize(("name", "eta"), [("ddim", 0.0), ("dpm++", 0.0), ("dpm++", 1.0)])
def test_steps_that_shorten_reach_the_spread_sooner(name: str, eta: float) -> None:
    equal, shortening = (moments(name, eta, 5, spacing)[1] / STD for spacing in (1.0, 2.5))
    assert abs(shortening - 1) < abs(equal - 1) - 0.1
    assert abs(moments(name, eta, 200, 2.5)[1] / STD - 1) < 0.03


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_diffusers_ddim_is_our_ddim(eta: float) -> None:
    torch.manual_seed(2)
    start, draws = torch.randn(3, 1, 2, 3), list(torch.randn(4, 3, 1, 2, 3))
    ends = []
    for name in ("ddim", "diffusers-ddim"):
        solver, noise = make_solver(name, SCHEDULE, 5, eta), recorded_noise(draws)
        x = start
        for t, t_next in solver.pairs:
            x = solver.step(x, exact_x0(x, t), t, t_next, noise)
        ends.append(x)
    assert torch.allclose(ends[0], ends[1], atol=1e-5)


@pytest.mark.parametrize(("name", "eta"), SOLVERS)
def test_solvers_fulfil_the_contract(name: str, eta: float) -> None:
    solver = make_solver(name, SCHEDULE, 4, eta)
    assert isinstance(solver, Solver)
    assert len(solver.pairs) == 4
    assert solver.pairs[0][0] == 999
    assert solver.pairs[-1][1] == -1
    x = torch.ones(1, 1, 1, 1)
    for t, t_next in solver.pairs:
        x = solver.step(x, torch.full_like(x, 0.3), t, t_next, seeded_noise(1))
    assert torch.allclose(x, torch.tensor(0.3), atol=1e-5)  # the last step ends at x0


@pytest.mark.parametrize(
    ("name", "eta", "says"),
    [
        ("euler", 0.0, ", ".join(SCHEDULERS)),
        ("unipc", 1.0, "eta=0"),
        ("dpm++", 0.5, "eta 0"),
        ("ddim", 2.0, "eta lies"),
    ],
)
def test_what_a_solver_cannot_do_is_refused(name: str, eta: float, says: str) -> None:
    with pytest.raises(OptionError, match=says.replace("+", r"\+")):
        make_solver(name, SCHEDULE, 5, eta)
    with pytest.raises(OptionError, match="n_steps"):
        make_solver("ddim", SCHEDULE, 0, 0.0)
    with pytest.raises(OptionError, match="equal steps only"):
        make_solver("unipc", SCHEDULE, 5, 0.0, 2.0)

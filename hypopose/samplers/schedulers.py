"""Solvers by name: our DDIM, and diffusers' DDIM, DPM-Solver++ and UniPC with the same interface.

A solver gets the predicted clean pose and moves the noisy one; the network stays outside.

| name | computed by | eta |
| --- | --- | --- |
| ``ddim`` (default) | :func:`hypopose.diffusion.ddim_step`, as D3DP does | 0 .. 1 |
| ``diffusers-ddim`` | ``DDIMScheduler``; ``ddim`` if n_steps divides n_timesteps | 0 .. 1 |
| ``dpm++`` | ``DPMSolverMultistepScheduler``: DPM-Solver++(2M), Lu et al. 2022 | 0; 1: its SDE |
| ``unipc`` | ``UniPCMultistepScheduler``, Zhao et al. 2023 | 0 |

With eta = 0 all solve one ordinary differential equation, so hypotheses differ by their first noise
alone. diffusers' schedulers store earlier steps; a new one is made for every run. They are
given our betas, read the network's output as x0 (``prediction_type="sample"``), and end at the
clean pose.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from hypopose.checks import check_between, check_choice
from hypopose.diffusion import Schedule, ddim_step, timestep_pairs
from hypopose.errors import OptionError
from hypopose.types import NoiseSource

Scheduler = Literal["ddim", "diffusers-ddim", "dpm++", "unipc"]
"""Name of a solver."""


@runtime_checkable
class Solver(Protocol):
    """Moves noisy poses towards clean ones; made for one run."""

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The (t, t_next) of each step; the last t_next is -1."""
        ...

    def step(self, x_t: Tensor, x0: Tensor, t: int, t_next: int, noise: NoiseSource) -> Tensor:
        """Poses at t_next, given those at t and the predicted clean ones."""
        ...


class DDIM:
    """Our own steps; no state.

    Args:
        schedule: Gives ᾱ.
        n_steps: Network evaluations.
        eta: Share of new noise, 0 to 1.
        spacing: See :func:`hypopose.diffusion.timestep_pairs`.

    Example:
        >>> from hypopose.diffusion import cosine_schedule
        >>> DDIM(cosine_schedule(), 2, 1.0).pairs
        [(999, 499), (499, -1)]
    """

    def __init__(self, schedule: Schedule, n_steps: int, eta: float, spacing: float = 1.0) -> None:
        self._schedule, self._eta = schedule, eta
        self.pairs = timestep_pairs(n_steps, schedule.n_timesteps, spacing)

    def step(self, x_t: Tensor, x0: Tensor, t: int, t_next: int, noise: NoiseSource) -> Tensor:
        """One DDIM step."""
        return ddim_step(x_t, x0, t, t_next, self._schedule, eta=self._eta, noise=noise)


class DiffusersSolver:
    """A diffusers scheduler, set through its own arguments.

    Args:
        scheduler: With ``prediction_type="sample"``; set to its timesteps already.
        options: Asked before every step for further arguments of ``scheduler.step``.
    """

    def __init__(
        self,
        scheduler: Any,
        options: Callable[[Tensor, int, NoiseSource], dict[str, Any]] = lambda x, t, noise: {},
    ) -> None:
        self._scheduler, self._options = scheduler, options
        times = [int(t) for t in scheduler.timesteps]
        self.pairs = list(zip(times, [*times[1:], -1], strict=True))

    def step(self, x_t: Tensor, x0: Tensor, t: int, t_next: int, noise: NoiseSource) -> Tensor:
        """One step of the scheduler."""
        options = self._options(x_t, t_next, noise)
        moved: Tensor = self._scheduler.step(x0, t, x_t, return_dict=False, **options)[0]
        return moved


def make_solver(
    name: str, schedule: Schedule, n_steps: int, eta: float, spacing: float = 1.0
) -> Solver:
    """A new solver for one run.

    Args:
        name: A name in :data:`SCHEDULERS`.
        schedule: Gives ᾱ and the betas.
        n_steps: Network evaluations.
        eta: Share of new noise; what each solver can do is in the module's table.
        spacing: 1 for equal steps, above for steps that shorten towards the clean pose (``ddim``
            and ``dpm++`` can).

    Raises:
        OptionError: If there is no such solver or it cannot do that eta or spacing.
    """
    check_choice("scheduler", name, SCHEDULERS)
    if not 1 <= n_steps <= schedule.n_timesteps:
        raise OptionError(
            f"n_steps lies between 1 and n_timesteps={schedule.n_timesteps}, got {n_steps}."
        )
    check_between(0, 1, eta=eta)
    if spacing != 1.0 and name not in ("ddim", "dpm++"):
        raise OptionError(f"scheduler={name!r} takes equal steps only: leave spacing=1.")
    return SCHEDULERS[name](schedule, n_steps, eta, spacing)


def _diffusers_ddim(schedule: Schedule, n_steps: int, eta: float, spacing: float) -> Solver:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(**_common(schedule), clip_sample=False)
    # Near T, 1 - alpha_bar - sigma^2 is 1e-9: in single precision it is below 0 on some processors,
    # and its root NaN.
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    _set_timesteps(scheduler, n_steps)

    def options(x_t: Tensor, t_next: int, noise: NoiseSource) -> dict[str, Any]:
        if eta == 0.0:
            return {}
        # The last step has no noise, but diffusers would draw some with its own generator.
        fresh = noise(tuple(x_t.shape)).to(x_t) if t_next >= 0 else torch.zeros_like(x_t)
        return {"eta": eta, "variance_noise": fresh}

    return DiffusersSolver(scheduler, options)


def _dpm(schedule: Schedule, n_steps: int, eta: float, spacing: float) -> Solver:
    from diffusers import DPMSolverMultistepScheduler

    if eta not in (0.0, 1.0):
        raise OptionError(f"scheduler='dpm++' runs with eta 0 (ODE) or 1 (SDE), got {eta}.")
    kind = "sde-dpmsolver++" if eta else "dpmsolver++"
    scheduler = DPMSolverMultistepScheduler(**_common(schedule), algorithm_type=kind)
    pairs = timestep_pairs(n_steps, schedule.n_timesteps, spacing)
    _set_timesteps(scheduler, timesteps=[t for t, _ in pairs])

    def options(x_t: Tensor, t_next: int, noise: NoiseSource) -> dict[str, Any]:
        if eta == 0.0:
            return {}
        fresh = noise(tuple(x_t.shape)).to(x_t) if t_next >= 0 else torch.zeros_like(x_t)
        return {"variance_noise": fresh}

    return DiffusersSolver(scheduler, options)


def _unipc(schedule: Schedule, n_steps: int, eta: float, spacing: float) -> Solver:
    from diffusers import UniPCMultistepScheduler

    if eta != 0.0:
        raise OptionError(f"scheduler='unipc' is deterministic: pass eta=0 with it, not {eta}.")
    scheduler = UniPCMultistepScheduler(**_common(schedule))
    _set_timesteps(scheduler, n_steps)
    return DiffusersSolver(scheduler)


def _set_timesteps(scheduler: Any, n_steps: int | None = None, **options: Any) -> None:
    with warnings.catch_warnings():
        # diffusers copies tensors to numpy in a way numpy 2 warns about; the values are right.
        warnings.simplefilter("ignore", DeprecationWarning)
        scheduler.set_timesteps(n_steps, **options)


def _common(schedule: Schedule) -> dict[str, Any]:
    return {
        "num_train_timesteps": schedule.n_timesteps,
        "trained_betas": schedule.betas.tolist(),
        "prediction_type": "sample",
        "timestep_spacing": "trailing",
    }


SCHEDULERS: dict[str, Callable[[Schedule, int, float, float], Solver]] = {
    "ddim": DDIM,
    "diffusers-ddim": _diffusers_ddim,
    "dpm++": _dpm,
    "unipc": _unipc,
}

"""Flow matching: straight paths from noise to motions, Euler or Heun steps.

Lipman et al., "Flow matching for generative modeling" (ICLR 2023); Liu et al., "Rectified flow"
(ICLR 2023). An alternative to diffusion that needs few evaluations; included for comparison.

| paper | here |
| --- | --- |
| x_τ = (1 − τ) ε + τ x0, τ from 0 to 1 | noise level t = (1 − τ) (T − 1) |
| velocity u(x, τ) | (x0 − x) / (1 − τ), of the network's clean motion x0 |
| ODE solver | ``solver``: ``"euler"`` or ``"heun"`` (second order, two evaluations a step) |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from hypopose.checks import check_choice
from hypopose.errors import OptionError
from hypopose.samplers.diffusion_sampler import DiffusionSampler
from hypopose.samplers.schedulers import Solver
from hypopose.types import NoiseSource

FlowStep = Literal["euler", "heun"]
"""How a step follows the flow."""


class FlowSolver:
    """Steps along the flow; made for one run.

    A Heun step is two entries of ``pairs``: a trial step, and its correction from where it led. The
    last step is Euler's, for the velocity has no limit at the clean motion.

    Args:
        n_evaluations: Network evaluations; Heun takes an odd number: two a step, one at the end.
        n_timesteps: T.
        heun: Second order.

    Raises:
        OptionError: If Heun is given an even number of evaluations.

    Example:
        >>> FlowSolver(3, 1000, heun=True).pairs
        [(999, 500), (500, 500), (500, -1)]
    """

    def __init__(self, n_evaluations: int, n_timesteps: int, *, heun: bool) -> None:
        if heun and n_evaluations % 2 == 0:
            raise OptionError(
                f"Heun steps take two evaluations and the last takes one: n_steps must be odd, got "
                f"{n_evaluations}."
            )
        self._last = n_timesteps - 1
        n = (n_evaluations + 1) // 2 if heun else n_evaluations
        times = [round(self._last * (1 - i / n)) for i in range(n)]
        steps = list(zip(times, [*times[1:], -1], strict=True))
        self.pairs = [
            pair
            for t, t_next in steps
            for pair in ([(t, t_next), (t_next, t_next)] if heun and t_next > 0 else [(t, t_next)])
        ]
        self._trial: tuple[Tensor, Tensor, float] | None = None
        self._heun = heun

    def step(self, x_t: Tensor, x0: Tensor, t: int, t_next: int, noise: NoiseSource) -> Tensor:
        """Follow the velocity from t to t_next."""
        if t_next <= 0:
            return x0
        rest = t / self._last
        velocity = (x0 - x_t) / rest
        if self._trial is not None:
            start, before, length = self._trial
            self._trial = None
            return start + length * (before + velocity) / 2
        length = (t - t_next) / self._last
        if self._heun:
            self._trial = (x_t, velocity, length)
        return x_t + length * velocity


@dataclass(frozen=True)
class FlowMatching(DiffusionSampler):
    """Follow a learned flow from noise to motions, the keypoints in view.

    Videos of any length, windows, cameras and flip are as in
    :class:`~.diffusion_sampler.DiffusionSampler`.

    Args:
        n_steps: Network evaluations per draw.
        solver: ``"euler"`` or ``"heun"``; Heun needs an odd number of evaluations.
        eta: Must stay 0, for the flow is deterministic; ``scheduler`` and ``spacing`` belong to
            diffusion and must keep their defaults.

    Raises:
        OptionError: If an option is out of range.
    """

    n_steps: int = 5
    eta: float = 0.0
    flip: bool = False
    solver: FlowStep = "euler"

    def _solver(self) -> Solver:
        check_choice("solver", self.solver, get_args(FlowStep))
        if (self.eta, self.scheduler, self.spacing) != (0.0, "ddim", 1.0):
            raise OptionError(
                "A flow is deterministic and has solvers of its own: leave eta=0, "
                "scheduler='ddim' and spacing=1; choose with solver='euler' or 'heun'."
            )
        return FlowSolver(self.n_steps, self.n_timesteps, heun=self.solver == "heun")

"""Noise schedules and the timesteps a sampler visits.

Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", ICML 2021 (the cosine
schedule, eq. 17); Shan et al., ICCV 2023 (D3DP), for the timesteps.

| paper | code |
| --- | --- |
| β_t | ``betas[t]`` |
| ᾱ_t | ``alpha_bar[t]``; 1 for t = -1, the clean pose |
| T | ``n_timesteps`` |
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hypopose.errors import OptionError


@dataclass(frozen=True, eq=False)
class Schedule:
    """How much of the clean pose is left after each timestep.

    Args:
        betas: Variance added per timestep, in double precision: a schedule ends near 1e-9, where
            single precision would lose digits.

    Raises:
        OptionError: If the betas leave 0 < beta < 1.

    Example:
        >>> schedule = Schedule(torch.tensor([0.1, 0.5], dtype=torch.float64))
        >>> [round(schedule.at(t), 3) for t in (-1, 0, 1)]
        [1.0, 0.9, 0.45]
    """

    betas: Float64[Tensor, " T"]
    alpha_bar: Float64[Tensor, " T"] = field(init=False)

    def __post_init__(self) -> None:
        if not bool(((self.betas > 0) & (self.betas < 1)).all()):
            raise OptionError("A schedule's betas lie strictly between 0 and 1.")
        object.__setattr__(self, "alpha_bar", torch.cumprod(1.0 - self.betas, 0))

    @property
    def n_timesteps(self) -> int:
        """Number of timesteps T; valid ones are 0 .. T - 1, and -1 is the clean pose."""
        return len(self.betas)

    def at(self, t: int) -> float:
        """ᾱ_t of one timestep; 1.0 for t < 0."""
        return 1.0 if t < 0 else float(self.alpha_bar[t])


def cosine_schedule(n_timesteps: int = 1000, s: float = 0.008) -> Schedule:
    """The cosine schedule, ᾱ(x) ∝ cos²(((x/T + s)/(1 + s)) π/2), betas clipped at 0.999.

    Args:
        n_timesteps: T.
        s: Offset that keeps the first steps from being too small.

    Returns:
        The schedule.

    Raises:
        OptionError: If there are no timesteps.

    Example:
        >>> f"{cosine_schedule().at(999):.4e}"
        '2.4288e-09'
    """
    if n_timesteps < 1:
        raise OptionError(f"A schedule needs at least one timestep, got {n_timesteps}.")
    x = torch.linspace(0, n_timesteps, n_timesteps + 1, dtype=torch.float64)
    f = torch.cos((x / n_timesteps + s) / (1 + s) * math.pi * 0.5) ** 2
    f = f / f[0]
    return Schedule(torch.clip(1 - f[1:] / f[:-1], 0, 0.999))


def timestep_pairs(
    n_steps: int, n_timesteps: int = 1000, spacing: float = 1.0
) -> list[tuple[int, int]]:
    """The (t, t_next) pairs of a sampler with ``n_steps`` network evaluations.

    Equally spaced from T - 1 to -1 in single precision and cut towards zero, as D3DP does; the
    rounding matters (26 of 1000 steps visit 498, not 499). With ``spacing`` above 1 step i of n is
    at (T - 1)(1 - i/n)^spacing: more steps where little noise is left, which is where the spread of
    hypotheses is decided.

    Args:
        n_steps: Network evaluations per draw.
        n_timesteps: T.
        spacing: 1 for equal steps, above for steps that shorten towards the clean pose.

    Returns:
        Pairs in order; the last t_next is -1, the clean pose.

    Raises:
        OptionError: If n_steps is not in 1 .. n_timesteps, or spacing below 1.

    Example:
        >>> timestep_pairs(4)
        [(999, 749), (749, 499), (499, 249), (249, -1)]
        >>> timestep_pairs(4, spacing=2.0)
        [(999, 562), (562, 250), (250, 62), (62, -1)]
    """
    if not 1 <= n_steps <= n_timesteps:
        raise OptionError(f"n_steps lies between 1 and n_timesteps={n_timesteps}, got {n_steps}.")
    if not spacing >= 1.0:
        raise OptionError(f"spacing is 1 (equal steps) or more, got {spacing}.")
    if spacing != 1.0:
        return _shortening_pairs(n_steps, n_timesteps, spacing)
    grid = torch.linspace(-1, n_timesteps - 1, n_steps + 1, dtype=torch.float32)
    times = np.trunc(grid.numpy()).astype(int)[::-1].tolist()
    return list(itertools.pairwise(times))


def _shortening_pairs(n_steps: int, n_timesteps: int, spacing: float) -> list[tuple[int, int]]:
    times = [-1]
    for i in reversed(range(n_steps)):
        t = round((n_timesteps - 1) * (1 - i / n_steps) ** spacing)
        times.append(max(t, times[-1] + 1))
    return list(itertools.pairwise(times[::-1]))

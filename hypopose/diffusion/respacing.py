"""Fewer timesteps than the network was trained on: which ones, and the schedule between them.

Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", ICML 2021, with the rule
of Platypose's released code for DDIM: N timesteps spread evenly from the first to the last *both
included*, rounded down (elsewhere a whole stride is asked for).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.diffusion.schedule import Schedule
from hypopose.errors import OptionError


@dataclass(frozen=True, eq=False)
class RespacedSchedule:
    """A shortened schedule and where its steps lie in the full one.

    Args:
        schedule: Over the kept timesteps.
        timesteps: Index of each in the full schedule, rising: what the network reads.
    """

    schedule: Schedule
    timesteps: tuple[int, ...]

    @property
    def posterior(self) -> tuple[Tensor, Tensor, Tensor]:
        """Variance of x_{i-1} given x_i and x0, and the weights of x0 and x_i in its mean."""
        beta, bar = self.schedule.betas, self.schedule.alpha_bar
        before = torch.cat([bar.new_ones(1), bar[:-1]])
        variance = beta * (1 - before) / (1 - bar)
        of_x0 = beta * before.sqrt() / (1 - bar)
        return variance, of_x0, (1 - before) * (1 - beta).sqrt() / (1 - bar)


def respaced_timesteps(n_timesteps: int, spec: str) -> tuple[int, ...]:
    """Which timesteps are kept.

    Args:
        n_timesteps: Of the full schedule.
        spec: ``"ddimN"``: N timesteps from the first to the last. ``"10,5"``: as many equal
            sections as numbers, so many timesteps in each, from its first to its last.

    Returns:
        Rising indices.

    Raises:
        OptionError: If there are not so many timesteps, or the words mean nothing.

    Example:
        >>> respaced_timesteps(50, "ddim20")[:6]
        (0, 2, 5, 7, 10, 12)
        >>> respaced_timesteps(10, "2,3")
        (0, 4, 5, 7, 9)
    """
    counts = spec.removeprefix("ddim").split(",")
    if not all(c.strip().isdecimal() and int(c) > 0 for c in counts):
        raise OptionError(f"Respacing is 'ddimN' or whole numbers like '10,5', got {spec!r}.")
    numbers = [int(c) for c in counts]
    if spec.startswith("ddim"):
        if len(numbers) != 1 or numbers[0] > n_timesteps:
            raise OptionError(f"{spec!r} does not fit {n_timesteps} timesteps.")
        return tuple(int(x) for x in torch.linspace(0, n_timesteps - 1, numbers[0]).double())
    return tuple(_sections(n_timesteps, numbers))


def _sections(n_timesteps: int, numbers: list[int]) -> list[int]:
    kept, start = [], 0
    for i, count in enumerate(numbers):
        size = n_timesteps // len(numbers) + (i < n_timesteps % len(numbers))
        if count > size:
            raise OptionError(f"A section of {size} timesteps cannot keep {count} of them.")
        stride = (size - 1) / (count - 1) if count > 1 else 1.0
        kept += [start + round(k * stride) for k in range(count)]
        start += size
    return kept


def respace(schedule: Schedule, spec: str) -> RespacedSchedule:
    """Shorten a schedule: the kept timesteps keep their ᾱ.

    Args:
        schedule: The full one.
        spec: See :func:`respaced_timesteps`.

    Example:
        >>> from hypopose.diffusion import cosine_schedule
        >>> chain = respace(cosine_schedule(50), "ddim20")
        >>> chain.timesteps[15], round(1 - chain.schedule.at(15), 3)
        (38, 0.887)
    """
    timesteps = respaced_timesteps(schedule.n_timesteps, spec)
    bar = schedule.alpha_bar[list(timesteps)]
    before = torch.cat([bar.new_ones(1), bar[:-1]])
    return RespacedSchedule(Schedule(1 - bar / before), timesteps)

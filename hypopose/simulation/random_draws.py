"""Random numbers and random processes of simulations, from one generator on one device."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Range = tuple[float, float]
"""``(least, greatest)`` of a uniform distribution."""


class Draws:
    """Uniform and normal numbers, and processes made of them, from one generator.

    Args:
        generator: On the device of the numbers.

    Example:
        >>> Draws(torch.Generator().manual_seed(0)).uniform(2, 3, low=5.0, high=6.0).shape
        torch.Size([2, 3])
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.device = generator.device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "*shape"]:
        """Numbers between low and high."""
        u = torch.rand(shape, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def normal(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Standard normals."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Bool[Tensor, "*shape"]:
        """True with a probability."""
        return torch.rand(shape, generator=self.generator, device=self.device) < probability

    def pick(self, weights: Float[Tensor, " n"], n: int) -> Tensor:
        """Indices, as often as their weights say."""
        return torch.multinomial(weights, n, replacement=True, generator=self.generator)

    def wave(self, B: int, F: int, J: int) -> Float[Tensor, "B F J 2"]:
        """Slow waves over frames, of unit variance; one size for both coordinates of a joint."""
        rate = 2 * math.pi * self.uniform(B, 1, J, 2, low=0.01, high=0.12)
        phase = self.uniform(B, 1, J, 2, high=2 * math.pi)
        frame = torch.arange(F, device=self.device)[:, None, None]
        return (frame * rate + phase).sin() * 2**0.5 * self.normal(B, 1, J, 1)

    def zeros(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Zeros on the generator's device; draws nothing."""
        return torch.zeros(shape, device=self.device)

    def ones(self, *shape: int) -> Bool[Tensor, "*shape"]:
        """True on the generator's device; draws nothing."""
        return torch.ones(shape, dtype=torch.bool, device=self.device)

    def some(self, share: float, *shape: int) -> Bool[Tensor, "*shape"]:
        """True with a probability; draws nothing where the probability is 0 or 1."""
        if share in (0, 1):
            return torch.full(shape, bool(share), device=self.device)
        return self.chance(share, *shape)

    def between(self, value: float | Range | None, *shape: int) -> Any:
        """Numbers from a range; a single value, or None, is returned as it is."""
        if not isinstance(value, tuple):
            return value
        if value[0] == value[1]:
            return torch.full(shape, value[0], device=self.device)
        return self.uniform(*shape, low=value[0], high=value[1])

    def vary(
        self,
        share: float,
        *shape: int,
        clips: float = 1.0,
        varied: bool = False,
        power: float = 0.0,
    ) -> float | Float[Tensor, "*shape"]:
        """A share that differs between clips.

        Args:
            share: Where it is greatest.
            *shape: Of the result, unless nothing varies.
            clips: Share of clips where it is not 0.
            varied: Whether it is multiplied by a uniform number.
            power: Exponent of that number, 0 for 1.

        Returns:
            ``share`` itself if it is the same in all clips.
        """
        exponent = power or float(varied)
        result: Any = share * self.uniform(*shape) ** exponent if exponent else share
        return result * self.chance(clips, *shape) if clips < 1 else result

    def walk(self, B: int, F: int, J: int, rho: float | Tensor) -> Float[Tensor, "B F J 2"]:
        """First-order autoregressions of unit variance.

        Args:
            B: Clips.
            F: Frames.
            J: Points.
            rho: Correlation from one frame to the next; one, or ``(B, 1, 1)``.
        """
        fresh = self.normal(F, B, J, 2)
        out = [fresh[0]]
        for step in (1 - rho**2) ** 0.5 * fresh[1:]:
            out.append(rho * out[-1] + step)
        return torch.stack(out, 1)

    def episodes(
        self,
        F: int,
        shape: tuple[int, int],
        share: float | Tensor,
        length: float | Tensor | None,
    ) -> Bool[Tensor, "B F S"]:
        """On-off series, two-state Markov chains in their stationary state.

        Args:
            F: Frames.
            shape: Clips and series of each.
            share: Share of the time they are on, below 1.
            length: Frames they are on for, on average, at least 1; None for independent frames.
        """
        length = 1 / (1 - share) if length is None else length
        start = share / (1 - share) / length
        u = self.uniform(F, *shape)
        state = self.uniform(*shape) < share
        out = []
        for row in u:
            out.append(state)
            state = torch.where(state, row >= 1 / length, row < start)
        return torch.stack(out, 1)

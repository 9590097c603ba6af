"""Random numbers of the batch maker: one generator, on the device where batches are made."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Draws:
    """Uniform and normal numbers from one generator.

    Args:
        generator: Lives on the device where numbers are wanted.

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

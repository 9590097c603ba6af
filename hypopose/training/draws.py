"""Random numbers of the batch maker: one generator, on the device where batches are made."""

from __future__ import annotations

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

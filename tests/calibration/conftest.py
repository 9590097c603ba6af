"""A Gaussian world whose posterior is known: truth and hypotheses share one distribution."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

World = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture
def world() -> World:
    """``world(n, s, spread=a)``: truth around unseen means, hypotheses ``a`` times as wide."""

    def draw(
        n: int, s: int, *, joints: int = 4, frames: int = 1, spread: float = 1.0, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        g = torch.Generator().manual_seed(seed)
        mean = torch.randn(n, 1, frames, joints, 3, generator=g, dtype=torch.float64)
        sd = torch.linspace(0.01, 0.09, joints, dtype=torch.float64)[:, None]
        eps = torch.randn(n, s + 1, frames, joints, 3, generator=g, dtype=torch.float64) * sd
        return mean + spread * eps[:, 1:], (mean + eps[:, :1])[:, 0]

    return draw

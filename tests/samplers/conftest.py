"""Denoisers whose posterior is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import cosine_schedule
from hypopose.networks.base import Network, NetworkInfo

SCHEDULE = cosine_schedule()


@dataclass(frozen=True)
class NormalPosterior:
    """Exact E[x0 | x_t, keypoints] of joints that are normal around (x_screen, y_screen, 0) meters.

    ``std`` is their standard deviation; ``scale`` the factor on poses in training.
    """

    std: float = 0.25
    scale: float = 1.0
    n_frames: int | None = None
    max_frames: int | None = None

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("screen", self.n_frames, max_frames=self.max_frames)

    def __call__(
        self,
        x_t: Tensor | None,
        keypoints: Tensor,
        t: Tensor | None = None,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        assert x_t is not None
        assert t is not None
        bar = SCHEDULE.alpha_bar[t.long()][:, None, None, None, None].to(x_t)
        mean = torch.cat([keypoints, torch.zeros_like(keypoints[..., :1])], -1)[:, None]
        variance = (self.std * self.scale) ** 2
        x = x_t * self.scale
        signal = mean * self.scale * (1 - bar) + variance * bar.sqrt() * x
        return signal / (variance * bar + 1 - bar) / self.scale


@pytest.fixture
def normal_posterior() -> Callable[..., Network]:
    return NormalPosterior

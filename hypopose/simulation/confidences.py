"""Confidences of a simulated detector, correlated with its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.simulation.random_draws import Draws

LEAST = 0.1
"""Confidence of a detected keypoint at least, in :class:`LinearConfidence`."""


@dataclass(frozen=True)
class ExponentialConfidence:
    """``top * exp(-error / (reach * sigma))``, times a little jitter.

    Args:
        top: Confidence of a keypoint without error.
        reach: How many standard deviations of the noisiest keypoint lower it by a factor e.
        jitter: Confidences are lowered by up to this share, uniformly.
        law: Names this law in files.
    """

    top: float = 0.95
    reach: float = 4.0
    jitter: float = 0.15
    law: Literal["exponential"] = "exponential"

    def __call__(
        self,
        error: Float[Tensor, "B F J"],
        sigma: Float[Tensor, "B J"],
        level: Float[Tensor, " B"],
        pixel: Float[Tensor, " B"],
        draws: Draws,
        clean: Bool[Tensor, " B"] | None,
        steady: Bool[Tensor, " B"] | None,
    ) -> Float[Tensor, "B F J"]:
        """Confidences of the errors of clips, see :class:`DetectorNoise`.

        Args:
            error: Sizes of the errors, in the unit of the keypoints.
            sigma: Standard deviations of every keypoint's error, in that unit.
            level: Standard deviation in pixels of a person 400 px tall.
            pixel: Such a pixel, in the unit of the keypoints.
            draws: Random numbers.
            clean: Clips with hardly any noise.
            steady: Clips whose errors are constant and slow.
        """
        reach = self.reach * sigma.amax(-1)
        confidence = self.top * torch.exp(-error / reach[:, None, None])
        return confidence * ((1 - self.jitter) + self.jitter * draws.uniform(*error.shape))


@dataclass(frozen=True)
class LinearConfidence:
    """Falls linearly with the error, with normal jitter and a factor per clip; some are all 1.

    Args:
        slope: Range of the loss of confidence per 4 px of error of a person 400 px tall.
        limit: Noise of more than ``4 * limit`` px lowers confidences no further.
        jitter: Standard deviation of the normal jitter.
        dimmest: Each clip's confidences are multiplied by a uniform factor between this and 1.
        certain: Share of clips whose confidences are all 1.
        certain_clean: The same among clean clips.
        certain_steady: The same among steady clips.
        law: Names this law in files.
    """

    slope: tuple[float, float] = (0.12, 0.12)
    limit: float = 1.5
    jitter: float = 0.08
    dimmest: float = 0.6
    certain: float = 0.15
    certain_clean: float = 0.15
    certain_steady: float = 0.15
    law: Literal["linear"] = "linear"

    def __call__(
        self,
        error: Float[Tensor, "B F J"],
        sigma: Float[Tensor, "B J"],
        level: Float[Tensor, " B"],
        pixel: Float[Tensor, " B"],
        draws: Draws,
        clean: Bool[Tensor, " B"] | None,
        steady: Bool[Tensor, " B"] | None,
    ) -> Float[Tensor, "B F J"]:
        """As :meth:`ExponentialConfidence.__call__`."""
        B, F, J = error.shape
        limited = (4 * self.limit / level.clamp(min=1e-6)).clamp(max=1.0)
        slope = draws.between(self.slope, B) * limited / (4 * pixel)
        confidence = 1.05 - slope[:, None, None] * error + self.jitter * draws.normal(B, F, J)
        confidence = confidence.clamp(LEAST, 1.0) * draws.uniform(B, 1, 1, low=self.dimmest)
        share = torch.full((B,), self.certain, device=draws.device)
        if clean is not None:
            share = torch.where(clean, self.certain_clean, share)
        if steady is not None:
            share = torch.where(steady, self.certain_steady, share)
        return torch.where((draws.uniform(B) < share)[:, None, None], 1.0, confidence)

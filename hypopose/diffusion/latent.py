"""Latent noise of generators: constant over a video, slowly varying, and white.

The unknowns of a motion have different time scales: bone lengths are constant over a video, the
direction of an arm lasts about a second, the error of a keypoint one frame. A generator that maps
noise to motions therefore gets three kinds of channels:

| share | kind | over time |
| --- | --- | --- |
| 1/2 | constant | one normal number per hypothesis |
| 1/4 | smooth | stationary Gaussian-kernel processes, correlation times 0.1 to 1.6 s |
| 1/4 | white | new in every frame |

Smooth channels are random Fourier features (Rahimi and Recht, NeurIPS 2007): normal given their
frequencies, defined at every time, so that overlapping windows of a long video see the same noise.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.types import NoiseSource

N_WAVES = 6
"""Fourier features per smooth channel."""

CORRELATION_SECONDS = (0.1, 1.6)
"""Shortest and longest correlation time of the smooth channels, geometrically spaced."""


def latent_noise(
    seconds: Float[Tensor, "*batch F"], n_hypotheses: int, n_channels: int, noise: NoiseSource
) -> Float[Tensor, "*batch H F C"]:
    """Draw the latent noise of a video; every channel is a standard normal at every frame.

    Args:
        seconds: When each frame was taken.
        n_hypotheses: H.
        n_channels: C, a multiple of 4.
        noise: Asked for ``(*batch, H, 1, C / 2, 1)``, ``(*batch, H, 6, C / 4, 3)`` and
            ``(*batch, H, F, C / 4, 1)``.

    Returns:
        Constant, smooth and white channels, in this order, on the device of ``seconds``.

    Raises:
        OptionError: If the number of channels is not a multiple of 4.

    Example:
        >>> from hypopose.diffusion import seeded_noise
        >>> z = latent_noise(torch.arange(50) / 50, 3, 8, seeded_noise(0))
        >>> z.shape, bool((z[:, 0, :4] == z[:, 49, :4]).all())
        (torch.Size([3, 50, 8]), True)
    """
    if n_channels % 4 or n_channels < 4:
        raise OptionError(f"Latent noise has a multiple of 4 channels, got {n_channels}.")
    *batch, F = seconds.shape
    quarter, device = n_channels // 4, seconds.device
    lead = (*batch, n_hypotheses)
    constant = noise((*lead, 1, 2 * quarter, 1)).to(device)[..., 0]
    waves = noise((*lead, N_WAVES, quarter, 3)).to(device)
    white = noise((*lead, F, quarter, 1)).to(device)[..., 0]
    smooth = _smooth(waves, seconds)
    return torch.cat([constant.expand(*lead, F, 2 * quarter), smooth, white], -1)


def _smooth(
    waves: Float[Tensor, "*batch H K C 3"], seconds: Float[Tensor, "*batch F"]
) -> Float[Tensor, "*batch H F C"]:
    """Sum of waves with normal frequencies and amplitudes."""
    frequency = waves[..., 0] / correlation_times(waves.shape[-2], seconds.device)
    angle = seconds[..., None, :, None, None] * frequency[..., None, :, :]
    a, b = waves[..., 1][..., None, :, :], waves[..., 2][..., None, :, :]
    return (a * angle.cos() + b * angle.sin()).sum(-2) / waves.shape[-3] ** 0.5


def correlation_times(n_channels: int, device: torch.device | None = None) -> Float[Tensor, " C"]:
    """Seconds over which each smooth channel changes.

    Args:
        n_channels: Number of smooth channels.
        device: Where they are to lie.

    Example:
        >>> correlation_times(2)
        tensor([0.1000, 1.6000])
    """
    low, high = (torch.tensor(t, device=device).log() for t in CORRELATION_SECONDS)
    return torch.exp(low + (high - low) * torch.linspace(0, 1, n_channels, device=device))

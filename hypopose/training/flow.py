"""The loss of flow matching, for :class:`hypopose.samplers.FlowMatching`."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.networks.base import Network
from hypopose.samplers import FlowMatching
from hypopose.training.batches import Batch
from hypopose.training.validation import HeldOut, drawn_scores

SHORTEST_REST = 0.1
"""Velocities are divided by the rest of the way, but never by less."""


def flow_loss(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    scale: float,
    clamp: float,
    n_timesteps: int,
) -> Float[Tensor, ""]:
    """Squared error of the velocity of the straight path from noise to the motion.

    With x_τ = (1 − τ) ε + τ x0 the velocity is x0 − ε = (x0 − x_τ) / (1 − τ), so that the network
    may predict x0 and its error counts 1 / (1 − τ)² (Lipman et al., ICLR 2023).

    Args:
        network: Denoiser in meters.
        batch: Windows.
        generator: Source of times and noise, on the batch's device.
        scale: Targets are multiplied by it before noise is added, and the network's input divided.
        clamp: Bound of noisy coordinates in meters.
        n_timesteps: T; the network reads t = (1 − τ) (T − 1).

    Returns:
        Mean squared error of the velocity, in the scaled unit.
    """
    encoded, y = batch.encoded, batch.target
    rest = torch.rand(len(y), generator=generator, device=y.device)
    eps = torch.randn(y.shape, generator=generator, device=y.device)
    far = rest.reshape(-1, 1, 1, 1)
    x_t = (far * eps + (1 - far) * y * scale).clamp(-clamp * scale, clamp * scale) / scale
    given = {"confidence": encoded.confidence, "context": encoded.context}
    x0 = network(x_t[:, None], encoded.xy, rest * (n_timesteps - 1), **given)[:, 0]
    weight = (scale / far.clamp(min=SHORTEST_REST)).square()
    return (weight * (x0 - y).square()).mean()


def validate_flow(
    network: Any, held_out: HeldOut, *, scale: float, clamp: float
) -> dict[str, float]:
    """Scores of 10 hypotheses after 1, 3 and 5 Euler evaluations."""
    scores: dict[str, float] = {}
    for n in (1, 3, 5):
        sampler = FlowMatching(network, n_steps=n, scale=scale, clamp=clamp)
        scores |= drawn_scores(sampler, held_out, n)
    return scores

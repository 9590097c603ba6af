"""What a training step minimizes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import Schedule, q_sample
from hypopose.networks.base import Network
from hypopose.training.batches import Batch


def joint_distance(a: Float[Tensor, "*any 3"], b: Float[Tensor, "*any 3"]) -> Float[Tensor, ""]:
    """Mean Euclidean distance, in the unit of the inputs.

    Example:
        >>> joint_distance(torch.tensor([3.0, 0.0, 4.0]), torch.zeros(3)).item()
        5.0
    """
    return (a - b).norm(dim=-1).mean()


def x0_loss(
    network: Network,
    batch: Batch,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    scale: float,
    clamp: float,
    lift: bool = False,
) -> Float[Tensor, ""]:
    """D3DP's objective: predict the clean motion from one noisy copy of it.

    One timestep per window, uniform; every timestep weighs the same. As in the released code the
    Euclidean distance is not squared; unlike there the gradient is the loss's own.

    Args:
        network: Denoiser in metres.
        batch: Windows.
        schedule: How much noise each timestep means.
        generator: Source of timesteps and noise, on the batch's device.
        scale: Targets are multiplied by it before noise is added, and the network's input divided.
        clamp: Bound of noisy coordinates in metres.
        lift: Show no noisy motion at all (the network's lifter form).

    Returns:
        Mean distance per joint in metres.
    """
    encoded, target = batch.encoded, batch.target
    given = {"confidence": encoded.confidence, "context": encoded.context}
    if lift:
        return joint_distance(network(None, encoded.xy, **given)[:, 0], target)
    device = target.device
    t = torch.randint(schedule.n_timesteps, target.shape[:1], generator=generator, device=device)
    eps = torch.randn(target.shape, generator=generator, device=device)
    x_t = q_sample(target * scale, t, eps, schedule).clamp(-clamp * scale, clamp * scale) / scale
    x0 = network(x_t[:, None], encoded.xy, t.to(x_t.dtype), **given)
    return joint_distance(x0[:, 0], target)

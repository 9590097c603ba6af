"""Training a motion prior: bodies in a world with z up, and what they were before noise was added.

The frame of a prior: meters, z up with the floor near 0, gravity within a few degrees. The
root stands at the horizontal origin in the middle frame, give or take :data:`OFFSET` meters, so
that windows of a long video can be shifted onto one another. Headings are uniform: the direction in
which a person faces need not be known before sampling.

Loss: squared error of the clean motion (Pierzchlewicz et al. 2024) and of its frame-to-frame
changes, in units of the scaled motion, weighted by the signal-to-noise ratio between 1 and
:data:`MAX_WEIGHT` (Hang et al., "Efficient Diffusion Training via Min-SNR Weighting", ICCV 2023).
Each weight leaves the minimizer, the conditional mean, where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hypopose.diffusion import cosine_schedule, q_sample
from hypopose.diffusion.respacing import RespacedSchedule
from hypopose.diffusion.schedule import Schedule
from hypopose.simulation import BodyMaker, Draws, Motion
from hypopose.training.config import TrainConfig

if TYPE_CHECKING:
    from hypopose.training.validation import HeldOut

OFFSET = 0.25
"""Standard deviation in meters of the middle frame's root about the horizontal origin."""

MAX_WEIGHT = 5.0
"""Most that a nearly clean motion counts."""

VELOCITY_WEIGHT = 2.0
"""Weight of frame-to-frame changes beside places."""


def slots_from_joints(joints: Float[Tensor, "*any J 3"]) -> Float[Tensor, "*any J 3"]:
    """World joints to slots: the root's place first, the others relative to it.

    Example:
        >>> slots_from_joints(torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.5]]))[1].tolist()
        [0.0, 0.0, -0.5]
    """
    return torch.cat([joints[..., :1, :], joints[..., 1:, :] - joints[..., :1, :]], -2)


def centered(slots: Float[Tensor, "B F J 3"]) -> Float[Tensor, "B F J 3"]:
    """Move each motion so that its middle frame's root is at the horizontal origin."""
    origin = slots[:, slots.shape[1] // 2, 0].clone()
    origin[:, 2] = 0.0
    moved = slots.clone()
    moved[:, :, 0] -= origin[:, None]
    return moved


def motion_batches(
    motion: Motion, device: torch.device, config: TrainConfig
) -> Callable[[int, int, torch.Generator], Tensor]:
    """Windows of bodies with any heading, near the origin: slots ``(B, F, 17, 3)`` in meters."""
    make = BodyMaker(motion, device, config.bodies)

    def batch(B: int, F: int, generator: torch.Generator) -> Tensor:
        draws = Draws(generator)
        joints = make(B, F, draws).joints
        angle = draws.uniform(B, high=2 * math.pi)
        zero, one = torch.zeros_like(angle), torch.ones_like(angle)
        c, s = angle.cos(), angle.sin()
        turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).view(B, 1, 3, 3)
        slots = centered(slots_from_joints(joints @ turn.mT))
        slots[:, :, 0, :2] += OFFSET * draws.normal(B, 1, 2)
        return slots

    return batch


def prior_loss(
    network: nn.Module,
    x0: Float[Tensor, "B F J 3"],
    schedule: Schedule,
    generator: torch.Generator,
    *,
    scale: float,
) -> Float[Tensor, ""]:
    """The loss of this module.

    Args:
        network: A motion prior.
        x0: Slots in meters.
        schedule: Of all timesteps, which are drawn uniformly.
        generator: Source of timesteps and noise.
        scale: Of the network.
    """
    draws, clean = Draws(generator), x0 * scale
    t = torch.randint(schedule.n_timesteps, (len(x0),), generator=generator, device=x0.device)
    predicted = network(q_sample(clean, t, draws.normal(*x0.shape), schedule), t)
    error = (predicted - clean).float()
    size = error.square().mean((1, 2, 3))
    if x0.shape[1] > 1:
        size = size + VELOCITY_WEIGHT * error.diff(dim=1).square().mean((1, 2, 3))
    bar = schedule.alpha_bar.to(x0)[t]
    weight = (bar / (1 - bar)).clamp(1.0, MAX_WEIGHT)
    return (weight * size).mean()


def released_loss(
    network: nn.Module,
    x0: Float[Tensor, "B F J 3"],
    t: Int[Tensor, " B"],
    eps: Float[Tensor, "B F J 3"],
    chain: RespacedSchedule,
) -> Float[Tensor, " B"]:
    """Platypose's loss per motion: the squared error's sum over (B F 3J), B divided out twice.

    Args:
        network: A motion prior.
        x0: Clean slots.
        t: Index in the shortened chain.
        eps: Standard normals.
        chain: The released code trains on the chain it samples with.
    """
    told = torch.tensor(chain.timesteps, device=t.device)[t]
    predicted = network(q_sample(x0, t, eps, chain.schedule), told)
    return (x0 - predicted).square().flatten(1).sum(1) / x0.numel()


@torch.no_grad()
def validate_prior(network: nn.Module, held_out: HeldOut, config: TrainConfig) -> dict[str, float]:
    """Error (mm per joint) of clean motions from noise of three strengths, held-out subjects."""
    slots = centered(slots_from_joints(held_out.world))
    schedule = cosine_schedule(config.objective.n_timesteps)
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(slots.shape, generator=generator)
    scores = {}
    for share in (0.2, 0.5, 0.8):
        t = torch.full((len(slots),), int(share * (schedule.n_timesteps - 1)))
        x_t = q_sample(slots * config.objective.scale, t, eps, schedule)
        clean = network(x_t.to(device), t.to(device)).cpu() / config.objective.scale
        off = (clean - slots).norm(dim=-1).mean()
        scores[f"denoised_{round(100 * share)}_mm"] = 1000 * float(off)
    return scores

"""Training losses."""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import Schedule, latent_noise, q_sample
from hypopose.networks.base import Network
from hypopose.networks.inputs import REFERENCE_FPS
from hypopose.training.batches import Batch

Norms = tuple[float, float, float, float]
"""Weights of distances of joints, of poses, of the clip, and of changes between frames."""

NORMS: Norms = (1.0, 1.0, 0.5, 2.0)
"""What the energy score of motions adds up by default."""


def joint_distance(a: Float[Tensor, "*any 3"], b: Float[Tensor, "*any 3"]) -> Float[Tensor, ""]:
    """Mean Euclidean distance, in the unit of the inputs.

    Example:
        >>> joint_distance(torch.tensor([3.0, 0.0, 4.0]), torch.zeros(3)).item()
        5.0
    """
    return (a - b).norm(dim=-1).mean()


def supervised(predicted: Float[Tensor, "B F J 3"], batch: Batch) -> Float[Tensor, "B F J 3"]:
    """The batch's target; where it knows none, what was predicted, which then costs nothing.

    Args:
        predicted: All frames, or the middle one.
        batch: With or without ``known``.
    """
    target, known = batch.target, batch.known
    if predicted.shape[1] < target.shape[1]:
        at = (target.shape[1] - 1) // 2
        target = target[:, at : at + 1]
        known = None if known is None else known[:, at : at + 1]
    return target if known is None else torch.where(known[..., None], target, predicted.detach())


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
        network: Denoiser in meters.
        batch: Windows; joints that are not known do not count.
        schedule: How much noise each timestep means.
        generator: Source of timesteps and noise, on the batch's device.
        scale: Targets are multiplied by it before noise is added, and the network's input divided.
        clamp: Bound of noisy coordinates in meters.
        lift: Show no noisy motion at all (the network's lifter form).

    Returns:
        Mean distance per joint in meters.
    """
    encoded, target = batch.encoded, batch.target
    given = {"confidence": encoded.confidence, "context": encoded.context}
    if lift:
        lifted = network(None, encoded.xy, **given)[:, 0]
        return joint_distance(lifted, supervised(lifted, batch))
    device = target.device
    t = torch.randint(schedule.n_timesteps, target.shape[:1], generator=generator, device=device)
    eps = torch.randn(target.shape, generator=generator, device=device)
    x_t = q_sample(target * scale, t, eps, schedule).clamp(-clamp * scale, clamp * scale) / scale
    x0 = network(x_t[:, None], encoded.xy, t.to(x_t.dtype), **given)[:, 0]
    return joint_distance(x0, supervised(x0, batch))


def energy_loss(
    network: Network,
    batch: Batch,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    scale: float,
    clamp: float,
    one_step_share: float,
    n_draws: int = 2,
    norms: Norms = NORMS,
    flicker: float = 1.0,
) -> Float[Tensor, ""]:
    """Energy score of a few draws: least when they are draws from the posterior.

    With draws x, x' of a generator and the truth y, ½ (d(x, y) + d(x', y)) − ½ d(x, x') is an
    unbiased estimate of the energy score, which is strictly proper (Gneiting and Raftery, JASA
    2007). Trained from pure noise this is engression (Shen and Meinshausen, JRSS-B 2024), trained
    at every noise level distributional diffusion (De Bortoli et al., 2025); here both, in one
    network. See :func:`motion_distance` for d. More draws estimate the same score with less noise:
    distances to the truth and between draws are averaged over all draws and all pairs.

    Args:
        network: Generator in meters; reads ``info.n_latent`` channels of latent noise.
        batch: Windows. Targets with an error are compared with draws that have one too; joints
            that are not known do not count.
        schedule: How much noise each timestep means.
        generator: Source of timesteps and noise, on the batch's device.
        scale: Targets are multiplied by it before noise is added, and the network's input divided.
        clamp: Bound of noisy coordinates in meters.
        one_step_share: Share of windows drawn from pure noise, a draw each; the others share a
            noisy motion between their draws.
        n_draws: Draws per window, two at least.
        norms: Weights of :func:`motion_distance`.
        flicker: Size of the noise that is new in every frame: of new latent noise, and of the
            pure noise that windows are drawn from.

    Returns:
        Mean energy score in meters.
    """
    encoded, y = batch.encoded, batch.target
    B, device, last = len(y), y.device, schedule.n_timesteps - 1
    t = torch.randint(last, (B,), generator=generator, device=device)
    one_step = torch.rand(B, generator=generator, device=device) < one_step_share
    t = torch.where(one_step, last, t)
    eps = torch.randn((B, n_draws, *y.shape[1:]), generator=generator, device=device)
    eps = torch.where(one_step[:, None, None, None, None], flicker * eps, eps[:, :1])
    pair = (y * scale)[:, None].expand_as(eps)
    x_t = q_sample(pair, t, eps, schedule).clamp(-clamp * scale, clamp * scale) / scale
    x_t = with_latent(x_t, encoded.context, network.info.n_latent, generator, flicker)
    given = {"confidence": encoded.confidence, "context": encoded.context}
    drawn = network(x_t, encoded.xy, t.to(y.dtype), **given)
    if batch.error is not None:
        drawn = drawn + batch.error
    if batch.known is not None:
        drawn = torch.where(batch.known[:, None, ..., None], drawn, 0.0)
        y = torch.where(batch.known[..., None], y, 0.0)
    draws = drawn.unbind(1)
    to_truth = torch.stack([motion_distance(x, y, norms) for x in draws])
    apart = torch.stack([motion_distance(a, b, norms) for a, b in combinations(draws, 2)])
    return to_truth.mean() - apart.mean() / 2


def with_latent(
    x_t: Float[Tensor, "B H F J 3"],
    context: Float[Tensor, "B C"] | None,
    n_latent: int,
    generator: torch.Generator,
    flicker: float = 1.0,
) -> Float[Tensor, "B H F rows 3"]:
    """Latent noise in rows of three behind the joints, as generators read it.

    Args:
        x_t: Noisy poses.
        context: Its second feature tells the frame rate; that of the reference where None.
        n_latent: Channels; 0 leaves ``x_t`` unchanged.
        generator: Source of the noise, on the device of ``x_t``.
        flicker: Size of the channels that are new in every frame.
    """
    if not n_latent:
        return x_t
    B, H, F = x_t.shape[:3]
    seconds = torch.arange(F, device=x_t.device).expand(B, F) / REFERENCE_FPS
    if context is not None:
        seconds = seconds * (-context[:, 1:2]).exp()
    z = latent_noise(
        seconds,
        H,
        n_latent,
        lambda shape: torch.randn(shape, generator=generator, device=x_t.device),
    )
    z[..., -n_latent // 4 :] *= flicker
    return torch.cat([x_t, z.reshape(*z.shape[:-1], -1, 3)], -2)


def motion_distance(
    a: Float[Tensor, "B F J 3"], b: Float[Tensor, "B F J 3"], norms: Norms = NORMS
) -> Float[Tensor, " B"]:
    """Distance of motions: joints, poses, the clip and the changes between frames, in meters.

    Each term is a Euclidean norm, so that each gives a proper energy score and so does their sum:
    joints alone are calibrated one by one, poses and clips teach which errors are correlated and
    for how long, changes keep motions smooth.

    Args:
        a: Root-relative meters.
        b: The same.
        norms: Weights of the four terms, in this order.

    Returns:
        One distance per motion.

    Example:
        >>> still = torch.zeros(1, 4, 17, 3)
        >>> moved = still + torch.tensor([0.3, 0.0, 0.4])
        >>> motion_distance(still, moved)  # joint, pose and half the clip distance: 0.5 m each
        tensor([1.2500])
    """
    difference = a - b
    squares = difference.square().sum(-1)
    joints = _root(squares).mean((-1, -2))
    poses = _root(squares.mean(-1)).mean(-1)
    clip = _root(squares.mean((-1, -2)))
    total = norms[0] * joints + norms[1] * poses + norms[2] * clip
    if a.shape[-3] > 1:
        change = difference.diff(dim=-3).square().sum(-1)
        total = total + norms[3] * _root(change).mean((-1, -2))
    return total


def _root(x: Tensor) -> Tensor:
    """Square root with a bounded slope: equal within 10 micrometers."""
    return (x + 1e-10).sqrt() - 1e-5

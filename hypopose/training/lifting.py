"""Training of lifters, and of MPM's masked poses: losses as published, errors on held-out windows.

| objective | loss | of |
| --- | --- | --- |
| ``"lift"`` | mean distance; MPM's lifter: of both heads | GLA-GCN, MHFormer, MPM's fine-tuning |
| ``"lift-mixste"`` | :func:`mixste_loss` | MixSTE, KTPFormer, HoT |
| ``"lift-motionagformer"`` | :func:`motionagformer_loss` | MotionAGFormer |
| ``"mask"`` | :func:`masked_loss`: three tasks | MPM's pretraining |
| ``"complete"`` | :func:`completion_loss`: limbs hidden in all frames | MPM's completion |

Departures: gradients are those of the loss itself (KTPFormer's and D3DP's releases scale them by
the loss); our windows have 2D and 3D of the same bodies, so that MPM's third task needs no
augmented pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.metrics import mpjpe
from hypopose.networks import MPM, MPMLifter
from hypopose.networks.base import Network
from hypopose.networks.inputs import encode
from hypopose.networks.mpm import pretext_losses
from hypopose.networks.mpm_masks import TUBES, random_masks, tube_masks
from hypopose.samplers.windows import take_frames
from hypopose.training.batches import Batch
from hypopose.training.losses import joint_distance, supervised
from hypopose.training.validation import HeldOut

Clip = Float[Tensor, "B F J 3"]

MIXSTE_WEIGHTS = (1, 1, 2.5, 2.5, 1, 2.5, 2.5, 1, 1, 1, 1.5, 1.5, 4, 4, 1.5, 4, 4)
"""What a joint counts in :func:`mixste_loss`; Human3.6M's order."""

TUBE_MODES = {2: (0, 1, 2, 3, 9), 3: (0, 1, 2, 3, 6)}
"""Modes of :func:`hypopose.networks.mpm_masks.tube_masks` that completion is trained on."""

HIDDEN_JOINTS, HIDDEN_FRAMES = 5, 0.6
"""What pretraining hides: joints of each frame, and a share of the frames."""


def mixste_loss(predicted: Clip, target: Clip) -> Float[Tensor, ""]:
    """Weighted distance, half the squared predicted velocity, twice the error of velocities.

    Args:
        predicted: Meters.
        target: The same.

    Example:
        >>> still = torch.zeros(1, 3, 17, 3)
        >>> mixste_loss(still, still).item()
        0.0
    """
    weight = predicted.new_tensor(MIXSTE_WEIGHTS)
    loss = ((predicted - target).norm(dim=-1) * weight).mean()
    if predicted.shape[1] < 2:
        return loss
    velocity = predicted.diff(dim=1)
    smooth = (velocity.square() * weight[:, None]).mean()
    return loss + 0.5 * smooth + 2.0 * joint_distance(velocity, target.diff(dim=1))


def motionagformer_loss(predicted: Clip, target: Clip) -> Float[Tensor, ""]:
    """Distance, half the distance at the best scale, twenty times the error of velocities.

    Args:
        predicted: In the target's unit.
        target: Root-relative.

    Example:
        >>> y = torch.ones(1, 3, 17, 3)
        >>> motionagformer_loss(y / 2, y).item() == (y / 2 - y).norm(dim=-1).mean().item()
        True
    """
    scale = (target * predicted).sum(-1).mean(-1) / predicted.square().sum(-1).mean(-1)
    loss = joint_distance(predicted, target)
    loss = loss + 0.5 * joint_distance(scale[..., None, None] * predicted, target)
    if predicted.shape[1] < 2:
        return loss
    return loss + 20 * joint_distance(predicted.diff(dim=1), target.diff(dim=1))


def lift_loss(
    network: Network, batch: Batch, of: Callable[[Clip, Clip], Tensor] = joint_distance
) -> Float[Tensor, ""]:
    """A loss of poses lifted from the batch's keypoints; of the middle frame if there is one pose.

    Args:
        network: A lifter.
        batch: Windows; joints that are not known do not count.
        of: Predicted and true clips to a loss.
    """
    encoded = batch.encoded
    if isinstance(network, MPMLifter):
        tokens = network.encode(encoded.xy)
        answers = [network.sequence(tokens), network.center(tokens)]
    else:
        given = {"confidence": encoded.confidence, "context": encoded.context}
        answers = [network(None, encoded.xy, **given)[:, 0]]
    return torch.stack([of(out, supervised(out, batch)) for out in answers]).sum()


def masked_loss(network: MPM, batch: Batch, seed: int) -> Float[Tensor, ""]:
    """MPM's three pretext tasks on paired poses: 5 · 2D + 5 · 3D + 2D-to-3D.

    Args:
        network: In training.
        batch: Complete windows.
        seed: Decides what is hidden; 2D and 3D hide different joints and frames.
    """
    xy, target = batch.encoded.xy, batch.target
    B, F, J = target.shape[:3]
    losses: dict[str, Tensor] = {}
    for points, paired in ((xy, target), (target, None)):
        drawn = random_masks(B, F, J, HIDDEN_JOINTS, HIDDEN_FRAMES, seed + points.shape[-1])
        hidden, visible = (mask.to(xy.device) for mask in drawn)
        losses |= pretext_losses(network, points, hidden, visible, paired)
    return 5 * losses["2d"] + 5 * losses["3d"] + losses["lift"]


def completion_loss(network: MPM, batch: Batch, seed: int) -> Float[Tensor, ""]:
    """Completion of 2D and 3D, and lifting of 2D with gaps, when limbs are hidden in all frames.

    Args:
        network: In training.
        batch: Complete windows.
        seed: Decides which limbs are hidden.
    """
    xy, target = batch.encoded.xy, batch.target
    hidden = {d: _tubes(d, xy, seed + d) for d in (2, 3)}
    losses = pretext_losses(network, xy, hidden[2], None, target)
    losses |= pretext_losses(network, target, hidden[3])
    return losses["2d"] + losses["3d"] + 2 * losses["lift"]


@torch.no_grad()
def validate_lifter(network: nn.Module, held_out: HeldOut) -> dict[str, float]:
    """Mean error (mm) of all poses, or of the middle one.

    Args:
        network: A lifter.
        held_out: What it has not seen.
    """
    lifter = cast(Network, network)
    truth, windows = _cut(held_out, lifter.info.n_frames)
    xy, confidence, context, rotation = windows(lifter.info.inputs, _device(network))
    out = network(None, xy, confidence=confidence, context=context).cpu()[:, 0] @ rotation[:, None]
    truth = _middle(truth) if lifter.info.sequence_to_one else truth
    return {"lift_mpjpe_mm": 1000 * float(mpjpe(out - out[:, :, :1], truth))}


@torch.no_grad()
def validate_masked(network: nn.Module, held_out: HeldOut) -> dict[str, float]:
    """Errors of hidden limbs: 3D (mm) from 3D, 2D (share of half the image width) from 2D.

    Args:
        network: An MPM.
        held_out: What it has not seen.

    Returns:
        Also the error of poses lifted from complete 2D.
    """
    mpm = cast(MPM, network)
    truth, windows = _cut(held_out, mpm.info.n_frames)
    xy = windows("screen", _device(network))[0]
    scores = validate_lifter(network, held_out)
    for name, points, unit in (("3d_mm", truth.to(xy), 1000.0), ("2d_screen", xy, 1.0)):
        d = points.shape[-1]
        errors = []
        for mode in range(len(TUBES[d])):
            modes = torch.full((len(points),), mode)
            hidden = tube_masks(modes, 2 if d == 2 else 3, points.shape[1]).to(xy.device)
            filled = mpm.complete(points, hidden)
            errors.append((filled - points)[hidden].norm(dim=-1).mean())
        scores[f"complete_{name}"] = unit * float(torch.stack(errors).mean())
    return scores


def _tubes(n_dims: int, xy: Tensor, seed: int) -> Tensor:
    modes = torch.tensor(TUBE_MODES[n_dims])
    generator = torch.Generator().manual_seed(seed)
    drawn = modes[torch.randint(len(modes), (len(xy),), generator=generator)]
    return tube_masks(drawn, 2 if n_dims == 2 else 3, xy.shape[1], seed).to(xy.device)


def _middle(x: Clip) -> Float[Tensor, "B 1 J 3"]:
    at = (x.shape[1] - 1) // 2
    return x[:, at : at + 1]


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _cut(
    held_out: HeldOut, n_frames: int | None
) -> tuple[Clip, Callable[..., tuple[Tensor, Tensor, Tensor | None, Tensor]]]:
    """The windows at a network's length: their truth, and how to encode them."""
    have = held_out.truth.joints.shape[1]
    n = n_frames or have
    start = (have - n) // 2
    keypoints = held_out.keypoints
    keypoints = replace(keypoints, xy=take_frames(keypoints.xy, start, n))

    def encoded(kind: str, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        e = encode(keypoints, "screen" if kind == "screen" else "subject")
        context = None if e.context is None else e.context.to(device)
        return e.xy.to(device), e.confidence.to(device), context, e.rotation

    return take_frames(held_out.truth.joints, start, n), encoded

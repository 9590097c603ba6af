"""What a run trains, by name: its batches, its loss, how it is judged, how its weights are sampled.

To train something new, add an :class:`Objective` here; to train another network, add a way to make
it to :data:`NETWORKS` in :mod:`hypopose.training.architectures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hypopose.datasets.motion import Motion
from hypopose.diffusion import Schedule
from hypopose.training.batches import BatchMaker
from hypopose.training.config import TrainConfig
from hypopose.training.flow import flow_loss, validate_flow
from hypopose.training.losses import energy_loss, x0_loss
from hypopose.training.validation import HeldOut, validate_denoiser, validate_generator

MakeBatch = Callable[[int, int, torch.Generator], Any]


@dataclass(frozen=True, eq=False)
class Step:
    """What a loss may draw on.

    Args:
        config: The run's options.
        schedule: Noise levels.
        generator: Source of noise, on the batch's device.
        choices: Source of choices that hold for the whole batch, on the CPU.
    """

    config: TrainConfig
    schedule: Schedule
    generator: torch.Generator
    choices: torch.Generator


@dataclass(frozen=True, eq=False)
class Objective:
    """One thing to train for.

    Args:
        loss: Of a network on a batch, in metres.
        validate: Scores by name on held-out windows.
        sampling: How exported weights want to be sampled (``sampler.json``).
        role: What the network is called in a model card.
        make_batches: From motion, device and options to a function that draws batches.
    """

    loss: Callable[[Any, Any, Step], Tensor]
    validate: Callable[[nn.Module, HeldOut, TrainConfig], dict[str, float]]
    sampling: dict[str, Any]
    role: str
    make_batches: Callable[[Motion, torch.device, TrainConfig], MakeBatch]


def keypoint_batches(motion: Motion, device: torch.device, config: TrainConfig) -> BatchMaker:
    """Windows of bodies seen by virtual cameras: :class:`hypopose.training.BatchMaker`."""
    c = config
    return BatchMaker(motion, device, c.recombine, c.seated_share, c.tumbling)


def _x0(network: Any, batch: Any, step: Step) -> Tensor:
    c = step.config
    lift = bool(torch.rand((), generator=step.choices) < c.lift_share)
    return x0_loss(
        network, batch, step.schedule, step.generator, scale=c.scale, clamp=c.clamp, lift=lift
    )


def _energy(network: Any, batch: Any, step: Step) -> Tensor:
    c = step.config
    return energy_loss(
        network,
        batch,
        step.schedule,
        step.generator,
        scale=c.scale,
        clamp=c.clamp,
        one_step_share=c.one_step_share,
    )


def _flow(network: Any, batch: Any, step: Step) -> Tensor:
    c = step.config
    options = {"scale": c.scale, "clamp": c.clamp}
    return flow_loss(network, batch, step.generator, n_timesteps=c.n_timesteps, **options)


_SUBJECT_SAMPLING = {"precision": "float32", "overlap": 10, "chunk": 8192, "flip": False}

OBJECTIVES: dict[str, Objective] = {
    "x0": Objective(
        loss=_x0,
        validate=lambda network, held_out, c: validate_denoiser(
            network, held_out, scale=c.scale, clamp=c.clamp
        ),
        sampling={"sampler": "d3dp", "n_steps": 5, "eta": 0.0, **_SUBJECT_SAMPLING},
        role="denoiser",
        make_batches=keypoint_batches,
    ),
    "energy": Objective(
        loss=_energy,
        validate=lambda network, held_out, c: validate_generator(
            network, held_out, scale=c.scale, clamp=c.clamp
        ),
        sampling={"sampler": "distributional", "n_steps": 1, **_SUBJECT_SAMPLING},
        role="generator",
        make_batches=keypoint_batches,
    ),
    "flow": Objective(
        loss=_flow,
        validate=lambda network, held_out, c: validate_flow(
            network, held_out, scale=c.scale, clamp=c.clamp
        ),
        sampling={"sampler": "flow", "n_steps": 5, **_SUBJECT_SAMPLING},
        role="denoiser",
        make_batches=keypoint_batches,
    ),
}
"""Name -> objective. ``"x0"`` is D3DP's, ``"energy"`` trains generators for a proper score."""

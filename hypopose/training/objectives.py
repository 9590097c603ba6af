"""Training objectives by name: batches, loss, validation, and how the weights are sampled.

To train something new, add an :class:`Objective` here; to train another network, add a way to make
it to :data:`ARCHITECTURES` in :mod:`hypopose.training.architectures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hypopose.diffusion import Schedule
from hypopose.simulation import Motion
from hypopose.training.batches import BatchMaker, Inputs
from hypopose.training.config import TrainConfig
from hypopose.training.flow import flow_loss, validate_flow
from hypopose.training.lifting import (
    completion_loss,
    lift_loss,
    masked_loss,
    mixste_loss,
    motionagformer_loss,
    validate_lifter,
    validate_masked,
)
from hypopose.training.losses import energy_loss, joint_distance, x0_loss
from hypopose.training.mixtures import (
    mixture_batches,
    mixture_loss,
    validate_mixture,
    write_initial,
)
from hypopose.training.new_network import new_network
from hypopose.training.prior import motion_batches, prior_loss, validate_prior
from hypopose.training.refining import pair_loss, validate_pair
from hypopose.training.scale_loss import scale_loss, validate_scale
from hypopose.training.surface_losses import surface_loss, validate_surface
from hypopose.training.validation import HeldOut, validate_denoiser, validate_generator

MakeBatch = Callable[[int, int, torch.Generator], Any]


@dataclass(frozen=True, eq=False)
class LossContext:
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
        loss: Of a network on a batch; in meters if ``length``.
        validate: Scores by name on held-out windows.
        sampling: Recommended sampler options of exported weights (``sampler.json``).
        role: What the network is called in a model card.
        make_batches: From motion, device and options to a function that draws batches.
        beside: Writes further files into a folder of exported weights.
        length: Whether the loss is a length, which logs show in mm.
    """

    loss: Callable[[Any, Any, LossContext], Tensor]
    validate: Callable[[nn.Module, HeldOut, TrainConfig], dict[str, float]]
    sampling: dict[str, Any]
    role: str
    make_batches: Callable[[Motion, torch.device, TrainConfig], MakeBatch]
    beside: Callable[[Path, TrainConfig], None] | None = None
    length: bool = False

    def logged(self, loss: float) -> dict[str, float]:
        """A loss as logs show it: ``loss_mm`` if it is a length, else ``loss``."""
        return {"loss_mm": 1000 * loss} if self.length else {"loss": loss}


def keypoint_batches(motion: Motion, device: torch.device, config: TrainConfig) -> BatchMaker:
    """Windows of bodies seen by virtual cameras, as the run's network reads keypoints.

    With gaps, unless the network cannot read them.
    """
    given = (config.bodies, config.noise, config.cameras.pitched)
    inputs, gaps = what_is_read(config)
    return BatchMaker(motion, device, *given, inputs=inputs, gaps=gaps)


def what_is_read(config: TrainConfig) -> tuple[Inputs, bool]:
    """What the run's network reads, and whether keypoints may be missing.

    Args:
        config: The run's options.
    """
    with torch.random.fork_rng(devices=[]):
        info = new_network(config, "math").info
    subject = info.inputs == "subject"
    return "subject" if subject else "screen", subject or info.uses_confidence


def whole_batches(motion: Motion, device: torch.device, config: TrainConfig) -> BatchMaker:
    """Windows in screen coordinates without gaps, for losses that hide joints themselves."""
    given = (config.bodies, config.noise, config.cameras.pitched)
    return BatchMaker(motion, device, *given, inputs="screen", gaps=False)


def _x0(network: Any, batch: Any, context: LossContext) -> Tensor:
    o = context.config.objective
    lift = bool(torch.rand((), generator=context.choices) < o.lift_share)
    given = (network, batch, context.schedule, context.generator)
    return x0_loss(*given, scale=o.scale, clamp=o.clamp, lift=lift)


def _energy(network: Any, batch: Any, context: LossContext) -> Tensor:
    o = context.config.objective
    return energy_loss(
        network,
        batch,
        context.schedule,
        context.generator,
        scale=o.scale,
        clamp=o.clamp,
        one_step_share=o.one_step_share,
        n_draws=o.n_draws,
        norms=o.norms,
        flicker=o.flicker,
    )


def _space(config: TrainConfig) -> dict[str, float]:
    """Scale and limit of noisy poses."""
    return {"scale": config.objective.scale, "clamp": config.objective.clamp}


def _seed(context: LossContext) -> int:
    """A fresh seed for what a batch hides."""
    return int(torch.randint(2**31, (), generator=context.choices))


def _lifting(of: Callable[[Tensor, Tensor], Tensor], length: bool) -> Objective:
    return Objective(
        loss=lambda network, batch, context: lift_loss(network, batch, of),
        validate=lambda network, held_out, c: validate_lifter(network, held_out),
        sampling={"sampler": "lifter"},
        role="lifter",
        make_batches=keypoint_batches,
        length=length,
    )


def _masking(loss: Callable[[Any, Any, int], Tensor]) -> Objective:
    return Objective(
        loss=lambda network, batch, context: loss(network, batch, _seed(context)),
        validate=lambda network, held_out, c: validate_masked(network, held_out),
        sampling={"sampler": "lifter"},
        role="masked pose model",
        make_batches=whole_batches,
    )


def _flow(network: Any, batch: Any, context: LossContext) -> Tensor:
    o = context.config.objective
    options = {"scale": o.scale, "clamp": o.clamp}
    return flow_loss(network, batch, context.generator, n_timesteps=o.n_timesteps, **options)


_SUBJECT_SAMPLING = {"precision": "float32", "overlap": 6, "chunk": 2048, "flip": False}
_MIRRORED = {**_SUBJECT_SAMPLING, "mirror": True}

OBJECTIVES: dict[str, Objective] = {
    "x0": Objective(
        loss=_x0,
        validate=lambda network, held_out, c: validate_denoiser(network, held_out, **_space(c)),
        sampling={"sampler": "d3dp", "n_steps": 5, "eta": 0.0, **_MIRRORED},
        role="denoiser",
        make_batches=keypoint_batches,
        length=True,
    ),
    "energy": Objective(
        loss=_energy,
        validate=lambda network, held_out, c: validate_generator(
            network,
            held_out,
            scale=c.objective.scale,
            clamp=c.objective.clamp,
            flicker=c.objective.flicker,
        ),
        sampling={"sampler": "distributional", "n_steps": 1, "frame_noise_scale": 0.0, **_MIRRORED},
        role="generator",
        make_batches=keypoint_batches,
        length=True,
    ),
    "flow": Objective(
        loss=_flow,
        validate=lambda network, held_out, c: validate_flow(network, held_out, **_space(c)),
        sampling={"sampler": "flow", "n_steps": 5, **_MIRRORED},
        role="denoiser",
        make_batches=keypoint_batches,
    ),
    "diffpose": Objective(
        loss=lambda network, drawn, context: mixture_loss(
            network,
            drawn,
            context.schedule,
            context.generator,
            **_space(context.config),
        ),
        validate=validate_mixture,
        sampling={
            "sampler": "diffpose",
            "n_steps": 5,
            "eta": 0.0,
            "spacing": 2.0,
            **_SUBJECT_SAMPLING,
        },
        role="denoiser",
        make_batches=mixture_batches,
        beside=write_initial,
    ),
    "diffpose-released": Objective(
        loss=lambda network, batch, context: pair_loss(network, batch, context.generator),
        validate=lambda network, held_out, c: validate_pair(network, held_out),
        sampling={"sampler": "diffpose-released", "n_steps": 2, "n_test_timesteps": 24},
        role="lifter and refiner",
        make_batches=keypoint_batches,
    ),
    "prior": Objective(
        loss=lambda network, x0, context: prior_loss(
            network, x0, context.schedule, context.generator, scale=context.config.objective.scale
        ),
        validate=validate_prior,
        sampling={"sampler": "platypose"},
        role="prior of motion",
        make_batches=motion_batches,
    ),
    "surface": Objective(
        loss=lambda network, batch, context: surface_loss(network, batch, context.generator),
        validate=lambda network, held_out, c: validate_surface(network, held_out),
        sampling={"sampler": "mesh"},
        role="mesh decoder",
        make_batches=keypoint_batches,
    ),
    "lift": _lifting(joint_distance, True),
    "uncertainty": Objective(
        loss=lambda network, batch, context: scale_loss(network, batch),
        validate=lambda network, held_out, c: validate_scale(network, held_out),
        sampling={"sampler": "lifter", "flip": False},
        role="lifter with a scale per joint",
        make_batches=keypoint_batches,
    ),
    "lift-mixste": _lifting(mixste_loss, False),
    "lift-motionagformer": _lifting(motionagformer_loss, True),
    "mask": _masking(masked_loss),
    "complete": _masking(completion_loss),
}
"""Name -> objective. ``"x0"`` is D3DP's, ``"energy"`` trains generators for a proper score; the
others are in :mod:`hypopose.training.lifting`."""

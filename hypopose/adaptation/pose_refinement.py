"""A refiner of poses, trained after everything else: what a network errs in alike.

The network stays as it is, and EpipolarPose's unit or PoSynDA's transformer learns from the same
windows for the same objective: of a generator the energy score, which neither narrower nor wider
hypotheses improve by themselves.

Departures: the published ones replace the pose; the unit learned by squared errors
(:func:`hypopose.networks.refinement_loss`), the transformer beside low-rank adapters.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from hypopose.adaptation.trainer import AdaptationTrainer
from hypopose.errors import OptionError
from hypopose.networks.hot import BACKBONES
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.refined_network import RefinedNetwork
from hypopose.networks.refinement_unit import PoseStatistics
from hypopose.networks.staged import StagedNetwork
from hypopose.training.objectives import LossContext

LEARNING_RATE = 1e-3
WIDTHS = {"unit": 256, "transformer": 64}
"""Refiner -> its width: a transformer has a token a joint."""
FIRST_BATCHES = 4
"""Batches that tell what poses look like."""


def refine_network(
    network: PretrainedNetwork, trainer: AdaptationTrainer, share: float
) -> RefinedNetwork:
    """A network with a trained refiner.

    Args:
        network: Adapted; it is copied.
        trainer: That adapted it, done.
        share: Frames that the refiner is trained on, of those that the network was.

    Returns:
        The refined network, for inference, on the CPU.

    Raises:
        OptionError: If such networks cannot be refined.
    """
    config, device = trainer.config, trainer.device
    refiner = config.target.refiner
    seed = config.compute.seed + 104729
    generator = torch.Generator(device).manual_seed(seed)
    choices = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        refined = RefinedNetwork.wrap(
            cast(StagedNetwork, network), refiner=refiner, width=WIDTHS[refiner]
        )
    refined = refined.to(device).eval()
    refined.network.requires_grad_(False)
    F = config.data.longest
    B = max(1, config.data.batch_frames // F)
    some = [trainer.make_batch(B, F, generator).target for _ in range(FIRST_BATCHES)]
    refined.standardize(PoseStatistics.of(torch.cat(some)[..., 1:, :].flatten(0, 1)))
    optimizer = torch.optim.Adam(refined.unit.parameters(), LEARNING_RATE)
    n_steps = max(2, math.ceil(share * trainer.progress.frames / (B * F)))
    refined.unit.train()
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        batch = trainer.make_batch(B, F, generator)
        context = LossContext(config, trainer.schedule, generator, choices)
        with torch.autocast(device.type, torch.bfloat16, enabled=trainer.half):
            loss = trainer.objective.loss(refined, batch, context)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(refined.unit.parameters(), config.optimizer.clip_norm)
        optimizer.step()
    return refined.cpu().eval()


def check_refinable(network: nn.Module) -> None:
    """Refuse networks that a unit cannot be added to.

    Args:
        network: Any.

    Raises:
        OptionError: If it is none of :data:`hypopose.networks.hot.BACKBONES`.
    """
    name = type(network).__name__
    if name not in BACKBONES:
        raise OptionError(
            f"A {name} cannot have a refinement unit, which is added to one of "
            f"{', '.join(BACKBONES)}; set refinement=0."
        )


def unrefined(network: PretrainedNetwork) -> PretrainedNetwork:
    """The network without its refinement unit, if it has one.

    Args:
        network: Any.
    """
    return network.network if isinstance(network, RefinedNetwork) else network

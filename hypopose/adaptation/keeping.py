"""What training forgets, and going back part of the way so that it is little."""

from __future__ import annotations

import torch

from hypopose.adaptation.judging import Change
from hypopose.adaptation.options import AdaptOptions
from hypopose.adaptation.sources import Source
from hypopose.adaptation.trainer import AdaptationTrainer
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.training.validation import validate_generator

BACK = (1.0, 0.75, 0.5, 0.25)
"""Shares of the adapted weights that are tried until little enough was forgotten."""


def mixed(first: PretrainedNetwork, last: PretrainedNetwork, share: float) -> PretrainedNetwork:
    """A network between two.

    Args:
        first: Where training began.
        last: Where it ended; changed in place.
        share: Of the last.
    """
    start = first.state_dict()
    with torch.no_grad():
        for name, x in last.state_dict().items():
            if x.is_floating_point():
                x.copy_(torch.lerp(start[name].to(x), x, share))
    return last.cpu().eval()


def part_of_the_way(
    source: Source, trainer: AdaptationTrainer, first: PretrainedNetwork, o: AdaptOptions
) -> tuple[PretrainedNetwork, float, dict[str, Change]]:
    """As much of the adapted weights as may be forgotten for.

    Args:
        source: Weights and motion.
        trainer: Done.
        first: The first weights.
        o: Options.

    Returns:
        The network, the share of the adapted weights in it, and scores on validation motion.
    """
    start = remembered(first, source)
    share, forgetting = 1.0, dict[str, Change]()
    network = first
    for share in BACK:
        network = mixed(first, trainer.averaged(), share)
        forgetting = {
            name: Change(before, after, 0.0, 1)
            for (name, before), after in zip(
                start.items(), remembered(network, source).values(), strict=True
            )
        }
        energy = [c for name, c in forgetting.items() if name.startswith("energy")]
        if all(c.after <= (1 + o.tolerated) * c.before for c in energy):
            break
    return network, share, forgetting


def remembered(network: PretrainedNetwork, source: Source) -> dict[str, float]:
    """Scores on validation motion of other people, in mm; none without such motion.

    Args:
        network: A generator.
        source: Has the motion.
    """
    if source.validation is None:
        return {}
    o = source.config.objective
    given = {"scale": o.scale, "clamp": o.clamp, "flicker": o.flicker}
    return validate_generator(network, source.validation, **given)

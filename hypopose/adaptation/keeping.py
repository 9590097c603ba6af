"""Limit forgetting: interpolate adapted weights back towards those they started from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from hypopose.adaptation.judging import Change
from hypopose.adaptation.pose_refinement import unrefined
from hypopose.adaptation.sources import SourceDomain
from hypopose.adaptation.trainer import AdaptationTrainer
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.training.validation import validate_generator

BACK = (1.0, 0.75, 0.5, 0.25)
"""Shares of the adapted weights, tried in this order until little enough is forgotten."""


def mixed(first: PretrainedNetwork, last: PretrainedNetwork, share: float) -> PretrainedNetwork:
    """A network between two.

    Args:
        first: Where training began; its refinement unit, if it has one, is left out.
        last: Where it ended; changed in place.
        share: Of the last.
    """
    start = unrefined(first).state_dict()
    with torch.no_grad():
        for name, x in last.state_dict().items():
            if x.is_floating_point():
                x.copy_(torch.lerp(start[name].to(x), x, share))
    return last.cpu().eval()


@dataclass(frozen=True, eq=False)
class Way:
    """An interpolation between two networks.

    Args:
        network: At this place.
        share: Of the adapted weights.
        forgetting: Scores on validation motion, before and after, in mm.
    """

    network: PretrainedNetwork
    share: float
    forgetting: dict[str, Change]

    def is_kept(self, tolerated: float) -> bool:
        """Whether the energy score rose by no more than a share.

        Args:
            tolerated: The share.
        """
        energy = [c for name, c in self.forgetting.items() if name.startswith("energy")]
        return all(c.after <= (1 + tolerated) * c.before for c in energy)


def ways_back(
    source: SourceDomain, trainer: AdaptationTrainer, first: PretrainedNetwork
) -> Iterator[Way]:
    """Interpolations from the adapted weights back to the first ones.

    Args:
        source: Weights and motion.
        trainer: Done.
        first: The first weights.
    """
    start = remembered(first, source)
    for share in BACK:
        network = mixed(first, trainer.averaged(), share)
        end = remembered(network, source)
        yield Way(network, share, {n: Change(x, end[n], 0.0, 1) for n, x in start.items()})


def forgotten(
    source: SourceDomain, first: PretrainedNetwork, last: PretrainedNetwork
) -> dict[str, Change]:
    """Scores on validation motion of the first weights and of others, in mm.

    Args:
        source: Has the motion.
        first: A generator.
        last: Another.
    """
    start, end = remembered(first, source), remembered(last, source)
    return {name: Change(x, end[name], 0.0, 1) for name, x in start.items()}


def remembered(network: PretrainedNetwork, source: SourceDomain) -> dict[str, float]:
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

"""The kinds of windows that a run is trained on, made from its options and the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from hypopose.adaptation.bending import BentBatchMaker
from hypopose.adaptation.builds import (
    BuildPosterior,
    estimate_builds,
    simulate_response,
    worth_using,
)
from hypopose.adaptation.labels import (
    LabelBatchMaker,
    LabeledClip,
    labels_from_teacher,
    labels_from_views,
)
from hypopose.adaptation.mixing import Part
from hypopose.adaptation.placement import AlignedBatchMaker, Stands
from hypopose.adaptation.pose_refinement import check_refinable
from hypopose.adaptation.recordings import Recording
from hypopose.adaptation.sources import SourceDomain
from hypopose.adaptation.trainer import AdaptationTrainer
from hypopose.errors import OptionError
from hypopose.networks.base import Network
from hypopose.simulation import DetectionOptions, Motion
from hypopose.training import BatchMaker, TrainConfig
from hypopose.training.objectives import what_is_read

LEAST_REPLAY = 0.15
"""Share of general training, before shares are divided by their sum."""

BESIDE_VIEWS = 1 / 3
"""What shares of aligned windows count beside labels of views, which tell more of the target."""

OBJECTIVES = ("energy", "x0", "lift", "lift-mixste", "lift-motionagformer")
"""What can be trained for on a target: losses that leave out joints without a label."""


def find_builds(
    source: SourceDomain,
    recordings: Sequence[Recording],
    config: TrainConfig,
    scale_std: float = 0.0,
) -> BuildPosterior | None:
    """The posterior of people's builds from trained weights, see :mod:`hypopose.adaptation.builds`.

    Args:
        source: A generator and motion.
        recordings: That are adapted to.
        config: The run's options.
        scale_std: Relative standard deviation of the size of labels.

    Returns:
        None if it is not asked for, or not worth using.
    """
    target = config.target
    if not (target.builds and (target.aligned or target.augmented)):
        return None
    device = config.compute.device
    network = cast(Network, source.network().to(device))
    generator = torch.Generator(device).manual_seed(config.compute.seed)
    like = replace(source.config, noise=target_noise(source.config, recordings))
    stands = Stands.of(recordings)
    response = simulate_response(network, like, source.motion, stands, generator)
    found = estimate_builds(
        network, source.config, recordings, response, generator,
        height=target.height, scale_std=scale_std,
    )  # fmt: skip
    measured = any(r.label is not None for r in recordings)
    return worth_using(found, target.height is not None or measured)


def target_noise(config: TrainConfig, recordings: Sequence[Recording]) -> DetectionOptions:
    """The detector of training, as often with COCO's points as the target's joints are formed.

    Args:
        config: The options of training.
        recordings: The target's.
    """
    formed = sum(r.is_formed for r in recordings) / len(recordings)
    return replace(config.noise, as_coco=formed)


def make_trainer(
    config: TrainConfig,
    motion: Motion,
    recordings: Sequence[Recording],
    builds: BuildPosterior | None = None,
) -> AdaptationTrainer:
    """The trainer of a target.

    Args:
        config: The run's options.
        motion: Of the source.
        recordings: That are adapted to.
        builds: Of the people.

    Raises:
        OptionError: If the objective cannot be trained for on a target, or a refinement unit is
            asked for that the network cannot have.
    """
    check_objective(config)
    inputs, gaps = what_is_read(config)
    reading: dict[str, Any] = {"inputs": inputs, "gaps": gaps}
    target, n_draws = config.target, config.objective.n_draws
    seen = labels_from_views(recordings) if target.view_labels else []
    placed = _placed_parts(config, motion, recordings, builds, reading)
    counted = BESIDE_VIEWS if seen else 1.0
    parts = [replace(part, share=counted * part.share) for part in placed]
    if seen:
        parts.append(Part("views", target.view_labels, LabelBatchMaker(seen, n_draws, **reading)))
    relabel = None
    if target.teacher:
        nothing = LabelBatchMaker(unlabeled_clips(recordings), n_draws, **reading)
        parts.append(Part("teacher", target.teacher, nothing))

        def relabel(network: Network, generator: torch.Generator) -> list[LabeledClip]:
            return labels_from_teacher(network, recordings, config, generator, builds=builds)

    rest = max(LEAST_REPLAY, 1.0 - sum(part.share for part in parts))
    given = (config.bodies, config.noise, config.cameras.pitched)
    replay = BatchMaker(motion, torch.device(config.compute.device), *given, **reading)
    trainer = AdaptationTrainer(config, [*parts, Part("replay", rest, replay)], relabel)
    if target.refinement:
        check_refinable(trainer.network)
    return trainer


def check_objective(config: TrainConfig) -> None:
    """Refuse what cannot be trained for on a target.

    Args:
        config: The run's options.

    Raises:
        OptionError: If it is another objective, or a teacher that draws nothing is asked for.
    """
    name = config.objective.name
    if name not in OBJECTIVES:
        raise OptionError(
            f"The objective {name!r} cannot be trained for on a target; choose one of "
            f"{', '.join(OBJECTIVES)}, or leave target.keypoints out."
        )
    if config.target.teacher and name != "energy":
        raise OptionError(
            f"A teacher draws hypotheses, which objective={name!r} has none of; set teacher=0."
        )


def _placed_parts(
    config: TrainConfig,
    motion: Motion,
    recordings: Sequence[Recording],
    builds: BuildPosterior | None,
    reading: dict[str, Any],
) -> list[Part]:
    """Source motions where the target's people stand, as they are or bent."""
    target = config.target
    if not (target.aligned or target.augmented):
        return []
    noise = target_noise(config, recordings)
    given = (motion, Stands.of(recordings), torch.device(config.compute.device), config.bodies,
             noise, config.cameras.pitched)  # fmt: skip
    how = {**reading, "builds": builds, "sizes": target.sizes}
    plain = target.aligned if builds is None else target.aligned + target.augmented
    parts = []
    if plain:
        parts.append(Part("aligned", plain, AlignedBatchMaker(*given, **how)))
    if target.augmented and builds is None:
        bent = BentBatchMaker(*given, seed=config.compute.seed, **how)
        parts.append(Part("augmented", target.augmented, bent))
    return parts


def unlabeled_clips(recordings: Sequence[Recording]) -> list[LabeledClip]:
    """Clips without any label, until a teacher gives some.

    Args:
        recordings: Of everybody.
    """
    return [
        LabeledClip(r.rays, r.confidence, r.fps, torch.full((r.n_frames, 17, 3), torch.nan))
        for r in recordings
    ]

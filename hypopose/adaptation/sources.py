"""Weights to start from, how they were trained, and motion that is replayed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch

from hypopose.adaptation.adapt_options import FRAMES, AdaptOptions
from hypopose.datasets.shards import load_motion
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.errors import CheckpointError, OptionError
from hypopose.networks import load_network
from hypopose.networks.base import Network
from hypopose.networks.load import weights_folder
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.samplers import DistributionalDiffusion
from hypopose.samplers.recommended import read_recommended
from hypopose.simulation import Motion
from hypopose.training import TrainConfig
from hypopose.training.validation import HeldOut, hold_out

MOST_HELD_OUT = 48
"""Windows of validation motion."""

OPTIONS_FILE = "training.json"
"""How weights were trained, beside them."""

SYNTHETIC = "synthetic"
"""What the figures that ship are called."""

DEFAULT = "distributional-frame-small"
"""The default weights."""


@dataclass(frozen=True, eq=False)
class SourceDomain:
    """Weights to start from, and motion to replay.

    Args:
        folder: Of the weights.
        config: What they were trained with.
        motion: To replay.
        validation: Motion of other people; None if there is none.
        names: What the motion is called.
    """

    folder: Path
    config: TrainConfig
    motion: Motion
    validation: HeldOut | None
    names: tuple[str, ...]

    def network(self) -> PretrainedNetwork:
        """The network with the first weights."""
        return load_network(self.folder)

    def sampler(self, network: PretrainedNetwork) -> DistributionalDiffusion:
        """The sampler that the weights recommend."""
        known = {f.name for f in fields(DistributionalDiffusion)}
        told = {k: v for k, v in read_recommended(self.folder).items() if k in known}
        return DistributionalDiffusion(cast(Network, network), **told)


def load_source(
    weights: str | Path | None, motion: str | Path | None, options: AdaptOptions
) -> SourceDomain:
    """Weights that can be adapted, with motion.

    Args:
        weights: Folder or name; None for the default ones.
        motion: Folder of motion shards; None for the synthetic figures that ship.
        options: Of adaptation.

    Raises:
        CheckpointError: If the weights do not say how they were trained, or are no generator.
        OptionError: If the folder has no motion shards.
    """
    folder = weights_folder(weights or DEFAULT)
    try:
        text = (folder / OPTIONS_FILE).read_text(encoding="utf-8")
    except OSError:
        raise CheckpointError(
            f"{folder} has no training.json, which adaptation needs: adapt weights made with "
            "hypopose train, or the default ones."
        ) from None
    config = TrainConfig.from_json(text)
    if config.objective.name != "energy":
        raise CheckpointError(
            f"{folder} was trained for {config.objective.name!r}; adaptation keeps spreads honest "
            "by the energy score and needs a generator, such as the default weights."
        )
    moving, validation, names = _motion(motion, config)
    return SourceDomain(
        folder, _adapting(config, folder, names, options), moving, validation, names
    )


def reference_source(config: TrainConfig, motion: Motion) -> SourceDomain:
    """The generator from which a training run infers the builds of its target's people.

    Args:
        config: Of the run.
        motion: Of the run.

    Returns:
        The weights the run starts from if they are a generator's, else the default ones.
    """
    for weights in (config.network.start or DEFAULT, DEFAULT):
        folder = weights_folder(weights)
        if (folder / OPTIONS_FILE).is_file():
            known = TrainConfig.from_json((folder / OPTIONS_FILE).read_text(encoding="utf-8"))
            if known.objective.name == "energy":
                break
    return SourceDomain(folder, known, motion, None, ())


def _motion(
    folder: str | Path | None, config: TrainConfig
) -> tuple[Motion, HeldOut | None, tuple[str, ...]]:
    """Motion to replay, windows of other people, and names of the shards."""
    if folder is None:
        windows = _first(hold_out(synthetic_motion("val"), stride=27))
        return synthetic_motion("train"), windows, (SYNTHETIC,)
    there = sorted(Path(folder).glob("*.npz"))
    named = [p for p in there if p.name in config.data.shards] or there
    if not named:
        raise OptionError(
            f"{folder} holds no motion shards (.npz); make one with hypopose data prepare MOCAP "
            "-o motion.npz, or leave --motion out to replay synthetic figures."
        )
    motion = load_motion(named, "train", exclude=config.data.exclude)
    try:
        val = load_motion(named, "val", exclude=config.data.exclude)
    except OptionError:
        return motion, None, tuple(p.name for p in named)
    validation = _first(hold_out(val)) if int(val.length.max()) >= 27 else None
    return motion, validation, tuple(p.name for p in named)


def _first(held_out: HeldOut) -> HeldOut:
    """Some of the windows, evenly taken."""
    n = len(held_out.truth.joints)
    pick = torch.linspace(0, n - 1, min(n, MOST_HELD_OUT)).round().long()
    k, truth = held_out.keypoints, held_out.truth
    return HeldOut(
        replace(k, xy=k.xy[pick]),
        replace(
            truth,
            joints=truth.joints[pick],
            root=None if truth.root is None else truth.root[pick],
        ),
        held_out.world[pick],
    )


def _adapting(
    config: TrainConfig, folder: Path, names: tuple[str, ...], options: AdaptOptions
) -> TrainConfig:
    """The options of the weights' training with those of adaptation."""
    budget: dict[str, Any] = (
        {"minutes": options.minutes}
        if options.n_frames is None and options.minutes is not None
        else {"minutes": None, "n_frames": options.n_frames or FRAMES}
    )
    longest = max(config.data.lengths)
    lengths = [n for n in (9, 27, 81) if n <= longest] or [longest]
    return config.with_options(
        shards=list(names),
        start=str(folder),
        lengths=lengths,
        length_shares=[0.1, 0.5, 0.4][: len(lengths)],
        low_rank=options.rank,
        target=options.parts,
        batch_frames=options.batch_frames,
        optimizer="adamw",
        learning_rate=options.learning_rate,
        final_share=0.01,
        warmup_steps=20,
        ema_decay=0.99,
        checkpoint_seconds=60.0,
        validate_seconds=1e9,
        bf16=None,
        compile=False,
        seed=options.seed,
        device=options.device,
        **budget,
    )

"""From a run's checkpoint to a folder of weights that samplers load."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from hypopose import __version__
from hypopose.errors import CheckpointError
from hypopose.io.atomic import write_atomically
from hypopose.networks.base import Network
from hypopose.networks.compact import compact
from hypopose.networks.pretrained import (
    WEIGHTS_FILE,
    PretrainedNetwork,
    read_weights,
    save_weights,
    seal,
)
from hypopose.networks.scales import base_folder
from hypopose.samplers import SAMPLERS
from hypopose.training.config import TrainConfig
from hypopose.training.run_state import Progress, averaged_network, objective_of, read_state

HYPOTHESES = 25
"""Hypotheses of the longest window that fit into one call, so that they share its first blocks."""

CARD = """# {name}

{kind} {role}, {parameters:.1f} M parameters, for the sampler {sampler!r}; weights in float16.
Reads Human3.6M-17 keypoints of any camera, {reads}; windows of {length} frames at 15 to 60 Hz.

- Trained on: {shards} (train split)
- Seen: {frames:,} frames in {steps:,} steps, {minutes:.0f} min on {device}
- Options: see `training.json`; made with HypoPose {version}
"""


def export(run: str | Path, target: str | Path, *, small: bool = False) -> Path:
    """Write a run's averaged weights: config, float16 tensors, sampler options and a model card.

    A run may be exported while it trains; its latest checkpoint is used. A card and sampler options
    that are already there are kept, because they may have been edited; only ``scale`` and
    ``clamp``, which training decides, are brought up to date.

    Args:
        run: Folder of a run.
        target: Folder of weights; made if absent.
        small: Store matrices in 8 bits, see :mod:`hypopose.networks.compact`.

    Returns:
        ``target``.

    Raises:
        CheckpointError: If the run has no checkpoint.
    """
    run, target = Path(run), Path(target)
    try:
        config = TrainConfig.from_json((run / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{run} is not the folder of a training run.") from error
    state = read_state(run / "state.pt")
    network = averaged_network(config, state["ema"])
    target.mkdir(parents=True, exist_ok=True)
    network.save_config(target)
    half = {name for name, _ in network.named_parameters()}  # statistics and counts stay exact
    own = _without_base(network, target)
    state_dict = compact(own) if small else own
    tensors = {
        k: (v.to(torch.float16) if k in half and v.is_floating_point() else v).contiguous()
        for k, v in state_dict.items()
    }
    save_weights(tensors, target)
    options = _options(target, config, network)
    _write(target / "sampler.json", json.dumps(options, indent=2) + "\n")
    _write(target / "training.json", _as_it_was(config, state).to_json())
    beside = objective_of(config).beside
    if beside is not None:
        beside(target, config)
        seal(target)
    if not (target / "README.md").exists():
        card = _card(target.name, config, Progress(**state["progress"]), network)
        _write(target / "README.md", card)
    return target


def _without_base(network: PretrainedNetwork, target: Path) -> dict[str, Tensor]:
    """Tensors of a network, except those that its base, if it names one, holds as they are."""
    state: dict[str, Tensor] = network.state_dict()
    base = network.config.get("base")
    if base is None:
        return state
    below = read_weights(base_folder(target, base) / WEIGHTS_FILE)
    return {k: x for k, x in state.items() if k not in below or not x.equal(below[k].to(x))}


def _options(target: Path, config: TrainConfig, network: nn.Module) -> dict[str, Any]:
    path = target / "sampler.json"
    chosen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    advised = dict(objective_of(config).sampling)
    method = SAMPLERS.get(advised["sampler"])
    known = {"scale", "clamp"} if method is None else {field.name for field in fields(method)}
    if "fill_missing" in known and not cast(Network, network).info.uses_confidence:
        advised["fill_missing"] = "interpolate"
    if "chunk" in advised:
        advised["chunk"] = max(advised["chunk"], HYPOTHESES * config.data.longest)
    trained = {"scale": config.objective.scale, "clamp": config.objective.clamp}
    return {**advised, **chosen, **{k: v for k, v in trained.items() if k in known}}


def _as_it_was(config: TrainConfig, state: dict[str, Any]) -> TrainConfig:
    """The options without paths; a time budget is replaced by the number of frames it was."""
    if config.budget.minutes is None:
        return _without_paths(config)
    return _without_paths(config).with_options(n_frames=Progress(**state["progress"]).frames)


def _without_paths(config: TrainConfig) -> TrainConfig:
    shards = tuple(os.path.basename(shard) for shard in config.data.shards)
    start = None if config.network.start is None else os.path.basename(config.network.start)
    files = {
        name: None if path is None else os.path.basename(path)
        for name, path in (("camera", config.target.camera), ("rig", config.target.rig))
    }
    seen = tuple(os.path.basename(os.path.normpath(path)) for path in config.target.keypoints)
    return config.with_options(shards=shards, start=start, target={**files, "keypoints": seen})


def _card(name: str, config: TrainConfig, progress: Progress, network: nn.Module) -> str:
    objective, info = objective_of(config), getattr(network, "info", None)
    longest = config.data.longest
    return CARD.format(
        name=name,
        kind=type(network).__name__,
        role=objective.role,
        sampler=objective.sampling["sampler"],
        parameters=sum(p.numel() for p in network.parameters()) / 1e6,
        reads="without gaps" if info and not info.uses_confidence else "with confidences and gaps",
        length=longest if info and info.n_frames else f"1 to {longest}",
        shards=", ".join(_without_paths(config).data.shards),
        frames=progress.frames,
        steps=progress.step,
        minutes=progress.seconds / 60,
        device=config.compute.device,
        version=__version__,
    )


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")

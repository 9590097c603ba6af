"""A run's network: with random weights, or those of another of its kind."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from hypopose.errors import CheckpointError, OptionError
from hypopose.networks import MPMLifter
from hypopose.networks.attention import Backend
from hypopose.networks.load import weights_folder
from hypopose.networks.pretrained import WEIGHTS_FILE, PretrainedNetwork, read_weights
from hypopose.training.architectures import ARCHITECTURES, form_of
from hypopose.training.config import TrainConfig


def new_network(config: TrainConfig, attention: Backend = "sdpa") -> PretrainedNetwork:
    """The configured network with random weights.

    Raises:
        OptionError: If there is no such network, it has no such option, or it does not fit the
            objective or the window lengths.
    """
    name = config.network.name
    if name not in ARCHITECTURES:
        raise OptionError(
            f"There is no network {name!r} to train; choose one of {', '.join(ARCHITECTURES)}."
        )
    _check_memory(config)
    try:
        network = ARCHITECTURES[name].make(config, attention)
    except TypeError as error:
        raise OptionError(f"The network {name!r} says: {error}.") from error
    check_fit(network, config)
    return network


def _check_memory(config: TrainConfig) -> None:
    """Raise where weights, gradients, averages and the optimizer's states do not fit in memory.

    The estimate counts the matrices of the blocks, which every architecture has about.
    """
    n = config.network
    inner = n.width * n.width * (4 + 2 * n.mlp_ratio) * n.n_layers
    needed = 4 * COPIES * inner
    if needed > MOST_BYTES:
        raise OptionError(
            f"A network of width={n.width}, n_layers={n.n_layers} and mlp_ratio={n.mlp_ratio:g} "
            f"takes about {needed / 1e9:.0f} GB to train; networks here take up to "
            f"{MOST_BYTES / 1e9:.0f} GB."
        )


COPIES = 5
"""Numbers kept per weight: itself, its gradient, two moments, its average."""

MOST_BYTES = 64e9


def check_fit(network: nn.Module, config: TrainConfig) -> None:
    """Raise unless a network can be trained as the options say.

    Raises:
        OptionError: If it lacks the form of the objective, takes other window lengths, or needs
            larger batches.
    """
    info = getattr(network, "info", None)
    if info is None:
        return
    form = form_of(config)
    if form not in info.forms:
        raise OptionError(
            f"{type(network).__name__} is not a {form}, so objective={config.objective.name!r} "
            f"does not fit; choose one for a {info.forms[0]}."
        )
    if form == "denoiser" and config.objective.lift_share and "lifter" not in info.forms:
        raise OptionError(f"{type(network).__name__} always reads a noisy pose; set lift_share=0.")
    if info.n_frames is not None and set(config.data.lengths) != {info.n_frames}:
        raise OptionError(
            f"{type(network).__name__} takes windows of {info.n_frames} frames only; set "
            f"lengths=[{info.n_frames}] and length_shares=[1]."
        )
    if isinstance(network, MPMLifter) and config.data.batch_frames < 2 * config.data.longest:
        raise OptionError(
            "MPMLifter normalizes its last frame over the batch, which takes two windows at least: "
            f"set batch_frames={2 * config.data.longest} or more, got {config.data.batch_frames}."
        )


@torch.no_grad()
def start_from(network: nn.Module, folder: str | Path) -> int:
    """Fill a network with the weights of another of its kind.

    Tensors of the same shape are taken; where this network's are larger (a lifter that becomes a
    generator reads more inputs), the leading part they share is taken and the rest keeps its
    values. Of a network that is wrapped, in an hourglass or with a refinement unit, what is inside.

    Args:
        network: To be filled.
        folder: A folder with ``config.json`` and ``model.safetensors``, or the name of bundled
            weights.

    Returns:
        How many tensors were taken.

    Raises:
        CheckpointError: If there is no such folder, or none fits.
    """
    path = weights_folder(folder) / WEIGHTS_FILE
    read, taken = read_weights(path), 0
    given = {name.removeprefix("network."): x for name, x in read.items()} | read
    for name, tensor in network.state_dict().items():
        other = given.get(name)
        if other is None or other.dim() != tensor.dim():
            continue
        if all(n <= m for n, m in zip(other.shape, tensor.shape, strict=True)):
            tensor[tuple(slice(n) for n in other.shape)] = other.to(tensor)
            taken += 1
    if not taken:
        raise CheckpointError(f"{path} has no tensor that fits this {type(network).__name__}.")
    return taken

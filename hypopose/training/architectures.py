"""Networks that can be trained, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from hypopose.errors import CheckpointError, OptionError
from hypopose.networks.attention import Backend
from hypopose.networks.pretrained import WEIGHTS_FILE, PretrainedNetwork, read_weights
from hypopose.training.config import TrainConfig
from hypopose.training.recipes import RECIPES, check_fit

NETWORKS: dict[str, Callable[[TrainConfig, Backend], PretrainedNetwork]] = {
    name: recipe.make for name, recipe in RECIPES.items()
}
"""Name -> how to make one with random weights from a run's options and an attention backend."""


def new_network(config: TrainConfig, attention: Backend = "sdpa") -> PretrainedNetwork:
    """The configured network with random weights.

    Raises:
        OptionError: If there is no such network, it has no such option, or it does not fit the
            objective or the window lengths.
    """
    if config.network not in NETWORKS:
        raise OptionError(
            f"There is no network {config.network!r} to train; choose one of {', '.join(NETWORKS)}."
        )
    try:
        network = NETWORKS[config.network](config, attention)
    except TypeError as error:
        raise OptionError(f"The network {config.network!r} says: {error}.") from error
    check_fit(network, config)
    return network


@torch.no_grad()
def start_from(network: nn.Module, folder: str | Path) -> int:
    """Fill a network with the weights of another of its kind.

    Tensors of the same shape are taken; where this network's are larger (a lifter that becomes a
    generator reads more inputs), the corner they share is taken and the rest stays as it is.

    Args:
        network: To be filled.
        folder: Weights: ``config.json`` and ``model.safetensors``.

    Returns:
        How many tensors were taken.

    Raises:
        CheckpointError: If none fits.
    """
    path = Path(folder) / WEIGHTS_FILE
    given, taken = read_weights(path), 0
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

"""Small generators of random weights, in folders as ``hypopose train`` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from hypopose.networks.pretrained import save_weights
from hypopose.training import TrainConfig
from hypopose.training.new_network import new_network

OPTIONS = {
    "shards": ("walks.npz",), "width": 16, "n_layers": 1, "n_heads": 2, "n_latent": 48,
    "network_options": {"on_rays": True, "one_step": True}, "objective": "energy",
    "flicker": 0.0, "lift_share": 0.0, "one_step_share": 1.0, "lengths": (9, 27),
    "length_shares": (0.5, 0.5),
}  # fmt: skip


def save_generator(
    folder: Path, config: TrainConfig | None = None, seed: int = 0, **sampling: float
) -> Path:
    """Write a generator, and return its folder.

    Args:
        folder: Made here.
        config: Of its training; None for ``OPTIONS``.
        seed: Of the weights.
        **sampling: Options of the sampler.
    """
    config = config or TrainConfig.from_options(**OPTIONS)
    folder.mkdir()
    torch.manual_seed(seed)
    network = new_network(config)
    network.save_config(folder)
    save_weights(network.state_dict(), folder)
    (folder / "training.json").write_text(config.to_json())
    options = {"sampler": "distributional", "n_steps": 1, **sampling}
    (folder / "sampler.json").write_text(json.dumps(options))
    return folder

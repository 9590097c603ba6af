"""Tiny weights of a generator, and people to adapt them to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hypopose.adaptation import Recording
from hypopose.datasets import example_pair
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.networks.pretrained import save_weights
from hypopose.simulation import Motion
from hypopose.training import TrainConfig
from hypopose.training.new_network import new_network

OPTIONS = {
    "shards": ("walks.npz",), "width": 16, "n_layers": 1, "n_heads": 2, "n_latent": 48,
    "network_options": {"on_rays": True, "one_step": True}, "objective": "energy",
    "flicker": 0.0, "lift_share": 0.0, "one_step_share": 1.0, "bf16": False, "lengths": (9, 27),
    "length_shares": (0.5, 0.5), "batch_frames": 54, "warmup_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny_config() -> TrainConfig:
    return TrainConfig.from_options(**OPTIONS)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory, tiny_config: TrainConfig) -> Path:
    """A generator of random weights, as hypopose train writes them."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    folder.mkdir()
    torch.manual_seed(3)
    network = new_network(tiny_config)
    network.save_config(folder)
    save_weights(network.state_dict(), folder)
    (folder / "training.json").write_text(tiny_config.to_json())
    sampler = {"sampler": "distributional", "n_steps": 1, "scale": 3.0, "clamp": 1.7}
    (folder / "sampler.json").write_text(json.dumps(sampler))
    return folder


@pytest.fixture(scope="session")
def walker() -> Recording:
    return Recording(example_pair(60)[0], "somebody")


@pytest.fixture(scope="session")
def figures() -> Motion:
    return synthetic_motion("train")

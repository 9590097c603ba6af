"""Tiny weights of a generator, and people to adapt them to."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_generator

from hypopose.adaptation import Recording
from hypopose.datasets import example_pair
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.simulation import Motion
from hypopose.training import TrainConfig

OPTIONS = {**tiny_generator.OPTIONS, "bf16": False, "batch_frames": 54, "warmup_steps": 2}


@pytest.fixture(scope="session")
def tiny_config() -> TrainConfig:
    return TrainConfig.from_options(**OPTIONS)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory, tiny_config: TrainConfig) -> Path:
    """A generator of random weights, as hypopose train writes them."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    return tiny_generator.save_generator(folder, tiny_config, seed=3, scale=3.0, clamp=1.7)


@pytest.fixture(scope="session")
def walker() -> Recording:
    return Recording(example_pair(60)[0], "somebody")


@pytest.fixture(scope="session")
def figures() -> Motion:
    return synthetic_motion("train")

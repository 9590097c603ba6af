"""A motion shard made of the built-in walk, and options that train in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hypopose.datasets import Motion, example_motion, load_motion
from hypopose.training import TrainConfig

SCALE = 0.00025


@pytest.fixture(scope="session")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of the walk: two to train on, of 60 and 40 frames, and one held out."""
    path = tmp_path_factory.mktemp("motion") / "walks.npz"
    lengths = np.array([60, 40, 40])
    clips = [example_motion(int(n)).numpy() for n in lengths]
    np.savez(
        path,
        joints=np.round(np.concatenate(clips) / SCALE).astype(np.int16),
        scale=SCALE,
        fps=25,
        start=np.cumsum(lengths) - lengths,
        length=lengths,
        name=np.array(["a", "b", "c"]),
        action=np.array(["walk"] * 3),
        split=np.array(["train", "train", "val"]),
    )
    return path


@pytest.fixture(scope="session")
def motion(shard: Path) -> Motion:
    return load_motion(shard)


@pytest.fixture
def tiny(shard: Path) -> TrainConfig:
    return TrainConfig.from_options(
        shards=(str(shard),),
        n_frames=6 * 40,
        batch_frames=40,
        lengths=(1, 5, 8),
        length_shares=(0.2, 0.4, 0.4),
        width=16,
        n_layers=1,
        n_heads=2,
        warmup_steps=2,
        bf16=False,
    )

"""Clips of the built-in walk to draw bodies from."""

from __future__ import annotations

import pytest
import torch

from hypopose.datasets import Motion, example_motion

STEP = 0.00025


@pytest.fixture(scope="session")
def motion() -> Motion:
    """Two clips of the walk, of 60 and 40 frames, rounded as motion shards are."""
    lengths = torch.tensor([60, 40])
    joints = torch.cat([example_motion(int(n)) for n in lengths])
    return Motion(
        joints=(joints / STEP).round() * STEP,
        start=lengths.cumsum(0) - lengths,
        length=lengths,
        fps=25.0,
        names=("a", "b"),
        actions=("walk", "walk"),
        shards=("walks", "walks"),
    )

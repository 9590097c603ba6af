"""Motions whose quantities are known."""

from __future__ import annotations

import pytest
import torch

from hypopose.datasets import example_motion
from hypopose.quantities import BodyMotion
from hypopose.skeletons import H36M17


@pytest.fixture(scope="session")
def walk() -> BodyMotion:
    """Three different hypotheses of a walk."""
    g = torch.Generator().manual_seed(0)
    x = example_motion(100).double()
    steady = 0.02 * torch.randn(3, 1, 17, 3, generator=g, dtype=torch.float64)
    return BodyMotion(x + steady, H36M17, 25.0)

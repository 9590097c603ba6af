from __future__ import annotations

import math
from dataclasses import replace

import torch

from hypopose.adaptation import AlignedBatchMaker, Recording, Stands
from hypopose.adaptation.placement import NEAREST_JOINT, upright
from hypopose.simulation import BodyOptions, Draws, Motion

UP = torch.tensor([0.0, -0.8, -0.6])
PLAIN = BodyOptions(recombine=0.0)


def stands_of(walker: Recording) -> Stands:
    return Stands.of([replace(walker, up=UP)])


def test_windows_stand_where_the_target_does(walker: Recording, figures: Motion) -> None:
    maker = AlignedBatchMaker(figures, stands_of(walker), torch.device("cpu"), PLAIN)
    draws = Draws(torch.Generator().manual_seed(0))
    views = maker.look(64, 9, draws)
    root = views.joints[:, 4, 0]
    rays = root[:, :2] / root[:, 2:]
    known = walker.rays[:, 0]
    nearest = (rays[:, None] - known).norm(dim=-1).amin(1)
    assert float(nearest.max()) < 1e-4  # in the direction of one of the target's frames
    assert float(views.joints[..., 2].min()) > NEAREST_JOINT


def test_windows_look_as_large_as_the_target(walker: Recording, figures: Motion) -> None:
    maker = AlignedBatchMaker(figures, stands_of(walker), torch.device("cpu"), PLAIN)
    views = maker.look(128, 1, Draws(torch.Generator().manual_seed(0)))
    seen = views.seen[:, 0, :, :2] / views.seen[:, 0, :, 2:]
    size = (seen.amax(1) - seen.amin(1)).sum(-1).median()
    known = (walker.rays.amax(1) - walker.rays.amin(1)).sum(-1).median()
    assert 0.8 < float(size / known) < 1.3


def test_windows_have_the_targets_vertical(walker: Recording, figures: Motion) -> None:
    maker = AlignedBatchMaker(figures, stands_of(walker), torch.device("cpu"), PLAIN)
    bodies = maker.bodies(32, 3, Draws(torch.Generator().manual_seed(0)))
    R, _ = maker.place(bodies.joints, Draws(torch.Generator().manual_seed(1)))
    assert torch.allclose(R @ torch.tensor([0.0, 0, 1]), UP.expand(32, 3), atol=1e-6)


def test_upright_cameras_are_rotations() -> None:
    up = torch.nn.functional.normalize(torch.randn(20, 3), dim=-1)
    R = upright(up, torch.linspace(0, 2 * math.pi, 20))
    assert torch.allclose(R @ R.mT, torch.eye(3).expand(20, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(R), torch.ones(20), atol=1e-5)

"""Batches are projections of their targets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hypopose.datasets import Motion
from hypopose.simulation import (
    Draws,
)
from hypopose.training import BatchMaker
from hypopose.training import batches as batches_module

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_batches_are_finite_root_relative_and_repeatable(motion: Motion) -> None:
    make = BatchMaker(motion, CPU)
    for F in (1, 2, 30):
        batch = make(6, F, seeded(1))
        again = make(6, F, seeded(1))
        assert batch.target.shape == (6, F, 17, 3)
        assert torch.isfinite(batch.target).all()
        assert torch.isfinite(batch.encoded.xy).all()
        assert (batch.target[:, :, 0] == 0).all()
        assert (batch.target == again.target).all()
        assert (batch.encoded.xy == again.encoded.xy).all()
        assert not (batch.target == make(6, F, seeded(2)).target).all()


def test_keypoints_are_projections_of_the_target(
    motion: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a perfect detector, target + root projects onto the keypoints in the network's view."""

    def perfect(seen: Tensor, draws: Draws, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        return seen[..., :2] / seen[..., 2:], torch.ones_like(seen[..., 0])

    monkeypatch.setattr(batches_module, "detect", perfect)
    make = BatchMaker(motion, CPU)
    make.bodies.meanings.zero_()
    batch = make(50, 5, seeded())
    assert batch.encoded.context is not None
    size = 0.1 * batch.encoded.context[:, 0].exp()
    plane = batch.encoded.xy * size[:, None, None, None]
    # Two equations a joint, three unknowns a frame: the root that fits best must fit exactly.
    y = batch.target.double()
    u, v = plane.double().unbind(-1)
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    rows = torch.stack([torch.stack([one, zero, -u], -1), torch.stack([zero, one, -v], -1)], -2)
    right = torch.stack([u * y[..., 2] - y[..., 0], v * y[..., 2] - y[..., 1]], -1)
    root = torch.linalg.lstsq(rows.flatten(2, 3), right.flatten(2, 3)[..., None]).solution
    residual = rows.flatten(2, 3) @ root - right.flatten(2, 3)[..., None]
    assert residual.abs().max() < 1e-4
    assert (root[..., 2, 0] > 0.3).all()


def test_bodies_stand_upright_and_bend_their_knees_forwards(motion: Motion) -> None:
    """Left is left: facing, from hips, agrees with the side to which knees bend."""
    target = BatchMaker(motion, CPU)(300, 5, seeded()).target
    upright = target[:, :, 10, 1] < 0  # y points down
    assert upright.float().mean() > 0.9
    side = target[:, :, 4] - target[:, :, 1]
    for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
        up = target[:, :, hip] - target[:, :, ankle]
        forward = torch.linalg.cross(side, up)
        bend = target[:, :, knee] - (target[:, :, hip] + target[:, :, ankle]) / 2
        bent = bend.norm(dim=-1) > 0.03
        assert ((bend * forward).sum(-1) > 0)[bent].float().mean() > 0.97

"""The refinement unit learns to undo an error that repeats, and poses stand alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hypopose.datasets import example_pair
from hypopose.errors import ShapeError
from hypopose.networks import PoseStatistics, RefinementUnit, refinement_loss

WALK = example_pair()[1].joints[:, 1:]


def test_it_learns_to_undo_an_error_that_repeats() -> None:
    torch.manual_seed(0)
    wrong = WALK * torch.tensor([1.0, 1.0, 0.7]) + 0.05
    inputs, targets = PoseStatistics.of(wrong), PoseStatistics.of(WALK)
    unit = RefinementUnit(n_joints=16, width=32, dropout=0.0)
    optimizer = torch.optim.Adam(unit.parameters(), lr=3e-3)
    losses = []
    for _ in range(80):
        loss = refinement_loss(unit(inputs.apply(wrong)), targets.apply(WALK))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    with torch.no_grad():
        refined = unit.eval().refine(wrong, inputs, targets)
    before, after = ((x - WALK).norm(dim=-1).mean() for x in (wrong, refined))
    assert after < 0.5 * before


@torch.no_grad()
def test_poses_stand_alone_and_weights_are_a_folder(tmp_path: Path) -> None:
    unit = RefinementUnit(n_joints=16, width=16).eval()
    first, second = unit(WALK)
    torch.testing.assert_close(unit(WALK[3:5])[1], second[3:5])
    torch.testing.assert_close(unit(WALK.unflatten(0, (5, 10)))[0].flatten(0, 1), first)
    unit.save_pretrained(tmp_path)
    assert torch.equal(RefinementUnit.from_pretrained(tmp_path)(WALK)[1], second)


def test_coordinates_that_do_not_vary_are_left_alone() -> None:
    still = WALK.clone()
    still[:, 2] = 0.25
    statistics = PoseStatistics.of(still)
    assert bool(statistics.apply(still).isfinite().all())
    torch.testing.assert_close(statistics.undo(statistics.apply(still)), still)


def test_refusal() -> None:
    with pytest.raises(ShapeError, match="15 joints, without the root"):
        RefinementUnit(width=16)(WALK)

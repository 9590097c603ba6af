"""The published curves off the grid of the recorded cases, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hypopose.calibration import cgnf_curve, ece, platypose_curve
from hypopose.errors import OptionError, ShapeError


def by_hand(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coverage ``(21, J)`` of single frames, written from the definition: lower median, linear."""
    center = np.sort(x, axis=1)[:, (x.shape[1] - 1) // 2]
    e = np.linalg.norm(x - center[:, None], axis=-1)
    t = np.linalg.norm(y - center, axis=-1)
    radii = np.quantile(e, np.arange(21) * 0.05, axis=1, method="linear")
    return (radii > t).mean(1)


@pytest.mark.parametrize("n_hypotheses", [2, 8, 30])
def test_even_numbers_and_levels_off_the_grid(world, n_hypotheses):
    x, y = world(60, n_hypotheses)
    curve = cgnf_curve(x, y)
    assert np.allclose(curve.coverage.numpy(), by_hand(x[:, :, 0].numpy(), y[:, 0].numpy()))
    assert torch.allclose(curve.curve, curve.coverage.quantile(0.5, dim=-1))


def test_the_published_curve_depends_on_the_number_of_hypotheses_and_ours_does_not(world):
    few, many = (world(1500, s, joints=8) for s in (5, 100))
    assert cgnf_curve(*few).ece == pytest.approx(0.150, abs=0.015)
    assert cgnf_curve(*many).ece < 0.02
    assert ece(*few).ece < 0.02
    assert ece(*many).ece < 0.02


def test_single_frames_are_compared_across_joints_by_the_release(world):
    x, y = world(400, 200, joints=9)
    x[..., 0, :], y[..., 0, :] = 0, 0
    assert platypose_curve(x, y).ece > 0.06
    assert cgnf_curve(x, y).ece < 0.02
    assert platypose_curve(x, y).coverage.shape == (21, 9)
    assert (platypose_curve(x, y).coverage[:, 0] == platypose_curve(x, y).coverage[-1, 0] * 0).all()


def test_several_frames_are_matched_and_the_root_row_is_zero(world):
    x, y = world(50, 11, frames=3)
    x[..., 0, :], y[..., 0, :] = 0, 0
    release = platypose_curve(x, y)
    assert (release.coverage[:, 0] == 0).all()
    assert torch.allclose(release.coverage[:, 1:], cgnf_curve(x, y).coverage)
    assert release.record.root != cgnf_curve(x, y).record.root


def test_occluded_joints_are_averaged_within_the_item_first(world):
    x, y = world(40, 12)
    occluded = torch.zeros(40, 1, 4, dtype=torch.bool)
    occluded[:20, 0, 1] = True
    occluded[:10, 0, 2:] = True
    curve = cgnf_curve(x, y, occluded=occluded)
    inside = cgnf_curve(x, y).per_item
    expected = torch.cat([inside[:10, :, 1:].mean(-1), inside[10:20, :, 1]]).mean(0)
    assert torch.allclose(curve.coverage[:, 0], expected)
    with pytest.raises(ShapeError, match="occluded"):
        cgnf_curve(x, y, occluded=occluded[0])


def test_nan_joints_are_skipped_by_one_and_refused_by_the_other(world):
    x, y = world(30, 9)
    x[3, 2, 0, 1] = torch.nan
    kept = torch.arange(30) != 3
    curve, without = cgnf_curve(x, y).coverage, cgnf_curve(x[kept], y[kept]).coverage
    assert torch.allclose(curve[:, 1], without[:, 1])
    assert not torch.allclose(curve[:, 2], without[:, 2])
    assert cgnf_curve(x, y).record.counts.nan_hypotheses == 1
    with pytest.raises(OptionError, match="no rule for NaN"):
        platypose_curve(x, y)

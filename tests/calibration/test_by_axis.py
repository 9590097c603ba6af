from __future__ import annotations

import pytest
import scipy.stats
import torch

from hypopose.calibration.by_axis import (
    along_sight,
    axis_coverage,
    error_ranking,
    spread_over_error,
)
from hypopose.errors import ShapeError


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [2, 10, 20])
def test_draws_like_the_truth_hold_what_they_say_for_any_number(n: int) -> None:
    x, y = draws(4, n, 2000, 3, 3), draws(4, 2000, 3, 3, seed=1)
    held = axis_coverage(x, y)
    torch.testing.assert_close(
        held, torch.tensor([[0.5], [0.8], [0.95]]).double().expand(3, 3), atol=0.01, rtol=0
    )
    torch.testing.assert_close(spread_over_error(x, y), torch.ones(3).double(), atol=0.02, rtol=0)


def test_one_axis_too_narrow_and_one_too_wide_are_told_apart() -> None:
    scale = torch.tensor([2.0, 1.0, 0.5])
    x, y = draws(20, 4000, 1, 3) * scale, draws(4000, 1, 3, seed=1)
    wide, right, narrow = axis_coverage(x, y, [0.8])[0].tolist()
    assert wide > 0.95
    assert abs(right - 0.8) < 0.02
    assert narrow < 0.6
    ratio = spread_over_error(x, y)
    assert 1.8 < ratio[0] < 2.05
    assert 0.45 < ratio[2] < 0.56


def test_unknown_truths_do_not_count() -> None:
    x, y = draws(20, 50, 2, 3), draws(50, 2, 3, seed=1)
    some = y.clone()
    some[10:] = torch.nan
    assert torch.equal(axis_coverage(x, some), axis_coverage(x[:, :10], y[:10]))
    assert torch.allclose(spread_over_error(x, some), spread_over_error(x[:, :10], y[:10]))


def test_ranking_is_spearmans() -> None:
    x, y = draws(2, 12, 40, 3, 3), draws(2, 40, 3, 3, seed=1)
    found = error_ranking(x, y)
    spread, error = x.var(1).sum(-1), (x.mean(1) - y).norm(dim=-1)
    for clip in range(2):
        for joint in range(3):
            expected = scipy.stats.spearmanr(spread[clip, :, joint], error[clip, :, joint])
            assert found[clip, joint].item() == pytest.approx(expected.statistic, abs=1e-9)


def test_sight_turns_lengths_stay() -> None:
    joints, towards = draws(5, 17, 3), draws(5, 3, seed=1) + torch.tensor([0.0, 0.0, 4.0])
    turned = along_sight(joints, towards)
    torch.testing.assert_close(turned.norm(dim=-1), joints.norm(dim=-1))
    depth = (joints * torch.nn.functional.normalize(towards, dim=-1)[:, None]).sum(-1)
    torch.testing.assert_close(turned[..., 2], depth)
    ahead = along_sight(joints, torch.tensor([0.0, 0.0, 1.0]).expand(5, 3))
    torch.testing.assert_close(ahead, joints)


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="two or more"):
        axis_coverage(draws(1, 5, 2, 3), draws(5, 2, 3))

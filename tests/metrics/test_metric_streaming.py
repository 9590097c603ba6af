"""Laws of the accumulators, for every member of METRICS."""

from __future__ import annotations

import math

import pytest
import torch

from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.metrics import METRICS, mpjpe, n_mpjpe, p_mpjpe
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Metric, Poses3D, Skeleton


def batch(n: int = 4, h: int = 5, f: int = 6, seed: int = 0) -> tuple[Hypotheses, Poses3D]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(n, f, 17, 3, generator=generator)
    x = y.unsqueeze(1) + 0.2 * torch.randn(n, h, f, 17, 3, generator=generator)
    return Hypotheses(x, H36M17), Poses3D(y, H36M17)


def part(x: Hypotheses, y: Poses3D, rows: slice) -> tuple[Hypotheses, Poses3D]:
    return Hypotheses(x.joints[rows], H36M17), Poses3D(y.joints[rows], H36M17)


@pytest.mark.parametrize("name", METRICS)
def test_law_it_is_a_metric_and_has_a_value(name: str) -> None:
    metric = METRICS[name]()
    assert isinstance(metric, Metric)
    assert math.isnan(metric.compute())
    metric.update(*batch())
    assert math.isfinite(metric.compute())
    assert metric.n == 4 * (7 - metric.min_frames)  # 6 frames: 6 poses, 5 steps, 4 changes of step
    assert metric.n_invalid == 0


@pytest.mark.parametrize("name", METRICS)
def test_law_halves_merge_into_the_whole(name: str) -> None:
    x, y = batch()
    whole, first, second, summed = (METRICS[name]() for _ in range(4))
    whole.update(x, y)
    first.update(*part(x, y, slice(0, 1)))
    second.update(*part(x, y, slice(1, 4)))
    summed.load(first.state + second.state)  # what several processes do
    first.merge(second)
    assert first.compute() == pytest.approx(whole.compute(), rel=1e-6)
    assert summed.compute() == pytest.approx(whole.compute(), rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_law_order_of_hypotheses_does_not_matter(name: str) -> None:
    x, y = batch()
    a, b = METRICS[name](), METRICS[name]()
    a.update(x, y)
    b.update(Hypotheses(x.joints.flip(1), H36M17), y)
    assert a.compute() == pytest.approx(b.compute(), rel=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_law_nan_frames_are_counted_and_the_rest_is_measured(name: str) -> None:
    x, y = batch()
    broken = x.joints.clone()
    broken[0] = math.nan
    metric, rest = METRICS[name](), METRICS[name]()
    metric.update(Hypotheses(broken, H36M17), y)
    rest.update(*part(x, y, slice(1, 4)))
    assert metric.n_invalid == 7 - metric.min_frames
    assert metric.n == rest.n
    assert metric.compute() == pytest.approx(rest.compute(), rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_law_the_truth_itself_is_perfect(name: str) -> None:
    _, y = batch()
    metric = METRICS[name]()
    metric.update(Hypotheses(y.joints.unsqueeze(1).expand(-1, 3, -1, -1, -1), H36M17), y)
    if name.startswith("symmetry"):
        return  # the truth here is no symmetric person
    best = 0.0 if metric.lower_is_better else 100.0
    assert metric.compute() == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("name", METRICS)
def test_law_short_clips_do_not_raise(name: str) -> None:
    metric = METRICS[name]()
    metric.update(*batch(f=1))
    assert metric.n + metric.n_invalid == 4


def test_values_match_the_functions() -> None:
    x, y = batch()
    for name, function in (("mpjpe_mean", mpjpe), ("p_mpjpe_mean", p_mpjpe),
                           ("n_mpjpe_mean", n_mpjpe)):  # fmt: skip
        metric = METRICS[name]()
        metric.update(x, y)
        expected = 1000 * float(function(x.joints.mean(1), y.joints))
        assert metric.compute() == pytest.approx(expected, rel=1e-5)


def test_collapsed_hypotheses_are_counted_by_the_aligned_metrics() -> None:
    _, y = batch()
    metric = METRICS["p_mpjpe_mean"]()
    metric.update(Hypotheses(torch.zeros(4, 5, 6, 17, 3), H36M17), y)
    assert math.isnan(metric.compute())
    assert metric.n_invalid == 24


def test_float64_sums_keep_small_terms() -> None:
    metric = METRICS["mpjpe_single"]()
    metric.load(torch.tensor([1e9, 1e6, 0.0], dtype=torch.float64))
    before = metric.compute()
    x, y = batch(n=1, f=1)
    metric.update(x, y)
    assert metric.compute() != before


def test_wrong_company_is_refused() -> None:
    x, y = batch()
    with pytest.raises(ShapeError, match="without the hypothesis axis"):
        METRICS["mpjpe_mean"]().update(x, Poses3D(y.joints[:2], H36M17))
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="one skeleton"):
        METRICS["mpjpe_mean"]().update(x, Poses3D(y.joints, other))
    with pytest.raises(OptionError, match="merges with"):
        METRICS["mpjpe_mean"]().merge(METRICS["mpjpe_single"]())

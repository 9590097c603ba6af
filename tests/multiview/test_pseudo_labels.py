from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hypopose.errors import OptionError, UndeterminedError
from hypopose.multiview import (
    Gates,
    TimeOffset,
    pseudo_labels,
    scale_from_baseline,
    scale_from_bones,
    scale_from_stature,
    synchronize,
    triangulate_people,
)
from hypopose.skeletons import H36M17, MPII16

Build = Callable[..., Any]
IN_STEP = TimeOffset(0.0, 1.0, 0.0, np.inf, np.inf)


def together(scene: Any) -> Any:
    n = len(scene.views)
    people = np.tile(np.arange(scene.views[0].n_people), (n, 1))
    return synchronize(scene.views, [IN_STEP] * n, people)


@pytest.mark.parametrize("n_views", [2, 3, 4])
def test_covariance_holds_the_truth_as_often_as_it_says(stage: Build, n_views: int) -> None:
    """Squared distances over the covariance are chi square with 3 degrees of freedom."""
    scene = stage(n_views, noise_px=5.0)
    found = triangulate_people(together(scene), scene.cameras)
    off = found.points - scene.points[:1]
    squares = np.einsum(
        "pfji,pfji->pfj", off, np.linalg.solve(found.covariance, off[..., None])[..., 0]
    )
    assert (squares < 4.642).mean() == pytest.approx(0.8, abs=0.05)
    assert (squares < 7.815).mean() == pytest.approx(0.95, abs=0.04)
    assert found.noise_px.mean() == pytest.approx(5.0, rel=0.15)
    assert np.linalg.norm(off, axis=-1).mean() < 0.035


def test_labels_are_in_each_camera_and_pass_the_gates(stage: Build) -> None:
    scene = stage(3, noise_px=1.0)
    seen = together(scene)
    seen.rays[1, 0, 10, 4] += 0.2  # 260 px off
    seen.weights[:2, 0, 20, 5] = 0  # one view is left
    labels = pseudo_labels(seen, scene.cameras)
    found = triangulate_people(seen, scene.cameras)
    for label, projection in zip(labels, scene.projections, strict=True):
        truth = scene.points[:1] @ projection[:, :3].T + projection[:, 3]
        assert np.nanmax(np.linalg.norm(label.joints - truth, axis=-1)) < 0.06
        assert not label.kept[0, 10, 4]
        assert not label.kept[0, 20, 5]
        assert np.isnan(label.joints[0, 20, 5]).all()
        assert label.kept.mean() > 0.97
    assert not Gates(angle_deg=170.0).passed(found).any()
    assert found.in_front[:, found.n_views >= 2].all()
    beside = stage(2, angles=(0.3, 0.32))
    near = triangulate_people(together(beside), beside.cameras)
    assert not Gates().passed(near).any()  # rays of neighbors are 1 degree apart


def test_an_outlier_of_three_views_hardly_counts(stage: Build) -> None:
    scene = stage(4)
    seen = together(scene)
    seen.rays[2, 0, :, 16] += 0.15
    found = triangulate_people(seen, scene.cameras)
    assert np.linalg.norm(found.points - scene.points[:1], axis=-1)[..., 16].max() < 0.03


def test_scale(stage: Build) -> None:
    points = stage(2).points
    half = scale_from_bones(points / 2, H36M17)
    assert half.meters == pytest.approx(2, rel=0.12)
    assert abs(half.meters - 2) / 2 < 3 * half.relative_std < 0.2
    one = scale_from_bones(points[:1] / 2, H36M17)
    assert one.relative_std > half.relative_std
    tall = scale_from_stature(np.array([0.9, 1.0, np.nan]), 1.9)
    assert tall.meters == pytest.approx(2.0)
    assert tall.describe() == "from the stature of 1.9 m, standard deviation 3.0 %"
    ends = np.array([[0.0, 0, 0], [0, 2, 0]])
    assert scale_from_baseline(ends, 3.0).meters == 1.5


def test_impossible_scales_are_refused(stage: Build) -> None:
    points = stage(2).points
    with pytest.raises(OptionError, match=r"between 0\.5 and 2.6"):
        scale_from_stature(np.ones(1), 178.0)
    with pytest.raises(OptionError, match=r"0\.01 to 1000"):
        scale_from_baseline(np.eye(3)[:2], 0.0)
    with pytest.raises(UndeterminedError, match="--baseline"):
        scale_from_stature(np.array([np.nan]), 1.8)
    with pytest.raises(UndeterminedError, match="--height METERS"):
        scale_from_bones(np.full_like(points, np.nan), H36M17)
    with pytest.raises(UndeterminedError, match="--height METERS"):
        scale_from_bones(np.full((1, 5, 16, 3), np.nan), MPII16)

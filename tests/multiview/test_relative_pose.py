from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from angles import angle_deg

from hypopose.errors import OptionError, UndeterminedError
from hypopose.multiview import (
    decompose,
    essential_matrix,
    essential_of_pose,
    relative_pose,
    sampson,
)

Build = Callable[..., Any]


def test_an_essential_matrix_is_its_cameras(stage: Build) -> None:
    scene = stage(2)
    R, t = scene.pose(0, 1)
    E = essential_of_pose(R, t)
    a, b = (view.rays[0].reshape(-1, 2) for view in scene.views)
    assert np.abs(sampson(E, a, b)).max() < 1e-6
    found = essential_matrix(a, b)
    assert min(np.abs(found - E).max(), np.abs(found + E).max()) < 1e-5
    rotations, directions = decompose(found)
    assert (
        min(angle_deg(R, r) + angle_deg(t, d) for r, d in zip(rotations, directions, strict=True))
        < 0.05
    )


@pytest.mark.parametrize("by", ["frames", "joints", "both"])
def test_noise_gaps_and_outliers(stage: Build, by: str) -> None:
    scene = stage(2, noise_px=4.0, missing=0.1)
    a, b = (view.rays[0].copy() for view in scene.views)
    rng = np.random.default_rng(0)
    b[::6] = b[::6][:, ::-1]  # every sixth frame is another order of joints
    wrong = rng.random(a.shape[:2]) < 0.05
    a[wrong] += 0.1 * rng.normal(size=(int(wrong.sum()), 2))
    found = relative_pose(a, b, by=by)
    R, t = scene.pose(0, 1)
    assert angle_deg(R, found.rotation) < 2.5
    assert angle_deg(t, found.translation) < 2.5
    assert not found.inliers[::6].all(1).any()
    assert found.inliers[1::6].mean() > 0.7
    assert 1300 * found.noise == pytest.approx(4, rel=0.5)
    assert 0.3 < found.rotation_std_deg < 6


def test_one_frame_is_refused(stage: Build) -> None:
    a, b = (view.rays[0, :1] for view in stage(2).views)
    with pytest.raises(UndeterminedError, match=r"one frame only.* seconds of people who move"):
        relative_pose(a, b)


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_cameras_at_one_place_are_refused(stage: Build, noise: float) -> None:
    """The second camera only turns."""
    a = stage(2).views[0].rays[0]
    rng = np.random.default_rng(0)
    c, s = np.cos(0.2), np.sin(0.2)
    turned = np.concatenate([a, np.ones_like(a[..., :1])], -1) @ np.array(
        [[c, 0, -s], [0, 1, 0], [s, 0, c]]
    )
    b = turned[..., :2] / turned[..., 2:]
    with pytest.raises(UndeterminedError, match=r"no parallax.* Place the cameras apart"):
        relative_pose(a + noise * rng.normal(size=a.shape), b + noise * rng.normal(size=a.shape))


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_everybody_on_a_line_is_refused(stage: Build, noise: float) -> None:
    scene, rng = stage(2), np.random.default_rng(0)
    X = np.array([0.2, 0.1, 0.9]) + rng.uniform(-1, 1, (60, 17, 1)) * np.array([0.5, 0.2, 0.1])
    there = np.einsum("vij,fkj->vfki", scene.projections[:, :, :3], X)
    there += scene.projections[:, None, None, :, 3]
    seen = there[..., :2] / there[..., 2:] + noise * rng.normal(size=(2, 60, 17, 2))
    with pytest.raises(UndeterminedError, match=r"one line or plane.*walk about"):
        relative_pose(seen[0], seen[1])


def test_too_little_in_common_is_refused(stage: Build) -> None:
    a, b = (view.rays[0].copy() for view in stage(2).views)
    a[:, 5:] = np.nan
    b[:, :5] = np.nan
    with pytest.raises(UndeterminedError, match="see 0 joints together"):
        relative_pose(a, b)
    with pytest.raises(OptionError, match="takes 8 or more"):
        essential_matrix(a[0], b[0])

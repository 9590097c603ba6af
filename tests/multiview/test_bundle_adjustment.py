from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from angles import angle_deg

from hypopose.errors import UndeterminedError
from hypopose.multiview import adjust_bundle
from hypopose.multiview.bundle_problem import BundleProblem, rotations_of
from hypopose.multiview.rig_building import rigid_bones
from hypopose.skeletons import H36M17

Build = Callable[..., Any]


def observed(scene: Any, n: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels from the center, and true poses and points in the first camera's frame."""
    step = scene.points.shape[1] // n
    rays = np.stack([view.rays[0, ::step][:n] for view in scene.views])
    R = np.stack([scene.pose(0, v)[0] for v in range(len(scene.views))])
    t = np.stack([scene.pose(0, v)[1] for v in range(len(scene.views))])
    first = scene.projections[0]
    points = scene.points[0, ::step][:n].reshape(-1, 3) @ first[:, :3].T + first[:, 3]
    return 1300.0 * rays.reshape(len(rays), -1, 2), R, t, points


def disturbed(R: np.ndarray, t: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    turn = rotations_of(np.vstack([np.zeros((1, 3)), 0.05 * rng.normal(size=(len(R) - 1, 3))]))
    moved = t + np.vstack([np.zeros((1, 3)), 0.1 * rng.normal(size=(len(R) - 1, 3))])
    return turn @ R, moved, points + 0.05 * rng.normal(size=points.shape)


def test_the_jacobian_is_the_slope_of_the_residuals(stage: Build) -> None:
    pixels, R, t, points = observed(stage(3), 2)
    R, t, points = disturbed(R, t, points)
    view, point = np.nonzero(np.isfinite(pixels).all(-1))
    bones = rigid_bones(H36M17, 1, 2)
    lengths = np.array([0.4, 0.4, 0.3, 0.25])
    problem = BundleProblem(
        view, point, pixels[view, point], np.linspace(0.1, 0.3, len(view)), R, t,
        np.full(3, 1300.0), np.array([True, False, True]), (0.2, 0.1), points, bones, lengths,
    )  # fmt: skip
    x = problem.start() + 0.01 * np.random.default_rng(1).normal(size=len(problem.start()))
    slope = problem.jacobian(x).toarray()
    for k in np.r_[: problem.n_camera + len(lengths) + 6]:
        step = np.zeros(len(x))
        step[k] = 1e-6
        numeric = (problem.residual(x + step) - problem.residual(x - step)) / 2e-6
        np.testing.assert_allclose(slope[:, k], numeric, rtol=1e-4, atol=1e-3)


def test_exact_keypoints_bring_back_cameras_and_points(stage: Build) -> None:
    pixels, R, t, points = observed(stage(3))
    found = adjust_bundle(pixels, *disturbed(R, t, points), np.full(3, 1300.0))
    size = np.linalg.norm(found.translations[1]) / np.linalg.norm(t[1])
    for v in (1, 2):
        assert angle_deg(found.rotations[v], R[v]) < 0.02
        assert angle_deg(found.translations[v], t[v]) < 0.05
    np.testing.assert_allclose(found.points, size * points, atol=5e-3)
    assert np.nanmax(np.abs(found.residuals)) < 0.5


def test_focal_lengths_are_found_from_bones_that_keep_their_lengths(stage: Build) -> None:
    pixels, R, t, points = observed(stage(3, noise_px=2.0), 40)
    found = adjust_bundle(
        pixels, *disturbed(R, t, points), np.full(3, 1500.0), free_focal=np.ones(3, dtype=bool),
        bones=rigid_bones(H36M17, 1, 40),
    )  # fmt: skip
    np.testing.assert_allclose(found.focals, 1300, rtol=0.1)
    assert found.focals.mean() == pytest.approx(1300, rel=0.04)
    assert found.noise_px == pytest.approx(2.0, rel=0.25)
    off = max(angle_deg(found.rotations[v], R[v]) for v in (1, 2))
    assert off < 3 * found.rotation_std_deg.max() < 10


def test_weights_and_outliers(stage: Build) -> None:
    """A joint that is far off hardly pulls, and one of weight 0 not at all."""
    pixels, R, t, points = observed(stage(3))
    wrong = pixels.copy()
    wrong[1, ::20] += 300
    start = disturbed(R, t, points)
    found = adjust_bundle(wrong, *start, np.full(3, 1300.0))
    assert angle_deg(found.rotations[1], R[1]) < 1.5
    weights = np.ones(pixels.shape[:2])
    weights[1, ::20] = 0
    found = adjust_bundle(wrong, *start, np.full(3, 1300.0), weights=weights)
    assert angle_deg(found.rotations[1], R[1]) < 0.02


def test_points_of_one_view_are_refused(stage: Build) -> None:
    pixels, R, t, points = observed(stage(2))
    pixels[1] = np.nan
    with pytest.raises(UndeterminedError, match="Only 0 joints are seen by two views"):
        adjust_bundle(pixels, R, t, points, np.full(2, 1300.0))

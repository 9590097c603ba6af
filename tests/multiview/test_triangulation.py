from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from hypopose.errors import OptionError, ShapeError
from hypopose.multiview import corrected_pair, iterative_least_squares, triangulate_points
from hypopose.multiview.triangulation import METHODS, fundamental_of

Build = Callable[..., Any]


@pytest.mark.parametrize("method", METHODS)
def test_projected_points_come_back(stage: Build, method: str) -> None:
    scene = stage(2 if method == "optimal" else 3)
    rays = np.stack([view.rays[0, :5] for view in scene.views])
    found = triangulate_points(rays, scene.projections, method=method)
    np.testing.assert_allclose(found, scene.points[0, :5], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_one_view_decides_nothing_and_weight_0_is_no_view(stage: Build, method: str) -> None:
    scene = stage(2)
    rays = np.stack([view.rays[0, :2] for view in scene.views])
    weights = np.ones(rays.shape[:-1])
    weights[1, 0] = 0
    rays[1, 1, 3] = np.nan
    found = triangulate_points(rays, scene.projections, weights, method)
    assert np.isnan(found[0]).all()
    assert np.isnan(found[1, 3]).all()
    assert np.isfinite(np.delete(found[1], 3, 0)).all()


def test_correct_weights_stop_early_and_beat_the_algebraic_error(stage: Build) -> None:
    """Views at unlike distances: rows of the far one count for less only if they are divided."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-0.5, 0.5, (3000, 3)) + np.array([0.0, 0.0, 5.0])
    near, far = np.eye(3, 4), np.array([[0.0, 0, -1, 6], [0, 1, 0, 0], [1, 0, 0, 15.0]])
    third = np.array([[0.0, 0, 1, -6], [0, 1, 0, 0], [-1, 0, 0, 1.5]])
    views = np.stack([near, far, third])
    there = np.einsum("vij,nj->vni", views[:, :, :3], X) + views[:, None, :, 3]
    seen = there[..., :2] / there[..., 2:] + 0.003 * rng.normal(size=(3, 3000, 2))
    error = {
        method: np.linalg.norm(triangulate_points(seen, views, method=method) - X, axis=-1).mean()
        for method in ("linear", "iterative")
    }
    assert error["iterative"] < 0.9 * error["linear"]
    assert iterative_least_squares(seen, views).n_rounds.mean() < 8


def test_points_behind_a_view_are_told() -> None:
    views = np.stack([np.eye(3, 4), np.column_stack([np.eye(3), [-1.0, 0, 0]])])
    X = np.array([[0.1, 0.2, 4.0], [0.1, 0.2, -4.0]])
    there = np.einsum("vij,nj->vni", views[:, :, :3], X) + views[:, None, :, 3]
    found = iterative_least_squares(there[..., :2] / there[..., 2:], views)
    assert found.status.tolist() == [1, -3]
    np.testing.assert_allclose(found.points, X, atol=1e-9)


def test_the_optimal_pair_fulfils_the_constraint_and_is_nearest(stage: Build) -> None:
    """Against a numerical search over all points in space (Hartley and Sturm's own definition)."""
    scene = stage(2)
    rng = np.random.default_rng(1)
    a, b = (v.rays[0, 0, :6] + 0.01 * rng.normal(size=(6, 2)) for v in scene.views)
    F = fundamental_of(scene.projections)
    one, other = corrected_pair(a, b, F)
    product = np.einsum("ni,ij,nj->n", np.c_[other, np.ones(6)], F, np.c_[one, np.ones(6)])
    assert np.abs(product).max() < 1e-9
    moved = ((one - a) ** 2).sum(-1) + ((other - b) ** 2).sum(-1)
    start = triangulate_points(np.stack([a, b]), scene.projections, method="dlt")

    def cost(X: np.ndarray, i: int) -> float:
        y = np.einsum("vij,j->vi", scene.projections, np.append(X, 1))
        seen = y[:, :2] / y[:, 2:]
        return float(((seen - np.stack([a[i], b[i]])) ** 2).sum())

    for i in range(6):
        best = minimize(cost, start[i], args=(i,), method="Nelder-Mead",
                        options={"xatol": 1e-9, "fatol": 1e-16, "maxiter": 2000})  # fmt: skip
        assert moved[i] == pytest.approx(best.fun, rel=1e-3)


def test_other_shapes_and_names_are_refused(stage: Build) -> None:
    scene = stage(3)
    rays = np.stack([view.rays[0, :1] for view in scene.views])
    with pytest.raises(ShapeError, match="two views or more"):
        triangulate_points(rays[:1], scene.projections[:1])
    with pytest.raises(OptionError, match="is not one of dlt"):
        triangulate_points(rays, scene.projections, method="magic")
    with pytest.raises(OptionError, match="use 'iterative'"):
        triangulate_points(rays, scene.projections, method="optimal")

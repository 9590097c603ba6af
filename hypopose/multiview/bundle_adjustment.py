"""Bundle adjustment: cameras, points and focal lengths that explain all keypoints together.

Triggs et al., "Bundle adjustment: a modern synthesis" (2000). Squared pixel distances, weighted by
confidence, with a loss that grows linearly for outliers, are minimized over rotations and
translations of all views but the first, all points, and focal lengths where they are not known. The
Jacobian is analytic and sparse: an observation touches one camera and one point.

The points are joints of people, whose bones keep their lengths. That is added as further residuals,
with the lengths as unknowns, and decides what pixels alone leave nearly open: two views of unknown
focal length fit almost as well when the whole scene is flattened along the line of sight.

| symbol | here |
| --- | --- |
| R = exp(w) R0, t | ``rotations``, ``translations``; the first view is the world |
| X | ``points`` |
| f exp(s) | ``focals``; s has a normal prior |
| u = f exp(s) (x / z, y / z) | pixels from the principal point, lens undone |
| (abs(X_i - X_j) / L - 1) / 0.06 | ``bones`` |

Nothing in pixels tells the size of the world: the longest baseline keeps its length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hypopose.errors import UndeterminedError
from hypopose.multiview.bundle_problem import NOISE_PX, BundleProblem, rotations_of
from hypopose.multiview.relative_pose import CORRELATED
from hypopose.multiview.triangulation import cross_matrix

OUTLIER = 2.5
"""Residuals beyond so many standard deviations count linearly."""

FEWEST_POINTS = 10


@dataclass(frozen=True, eq=False)
class Adjusted:
    """What explains the keypoints best.

    Args:
        rotations: World to camera.
        translations: World to camera.
        focals: Pixels.
        points: In the world; NaN where fewer than two views see one.
        residuals: Pixels between projection and keypoint; NaN where undetected.
        noise_px: Standard deviation of a keypoint of confidence 1, from the residuals.
        rotation_std_deg: Standard deviation of each view's rotation; 0 for the first.
        center_std: Standard deviation of each view's place, in the unit of the translations.
        focal_std: Standard deviation of the focal lengths over them; 0 where they were given.
    """

    rotations: Float[np.ndarray, "V 3 3"]
    translations: Float[np.ndarray, "V 3"]
    focals: Float[np.ndarray, " V"]
    points: Float[np.ndarray, "N 3"]
    residuals: Float[np.ndarray, "V N 2"]
    noise_px: float
    rotation_std_deg: Float[np.ndarray, " V"]
    center_std: Float[np.ndarray, " V"]
    focal_std: Float[np.ndarray, " V"]


def adjust_bundle(
    pixels: Float[np.ndarray, "V N 2"],
    rotations: Float[np.ndarray, "V 3 3"],
    translations: Float[np.ndarray, "V 3"],
    points: Float[np.ndarray, "N 3"],
    focals: Float[np.ndarray, " V"],
    *,
    weights: Float[np.ndarray, "V N"] | None = None,
    free_focal: Bool[np.ndarray, " V"] | None = None,
    focal_sd: tuple[float, float] = (0.2, 0.12),
    bones: Int[np.ndarray, "B 3"] | None = None,
    max_steps: int = 60,
) -> Adjusted:
    """Move cameras and points until they explain the keypoints.

    Args:
        pixels: Keypoints from the principal point, lens undone; NaN where undetected.
        rotations: Where to start from; the first view's stays.
        translations: The same.
        points: The same; those that are NaN are left out.
        focals: The same, in pixels.
        weights: Confidences, 0 to 1; 1 where None.
        free_focal: Views whose focal length is not known; none where None.
        focal_sd: Standard deviations of the logarithm of a focal length that is not known: of what
            all views share, and of each one's own.
        bones: Rows of two points and a number: pairs of one number are equally far apart.
        max_steps: Evaluations at most.

    Returns:
        Cameras, points, residuals and uncertainties.

    Raises:
        UndeterminedError: If hardly any point is seen by two views.
    """
    from scipy.optimize import least_squares

    w = np.ones(pixels.shape[:-1]) if weights is None else np.nan_to_num(weights)
    free = np.zeros(len(focals), dtype=bool) if free_focal is None else free_focal
    good = _usable(pixels, rotations, translations, points, w)
    kept = np.flatnonzero(good.any(0))
    if len(kept) < FEWEST_POINTS:
        raise UndeterminedError(
            f"Only {len(kept)} joints are seen by two views at once; give recordings of the same "
            "seconds, in which people are seen by several cameras."
        )
    view, point = np.nonzero(good[:, kept])
    at = kept[point]
    pairs, lengths = _usable_bones(bones, kept, points)
    problem = BundleProblem(
        view, point, pixels[view, at], np.sqrt(w[view, at]) / NOISE_PX, rotations, translations,
        focals, free, focal_sd, points[kept], pairs, lengths,
    )  # fmt: skip
    fit = least_squares(
        problem.residual,
        problem.start(),
        jac=problem.jacobian,
        loss=problem.loss,
        f_scale=OUTLIER,
        x_scale="jac",
        tr_solver="lsmr",
        tr_options={"atol": 1e-8, "btol": 1e-8, "maxiter": 500},
        max_nfev=max_steps,
        ftol=1e-6,
        xtol=1e-9,
    )
    return _finished(problem, fit.x, fit.jac, pixels, kept)


def _usable(
    pixels: np.ndarray, rotations: np.ndarray, translations: np.ndarray, points: np.ndarray,
    w: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Observations of points in front of two views at least."""
    good = np.isfinite(pixels).all(-1) & (w > 0) & np.isfinite(points).all(-1)
    there = np.einsum("vij,nj->vni", rotations, np.nan_to_num(points)) + translations[:, None]
    good &= there[..., 2] > 1e-3 * np.linalg.norm(there, axis=-1)
    return good & (good.sum(0) >= 2)


def _usable_bones(
    bones: np.ndarray | None, kept: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bones between points that are kept, renumbered, and their median lengths."""
    if bones is None or not len(bones):
        return np.zeros((0, 3), dtype=np.int64), np.zeros(0)
    place = np.full(len(points), -1)
    place[kept] = np.arange(len(kept))
    pairs = np.column_stack([place[bones[:, 0]], place[bones[:, 1]], bones[:, 2]])
    pairs = pairs[(pairs[:, :2] >= 0).all(-1)]
    kinds, pairs[:, 2] = np.unique(pairs[:, 2], return_inverse=True)
    found = np.linalg.norm(points[kept[pairs[:, 0]]] - points[kept[pairs[:, 1]]], axis=-1)
    lengths = np.array([np.median(found[pairs[:, 2] == k]) for k in range(len(kinds))])
    return pairs, lengths


def _finished(
    problem: BundleProblem, x: np.ndarray, jacobian: Any, pixels: np.ndarray, kept: np.ndarray
) -> Adjusted:
    vectors, translations, factor = problem.cameras(x)
    rotations = rotations_of(vectors) @ problem.rotations
    focals = problem.focals * np.exp(factor)
    points = np.full((pixels.shape[1], 3), np.nan)
    points[kept] = problem.places(x)
    there = np.einsum("vij,nj->vni", rotations, points) + translations[:, None]
    residuals = focals[:, None, None] * there[..., :2] / there[..., 2:] - pixels
    noise = _noise(problem, x)
    covariance = _camera_covariance(problem, jacobian) * noise**2 * CORRELATED
    spread = _spreads(problem, covariance, rotations, translations)
    return Adjusted(
        rotations, translations, focals, points, residuals, max(noise, 0.05) * NOISE_PX, *spread
    )


def _noise(problem: BundleProblem, x: np.ndarray) -> float:
    """Residuals over what was expected, per degree of freedom; outliers count up to a limit."""
    found = problem.residual(x)[: 2 * len(problem.view) + len(problem.bones)]
    freedom = max(len(found) - len(x), 0.1 * len(found))
    return math.sqrt(float((np.minimum(np.abs(found), OUTLIER) ** 2).sum()) / freedom)


def _camera_covariance(problem: BundleProblem, jacobian: Any) -> np.ndarray:
    """Of the cameras' unknowns, all others free, for unit noise."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import splu

    n = problem.n_camera
    size = np.sqrt(np.maximum(np.asarray(jacobian.multiply(jacobian).sum(0)).ravel(), 1e-12))
    scaled = jacobian.multiply(1 / size).tocsc()
    normal = (scaled.T @ scaled + 1e-9 * identity(len(size))).tocsc()
    unit = np.zeros((len(size), n))
    unit[:n] = np.eye(n)
    covariance = splu(normal).solve(unit)[:n]
    return covariance / np.outer(size[:n], size[:n])


def _spreads(
    problem: BundleProblem, covariance: np.ndarray, rotations: np.ndarray, translations: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of rotations (degrees), places and focal lengths (shares), per view."""
    n_views = len(rotations)
    turn, place, zoom = np.zeros(n_views), np.zeros(n_views), np.zeros(n_views)
    for i in range(1, n_views):
        own = covariance[6 * (i - 1) : 6 * i, 6 * (i - 1) : 6 * i]
        turn[i] = math.degrees(math.sqrt(max(own[:3, :3].trace(), 0)))
        # The place is -R' t, and turning R by w moves it by R' (w x t).
        moves = rotations[i].T @ np.hstack([-cross_matrix(translations[i]), -np.eye(3)])
        place[i] = math.sqrt(max((moves @ own @ moves.T).trace(), 0))
    zoom[problem.free] = np.sqrt(np.maximum(np.diag(covariance)[problem.n_poses :], 0))
    return turn, place, zoom

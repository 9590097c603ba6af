"""Points in space from their images in two or more views.

Hartley and Zisserman, "Multiple View Geometry" (2nd ed. 2004), section 12; Hartley and Sturm,
"Triangulation" (CVIU 1997). Every observation (u, v) of a view with projection rows P0, P1, P2
gives two equations that are linear in the homogeneous point X:

    (u P2 - P0) X = 0,    (v P2 - P1) X = 0

| method | what is solved |
| --- | --- |
| ``dlt`` | all rows, the right singular vector of the least singular value |
| ``linear`` | the same rows with the fourth coordinate set to 1, least squares |
| ``iterative`` | ``linear`` again and again, rows divided by the latest depth of their view: the |
|  | residual becomes the distance in the image (Hartley and Sturm's weights) |
| ``iterative-compounding`` | the same, but rows that were divided already are divided again |
| ``optimal`` | two views: points are first moved, as little as possible, until their rays meet |

EpipolarPose (Kocabas, Karagoz and Akbas, CVPR 2019) triangulates its pseudo labels with the
compounding variant, whose weights are the product of all past depths; it never meets its tolerance
and lies about a millimeter beside the correct one at 4 m. It is here to reproduce that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hypopose.checks import check_choice
from hypopose.errors import OptionError, ShapeError
from hypopose.multiview.optimal_correction import corrected_pair

METHODS = ("dlt", "linear", "iterative", "iterative-compounding", "optimal")
"""Names of the methods."""

FAR = 1e16
"""Coordinates beyond this are points at infinity."""

TOLERANCE = 3e-5
"""Depths that change by less, in the unit of the translations, have converged."""

MOST_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class IteratedPoints:
    """What iterative least squares found.

    Args:
        points: In the world of the projections.
        status: 1 if the point is in front of every view; of two views -1 if it is behind the first,
            -2 behind the second, -3 behind both; of more views minus the number it is behind.
        n_rounds: Rounds that were computed.
    """

    points: Float[np.ndarray, "*any 3"]
    status: Int[np.ndarray, "*any"]
    n_rounds: Int[np.ndarray, "*any"]


def triangulate_points(
    points: Float[np.ndarray, "V *any 2"],
    projections: Float[np.ndarray, "V 3 4"],
    weights: Float[np.ndarray, "V *any"] | None = None,
    method: str = "iterative",
) -> Float[np.ndarray, "*any 3"]:
    """Points in space.

    Convention:
        Points are in the units of the projections: pixels for K [R | t], the normalized plane for
        [R | t]. The result is in the unit and the world of the translations.

    Args:
        points: Of each view; NaN where undetected.
        projections: Of each view.
        weights: Factors of a view's equations, 0 for an observation that does not count; 1 where
            None. Confidences will do.
        method: See the module.

    Returns:
        Points; NaN where fewer than two views see one, or it is at infinity.

    Raises:
        OptionError: If there is no such method, or ``optimal`` is given more than two views.
        ShapeError: If there are fewer than two views, or numbers of views differ.

    Example:
        >>> K = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
        >>> left = K @ np.eye(3, 4)
        >>> right = K @ np.hstack([np.eye(3), [[-1.0], [0], [0]]])
        >>> seen = np.array([[[600.0, 500]], [[350.0, 500]]])
        >>> (triangulate_points(seen, np.stack([left, right])).round(6) + 0.0).tolist()
        [[0.4, 0.0, 4.0]]
    """
    check_choice("method", method, METHODS)
    _check(points, projections, weights)
    x, w = _flat(points, weights)
    if method == "dlt":
        found = _dlt(_rows(x, projections, w))
    elif method == "linear":
        found = _linear(_rows(x, projections, w))
    elif method == "optimal":
        found = _optimal(x, projections, w)
    else:
        compounding = method == "iterative-compounding"
        found = _iterate(x, projections, w, compounding=compounding)[0]
    enough = (w > 0).sum(0) >= 2
    near = np.abs(np.nan_to_num(found, nan=np.inf)).max(-1) <= FAR
    found = np.where((enough & near)[:, None], found, np.nan)
    return found.reshape(*points.shape[1:-1], 3)


def iterative_least_squares(
    points: Float[np.ndarray, "V *any 2"],
    projections: Float[np.ndarray, "V 3 4"],
    weights: Float[np.ndarray, "V *any"] | None = None,
    *,
    compounding: bool = False,
) -> IteratedPoints:
    """Iterative least squares, with what is known about each point.

    Args:
        points: As for :func:`triangulate_points`.
        projections: Of each view.
        weights: Factors of a view's equations.
        compounding: Divide rows that were divided already, as EpipolarPose does, instead of the
            original ones.

    Returns:
        Points, on which side of the views they are, and the rounds.

    Raises:
        ShapeError: If there are fewer than two views, or numbers of views differ.
    """
    _check(points, projections, weights)
    x, w = _flat(points, weights)
    found, depth, rounds = _iterate(x, projections, w, compounding=compounding)
    shape = points.shape[1:-1]
    behind = (depth <= 0) & (w > 0)
    code = behind[0] + 2 * behind[1] if len(points) == 2 else behind.sum(0)
    status = np.where(behind.any(0), -code.astype(np.int64), 1)
    return IteratedPoints(found.reshape(*shape, 3), status.reshape(shape), rounds.reshape(shape))


def depths(
    points: Float[np.ndarray, "*any 3"], projections: Float[np.ndarray, "V 3 4"]
) -> Float[np.ndarray, "V *any"]:
    """How far points are in front of each view, along its axis; below 0 behind it.

    Example:
        >>> depths(np.array([0.0, 0.0, 4.0]), np.eye(3, 4)[None]).tolist()
        [4.0]
    """
    last = projections[:, 2]
    return np.einsum("vc,...c->v...", last[:, :3], points) + last[:, 3].reshape(
        -1, *(1,) * (points.ndim - 1)
    )


def _check(points: np.ndarray, projections: np.ndarray, weights: np.ndarray | None) -> None:
    n = len(projections)
    if n < 2 or len(points) != n or (weights is not None and weights.shape != points.shape[:-1]):
        raise ShapeError(
            f"Triangulation needs points (V, ..., 2), projections (V, 3, 4) and weights (V, ...) "
            f"of two views or more; got {points.shape} and {projections.shape}"
            + ("." if weights is None else f" and {weights.shape}.")
        )


def _flat(points: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """One axis of points; missing ones are 0 and weigh nothing."""
    x = points.astype(np.float64).reshape(len(points), -1, 2)
    w = (
        np.ones(x.shape[:-1])
        if weights is None
        else weights.astype(np.float64).reshape(x.shape[:2])
    )
    seen = np.isfinite(x).all(-1) & (np.nan_to_num(w) > 0)
    return np.where(seen[..., None], x, 0.0), np.where(seen, w, 0.0)


def _rows(x: np.ndarray, projections: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The equations ``(N, 2 V, 4)``."""
    P = projections[:, None].astype(np.float64)
    rows = x[..., None] * P[..., 2:, :] - P[..., :2, :]
    return np.ascontiguousarray((w[..., None, None] * rows).swapaxes(0, 1)).reshape(
        x.shape[1], -1, 4
    )


def _dlt(rows: np.ndarray) -> np.ndarray:
    last = np.linalg.svd(rows)[2][:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return last[:, :3] / last[:, 3:]


def _linear(rows: np.ndarray) -> np.ndarray:
    """Least squares by QR; points that the rows do not decide are NaN."""
    q, r = np.linalg.qr(rows[..., :3])
    size = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    decided = size.min(-1) > 1e-13 * np.maximum(size.max(-1), 1e-300)
    r = np.where(decided[:, None, None], r, np.eye(3))
    found = np.linalg.solve(r, -(q.swapaxes(-1, -2) @ rows[..., 3:]))[..., 0]
    return np.where(decided[:, None], found, np.nan)


def _iterate(
    x: np.ndarray, projections: np.ndarray, w: np.ndarray, *, compounding: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``(N, 3)``, depths ``(V, N)`` and rounds ``(N,)``."""
    n_views, n = w.shape
    found, depth = np.full((n, 3), np.nan), np.ones((n_views, n))
    rounds, active, factor = np.zeros(n, dtype=np.int64), np.arange(n), w.copy()
    for _ in range(MOST_ROUNDS):
        if not len(active):
            break
        found[active] = _linear(_rows(x[:, active], projections, factor[:, active]))
        rounds[active] += 1
        latest = depths(found[active], projections)
        change = np.abs(np.where(w[:, active] > 0, latest - depth[:, active], 0.0)).max(0)
        depth[:, active] = latest
        usable = np.where(np.abs(latest) > 1e-12, latest, 1.0)
        base = factor if compounding else w
        factor[:, active] = base[:, active] / usable
        active = active[change > TOLERANCE]
    return found, depth, rounds


def _optimal(x: np.ndarray, projections: np.ndarray, w: np.ndarray) -> np.ndarray:
    if len(projections) != 2:
        raise OptionError(
            f"method='optimal' corrects points of two views, got {len(projections)}; use "
            "'iterative'."
        )
    first, second = corrected_pair(x[0], x[1], fundamental_of(projections))
    return _dlt(_rows(np.stack([first, second]), projections, w))


def fundamental_of(projections: Float[np.ndarray, "2 3 4"]) -> Float[np.ndarray, "3 3"]:
    """F of two views, ``x2' F x1 = 0``: [m]x M with the second view as [M | m] P1.

    Args:
        projections: Of the two views.
    """
    low = np.array([[0.0, 0.0, 0.0, 1.0]])
    first = np.vstack([projections[0].astype(np.float64), low])
    relative = np.vstack([projections[1].astype(np.float64), low]) @ np.linalg.inv(first)
    return cross_matrix(relative[:3, 3]) @ relative[:3, :3]


def cross_matrix(v: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The matrix of the cross product, ``cross_matrix(v) @ x == np.cross(v, x)``."""
    x, y, z = v.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])

"""Essential matrices: from points, from cameras, and what they say about relative pose.

Hartley, "In defense of the eight-point algorithm" (PAMI 1997); Hartley and Zisserman (2004),
sections 9.6 and 11. Points are on the normalized plane, K^-1 (u, v, 1) with the lens undone, and

    x2' E x1 = 0,    E = [t]x R,    x_2 = R x_1 + t

| symbol | here |
| --- | --- |
| E | ``essential`` |
| W | :data:`QUARTER` |
| sampson distance | :func:`sampson`, with a sign, in the unit of the plane |
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.errors import OptionError
from hypopose.multiview.triangulation import cross_matrix

QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""A quarter turn about z."""

FEWEST = 8
"""Correspondences that the eight-point algorithm needs."""


def essential_matrix(
    first: Float[np.ndarray, "*any N 2"],
    second: Float[np.ndarray, "*any N 2"],
    weights: Float[np.ndarray, "*any N"] | None = None,
) -> Float[np.ndarray, "*any 3 3"]:
    """The eight-point algorithm with Hartley's normalization.

    Args:
        first: Points of the first view on its normalized plane; NaN where missing.
        second: The same points in the second view.
        weights: Factors of the equations; 1 where None.

    Returns:
        E with singular values (1, 1, 0); its entry of largest size is positive.

    Raises:
        OptionError: If fewer than eight correspondences are complete.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (12, 3)) + [0, 0, 5]
        >>> E = essential_matrix(X[:, :2] / X[:, 2:], (X[:, :2] + [1, 0]) / X[:, 2:])
        >>> ((E / E[2, 1]).round(6) + 0.0).tolist()[2]
        [0.0, 1.0, 0.0]
    """
    good = np.isfinite(first).all(-1) & np.isfinite(second).all(-1)
    w = np.where(good, 1.0 if weights is None else weights, 0.0)
    if (w > 0).sum(-1).min(initial=FEWEST) < FEWEST:
        raise OptionError(
            f"An essential matrix takes {FEWEST} or more points seen in both views, got "
            f"{int((w > 0).sum(-1).min())}; give more frames."
        )
    x1, T1 = _normalized(np.where(good[..., None], first, 0.0), w > 0)
    x2, T2 = _normalized(np.where(good[..., None], second, 0.0), w > 0)
    rows = (x2[..., :, None] * x1[..., None, :]).reshape(*x1.shape[:-1], 9) * w[..., None]
    moments = rows.swapaxes(-1, -2) @ rows
    E = np.linalg.eigh(moments)[1][..., 0].reshape(*moments.shape[:-2], 3, 3)
    return with_unit_values(T2.swapaxes(-1, -2) @ E @ T1)


def solution_gap(
    first: Float[np.ndarray, "N 2"],
    second: Float[np.ndarray, "N 2"],
    weights: Float[np.ndarray, " N"],
) -> float:
    """How well the equations decide E: their second least singular value over the greatest.

    0 where points lie on one line or plane, or both views are at one place.

    Args:
        first: Points of the first view.
        second: The same points in the second view.
        weights: Factors of the equations.
    """
    x1, _ = _normalized(first, weights > 0)
    x2, _ = _normalized(second, weights > 0)
    rows = (x2[:, :, None] * x1[:, None, :]).reshape(-1, 9) * weights[:, None]
    values = np.linalg.svd(rows, compute_uv=False)
    return float(values[-2] / values[0])


def with_unit_values(essential: Float[np.ndarray, "*any 3 3"]) -> Float[np.ndarray, "*any 3 3"]:
    """The nearest matrix with singular values (1, 1, 0), its entry of largest size positive."""
    u, _, vh = np.linalg.svd(essential)
    E = u[..., :, :2] @ vh[..., :2, :]
    flat = E.reshape(*E.shape[:-2], 9)
    largest = np.take_along_axis(flat, np.abs(flat).argmax(-1)[..., None], -1)
    return E * np.sign(largest)[..., None]


def essential_of_pose(
    rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3 3"]:
    """[t]x R, with t of length 1."""
    return cross_matrix(translation / np.linalg.norm(translation)) @ rotation


def decompose(
    essential: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "4 3 3"], Float[np.ndarray, "4 3"]]:
    """The four relative poses that an essential matrix allows.

    Args:
        essential: Of any scale and sign.

    Returns:
        Rotations and unit translations: (U W V', u3), (U W V', -u3), (U W' V', u3), (U W' V', -u3).
    """
    u, _, vh = np.linalg.svd(essential)
    u, vh = u * np.sign(np.linalg.det(u)), vh * np.sign(np.linalg.det(vh))
    one, other = u @ QUARTER @ vh, u @ QUARTER.T @ vh
    t = u[:, 2]
    return np.stack([one, one, other, other]), np.stack([t, -t, t, -t])


def sampson(
    essential: Float[np.ndarray, "*_sets 3 3"],
    first: Float[np.ndarray, "*_any N 2"],
    second: Float[np.ndarray, "*_any N 2"],
) -> Float[np.ndarray, "*_out N"]:
    """Distance of pairs from the epipolar constraint, to first order, with a sign.

    Args:
        essential: E of the two views; leading axes broadcast.
        first: Points of the first view on its normalized plane; NaN stays NaN.
        second: The same points in the second view.

    Returns:
        On the normalized plane; times the focal length it is in pixels.

    Example:
        >>> E = essential_of_pose(np.eye(3), np.array([1.0, 0.0, 0.0]))
        >>> a, b = np.array([[0.0, 0.0]]), np.array([[0.5, 0.02]])
        >>> abs(round(sampson(E, a, b).item(), 4))  # both move half way
        0.0141
    """
    x1, x2 = homogeneous(first), homogeneous(second)
    line2 = x1 @ essential.swapaxes(-1, -2)
    line1 = x2 @ essential
    product = (x2 * line2).sum(-1)
    slope = (line1[..., :2] ** 2).sum(-1) + (line2[..., :2] ** 2).sum(-1)
    return product / np.sqrt(np.maximum(slope, 1e-30))


def refined_essential(
    essential: Float[np.ndarray, "B 3 3"],
    first: Float[np.ndarray, "B N 2"],
    second: Float[np.ndarray, "B N 2"],
    weights: Float[np.ndarray, "B N"],
    n_steps: int = 4,
) -> Float[np.ndarray, "B 3 3"]:
    """Essential matrices nearer to least Sampson distance, outliers down-weighted.

    Gauss-Newton steps in the five degrees of freedom: with E = U diag(1, 1, 0) V', U is turned
    about three axes and V about two. The eight-point algorithm minimizes an algebraic error, which
    is far off where noise is large against the size of the scene.

    Args:
        essential: Where to start, a matrix for each set of points.
        first: Points of the first view.
        second: The same points in the second view.
        weights: 0 for points that do not count.
        n_steps: Steps.
    """
    u, _, vh = np.linalg.svd(essential)
    v = vh.swapaxes(-1, -2)
    hidden = np.where(weights > 0, 0.0, np.nan)
    step = 1e-5
    for _ in range(n_steps):
        off = sampson(_middle(u, v), first, second)
        slopes = np.stack(
            [(sampson(_middle(*_nudged(u, v, k, step)), first, second) - off) / step
             for k in range(5)], -1
        )  # fmt: skip
        scale = np.nanmedian(np.abs(off) + hidden, -1, keepdims=True) + 1e-9
        w = weights / (1 + (off / (2.5 * scale)) ** 2) ** 2
        normal = (slopes * w[..., None]).swapaxes(-1, -2) @ slopes
        damping = 1e-6 * np.trace(normal, axis1=-2, axis2=-1)[:, None, None] * np.eye(5)
        pull = (slopes * (w * off)[..., None]).sum(-2)
        move = -np.linalg.solve(normal + damping + 1e-12 * np.eye(5), pull[..., None])[..., 0]
        move *= np.minimum(1.0, 0.3 / np.maximum(np.abs(move).max(-1, keepdims=True), 1e-12))
        for k in range(5):
            u, v = _nudged(u, v, k, move[:, k])
    return _middle(u, v)


def _middle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., :, :2] @ v[..., :, :2].swapaxes(-1, -2)


def _nudged(
    u: np.ndarray, v: np.ndarray, k: int, angle: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One of the factors turned about one of its axes."""
    axis = k % 3
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turned = (u if k < 3 else v).copy()
    cos, sin = np.cos(angle), np.sin(angle)
    if np.ndim(angle):
        cos, sin = cos[..., None], sin[..., None]
    one, other = turned[..., i].copy(), turned[..., j].copy()
    turned[..., i], turned[..., j] = cos * one + sin * other, cos * other - sin * one
    return (turned, v) if k < 3 else (u, turned)


def homogeneous(points: Float[np.ndarray, "*any 2"]) -> Float[np.ndarray, "*any 3"]:
    """(x, y, 1)."""
    return np.concatenate([points, np.ones_like(points[..., :1])], -1)


def _normalized(points: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Homogeneous points with centroid 0 and mean distance sqrt 2, and the matrix that did it."""
    n = np.maximum(counted.sum(-1), 1)[..., None]
    center = (points * counted[..., None]).sum(-2) / n
    away = np.linalg.norm(points - center[..., None, :], axis=-1) * counted
    scale = np.sqrt(2) / np.maximum(away.sum(-1) / n[..., 0], 1e-12)
    T = np.zeros((*points.shape[:-2], 3, 3))
    T[..., 0, 0] = T[..., 1, 1] = scale
    T[..., :2, 2] = -scale[..., None] * center
    T[..., 2, 2] = 1
    return homogeneous(points) @ T.swapaxes(-1, -2), T

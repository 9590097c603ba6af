"""Optimal two-view correction: the nearest pair of points whose rays meet.

Hartley and Sturm, "Triangulation", CVIU 68 (1997). Two detections of one point hardly ever fulfil
x2' F x1 = 0. Among all pairs that do, this finds the one whose summed squared distance to the
detections is least. The pencil of epipolar lines has one parameter t, and the distance is least at
a root of a polynomial of degree six:

    g(t) = t ((a t + b)^2 + f'^2 (c t + d)^2)^2
           - (a d - b c) (1 + f^2 t^2)^2 (a t + b) (c t + d)

with points moved to the origins and epipoles turned onto the x axes. All six roots (their real
parts) and t = infinity are tried.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def corrected_pair(
    first: Float[np.ndarray, "N 2"],
    second: Float[np.ndarray, "N 2"],
    fundamental: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N 2"]]:
    """Move pairs of points, as little as possible, until they fulfil the epipolar constraint.

    Args:
        first: Points of the first view, in the unit of the fundamental matrix.
        second: Points of the second view.
        fundamental: ``x2' F x1 = 0``.

    Returns:
        The moved points of both views.

    Example:
        >>> sideways = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # equal heights
        >>> a, b = corrected_pair(np.array([[0.1, 0.0]]), np.array([[0.0, 0.2]]), sideways)
        >>> a.round(6).tolist(), b.round(6).tolist()
        ([[0.1, 0.1]], [[0.0, 0.1]])
    """
    T1, T2 = _to_origin(first), _to_origin(second)
    F = np.linalg.inv(T2).swapaxes(-1, -2) @ fundamental @ np.linalg.inv(T1)
    e1, e2 = _epipole(F), _epipole(F.swapaxes(-1, -2))
    R1, R2 = _onto_axis(e1), _onto_axis(e2)
    F = R2 @ F @ R1.swapaxes(-1, -2)
    t = _best(F, e1[:, 2], e2[:, 2])
    line1, line2 = _lines(F, e1[:, 2], e2[:, 2], t)
    back = [np.linalg.inv(T) @ R.swapaxes(-1, -2) for T, R in ((T1, R1), (T2, R2))]
    moved = [
        (b @ _nearest(line)[..., None])[..., 0]
        for b, line in zip(back, (line1, line2), strict=True)
    ]
    return moved[0][:, :2] / moved[0][:, 2:], moved[1][:, :2] / moved[1][:, 2:]


def _to_origin(points: np.ndarray) -> np.ndarray:
    T = np.tile(np.eye(3), (len(points), 1, 1))
    T[:, :2, 2] = -points
    return T


def _epipole(F: np.ndarray) -> np.ndarray:
    """F e = 0, with e_x^2 + e_y^2 = 1 (of an epipole at the point itself, the first axis)."""
    e = np.linalg.svd(F)[2][:, -1]
    size = np.linalg.norm(e[:, :2], axis=-1, keepdims=True)
    return np.where(size > 1e-300, e / np.maximum(size, 1e-300), np.array([1.0, 0.0, 1e300]))


def _onto_axis(e: np.ndarray) -> np.ndarray:
    R = np.zeros((len(e), 3, 3))
    R[:, 0, 0], R[:, 0, 1] = e[:, 0], e[:, 1]
    R[:, 1, 0], R[:, 1, 1] = -e[:, 1], e[:, 0]
    R[:, 2, 2] = 1
    return R


def _best(F: np.ndarray, f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
    """The t of least distance, infinity where that is least."""
    a, b, c, d = F[:, 1, 1], F[:, 1, 2], F[:, 2, 1], F[:, 2, 2]
    coefficients = _polynomial(a, b, c, d, f1, f2)
    roots = _roots(coefficients).real
    at = np.concatenate([roots, np.zeros((len(F), 1))], -1)
    cost = _cost(at, a, b, c, d, f1, f2)
    with np.errstate(divide="ignore"):
        cost[:, -1] = 1 / f1**2 + c**2 / np.maximum(a**2 + f2**2 * c**2, 1e-300)
    least = np.nan_to_num(cost, nan=np.inf).argmin(-1)
    chosen = at[np.arange(len(F)), least]
    return np.where(least == at.shape[1] - 1, np.inf, chosen)


def _polynomial(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, f1: np.ndarray, f2: np.ndarray
) -> np.ndarray:
    """Coefficients of g, the highest power first."""
    # q = (a t + b)^2 + f2^2 (c t + d)^2, p = (a t + b)(c t + d)
    q2, q1, q0 = a**2 + f2**2 * c**2, 2 * (a * b + f2**2 * c * d), b**2 + f2**2 * d**2
    p2, p1, p0 = a * c, a * d + b * c, b * d
    k, s = a * d - b * c, f1**2
    return np.stack(
        [
            -k * s**2 * p2,
            q2**2 - k * s**2 * p1,
            2 * q2 * q1 - k * (s**2 * p0 + 2 * s * p2),
            2 * q2 * q0 + q1**2 - 2 * k * s * p1,
            2 * q1 * q0 - k * (2 * s * p0 + p2),
            q0**2 - k * p1,
            -k * p0,
        ],
        -1,
    )


def _roots(coefficients: np.ndarray) -> np.ndarray:
    """Roots of each polynomial; a vanishing first coefficient sends roots far away."""
    size = np.abs(coefficients).max(-1, keepdims=True)
    scaled = coefficients / np.where(size > 0, size, 1.0)
    lead = scaled[:, :1]
    lead = np.where(np.abs(lead) < 1e-13, 1e-13, lead)
    companion = np.zeros((len(scaled), 6, 6))
    companion[:, 0] = -scaled[:, 1:] / lead
    companion[:, np.arange(1, 6), np.arange(5)] = 1
    return _polished(np.linalg.eigvals(companion), scaled)


def _polished(roots: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Two steps of Newton's method on the polynomial itself."""
    powers = np.arange(6, 0, -1)
    slope = coefficients[:, :-1] * powers
    for _ in range(2):
        value, change = _evaluated(coefficients, roots), _evaluated(slope, roots)
        step = np.where(np.abs(change) > 1e-300, value / np.where(change == 0, 1, change), 0)
        roots = roots - np.where(np.abs(step) < 0.5 * np.abs(roots) + 1e-12, step, 0)
    return roots


def _evaluated(coefficients: np.ndarray, at: np.ndarray) -> np.ndarray:
    total = np.zeros_like(at)
    for i in range(coefficients.shape[1]):
        total = total * at + coefficients[:, i, None]
    return total


def _cost(
    t: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray,
    f1: np.ndarray, f2: np.ndarray,
) -> np.ndarray:  # fmt: skip
    a, b, c, d, f1, f2 = (x[:, None] for x in (a, b, c, d, f1, f2))
    below = (a * t + b) ** 2 + f2**2 * (c * t + d) ** 2
    return t**2 / (1 + f1**2 * t**2) + (c * t + d) ** 2 / np.maximum(below, 1e-300)


def _lines(
    F: np.ndarray, f1: np.ndarray, f2: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Epipolar lines of the parameter t in both views."""
    a, b, c, d = F[:, 1, 1], F[:, 1, 2], F[:, 2, 1], F[:, 2, 2]
    finite = np.isfinite(t)
    u, one = np.where(finite, t, 1.0), np.where(finite, 1.0, 0.0)
    line1 = np.stack([u * f1, one, -u], -1)
    line2 = np.stack([-f2 * (c * u + d * one), a * u + b * one, c * u + d * one], -1)
    return line1, line2


def _nearest(line: np.ndarray) -> np.ndarray:
    """The point of a line nearest to the origin, homogeneous."""
    x, y, z = line.T
    return np.stack([-x * z, -y * z, x**2 + y**2], -1)

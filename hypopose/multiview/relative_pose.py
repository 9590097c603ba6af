"""The relative pose of two views from the keypoints of people they both see.

The joints of many frames are correspondences, stacked: those of one frame are nearly degenerate
once they are noisy. Samples of whole frames and of single joints give candidates (eight-point
algorithm); the candidate of least median distance wins (Rousseeuw, "Least median of squares
regression", 1984: no threshold is needed, and less than half of the correspondences may be wrong),
is fitted again with weights, and refined in its five degrees of freedom under a robust loss. Of the
four poses an essential matrix allows, the one with most points in front of both views is taken.

Degenerate cases are refused: one frame, no parallax (both cameras at one place), and points on one
line or plane, which are recognized by the uncertainty of the pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from hypopose.checks import check_choice
from hypopose.errors import UndeterminedError
from hypopose.multiview.epipolar import (
    FEWEST,
    decompose,
    essential_matrix,
    essential_of_pose,
    homogeneous,
    refined_essential,
    sampson,
    solution_gap,
)
from hypopose.multiview.triangulation import cross_matrix, depths, triangulate_points

Sampling = Literal["frames", "joints", "both"]
"""What a sample of consensus is made of."""

N_FRAMES, N_POINTS = 4, 12
"""Frames, and single joints, of one sample."""

N_DOWNHILL, N_STARTS = 24, 3
"""Candidates that go a few steps downhill, and those that are refined to the end."""

MOST_POINTS = 3000
"""Correspondences that decide; of more, evenly spaced ones are taken."""

CORRELATED = 5.0
"""Detector errors last: so many neighboring correspondences count as one in uncertainties."""

LEAST_PARALLAX_DEG = 1.0
"""Rays of both views differ by more, beyond what turning a camera explains."""

MOST_STD_DEG = (6.0, 12.0)
"""Standard deviations of rotation and of the translation's direction beyond which a pose is
refused."""

NOISE_FLOOR = 2e-4
"""Least noise on the normalized plane: no keypoint is better than a fifth of a pixel."""


@dataclass(frozen=True, eq=False)
class RelativePose:
    """Where a second view stands, seen from the first: ``x_2 = rotation x_1 + translation``.

    Args:
        rotation: From the first view's axes to the second's.
        translation: Of length 1.
        inliers: Correspondences within 3 standard deviations of the constraint.
        noise: Standard deviation of the distance to the constraint, on the normalized plane.
        rotation_std_deg: Standard deviation of the rotation.
        direction_std_deg: Standard deviation of the translation's direction.
        parallax_deg: Median angle between the rays of a point, at the point.
    """

    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]
    inliers: Bool[np.ndarray, "F J"]
    noise: float
    rotation_std_deg: float
    direction_std_deg: float
    parallax_deg: float

    @property
    def projections(self) -> Float[np.ndarray, "2 3 4"]:
        """[R | t] of both views, the first at the origin."""
        second = np.column_stack([self.rotation, self.translation])
        return np.stack([np.eye(3, 4), second])


def relative_pose(
    first: Float[np.ndarray, "F J 2"],
    second: Float[np.ndarray, "F J 2"],
    weights: Float[np.ndarray, "F J"] | None = None,
    *,
    by: Sampling = "both",
    n_tries: int = 120,
    seed: int = 0,
) -> RelativePose:
    """Find the pose of a second view from joints that both see at the same moments.

    Args:
        first: Joints on the first view's normalized plane, lens undone; NaN where undetected.
        second: The same joints in the second view. Several people go one after the other.
        weights: Confidence of each pair; 1 where None.
        by: What samples are made of: whole frames (a frame is right or wrong as a whole: sides
            swapped, another person), single joints, or half of the samples of each kind.
        n_tries: Samples.
        seed: Decides the samples.

    Returns:
        The pose, its inliers and its uncertainty.

    Raises:
        UndeterminedError: If the points do not decide the pose; the message says what would.

    Example:
        >>> from hypopose.datasets.examples import example_motion
        >>> X = example_motion(20).double().numpy() @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        >>> turn = np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]])
        >>> a, b = X + [0, 1, 4], X @ turn + [0, 1, 4]
        >>> pose = relative_pose(a[..., :2] / a[..., 2:], b[..., :2] / b[..., 2:])
        >>> round(float(np.degrees(np.arccos((np.trace(pose.rotation) - 1) / 2))), 3)
        53.13
    """
    check_choice("by", by, get_args(Sampling))
    seen = np.isfinite(first).all(-1) & np.isfinite(second).all(-1)
    w = np.where(seen, 1.0 if weights is None else np.nan_to_num(weights), 0.0)
    frames = np.flatnonzero((w > 0).sum(1) >= 5)
    _check_amount(w, frames)
    x1, x2 = np.nan_to_num(first), np.nan_to_num(second)
    keep = np.flatnonzero(w.reshape(-1) > 0)
    keep = keep[:: math.ceil(len(keep) / MOST_POINTS)]
    a, b, v = (x.reshape(-1, *x.shape[2:])[keep] for x in (x1, x2, w))
    _check_parallax(a, b, v)
    rng = np.random.default_rng(seed)
    candidates = _candidates(x1, x2, w, frames, by, n_tries, rng)
    starts = _best_candidates(candidates, a, b, v)
    R, t, noise, spread, _ = min((_refined(E, a, b, v) for E in starts), key=lambda fit: fit[-1])
    _check_certainty(spread, solution_gap(a, b, v))
    distance = sampson(essential_of_pose(R, t), x1, x2)
    return RelativePose(
        R, t, (w > 0) & (np.abs(distance) < 3 * noise), noise, *spread, _parallax(R, t, a, b)
    )


def _check_amount(w: np.ndarray, frames: np.ndarray) -> None:
    if (w > 0).sum() < FEWEST or len(frames) == 0:
        raise UndeterminedError(
            f"Both views see {int((w > 0).sum())} joints together, too few to find the cameras; "
            "give recordings of the same seconds, in which people are seen by both."
        )
    if len(frames) < 2:
        raise UndeterminedError(
            "Both views see people together in one frame only, whose joints do not decide where "
            "the cameras stand; give some seconds of people who move."
        )


def _check_parallax(a: np.ndarray, b: np.ndarray, v: np.ndarray) -> None:
    """Refuse views whose rays differ by a rotation alone."""
    one, other = _units(a), _units(b)
    w = v.copy()
    for _ in range(4):
        u, _, vh = np.linalg.svd(other.T @ (one * w[:, None]))
        turn = u @ np.diag([1, 1, np.linalg.det(u @ vh)]) @ vh
        off = np.linalg.norm(other - one @ turn.T, axis=-1)
        w = v / np.maximum(off, np.median(off) + 1e-9)
    degrees = math.degrees(float(np.median(off)))
    if degrees < LEAST_PARALLAX_DEG:
        raise UndeterminedError(
            f"The views differ by {degrees:.2g} degrees beyond a turn of the camera: there is no "
            "parallax to find depth from. Place the cameras apart, 30 to 120 degrees as seen from "
            "the people; if they are, give a recording in which people walk about."
        )


def _units(x: np.ndarray) -> np.ndarray:
    h = homogeneous(x)
    return h / np.linalg.norm(h, axis=-1, keepdims=True)


def _candidates(
    x1: np.ndarray, x2: np.ndarray, w: np.ndarray, frames: np.ndarray, by: Sampling,
    n_tries: int, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Essential matrices ``(S, 3, 3)`` of samples, and of everything."""
    flat = [x.reshape(-1, *x.shape[2:]) for x in (x1, x2, w)]
    found = [essential_matrix(*flat)[None]]
    n_frames = {"frames": n_tries, "joints": 0, "both": n_tries // 2}[by]
    if n_frames:
        chosen = rng.choice(frames, (n_frames, min(N_FRAMES, len(frames))))
        groups = [x[chosen].reshape(n_frames, -1, *x.shape[2:]) for x in (x1, x2, w)]
        enough = (groups[2] > 0).sum(-1) >= FEWEST
        found.append(essential_matrix(*(g[enough] for g in groups)))
    if n_tries - n_frames:
        usable = np.flatnonzero(flat[2] > 0)
        size = min(N_POINTS, len(usable))
        points = np.stack(
            [rng.choice(usable, size, replace=False) for _ in range(n_tries - n_frames)]
        )
        found.append(essential_matrix(*(x[points] for x in flat)))
    return np.concatenate(found)


def _best_candidates(
    candidates: np.ndarray, a: np.ndarray, b: np.ndarray, v: np.ndarray
) -> list[np.ndarray]:
    """Candidates of least median distance after a few steps downhill, all different."""
    step = math.ceil(len(a) / 800)
    some = a[::step], b[::step], v[::step]
    first = np.median(np.abs(sampson(candidates, *some[:2])), -1).argsort()[:N_DOWNHILL]
    one, other, w = (np.broadcast_to(x, (len(first), *x.shape)) for x in some)
    moved = refined_essential(candidates[first], one, other, w, n_steps=6)
    off = np.median(np.abs(sampson(moved, *some[:2])), -1)
    chosen: list[np.ndarray] = []
    for E in moved[off.argsort()]:
        same = [min(np.abs(E - C).max(), np.abs(E + C).max()) < 0.1 for C in chosen]
        chosen += [] if any(same) else [E]
    return chosen[:N_STARTS]


def _refined(
    essential: np.ndarray, a: np.ndarray, b: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, tuple[float, float], float]:
    """Pose, noise, standard deviations of rotation and direction in degrees, and the cost.

    The cost is the mean absolute distance, without the tenth that is farthest off.
    """
    from scipy.optimize import least_squares

    R, t = _in_front(essential, a, b)
    sigma = max(1.4826 * float(np.median(np.abs(sampson(essential, a, b)))), NOISE_FLOOR)
    root = np.sqrt(v / v.mean())

    def pose(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        e1, e2 = _across(t)
        direction = t + p[3] * e1 + p[4] * e2
        return _turn(p[:3]) @ R, direction / np.linalg.norm(direction)

    def residual(p: np.ndarray) -> np.ndarray:
        return root * sampson(essential_of_pose(*pose(p)), a, b) / sigma

    fit = least_squares(residual, np.zeros(5), loss="cauchy", f_scale=2.0, x_scale="jac")
    R, t = pose(fit.x)
    off = np.abs(sampson(essential_of_pose(R, t), a, b))
    noise = max(1.4826 * float(np.median(off)), NOISE_FLOOR)
    information = fit.jac.T @ fit.jac * (sigma / noise) ** 2 / CORRELATED
    values, vectors = np.linalg.eigh(information)
    covariance = (vectors / np.maximum(values, 1e-9)) @ vectors.T
    degrees = [math.degrees(math.sqrt(covariance[s, s].trace())) for s in (slice(3), slice(3, 5))]
    cost = float(np.sort(off)[: max(1, int(0.9 * len(off)))].mean())
    return R, t, noise, (degrees[0], degrees[1]), cost


def _in_front(essential: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the four poses, the one with most points in front of both views."""
    step = math.ceil(len(a) / 400)
    seen = np.stack([a[::step], b[::step]])
    counts = []
    poses = list(zip(*decompose(essential), strict=True))
    for R, t in poses:
        views = np.stack([np.eye(3, 4), np.column_stack([R, t])])
        points = triangulate_points(seen, views, method="dlt")
        counts.append(int((depths(np.nan_to_num(points, nan=-1.0), views) > 0).all(0).sum()))
    return poses[int(np.argmax(counts))]


def _across(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors at right angles to a third."""
    other = np.eye(3)[np.abs(t).argmin()]
    e1 = np.cross(t, other)
    e1 /= np.linalg.norm(e1)
    return e1, np.cross(t, e1)


def _turn(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix of a rotation vector."""
    angle = float(np.linalg.norm(vector))
    cross = cross_matrix(vector)
    if angle < 1e-12:
        return np.eye(3) + cross
    first, second = math.sin(angle) / angle, (1 - math.cos(angle)) / angle**2
    return np.eye(3) + first * cross + second * cross @ cross


def _parallax(R: np.ndarray, t: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    one, other = _units(a), _units(b) @ R
    return math.degrees(float(np.median(np.arccos(np.clip((one * other).sum(-1), -1, 1)))))


def _check_certainty(spread: tuple[float, float], gap: float) -> None:
    if gap < 1e-7 or any(s > m for s, m in zip(spread, MOST_STD_DEG, strict=True)):
        raise UndeterminedError(
            "The joints that both views see do not decide where the cameras stand (standard "
            f"deviation of the rotation {min(spread[0], 180):.1f} degrees, of the direction "
            f"{min(spread[1], 180):.1f}): they lie close to one line or plane, or hardly move. "
            "Give a recording in which people walk about, turn and move arms and legs."
        )

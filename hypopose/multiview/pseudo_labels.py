"""People in three dimensions from several placed views, and labels for training from them.

EpipolarPose (Kocabas, Karagoz and Akbas, CVPR 2019) triangulates what a 2D detector finds in
neighboring views and trains a network for single views on the result, moved into each camera's
frame. Here the same with what such labels need: every point has a covariance from the residuals of
its views, and gates by residual, side of the cameras and angle between the rays.

| paper | here |
| --- | --- |
| triangulation of the pair | :func:`triangulate_people`, any number of views, weighted |
| target of a view | :class:`Labels`, one for each camera |
| root of the target | kept: ``joints`` are places in the camera's frame |

The covariance is that of Gauss-Newton, (sum J' W J)^-1 s^2, with s^2 of the joint in the whole
recording. Points with larger residuals get a larger covariance, but shrunk to the joint's: a point
has few residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from hypopose.multiview.error_memory import ErrorMemory, memory_of
from hypopose.multiview.synchrony import Synchronized, projection_of
from hypopose.multiview.triangulation import depths, triangulate_points
from hypopose.types import Camera

N_ROUNDS = 4
"""Gauss-Newton steps with weights against outliers."""

OUTLIER = 2.5

PRIOR_FREEDOM = 4.0
"""Residuals that a joint's noise counts for in the noise of one of its points."""

FLOOR_PX = 0.5
"""Least noise of a keypoint in pixels."""


@dataclass(frozen=True, eq=False)
class Triangulated:
    """People in the world of a rig.

    Args:
        points: NaN where fewer than two views see a joint.
        covariance: Of each point.
        residual_px: Distance between projection and keypoint; NaN where undetected.
        in_front: Whether each view has the point in front of it.
        n_views: How many views see it.
        angle_deg: Largest angle between its rays.
        noise_px: Standard deviation of keypoints, per joint.
        memory: How long errors of the points last.
    """

    points: Float[np.ndarray, "P F J 3"]
    covariance: Float[np.ndarray, "P F J 3 3"]
    residual_px: Float[np.ndarray, "V P F J"]
    in_front: Bool[np.ndarray, "V P F J"]
    n_views: Int[np.ndarray, "P F J"]
    angle_deg: Float[np.ndarray, "P F J"]
    noise_px: Float[np.ndarray, " J"]
    memory: ErrorMemory


@dataclass(frozen=True)
class Gates:
    """Which points are good enough to learn from.

    Args:
        residual_px: Largest residual of any view that sees the point.
        angle_deg: Least angle between its rays.
        n_views: Least number of views.
    """

    residual_px: float = 25.0
    angle_deg: float = 8.0
    n_views: int = 2

    def passed(self, found: Triangulated) -> Bool[np.ndarray, "P F J"]:
        """Points that pass, in front of every view that sees them."""
        seen = np.isfinite(found.residual_px)
        worst = np.where(seen, found.residual_px, 0.0).max(0)
        ahead = (found.in_front | ~seen).all(0)
        return (
            (found.n_views >= self.n_views)
            & (worst <= self.residual_px)
            & (found.angle_deg >= self.angle_deg)
            & ahead
        )


@dataclass(frozen=True, eq=False)
class Labels:
    """Targets for one camera.

    Args:
        joints: In the camera's frame; NaN where no label is good enough.
        covariance: In the camera's frame.
        kept: Where there is a label.
    """

    joints: Float[np.ndarray, "P F J 3"]
    covariance: Float[np.ndarray, "P F J 3 3"]
    kept: Bool[np.ndarray, "P F J"]


def triangulate_people(seen: Synchronized, cameras: Sequence[Camera]) -> Triangulated:
    """Joints of everybody, from all views that see them.

    Args:
        seen: Everybody in every view at the same moments.
        cameras: Of the views, placed in one world.

    Returns:
        Points with covariances and residuals, in the unit of the cameras' translations.

    Raises:
        OptionError: If a camera moves.
    """
    views = np.stack([projection_of(camera) for camera in cameras])
    shape = seen.rays.shape[1:-1]
    x = seen.rays.reshape(len(views), -1, 2)
    w = seen.weights.reshape(len(views), -1)
    w = np.where(np.isfinite(x).all(-1), w, 0.0)
    points = triangulate_points(x, views, np.sqrt(w))
    joint = np.tile(np.arange(shape[-1]), points.shape[0] // shape[-1])
    noise = np.full(shape[-1], 4.0)
    for _ in range(N_ROUNDS):
        off, slope = _residuals(x, w, points, views, seen.focals)
        noise = _noise(off, w, joint, shape[-1])
        points = points - _step(off, slope, _robust(off, w, noise[joint]))
    off, slope = _residuals(x, w, points, views, seen.focals)
    covariance = _covariance(off, slope, w, noise[joint])
    off = np.where((w > 0)[..., None], off, np.nan)
    return Triangulated(
        points.reshape(*shape, 3),
        covariance.reshape(*shape, 3, 3),
        np.linalg.norm(off, axis=-1).reshape(len(views), *shape),
        (depths(np.nan_to_num(points, nan=-1e9), views) > 0).reshape(len(views), *shape),
        (w > 0).sum(0).reshape(shape),
        _angles(points, w, views).reshape(shape),
        noise,
        memory_of(off.reshape(len(views), *shape, 2), noise),
    )


def pseudo_labels(
    seen: Synchronized, cameras: Sequence[Camera], gates: Gates | None = None
) -> tuple[Labels, ...]:
    """Targets for every view from all views together.

    Args:
        seen: Everybody in every view at the same moments.
        cameras: Of the views, placed in one world.
        gates: Which points are good enough.

    Returns:
        Labels per view. A view that does not see a joint itself gets a label for it too.

    Raises:
        OptionError: If a camera moves.
    """
    found = triangulate_people(seen, cameras)
    kept = (gates or Gates()).passed(found)
    labels = []
    for camera in cameras:
        view = projection_of(camera)
        R, t = view[:, :3], view[:, 3]
        joints = np.where(kept[..., None], found.points @ R.T + t, np.nan)
        labels.append(Labels(joints, R @ found.covariance @ R.T, kept))
    return tuple(labels)


def _residuals(
    x: np.ndarray, w: np.ndarray, points: np.ndarray, views: np.ndarray, focals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels between projection and keypoint ``(V, N, 2)``, and slopes ``(V, N, 2, 3)``."""
    there = np.einsum("vij,nj->vni", views[:, :, :3], points) + views[:, None, :, 3]
    z = np.where(np.abs(there[..., 2]) > 1e-9, there[..., 2], 1e-9)
    seen = there[..., :2] / z[..., None]
    f = focals[:, None]
    off = np.where((w > 0)[..., None], f[..., None] * (seen - np.nan_to_num(x)), 0.0)
    inner = np.zeros((*z.shape, 2, 3))
    inner[..., 0, 0] = inner[..., 1, 1] = f / z
    inner[..., :, 2] = -f[..., None] * seen / z[..., None]
    return off, inner @ views[:, None, :, :3]


def _noise(off: np.ndarray, w: np.ndarray, joint: np.ndarray, n_joints: int) -> np.ndarray:
    """Standard deviation per joint in pixels: residuals per degree of freedom, robustly."""
    per_point = (np.minimum(w[..., None] * off**2, (5 * 4.0) ** 2)).sum((0, -1))
    freedom = 2 * (w > 0).sum(0) - 3
    good = (freedom > 0) & np.isfinite(per_point)
    total = np.bincount(joint[good], per_point[good], n_joints)
    count = np.bincount(joint[good], freedom[good], n_joints)
    every = total.sum() / max(count.sum(), 1)
    return np.sqrt(np.maximum((total + 20 * every) / (count + 20), FLOOR_PX**2))


def _robust(off: np.ndarray, w: np.ndarray, noise: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(off, axis=-1) / noise
    return w / (1 + (size / OUTLIER) ** 2)


def _step(off: np.ndarray, slope: np.ndarray, w: np.ndarray) -> np.ndarray:
    normal = np.einsum("vnai,vn,vnaj->nij", slope, w, slope)
    pull = np.einsum("vnai,vn,vna->ni", slope, w, off)
    size = np.trace(normal, axis1=-2, axis2=-1)[:, None, None]
    good = np.isfinite(size) & (size > 0)
    normal = np.where(good, normal, np.eye(3)) + 1e-9 * np.where(good, size, 1.0) * np.eye(3)
    return np.linalg.solve(normal, np.where(good[..., 0], pull, np.nan)[..., None])[..., 0]


def _covariance(off: np.ndarray, slope: np.ndarray, w: np.ndarray, noise: np.ndarray) -> np.ndarray:
    normal = np.einsum("vnai,vn,vnaj->nij", slope, w, slope)
    enough = ((w > 0).sum(0) >= 2) & np.isfinite(normal).all((-1, -2))
    size = np.trace(np.where(enough[:, None, None], normal, 0.0), axis1=-2, axis2=-1)
    safe = np.where(enough[:, None, None], normal, np.eye(3))
    safe = safe + 1e-9 * np.maximum(size, 1e-9)[:, None, None] * np.eye(3)
    own = (w[..., None] * off**2).sum((0, -1))
    freedom = np.maximum(2 * (w > 0).sum(0) - 3, 0)
    variance = (PRIOR_FREEDOM * noise**2 + own) / (PRIOR_FREEDOM + freedom)
    found = np.linalg.inv(safe) * np.maximum(variance, noise**2)[:, None, None]
    return np.where(enough[:, None, None], found, np.nan)


def _angles(points: np.ndarray, w: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Largest angle between any two rays of a point, in degrees."""
    centers = -np.einsum("vji,vj->vi", views[:, :, :3], views[:, :, 3])
    away = np.nan_to_num(points[None] - centers[:, None], nan=1.0)
    unit = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-12)
    widest = np.zeros(points.shape[0])
    for i in range(len(views)):
        for j in range(i):
            both = (w[i] > 0) & (w[j] > 0)
            cosine = np.clip((unit[i] * unit[j]).sum(-1), -1, 1)
            widest = np.where(both, np.maximum(widest, np.degrees(np.arccos(cosine))), widest)
    return widest

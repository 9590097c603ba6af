"""The unknowns of bundle adjustment, its residuals and their Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

NOISE_PX = 4.0
"""Noise that is expected of a keypoint with confidence 1."""

BONE_SD = 0.06
"""Share of its length by which a bone between two detected joints changes from frame to frame."""

STIFF = 1e4
"""Weight with which the gauge of size is held."""

Entries = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows, columns and values of a part of the Jacobian."""


@dataclass(frozen=True, eq=False)
class BundleProblem:
    """Observations as lists; unknowns are poses, focal lengths, bone lengths and points.

    Args:
        view: View of every observation.
        point: Point of every observation.
        seen: Pixels from the principal point.
        root: Square root of its weight over the noise.
        rotations: Of the views at the start.
        translations: Of the views at the start.
        focals: Of the views at the start.
        free: Views whose focal length is unknown.
        focal_sd: Standard deviations of the logarithm of an unknown focal length: of what all views
            share, and of each one's own.
        points: At the start.
        bones: Rows of two points and the number of a length.
        lengths: At the start.
    """

    view: Int[np.ndarray, " M"]
    point: Int[np.ndarray, " M"]
    seen: Float[np.ndarray, "M 2"]
    root: Float[np.ndarray, " M"]
    rotations: Float[np.ndarray, "V 3 3"]
    translations: Float[np.ndarray, "V 3"]
    focals: Float[np.ndarray, " V"]
    free: Bool[np.ndarray, " V"]
    focal_sd: tuple[float, float]
    points: Float[np.ndarray, "N 3"]
    bones: Int[np.ndarray, "B 3"]
    lengths: Float[np.ndarray, " L"]

    @property
    def n_poses(self) -> int:
        """Columns of rotations and translations: all views but the first."""
        return 6 * (len(self.rotations) - 1)

    @property
    def n_camera(self) -> int:
        """Columns of cameras."""
        return self.n_poses + int(self.free.sum())

    @cached_property
    def longest(self) -> int:
        """The view farthest from the first, whose distance stays."""
        return int(np.linalg.norm(self.translations, axis=-1)[1:].argmax()) + 1

    def start(self) -> Float[np.ndarray, " n"]:
        """The unknowns at the start."""
        moved = np.concatenate([np.zeros((len(self.rotations) - 1, 3)), self.translations[1:]], -1)
        zoom = np.zeros(int(self.free.sum()))
        return np.concatenate([moved.ravel(), zoom, self.lengths, self.points.ravel()])

    def cameras(
        self, x: Float[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Float[np.ndarray, " V"]]:
        """Rotation vectors from the start, translations, and logarithms of focal factors."""
        moved = x[: self.n_poses].reshape(-1, 6)
        vectors = np.vstack([np.zeros((1, 3)), moved[:, :3]])
        translations = np.vstack([self.translations[:1], moved[:, 3:]])
        factor = np.zeros(len(self.rotations))
        factor[self.free] = x[self.n_poses : self.n_camera]
        return vectors, translations, factor

    def places(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, "N 3"]:
        """The points."""
        return x[self.n_camera + len(self.lengths) :].reshape(-1, 3)

    def residual(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        """Pixels over their noise, bones, and what is known before."""
        seen = (self._project(x)[2] - self.seen) * self.root[:, None]
        return np.concatenate([seen.ravel(), self._bone_residuals(x), self._priors(x)])

    def jacobian(self, x: Float[np.ndarray, " n"]) -> Any:
        """Slopes of the residuals, sparse."""
        from scipy.sparse import csr_matrix

        n_seen = 2 * len(self.view)
        parts = [
            *self._observed(x),
            *self._bone_entries(x, n_seen),
            self._prior_entries(x, n_seen + len(self.bones)),
        ]
        row, column, value = (
            np.concatenate([np.broadcast_to(e[i], e[2].shape).ravel() for e in parts])
            for i in range(3)
        )
        n_rows = n_seen + len(self.bones) + 1 + 2 * int(self.free.sum())
        return csr_matrix((value, (row, column)), shape=(n_rows, len(x)))

    def loss(self, z: Float[np.ndarray, " m"]) -> Float[np.ndarray, "3 m"]:
        """Squares for what is known before, growing linearly for outliers among the others."""
        rho = np.stack([z, np.ones_like(z), np.zeros_like(z)])
        n = 2 * len(self.view) + len(self.bones)
        t = 1 + z[:n]
        rho[:, :n] = 2 * (np.sqrt(t) - 1), t**-0.5, -0.5 * t**-1.5
        return rho

    def _project(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Turned points, depths, pixels, and focal lengths, per observation."""
        vectors, translations, factor = self.cameras(x)
        turns = rotations_of(vectors) @ self.rotations
        turned = np.einsum("mij,mj->mi", turns[self.view], self.places(x)[self.point])
        there = turned + translations[self.view]
        z = np.maximum(there[:, 2], 1e-6)
        f = (self.focals * np.exp(factor))[self.view]
        return turned, z, f[:, None] * there[:, :2] / z[:, None], f

    def _observed(self, x: np.ndarray) -> list[Entries]:
        vectors, _, _ = self.cameras(x)
        turned, z, pixels, f = self._project(x)
        slope = np.zeros((len(z), 2, 3))
        slope[:, 0, 0] = slope[:, 1, 1] = f / z
        slope[:, :, 2] = -pixels / z[:, None]
        slope *= self.root[:, None, None]
        by_vector = -slope @ crosses(turned) @ left_jacobians(vectors)[self.view]
        by_pose = np.concatenate([by_vector, slope], -1)
        by_point = slope @ (rotations_of(vectors) @ self.rotations)[self.view]
        by_focal = (pixels * self.root[:, None])[..., None]
        row = np.arange(2 * len(z)).reshape(-1, 2, 1)
        moving, zoomed = self.view > 0, self.free[self.view]
        pose_at = 6 * (self.view[moving] - 1)[:, None, None] + np.arange(6)
        focal_at = self.n_poses + (np.cumsum(self.free) - 1)[self.view[zoomed]][:, None, None]
        point_at = self._point_columns(self.point)[:, None]
        return [
            (row[moving], pose_at, by_pose[moving]),
            (row[zoomed], focal_at, by_focal[zoomed]),
            (row, point_at, by_point),
        ]

    def _point_columns(self, point: np.ndarray) -> np.ndarray:
        return self.n_camera + len(self.lengths) + 3 * point[:, None] + np.arange(3)

    def _bone_residuals(self, x: np.ndarray) -> np.ndarray:
        if not len(self.bones):
            return np.zeros(0)
        points, lengths = self.places(x), x[self.n_camera :][: len(self.lengths)]
        one, other, kind = self.bones.T
        found = np.linalg.norm(points[one] - points[other], axis=-1)
        return (found / lengths[kind] - 1) / BONE_SD

    def _bone_entries(self, x: np.ndarray, first_row: int) -> list[Entries]:
        if not len(self.bones):
            return []
        points, lengths = self.places(x), x[self.n_camera :][: len(self.lengths)]
        one, other, kind = self.bones.T
        away = points[one] - points[other]
        size = np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
        unit = away / size
        stiff = 1 / (BONE_SD * lengths[kind])
        row = first_row + np.arange(len(kind))[:, None]
        slope = unit * stiff[:, None]
        return [
            (row, self._point_columns(one), slope),
            (row, self._point_columns(other), -slope),
            (row, (self.n_camera + kind)[:, None], -(size[:, 0] / lengths[kind] * stiff)[:, None]),
        ]

    def _priors(self, x: np.ndarray) -> np.ndarray:
        _, translations, factor = self.cameras(x)
        length = np.linalg.norm(translations[self.longest] - translations[0])
        gauge = STIFF * (length / self._baseline - 1)
        return np.concatenate([[gauge], self._focal_rows @ factor[self.free]])

    def _prior_entries(self, x: np.ndarray, first_row: int) -> Entries:
        _, translations, _ = self.cameras(x)
        away = translations[self.longest] - translations[0]
        gauge = STIFF * away / (np.linalg.norm(away) * self._baseline)
        at = 6 * (self.longest - 1) + 3 + np.arange(3)
        row, column = np.indices(self._focal_rows.shape)
        return (
            np.concatenate([np.full(3, first_row), first_row + 1 + row.ravel()]),
            np.concatenate([at, self.n_poses + column.ravel()]),
            np.concatenate([gauge, self._focal_rows.ravel()]),
        )

    @cached_property
    def _focal_rows(self) -> np.ndarray:
        """Residuals of the logarithms: each one's own part, and the mean (in each row a share)."""
        n = int(self.free.sum())
        mean = np.full((n, n), 1 / max(n, 1))
        own = (np.eye(n) - mean) / self.focal_sd[1]
        return np.vstack([own, mean / (self.focal_sd[0] * np.sqrt(max(n, 1)))])

    @cached_property
    def _baseline(self) -> float:
        return float(np.linalg.norm(self.translations[self.longest] - self.translations[0]))


def rotations_of(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """Rotation matrices of rotation vectors."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vectors).as_matrix())


def crosses(v: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """Matrices of cross products."""
    out = np.zeros((len(v), 3, 3))
    out[:, 2, 1], out[:, 0, 2], out[:, 1, 0] = v[:, 0], v[:, 1], v[:, 2]
    return out - out.swapaxes(-1, -2)


def left_jacobians(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """J with exp(w + dw) = exp(J dw) exp(w) to first order."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    cross = crosses(vectors)
    small = angle < 1e-6
    a = np.where(small, 1.0, angle)
    one = np.where(small, 0.5, (1 - np.cos(a)) / a**2)
    two = np.where(small, 1 / 6, (a - np.sin(a)) / a**3)
    return np.eye(3) + one * cross + two * cross @ cross

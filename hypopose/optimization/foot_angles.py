"""How a foot turns against its shank, from 2D points of heel and toe: one smooth path a draw.

The model is linear and Gaussian but for the turning of the foot, so a path is drawn by perturbing
the data and solving (Papandreou and Yuille, "Gaussian sampling by local perturbations", NeurIPS
2010): a path ``g`` of the prior, points off by errors as a detector makes them, then the most
probable path near both, by Gauss and Newton.

=====================  ===========================================================================
prior                  value
=====================  ===========================================================================
flexion and turn       second-order autoregressions, critically damped: standard deviations
                       17 and 12 degrees, time constants 0.2 and 0.5 s
points                 errors with a correlation time of 0.056 s; their size is estimated from what
                       is left over, 0.4 to 4 % of stature; Student's t with 4 degrees of freedom,
                       so that outliers count little
=====================  ===========================================================================
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[np.float64]

STD = (math.radians(17.0), math.radians(12.0))
"""Of flexion and turn about their means, radians."""

DAMPING_S = (0.2, 0.5)
"""Their time constants, seconds."""

ERROR_S = 0.056
"""Seconds over which a detector's errors are alike: a correlation of 0.7 at 50 Hz."""

LEAST, TYPICAL, GREATEST = 0.004, 0.02, 0.04
"""Error of a point over stature."""

FREEDOM = 4.0
"""Of Student's t."""

N_ROUNDS = 8
"""Steps of Gauss and Newton; the first half settles the size of errors."""

MOST = math.radians(80.0)
"""Greatest flexion and turn."""


def autoregression(
    n_frames: int, dt: float, std: float, damping: float
) -> Float[np.ndarray, "3 F"]:
    """Rows of a matrix that whitens a critically damped process, stationary from its first frame.

    Args:
        n_frames: F.
        dt: Seconds between frames.
        std: Of the process.
        damping: Time constant in seconds.

    Returns:
        Diagonals of a lower triangular matrix A, as banded solvers store them: ``A x`` is white.

    Example:
        >>> autoregression(1, 0.02, 2.0, 0.1)[0].tolist()
        [0.5]
    """
    r = math.exp(-dt / damping)
    a, b = 2 * r, -r * r
    unit = (1 - b) / ((1 + b) * ((1 - b) ** 2 - a * a))  # variance of the process for white 1
    white = std / math.sqrt(unit)
    bands = np.zeros((3, n_frames))
    bands[0], bands[1], bands[2] = 1 / white, -a / white, -b / white
    rho = a / (1 - b)
    bands[0, 0] = 1 / std
    if n_frames > 1:
        bands[0, 1] = 1 / (std * math.sqrt(1 - rho * rho))
        bands[1, 0] = -rho * bands[0, 1]
    bands[1, -1:] = 0
    bands[2, -2:] = 0
    return bands


def prior_paths(bands: Float[np.ndarray, "3 F"], white: Float[np.ndarray, "H F"]) -> Array:
    """Paths of the process that :func:`autoregression` whitens.

    Args:
        bands: Of the matrix.
        white: Standard normal numbers.

    Example:
        >>> bands = autoregression(200, 0.02, 2.0, 0.1)
        >>> white = np.random.default_rng(0).normal(size=(500, 200))
        >>> bool(abs(prior_paths(bands, white).std() - 2.0) < 0.1)
        True
    """
    from scipy.linalg import solve_banded

    return np.asarray(solve_banded((2, 0), bands, white.T).T)


def precision(bands: Float[np.ndarray, "3 F"]) -> Float[np.ndarray, "3 F"]:
    """Diagonals 0, 1, 2 below of ``A' A``, as banded solvers store them."""
    n = bands.shape[1]
    found = np.zeros_like(bands)
    for j in range(3):
        for k in range(3 - j):
            found[j, : n - j] += bands[j + k, : n - j] * bands[k, j:]
    return found


def error_paths(white: Float[np.ndarray, "H F K"], dt: float) -> Array:
    """Errors of unit variance that last as a detector's do.

    Args:
        white: Standard normal numbers.
        dt: Seconds between frames.
    """
    from scipy.signal import lfilter

    rho = math.exp(-dt / ERROR_S)
    driven = math.sqrt(1 - rho * rho) * white
    driven[:, 0] = white[:, 0]
    return np.asarray(lfilter([1.0], [1.0, -rho], driven, axis=1))


class Foot:
    """Heel and toe of one foot of every hypothesis, as functions of flexion and turn.

    Args:
        axes: Ahead, to the side and down the shank, unit vectors of every frame.
        along: Of heel and toe from the ankle along the foot, meters.
        below: The same below the ankle, square to the foot.
        slope: ``X / Z`` and ``Y / Z`` of the ankle.
        depth: ``Z`` of the ankle.
    """

    def __init__(
        self,
        axes: Float[np.ndarray, "H F 3 3"],
        along: Float[np.ndarray, "H 2"],
        below: Float[np.ndarray, "H 2"],
        slope: Float[np.ndarray, "H F 2"],
        depth: Float[np.ndarray, "H F"],
    ) -> None:
        self.ahead, self.aside, self.down = (axes[:, :, i] for i in range(3))
        self.along, self.below = along[:, None, :, None], below[:, None, :, None]
        self.slope, self.depth = slope, depth

    def points(self, angles: Float[np.ndarray, "H F 2"]) -> Float[np.ndarray, "H F 2 3"]:
        """Heel and toe relative to the ankle."""
        forward, sole, _ = self._frame(angles)
        return self.along * forward[:, :, None] + self.below * sole[:, :, None]

    def _frame(self, angles: Array) -> tuple[Array, Array, Array]:
        """The foot's direction, its sole's, and how the level part turns."""
        flexion, turn = angles[..., :1], angles[..., 1:]
        level = np.cos(turn) * self.ahead + np.sin(turn) * self.aside
        forward = np.cos(flexion) * level - np.sin(flexion) * self.down
        sole = np.cos(flexion) * self.down + np.sin(flexion) * level
        return forward, sole, -np.sin(turn) * self.ahead + np.cos(turn) * self.aside

    def seen(self, angles: Array) -> tuple[Array, Array]:
        """Heel and toe in the picture against the ankle, in meters at its depth; derivatives.

        Returns:
            ``(H, F, 2, 2)`` and ``(H, F, 2, 2, 2)``, flexion and turn last.
        """
        forward, sole, sideways = self._frame(angles)
        flexion = angles[..., :1]
        point = self.along * forward[:, :, None] + self.below * sole[:, :, None]
        nod = -self.along * sole[:, :, None] + self.below * forward[:, :, None]
        wag = self.along * np.cos(flexion)[:, :, None] + self.below * np.sin(flexion)[:, :, None]
        wag = wag * sideways[:, :, None]
        near = 1 / (1 + point[..., 2:] / self.depth[..., None, None])
        shown = self._flat(point) * near
        turned = np.stack([self._flat(d) * near for d in (nod, wag)], -1)
        return shown, turned

    def _flat(self, vector: Array) -> Array:
        return vector[..., :2] - self.slope[:, :, None] * vector[..., 2:]


def draw_angles(
    foot: Foot,
    seen: Float[np.ndarray, "H F 2 2"],
    trust: Float[np.ndarray, "F 2"],
    mean: Float[np.ndarray, " 2"],
    height: Float[np.ndarray, " H"],
    white: Float[np.ndarray, "H F 6"],
    dt: float,
) -> Float[np.ndarray, "H F 2"]:
    """Flexion and turn of one foot over time, a draw for each hypothesis.

    Args:
        foot: How heel and toe follow.
        seen: Heel and toe against the ankle, meters at its depth; NaN where not detected.
        trust: Weight of each point, 0 to 1; a confidence.
        mean: Of flexion and turn, radians.
        height: Stature, meters.
        white: Standard normal numbers.
        dt: Seconds between frames.

    Returns:
        Radians.
    """
    n_frames = seen.shape[1]
    bands = [autoregression(n_frames, dt, s, d) for s, d in zip(STD, DAMPING_S, strict=True)]
    paths = [prior_paths(b, white[..., i]) for i, b in enumerate(bands)]
    target = mean + np.stack(paths, -1)
    errors = error_paths(white[..., 2:].copy(), dt).reshape(seen.shape)
    known = np.isfinite(seen).all(-1) & (trust > 0)
    points = np.where(known[..., None], seen, 0.0)
    prior = _interleaved([precision(b) for b in bands])
    rho = math.exp(-dt / ERROR_S)
    lasting = (1 + rho) / (1 - rho)  # variance of equally informative independent errors
    angles, scale = np.clip(target, -MOST, MOST), np.full(len(height), TYPICAL) * height
    for i in range(N_ROUNDS):
        shown, turned = foot.seen(angles)
        size = scale[:, None, None, None]
        rest = points + size * errors - shown
        far = np.square(rest).sum(-1) / (2 * size[..., 0] ** 2)
        weight = known * trust * (FREEDOM + 2) / (FREEDOM + 2 * far) / (lasting * size[..., 0] ** 2)
        angles = _step(angles, target, prior, rest, turned, weight)
        if i == N_ROUNDS // 2:
            scale = _error_size(points - foot.seen(angles)[0], known, height)
    return angles


def _error_size(rest: Array, known: NDArray[np.bool_], height: Array) -> Array:
    """Standard deviation of points' errors by their median: the same share of every stature."""
    share = np.abs(rest)[np.broadcast_to(known, rest.shape[:-1])] / np.median(height)
    size = 1.4826 * float(np.median(share)) if share.size else TYPICAL
    return np.asarray(height * min(max(size, LEAST), GREATEST))


def _interleaved(parts: list[Float[np.ndarray, "3 F"]]) -> Float[np.ndarray, "5 n"]:
    """Bands of two precisions whose variables alternate."""
    found = np.zeros((5, 2 * parts[0].shape[1]))
    for i, part in enumerate(parts):
        found[::2, i::2] = part
    return found


def _step(
    angles: Array, target: Array, prior: Array, rest: Array, turned: Array, weight: Array
) -> Array:
    """One step of Gauss and Newton for every hypothesis."""
    from scipy.linalg import solveh_banded

    bent = np.einsum("hfkca,hfkcb,hfk->hfab", turned, turned, weight)
    ahead = rest + np.einsum("hfkca,hfa->hfkc", turned, angles)
    pull = np.einsum("hfkca,hfkc,hfk->hfa", turned, ahead, weight)
    moved = np.empty_like(angles)
    for h in range(len(angles)):
        bands = prior.copy()
        bands[0] += np.diagonal(bent[h], axis1=1, axis2=2).ravel()
        bands[1, ::2] += bent[h, :, 0, 1]
        right = pull[h].ravel() + _times(prior, target[h].ravel())
        moved[h] = solveh_banded(bands, right, lower=True).reshape(angles.shape[1:])
    return np.clip(moved, -MOST, MOST)


def _times(bands: Array, x: Array) -> Array:
    """A symmetric banded matrix, its lower diagonals given, times a vector."""
    found = bands[0] * x
    for k in range(1, len(bands)):
        found[k:] += bands[k, : len(x) - k] * x[: len(x) - k]
        found[: len(x) - k] += bands[k, : len(x) - k] * x[k:]
    return np.asarray(found)

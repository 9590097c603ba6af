"""How long errors of triangulated points last: read from the residuals of the recording itself.

Detectors err alike in neighboring frames, some for a moment, some all the time. A mean over a
second is the better known the shorter errors last. The same errors make the residuals, so the
residuals tell how long they last; their autocorrelation is described by three shares of the
variance:

    r(lag) = lasting + lingering * decay ** lag      for lag > 0, r(0) = 1

What is left is new in every frame. A rig that is wrong makes residuals that last, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Frames apart at which residuals are compared."""

DECAYS = np.concatenate([[0.0], 1 - np.geomspace(0.9, 0.02, 24)])
"""Correlations from frame to frame that are tried."""

FEWEST_PAIRS = 200
"""Pairs of residuals below which a lag is not looked at."""

OUTLIER = 3.0
"""Residuals beyond so many standard deviations count as so many."""


@dataclass(frozen=True)
class ErrorMemory:
    """How much of an error is left after some frames.

    Args:
        lasting: Share of the variance that lasts over the whole recording.
        lingering: Share that fades.
        decay: What is left of that from frame to frame.

    Example:
        >>> round(ErrorMemory(0.1, 0.8, 0.5).after(3), 3)
        0.2
    """

    lasting: float = 0.0
    lingering: float = 0.0
    decay: float = 0.0

    def after(self, n_frames: int) -> float:
        """Correlation of errors so many frames apart.

        Args:
            n_frames: One or more.
        """
        return self.lasting + self.lingering * self.decay**n_frames

    def errors(self, z: Float[np.ndarray, "G *any"]) -> Float[np.ndarray, "F *any"]:
        """Errors of unit variance for ``F`` frames.

        Args:
            z: Standard normal numbers for ``G = 2 F + 1`` frames.

        Example:
            >>> z = np.random.default_rng(0).normal(size=(20001, 1))
            >>> x = ErrorMemory(0.0, 0.9, 0.5).errors(z)
            >>> bool(abs((x[1:] * x[:-1]).mean() - 0.45) < 0.05)
            True
        """
        from scipy.signal import lfilter

        F = len(z) // 2
        fresh = max(0.0, 1 - self.lasting - self.lingering)
        fade = z[:F].copy()
        step = math.sqrt(1 - self.decay**2)
        fade[0] /= step
        fade = lfilter([step], [1.0, -self.decay], fade, axis=0)
        parts = (self.lingering, fade), (fresh, z[F : 2 * F]), (self.lasting, z[-1:])
        return np.asarray(sum(math.sqrt(share) * x for share, x in parts))


def memory_of(
    residuals: Float[np.ndarray, "*any F J 2"], noise: Float[np.ndarray, " J"]
) -> ErrorMemory:
    """How long errors last, from residuals over time.

    Args:
        residuals: Pixels; NaN where there are none.
        noise: Standard deviation of each joint's.

    Returns:
        Nothing lasts if there are too few frames to tell.
    """
    z = residuals.reshape(-1, *residuals.shape[-3:]) / noise[:, None]
    known = np.isfinite(z)
    z = np.where(known, np.clip(z, -OUTLIER, OUTLIER), 0.0)
    square = (z**2).sum() / max(known.sum(), 1)
    lags, found = [], []
    for lag in LAGS:
        pairs = (known[:, :-lag] & known[:, lag:]).sum() if lag < z.shape[1] else 0
        if pairs >= FEWEST_PAIRS and square > 0:
            lags.append(lag)
            found.append((z[:, :-lag] * z[:, lag:]).sum() / pairs / square)
    return _fitted(np.array(lags), np.array(found)) if lags else ErrorMemory()


def _fitted(lags: np.ndarray, found: np.ndarray) -> ErrorMemory:
    """The least squares over a grid of decays; shares are not negative, and 1 together at most."""
    from scipy.optimize import nnls

    best, least = ErrorMemory(), math.inf
    for decay in DECAYS.tolist():
        shares, _ = nnls(np.column_stack([np.ones(len(lags)), decay**lags]), found)
        shares = shares / max(1.0, shares.sum())
        memory = ErrorMemory(float(shares[0]), float(shares[1]), decay)
        off = sum((memory.after(int(n)) - r) ** 2 for n, r in zip(lags, found, strict=True))
        if off < least - 1e-9:
            best, least = memory, off
    return best

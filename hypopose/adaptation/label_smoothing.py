"""Labels of several views, smoothed over time.

Every frame is triangulated by itself, and errors of detectors are independent after a few frames,
so smoothing removes part of them. The smoothed path x of a joint minimizes

    sum over frames of w_t |x_t - y_t|^2  +  sum of |x_t - 3 x_{t-1} + 3 x_{t-2} - x_{t-3}|^2 / s^2

least: the posterior mean where errors of the labels y are independent and jerk is normal white
noise. w_t is one over the variance, s the jerk times the cube of a frame's duration: the slower the
camera, the less is smoothed (Whittaker 1923; Eilers, "A perfect smoother", Anal. Chem. 2003).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

JERK = 400.0
"""Standard deviation of joints' jerk, m/s^3."""

REMAINING = 0.8
"""Share of the variance that smoothing leaves: errors that last longer than it looks. On two people
in four simulated views, seen by a COCO-17 detector, it left .72 and .92."""

LEAST_FRAMES = 8
"""Labels that a joint needs."""

THIRD = (-1.0, 3.0, -3.0, 1.0)


def smoothed(
    joints: Float[Tensor, "F J 3"], covariance: Float[Tensor, "F J 3 3"], fps: float
) -> tuple[Float[Tensor, "F J 3"], Float[Tensor, "F J 3 3"]]:
    """Labels with less noise; those that are missing stay so.

    Args:
        joints: Meters; NaN where there is no label.
        covariance: Of each joint.
        fps: Frames per second.

    Returns:
        Joints, and their covariances.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> noise = 0.02 * torch.randn(60, 1, 3, generator=generator)
        >>> still, _ = smoothed(noise, (0.02**2 * torch.eye(3)).expand(60, 1, 3, 3), 50.0)
        >>> bool(still.norm(dim=-1).mean() < 0.6 * noise.norm(dim=-1).mean())
        True
    """
    y = joints.double().numpy()
    known = np.isfinite(y).all(-1)
    variance = covariance.double().diagonal(dim1=-2, dim2=-1).mean(-1).numpy()
    weight = np.where(known, 1 / np.maximum(np.nan_to_num(variance, nan=1.0), 1e-8), 0.0)
    out, done = y.copy(), np.zeros(y.shape[1], dtype=bool)
    for j in range(y.shape[1]):
        if known[:, j].sum() >= LEAST_FRAMES:
            path = _path(np.nan_to_num(y[:, j]), weight[:, j], (JERK / fps**3) ** -2)
            out[:, j] = np.where(known[:, j, None], path, np.nan)
            done[j] = True
    less = torch.from_numpy(np.where(done, REMAINING, 1.0)).to(covariance)
    return torch.from_numpy(out).to(joints), covariance * less[:, None, None]


def _path(
    y: Float[np.ndarray, "F 3"], weight: Float[np.ndarray, " F"], stiffness: float
) -> Float[np.ndarray, "F 3"]:
    """Where the sum of squares is least: a banded system."""
    from scipy.linalg import solveh_banded

    n = len(y)
    band = np.zeros((4, n))
    band[3] = weight + 1e-6 * weight.max()
    for a in range(4):
        for b in range(a, 4):
            band[3 - (b - a), b : n - 3 + b] += stiffness * THIRD[a] * THIRD[b]
    return np.asarray(solveh_banded(band, weight[:, None] * y))

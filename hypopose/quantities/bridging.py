"""Gaps and jumps in time: bridged, and unwrapped."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def bridge(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill unknown frames by straight lines, and by the nearest value at the ends.

    Args:
        values: ``(F, n)``; NaN where unknown.

    Returns:
        Values without gaps; a column that is never known stays NaN.

    Example:
        >>> bridge(np.array([[np.nan], [1.0], [np.nan], [3.0]])).ravel().tolist()
        [1.0, 1.0, 2.0, 3.0]
    """
    filled = values.copy()
    frames = np.arange(len(values))
    for column in filled.T:
        known = np.isfinite(column)
        if known.any() and not known.all():
            column[~known] = np.interp(frames[~known], frames[known], column[known])
    return filled


def unwrapped(angles: Tensor) -> Tensor:
    """Angles in degrees without jumps of whole turns over the last axis.

    Args:
        angles: Over time; NaN where unknown.

    Example:
        >>> unwrapped(torch.tensor([170.0, -170.0, torch.nan, -150.0])).tolist()
        [170.0, 190.0, nan, 210.0]
    """
    known = torch.isfinite(angles)
    rows = angles.reshape(-1, angles.shape[-1]).detach().cpu().double().numpy()
    filled = np.nan_to_num(bridge(np.ascontiguousarray(rows.T)))
    smooth = torch.from_numpy(np.unwrap(filled, period=360, axis=0).T.copy())
    return torch.where(known, smooth.reshape(angles.shape).to(angles), torch.nan)

"""Angles between rotations and directions, for tests of rigs."""

from __future__ import annotations

import numpy as np


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Angle between two rotations, or two directions."""
    if a.ndim == 1:
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    else:
        cosine = (np.trace(a.T @ b) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

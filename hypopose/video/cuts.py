"""Where one scene ends and another begins.

A cut changes most of the picture at once and more than the frames before it did. Frames are
compared as small gray thumbnails; the threshold is a floor and a multiple of the recent change, so
that a fast pan is no cut.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from jaxtyping import Float, UInt8

WIDTH = 32
FLOOR = 28.0
"""Mean change of a thumbnail's gray values, of 255, below which nothing is a cut."""
TIMES = 4.0
"""How many times the usual change of the last frames a cut must be."""


class CutFinder:
    """Watches frames go by.

    Example:
        >>> finder, dark = CutFinder(), np.zeros((36, 64, 3), np.uint8)
        >>> [finder.is_cut(frame) for frame in (dark, dark + 2, dark + 200, dark + 201)]
        [False, False, True, False]
    """

    def __init__(self) -> None:
        self._last: Float[np.ndarray, "h w"] | None = None
        self._recent: deque[float] = deque(maxlen=10)

    def is_cut(self, rgb: UInt8[np.ndarray, "height width 3"]) -> bool:
        """Whether a new scene begins with this frame; False for the first."""
        small = thumbnail(rgb)
        if self._last is None or self._last.shape != small.shape:
            self._last = small
            return False
        change = float(np.abs(small - self._last).mean())
        usual = float(np.median(self._recent)) if self._recent else 0.0
        self._last = small
        cut = change > FLOOR and change > TIMES * usual
        if cut:
            self._recent.clear()
        else:
            self._recent.append(change)
        return cut


def thumbnail(rgb: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "h w"]:
    """Gray values of a picture about 32 pixels wide: means of blocks."""
    step = max(1, rgb.shape[1] // WIDTH)
    h, w = rgb.shape[0] // step, rgb.shape[1] // step
    if h == 0 or w == 0:
        return rgb.mean(-1, dtype=np.float64)
    # Every fourth row and column of a block is enough, and four times as quick.
    stride = max(1, step // 4)
    blocks = rgb[: h * step, : w * step].reshape(h, step, w, step, 3)
    return blocks[:, ::stride, :, ::stride, 1].mean((1, 3), dtype=np.float64)

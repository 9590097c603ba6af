"""The time offset between two recordings, from the keypoints of a person in both.

At the right offset in time an essential matrix explains all pairs of keypoints up to the noise of
the detector; at others moving limbs do not fit. So every offset gets an essential matrix (weighted
eight-point fits, which put less weight on outliers) and a cost, the median distance from it. The
least is refined between frames together with the rate. Standing people, and movements that repeat
exactly on one spot, have several offsets of nearly the same cost; they are refused.

Convention:
    Frame ``f`` of the first view shows the moment of frame ``rate * f + frames`` of the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from hypopose.errors import UndeterminedError
from hypopose.multiview.camera_tracks import at_times
from hypopose.multiview.epipolar import (
    FEWEST,
    essential_matrix,
    refined_essential,
    sampson,
)

MOST_FRAMES = (40, 160)
"""Frames of a candidate that are compared: in the search, and in its refinement."""

LEAST_FRAMES = 12
"""Frames that must overlap."""

CONTRAST = 1.2
"""Costs of offsets elsewhere must be larger by this factor. Where they are not, recordings count as
in step unless that costs more by this factor too."""

ELSEWHERE = 0.2
"""Seconds from an offset that count as elsewhere."""

SLOWER = 0.97
"""Another rate is believed if it lowers the cost to this share."""

SAME = 0.3
"""Offsets within so many frames of none are none."""


@dataclass(frozen=True)
class TimeOffset:
    """Where a second recording is, seen from the first.

    Args:
        frames: Frame of the second view that shows frame 0 of the first; need not be whole.
        rate: Frames of the second view per frame of the first.
        cost: Median distance from the epipolar constraint, on the normalized plane.
        contrast: Least cost elsewhere over this cost.
        in_step: Cost of no offset at all over this cost.
    """

    frames: float
    rate: float
    cost: float
    contrast: float
    in_step: float

    @property
    def determined(self) -> bool:
        """Whether offsets elsewhere fit clearly worse."""
        return self.contrast >= CONTRAST

    def times(self, frames: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """Frames of the second view at frames of the first."""
        return self.rate * frames + self.frames


def estimate_offset(
    first: Float[np.ndarray, "F J 2"],
    second: Float[np.ndarray, "G J 2"],
    weights: tuple[Float[np.ndarray, "F J"], Float[np.ndarray, "G J"]] | None = None,
    *,
    most: float = 60.0,
    rates: Sequence[float] = (1.0,),
    free_rate: bool = False,
    fps: float = 30.0,
    around: float = 0.0,
) -> TimeOffset:
    """Find the offset between two recordings of one person.

    Args:
        first: Joints on the first view's normalized plane; NaN where undetected.
        second: The same person in the second view.
        weights: Confidences of both; 1 where None.
        most: Largest offset that is tried, in frames of the second view.
        rates: Rates that are tried, in frames of the second per frame of the first.
        free_rate: Whether the best of them is refined; for clocks that are not known exactly.
        fps: Frame rate of the second view, which says how far apart offsets count as different.
        around: Offsets are tried around this one: what the frames' numbers say.

    Returns:
        The offset of least cost; look at ``determined`` before it is used, or call
        :func:`checked_offset`.

    Raises:
        UndeterminedError: If recordings overlap by fewer than 12 frames at every offset.
    """
    w1, w2 = weights or (np.ones(first.shape[:2]), np.ones(second.shape[:2]))
    search = _Search(first, second, *(np.where(np.isfinite(x).all(-1), w, 0.0)
                                      for x, w in ((first, w1), (second, w2))))  # fmt: skip
    steps = around + np.arange(-math.floor(most), math.floor(most) + 1)
    costs = np.stack([search.coarse(steps, rate) for rate in rates])
    if not np.isfinite(costs).any():
        long = min((w.any(1)).sum() for w in (search.w1, search.w2)) >= LEAST_FRAMES
        larger = ", or a larger --max-offset" if long else ""
        raise UndeterminedError(
            f"The recordings share fewer than {LEAST_FRAMES} frames of the person at any offset up "
            f"to {most:.0f} frames; give longer recordings{larger}."
        )
    r, k = (int(i) for i in np.unravel_index(np.nanargmin(costs), costs.shape))
    rate, frames = search.refined(float(steps[k]), float(rates[r]), free_rate)
    apart = np.abs(steps - frames) > max(ELSEWHERE * fps, 2.0)
    others = costs[r][apart & np.isfinite(costs[r])]
    here, still = search.costs(np.array([frames, around]), rate, MOST_FRAMES[0])
    here = max(here, 1e-9)
    return TimeOffset(
        frames,
        rate,
        float(here),
        float(others.min() / here) if len(others) else math.inf,
        float(still / here) if np.isfinite(still) else math.inf,
    )


def checked_offset(found: TimeOffset, name: str, *, around: float = 0.0) -> TimeOffset:
    """The offset that may be used: as found, or none where it makes no difference.

    Args:
        found: Of :func:`estimate_offset`.
        name: Of the second view, for messages.
        around: What the frames' numbers say.

    Returns:
        The offset; that of the frames' numbers if it explains the keypoints as well.

    Raises:
        UndeterminedError: If several offsets explain the keypoints.
    """
    in_step = found.in_step < CONTRAST and not found.determined
    if abs(found.frames - around) < SAME or in_step:
        return replace(found, frames=around)
    if not found.determined:
        raise UndeterminedError(
            f"The offset in time of {name} is not determined: {found.frames:+.1f} frames fit best, "
            f"but others fit nearly as well ({found.contrast:.2f} times the distance). Give "
            "recordings in which somebody moves arms and legs, or say the offset: "
            f"--offset {name} FRAMES."
        )
    return found


@dataclass(frozen=True, eq=False)
class _Search:
    first: np.ndarray
    second: np.ndarray
    w1: np.ndarray
    w2: np.ndarray

    def coarse(self, offsets: np.ndarray, rate: float) -> np.ndarray:
        """Costs of every second offset, and of those beside the best; NaN for the others."""
        out = np.full(len(offsets), np.nan)
        first = np.arange(0, len(offsets), 2)
        out[first] = self.costs(offsets[first], rate, MOST_FRAMES[0])
        if np.isfinite(out).any():
            best = int(np.nanargmin(out))
            beside = [i for i in (best - 1, best + 1) if 0 <= i < len(offsets)]
            out[beside] = self.costs(offsets[beside], rate, MOST_FRAMES[0])
        return out

    def costs(self, offsets: np.ndarray, rate: float, most: int, limit: float = 0.0) -> np.ndarray:
        """Cost of every offset, see :func:`_distance`; NaN where too little overlaps."""
        out = np.full(len(offsets), np.nan)
        pairs = [self.pairs(offset, rate, most) for offset in offsets]
        usable = [i for i, pair in enumerate(pairs) if pair is not None]
        size = max((len(p[0]) for p in pairs if p is not None), default=0)
        for i in range(0, len(usable), 32):
            some = usable[i : i + 32]
            stacked = [np.zeros((len(some), size, 2)), np.zeros((len(some), size, 2)),
                       np.zeros((len(some), size))]  # fmt: skip
            for row, at in enumerate(some):
                pair = pairs[at]
                assert pair is not None  # usable
                for full, part in zip(stacked, pair, strict=True):
                    full[row, : len(part)] = part
            out[some] = _distance(stacked[0], stacked[1], stacked[2], limit)
        return out

    def pairs(
        self, offset: float, rate: float, most: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Points of frames that both views show, at most so many frames; None for too few."""
        frames = np.arange(len(self.first))
        times = rate * frames + offset
        inside = (times >= 0) & (times <= len(self.second) - 1)
        seen = (self.w1 > 0).sum(1) >= 4
        frames = frames[inside & seen]
        if len(frames) < LEAST_FRAMES:
            return None
        frames = frames[np.linspace(0, len(frames) - 1, min(len(frames), most)).astype(int)]
        times = rate * frames + offset
        there = at_times(self.second[None], times)[0]
        near = np.clip(np.round(times).astype(int), 0, len(self.second) - 1)
        w = np.sqrt(self.w1[frames] * self.w2[near]) * np.isfinite(there).all(-1)
        good = w > 0
        if (good.sum(1) >= 4).sum() < LEAST_FRAMES or good.sum() < 4 * FEWEST:
            return None
        return self.first[frames][good], there[good], w[good]

    def refined(self, offset: float, rate: float, free_rate: bool) -> tuple[float, float]:
        """Rate and offset where the cost is least between frames.

        Offsets are tried a frame apart and a parabola is laid through them: keypoints between
        frames are means of two, whose smaller noise would draw every offset there.
        """
        limit = 3 * float(self.costs(np.array([offset]), rate, MOST_FRAMES[1])[0])
        if free_rate:
            rate, offset = self.smoothed()._freed(offset, rate, limit)
        for _ in range(4):
            around = offset + np.arange(-2, 3)
            costs = self.costs(around, rate, MOST_FRAMES[1], limit)
            offset = lowest(around, costs)
            if abs(offset - around[2]) <= 1:
                break
            offset = float(np.round(offset))
        return rate, offset

    def smoothed(self) -> _Search:
        """The same with less noise, so that means of two frames have hardly less of it."""
        return _Search(_blurred(self.first), _blurred(self.second), self.w1, self.w2)

    def _freed(self, offset: float, rate: float, limit: float) -> tuple[float, float]:
        half = (len(self.first) - 1) / 2
        least = float(self.costs(np.array([offset]), rate, MOST_FRAMES[1], limit)[0])
        for step in (2.0, 1.0, 0.5):
            slower = step / max(half, 1)
            for q in (rate - slower, rate + slower):
                # The offset in the middle of the recording hardly depends on the rate.
                trials = offset - half * (q - rate) + step * np.array([-0.5, 0.0, 0.5])
                costs = self.costs(trials, q, MOST_FRAMES[1], limit)
                if np.nanmin(costs, initial=np.inf) < SLOWER * least:
                    k = int(np.nanargmin(costs))
                    least, rate, offset = float(costs[k]), q, float(trials[k])
                    break
        return rate, offset


def _blurred(x: np.ndarray) -> np.ndarray:
    """Binomial means over five frames; NaN stays, and does not count in others."""
    seen = np.isfinite(x)
    value, weight = np.zeros_like(x), np.zeros_like(x)
    for shift, share in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
        to = slice(max(0, -shift), len(x) - max(0, shift))
        of = slice(max(0, shift), len(x) - max(0, -shift))
        value[to] += share * np.where(seen[of], x[of], 0.0)
        weight[to] += share * seen[of]
    return np.where(seen, value / np.maximum(weight, 1), np.nan)


def lowest(at: Float[np.ndarray, " K"], costs: Float[np.ndarray, " K"]) -> float:
    """Where a parabola through the lowest squared cost and its neighbors is lowest.

    Args:
        at: Evenly spaced.
        costs: There; NaN where unknown.

    Example:
        >>> lowest(np.array([1.0, 2.0, 3.0]), np.sqrt(np.array([2.0, 1.0, 2.0])))
        2.0
    """
    k = int(np.nanargmin(costs))
    if k in (0, len(costs) - 1) or not np.isfinite(costs[k - 1 : k + 2]).all():
        return float(at[k])
    low, middle, high = costs[k - 1 : k + 2] ** 2
    bend = low - 2 * middle + high
    return float(at[k] + 0.5 * (at[1] - at[0]) * (low - high) / bend) if bend > 0 else float(at[k])


def _distance(first: np.ndarray, second: np.ndarray, w: np.ndarray, limit: float) -> np.ndarray:
    """How far each row is from its essential matrix, outliers down-weighted in the fit.

    The median distance; with a limit the root mean square with a loss that ends there, which is
    sharper near the least.
    """
    weights = w
    hidden = np.where(w > 0, 0.0, np.nan)
    for _ in range(2):
        E = essential_matrix(first, second, weights)
        off = np.abs(sampson(E, first, second)) + hidden
        scale = np.nanmedian(off, -1, keepdims=True) + 1e-9
        weights = w / (1 + (np.nan_to_num(off) / (2 * scale)) ** 2)
    E = refined_essential(E, first, second, w)
    off = np.abs(sampson(E, first, second)) + hidden
    if limit:
        return np.asarray(np.sqrt(np.nanmean(off**2 / (1 + (off / limit) ** 2), -1)))
    return np.asarray(np.nanmedian(off, -1))

"""A constant frame rate out of timestamps.

Samplers read frames at a constant rate; phones and screen recorders write them when they can. Here
keypoints, not pictures, are resampled: linearly between the two detections around each tick, and
not at all across a longer gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

JITTER = 0.3
"""Ticks a frame may be off its place, in frame intervals, before a rate counts as variable."""

HOLE_JITTER = 0.1
"""The same where some frames are missing."""

LONGEST_GAP = 2.5
"""Frame intervals that are still bridged."""


@dataclass(frozen=True, eq=False)
class Clock:
    """The constant rate of a clip.

    Args:
        fps: Frames per second.
        times: Seconds of every frame of the clip.
        constant: Whether the recording's own frames are the clip's.
        note: What was done; empty if nothing.
    """

    fps: float
    times: Float[np.ndarray, " F"]
    constant: bool
    note: str = ""


def constant_clock(
    seconds: Float[np.ndarray, " N"], stated: float | None, given: float | None = None
) -> Clock:
    """Find the constant rate that timestamps follow, or should.

    Args:
        seconds: When frames were taken, rising.
        stated: Frames per second between the frames given, as the container says, or None.
        given: Frames per second as the user says: then timestamps do not count.

    Returns:
        The clock; ``times`` are ``seconds`` where the rate is constant.

    Example:
        >>> constant_clock(np.array([0.0, 0.04, 0.08]), 25.0).constant
        True
        >>> constant_clock(np.array([0.0, 0.04, 0.21, 0.25]), None).note
        'variable frame rate, 5.882 to 25 frames/s: resampled to 25'
        >>> constant_clock(np.array([0.0, 0.04, 0.2, 0.24]), None).note
        'frames missing in the file: 3 of 7'
    """
    n = len(seconds)
    if given is not None:
        return Clock(given, np.arange(n) / given, constant=True)
    if n < 2:
        return Clock(stated or 25.0, seconds, constant=True)
    steps = np.diff(seconds)
    rate = _tidy(1.0 / float(np.median(steps)))
    mean = (n - 1) / float(seconds[-1] - seconds[0])
    for candidate in (stated, mean, rate):
        if candidate and _follows(seconds, candidate):
            return Clock(float(candidate), seconds, constant=True)
    times = np.arange(int(float(seconds[-1] - seconds[0]) * rate + 1e-6) + 1) / rate + seconds[0]
    low, high = 1.0 / steps.max(), 1.0 / steps.min()
    note = f"variable frame rate, {low:.4g} to {high:.4g} frames/s: resampled to {rate:.4g}"
    if _has_holes(seconds, rate):
        note = f"frames missing in the file: {len(times) - n} of {len(times)}"
    return Clock(rate, times, constant=False, note=note)


def resample(
    xy: Float[np.ndarray, "N J 2"],
    confidence: Float[np.ndarray, "N J"],
    seconds: Float[np.ndarray, " N"],
    clock: Clock,
) -> tuple[Float[np.ndarray, "F J 2"], Float[np.ndarray, "F J"]]:
    """Keypoints at the ticks of a clock.

    Args:
        xy: Pixels; NaN where undetected.
        confidence: 0 where undetected.
        seconds: When each frame was taken.
        clock: The ticks.

    Returns:
        Keypoints between the two frames around each tick, the lower confidence of both; NaN and 0
        where one of them is undetected or they are more than 2.5 intervals apart.

    Example:
        >>> seconds = np.array([0.0, 0.1])
        >>> clock = Clock(20.0, np.array([0.0, 0.05, 0.1]), constant=False)
        >>> xy = np.array([[[0.0, 0.0]], [[4.0, 8.0]]])
        >>> resample(xy, np.ones((2, 1)), seconds, clock)[0][1, 0].tolist()
        [2.0, 4.0]
    """
    if clock.constant:
        return xy, confidence
    after = np.clip(np.searchsorted(seconds, clock.times - 1e-9), 0, len(seconds) - 1)
    before = np.clip(after - 1, 0, None)
    span = seconds[after] - seconds[before]
    share = np.where(span > 0, (clock.times - seconds[before]) / np.where(span > 0, span, 1), 1.0)
    share = np.clip(share, 0.0, 1.0)
    exact_before, exact_after = share < 1e-6, share > 1 - 1e-6
    between = (1 - share)[:, None, None] * xy[before] + share[:, None, None] * xy[after]
    between[exact_before], between[exact_after] = xy[before[exact_before]], xy[after[exact_after]]
    sure = np.minimum(confidence[before], confidence[after])
    sure[exact_before] = confidence[before[exact_before]]
    sure[exact_after] = confidence[after[exact_after]]
    far = (span * clock.fps > LONGEST_GAP) & ~exact_before & ~exact_after
    between[far], sure[far] = np.nan, 0.0
    sure[~np.isfinite(between).all(-1)] = 0.0
    return between, sure


def _follows(seconds: Float[np.ndarray, " N"], rate: float) -> bool:
    """Whether every frame lies within a fraction of an interval of its place."""
    ticks = (seconds - seconds[0]) * rate
    return bool(np.abs(ticks - np.arange(len(seconds))).max() <= JITTER)


def _has_holes(seconds: Float[np.ndarray, " N"], rate: float) -> bool:
    """Whether frames lie on ticks of a constant rate, not all of which have one."""
    ticks = (seconds - seconds[0]) * rate
    return bool(np.abs(ticks - ticks.round()).max() <= HOLE_JITTER and np.diff(ticks).min() > 0.5)


def _tidy(rate: float) -> float:
    """The usual rate next to a measured one, if it is within 2 %."""
    usual = (10.0, 12.0, 12.5, 15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0,
             240.0)  # fmt: skip
    nearest = min(usual, key=lambda u: abs(u - rate))
    return nearest if abs(nearest - rate) <= 0.02 * rate else rate

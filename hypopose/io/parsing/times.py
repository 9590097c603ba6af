"""Time columns: a frame rate, and frames that are missing because no person was seen.

The unit is the one a column's name says, or the only one in which the steps are those of a video
(4 to 500 Hz). Steps that are multiples of one are regular; others are refused, or resampled on
request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.parsing.joint_words import plain
from hypopose.io.source import Source

RATES = (4.0, 500.0)
"""Frame rates of videos, Hz."""
JITTER = 0.3
"""Share of a frame that time stamps may be off."""
_COMMON = (24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 100, 120, 200, 240)
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_WORDS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "msec": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "usec": "us", "micros": "us", "microseconds": "us", "nanos": "ns", "nanoseconds": "ns",
    **{unit: unit for unit in _UNITS},
}  # fmt: skip
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d{1,9})?)", re.ASCII)
_NAMES = ("timestamp", "timestamps", "time_stamp", "time", "times", "video_time", "pts_time", "t")


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """Frames told from time stamps.

    Args:
        frames: Frame number of every entry, the first 0.
        fps: Frames per second.
        jitter: Largest deviation of a time stamp from its frame, in frames.
    """

    frames: Int[np.ndarray, " N"]
    fps: float
    jitter: float


def time_column(header: Sequence[str]) -> tuple[int, str | None] | None:
    """Place of a time column and its unit, if its name says one; None if there is no such column.

    Example:
        >>> time_column(["frame", "timestamp_ms", "x"]), time_column(["Time (s)"])
        ((1, 'ms'), (0, 's'))
    """
    for i, name in enumerate(header):
        word = plain(name)
        stem, _, end = word.rpartition("_")
        if word in _NAMES:
            return i, None
        if word in _WORDS and len(word) > 2:
            return i, _WORDS[word]
        if stem in _NAMES and end in _WORDS:
            return i, _WORDS[end]
    return None


def time_of(source: Source, text: str, place: str) -> float:
    """A cell of a time column in seconds: a number, ``0:00:12.5``, or date and time in ISO 8601.

    Raises:
        FormatError: If it is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        return (
            3600 * float(clock[1] or 0) + 60 * float(clock[2]) + float(clock[3].replace(",", "."))
        )
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise source.error(f"expected a time, got {text[:40]!r}", "write seconds", place) from None


def seconds(
    source: Source, times: Float[np.ndarray, " N"], unit: str | None
) -> Float[np.ndarray, " N"]:
    """Times in seconds.

    Args:
        source: The file, for messages.
        times: As written, a value per row; rows of one frame share theirs.
        unit: What the column's name says, or None.

    Raises:
        FormatError: If a time is missing, or no unit makes the steps those of a video.
    """
    if not np.isfinite(times).all():
        raise source.error("a time is missing or not finite", "write a time in every row")
    if unit is not None:
        return times * _UNITS[unit]
    steps = np.diff(np.unique(times))
    if not len(steps):
        return times - times.min()
    step = float(np.median(steps))
    fitting = [f for f in _UNITS.values() if RATES[0] <= 1 / (step * f) <= RATES[1]]
    if len(fitting) != 1:
        raise source.error(
            f"its times step by {step:.4g}, which is not the step of a video in s, ms, us or ns",
            "call the column 'frame' if it numbers frames, or time_ms, time_s if it is a time",
        )
    return times * fitting[0]


def clock_of(times: Float[np.ndarray, " N"]) -> FrameTimes | None:
    """Frames and rate of regular time stamps; None if they are irregular.

    Args:
        times: Seconds; several rows may share one.

    Returns:
        None if a time stamp lies more than :data:`JITTER` frames from its frame.

    Example:
        >>> clock = clock_of(np.array([0.0, 0.033, 0.067, 0.2]))
        >>> clock.frames.tolist(), clock.fps
        ([0, 1, 2, 6], 30.0)
    """
    stamps, place = np.unique(times, return_inverse=True)
    if len(stamps) == 1:
        return FrameTimes(np.zeros(len(times), dtype=np.int64), float("nan"), 0.0)
    steps = np.diff(stamps)
    step = _base_step(steps)
    frames = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(steps / step)))])
    slope, start = np.polyfit(frames, stamps, 1)
    if slope <= 0 or frames[-1] > 1e8:
        return None
    jitter = float(np.abs(stamps - start - slope * frames).max() / slope)
    if jitter > JITTER:
        return None
    return FrameTimes(frames.astype(np.int64)[place.ravel()], _rate(1 / slope), jitter)


def rate_of(
    frames: Int[np.ndarray, " N"], times: Float[np.ndarray, " N"]
) -> tuple[float | None, tuple[str, ...]]:
    """The frame rate of numbered frames that have time stamps too, and a doubt if they disagree.

    Example:
        >>> rate_of(np.array([0, 1, 5]), np.array([0.0, 0.04, 0.2]))
        (25.0, ())
    """
    numbers, first = np.unique(frames, return_index=True)
    if len(numbers) < 2:
        return None, ()
    stamps = times[first]
    slope, start = np.polyfit(numbers, stamps, 1)
    if slope <= 0 or np.abs(stamps - start - slope * numbers).max() > slope:
        return None, ("its time stamps and frame numbers disagree: frame numbers were used",)
    return _rate(1 / slope), ()


def irregular(source: Source, times: Float[np.ndarray, " N"]) -> Exception:
    """The error for time stamps without a constant rate."""
    stamps = np.unique(times)
    steps = 1000 * np.diff(stamps)
    mean = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    return source.error(
        f"irregular times: steps of {steps.min():.3g} to {steps.max():.3g} ms, {mean:.3g} frames a "
        "second on average",
        f"resample them to a constant rate: resample={round(mean) or 1}",
    )


def _base_step(steps: Float[np.ndarray, " n"]) -> float:
    """The step of neighboring frames: the median of the steps that are no gaps."""
    small = float(np.quantile(steps, 0.25))
    return float(np.median(steps[steps <= 1.6 * small]))


def _rate(fps: float) -> float:
    """A frame rate, as people write it if it is close to a common one."""
    near = min(_COMMON, key=lambda common: abs(common / fps - 1))
    return float(near) if abs(near / fps - 1) < 2e-3 else float(f"{fps:.5g}")

"""Normalize unusual files: pixels, y down, a constant frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from hypopose.errors import OptionError
from hypopose.io.detections import Detections
from hypopose.io.parsing.depth import NEGATIVE_SHARE
from hypopose.io.parsing.image_fractions import BECAME_PIXELS
from hypopose.io.parsing.times import clock_of, irregular
from hypopose.io.source import Source

BRIDGE_S = 0.25
"""Longest gap, in seconds, across which resampling interpolates."""
People = Mapping[str, Int[np.ndarray, " _"]]


def in_pixels(detections: Detections, source: Source, size: tuple[int, int] | None) -> Detections:
    """Fractions of the image as pixels.

    Raises:
        OptionError: If the image size is unknown.
        FormatError: If the coordinates are no fractions.
    """
    w, h = _known(detections, size, "fractions=True")
    if any(note.startswith(BECAME_PIXELS) for note in detections.notes):
        return detections
    known = detections.xy[np.isfinite(detections.xy).all(-1)]
    if known.size and (known < 0).any(-1).mean() > NEGATIVE_SHARE:
        raise source.error(
            "many coordinates are negative, so they are not fractions from 0 to 1",
            "write pixels (OpenPose: --keypoint_scale 0)",
        )
    if known.size and np.median(np.abs(known)) > 2:
        raise source.error("its coordinates are not fractions of the image", "read them as pixels")
    note = f"{BECAME_PIXELS} of {w} x {h}"
    xy = detections.xy * np.array([w, h])
    return replace(detections, xy=xy, image_size=(w, h)).with_notes(note)


def y_down(detections: Detections, size: tuple[int, int] | None) -> Detections:
    """The same points with y counted downwards from the top of the image.

    Raises:
        OptionError: If the image size is unknown.
    """
    w, h = _known(detections, size, "y_up=True")
    xy = detections.xy.copy()
    missing = (xy == 0).all(-1)
    xy[..., 1] = np.where(missing, 0.0, h - xy[..., 1])
    turned = replace(detections, xy=xy, image_size=(w, h))
    return turned.with_notes("y was counted upwards and is now counted downwards")


def _known(detections: Detections, size: tuple[int, int] | None, option: str) -> tuple[int, int]:
    size = size or detections.image_size
    if size is None:
        raise OptionError(f"{option} needs the size of the image: image_size=(W, H).")
    return size


def on_the_clock(
    detections: Detections, source: Source, fps: float | int | None, resample: float | int | None
) -> Detections:
    """Frames by time stamps: gaps in time become missing frames, the rate comes from the stamps.

    Args:
        detections: As read; those without time stamps are returned as they are.
        source: The file, for messages.
        fps: The rate the caller gave, which is used.
        resample: The rate that irregular stamps will be brought to, or None to refuse them.

    Raises:
        FormatError: If the stamps are irregular and are not to be resampled.
    """
    times = detections.times
    if times is None or not len(times):
        stated = detections.fps
        if fps is None or stated is None or abs(fps / stated - 1) < 0.02:
            return detections
        return detections.with_doubts(
            f"the file says {stated:.4g} frames a second, but the given rate is {fps:.4g}, "
            "which was used: leave it out unless the video plays in slow motion"
        )
    clock = clock_of(times)
    if clock is None:
        if resample is None:
            raise irregular(source, times)
        return detections
    if np.isnan(clock.fps):
        return replace(detections, times=None)
    frames = clock.frames
    note = f"time stamps give {clock.fps:.4g} frames a second"
    on = replace(
        detections,
        frames=frames,
        first_frame=int(frames.min()),
        last_frame=int(frames.max()),
        fps=detections.fps or clock.fps,
        times=None,
    ).with_notes(note)
    stated = fps or detections.fps
    if stated is None or abs(stated / clock.fps - 1) < 0.02:
        return on
    return on.with_doubts(
        f"time stamps give {clock.fps:.4g} frames a second, but the given rate is "
        f"{stated:.4g}, which was used: leave it out unless the video plays in slow motion"
    )


def resampled(
    detections: Detections, people: People, fps: float | int | None, rate: float | int
) -> tuple[Detections, dict[str, Int[np.ndarray, " _"]]]:
    """Detections at a constant rate, interpolated in time between neighboring detections.

    Args:
        detections: Cleaned; with time stamps, or with a frame rate.
        people: Rows per person.
        fps: The rate of the frames, if there are no time stamps.
        rate: Frames per second wanted.

    Returns:
        Detections at whole multiples of ``1 / rate`` from the first time on, and their people.

    Raises:
        OptionError: If there are neither time stamps nor a frame rate, or the rate is impossible.
    """
    if not 0 < rate < 100_000:
        raise OptionError(f"resample is frames per second, got {rate}.")
    times = detections.times
    known = fps or detections.fps
    if times is None and known is None:
        raise OptionError("resample needs time stamps in the file, or the frame rate: fps=.")
    if times is None:
        assert known is not None
        times = detections.frames / known
    start = float(times.min())
    parts, rows = [], {}
    n = 0
    for name, some in people.items():
        part = _person(detections, some, times[some] - start, rate)
        parts.append(part)
        rows[name] = np.arange(n, n + len(part.frames))
        n += len(part.frames)
    note = f"resampled to {rate:g} frames a second"
    return _joined(detections, parts, rate).with_notes(note), rows


def _person(
    detections: Detections,
    rows: Int[np.ndarray, " n"],
    times: Float[np.ndarray, " n"],
    rate: float | int,
) -> Detections:
    """One person's detections at whole multiples of the step, within its own time."""
    frames = np.arange(np.ceil(times[0] * rate - 1e-6), np.floor(times[-1] * rate + 1e-6) + 1)
    at = frames / rate
    after = np.searchsorted(times, at - 1e-9).clip(0, len(times) - 1)
    before = np.where(times[after] > at + 1e-9, np.maximum(after - 1, 0), after)
    span = times[after] - times[before]
    near = span <= max(BRIDGE_S, 1.01 / rate)
    frames, at, after, before, span = (v[near] for v in (frames, at, after, before, span))
    share = np.where(span > 0, (at - times[before]) / np.where(span > 0, span, 1.0), 0.0)

    def between(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        picked = values[rows]
        w = share.reshape(-1, *(1,) * (picked.ndim - 1))
        exact = np.where(w > 0, picked[after], picked[before])
        return (1 - w) * picked[before] + w * exact

    xy = between(detections.xy)
    assert xy is not None
    return replace(
        detections,
        frames=frames.astype(np.int64),
        xy=xy,
        confidence=between(detections.confidence),
        covariance=between(detections.covariance),
        scores=None,
        times=None,
        ids=(detections.ids[int(rows[0])],) * len(frames),
    )


def _joined(detections: Detections, parts: list[Detections], rate: float | int) -> Detections:
    def stacked(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    frames = np.concatenate([part.frames for part in parts])
    xy = stacked("xy")
    assert xy is not None
    return replace(
        detections,
        frames=frames,
        xy=xy,
        confidence=stacked("confidence"),
        covariance=stacked("covariance"),
        scores=None,
        times=None,
        ids=tuple(i for part in parts for i in part.ids),
        first_frame=int(frames.min()),
        last_frame=int(frames.max()),
        fps=float(rate),
    )

"""Detections of frames become people: followed within scenes, at a constant rate, with notes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int

from hypopose.io import TrackingOptions, track
from hypopose.io.detections import Detections
from hypopose.types import Keypoints2D
from hypopose.video.decode import Footage
from hypopose.video.detectors import Detector
from hypopose.video.journal import Stretch
from hypopose.video.timing import Clock, constant_clock, resample

GHOST_FRAMES = 5
GHOST_SHARE = 0.1
"""A track of fewer frames than the first, and of a smaller share of its scene, is left out."""


def follow(
    stretches: Sequence[Stretch],
    footage: Footage,
    detector: Detector,
    fps: float | None = None,
    every: int = 1,
) -> dict[str, Keypoints2D]:
    """Who is who, scene by scene.

    Args:
        stretches: What was detected.
        footage: The recording; its notes are handed on.
        detector: Which skeleton, and how many people it can see.
        fps: Frames per second of the frames given; None for the timestamps.
        every: How many of the recording's frames one of these stands for.

    Returns:
        Keypoints by identity, ``"0"`` for the person seen most; none if no person was detected.
    """
    seconds = np.array([s for stretch in stretches for s in stretch.seconds])
    detections, cuts = _joined(stretches, footage, detector, len(seconds))
    if detections is None:
        return {}
    rate = None if footage.rate is None else footage.rate / every
    clock = constant_clock(seconds, rate, fps)
    tracks, ghosts = _tracks(detections, cuts, clock.fps)
    notes = [*footage.notes, *([clock.note] if clock.note else [])]
    notes += [
        f"scene cut at {seconds[c]:.2f} s: people are not followed across it" for c in cuts[:20]
    ]
    if len(cuts) > 20:
        notes.append(f"{len(cuts) - 20} more scene cuts")
    if ghosts:
        notes.append(f"{ghosts} tracks of fewer than {GHOST_FRAMES} frames were left out")
    if detector.max_people is not None:
        most = "one person" if detector.max_people == 1 else f"{detector.max_people} people"
        notes.append(f"{detector.name} sees {most} a frame at most")
    single = footage.kind == "picture"
    return {
        name: _assembled(detections, rows, seconds, clock, footage, tuple(notes), single)
        for name, rows in tracks.items()
    }


def _joined(
    stretches: Sequence[Stretch], footage: Footage, detector: Detector, n_frames: int
) -> tuple[Detections | None, list[int]]:
    """All detections under one count of frames, and the frames that begin scenes."""
    cuts: list[int] = []
    frames: list[int] = []
    first = 0
    for stretch in stretches:
        cuts += [first + c for c in stretch.cuts]
        frames += [first + f for f in stretch.frames]
        first += len(stretch.seconds)
    if not frames:
        return None, cuts
    detections = Detections(
        skeleton=detector.skeleton,
        frames=np.array(frames, dtype=np.int64),
        xy=np.stack([xy for s in stretches for xy in s.xy]).astype(np.float64),
        confidence=np.stack([c for s in stretches for c in s.confidence]).astype(np.float64),
        ids=(None,) * len(frames),
        first_frame=0,
        last_frame=n_frames - 1,
        image_size=footage.size,
    )
    return detections, cuts


def _tracks(
    detections: Detections, cuts: list[int], fps: float
) -> tuple[dict[str, Int[np.ndarray, " n"]], int]:
    """Rows of everybody, scene by scene, and how many were seen too briefly to be anybody."""
    options = TrackingOptions(max_gap=max(1, min(round(fps), 1000)))
    edges = [0, *cuts, detections.last_frame + 1]
    found: list[Int[np.ndarray, " n"]] = []
    ghosts = 0
    for begin, end in itertools.pairwise(edges):
        rows = np.flatnonzero((detections.frames >= begin) & (detections.frames < end))
        if not len(rows):
            continue
        scene = replace(
            detections,
            frames=detections.frames[rows],
            xy=detections.xy[rows],
            confidence=None if detections.confidence is None else detections.confidence[rows],
            ids=(None,) * len(rows),
        )
        for own in track(scene, options).values():
            if len(own) < GHOST_FRAMES and len(own) < GHOST_SHARE * (end - begin):
                ghosts += 1
            else:
                found.append(rows[own])
    found.sort(key=len, reverse=True)
    return {str(i): rows for i, rows in enumerate(found)}, ghosts


def _assembled(
    detections: Detections,
    rows: Int[np.ndarray, " n"],
    seconds: Float[np.ndarray, " N"],
    clock: Clock,
    footage: Footage,
    notes: tuple[str, ...],
    single: bool,
) -> Keypoints2D:
    """One person at the clock's ticks."""
    n, J = len(seconds), detections.skeleton.n_joints
    xy = np.full((n, J, 2), np.nan)
    confidence = np.zeros((n, J))
    assert detections.confidence is not None  # detectors give one
    xy[detections.frames[rows]] = detections.xy[rows]
    confidence[detections.frames[rows]] = detections.confidence[rows]
    xy, confidence = resample(xy, confidence, seconds, clock)
    missing = n - len(np.unique(detections.frames[rows]))
    if missing:
        notes = (*notes, f"detected in {n - missing} of {n} frames; the others are missing")
    return Keypoints2D(
        xy=torch.from_numpy(xy.astype(np.float32)),
        skeleton=detections.skeleton,
        confidence=torch.from_numpy(confidence.astype(np.float32)),
        camera=footage.camera,
        image_size=footage.size,
        fps=None if single else clock.fps,
        notes=notes,
    )

"""Footage to keypoints of people followed through time: decode, detect, find cuts, follow.

Frames are processed one by one and not kept; only keypoints stay, about 0.4 KB per person and
frame. The detector is reset at every cut and every ``STRETCH`` frames, so that a resumed run gives
the same keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.types import Keypoints2D
from hypopose.video.cuts import CutFinder
from hypopose.video.decode import Clip, Footage, Frame, open_footage
from hypopose.video.detectors import Detector
from hypopose.video.journal import Journal, Stretch
from hypopose.video.tracked_people import follow

STRETCH = 300
"""Frames after which the journal is written and the detector starts anew."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class DetectOptions:
    """How footage is read.

    Args:
        clip: Which frames.
        fps: Frames per second of the frames read, if timestamps are wrong.
        person: One person by identity, or None for everybody.
    """

    clip: Clip = field(default_factory=Clip)
    fps: float | None = None
    person: str | None = None


def detect_people(
    path: str | Path,
    detector: Detector,
    options: DetectOptions | None = None,
    *,
    progress: Progress | None = None,
    journal: Path | None = None,
    made_with: dict[str, Any] | None = None,
) -> dict[str, Keypoints2D]:
    """Find everybody in a video, a picture, a folder of pictures or a camera's stream.

    Args:
        path: What to read; ``camera:0`` needs ``clip.end``.
        detector: What finds keypoints in frames.
        options: Which frames, which rate, whom.
        progress: Called after every frame with the frames done and, if known, their total.
        journal: A file that keeps what was detected, so that a stopped run can go on.
        made_with: What the journal depends on.

    Returns:
        Keypoints by identity, the person seen most first; all have the same frames. ``notes`` say
        what was applied, assumed, cut and lost.

    Raises:
        FormatError: If the footage cannot be read, or shows no person.
        BackendError: If PyAV is needed and not installed.
    """
    options = options or DetectOptions()
    reader = open_footage(path, options.clip)
    book = Journal(journal, {**(made_with or {}), "detector": detector.describe()})
    try:
        stretches = book.read()
        if book.notes is None:
            n_kept = sum(len(s.seconds) for s in stretches)
            frames = islice(reader.frames(), n_kept, None)
            for stretch in _stretches(frames, detector, reader.footage, n_kept, progress):
                book.add(stretch)
                stretches.append(stretch)
            book.finish(reader.footage.notes)
        else:
            reader.footage.notes[:] = book.notes
    finally:
        reader.close()
        detector.close()
    people = follow(stretches, reader.footage, detector, options.fps, options.clip.every)
    if not people:
        n = sum(len(s.seconds) for s in stretches)
        damage = "".join(f" ({note})" for note in reader.footage.notes)
        raise FormatError(
            f"{path}: {detector.name} sees no person in any of {n} frames{damage}; the body must "
            "be in the picture and large enough. Try another --detector, or --start elsewhere."
        )
    return people


def _stretches(
    frames: Iterator[Frame],
    detector: Detector,
    footage: Footage,
    done: int,
    progress: Progress | None,
) -> Iterator[Stretch]:
    """Detections of ``STRETCH`` frames at a time."""
    cuts = CutFinder()
    while True:
        stretch = Stretch()
        detector.reset()
        for frame in islice(frames, STRETCH):
            _look(frame, detector, footage, cuts, stretch)
            done += 1
            if progress is not None:
                progress(done, footage.n_frames)
        if not stretch.seconds:
            return
        yield stretch


def _look(
    frame: Frame, detector: Detector, footage: Footage, cuts: CutFinder, stretch: Stretch
) -> None:
    """Add what is seen in one frame."""
    i = len(stretch.seconds)
    if cuts.is_cut(frame.rgb):
        stretch.cuts.append(i)
        detector.reset()
    seen = detector.detect(frame.rgb)
    scale = np.array(footage.size) / np.array(frame.rgb.shape[1::-1])
    for xy, sure in zip(seen.xy, seen.confidence, strict=True):
        stretch.add(i, xy * scale, sure)
    stretch.seconds.append(round(frame.seconds, 6))

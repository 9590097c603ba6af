"""What is in a keypoint file, for ``hypopose info``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from hypopose.io.detections import Detections
from hypopose.io.doubts import outside_doubt
from hypopose.io.format import Reading
from hypopose.io.recording import frame_range, read_recording
from hypopose.types import Camera, Skeleton


@dataclass(frozen=True)
class PersonInfo:
    """One person in a file.

    Args:
        id: What ``person=`` calls them.
        n_frames: Frames they are detected in.
        first: First of these, counted from the clip's first frame.
        last: Last of these.
        gaps: Runs of frames between first and last without a detection.
        missing: Share of keypoints that are missing in the frames they are detected in.
        clip_length: Frames of the clip they are in.
    """

    id: str
    n_frames: int
    first: int
    last: int
    gaps: int
    missing: float
    clip_length: int


@dataclass(frozen=True)
class FileInfo:
    """What a keypoint file holds.

    Args:
        path: The file or folder.
        format: Name of its format.
        skeleton: Name of its skeleton.
        n_joints: Joints of the skeleton.
        n_frames: Frames from the first to the last the file speaks of.
        first_frame: What the file calls frame 0.
        frames_without_people: Frames without a detected person.
        people: Everybody, the person seen most first.
        confidence: Smallest, median and largest confidence of detected keypoints, or None.
        image_size: Width and height in pixels, as the file says or else the caller.
        fps: Frames per second, if the file says.
        camera: ``none``, ``assumed`` or ``given``.
        notes: What was assumed or repaired on reading.
        doubts: What makes a result doubtful.
    """

    path: str
    format: str
    skeleton: str
    n_joints: int
    n_frames: int
    first_frame: int
    frames_without_people: int
    people: tuple[PersonInfo, ...]
    confidence: tuple[float, float, float] | None
    image_size: tuple[int, int] | None
    fps: float | None
    camera: str
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()

    def describe(self, most_people: int = 10) -> str:
        """The same as text, a line per fact."""
        size = "not stated" if self.image_size is None else "{} x {} px".format(*self.image_size)
        confidence = _spread(self.confidence)
        start = f", numbered from {self.first_frame}" if self.first_frame else ""
        empty = f", {self.frames_without_people} without people" * bool(self.frames_without_people)
        lines = [
            self.path,
            f"  format      {self.format}",
            f"  skeleton    {self.skeleton} ({self.n_joints} joints)",
            f"  frames      {self.n_frames}{start}{empty}",
            f"  frame rate  {'not stated' if self.fps is None else f'{self.fps:g} Hz'}",
            f"  image size  {size}",
            f"  camera      {self.camera}",
            f"  confidence  {confidence}",
            f"  people      {len(self.people)}",
        ]
        lines += [f"    {_person_line(p)}" for p in self.people[:most_people]]
        if len(self.people) > most_people:
            lines.append(f"    and {len(self.people) - most_people} more")
        lines += [f"  doubt       {doubt}" for doubt in self.doubts]
        return "\n".join([*lines, *(f"  note        {note}" for note in self.notes)])


def inspect(
    path: str | Path,
    *,
    format: str | None = None,
    skeleton: str | Skeleton | None = None,
    image_size: tuple[int, int] | None = None,
    fps: float | None = None,
    **reading: Unpack[Reading],
) -> FileInfo:
    """Find out what a keypoint file holds.

    Args:
        path: A keypoint file, or a folder of one file per frame.
        format: Name of the format; detected from the contents if None.
        skeleton: The joint set, if the format does not determine it; or a TOML file.
        image_size: Width and height in pixels, for formats that write fractions of them.
        fps: Frames per second, as it will be given for sampling.
        **reading: How an unusual file is to be read, see :func:`hypopose.io.load`.

    Returns:
        Format, skeleton, people, frames, gaps, confidence, image size, camera, notes, doubts.

    Raises:
        FormatError: If the file is not what its format says.
        OptionError: If an option names no format, skeleton or size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts are among the notes and doubts
        recording = read_recording(path, format, skeleton, fps, image_size=image_size, **reading)
    detections = recording.detections
    n_frames = detections.last_frame - detections.first_frame + 1
    with_people = len(np.unique(detections.frames)) if detections.shared_clock else n_frames
    return FileInfo(
        path=str(recording.source.path),
        format=recording.format.name,
        skeleton=detections.skeleton.name,
        n_joints=detections.skeleton.n_joints,
        n_frames=n_frames,
        first_frame=detections.first_frame,
        frames_without_people=n_frames - with_people,
        people=tuple(_person(detections, n, rows) for n, rows in recording.people.items()),
        confidence=_confidence(detections),
        image_size=detections.image_size or image_size,
        fps=detections.fps,
        camera=_camera_word(detections.camera),
        notes=detections.notes,
        doubts=(
            *detections.doubts,
            *recording.skip_note,
            *outside_doubt(detections.xy, image_size or detections.image_size),
        ),
    )


def _person(detections: Detections, name: str, rows: np.ndarray) -> PersonInfo:
    start, end = frame_range(detections, rows)
    frames = np.unique(detections.frames[rows]) - start
    return PersonInfo(
        id=name,
        n_frames=len(frames),
        first=int(frames[0]),
        last=int(frames[-1]),
        gaps=int((np.diff(frames) > 1).sum()),
        missing=1.0 - float(np.isfinite(detections.xy[rows]).all(-1).mean()),
        clip_length=end - start + 1,
    )


def _person_line(person: PersonInfo) -> str:
    gaps = f", {person.gaps} gap{'s' * (person.gaps != 1)}" if person.gaps else ""
    return (
        f"{person.id}: {person.n_frames} of {person.clip_length} frames "
        f"({person.first} to {person.last}{gaps}), {person.missing:.1%} of keypoints missing"
    )


def _confidence(detections: Detections) -> tuple[float, float, float] | None:
    if detections.confidence is None:
        return None
    known = detections.confidence[np.isfinite(detections.xy).all(-1)]
    if not known.size:
        return None
    return float(known.min()), float(np.median(known)), float(known.max())


def _spread(confidence: tuple[float, float, float] | None) -> str:
    if confidence is None:
        return "none"
    low, median, high = confidence
    return f"{low:.2f} to {high:.2f}, median {median:.2f}"


def _camera_word(camera: Camera | None) -> str:
    if camera is None:
        return "none"
    return "assumed" if camera.assumed else "given"

"""Footage as a stream of upright frames: videos, pictures, folders of pictures, cameras.

Frames come one by one, so memory does not grow with length. The container's display settings are
applied: rotation, and pixels that are not square. Times are the container's own timestamps, so a
variable frame rate is kept; :mod:`hypopose.video.timing` makes a constant one of it. Damaged frames
are counted: what can be decoded is returned, the rest is reported in ``Footage.notes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from hypopose.errors import OptionError
from hypopose.io.footage import camera_number, footage_kind
from hypopose.types import Camera


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a recording, upright, with square pixels.

    Args:
        index: Number among the frames read, from 0.
        seconds: When it was taken, as the container says; the first frame of a video may not be 0.
        rgb: Height, width, color; at most ``Clip.max_side`` pixels on the longer side.
    """

    index: int
    seconds: float
    rgb: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Clip:
    """Which frames are read, and how large.

    Args:
        start: Seconds to skip at the beginning.
        end: Seconds at which to stop, or None for the end.
        every: Read each ``every``-th frame.
        max_side: Larger pictures are reduced to this many pixels on the longer side; detectors
            look at 256 to 640 of them. Keypoints are in pixels of the full size.

    Raises:
        OptionError: If they leave nothing.
    """

    start: float = 0.0
    end: float | None = None
    every: int = 1
    max_side: int = 1280

    def __post_init__(self) -> None:
        if not self.start >= 0:
            raise OptionError(f"--start is seconds from the beginning, got {self.start}.")
        if self.end is not None and not self.end > self.start:
            raise OptionError(f"--end {self.end} is not after --start {self.start}.")
        if self.every < 1:
            raise OptionError(f"--every takes each n-th frame, n at least 1, got {self.every}.")
        if self.max_side < 64:
            raise OptionError(f"Frames need at least 64 pixels, got max_side={self.max_side}.")


@dataclass(eq=False)
class Footage:
    """What is known about a recording before and after its frames were read.

    Args:
        name: The file's name, for messages.
        kind: As :func:`hypopose.io.footage.footage_kind` says.
        size: Width and height in pixels, upright and with square pixels.
        rate: Frames per second as the container says, or None.
        seconds: Length as the container says, or None.
        n_frames: Number of frames as far as it can be foretold, or None.
        camera: From EXIF or the container's metadata, or None.
        notes: What was applied or assumed; what was damaged is added while frames are read.
    """

    name: str
    kind: str
    size: tuple[int, int]
    rate: float | None = None
    seconds: float | None = None
    n_frames: int | None = None
    camera: Camera | None = None
    notes: list[str] = field(default_factory=list)


@runtime_checkable
class Reader(Protocol):
    """An open recording."""

    footage: Footage

    def frames(self) -> Iterator[Frame]:
        """The frames of the clip, once."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


def open_footage(path: str | Path, clip: Clip | None = None) -> Reader:
    """Open a video, a picture, a folder of pictures, or ``camera:0``.

    Args:
        path: What to read.
        clip: Which frames, by default all.

    Returns:
        A reader; close it after use.

    Raises:
        FormatError: If the path is no footage, or nothing in it can be decoded.
        BackendError: If PyAV is needed and not installed.
    """
    from hypopose.video.decoding import open_camera, open_video
    from hypopose.video.pictures import open_pictures

    clip = clip or Clip()
    number = camera_number(path)
    if number is not None:
        return open_camera(number, clip)
    if footage_kind(path) in ("picture", "pictures"):
        return open_pictures(Path(path), clip)
    return open_video(Path(path), clip)


def reduced_size(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """A size with the longer side at most ``max_side``, in even numbers.

    Example:
        >>> reduced_size((3840, 2160), 1280), reduced_size((640, 481), 1280)
        ((1280, 720), (640, 481))
    """
    factor = max_side / max(size)
    if factor >= 1:
        return size
    return max(2, round(size[0] * factor / 2) * 2), max(2, round(size[1] * factor / 2) * 2)

"""Frames to a video or an animated picture, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically
from hypopose.video.extra import import_av

ENDINGS = {
    ".mp4": (("libx264", "mpeg4"), "yuv420p"),
    ".mkv": (("libx264", "mpeg4"), "yuv420p"),
    ".mov": (("libx264", "mpeg4"), "yuv420p"),
    ".webm": (("libvpx-vp9", "libvpx"), "yuv420p"),
    ".gif": (("gif",), "rgb8"),
}
"""Ending -> encoders, the first that this build of FFmpeg has, and their pixels."""


class Writer:
    """An open video; its size is that of the first frame."""

    def __init__(self, container: Any, encoders: tuple[str, ...], pixels: str, fps: float) -> None:
        self._container, self._encoders, self._pixels = container, encoders, pixels
        self._fps = Fraction(fps).limit_denominator(1001)
        self._stream: Any = None

    def write(self, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
        """Add a frame; odd rows and columns at the edge are cut off."""
        height, width = (n - n % 2 for n in rgb.shape[:2])
        if self._stream is None:
            self._stream = self._started(width, height)
        av = import_av()
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(rgb[:height, :width]), format="rgb24"
        )
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())

    def _started(self, width: int, height: int) -> Any:
        av = import_av()
        known = [name for name in self._encoders if name in av.codecs_available]
        stream = self._container.add_stream((known or list(self._encoders))[0], rate=self._fps)
        stream.width, stream.height, stream.pix_fmt = width, height, self._pixels
        if "libx264" in known[:1]:
            stream.options = {"crf": "20", "preset": "veryfast"}
        elif self._pixels == "yuv420p":
            stream.codec_context.bit_rate = 6 * width * height
        return stream


@contextmanager
def video_writer(path: Path, fps: float) -> Iterator[Writer]:
    """Open a video for writing; it appears whole or not at all.

    Args:
        path: Ends in one of :data:`ENDINGS`.
        fps: Frames per second.

    Yields:
        The writer.

    Raises:
        OptionError: If the ending is another.
        BackendError: If PyAV is not installed.
    """
    check_video_ending(path)
    encoders, pixels = ENDINGS[path.suffix.lower()]
    av = import_av()
    with write_atomically(path) as temporary, av.open(str(temporary), "w") as container:
        writer = Writer(container, encoders, pixels, fps)
        yield writer
        writer.finish()


def check_video_ending(path: Path) -> None:
    """Refuse a name that no video is written under, before work is spent on it.

    Raises:
        OptionError: If it has another ending.

    Example:
        >>> check_video_ending(Path("overlay.mp4"))
    """
    if path.suffix.lower() not in ENDINGS:
        raise OptionError(f"{path}: videos are written as {', '.join(ENDINGS)}; name one so.")

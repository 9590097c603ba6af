"""Videos and webcams through PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hypopose.errors import FormatError, OptionError
from hypopose.io.camera_files.photo import camera_from_35mm
from hypopose.io.footage import footage_kind
from hypopose.io.source import Source
from hypopose.types import Camera
from hypopose.video.damage import Damage, missing_end, promised_length
from hypopose.video.decode import Clip, Footage, Frame, reduced_size
from hypopose.video.extra import import_av
from hypopose.video.timestamps import NUMBERED, Timeline

SEEK_BEYOND = 2.0
"""Seconds of a start that are decoded and passed over rather than sought."""

MAX_SIDE = 16384
MAX_DAMAGED = 1000
"""Packets in a row that may fail before a file is given up."""

CAMERAS = {
    "linux": ("/dev/video{n}", "v4l2"),
    "darwin": ("{n}", "avfoundation"),
    "win32": ("{n}", "vfwcap"),
}
"""Where FFmpeg finds camera n, and through which input device."""


class VideoReader:
    """A video that is open: its facts, and its frames once.

    Args:
        container: PyAV's input container.
        name: For messages.
        clip: Which frames.
        live: Whether it is a camera, which has no end.

    Raises:
        FormatError: If it has no picture, or none can be decoded.
    """

    def __init__(self, container: Any, name: str, clip: Clip, *, live: bool = False) -> None:
        self._container, self._clip, self._name, self._live = container, clip, name, live
        videos = _pictures_of(container)
        if not videos:
            sound = " only sound" if container.streams.audio else " no picture"
            raise FormatError(f"{name}: there is{sound} in this file; give a video of a person.")
        self._stream = videos[0]
        self._stream.thread_type = "AUTO"
        self._is_numbered = container.format.name in NUMBERED
        self._damage = Damage()
        self._first = self._peek()
        self._turns = round((self._first.rotation % 360) / 90) % 4
        self.footage = self._describe()
        self._small = reduced_size(self._shown(), clip.max_side)

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """Frames of the clip, upright and with square pixels.

        Raises:
            FormatError: If the clip lies behind the end of the video.
        """
        clip, index, last = self._clip, 0, None
        start_time = self._start_time()
        for i, (seconds, frame) in enumerate(self._from(start_time + clip.start)):
            if self._has_other_shape(frame):
                self._damage.other_shape = (frame.width, frame.height, seconds - start_time)
                break
            last = seconds
            if clip.end is not None and seconds - start_time >= clip.end:
                break
            if i % clip.every == 0:
                yield Frame(index, seconds - start_time, self._upright(frame))
                index += 1
        if index == 0 and clip.start <= 0 and clip.end is None:
            raise FormatError(_undecodable(self._name))
        if index == 0:
            raise FormatError(
                f"{self._name}: no frame lies between {clip.start:g} s and the end"
                f"{'' if last is None else f' at {last - start_time:.2f} s'}; choose another "
                "--start."
            )
        self._tell_damage(None if last is None or self._live else last - start_time)

    def _peek(self) -> Any:
        """The first frame that can be decoded; the reader then starts again."""
        first = next(iter(self._decoded()), None)
        if first is None:
            raise FormatError(_undecodable(self._name))
        if max(first.width, first.height) > MAX_SIDE:
            raise FormatError(
                f"{self._name}: frames of {first.width} x {first.height} pixels; scale them down."
            )
        return first

    def _from(self, seconds: float) -> Iterator[tuple[float, Any]]:
        """Decoded frames from a time on, with their times."""
        if self._live:
            yield from self._timed(self._decoded())
            return
        for at, frame in self._after_rewind(seconds):
            if at >= seconds - 1e-6:
                yield at, frame

    def _after_rewind(self, seconds: float) -> Iterator[tuple[float, Any]]:
        """Frames from a key frame before a late start, else from the beginning of the file.

        Some containers seek to a key frame behind the time asked for; then and for early starts
        the file is opened again.
        """
        if seconds - self._start_time() > SEEK_BEYOND and self._sought(seconds):
            frames = self._decoded()
            first = next(frames, None)
            if first is not None and first.time is not None and first.time <= seconds:
                return self._timed(itertools.chain([first], frames))
        self._reopen()
        return self._timed(self._decoded())

    def _timed(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        """Frames with rising times."""
        self._timeline = Timeline(_rate(self._stream), self._container.format.name)
        return self._timeline.run(frames)

    def _sought(self, seconds: float) -> bool:
        """Whether the file could be sought; frames numbered from its beginning cannot."""
        av = import_av()
        if self._is_numbered:
            return False
        try:
            offset = int(seconds / self._stream.time_base)
            self._container.seek(offset, stream=self._stream, backward=True)
        except (av.FFmpegError, OSError, ValueError):
            return False
        return True

    def _reopen(self) -> None:
        self._damage = Damage(from_start=True)
        source = self._container.name
        self._container.close()
        self._container = import_av().open(source, metadata_errors="replace")
        self._stream = _pictures_of(self._container)[0]
        self._stream.thread_type = "AUTO"

    def _decoded(self) -> Iterator[Any]:
        """Every frame that can be decoded; packets that cannot are counted and passed over."""
        av = import_av()
        in_a_row = 0
        packets = self._container.demux(self._stream)
        while in_a_row < MAX_DAMAGED:
            try:
                packet = next(packets)
                frames = packet.decode()
                in_a_row = 0
            except StopIteration:
                return
            except av.EOFError:
                return
            except (av.FFmpegError, ValueError):
                self._damage.packets += 1
                in_a_row += 1
                continue
            for frame in frames:
                self._damage.count(frame)
                yield frame

    def _upright(self, frame: Any) -> UInt8[np.ndarray, "height width 3"]:
        width, height = self._small if self._turns % 2 == 0 else self._small[::-1]
        rgb = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, self._turns))

    def _shown(self) -> tuple[int, int]:
        """Width and height as a player shows them."""
        first, ratio = self._first, self._stream.sample_aspect_ratio
        width = round(first.width * float(ratio)) if ratio else first.width
        return (width, first.height) if self._turns % 2 == 0 else (first.height, width)

    def _has_other_shape(self, frame: Any) -> bool:
        """Whether the picture is wider or narrower for its height than the first, by 2 %."""
        first = self._first
        return abs(frame.width * first.height / (frame.height * first.width) - 1) > 0.02

    def _start_time(self) -> float:
        time = self._first.time
        return 0.0 if self._is_numbered or time is None else float(time)

    def _describe(self) -> Footage:
        rate, size = _rate(self._stream), self._shown()
        seconds = promised_length(self._container, self._stream)
        notes = []
        if self._turns:
            notes.append(f"turned by {90 * self._turns} degrees, as the container says")
        if self._stream.sample_aspect_ratio not in (None, 0, 1):
            notes.append(
                f"pixel aspect ratio {float(self._stream.sample_aspect_ratio):.4g}: stretched to "
                f"{size[0]} x {size[1]}"
            )
        if (n := len(_pictures_of(self._container))) > 1:
            notes.append(f"the first of {n} video streams was taken")
        n_frames = self._stream.frames or None
        if n_frames is None and rate and seconds:
            n_frames = round(rate * seconds) or None
        camera, said = camera_of({**self._container.metadata, **self._stream.metadata}, size)
        return Footage(
            name=self._name,
            kind="camera" if self._live else "video",
            size=size,
            rate=rate,
            seconds=seconds,
            n_frames=n_frames,
            camera=camera,
            notes=notes + said,
        )

    def _tell_damage(self, last: float | None) -> None:
        notes, promised = self.footage.notes, self.footage.seconds
        notes += self._damage.notes((self._first.width, self._first.height))
        notes += self._timeline.notes(self._start_time())
        whole = self._clip.end is None or promised is None or self._clip.end >= promised
        if whole and last is not None and self._damage.other_shape is None:
            notes += missing_end(
                self._container, self._stream, self._damage, last, _rate(self._stream)
            )


def open_video(path: Path, clip: Clip) -> VideoReader:
    """Open a video file.

    Args:
        path: The file.
        clip: Which frames.

    Raises:
        FormatError: If it is no video, or not one frame can be decoded.
        BackendError: If PyAV is not installed.
    """
    source = Source(path)  # raises if the file is missing
    if source.is_folder:
        raise source.error("is a folder without pictures", "give a video or a folder of pictures")
    if path.stat().st_size == 0:
        raise source.error("is an empty file", "copy the video again")
    av = import_av()
    if footage_kind(path) is None:
        raise source.error(f"is {source.contents}, not a video", "give a video or pictures")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise source.error(
            f"cannot be opened as a video ({reason[:80]})",
            "it may be cut off or damaged: copy it again, or convert it with ffmpeg",
        ) from None
    try:
        return VideoReader(container, str(path), clip)
    except BaseException:
        container.close()
        raise


def open_camera(number: int, clip: Clip) -> VideoReader:
    """Open a webcam.

    Raises:
        OptionError: If there is no such camera.
        BackendError: If PyAV is not installed.
    """
    av = import_av()
    place, device = CAMERAS.get(sys.platform, CAMERAS["linux"])
    try:
        container = av.open(place.format(n=number), format=device)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(
            f"camera:{number} cannot be opened ({reason[:80]}); check that it is plugged in and "
            "that no other program uses it, or give a video."
        ) from None
    return VideoReader(container, f"camera:{number}", clip, live=True)


def camera_of(metadata: dict[str, str], size: tuple[int, int]) -> tuple[Camera | None, list[str]]:
    """The camera that a container's metadata speak of, and a note.

    Phones write the 35 mm equivalent of the lens; stabilization crops the picture by an unknown
    amount, so the camera is marked as assumed.

    Args:
        metadata: Keys and values of the container and the stream.
        size: Width and height in pixels.

    Example:
        >>> key = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
        >>> camera, notes = camera_of({key: "26"}, (1920, 1080))
        >>> round(camera.focal[0].item())
        1387
    """
    from dataclasses import replace

    for key, value in metadata.items():
        if "focal" not in key.lower() or "35mm" not in key.lower():
            continue
        try:
            focal = float(value)
        except ValueError:
            continue
        if 5 <= focal <= 2000:
            note = (
                f"focal length from the file: {focal:g} mm on 35 mm film; stabilization may have "
                "cropped the picture"
            )
            return replace(camera_from_35mm(size, focal), assumed=True), [note]
    return None, []


def _undecodable(name: str) -> str:
    return (
        f"{name}: not one frame of this video can be decoded; it may be cut off or damaged, copy "
        "it again or convert it with ffmpeg."
    )


def _pictures_of(container: Any) -> list[Any]:
    """Its video streams but the cover picture of a music file."""
    cover = import_av().stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def _rate(stream: Any) -> float | None:
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate and 0 < float(rate) < 10000 else None

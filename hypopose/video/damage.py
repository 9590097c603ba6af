"""Unreadable parts of a video, counted while it is decoded, and notes about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

EXACT = ("avi", "matroska", "mov")
"""Containers whose header states the length to the frame."""

LATE = 2.5
"""Frame intervals that may lack at the end of such a file."""

FEW = 2
"""Damaged frames, the last of them at the end, that point to a missing end."""


@dataclass(eq=False)
class Damage:
    """Counts of one run through a file.

    Args:
        from_start: Whether the run began with the first frame.
    """

    from_start: bool = False
    frames: int = 0
    packets: int = 0
    """Packets that are damaged or could not be decoded."""
    corrupt: int = 0
    """Frames that the decoder mended."""
    last_corrupt: bool = False
    interlaced: int = 0
    other_shape: tuple[int, int, float] | None = None
    """Width, height and seconds of the first frame of another shape."""

    def count(self, frame: Any) -> None:
        """A frame was decoded."""
        self.frames += 1
        self.last_corrupt = bool(frame.is_corrupt)
        self.corrupt += self.last_corrupt
        self.interlaced += bool(frame.interlaced_frame)

    def notes(self, shape: tuple[int, int]) -> list[str]:
        """What was found, in words.

        Args:
            shape: Width and height of the first frame.
        """
        said = []
        if self.packets:
            said.append(f"damaged packets could not be decoded: {self.packets}")
        if self.corrupt:
            said.append(f"frames damaged in parts: {self.corrupt}")
        if self.interlaced:
            said.append(
                "interlaced: each frame shows two times, which blurs motion; ffmpeg -vf bwdif "
                "takes them apart"
            )
        if self.other_shape is not None:
            width, height, seconds = self.other_shape
            said.append(
                f"frames change shape at {seconds:.2f} s, from {shape[0]} x {shape[1]} to "
                f"{width} x {height}: read to there; give the rest as a file of its own"
            )
        return said


def promised_length(container: Any, stream: Any) -> float | None:
    """Seconds of pictures that the header of a file states; None where it states none.

    The length of the whole file counts where that of the pictures is unknown.
    """
    if container.format.name == "avi":  # FFmpeg shortens its duration to what the file can hold
        rate = stream.average_rate
        return float(stream.frames / rate) if rate and stream.frames else None
    lengths = [own for own in (_stream_length(stream), _whole_length(container)) if own]
    return min(lengths, default=None)


def missing_end(
    container: Any, stream: Any, damage: Damage, last: float, rate: float | None
) -> list[str]:
    """A note if a file ends before its header says.

    Args:
        container: PyAV's.
        stream: Its pictures.
        damage: What was counted.
        last: Seconds of the last frame, the first being 0.
        rate: Frames per second.
    """
    promised = promised_length(container, stream)
    step = 1.0 / (rate or 25.0)
    short = promised is not None and promised - last - step > _tolerance(
        container, damage, last, step, promised
    )
    if stream.frames and damage.from_start and damage.frames >= stream.frames - LATE:
        short = False  # the last frame is shown for long
    if not short:
        alone = damage.last_corrupt and damage.corrupt <= FEW
        return ["the last frame is damaged: the file may be cut off"] if alone else []
    if container.streams.audio and not _stream_length(stream):
        return [f"the pictures end at {last:.2f} s, the file with its sound at {promised:.2f} s"]
    return [f"the file ends at {last:.2f} s of the {promised:.2f} s it promises: it is cut off"]


def _tolerance(container: Any, damage: Damage, last: float, step: float, promised: float) -> float:
    """Seconds that may lack: little where the header is exact and the rate constant."""
    exact = container.format.name.split(",")[0] in EXACT
    constant = damage.from_start and abs(damage.frames * step - last - step) <= 0.02 * last + step
    return LATE * step if exact and constant else 0.1 * promised + 1.0


def _stream_length(stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return None if tag is None else 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])


def _whole_length(container: Any) -> float | None:
    return container.duration / 1e6 if container.duration else None

"""Seconds of decoded frames, where containers give them in part, wrongly, or start them again.

Program streams (``.mpg``, ``.vob``) carry a time for the frames that begin a packet only, and
FFmpeg at times gives it to the frame before; raw streams carry none. AVI carries the order of
decoding, in which dropped frames count. Files put together from several, and recorders that were
restarted, jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

JUMP_BACK = 0.4
"""Seconds back from which on a recording starts anew; less is a frame out of order."""

JUMP_AHEAD = 60.0
"""Seconds without a frame from which on a recording starts anew; less is a pause."""

NUMBERED = ("avi",)
"""Formats in which frames have a place in the order of decoding, and no time."""

COUNTED = ("mpeg",)
"""Formats in which frames follow each other, unless their times differ by ``JUMP_BACK``."""


class Timeline:
    """The times of one run through a file.

    Args:
        rate: Frames per second as the container says, or None.
        container: FFmpeg's name of the format.
    """

    def __init__(self, rate: float | None, container: str) -> None:
        self._step, self._numbered = 1.0 / (rate or 25.0), container in NUMBERED
        self._counted = container in COUNTED
        self._shift = 0.0
        self._last: float | None = None
        self._first_number: int | None = None
        self.unordered = 0
        """Frames that were left out, because they came after later ones."""
        self.jumps: list[tuple[float, float]] = []
        """Where times jumped, in seconds of this timeline, and by how much."""

    def run(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        """Frames with rising times.

        Args:
            frames: Decoded frames in order.

        Yields:
            Seconds, as the container says up to the first jump, and the frame.
        """
        for frame in frames:
            at = self._time_of(frame)
            if self._last is not None and at <= self._last:
                self.unordered += 1
                continue
            self._last = at
            yield at, frame

    def notes(self, start: float) -> list[str]:
        """What was wrong with the times.

        Args:
            start: Seconds of the first frame.
        """
        said = [
            f"time stamps jump by {by:.4g} s at {at - start:.2f} s: frames are counted on"
            for at, by in self.jumps[:5]
        ]
        if len(self.jumps) > 5:
            said.append(f"time stamps jump {len(self.jumps) - 5} more times")
        if self.unordered:
            said.append(f"frames out of order, left out: {self.unordered}")
        return said

    def _time_of(self, frame: Any) -> float:
        """Of a frame: its own, else one interval after the last."""
        next_one = 0.0 if self._last is None else self._last + self._step
        own = self._number_of(frame) if self._numbered else frame.time
        if own is None:
            return next_one
        at = float(own) + self._shift
        if self._last is not None and not -JUMP_BACK < at - self._last < JUMP_AHEAD:
            self.jumps.append((next_one, at - next_one))
            self._shift += next_one - at
            return next_one
        return next_one if self._counted and self._is_near(at) else at

    def _number_of(self, frame: Any) -> float | None:
        """Seconds by the frame's place in the order of decoding."""
        if frame.dts is None:
            return None
        if self._first_number is None:
            self._first_number = frame.dts
        return float((frame.dts - self._first_number) * frame.time_base)

    def _is_near(self, at: float) -> bool:
        """Whether a time is about that of the frame after the last."""
        return self._last is not None and abs(at - self._last - self._step) < JUMP_BACK

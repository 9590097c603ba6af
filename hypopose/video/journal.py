"""What was detected so far, on disk, so that a stopped run goes on where it ended.

A text file of JSON lines next to the output: first what the run was made with, then one line a
stretch of frames, at last what was said of the whole. A line that was cut off when the run stopped
is dropped. Values are rounded
before they are used, so a run in two parts gives the same keypoints as one in a single part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

DIGITS = 2
"""Hundredths of pixels are kept, and ten-thousandths of confidence."""


@dataclass(eq=False)
class Stretch:
    """What was seen in some frames in a row.

    Args:
        seconds: When each frame was taken.
        cuts: Which of them begin a new scene, counted from the stretch's first.
        frames: Frame of each person seen, counted from the stretch's first.
        xy: Pixels of each person seen, (N, J, 2); NaN where undetected.
        confidence: (N, J).
    """

    seconds: list[float] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    xy: list[Float[np.ndarray, "J 2"]] = field(default_factory=list)
    confidence: list[Float[np.ndarray, " J"]] = field(default_factory=list)

    def add(self, frame: int, xy: Float[np.ndarray, "J 2"], sure: Float[np.ndarray, " J"]) -> None:
        """One person of one frame."""
        self.frames.append(frame)
        self.xy.append(xy.round(DIGITS).astype(np.float32))
        self.confidence.append(sure.round(4).astype(np.float32))

    def to_line(self) -> str:
        """The stretch as one line of JSON; null stands for a keypoint that was not detected."""
        people = [
            [f, [None if np.isnan(v) else round(float(v), DIGITS) for v in xy.reshape(-1)],
             [round(float(c), 4) for c in sure]]
            for f, xy, sure in zip(self.frames, self.xy, self.confidence, strict=True)
        ]  # fmt: skip
        value = {"seconds": [round(s, 6) for s in self.seconds], "cuts": self.cuts,
                 "people": people}  # fmt: skip
        return json.dumps(value, separators=(",", ":"))

    @staticmethod
    def from_line(line: str) -> Stretch:
        """Read :meth:`to_line`.

        Raises:
            ValueError: If the line is not whole.
        """
        value = json.loads(line)
        stretch = Stretch(list(value["seconds"]), list(value["cuts"]))
        for frame, xy, sure in value["people"]:
            points = np.array([np.nan if v is None else v for v in xy], dtype=np.float32)
            stretch.frames.append(int(frame))
            stretch.xy.append(points.reshape(-1, 2))
            stretch.confidence.append(np.array(sure, dtype=np.float32))
        return stretch


class Journal:
    """Stretches on disk, added one by one.

    Args:
        path: The file; None keeps nothing.
        made_with: What results depend on: another run's journal is not read.
    """

    def __init__(self, path: Path | None, made_with: dict[str, Any]) -> None:
        self.path, self._made_with = path, json.dumps(made_with, sort_keys=True)
        self.notes: list[str] | None = None
        """What an earlier run said of the whole footage; None if it did not come to its end."""

    def read(self) -> list[Stretch]:
        """The stretches of an earlier run with the same input and options; none otherwise.

        A journal of another run, and what is cut off at the end, is removed.
        """
        if self.path is None or not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")
        kept: list[Stretch] = []
        if lines[0] == self._made_with:
            for line in lines[1:]:
                try:
                    kept.append(Stretch.from_line(line))
                except (ValueError, KeyError, TypeError):
                    self.notes = _notes_of(line)
                    break
        if self.notes is not None:
            return kept
        whole = [self._made_with, *(line for line in lines[1 : 1 + len(kept)])] if kept else []
        self.path.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")
        return kept

    def add(self, stretch: Stretch) -> None:
        """Put a stretch on disk."""
        if self.path is None:
            return
        new = not self.path.is_file() or self.path.stat().st_size == 0
        with self.path.open("a", encoding="utf-8") as file:
            if new:
                file.write(f"{self._made_with}\n")
            file.write(f"{stretch.to_line()}\n")

    def finish(self, notes: list[str]) -> None:
        """All frames were seen; another run with the same options need not open the footage."""
        if self.path is not None and self.path.is_file():
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps({'notes': notes})}\n")


def _notes_of(line: str) -> list[str] | None:
    """What a closing line says; None if it is none, or not whole."""
    try:
        notes = json.loads(line)["notes"]
    except (ValueError, KeyError, TypeError):
        return None
    return [str(note) for note in notes]

"""Inspect and correct identities: split, merge, keep.

Tracking fails where people cross behind each other or leave for long. Suspicious places are listed:
jumps within a person, and people who end where another begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from hypopose.errors import OptionError
from hypopose.io.detections import Detections
from hypopose.io.people.tracking import diagonal, person_weight, row_weight
from hypopose.io.recording import ReadRecording, frame_range

JUMP = 0.5
"""Mean keypoint distance between two detections, in body sizes, that no person moves at once."""
NEAR = 1.0
"""People who end and begin within this many body sizes may be one."""

People = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Jump:
    """A person who is suddenly somewhere else: perhaps two people.

    Args:
        person: Identity.
        frame: First frame after the jump, counted from the clip's first.
        distance: In body sizes.
    """

    person: str
    frame: int
    distance: float


@dataclass(frozen=True)
class Sequel:
    """A person who begins near where another ended: perhaps the same.

    Args:
        first: Identity of the earlier one.
        second: Identity of the later one.
        gap: Frames between them.
        distance: In body sizes.
    """

    first: str
    second: str
    gap: int
    distance: float


def split(recording: ReadRecording, person: str, frame: int) -> ReadRecording:
    """Make two people of one, from a frame on.

    Args:
        recording: As read.
        person: Identity; it keeps the frames before.
        frame: First frame of the new person, counted from the clip's first frame.

    Returns:
        The recording with one person more, called ``<person>-2`` or the next free number.

    Raises:
        OptionError: If there is no such person, or one of the two would be empty.
    """
    rows = _rows(recording, person)
    start, _ = frame_range(recording.detections, rows)
    later = recording.detections.frames[rows] - start >= frame
    if later.all() or not later.any():
        raise OptionError(f"Person {person!r} has no detections on both sides of frame {frame}.")
    taken = set(recording.people)
    name = next(n for k in range(2, len(taken) + 3) if (n := f"{person}-{k}") not in taken)
    people = {**recording.people, person: rows[~later], name: rows[later]}
    return replace(recording, people=_ranked(recording, people))


def merge(recording: ReadRecording, person: str, other: str) -> ReadRecording:
    """Make one person of two; where both are seen, the better detection is kept.

    Args:
        recording: As read.
        person: Identity that stays.
        other: Identity that ends.

    Returns:
        The recording with one person less.

    Raises:
        OptionError: If there are no two such people.
    """
    if person == other:
        raise OptionError(f"Person {person!r} cannot be merged with itself; name two.")
    detections = recording.detections
    best: dict[int, int] = {}
    for row in (*_rows(recording, person).tolist(), *_rows(recording, other).tolist()):
        frame = int(detections.frames[row])
        old = best.get(frame)
        if old is None or row_weight(detections, row) > row_weight(detections, old):
            best[frame] = row
    people = {name: rows for name, rows in recording.people.items() if name != other}
    people[person] = np.array([best[frame] for frame in sorted(best)], dtype=np.int64)
    return replace(recording, people=_ranked(recording, people))


def keep(recording: ReadRecording, persons: Sequence[str]) -> ReadRecording:
    """Leave out everybody else.

    Args:
        recording: As read.
        persons: Identities to keep.

    Returns:
        The recording with these people.

    Raises:
        OptionError: If one of them is not there.
    """
    return replace(recording, people=_ranked(recording, {p: _rows(recording, p) for p in persons}))


def jumps(recording: ReadRecording) -> list[Jump]:
    """Where people move faster than people do: a place to split, the largest jump first."""
    detections = recording.detections
    found = []
    for name, rows in recording.people.items():
        start, _ = frame_range(detections, rows)
        for a, b in zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True):
            gap = int(detections.frames[b] - detections.frames[a])
            distance = _apart(detections, a, b)
            if np.isfinite(distance) and distance > JUMP * min(gap, 5):
                found.append(Jump(name, int(detections.frames[b]) - start, distance))
    return sorted(found, key=lambda jump: -jump.distance)


def sequels(recording: ReadRecording) -> list[Sequel]:
    """People who may be one: seen at different times, the second near where the first ended."""
    detections = recording.detections
    if not detections.shared_clock:
        return []
    ends = {
        name: (int(detections.frames[rows[0]]), int(detections.frames[rows[-1]]))
        for name, rows in recording.people.items()
    }
    found = []
    for first, (_, end) in ends.items():
        for second, (begin, _) in ends.items():
            if begin > end:
                rows = recording.people[first][-1], recording.people[second][0]
                distance = _apart(detections, int(rows[0]), int(rows[1]))
                if distance <= NEAR:
                    found.append(Sequel(first, second, begin - end - 1, distance))
    return sorted(found, key=lambda s: (s.gap, s.distance))


def _rows(recording: ReadRecording, person: str) -> Int[np.ndarray, " n"]:
    if person not in recording.people:
        names = ", ".join(repr(name) for name in list(recording.people)[:20])
        raise OptionError(f"No person {person!r} in {recording.source.path}; it has {names}.")
    return recording.people[person]


def _ranked(recording: ReadRecording, people: People) -> dict[str, np.ndarray]:
    """The person of whom most is seen first, as when they were followed."""
    detections = recording.detections
    ranked = sorted(people.items(), key=lambda item: person_weight(detections, item[1].tolist()))
    return dict(reversed(ranked))


def _apart(detections: Detections, a: int, b: int) -> float:
    """Mean distance of the keypoints two detections share, in body sizes."""
    one, two = detections.xy[a], detections.xy[b]
    both = np.isfinite(one).all(-1) & np.isfinite(two).all(-1)
    if not both.any():
        return float("nan")
    size = max(diagonal(one), diagonal(two), 1.0)
    return float(np.linalg.norm(one[both] - two[both], axis=-1).mean()) / size

"""Checked access to parsed JSON: what must be a list is one, what must be numbers are numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.parsing.depth import CURE
from hypopose.io.source import Source, printable
from hypopose.types import Skeleton

MAX_NUMBERS = 10_000
"""More numbers than this are no person's keypoints."""

_NUMBERS = (int, float, type(None))


def numbers(source: Source, value: Any, place: str) -> Float[np.ndarray, " n"]:
    """A flat list of numbers; null becomes NaN.

    Raises:
        FormatError: If it is no list, or holds anything else.
    """
    if isinstance(value, list) and len(value) > MAX_NUMBERS:
        raise source.error(f"{len(value)} numbers for one person", "write keypoints", place)
    if not isinstance(value, list) or not all(type(v) in _NUMBERS for v in value):
        raise source.error(
            f"expected a list of numbers, got {_kind(value)}", "write it again", place
        )
    try:
        return np.array([np.nan if v is None else float(v) for v in value], dtype=np.float64)
    except OverflowError:
        raise source.error("a number is too large", "write pixels", place) from None


def triples(source: Source, value: Any, place: str) -> Float[np.ndarray, "J 3"]:
    """x, y, confidence triples, flat or as lists of three.

    Raises:
        FormatError: If the length is no multiple of three, or zero.
    """
    if isinstance(value, list) and all(isinstance(v, list) and len(v) == 3 for v in value):
        value = [number for triple in value[:MAX_NUMBERS] for number in triple]
    flat = numbers(source, value, place)
    if len(flat) and not len(flat) % 4 and len(flat) % 3:
        raise source.error(
            f"{len(flat)} numbers are no x, y, confidence triples but perhaps x, y, z, confidence",
            CURE,
            place,
        )
    if len(flat) == 0 or len(flat) % 3:
        raise source.error(
            f"expected x, y, confidence triples, got {len(flat)} numbers",
            "the file may be cut off, write it again",
            place,
        )
    return flat.reshape(-1, 3)


def points(source: Source, value: Any, place: str) -> Float[np.ndarray, "J 2"]:
    """A list of [x, y] pairs.

    Raises:
        FormatError: If it is anything else.
    """
    if not isinstance(value, list) or not 0 < len(value) <= MAX_NUMBERS:
        raise source.error(f"expected [x, y] pairs, got {_kind(value)}", "write it again", place)
    rows = [numbers(source, pair, f"{place}, point {j}") for j, pair in enumerate(value)]
    if any(len(row) != 2 for row in rows):
        wrong = next(len(row) for row in rows if len(row) != 2)
        raise source.error(
            f"expected [x, y] pairs in pixels, got {wrong} numbers in one",
            CURE,
            place,
        )
    return np.stack(rows)


def record(source: Source, value: Any, place: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        FormatError: If it is anything else.
    """
    if not isinstance(value, dict):
        raise source.error(f"expected an object, got {_kind(value)}", "write it again", place)
    return value


def entries(source: Source, value: Any, place: str) -> list[Any]:
    """A JSON list.

    Raises:
        FormatError: If it is anything else.
    """
    if not isinstance(value, list):
        raise source.error(f"expected a list, got {_kind(value)}", "write it again", place)
    return value


def points_with_confidence(
    source: Source, value: Any, place: str, third: str, cure: str
) -> Float[np.ndarray, "J 3"]:
    """A list of points of three numbers: x, y and how sure the point is.

    Args:
        source: The file.
        value: What it holds.
        place: Where.
        third: How the file's format names the third number.
        cure: What to do about points of another length.

    Raises:
        FormatError: If it is anything else, or points have a depth.
    """
    rows = entries(source, value, place)
    points = [numbers(source, row, f"{place}, point {j}") for j, row in enumerate(rows)]
    if points and all(len(point) == 4 for point in points):
        raise source.error("four numbers per point: x, y, z, confidence", CURE, place)
    if not points or any(len(point) != 3 for point in points):
        raise source.error(f"expected points [x, y, {third}]", cure, place)
    return np.stack(points)


def names(source: Source, value: Any, place: str) -> list[str]:
    """A list of joint names.

    Raises:
        FormatError: If it is anything else.
    """
    listed = entries(source, value, place)
    if not all(isinstance(name, str) for name in listed):
        raise source.error("keypoints of a category are not names", "name them", place)
    return listed


def whole_number(source: Source, value: Any, place: str) -> int:
    """A frame number: an integer, or a float without a fraction, not negative.

    Raises:
        FormatError: If it is anything else, or beyond 2**53.
    """
    ok = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not ok or not 0 <= value < 2**53 or int(value) != value:
        raise source.error(
            f"expected a frame number from 0, got {_kind(value)}", "number the frames", place
        )
    return int(value)


def scalar(value: Any) -> float:
    """A number, or NaN for anything else; for scores that only break ties."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30:
        return float(value)
    return float("nan")


def person_id(value: Any) -> str | None:
    """A given identity as text; None for absent ones, -1 and anything odd."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or (isinstance(value, int) and not 0 <= value < 2**63):
        return None
    if isinstance(value, (int, str)):
        return printable(str(value)[:80]).strip() or None
    return None


@dataclass
class DetectionList:
    """Collects detections while a reader walks through a file."""

    source: Source
    frames: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def saw(self, frame: int) -> None:
        """Remember a frame, people in it or not."""
        self.seen.append(frame)

    def add(
        self,
        frame: int,
        values: Float[np.ndarray, "J 3"],
        place: str,
        identity: str | None = None,
        score: float = float("nan"),
    ) -> None:
        """Add one person in one frame: x, y, confidence per joint.

        Raises:
            FormatError: If the number of joints differs from the first person's.
        """
        if self.values and len(values) != len(self.values[0]):
            raise self.source.error(
                f"{len(values)} keypoints, but the first person has {len(self.values[0])}",
                "give every person the same keypoints",
                place,
            )
        self.saw(frame)
        self.frames.append(frame)
        self.values.append(values)
        self.ids.append(identity)
        self.scores.append(score)

    def require_people(self) -> None:
        """Refuse a file without a single person.

        Raises:
            FormatError: If there are no people.
        """
        if not self.values:
            n = len(set(self.seen))
            raise self.source.error(
                f"no person in any of its {n} frames", "check that the detector saw somebody"
            )

    def build(self, skeleton: Skeleton, notes: tuple[str, ...]) -> Detections:
        """The detections, in frame order."""
        order = np.argsort(np.array(self.frames), kind="stable")
        values = np.stack(self.values)[order]
        return Detections(
            skeleton=skeleton,
            frames=np.array(self.frames, dtype=np.int64)[order],
            xy=values[..., :2],
            confidence=values[..., 2],
            ids=tuple(self.ids[i] for i in order),
            scores=np.array(self.scores)[order],
            first_frame=min(self.seen),
            last_frame=max(self.seen),
            notes=notes,
        )


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "null", bool: "a boolean"}
    if isinstance(value, list):
        return f"a list of {len(value)} entries" if value else "an empty list"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a huge number" if abs(value) > 1e15 else f"{value:g}"
    return names.get(type(value), type(value).__name__)

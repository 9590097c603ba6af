"""A person's points in the layouts in which pose libraries and scripts write them as JSON.

A list of ``{"x", "y", "score", "name"}`` (or ``"position": {"x", "y"}``), a list of ``[x, y]`` or
``[x, y, score]``, one flat list, lists ``x`` and ``y``, or an object of named points. They stand
alone or under one of :data:`POINTS`, perhaps beside a list of scores and an identity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.parsing.json_values import MAX_NUMBERS, person_id

POINTS = ("keypoints", "pose_keypoints_2d", "pose_keypoints", "keypoints2D", "keypoints_2d",
          "pred_keypoints", "landmarks", "landmark", "pose_landmarks", "poseLandmarks", "joints",
          "points", "pose", "pose2d")  # fmt: skip
"""Keys under which a person's points stand."""
MIN_POINTS = 5
MAX_DEPTH = 3
_SURE = ("score", "confidence", "visibility", "visible", "likelihood", "conf", "presence",
         "c", "p")  # fmt: skip
_CALLED = ("name", "part", "label", "joint", "bodyPart", "body_part")
_BESIDE = ("keypoint_scores", "keypoints_scores", "keypoints_visible", "keypoint_confidences",
           "scores", "confidences")  # fmt: skip
_WHO = ("track_id", "trackId", "tracking_id", "person_id", "personId", "idx", "instance_id", "id")

X, Y, THIRD, Z, SURE = range(5)
"""Columns of a person's points; ``THIRD`` is what stands beside x and y without a name."""


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one frame.

    Args:
        points: Per point x, y, an unnamed third number, z and confidence; NaN where there is none.
        names: Of the points; empty if the file gives none.
        identity: The person's name; None if the file gives none.
    """

    points: Float[np.ndarray, "J 5"]
    names: tuple[str, ...] = ()
    identity: str | None = None


def person_of(value: Any, depth: int = 0) -> Person | None:
    """The person that a JSON value is; None if it is none.

    Example:
        >>> flat = [1.0, 2.0, 0.5] * 6
        >>> person = person_of({"id": 3, "keypoints": flat})
        >>> person.points.shape, person.identity
        ((6, 5), '3')
    """
    if not isinstance(value, dict):
        return _points(value)
    under = [key for key in POINTS if key in value] if depth < MAX_DEPTH else []
    found = next((p for key in under if (p := person_of(value[key], depth + 1))), None)
    if found is None:
        found = _columns(value) or _named(value)
    if found is None:
        return None
    who = next((person_id(value[key]) for key in _WHO if key in value), None)
    return replace(found, points=_scored(found.points, value), identity=who or found.identity)


def _points(value: Any) -> Person | None:
    if not isinstance(value, list) or not MIN_POINTS <= len(value) <= MAX_NUMBERS:
        return None
    first = next((item for item in value if item is not None), None)
    if isinstance(first, dict):
        return _records(value)
    return _rows(value) if isinstance(first, list) else _flat(value)


def _records(value: list[Any]) -> Person | None:
    """A list of objects with x and y."""
    rows = [_record(item) for item in value]
    if any(row is None for row in rows):
        return None
    key = next((k for k in _CALLED if isinstance(value[0], dict) and k in value[0]), None)
    names = tuple(str(item.get(key)) for item in value if isinstance(item, dict)) if key else ()
    return Person(np.array(rows), names if len(set(names)) == len(value) else ())


def _record(item: Any) -> list[float] | None:
    """A point; NaN for null, None for anything else."""
    if item is None:
        return [math.nan] * 5
    if not isinstance(item, dict):
        return None
    place = item["position"] if isinstance(item.get("position"), dict) else item
    if not {"x", "y"} <= place.keys():
        return None
    sure = next((number(item[key]) for key in _SURE if key in item), math.nan)
    return [number(place["x"]), number(place["y"]), math.nan, number(place.get("z")), sure]


def _rows(value: list[Any]) -> Person | None:
    """A list of [x, y], [x, y, score] or [x, y, z, score], null where a point is missing."""
    rows = [_row(item) for item in value]
    lengths = {len(item) for item in value if item is not None and isinstance(item, list)}
    if any(row is None for row in rows) or len(lengths) != 1:
        return None
    return Person(np.array(rows))


def _row(item: Any) -> list[float] | None:
    if item is None:
        return [math.nan] * 5
    if not isinstance(item, list) or not 2 <= len(item) <= 4 or not all(map(_is_number, item)):
        return None
    x, y, *more = map(number, item)
    if len(more) == 2:
        return [x, y, math.nan, *more]
    return [x, y, more[0] if more else math.nan, math.nan, math.nan]


def _flat(value: list[Any]) -> Person | None:
    """x, y, score, x, y, score, ... or x, y, x, y, ..."""
    if len(value) < 2 * MIN_POINTS or not all(map(_is_number, value)):
        return None
    flat = np.array([number(item) for item in value])
    width = 3 if len(flat) % 3 == 0 and (len(flat) % 2 or _may_be_scores(flat[2::3])) else 2
    if len(flat) % width:
        return None
    points = np.full((len(flat) // width, 5), np.nan)
    points[:, :width] = flat.reshape(-1, width)
    return Person(points)


def _may_be_scores(third: Float[np.ndarray, " n"]) -> bool:
    known = third[np.isfinite(third)]
    return bool(((known >= 0) & (known <= 2)).all())


def _columns(value: dict[str, Any]) -> Person | None:
    """Lists x and y, and perhaps one of confidences."""
    x, y = value.get("x"), value.get("y")
    if not (isinstance(x, list) and isinstance(y, list) and MIN_POINTS <= len(x) == len(y)):
        return None
    if len(x) > MAX_NUMBERS or not all(map(_is_number, [*x, *y])):
        return None
    points = np.full((len(x), 5), np.nan)
    points[:, X], points[:, Y] = list(map(number, x)), list(map(number, y))
    return Person(_scored(points, value, _SURE))


def _named(value: dict[str, Any]) -> Person | None:
    """An object of named points; other entries, fewer than these, are passed over."""
    if len(value) > MAX_NUMBERS:
        return None
    found = {}
    for name, item in value.items():
        row = _record(item) if isinstance(item, dict) else _row(item)
        if row is not None and item is not None:
            found[name] = row
    if len(found) < MIN_POINTS or 2 * len(found) < len(value):
        return None
    return Person(np.array(list(found.values())), tuple(found))


def _scored(
    points: Float[np.ndarray, "J 5"], value: dict[str, Any], keys: Sequence[str] = _BESIDE
) -> Float[np.ndarray, "J 5"]:
    """The points with the confidences that stand beside them, where they have none themselves."""
    lists = (value[key] for key in keys if isinstance(value.get(key), list))
    beside = next((some for some in lists if len(some) == len(points)), None)
    if beside is None or np.isfinite(points[:, [THIRD, SURE]]).any():
        return points
    if not all(map(_is_number, beside)):
        return points
    scored = points.copy()
    scored[:, SURE] = list(map(number, beside))
    return scored


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def number(value: Any) -> float:
    """A number of a size that pixels have; NaN for anything else."""
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_one and abs(value) < 1e30 else math.nan

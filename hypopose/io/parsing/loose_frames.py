"""The frames of a JSON file that a script or a pose library for the web wrote.

A frame is a list of people, an object with them under one of :data:`PEOPLE`, or one person. Frames
stand in a list, in an object by number or by name of the image, or under one of :data:`FRAMES`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypopose.io.parsing.loose_points import MAX_DEPTH, POINTS, Person, person_of

FRAMES = ("frames", "data", "results", "predictions", "poses", "instance_info", "people",
          "keypoints", "landmarks", "pose_data")  # fmt: skip
PEOPLE = ("people", "persons", "poses", "predictions", "instances", "detections", "bodies",
          "skeletons", "humans", "results", "pose_landmarks", *POINTS)  # fmt: skip
NUMBERS = ("frame", "frame_id", "frame_number", "frame_index", "frame_idx", "frame_num", "frameId",
           "frameNumber", "frameIndex", "image_id", "image", "image_name", "file_name",
           "filename")  # fmt: skip
"""Keys of a frame's number, or of its image's name."""
MAX_TEXT = 2**20


@dataclass(frozen=True, eq=False)
class LooseFrame:
    """One entry of a file.

    Args:
        people: Everybody in it.
        number: The frame's number; None if the file gives none.
        facts: What else the entry says.
    """

    people: list[Person]
    number: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def people_in(value: Any, depth: int = 0) -> list[Person] | None:
    """The people of a frame; None if the value is no frame.

    Example:
        >>> point = {"x": 1.0, "y": 2.0}
        >>> [len(people_in(v)) for v in ([], {"poses": [{"keypoints": [point] * 5}] * 2})]
        [0, 2]
    """
    value = _decoded(value)
    person = person_of(value)
    if person is not None:
        return [person]
    if isinstance(value, list):
        found = [person_of(item) for item in value if item not in ([], {}, None)]
        return None if None in found else [p for p in found if p is not None]
    return _under(value, depth) if isinstance(value, dict) and depth < MAX_DEPTH else None


def _under(value: dict[str, Any], depth: int) -> list[Person] | None:
    keys = [key for key in PEOPLE if key in value]
    some = (people_in([] if value[key] is None else value[key], depth + 1) for key in keys)
    return next((people for people in some if people is not None), None)


def frames_in(top: Any) -> Iterator[LooseFrame | None]:
    """All frames of a parsed file; None for an entry that is no frame."""
    value, facts = _listed(top)
    if isinstance(value, dict):
        for name, entry in value.items():
            yield _frame(entry, last_number(name), {})
        return
    for entry in value:
        stated = entry if isinstance(entry, dict) else {}
        number = next((last_number(stated[key]) for key in NUMBERS if key in stated), None)
        yield _frame(entry, number, {**facts, **stated})


def facts_of(top: Any) -> dict[str, Any]:
    """What a file says beside its frames."""
    return _listed(top)[1]


def bare_people(top: Any) -> bool:
    """Whether the entries are people and not frames: nothing tells which frame each is in."""
    value, _ = _listed(top)
    if not isinstance(value, list) or len(value) < 2:
        return False
    if any(isinstance(entry, dict) and set(entry) & set(NUMBERS) for entry in value):
        return False
    return all(isinstance(entry, dict) and person_of(entry) is not None for entry in value)


def last_number(value: Any) -> int | None:
    """A frame's number: a whole number, or the last digits of a name.

    Example:
        >>> [last_number(v) for v in (7, 7.0, "img_0012.jpg", "clip", 1.5)]
        [7, 7, 12, None, None]
    """
    if isinstance(value, str):
        digits = re.findall(r"\d{1,15}", value[:200].rsplit(".", 1)[0], re.ASCII)
        return int(digits[-1]) if digits else None
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if whole and 0 <= value < 2**53 and value == int(value) else None


def _listed(top: Any) -> tuple[list[Any] | dict[str, Any], dict[str, Any]]:
    """The list (or object) of frames, and what stands beside it."""
    if isinstance(top, list):
        return ([top] if person_of(top) is not None else top), {}
    if not isinstance(top, dict) or people_in(top) is not None:
        return [top], {}
    key = next((k for k in FRAMES if isinstance(top.get(k), (list, dict)) and top[k]), None)
    if key is not None:
        facts = {k: v for k, v in top.items() if not isinstance(v, list)}
        inner = top[key]
        return (inner if isinstance(inner, (list, dict)) else []), facts
    return (top if all(last_number(name) is not None for name in top) else [top]), {}


def _frame(entry: Any, number: int | None, facts: Mapping[str, Any]) -> LooseFrame | None:
    people = people_in(entry)
    return None if people is None else LooseFrame(people, number, facts)


def _decoded(value: Any) -> Any:
    """The value of a text that is JSON, as Ultralytics' ``to_json`` gives it for an image."""
    if not isinstance(value, str) or value[:1] not in ("[", "{") or len(value) > MAX_TEXT:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

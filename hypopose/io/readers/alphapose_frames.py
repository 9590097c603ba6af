"""AlphaPose's combined files: an object of images, for its ``cmu`` and ``open`` forms and PoseFlow.

``{"0.jpg": {"version": 0.1, "bodies": [{"joints": [x, y, c, ...]}]}, ...}`` (``cmu``), the same
with ``people`` and ``pose_keypoints_2d`` (``open``), or
``{"0.jpg": [{"keypoints": [...], "idx": 1}]}`` (PoseFlow). In the first two 18 points are
OpenPose's COCO-18. The list form is in :mod:`hypopose.io.readers.alphapose`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.image_ids import image_number
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {
    17: ("coco17",),
    18: ("coco18",),
    26: ("halpe26",),
    133: ("coco133",),
    136: ("halpe136",),
}
_LISTS = ("bodies", "people")
_POINTS = ("joints", "pose_keypoints_2d", "keypoints")


def sniff(source: Source) -> bool:
    """An object whose keys are images and whose values hold people."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    named = [value for key, value in source.json.items() if "." in key and _digits(key)]
    return bool(named) and len(named) == len(source.json) and any(map(_has_people, named[:100]))


def _digits(key: str) -> bool:
    return any(c.isdigit() for c in key)


def _has_people(value: Any) -> bool:
    people = _people(value)
    return bool(people) and isinstance(people[0], dict) and any(k in people[0] for k in _POINTS)


def _people(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = next((value[key] for key in _LISTS if key in value), [])
    return value if isinstance(value, list) else []


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all images."""
    found = json_values.DetectionList(source)
    for frame, place, person in _entries(source, found):
        key = next((k for k in _POINTS if k in person), None)
        if key is None:
            raise source.error("a person without keypoints", "write it again", place)
        values = json_values.triples(source, person[key], f"{place}, {key}")
        identity = json_values.person_id(person.get("idx"))
        score = json_values.scalar(person.get("scores", person.get("score")))
        found.add(frame, values, place, identity, score)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "AlphaPose")
    return found.build(skeleton, notes)


def _entries(
    source: Source, found: json_values.DetectionList
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for name, value in json_values.record(source, source.json, "top level").items():
        frame = image_number(source, name, f"image {name[:60]!r}")
        found.saw(frame)
        for k, person in enumerate(_people(value)):
            place = f"image {name[:60]!r}, person {k}"
            yield frame, place, json_values.record(source, person, place)


FORMAT = Format(
    name="alphapose-frames",
    description="AlphaPose combined JSON by image: its cmu and open forms, and PoseFlow",
    sniff=sniff,
    read=read,
)

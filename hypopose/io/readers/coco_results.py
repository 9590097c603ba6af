"""COCO results: ``[{"image_id": 7, "category_id": 1, "keypoints": [51 numbers], "score": 0.9}]``.

The format defines its order, COCO-17. The third number of a triple is the detector's score, or a
visibility flag, or unused. If the image ids number the frames of a video, people are followed; if
they are scattered, as in the COCO data set itself, every detection is a person in an image of its
own.
"""

from __future__ import annotations

from typing import Any

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.image_ids import as_video_or_images, third_numbers
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {17: ("coco17",)}


def sniff(source: Source) -> bool:
    """A list of objects with ``image_id`` (a number) and ``keypoints``, and no AlphaPose keys."""
    if not source.is_json or not isinstance(source.json, list) or not source.json:
        return False
    first = source.json[0]
    return (
        isinstance(first, dict)
        and {"image_id", "keypoints"} <= first.keys()
        and not isinstance(first["image_id"], str)
        and not {"box", "idx"} & first.keys()
    )


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all detections of people."""
    found = json_values.DetectionList(source)
    for i, value in enumerate(json_values.entries(source, source.json, "top level")):
        _add(source, value, i, found)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "COCO results")
    return as_video_or_images(third_numbers(found.build(skeleton, notes)))


def _add(source: Source, value: Any, i: int, found: json_values.DetectionList) -> None:
    place = f"entry {i}"
    entry = json_values.record(source, value, place)
    if not {"image_id", "keypoints"} <= entry.keys():
        raise source.error("no key 'image_id' or 'keypoints'", "write both", place)
    frame = json_values.whole_number(source, entry["image_id"], f"{place}, image_id")
    if entry.get("category_id", 1) != 1:
        found.saw(frame)
        return  # not a person
    values = json_values.triples(source, entry["keypoints"], f"{place}, keypoints")
    identity = json_values.person_id(entry.get("track_id"))
    found.add(frame, values, place, identity, json_values.scalar(entry.get("score")))


FORMAT = Format(
    name="coco-results",
    description="COCO results JSON (COCO-17), as COCO's evaluation and most detectors write it",
    sniff=sniff,
    read=read,
)

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
from hypopose.io.parsing.image_ids import LAYOUTS, as_video_or_images, one_image_id, third_numbers
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

MAX_LOOKED_AT = 100_000
"""Detections whose category is looked at to find out which category is people."""


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


def one_image(source: Source) -> bool:
    """Whether all detections are of one image."""
    return one_image_id(source.json)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all detections of people."""
    found = json_values.DetectionList(source)
    listed = json_values.entries(source, source.json, "top level")
    person, more = _person_category(source, listed)
    for i, value in enumerate(listed):
        _add(source, value, i, person, found)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "COCO results")
    return as_video_or_images(third_numbers(found.build(skeleton, (*notes, *more))))


def _person_category(source: Source, listed: list[Any]) -> tuple[int, tuple[str, ...]]:
    """The category of people: 1, or 0 where categories are counted from 0, as Detectron2 does."""
    there = {e.get("category_id", 1) for e in listed[:MAX_LOOKED_AT] if isinstance(e, dict)
             and isinstance(e.get("category_id", 1), (int, float))}  # fmt: skip
    if not there or 1 in there:
        return 1, ()
    if 0 in there:
        return 0, ("category 0 is taken as people: this file counts categories from 0",)
    raise source.error(
        f"no detection of category 1, a person, only of {', '.join(map(str, sorted(there)[:8]))}",
        "give people the category_id 1",
    )


def _add(source: Source, value: Any, i: int, person: int, found: json_values.DetectionList) -> None:
    place = f"entry {i}"
    entry = json_values.record(source, value, place)
    if not {"image_id", "keypoints"} <= entry.keys():
        raise source.error("no key 'image_id' or 'keypoints'", "write both", place)
    frame = json_values.whole_number(source, entry["image_id"], f"{place}, image_id")
    if entry.get("category_id", person) != person:
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
    one_image=one_image,
)

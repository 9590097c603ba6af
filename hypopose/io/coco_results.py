"""COCO results: ``[{"image_id": 7, "category_id": 1, "keypoints": [51 numbers], "score": 0.9}]``.

The format defines its order, COCO-17. The third number of a triple is the detector's score, or a
visibility flag, or unused. If the image ids number the frames of a video, people are followed; if
they are scattered, as in the COCO data set itself, every detection is a person in an image of its
own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hypopose.io import records
from hypopose.io.base import Format, ReadOptions
from hypopose.io.detections import Detections
from hypopose.io.evidence import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {17: ("coco17",)}
SPARSE = 10
"""Image ids that span more than this many times their number are no frame numbers."""


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
    found = records.DetectionList(source)
    for i, value in enumerate(records.entries(source, source.json, "top level")):
        _add(source, value, i, found)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "COCO results")
    return as_video_or_images(third_numbers(found.build(skeleton, notes)))


def _add(source: Source, value: Any, i: int, found: records.DetectionList) -> None:
    place = f"entry {i}"
    entry = records.record(source, value, place)
    if not {"image_id", "keypoints"} <= entry.keys():
        raise source.error("no key 'image_id' or 'keypoints'", "write both", place)
    frame = records.whole_number(source, entry["image_id"], f"{place}, image_id")
    if entry.get("category_id", 1) != 1:
        found.saw(frame)
        return  # not a person
    values = records.triples(source, entry["keypoints"], f"{place}, keypoints")
    identity = records.person_id(entry.get("track_id"))
    found.add(frame, values, place, identity, records.scalar(entry.get("score")))


def third_numbers(detections: Detections) -> Detections:
    """Scores stay; flags become 0 and 1; zeros everywhere mean that nothing was written."""
    values = np.nan_to_num(np.asarray(detections.confidence))
    if not values.any():
        note = "the third number of every keypoint is 0, so it is taken as unused"
        return replace(detections, confidence=None).with_notes(note)
    if values.max() == 2 and np.isin(values, (0, 1, 2)).all():
        note = "the third numbers are visibility flags (0, 1, 2): 1 and 2 count as seen, surely"
        return replace(detections, confidence=values.clip(0, 1)).with_notes(note)
    return detections


def as_video_or_images(detections: Detections) -> Detections:
    """Image ids in a row are frames; scattered ones separate images with a person per detection."""
    n_images = len(np.unique(detections.frames))
    span = detections.last_frame - detections.first_frame + 1
    if span <= max(SPARSE * n_images, 100):
        return detections
    counts: dict[int, int] = {}
    ids = []
    for frame in detections.frames.tolist():
        k = counts[frame] = counts.get(frame, -1) + 1
        ids.append(f"{frame}/{k}")
    note = (
        f"{n_images} image ids between {detections.first_frame} and {detections.last_frame} are no "
        "frame numbers: every detection is a person of its own, one frame long"
    )
    frames = np.zeros_like(detections.frames)
    images = replace(detections, frames=frames, ids=tuple(ids), first_frame=0, last_frame=0)
    return replace(images, shared_clock=False).with_notes(note)


FORMAT = Format(
    name="coco-results",
    description="COCO results JSON (COCO-17), as COCO's evaluation and most detectors write it",
    sniff=sniff,
    read=read,
)

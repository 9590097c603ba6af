"""AlphaPose: ``[{"image_id": "0.jpg", "keypoints": [x, y, c, ...], "score": 2.6, "box", "idx"}]``.

17 points are COCO-17, 26 Halpe-26, 133 COCO-WholeBody and 136 Halpe full body, as AlphaPose
documents. ``idx`` is the tracked
identity, if AlphaPose tracked. Frames are numbered by the last number in ``image_id``; a frame in
which no person was seen has no entry.
"""

from __future__ import annotations

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.image_ids import image_number, one_image_id
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {
    17: ("coco17",),
    26: ("halpe26",),
    133: ("coco133",),
    136: ("halpe136",),
}


def sniff(source: Source) -> bool:
    """A list of objects with ``image_id`` and ``keypoints``, and a named image, a box or an idx."""
    if not source.is_json or not isinstance(source.json, list) or not source.json:
        return False
    first = source.json[0]
    return (
        isinstance(first, dict)
        and {"image_id", "keypoints"} <= first.keys()
        and (isinstance(first["image_id"], str) or bool({"box", "idx"} & first.keys()))
    )


def one_image(source: Source) -> bool:
    """Whether all detections are of one image."""
    return one_image_id(source.json)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all detections."""
    found = json_values.DetectionList(source)
    for i, value in enumerate(json_values.entries(source, source.json, "top level")):
        place = f"entry {i}"
        entry = json_values.record(source, value, place)
        if not {"image_id", "keypoints"} <= entry.keys():
            raise source.error("no key 'image_id' or 'keypoints'", "write both", place)
        frame = image_number(source, entry["image_id"], f"{place}, image_id")
        values = json_values.triples(source, entry["keypoints"], f"{place}, keypoints")
        identity = json_values.person_id(entry.get("idx"))
        found.add(frame, values, place, identity, json_values.scalar(entry.get("score")))
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "AlphaPose")
    return found.build(skeleton, notes)


FORMAT = Format(
    name="alphapose",
    description="AlphaPose results JSON (COCO-17 or Halpe-26), with its identities",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

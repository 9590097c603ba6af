"""Detectron2's ``Instances`` as JSON: an object for an image, or a list of them.

``{"instances": {"pred_keypoints": [[[x, y, score]]], "scores": [...], "image_size": [h, w]}}``,
with or without the outer key, as scripts write what ``DefaultPredictor`` returns. Keypoints are
COCO's unless the model was trained on others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {17: ("coco17",), 133: ("coco133",)}
FRAME = ("frame", "frame_id", "frame_index", "image_id")
MAX_SIDE = 100_000


def sniff(source: Source) -> bool:
    """Whether the first image has ``pred_keypoints``."""
    if not source.is_json:
        return False
    value = source.json
    first = value[0] if isinstance(value, list) and value else value
    instances = _instances(first) if isinstance(first, dict) else None
    return isinstance(instances, dict) and "pred_keypoints" in instances


def one_image(source: Source) -> bool:
    """Whether the file holds one image."""
    return not isinstance(source.json, list) or len(source.json) < 2


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all images."""
    found = json_values.DetectionList(source)
    top = source.json
    images = [top] if isinstance(top, dict) else json_values.entries(source, top, "top level")
    sizes = {_read_image(source, value, i, found) for i, value in enumerate(images)}
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "Detectron2")
    size = next(iter(sizes)) if len(sizes) == 1 else None
    return replace(found.build(skeleton, notes), image_size=size)


def _read_image(
    source: Source, value: Any, i: int, found: json_values.DetectionList
) -> tuple[int, int] | None:
    """Add the people of an image, and return its width and height."""
    image = json_values.record(source, value, f"entry {i}")
    instances = json_values.record(source, _instances(image), f"entry {i}, instances")
    number = next((image[key] for key in FRAME if key in image), i)
    frame = json_values.whole_number(source, number, f"entry {i}, frame")
    found.saw(frame)
    listed = json_values.entries(
        source, instances.get("pred_keypoints", []), f"entry {i}, pred_keypoints"
    )
    scores = instances.get("scores")
    scores = scores if isinstance(scores, list) and len(scores) == len(listed) else []
    for k, points in enumerate(listed):
        place = f"frame {frame}, person {k}"
        score = json_values.scalar(scores[k]) if scores else float("nan")
        cure = "write pred_keypoints again"
        rows = json_values.points_with_confidence(source, points, place, "score", cure)
        found.add(frame, rows, place, score=score)
    return _size(image, instances)


def _instances(image: dict[str, Any]) -> Any:
    """The fields of the instances, whatever they lie in."""
    inner = image.get("instances", image)
    fields = inner.get("fields", inner.get("_fields")) if isinstance(inner, dict) else None
    return {**inner, **fields} if isinstance(fields, dict) else inner


def _size(image: dict[str, Any], instances: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height; Detectron2's ``image_size`` has the height first."""
    for part in (instances, image):
        pair = part.get("image_size", part.get("_image_size"))
        if not isinstance(pair, list):
            pair = [part.get("image_height", part.get("height")),
                    part.get("image_width", part.get("width"))]  # fmt: skip
        if len(pair) == 2 and all(type(n) is int and 0 < n < MAX_SIDE for n in pair):
            return pair[1], pair[0]
    return None


FORMAT = Format(
    name="detectron2",
    description="Detectron2 JSON: instances with pred_keypoints, of an image or of several",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

"""EasyMocap's annotations: one JSON per image, in a folder ``annots/CAMERA``.

Each file is ``{"filename": ..., "width": ..., "height": ..., "annots": [{"personID": 0, "bbox":
[...], "keypoints": [[x, y, confidence], ...]}]}``, in pixels. Files do not name their joints: 25
points are BODY_25, BODY_25B or the first 25 of Halpe-26, whichever fits the bodies. Hands and faces
are passed over. A folder of such files, numbered by the last number in their names, is a clip.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.numbered_files import numbered
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.parsing.skeleton_fit import CLEAR_RATIO, bone_length
from hypopose.io.readers.frame_files import frame_paths
from hypopose.io.source import Source
from hypopose.skeletons import get_skeleton

LAYOUTS = {
    17: ("coco17",),
    25: ("body25", "body25b"),
    26: ("halpe26",),
    133: ("coco133",),
    136: ("halpe136",),
}
MAX_SIDE = 100_000


def sniff(source: Source) -> bool:
    """An object with a list ``annots`` of people, or a folder of files with one each."""
    if source.is_folder:
        first = next(iter(frame_paths(source)), None)
        return first is not None and sniff(Source(first))
    if not source.is_json or not isinstance(source.json, dict):
        return False
    return isinstance(source.json.get("annots"), list)


def is_recording(source: Source) -> bool:
    """Whether the first, the middle and the last file of a folder are numbered annotations."""
    try:
        paths = [path for _, path in numbered(source, frame_paths(source))]
    except FormatError:
        return False
    return bool(paths) and all(
        sniff(Source(paths[i])) for i in (0, len(paths) // 2, len(paths) - 1)
    )


def read(source: Source, options: ReadOptions) -> Detections:
    """Read a folder or a file."""
    found = json_values.DetectionList(source)
    paths = numbered(source, frame_paths(source)) if source.is_folder else [(0, source.path)]
    sizes = [_read_image(Source(path), frame, found) for frame, path in paths]
    found.require_people()
    if options.skeleton is None or options.skeleton.name == "halpe26":
        found.values = _with_last_heel(found.values, told=options.skeleton is not None)
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "EasyMocap")
    size = sizes[0] if len(set(sizes)) == 1 else None
    return replace(found.build(skeleton, notes), image_size=size)


def _read_image(
    source: Source, frame: int, found: json_values.DetectionList
) -> tuple[int, int] | None:
    """Add the people of an image, and return its size."""
    top = json_values.record(source, source.json, "top level")
    if "annots" not in top:
        raise source.error("no key 'annots'", "keep only EasyMocap's files in the folder")
    found.saw(frame)
    for i, value in enumerate(json_values.entries(source, top["annots"], "annots")):
        place = f"annots, person {i}"
        person = json_values.record(source, value, place)
        points = json_values.points_with_confidence(
            source, person.get("keypoints"), f"{place}, keypoints", "confidence", "write it again"
        )
        identity = json_values.person_id(person.get("personID"))
        found.add(frame, points, f"{source.path.name}, {place}", identity)
    return _size(top)


def _with_last_heel(values: list[np.ndarray], *, told: bool) -> list[np.ndarray]:
    """25 points that are Halpe-26 without the right heel, with it missing; others as they are."""
    if len(values[0]) != 25:
        return values
    whole = [np.vstack([points, np.zeros(3)]) for points in values]
    seen = np.stack(whole)[..., :2]
    seen[(seen == 0).all(-1)] = np.nan
    others = [bone_length(seen[:, :25], get_skeleton(name)) for name in LAYOUTS[25]]
    clear = CLEAR_RATIO * bone_length(seen, get_skeleton("halpe26")) <= min(others)
    return whole if told or clear else values


def _size(top: dict[str, Any]) -> tuple[int, int] | None:
    w, h = top.get("width"), top.get("height")
    if type(w) is int and type(h) is int and 0 < w < MAX_SIDE and 0 < h < MAX_SIDE:
        return w, h
    return None


FORMAT = Format(
    name="easymocap",
    description="EasyMocap's annots: a JSON per image, or a folder of them",
    sniff=sniff,
    read=read,
    folders=is_recording,
)

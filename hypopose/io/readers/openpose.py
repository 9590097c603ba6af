"""OpenPose: one JSON file per frame, in a folder, or a single one.

Each file is ``{"people": [{"pose_keypoints_2d": [x, y, confidence, ...]}]}``; 0, 0, 0 is a missing
joint and the order of people means nothing. BODY_25 and BODY_25B both have 25 points in different
orders and the file does not say which: see :mod:`hypopose.io.parsing.skeleton_detection`. Pose2Sim
writes the points of other models in such files. Frames
are numbered by the last number in the file name, so a missing file stays a missing frame.
"""

from __future__ import annotations

from typing import Any

from hypopose.errors import FormatError
from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.depth import CURE
from hypopose.io.parsing.numbered_files import files_ending, numbered
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {
    25: ("body25", "body25b"),
    18: ("coco18",),
    135: ("body135",),
    26: ("halpe26",),
    17: ("coco17", "h36m17"),
    133: ("coco133",),
    136: ("halpe136",),
}
"""OpenPose's own, and those that Pose2Sim and rtmlib write in OpenPose's files."""


def sniff(source: Source) -> bool:
    """A folder whose first JSON file has ``people``, or such a file."""
    if not source.is_folder:
        return source.is_json and isinstance(source.json, dict) and "people" in source.json
    first = next(iter(files_ending(source, ".json")), None)
    return first is not None and sniff(Source(first))


def is_recording(source: Source) -> bool:
    """Whether all JSON files of a folder are frames of one recording, by their names and keys."""
    files = files_ending(source, ".json")
    try:
        numbered(source, files)
    except FormatError:
        return False
    return all(_may_be_frame(Source(path)) for path in files)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read a folder or a file."""
    found = json_values.DetectionList(source)
    if source.is_folder:
        files = files_ending(source, ".json")
        if not files:
            raise source.error("no .json file in the folder", "give the folder of OpenPose's files")
        for frame, path in numbered(source, files):
            _read_file(Source(path), frame, found)
    else:
        _read_file(source, 0, found)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "OpenPose")
    return found.build(skeleton, notes)


def _read_file(source: Source, frame: int, found: json_values.DetectionList) -> None:
    top = json_values.record(source, source.json, "top level")
    if "people" not in top:
        raise source.error("no key 'people'", "keep only OpenPose's files in the folder")
    found.saw(frame)
    for i, value in enumerate(json_values.entries(source, top["people"], "people")):
        place = f"person {i}"
        person = json_values.record(source, value, place)
        key = "pose_keypoints_2d" if "pose_keypoints_2d" in person else "pose_keypoints"
        if key not in person:
            raise source.error("no key 'pose_keypoints_2d'", "write body keypoints", place)
        if person[key] == []:
            _refuse_3d(source, person, place)
            continue  # OpenPose writes an empty list for a person known by face or hands only
        values = json_values.triples(source, person[key], f"{place}, {key}")
        identity = json_values.person_id(person.get("person_id"))
        found.add(frame, values, f"{source.path.name}, {place}", identity)


def _refuse_3d(source: Source, person: dict[str, Any], place: str) -> None:
    """Refuse people who have a body in 3D alone, as OpenPose's 3D module writes them."""
    if person.get("pose_keypoints_3d"):
        raise source.error("has pose_keypoints_3d alone", CURE, place)


def _may_be_frame(source: Source) -> bool:
    """False for JSON of another kind; a damaged file may have been a frame."""
    if b'"people"' in source.start:
        return True
    try:
        return not isinstance(source.json, list) and "people" in source.json
    except FormatError:
        return True


FORMAT = Format(
    name="openpose",
    description="OpenPose JSON: a folder of frames, or one file (BODY_25, BODY_25B, COCO-18)",
    sniff=sniff,
    read=read,
    folders=is_recording,
)

"""OpenPose: one JSON file per frame, in a folder, or a single one.

Each file is ``{"people": [{"pose_keypoints_2d": [x, y, confidence, ...]}]}``; 0, 0, 0 is a missing
joint and the order of people means nothing. BODY_25 and BODY_25B both have 25 points in different
orders and the file does not say which: see :mod:`hypopose.io.evidence`. Frames are numbered by
the last number in the file name, so a missing file stays a missing frame.
"""

from __future__ import annotations

import re
from pathlib import Path

from hypopose.io import records
from hypopose.io.base import Format, ReadOptions
from hypopose.io.detections import Detections
from hypopose.io.evidence import choose_skeleton
from hypopose.io.source import Source

LAYOUTS = {25: ("body25", "body25b"), 18: ("coco18",)}


def sniff(source: Source) -> bool:
    """A folder whose first JSON file has ``people``, or such a file."""
    if not source.is_folder:
        return source.is_json and isinstance(source.json, dict) and "people" in source.json
    first = next((p for p in sorted(_json_files(source))), None)
    return first is not None and sniff(Source(first))


def read(source: Source, options: ReadOptions) -> Detections:
    """Read a folder or a file."""
    found = records.DetectionList(source)
    if source.is_folder:
        for frame, path in _numbered(source):
            _read_file(Source(path), frame, found)
    else:
        _read_file(source, 0, found)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "OpenPose")
    return found.build(skeleton, notes)


def _read_file(source: Source, frame: int, found: records.DetectionList) -> None:
    top = records.record(source, source.json, "top level")
    if "people" not in top:
        raise source.error("no key 'people'", "keep only OpenPose's files in the folder")
    found.saw(frame)
    for i, value in enumerate(records.entries(source, top["people"], "people")):
        place = f"person {i}"
        person = records.record(source, value, place)
        key = "pose_keypoints_2d" if "pose_keypoints_2d" in person else "pose_keypoints"
        if key not in person:
            raise source.error("no key 'pose_keypoints_2d'", "write body keypoints", place)
        if person[key] == []:
            continue  # OpenPose writes an empty list for a person known by face or hands only
        values = records.triples(source, person[key], f"{place}, {key}")
        identity = records.person_id(person.get("person_id"))
        found.add(frame, values, f"{source.path.name}, {place}", identity)


def _json_files(source: Source) -> list[Path]:
    try:
        return [p for p in source.path.iterdir() if p.suffix.lower() == ".json" and p.is_file()]
    except OSError:
        raise source.error("the folder cannot be read", "check its rights") from None


def _numbered(source: Source) -> list[tuple[int, Path]]:
    files = _json_files(source)
    if not files:
        raise source.error("no .json file in the folder", "give the folder of OpenPose's files")
    numbered: dict[int, Path] = {}
    prefixes: set[str] = set()
    for path in sorted(files):
        frame, prefix = _frame_number(source, path)
        prefixes.add(prefix)
        if len(prefixes) > 1:
            raise source.error(
                f"files of several recordings ({' and '.join(sorted(prefixes))})",
                "give each its own folder",
            )
        if frame in numbered:
            raise source.error(
                f"{numbered[frame].name} and {path.name} are both frame {frame}", "remove one"
            )
        numbered[frame] = path
    return sorted(numbered.items())


def _frame_number(source: Source, path: Path) -> tuple[int, str]:
    if path.is_symlink() and path.resolve().parent != source.path.resolve():
        raise source.error(f"{path.name} is a link out of the folder", "copy the file instead")
    stem = path.stem.removesuffix("_keypoints")
    digits = re.findall(r"\d+", stem, re.ASCII)
    if not digits:
        raise source.error(f"{path.name} has no frame number in its name", "number the files")
    if len(digits[-1]) > 18:
        raise source.error(f"{path.name} has too large a frame number", "number the files from 0")
    at = stem.rindex(digits[-1])
    return int(digits[-1]), stem[:at]


FORMAT = Format(
    name="openpose",
    description="OpenPose JSON: a folder of frames, or one file (BODY_25, BODY_25B, COCO-18)",
    sniff=sniff,
    read=read,
    folders=True,
)

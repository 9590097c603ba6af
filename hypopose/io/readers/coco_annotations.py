"""COCO annotations: ``{"images": [...], "annotations": [...], "categories": [...]}``.

The third number of a keypoint is its visibility: 0 not labeled, 1 labeled but hidden, 2 visible;
1 and 2 count as seen. Other values are taken as scores. The category names its joints; without
names, 17 points are COCO-17. Annotations of crowds, of other categories and without a labeled
keypoint are left out. If the images number the frames of a video (``frame_id``, or ids in a row),
people are followed or ``track_id`` is used; if not, every annotation is a person of its own,
with its own image's size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.image_ids import LAYOUTS, as_video_or_images, third_numbers
from hypopose.io.parsing.named_joints import find_joints, pick
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

MAX_IMAGES = 2_000_000
MAX_NAME = 4096
"""Characters of a file name."""


def sniff(source: Source) -> bool:
    """An object with ``annotations`` and ``images``."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    return {"annotations", "images"} <= source.json.keys()


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all people."""
    top = json_values.record(source, source.json, "top level")
    if not {"annotations", "images"} <= top.keys():
        raise source.error("no keys 'images' and 'annotations'", "give COCO's annotation file")
    frames, sizes = _images(source, top["images"])
    category, names = _category(source, top.get("categories"))
    found = json_values.DetectionList(source)
    for frame in frames.values():
        found.saw(frame)
    n_empty = 0
    for i, value in enumerate(json_values.entries(source, top["annotations"], "annotations")):
        n_empty += not _add(source, value, f"annotation {i}", (frames, category), found)
    found.require_people()
    detections = third_numbers(_in_skeleton(source, options, found, names))
    if n_empty:
        detections = detections.with_notes(
            f"{n_empty} annotations without keypoints, of crowds or other categories are left out"
        )
    return _with_sizes(as_video_or_images(detections), sizes)


def _images(source: Source, value: Any) -> tuple[dict[int, int], dict[int, tuple[int, int] | None]]:
    """Frame number of every image id, and image size of every frame."""
    frames: dict[int, int] = {}
    sizes: dict[int, tuple[int, int] | None] = {}
    listed = json_values.entries(source, value, "images")
    if len(listed) > MAX_IMAGES:
        raise source.error(f"{len(listed)} images", "split the file")
    _check_one_recording(source, listed)
    for i, item in enumerate(listed):
        image = json_values.record(source, item, f"image {i}")
        number = json_values.whole_number(source, image.get("id"), f"image {i}, id")
        frame = image.get("frame_id", number)
        frames[number] = json_values.whole_number(source, frame, f"image {i}, frame_id")
        sizes[frames[number]] = _size(image)
    return frames, sizes


def _check_one_recording(source: Source, images: list[Any]) -> None:
    """Refuse images whose names count from the start again in another folder.

    Raises:
        FormatError: If several folders have images with the same numbers.
    """
    named = [i.get("file_name") for i in images if isinstance(i, dict)]
    folders: dict[str, set[str]] = {}
    for name in named:
        if isinstance(name, str) and len(name) < MAX_NAME:
            folder, _, file = name.replace("\\", "/").rpartition("/")
            folders.setdefault(folder, set()).add(file)
    several = [files for files in folders.values() if len(files) > 1]
    if len(several) < 2 or not several[0] & several[1]:
        return
    shown = ", ".join(list(folders)[:3])
    raise source.error(
        f"images of {len(folders)} recordings ({shown})", "write a file for each of them"
    )


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    w, h = image.get("width"), image.get("height")
    good = type(w) is int and type(h) is int and 0 < w < 100_000 and 0 < h < 100_000
    return (w, h) if good else None  # type: ignore[return-value]  # both are int if good


def _category(source: Source, value: Any) -> tuple[int, list[str] | None]:
    """The category of people and its joint names."""
    listed = value if isinstance(value, list) else []
    named = [c for c in listed if isinstance(c, dict) and isinstance(c.get("keypoints"), list)]
    people = [c for c in named if c.get("name") == "person"] or named
    if not people:
        return 1, None
    names = json_values.names(source, people[0]["keypoints"], "categories")
    return json_values.whole_number(source, people[0].get("id", 1), "categories, id"), names


def _add(
    source: Source,
    value: Any,
    place: str,
    known: tuple[dict[int, int], int],
    found: json_values.DetectionList,
) -> bool:
    frames, category = known
    entry = json_values.record(source, value, place)
    wanted = entry.get("category_id", category) == category and not entry.get("iscrowd")
    if not wanted or "keypoints" not in entry or entry.get("num_keypoints") == 0:
        return False
    image = json_values.whole_number(source, entry.get("image_id"), f"{place}, image_id")
    if image not in frames:
        raise source.error(f"image_id {image} is not among the images", "list it", place)
    values = json_values.triples(source, entry["keypoints"], f"{place}, keypoints")
    if not values.any():
        return False
    identity = json_values.person_id(entry.get("track_id"))
    found.add(frames[image], values, place, identity, json_values.scalar(entry.get("score")))
    return True


def _in_skeleton(
    source: Source, options: ReadOptions, found: json_values.DetectionList, names: list[str] | None
) -> Detections:
    if not names:
        skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "COCO")
        return found.build(skeleton, notes)
    if len(names) != len(found.values[0]):
        raise source.error(
            f"{len(found.values[0])} keypoints, but the category names {len(names)}",
            "write as many",
        )
    skeleton, order, notes = find_joints(source, options, names)
    found.values = [pick(v.T, order).T for v in found.values]
    return found.build(skeleton, notes)


def _with_sizes(detections: Detections, sizes: dict[int, tuple[int, int] | None]) -> Detections:
    """One size for the file if all images share it, else one per separate image."""
    different = set(sizes.values())
    if len(different) == 1:
        return replace(detections, image_size=different.pop())
    if detections.shared_clock:
        return detections.with_notes("its images differ in size, so no size is taken from it")
    own = {i: sizes.get(int(i.split("/")[0])) for i in detections.ids if i is not None}
    return replace(detections, image_sizes={i: size for i, size in own.items() if size is not None})


FORMAT = Format(
    name="coco-annotations",
    description="COCO annotations JSON: images, annotations, categories; visibility flags",
    sniff=sniff,
    read=read,
)

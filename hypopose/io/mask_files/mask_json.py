"""COCO's JSON: results, annotations, or a plain list of masks, one a frame.

Masks are run lengths (:mod:`hypopose.io.mask_files.run_lengths`). Categories that are not people,
and crowds, hide what is behind them: their pixels are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from hypopose.io.mask_files.masks import FrameMasks, Masks
from hypopose.io.mask_files.run_lengths import decode_mask, size_of
from hypopose.io.parsing import json_values
from hypopose.io.parsing.image_ids import image_number
from hypopose.io.source import Source

MAX_MASKS = 2_000_000


class _Entry(NamedTuple):
    mask: Any
    place: str
    person: bool


def read_json(source: Source) -> Masks:
    """Masks of a JSON file; each is decoded when its frame is asked for.

    Args:
        source: The file.

    Raises:
        FormatError: If it holds no masks, or masks of several sizes.
    """
    frames: dict[int, list[_Entry]] = {}
    sizes: dict[tuple[int, int], str] = {}
    listed = _entries(source, source.json)
    for n, (number, entry) in enumerate(listed):
        if n >= MAX_MASKS:
            raise source.error(f"more than {MAX_MASKS} masks", "split the file")
        row = frames.setdefault(number, [])
        if entry is not None:
            row.append(entry)
            sizes.setdefault(size_of(source, entry.mask, entry.place), entry.place)
    if len(sizes) != 1:
        found = " and ".join(f"{w} x {h}" for h, w in list(sizes)[:2])
        problem = f"masks of {found} pixels" if sizes else "no masks"
        raise source.error(problem, "give masks of one size, as run lengths")
    ((h, w),) = sizes

    def read(number: int) -> FrameMasks:
        decoded = [(e, decode_mask(source, e.mask, e.place)) for e in frames[number]]
        hidden = [mask for entry, mask in decoded if not entry.person]
        people = tuple(mask for entry, mask in decoded if entry.person)
        return FrameMasks(people, np.logical_or.reduce(hidden) if hidden else None)

    return Masks(source.path.name, (w, h), tuple(sorted(frames)), read)


def _entries(source: Source, top: Any) -> Iterable[tuple[int, _Entry | None]]:
    """Frame number and mask of every entry; None for frames without one."""
    if isinstance(top, dict) and "annotations" in top:
        return _annotations(source, top)
    listed = json_values.entries(source, top, "top level")
    if any(isinstance(e, dict) and "segmentation" in e for e in listed[:100]):
        return _results(source, listed)
    return _plain(source, listed)


def _plain(source: Source, listed: list[Any]) -> Iterable[tuple[int, _Entry | None]]:
    for i, value in enumerate(listed):
        place = f"entry {i}"
        yield i, None if value is None else _Entry(json_values.record(source, value, place), place,
                                                   True)  # fmt: skip


def _results(source: Source, listed: list[Any]) -> Iterable[tuple[int, _Entry | None]]:
    categories = {e.get("category_id", 1) for e in listed if isinstance(e, dict)}
    person = 1 if 1 in categories else 0
    for i, value in enumerate(listed):
        place = f"entry {i}"
        entry = json_values.record(source, value, place)
        number = image_number(source, entry.get("image_id"), f"{place}, image_id")
        yield number, _entry(source, entry, place, person)


def _annotations(source: Source, top: dict[str, Any]) -> Iterable[tuple[int, _Entry | None]]:
    frames: dict[Any, int] = {}
    for i, value in enumerate(json_values.entries(source, top.get("images", []), "images")):
        image = json_values.record(source, value, f"image {i}")
        number = json_values.whole_number(source, image.get("id"), f"image {i}, id")
        frame = image.get("frame_id", number)
        frames[number] = json_values.whole_number(source, frame, f"image {i}, frame_id")
        yield frames[number], None
    person = _person(source, top.get("categories"))
    for i, value in enumerate(json_values.entries(source, top["annotations"], "annotations")):
        place = f"annotation {i}"
        entry = json_values.record(source, value, place)
        which = json_values.whole_number(source, entry.get("image_id"), f"{place}, image_id")
        yield frames.get(which, which), _entry(source, entry, place, person)


def _person(source: Source, value: Any) -> int:
    listed = value if isinstance(value, list) else []
    named = [c for c in listed if isinstance(c, dict) and c.get("name") == "person"]
    return json_values.whole_number(source, named[0].get("id"), "categories, id") if named else 1


def _entry(source: Source, entry: dict[str, Any], place: str, person: int) -> _Entry | None:
    mask = entry.get("segmentation")
    if not mask:
        return None
    is_person = entry.get("category_id", person) == person and not entry.get("iscrowd")
    return _Entry(mask, f"{place}, segmentation", is_person)

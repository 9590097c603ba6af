"""Ultralytics' results as JSON or CSV: ``result.to_json()``, ``result.to_csv()``.

A detection is ``{"name": "person", "class": 0, "confidence": 0.9, "box": {...}, "track_id": 1,
"keypoints": {"x": [...], "y": [...], "visible": [...]}}``. A file holds the detections of one
image, or a list of such lists, one per frame; a CSV has a row per detection, its keypoints as
text, and perhaps a column ``frame``. Classes other than ``person`` are left out. Results that were
normalized are fractions of the image, whose size must be given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows, json_values
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.image_ids import LAYOUTS
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

MAX_CELL = 20_000
"""Characters of a cell of keypoints."""
_FRAME = ("frame", "frame_id", "frame_number", "frame_idx", "frame_index", "image_id")
_NEEDED = {"class", "keypoints"}


def sniff(source: Source) -> bool:
    """Detections with a class and keypoints as lists of x and y; or a CSV of them."""
    if source.is_json:
        return _first(source.json) is not None
    header = next(iter(csv_rows.first_rows(source, 1)), [])
    return set(header) >= _NEEDED and "box" in " ".join(header)


def _first(value: Any) -> dict[str, Any] | None:
    """The first detection in a list of them, or in a list of such lists."""
    listed = value if isinstance(value, list) else []
    first = next((item for item in listed if item), None)
    if isinstance(first, list):
        first = next((item for item in first if item), None)
    if not isinstance(first, dict) or not isinstance(first.get("keypoints"), dict):
        return None
    return first if {"x", "y"} <= first["keypoints"].keys() else None


def one_image(source: Source) -> bool:
    """Whether the file is the list of one image's detections."""
    return source.is_json and all(isinstance(item, dict) for item in source.json)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all detections of people."""
    found = json_values.DetectionList(source)
    listed = _listed(source) if source.is_json else _rows(source)
    others: set[str] = set()
    for frame, place, entry in listed:
        found.saw(frame)
        if entry is None:
            continue
        kind = str(entry.get("name", "person" if entry.get("class") in (0, "0") else "other"))
        if kind != "person":
            others.add(kind[:40])
            continue
        values = _keypoints(source, entry["keypoints"], place)
        identity = json_values.person_id(entry.get("track_id"))
        found.add(frame, values, place, identity, json_values.scalar(entry.get("confidence")))
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "Ultralytics")
    detections = found.build(skeleton, notes)
    if np.isnan(np.asarray(detections.confidence)).all():
        detections = replace(detections, confidence=None)
    xy, more = to_pixels(source, options, detections.xy, "Ultralytics' keypoints")
    left_out = (f"detections of {', '.join(sorted(others))} are left out",) if others else ()
    return replace(detections, xy=xy, image_size=options.image_size).with_notes(*more, *left_out)


def _listed(source: Source) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Frame, place and detection; None for a frame without any."""
    top = json_values.entries(source, source.json, "top level")
    frames = [top] if all(isinstance(item, dict) for item in top) else top
    for f, frame in enumerate(frames):
        entries = json_values.entries(source, frame, f"frame {f}")
        if not entries:
            yield f, f"frame {f}", None
        for k, value in enumerate(entries):
            place = f"frame {f}, detection {k}"
            entry = json_values.record(source, value, place)
            if "keypoints" not in entry:
                raise source.error("no key 'keypoints'", "predict with a pose model", place)
            yield json_values.whole_number(source, entry.get("frame", f), place), place, entry


def _rows(source: Source) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """The same from a CSV; rows without a frame column are of one image."""
    rows = csv_rows.rows(source)
    header = next(rows)[1]
    at = csv_rows.find_column(header, _FRAME)
    for line, row in rows:
        csv_rows.check_width(source, row, len(header), line)
        place = f"line {line}"
        entry: dict[str, Any] = dict(zip(header, row, strict=True))
        entry["keypoints"] = _parsed(source, entry["keypoints"], place)
        entry["confidence"] = csv_rows.number(source, entry.get("confidence", ""), place)
        entry["track_id"] = _whole(entry.get("track_id", ""))
        number = 0.0 if at is None else csv_rows.number(source, row[at], place)
        yield csv_rows.as_frame(source, number, place), place, entry


def _whole(text: str) -> int | None:
    return int(float(text)) if text.strip().replace(".", "", 1).isdigit() else None


def _parsed(source: Source, text: str, place: str) -> Any:
    """A dictionary that Python or JSON wrote."""
    try:
        return json.loads(text[:MAX_CELL].replace("'", '"'))
    except (ValueError, RecursionError):
        raise source.error(
            f"keypoints that cannot be read: {text[:40]!r}", "save the results as JSON", place
        ) from None


def _keypoints(source: Source, value: Any, place: str) -> Float[np.ndarray, "J 3"]:
    record = json_values.record(source, value, f"{place}, keypoints")
    if not {"x", "y"} <= record.keys():
        raise source.error("keypoints without x and y", "write both", place)
    x, y = (json_values.numbers(source, record[k], f"{place}, {k}") for k in "xy")
    seen = np.full(len(x), np.nan)
    if record.get("visible") is not None:
        seen = json_values.numbers(source, record["visible"], f"{place}, visible")
    if not len(x) == len(y) == len(seen):
        raise source.error("x, y and visible of different lengths", "write it again", place)
    seen = np.where((x == 0) & (y == 0), 0.0, seen)
    return np.column_stack([x, y, seen])


FORMAT = Format(
    name="ultralytics",
    description="Ultralytics results as JSON or CSV: one image, or a list per frame",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

"""One row per frame, columns for every joint: ``nose_x, nose_y, nose_confidence, left_eye_x, ...``.

Many scripts save what OpenPose, MoveNet, MediaPipe or YOLO find in this way. Coordinates are
pixels; the confidence may be absent. A joint stands before or after the letter (``nose_x``,
``x_nose``, ``nose.x``, ``RHip X``). Columns of frames or times number the rows, a column of people
names them, and ``fps``, ``image_width`` and ``image_height`` are read. Columns of depth are
refused: they make the joints 3D, which ``hypopose import`` reads. Rows of one frame are several
people; frames that start again further down are another recording, which is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.json_values import person_id
from hypopose.io.parsing.named_joints import MAX_VALUES, find_joints, pick
from hypopose.io.parsing.stated_facts import constant_facts, stated_columns, stated_facts
from hypopose.io.parsing.times import rate_of, seconds, time_column, time_of
from hypopose.io.readers import mediapipe_landmarks
from hypopose.io.source import Source

MIN_JOINTS = 4
MANY = 10
"""Rows that are not likely to be people of one frame."""
_FRAME = ("frame", "frame_id", "frame_number", "frame_idx", "frame_index", "fnum", "frame#",
          "", "unnamed: 0")  # fmt: skip
_PERSON = ("person", "person_id", "individual", "track", "track_id", "subject", "id")
_FIELDS = {
    "x": "x", "y": "y", "x_px": "x", "y_px": "y", "u": "x", "v": "y", "z": "z", "depth": "z",
    **dict.fromkeys(("confidence", "conf", "likelihood", "score", "visibility", "vis", "c", "p"),
                    "confidence"),
}  # fmt: skip
_FIELD = "|".join(sorted(_FIELDS, key=len, reverse=True))
_CELLS = (
    re.compile(r"(?P<joint>.+?) ?[(\[](?P<field>[xyzuv])(?: ?px)?[)\]]", re.IGNORECASE),
    re.compile(rf"(?P<joint>.+?)[_\-. ](?P<field>{_FIELD})", re.IGNORECASE),
    re.compile(r"(?P<field>[xyz])[_\-. ](?P<joint>.+)", re.IGNORECASE),
    re.compile(r"(?P<field>[xyzc])(?P<joint>\d{1,3})", re.IGNORECASE),
    re.compile(r"(?P<joint>\d{1,3})(?P<field>[xyzc])", re.IGNORECASE),
    re.compile(r"(?P<joint>[A-Za-z0-9]*[a-z0-9])(?P<field>[XYZ])"),
)


@dataclass(frozen=True)
class WideHeader:
    """Where a wide table has what.

    Args:
        joints: Columns of x, y and perhaps the confidence of each joint.
        depths: Joints that have a column of depth.
        frame: Column of the frame number, or None.
        time: Column of a time stamp and its unit, or None.
        person: Column of the person, or None.
    """

    joints: dict[str, dict[str, int]]
    depths: tuple[str, ...]
    frame: int | None
    time: tuple[int, str | None] | None
    person: int | None


@dataclass
class Rows:
    """The cells of a table that are read, row by row."""

    values: list[list[float]] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


def wide_header(cells: Sequence[str]) -> WideHeader | None:
    """Where a header has x and y of several joints; None if it has not.

    Example:
        >>> header = wide_header(["frame", *(f"{j}_{a}" for j in "abcd" for a in "xy")])
        >>> header.joints["b"], header.frame
        ({'x': 3, 'y': 4}, 0)
    """
    found: dict[str, dict[str, int]] = {}
    for column, cell in enumerate(cells):
        match = next((m for p in _CELLS if (m := p.fullmatch(cell.strip()))), None)
        if match is not None:
            axis = _FIELDS[match["field"].lower()]
            found.setdefault(match["joint"], {}).setdefault(axis, column)
    joints = {name: axes for name, axes in found.items() if {"x", "y"} <= set(axes)}
    if len(joints) < MIN_JOINTS:
        return None
    names = [cell.strip().lower() for cell in cells]
    return WideHeader(
        joints,
        tuple(name for name, axes in joints.items() if "z" in axes),
        csv_rows.find_column(names, _FRAME),
        time_column(names),
        csv_rows.find_column(names, _PERSON),
    )


def sniff(source: Source) -> bool:
    """A header with x and y of several joints, and no 3D table nor MediaPipe's 33 landmarks."""
    rows = csv_rows.first_rows(source, 1)
    header = wide_header(rows[0]) if rows else None
    if header is None or mediapipe_landmarks.sniff(source):
        return False
    return not any(re.fullmatch(r".+[_\-. ]z|z[_\-. ].+", cell.strip().lower()) for cell in rows[0])


def read(source: Source, options: ReadOptions) -> Detections:
    """Read the table."""
    cells = csv_rows.first_rows(source, 1)
    header = wide_header(cells[0]) if cells else None
    if header is None:
        raise source.error(
            f"no columns x and y of {MIN_JOINTS} joints", "name them nose_x, nose_y", "first row"
        )
    if header.depths:
        raise source.error(
            f"a column of depth for {header.depths[0]}: these are 3D joints, perhaps",
            "leave the columns of depth out if x and y are pixels of the image",
        )
    stated = stated_columns(cells[0])
    rows, constants = _rows(source, header, len(cells[0]), stated)
    facts = stated_facts(
        source, {**constants, **csv_rows.comments(source)},
        skeleton_told=options.skeleton is not None,
    )  # fmt: skip
    frames, times, rate, doubts = _clock(source, header, rows)
    _check_order(source, rows, frames)
    values = np.array(rows.values).reshape(len(rows.values), len(header.joints), 3)
    skeleton, order, notes = find_joints(source, options, list(header.joints))
    confident = any("confidence" in axes for axes in header.joints.values())
    return Detections(
        skeleton=skeleton,
        frames=frames,
        xy=np.stack([pick(values[..., 0], order), pick(values[..., 1], order)], -1),
        confidence=pick(values[..., 2], order) if confident else None,
        ids=_identities(rows, frames),
        first_frame=int(frames.min()),
        last_frame=int(frames.max()),
        image_size=facts["image_size"],
        fps=facts["fps"] or rate,
        times=times,
        notes=notes,
        doubts=doubts,
    )


def _rows(
    source: Source, header: WideHeader, width: int, stated: dict[str, int]
) -> tuple[Rows, dict[str, str]]:
    """All rows, and what columns that never change state."""
    found = Rows()
    seen: dict[str, set[str]] = {name: set() for name in stated}
    lines = csv_rows.rows(source)
    next(lines)
    for line, row in lines:
        csv_rows.check_width(source, row, width, line)
        place = f"line {line}"
        found.values.append(list(_points(source, header, row, place)))
        if header.frame is not None:
            cell = csv_rows.number(source, row[header.frame], place)
            found.frames.append(csv_rows.as_frame(source, cell, place))
        if header.time is not None:
            found.stamps.append(time_of(source, row[header.time[0]], place))
        if header.person is not None:
            found.people.append(csv_rows.from_cell(row[header.person].strip()))
        for name, column in stated.items():
            seen[name].add(row[column].strip())
        if len(found.values) * len(header.joints) > MAX_VALUES:
            raise source.error(f"more than {MAX_VALUES} keypoints", "split the recording")
    if not found.values:
        raise source.error("a header without rows", "check that the detector saw somebody")
    return found, constant_facts(seen)


def _points(source: Source, header: WideHeader, row: list[str], place: str) -> Iterable[float]:
    for axes in header.joints.values():
        for axis in ("x", "y", "confidence"):
            cell = row[axes[axis]] if axis in axes else ""
            yield csv_rows.number(source, cell, place)


def _clock(
    source: Source, header: WideHeader, rows: Rows
) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"] | None, float | None, tuple[str, ...]]:
    """Frame numbers, time stamps that number the frames, a rate, and doubts."""
    numbers = np.array(rows.frames, dtype=np.int64)
    if header.time is None:
        at = numbers if header.frame is not None else np.arange(len(rows.values))
        return at, None, None, ()
    times = seconds(source, np.array(rows.stamps), header.time[1])
    if header.frame is None:
        return np.unique(times, return_inverse=True)[1].ravel(), times, None, ()
    rate, doubts = rate_of(numbers, times)
    return numbers, None, rate, doubts


def _check_order(source: Source, rows: Rows, frames: Int[np.ndarray, " N"]) -> None:
    """Refuse a table of several recordings, and a column of frames that counts nothing.

    Raises:
        FormatError: If nameless rows repeat a frame after another one, or all are of one frame.
    """
    if rows.people or len(np.unique(frames)) == len(frames):
        return
    back = np.flatnonzero(np.diff(frames) < 0)
    if len(back):
        raise source.error(
            f"frames or times start again in row {int(back[0]) + 2}: several recordings, or people",
            "split the table, or name the people in a column 'person'",
        )
    if len(frames) >= MANY and frames.min() == frames.max():
        raise source.error(
            f"all {len(frames)} rows are of one frame", "number the frames, or leave the column out"
        )


def _identities(rows: Rows, frames: Int[np.ndarray, " N"]) -> tuple[str | None, ...]:
    """The people as named; one person where every frame has one row; else no names."""
    if rows.people:
        return tuple(person_id(name) for name in rows.people)
    alone = len(np.unique(frames)) == len(frames)
    return ("0" if alone else None,) * len(frames)


FORMAT = Format(
    name="wide",
    description="CSV, one row per frame: nose_x, nose_y, nose_confidence, ...",
    sniff=sniff,
    read=read,
)

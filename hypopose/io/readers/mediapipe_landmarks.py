"""MediaPipe pose landmarks: its text protos, and the CSV of 33 landmarks people save.

A text proto (``landmarks { landmark { x: y: z: visibility: presence: } }``) is one frame of as many
people as it has lists of 33 landmarks. A CSV has one row per frame with x, y, perhaps z and
visibility of every landmark: named (``nose_x``, ``NOSE_x``), numbered (``x0``, ``0_x``,
``landmark_0_x``, from 0 or 1), or without a header (33 times x, y, z, visibility; x, y, z; or
x, y).
Coordinates are fractions of the image, so its size must be given, unless they were saved in
pixels. z is not used: it is not a measured depth. Visibility becomes the confidence. World
landmarks (meters about the hips) and other 3D joints are refused. A row of zeros is a frame without
a person; a time column numbers the frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.depth import check_depth
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.joint_words import plain
from hypopose.io.parsing.landmark_proto import (
    N_LANDMARKS,
    is_landmark_proto,
    read_landmark_proto,
)
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.parsing.times import rate_of, seconds, time_column, time_of
from hypopose.io.source import Source
from hypopose.skeletons import MEDIAPIPE33
from hypopose.types import Skeleton

SURE = "visibility is taken as the confidence"
"""What a note says of files that have one."""
WHOSE = "MediaPipe's landmarks"
_FIELDS = {"x": "x", "y": "y", "z": "z", "v": "v", "vis": "v", "visibility": "v", "c": "v",
           "conf": "v", "confidence": "v", "p": "p", "pres": "p", "presence": "p"}  # fmt: skip
_FIELD = "|".join(sorted(_FIELDS, key=len, reverse=True))
_PATTERNS = (
    re.compile(rf"(?P<field>{_FIELD})[_\-. ]?(?P<joint>\d{{1,2}})"),
    re.compile(rf"(?:[a-z]+[_\-. ]?)?(?P<joint>\d{{1,2}})[_\-. ]?(?P<field>{_FIELD})"),
    re.compile(rf"(?P<joint>[a-z][a-z _()\-.]*?)[_\-. ](?P<field>{_FIELD})"),
)
_FRAME = ("frame", "frame_id", "frame_number", "frame_idx", "frame_index")
_BARE = {per * N_LANDMARKS + extra: (per, extra) for per in (4, 3, 2) for extra in (0, 1)}
"""Width of a row without a header: numbers per landmark, and whether a frame number is first."""
_NAMES = {name: i for i, name in enumerate(MEDIAPIPE33.joint_names)}


@dataclass(frozen=True)
class Header:
    """Where a wide CSV has what.

    Args:
        x: Column of each landmark's x.
        y: Column of each landmark's y.
        z: Column of each landmark's z, or None.
        v: Column of each landmark's visibility, or None.
        frame: Column of the frame number, or None.
        rows: Header rows to skip, 0 or 1.
        time: Column of a time stamp and its unit, if there is one.
    """

    x: Sequence[int]
    y: Sequence[int]
    z: Sequence[int] | None
    v: Sequence[int] | None
    frame: int | None
    rows: int
    time: tuple[int, str | None] | None = None


def sniff(source: Source) -> bool:
    """A text proto with landmarks, or rows with 33 of them."""
    lines = source.opening
    if is_landmark_proto(lines):
        return True
    return _header(csv_rows.first_rows(source, 2)) is not None


def one_image(source: Source) -> bool:
    """Whether the file is a text proto, or a CSV with a single row of landmarks."""
    rows = csv_rows.first_rows(source, 4)
    header = _header(rows[:2])
    return header is None or len([row for row in rows if row]) == header.rows + 1


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    header = _header(csv_rows.first_rows(source, 2))
    rate: float | None = None
    doubts: tuple[str, ...] = ()
    if header is None:
        groups = read_landmark_proto(source)
        frames = np.zeros(len(groups), dtype=np.int64)
        values = np.array(groups)
        times = None
        ids: tuple[str | None, ...] = tuple(str(i) for i in range(len(groups)))
    else:
        frames, values, times = _wide(source, header)
        if header.frame is not None and times is not None:
            (rate, doubts), times = rate_of(frames, times), None
        ids = ("0",) * len(frames)
    if options.skeleton is not None:
        check_joints(source, options.skeleton, N_LANDMARKS)
    skeleton: Skeleton = options.skeleton or MEDIAPIPE33
    if np.isfinite(values[..., 2]).any():
        check_depth(source, values[..., :3], skeleton)
    xy, notes = to_pixels(source, options, values[..., :2], WHOSE)
    unsure = np.isnan(values[..., 3]).all()
    return Detections(
        skeleton=skeleton,
        frames=frames,
        xy=xy,
        confidence=None if unsure else values[..., 3],
        ids=ids,
        first_frame=int(frames.min()),
        last_frame=int(frames.max()),
        image_size=options.image_size,
        fps=rate,
        times=times,
        notes=notes if unsure else (*notes, SURE),
        doubts=doubts,
    )


def _header(rows: list[list[str]]) -> Header | None:
    if not rows:
        return None
    names = [name.strip().lower() for name in rows[0]]
    return _named_header(names) or _bare_header(rows)


def _named_header(names: list[str]) -> Header | None:
    found: dict[tuple[str, int], int] = {}
    for column, name in enumerate(names):
        key = _cell(name)
        if key is not None:
            found.setdefault(key, column)
    numbers = {joint for field, joint in found if field == "x"}
    first = 1 if numbers == set(range(1, N_LANDMARKS + 1)) else 0
    x, y, z, v = (_places(found, field, first) for field in "xyzv")
    if x is None or y is None:
        return None
    frame = csv_rows.find_column(names, _FRAME)
    return Header(x=x, y=y, z=z, v=v, frame=frame, rows=1, time=time_column(names))


def _places(found: dict[tuple[str, int], int], field: str, first: int) -> list[int] | None:
    """Columns of a field of all landmarks; None if one is absent."""
    places = [found.get((field, joint), -1) for joint in range(first, first + N_LANDMARKS)]
    return None if min(places) < 0 else places


def _cell(name: str) -> tuple[str, int] | None:
    """Field and number of the landmark a column is called after."""
    for pattern in _PATTERNS:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        joint = match["joint"]
        number = int(joint) if joint.isdigit() else _NAMES.get(plain(joint))
        if number is not None:
            return _FIELDS[match["field"]], number
    return None


def _bare_header(rows: list[list[str]]) -> Header | None:
    """Rows of nothing but numbers, as many as 33 landmarks have."""
    widths = {len(row) for row in rows}
    layout = _BARE.get(widths.pop()) if len(widths) == 1 else None
    if layout is None or not all(map(_are_numbers, rows)):
        return None
    per, extra = layout
    at = np.arange(N_LANDMARKS) * per + extra
    z = (at + 2).tolist() if per > 2 else None
    v = (at + 3).tolist() if per == 4 else None
    return Header(at.tolist(), (at + 1).tolist(), z, v, 0 if extra else None, 0)


def _are_numbers(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells if cell.strip()]
    except ValueError:
        return False
    return True


def _wide(
    source: Source, header: Header
) -> tuple[np.ndarray, Float[np.ndarray, "F 33 4"], Float[np.ndarray, " F"] | None]:
    rows = csv_rows.rows(source)
    columns = len(next(rows)[1]) if header.rows else None
    frames: list[int] = []
    values: list[Float[np.ndarray, "33 4"]] = []
    stamps: list[float] = []
    for line, row in rows:
        columns = columns or len(row)
        csv_rows.check_width(source, row, columns, line)
        frames.append(_frame(source, header, row, line, len(frames)))
        values.append(_row_values(source, header, row, line))
        if header.time is not None:
            stamps.append(time_of(source, row[header.time[0]], f"line {line}"))
    if not values:
        raise source.error("a header without rows", "check that the detector saw somebody")
    if len(set(frames)) != len(frames):
        raise source.error(
            "a frame number is there twice", "save one person per file, one row per frame"
        )
    times = None
    if header.time is not None:
        times = seconds(source, np.array(stamps), header.time[1])
    return np.array(frames, dtype=np.int64), _seen(np.stack(values)), times


def _seen(values: Float[np.ndarray, "F 33 4"]) -> Float[np.ndarray, "F 33 4"]:
    """NaN in frames whose landmarks are all exactly 0: no person was seen.

    One landmark at (0, 0) is in a corner of the image, a place like any other.
    """
    empty = (values[..., :2] == 0).all((-2, -1))
    return np.where(empty[:, None, None], np.nan, values)


def _frame(source: Source, header: Header, row: list[str], line: int, n: int) -> int:
    if header.frame is None:
        return n
    value = csv_rows.number(source, row[header.frame], f"line {line}, frame")
    return csv_rows.as_frame(source, value, f"line {line}")


def _row_values(
    source: Source, header: Header, row: list[str], line: int
) -> Float[np.ndarray, "33 4"]:
    columns = [header.x, header.y, header.z, header.v]
    nothing = [float("nan")] * N_LANDMARKS
    return np.array(
        [
            nothing
            if places is None
            else [csv_rows.number(source, row[i], f"line {line}, column {i + 1}") for i in places]
            for places in columns
        ]
    ).T


FORMAT = Format(
    name="mediapipe",
    description="MediaPipe pose landmarks: text proto, or CSV of 33 landmarks; needs image_size",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

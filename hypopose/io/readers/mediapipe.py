"""MediaPipe pose landmarks: its text protos, and the CSV of 33 landmarks people save.

A text proto (``landmarks { landmark { x: y: z: visibility: presence: } }``) is one frame of as many
people as it has lists of 33 landmarks. A CSV has one row per frame with x, y, perhaps z and
visibility of every landmark: named (``nose_x``, ``NOSE_x``), numbered (``x0``, ``0_x``,
``landmark_0_x``, from 0 or 1), or without a header (33 times x, y, z, visibility; x, y, z; or
x, y).
Coordinates are fractions of the image, so its size must be given, unless they were saved in
pixels. z is left alone: it is no measured depth. Visibility becomes the confidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.named_joints import plain
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.source import Source
from hypopose.skeletons import MEDIAPIPE33
from hypopose.types import Skeleton

N_LANDMARKS = 33
WHOSE = "MediaPipe's landmarks"
MAX_TEXT_BYTES = 64 * 2**20
MAX_NESTING = 20

_TOKEN = re.compile(r"\s*(?:#[^\n]*\s*)*([A-Za-z_]\w*|\{|\}|:|[^\s{}:#]+)")
_FIELDS = {"x": "x", "y": "y", "z": "z", "v": "v", "vis": "v", "visibility": "v", "c": "v",
           "conf": "v", "confidence": "v", "p": "p", "pres": "p", "presence": "p"}  # fmt: skip
_FIELD = "|".join(sorted(_FIELDS, key=len, reverse=True))
_PATTERNS = (
    re.compile(rf"(?P<field>{_FIELD})[_\-. ]?(?P<joint>\d{{1,2}})"),
    re.compile(rf"(?:[a-z]+[_\-. ]?)?(?P<joint>\d{{1,2}})[_\-. ]?(?P<field>{_FIELD})"),
    re.compile(rf"(?P<joint>[a-z][a-z _()\-.]*?)[_\-. ](?P<field>{_FIELD})"),
)
_FRAME = ("frame", "frame_id", "frame_number", "frame_idx", "frame_index")
_NAMES = {name: i for i, name in enumerate(MEDIAPIPE33.joint_names)}


@dataclass(frozen=True)
class Header:
    """Where a wide CSV has what.

    Args:
        x: Column of each landmark's x.
        y: Column of each landmark's y.
        v: Column of each landmark's visibility, or None.
        frame: Column of the frame number, or None.
        rows: Header rows to skip, 0 or 1.
    """

    x: Sequence[int]
    y: Sequence[int]
    v: Sequence[int] | None
    frame: int | None
    rows: int


def sniff(source: Source) -> bool:
    """A text proto with landmarks, or rows with 33 of them."""
    lines = source.opening
    if any(re.match(r"\s*landmarks?\s*:?\s*\{", line) for line in lines):
        return True
    return _header(csv_rows.first_rows(source, 2)) is not None


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    header = _header(csv_rows.first_rows(source, 2))
    if header is None:
        groups = _proto_people(source)
        frames = np.zeros(len(groups), dtype=np.int64)
        values = np.array(groups)
        ids: tuple[str | None, ...] = tuple(str(i) for i in range(len(groups)))
    else:
        frames, values = _wide(source, header)
        ids = ("0",) * len(frames)
    if options.skeleton is not None:
        check_joints(source, options.skeleton, N_LANDMARKS)
    skeleton: Skeleton = options.skeleton or MEDIAPIPE33
    # In MediaPipe (0, 0) is a corner of the image, a place like any other.
    xy, notes = to_pixels(source, options, values[..., :2], WHOSE)
    unsure = np.isnan(values[..., 2]).all()
    return Detections(
        skeleton=skeleton,
        frames=frames,
        xy=xy,
        confidence=None if unsure else values[..., 2],
        ids=ids,
        first_frame=int(frames.min()),
        last_frame=int(frames.max()),
        image_size=options.image_size,
        notes=(*notes, "visibility is taken as the confidence"),
    )


def _proto_people(source: Source) -> list[Float[np.ndarray, "33 3"]]:
    size = source.path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise source.error(f"{size} bytes for one frame", "this is no frame of landmarks")
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise source.error("text is not UTF-8", "save it as UTF-8") from None
    points = list(_landmarks(source, text))
    if not points or len(points) % N_LANDMARKS:
        raise source.error(
            f"{len(points)} landmarks, not {N_LANDMARKS} per person",
            "write pose landmarks, all of them",
        )
    people = np.array(points).reshape(-1, N_LANDMARKS, 3)
    return list(people)


def _landmarks(source: Source, text: str) -> Iterator[tuple[float, float, float]]:
    """x, y and visibility of every ``landmark { ... }``."""
    at, depth, field = 0, 0, ""
    current: dict[str, float] | None = None
    while (match := _TOKEN.match(text, at)) is not None:
        at, token = match.end(), match.group(1)
        if token == "{":
            depth += 1
            if depth > MAX_NESTING:
                raise source.error("nested too deeply", "this is no frame of landmarks")
            current = {} if field == "landmark" else None
        elif token == "}":
            depth -= 1
            if current is not None:
                yield _point(source, current)
            current = None
        elif token == ":":
            continue
        elif re.match(r"[A-Za-z_]", token) and token.lower() not in ("nan", "inf", "infinity"):
            field = token
        elif current is not None and field in ("x", "y", "visibility"):
            current[field] = _value(source, token)
    if depth != 0 or text[at:].strip():
        raise source.error("its braces do not match", "the file may be cut off, write it again")


def _value(source: Source, token: str) -> float:
    try:
        return float(token.rstrip(",;fF"))
    except ValueError:
        raise source.error(f"expected a number, got {token[:40]!r}", "write it again") from None


def _point(source: Source, fields: dict[str, float]) -> tuple[float, float, float]:
    # A text proto leaves out fields that are zero.
    del source
    return fields.get("x", 0.0), fields.get("y", 0.0), fields.get("visibility", float("nan"))


def _header(rows: list[list[str]]) -> Header | None:
    if not rows:
        return None
    names = [name.strip().lower() for name in rows[0]]
    return _named_header(names) or _bare_header(rows)


def _named_header(names: list[str]) -> Header | None:
    found: dict[tuple[str, int], int] = {}
    for column, name in enumerate(names):
        key = _cell(name)
        if key is not None and key not in found:
            found[key] = column
    numbers = {joint for field, joint in found if field == "x"}
    first = 1 if numbers == set(range(1, N_LANDMARKS + 1)) else 0
    joints = range(first, first + N_LANDMARKS)
    if not all((field, j) in found for field in "xy" for j in joints):
        return None
    has_v = all(("v", j) in found for j in joints)
    return Header(
        x=[found["x", j] for j in joints],
        y=[found["y", j] for j in joints],
        v=[found["v", j] for j in joints] if has_v else None,
        frame=next((names.index(f) for f in _FRAME if f in names), None),
        rows=1,
    )


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
    try:
        [float(cell) for row in rows for cell in row if cell.strip()]
    except ValueError:
        return None
    n = len(rows[0])
    for per in (4, 3, 2):
        for extra in (0, 1):
            if n == per * N_LANDMARKS + extra and all(len(row) == n for row in rows):
                at = np.arange(N_LANDMARKS) * per + extra
                v = (at + 3).tolist() if per == 4 else None
                return Header(at.tolist(), (at + 1).tolist(), v, 0 if extra else None, 0)
    return None


def _wide(source: Source, header: Header) -> tuple[np.ndarray, Float[np.ndarray, "F 33 3"]]:
    rows = csv_rows.rows(source)
    columns = len(next(rows)[1]) if header.rows else None
    frames: list[int] = []
    values: list[Float[np.ndarray, "33 3"]] = []
    for line, row in rows:
        columns = columns or len(row)
        if len(row) != columns:
            raise source.error(
                f"{len(row)} cells, but {columns} columns", "the file may be cut off",
                f"line {line}",
            )  # fmt: skip
        frames.append(_frame(source, header, row, line, len(frames)))
        values.append(_row_values(source, header, row, line))
    if not values:
        raise source.error("a header without rows", "check that the detector saw somebody")
    if len(set(frames)) != len(frames):
        raise source.error(
            "a frame number is there twice", "save one person per file, one row per frame"
        )
    return np.array(frames, dtype=np.int64), np.stack(values)


def _frame(source: Source, header: Header, row: list[str], line: int, n: int) -> int:
    if header.frame is None:
        return n
    value = csv_rows.number(source, row[header.frame], line, "frame")
    return csv_rows.as_frame(source, value, f"line {line}")


def _row_values(
    source: Source, header: Header, row: list[str], line: int
) -> Float[np.ndarray, "33 3"]:
    columns = [header.x, header.y, header.v]
    nothing = [float("nan")] * N_LANDMARKS
    return np.array(
        [
            nothing
            if places is None
            else [csv_rows.number(source, row[i], line, f"column {i + 1}") for i in places]
            for places in columns
        ]
    ).T


FORMAT = Format(
    name="mediapipe",
    description="MediaPipe pose landmarks: text proto, or CSV of 33 landmarks; needs image_size",
    sniff=sniff,
    read=read,
)

"""Tables with a column per coordinate: anipose, DeepLabCut 3D, FreeMoCap, and tidy ones with z.

Wide tables name their columns ``nose_x``, ``nose_y``, ``nose_z`` (anipose adds ``nose_error``,
``nose_score`` and others, which are passed over); DeepLabCut has rows scorer, bodyparts, coords;
tidy tables have a row per frame, person and joint. None of them states a unit or axes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.motion_files.file_motion import (
    FileMotion,
    MotionFormat,
    People,
    check_people,
    checked_points,
)
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.times import clock_of, irregular, rate_of, seconds, time_column, time_of
from hypopose.io.readers import deeplabcut, tidy_table
from hypopose.io.source import Source

MIN_JOINTS = 4
MOST_VALUES = 60_000_000
"""Coordinates that all people of a file may have together, missing ones included."""
_FRAME = ("fnum", "frame", "frame_id", "frame_number", "frame_idx", "frame_index", "frame#", "")
_CELL = (
    re.compile(
        r"(?P<joint>.+?)(?:[_\-. ](?:position|pos|location|loc))?[_\-. ](?P<axis>[xyz])"
        r"(?:_?(?:mm|cm|m))?",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<axis>[xyz])[_\-. ]?(?P<joint>.+)", re.IGNORECASE),
)
_OTHER = re.compile(
    r".*[_\-. ](?:rotation|rot|orientation|quat\w*|velocity|acceleration|angular\w*)", re.IGNORECASE
)
"""Quantities beside positions that have an x, y and z, too."""
MAX_FRAMES = 2_000_000


def frames_at(
    source: Source, points: Float[np.ndarray, "R N 3"], numbers: Int[np.ndarray, " R"]
) -> Float[np.ndarray, "F N 3"]:
    """Rows in the order of their frame numbers; frames that are left out are NaN.

    Raises:
        FormatError: If a frame number is there twice, or their range is that of no recording.
    """
    order = np.argsort(numbers, kind="stable")
    numbers, points = numbers[order], points[order]
    if (np.diff(numbers) == 0).any():
        raise source.error("a frame number is there twice", "number the frames one by one")
    at = numbers - numbers[0]
    n_frames = int(at[-1]) + 1
    if n_frames > MAX_FRAMES or n_frames * points[0].size > MOST_VALUES:
        raise source.error(f"frames {numbers[0]} to {numbers[-1]}", "number the frames one by one")
    full = np.full((n_frames, *points.shape[1:]), np.nan)
    full[at] = points
    return full


def wide_columns(header: Sequence[str]) -> dict[str, list[int]]:
    """Columns of x, y and z of every joint of a wide table that has all three.

    Example:
        >>> wide_columns(["fnum", "nose_x", "nose_y", "nose_z", "nose_error"])
        {'nose': [1, 2, 3]}
        >>> wide_columns([f"Hips_{what}_{a}" for what in ("position", "rotation") for a in "xyz"])
        {'Hips': [0, 1, 2]}
    """
    found: dict[str, dict[str, int]] = {}
    for column, cell in enumerate(header):
        match = next((m for p in _CELL if (m := p.fullmatch(cell.strip()))), None)
        if match is not None and not _OTHER.fullmatch(match["joint"]):
            found.setdefault(match["joint"], {}).setdefault(match["axis"].lower(), column)
    return {
        joint: [axes[a] for a in "xyz"] for joint, axes in found.items() if set(axes) == set("xyz")
    }


def suits_wide(source: Source) -> bool:
    """A header with x, y and z of some joints."""
    rows = csv_rows.first_rows(source, 1)
    return bool(rows) and len(wide_columns(rows[0])) >= MIN_JOINTS


def read_wide(source: Source) -> People:
    """Read a wide table."""
    rows = csv_rows.rows(source)
    header = next(rows)[1]
    columns = wide_columns(header)
    names = [name.strip().lower() for name in header]
    frame = csv_rows.find_column(names, _FRAME)
    time = time_column(names)
    taken = [i for places in columns.values() for i in places]
    values: list[list[float]] = []
    numbers: list[int] = []
    stamps: list[float] = []
    for line, row in rows:
        csv_rows.check_width(source, row, len(header), line)
        place = f"line {line}"
        values.append([csv_rows.number(source, row[i], place) for i in taken])
        numbers.append(len(numbers) if frame is None else _frame(source, row[frame], line))
        if time is not None:
            stamps.append(time_of(source, row[time[0]], place))
    if not values:
        raise source.error("a header without rows", "check the recording")
    points = np.array(values).reshape(len(values), len(columns), 3)
    at, fps, notes = _clock(source, numbers, stamps, time, numbered=frame is not None)
    points = checked_points(source, frames_at(source, points, at))
    return {"0": FileMotion(points, tuple(columns), fps=fps, notes=notes)}


def _frame(source: Source, cell: str, line: int) -> int:
    return csv_rows.as_frame(source, csv_rows.number(source, cell, f"line {line}"), f"line {line}")


def _clock(
    source: Source,
    numbers: list[int],
    stamps: list[float],
    time: tuple[int, str | None] | None,
    *,
    numbered: bool,
) -> tuple[Int[np.ndarray, " R"], float | None, tuple[str, ...]]:
    """Frame numbers and rate of rows, from a frame column, a time column, or both."""
    at = np.array(numbers, dtype=np.int64)
    if time is None or len(at) < 2:
        return at, None, ()
    times = seconds(source, np.array(stamps), time[1])
    if numbered:
        fps, notes = rate_of(at, times)
        return at, fps, notes
    clock = clock_of(times)
    if clock is None:
        raise irregular(source, times)
    return clock.frames, clock.fps, ()


def suits_deeplabcut(source: Source) -> bool:
    """DeepLabCut's rows of headers, with a coordinate z."""
    if source.container is not None or not deeplabcut.sniff(source):
        return False
    coords = next((r for r in csv_rows.first_rows(source, 4) if r and r[0].lower() == "coords"), [])
    return "z" in {cell.strip().lower() for cell in coords}


def read_deeplabcut(source: Source) -> People:
    """Read DeepLabCut's 3D table, one individual or several."""
    columns, frames, values = deeplabcut.read_table(source)
    at = {(person, part, coord): i for i, (_, person, part, coord) in enumerate(columns)}
    people = list(dict.fromkeys(person for person, _, _ in at))
    found = {}
    for person in people:
        parts = [p for p in dict.fromkeys(part for w, part, _ in at if w == person)
                 if all((person, p, a) in at for a in "xyz")]  # fmt: skip
        if not parts:
            raise source.error("a body part without x, y and z", "export it again")
        places = [at[person, part, axis] for part in parts for axis in "xyz"]
        points = values[:, places].reshape(len(values), len(parts), 3)
        points = checked_points(source, frames_at(source, points, frames), parts)
        found[person or "0"] = FileMotion(points, tuple(parts))
    return found


def suits_tidy(source: Source) -> bool:
    """A header with frame or time, joint, x, y and z, and no hypotheses."""
    header = next(iter(csv_rows.first_rows(source, 1)), [])
    places = tidy_table.column_places(header)
    return places is not None and "z" in places


def read_tidy(source: Source) -> People:
    """Read a table of a row per frame, person and joint."""
    table, frames = tidy_table.read_columns(source)
    assert table.z is not None  # told by suits_tidy
    xyz = np.stack([table.x, table.y, table.z], -1)
    clock = None if table.time is None else clock_of(table.time)
    if table.frame is None and clock is None and table.time is not None:
        raise irregular(source, table.time)
    at = clock.frames if table.frame is None and clock is not None else frames
    n_frames, start = int(at.max() - at.min()) + 1, int(at.min())
    check_people(source, table.people)
    n_values = n_frames * len(table.joints) * len(table.people) * 3
    if n_frames > MAX_FRAMES or n_values > MOST_VALUES:
        raise source.error(f"frames {start} to {start + n_frames - 1}", "number them one by one")
    found = {}
    for k, person in enumerate(table.people):
        rows = table.person == k
        points = np.full((n_frames, len(table.joints), 3), np.nan)
        points[at[rows] - start, table.joint[rows]] = xyz[rows]
        fps = None if clock is None or np.isnan(clock.fps) else clock.fps
        points = checked_points(source, points, table.joints)
        found[person or "0"] = FileMotion(points, tuple(table.joints), fps=fps)
    return found


WIDE = MotionFormat(
    "wide-3d",
    "CSV with columns nose_x, nose_y, nose_z, ...: anipose, FreeMoCap",
    suits_wide,
    read_wide,
)
DEEPLABCUT = MotionFormat("deeplabcut-3d", "DeepLabCut's 3D CSV", suits_deeplabcut, read_deeplabcut)
TIDY = MotionFormat("tidy-3d", "CSV with columns frame, joint, x, y, z", suits_tidy, read_tidy)

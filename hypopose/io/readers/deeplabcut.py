"""DeepLabCut's tables, CSV or pandas HDF5: scorer, perhaps individuals, bodyparts, coords.

Rows are frames, numbered by the first column; labeled projects number them by the last number in
an image's name. One or several scorers' columns may be there; the last one's are read if there are
several, with a note. ``likelihood`` is the confidence. Body parts are whatever the user called
them: name the skeleton with a TOML file that says which is which, see
``docs/reference/skeletons.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.detections import MAX_PEOPLE_IN_FRAME, Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.depth import CURE
from hypopose.io.parsing.named_joints import MAX_JOINTS, MAX_VALUES, dense_detections
from hypopose.io.parsing.pandas_hdf5 import MAX_COLUMNS, has_pandas_table, read_pandas_table
from hypopose.io.source import Source

Column = tuple[str, str, str, str]
"""Scorer, individual (empty if there are none), body part, coordinate."""

Table = tuple[list[Column], Int[np.ndarray, " F"], Float[np.ndarray, "F C"]]
"""Columns, frame numbers and values."""

OBJECTS = ("single", "unique")
"""What DeepLabCut calls the individual that holds the unique body parts of the scene."""

_HEADERS = ("scorer", "individuals", "bodyparts", "coords")


def sniff(source: Source) -> bool:
    """A CSV whose first cell is ``scorer``, or a pandas table in HDF5 with such columns."""
    if source.container == "hdf5":
        return has_pandas_table(source)
    rows = csv_rows.first_rows(source, 4)
    heads = [row[0].strip().lower() if row else "" for row in rows]
    return heads[:1] == ["scorer"] and "bodyparts" in heads and "coords" in heads


def read(source: Source, options: ReadOptions) -> Detections:
    """Read the table."""
    columns, frames, values = read_table(source)
    scorers = list(dict.fromkeys(c[0] for c in columns))
    keep = [i for i, c in enumerate(columns) if c[0] == scorers[-1]]
    columns, values = [columns[i] for i in keep], values[:, keep]
    notes: tuple[str, ...] = ()
    if len(scorers) > 1:
        notes = (f"{len(scorers)} scorers; read the last, {scorers[-1][:60]}",)
    return _detections(source, options, (columns, frames, values), notes)


def read_table(source: Source) -> Table:
    """Columns, frame numbers and values, of CSV or HDF5.

    Raises:
        FormatError: If the file is no such table.
    """
    return _read_hdf5(source) if source.container == "hdf5" else _read_csv(source)


def _detections(
    source: Source, options: ReadOptions, table: Table, notes: tuple[str, ...]
) -> Detections:
    columns, frames, values = table
    at = {(person, part, coord): i for i, (_, person, part, coord) in enumerate(columns)}
    unique = len(at) == len(columns)
    at, more = _without_objects(at)
    people = list(dict.fromkeys(person for person, _, _ in at))
    parts = list(dict.fromkeys(part for _, part, _ in at))
    coords = {coord for _, _, coord in at}
    _check_columns(source, unique, coords)
    _check_sizes(source, len(values), len(people), len(parts))
    dense = {
        coord: _gather(values, [[at.get((p, k, coord)) for k in parts] for p in people])
        for coord in ("x", "y", "likelihood")
        if coord in coords
    }
    named = people if people != [""] else None
    return dense_detections(
        source, options, parts, dense["x"], dense["y"], dense.get("likelihood"), named, frames,
        notes=(*notes, *more),
    )  # fmt: skip


def _without_objects(
    at: dict[tuple[str, str, str], int],
) -> tuple[dict[tuple[str, str, str], int], tuple[str, ...]]:
    """The columns of people, if there are any beside those of unique body parts."""
    people = {key: i for key, i in at.items() if key[0].lower() not in OBJECTS}
    if not people or len(people) == len(at):
        return at, ()
    parts = sorted({part for person, part, _ in at if person.lower() in OBJECTS})
    return people, (f"{', '.join(parts)}: unique parts, not of a person, are left out",)


def _check_columns(source: Source, unique: bool, coords: set[str]) -> None:
    if not unique or not {"x", "y"} <= coords:
        raise source.error("its columns have no x and y, or some twice", "export it again")
    if "z" in coords:
        raise source.error("a 3D table", CURE)


def _check_sizes(source: Source, n_rows: int, n_people: int, n_parts: int) -> None:
    crowded = n_people > MAX_PEOPLE_IN_FRAME or n_parts > MAX_JOINTS
    if crowded or n_rows * n_people * n_parts > MAX_VALUES:
        raise source.error(
            f"{n_people} individuals with {n_parts} body parts in {n_rows} rows", "split the file"
        )


def _gather(
    values: Float[np.ndarray, "F C"], columns: Sequence[Sequence[int | None]]
) -> Float[np.ndarray, "F P K"]:
    """The given columns; NaN where there is none."""
    padded = np.concatenate([values, np.full((len(values), 1), np.nan)], 1)
    last = values.shape[1]
    places = [[last if column is None else column for column in row] for row in columns]
    return np.asarray(padded[:, places], dtype=np.float64)


def _read_csv(source: Source) -> Table:
    rows = csv_rows.rows(source)
    header = _csv_header(source, rows)
    coords = header["coords"]
    width = len(coords)
    n_index = next((i for i in range(1, width) if coords[i]), width)
    people = header.get("individuals", [""] * width)
    columns = [
        (header["scorer"][i], people[i], header["bodyparts"][i], coords[i].lower())
        for i in range(n_index, width)
    ]
    numbers, values = [], []
    for line, row in rows:
        csv_rows.check_width(source, row, width, line)
        numbers.append(_frame(source, row[n_index - 1], f"line {line}"))
        cells = [csv_rows.number(source, c, f"line {line}, a coordinate") for c in row[n_index:]]
        values.append(np.array(cells))
    if not values or not columns:
        raise source.error("a table without rows", "export it again")
    return columns, np.array(numbers, dtype=np.int64), np.stack(values)


def _csv_header(source: Source, rows: Iterator[tuple[int, list[str]]]) -> dict[str, list[str]]:
    """The header rows by their first cell, all of one length."""
    header: dict[str, list[str]] = {}
    for _, row in rows:
        name = row[0].strip().lower()
        if name in header or name not in _HEADERS:
            break
        header[name] = [cell.strip() for cell in row]
        if name == "coords":
            break
    if not {"scorer", "bodyparts", "coords"} <= header.keys():
        raise source.error("no rows scorer, bodyparts, coords at the top", "export it again")
    width = len(header["coords"])
    if width > MAX_COLUMNS or any(len(row) != width for row in header.values()):
        raise source.error("header rows of different lengths", "export it again")
    return header


def _frame(source: Source, cell: str, place: str) -> int:
    """A frame number, or the last number in an image's name."""
    text = re.sub(r"\.[A-Za-z]\w{1,4}$", "", cell.strip())
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    digits = re.findall(r"\d+", text, re.ASCII)
    if not digits or len(digits[-1]) > 15 or text.startswith("-"):
        raise source.error(f"no frame number in {cell[:60]!r}", "number the frames", place)
    return int(digits[-1])


def _read_hdf5(source: Source) -> Table:
    table = read_pandas_table(source)
    columns = [_column(source, key) for key in table.columns]
    frames = [_frame(source, str(v), f"row {i}") for i, v in enumerate(table.index)]
    return columns, np.array(frames, dtype=np.int64), table.values


def _column(source: Source, words: tuple[Any, ...]) -> Column:
    if len(words) not in (3, 4) or not all(isinstance(w, str) for w in words):
        raise source.error(
            "columns are not scorer, (individuals,) bodyparts, coords", "export it again"
        )
    scorer, *person, part, coord = words
    return scorer, person[0] if person else "", part, coord.lower()


FORMAT = Format(
    name="deeplabcut",
    description="DeepLabCut CSV or HDF5, one animal or several; name its joints with a TOML file",
    sniff=sniff,
    read=read,
)

"""DeepLabCut's tables, CSV or pandas HDF5: scorer, perhaps individuals, bodyparts, coords.

Rows are frames, numbered by the first column; labeled projects number them by the last number in
an image's name. One or several scorers' columns may be there; the last one's are read if there are
several, with a note. pandas keeps column names in HDF5 as a pickle, which is read without running
it. ``likelihood`` is the confidence. Body parts are whatever the user called them: name the
skeleton with a TOML file that says which is which, see ``docs/skeletons.md``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.detections import MAX_PEOPLE_IN_FRAME, Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.named_joints import MAX_JOINTS, MAX_VALUES, dense_detections
from hypopose.io.source import Source
from hypopose.io.untrusted.pickles import PickleRefusedError, read_pickled

Column = tuple[str, str, str, str]
"""Scorer, individual (empty if there are none), body part, coordinate."""

MAX_COLUMNS = 100_000


def sniff(source: Source) -> bool:
    """A CSV whose first cell is ``scorer``, or a pandas table in HDF5 with such columns."""
    if source.container == "hdf5":
        return any(_is_frame(source, path) for path in source.tree.attributes)
    rows = csv_rows.first_rows(source, 4)
    heads = [row[0].strip().lower() if row else "" for row in rows]
    return heads[:1] == ["scorer"] and "bodyparts" in heads and "coords" in heads


def read(source: Source, options: ReadOptions) -> Detections:
    """Read the table."""
    if source.container == "hdf5":
        columns, frames, values = _read_hdf5(source)
    else:
        columns, frames, values = _read_csv(source)
    scorers = list(dict.fromkeys(c[0] for c in columns))
    keep = [i for i, c in enumerate(columns) if c[0] == scorers[-1]]
    columns, values = [columns[i] for i in keep], values[:, keep]
    notes: tuple[str, ...] = ()
    if len(scorers) > 1:
        notes = (f"{len(scorers)} scorers; read the last, {scorers[-1][:60]}",)
    return _detections(source, options, columns, frames, values, notes)


def _detections(
    source: Source,
    options: ReadOptions,
    columns: Sequence[Column],
    frames: Int[np.ndarray, " F"],
    values: Float[np.ndarray, "F C"],
    notes: tuple[str, ...],
) -> Detections:
    at = {(person, part, coord): i for i, (_, person, part, coord) in enumerate(columns)}
    coords = {coord for _, _, coord in at}
    if len(at) != len(columns) or not {"x", "y"} <= coords:
        raise source.error("its columns have no x and y, or some twice", "export it again")
    if "z" in coords:
        raise source.error("a 3D table", "give DeepLabCut's 2D predictions")
    people = list(dict.fromkeys(person for person, _, _ in at))
    parts = list(dict.fromkeys(part for _, part, _ in at))
    n_values = len(values) * len(people) * len(parts)
    if len(people) > MAX_PEOPLE_IN_FRAME or len(parts) > MAX_JOINTS or n_values > MAX_VALUES:
        raise source.error(
            f"{len(people)} individuals with {len(parts)} body parts in {len(values)} rows",
            "split the file",
        )

    def gather(coord: str) -> Float[np.ndarray, "F P K"]:
        found = np.full((len(values), len(people), len(parts)), np.nan)
        for i, person in enumerate(people):
            for j, part in enumerate(parts):
                column = at.get((person, part, coord))
                if column is not None:
                    found[:, i, j] = values[:, column]
        return found

    confidence = gather("likelihood") if "likelihood" in coords else None
    named = people if people != [""] else None
    return dense_detections(
        source, options, parts, gather("x"), gather("y"), confidence, named, frames, notes=notes
    )


def _read_csv(source: Source) -> tuple[list[Column], np.ndarray, np.ndarray]:
    rows = csv_rows.rows(source)
    header: dict[str, list[str]] = {}
    for _, row in rows:
        name = row[0].strip().lower()
        if name in header or name not in ("scorer", "individuals", "bodyparts", "coords"):
            raise source.error("no rows scorer, bodyparts, coords at the top", "export it again")
        header[name] = [cell.strip() for cell in row]
        if name == "coords":
            break
    if not {"scorer", "bodyparts", "coords"} <= header.keys():
        raise source.error("no rows scorer, bodyparts, coords at the top", "export it again")
    width = len(header["coords"])
    if width > MAX_COLUMNS or any(len(row) != width for row in header.values()):
        raise source.error("header rows of different lengths", "export it again")
    n_index = next((i for i in range(1, width) if header["coords"][i]), width)
    people = header.get("individuals", [""] * width)
    columns = [
        (header["scorer"][i], people[i], header["bodyparts"][i], header["coords"][i].lower())
        for i in range(n_index, width)
    ]
    numbers, values = [], []
    for line, row in rows:
        if len(row) != width:
            raise source.error(
                f"{len(row)} cells, but {width} columns", "the file may be cut off", f"line {line}"
            )
        numbers.append(_frame(source, row[n_index - 1], f"line {line}"))
        cells = [csv_rows.number(source, c, line, "a coordinate") for c in row[n_index:]]
        values.append(np.array(cells))
    if not values or not columns:
        raise source.error("a table without rows", "export it again")
    return columns, np.array(numbers, dtype=np.int64), np.stack(values)


def _frame(source: Source, cell: str, place: str) -> int:
    """A frame number, or the last number in an image's name."""
    text = re.sub(r"\.[A-Za-z]\w{1,4}$", "", cell.strip())
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    digits = re.findall(r"\d+", text, re.ASCII)
    if not digits or len(digits[-1]) > 15 or text.startswith("-"):
        raise source.error(f"no frame number in {cell[:60]!r}", "number the frames", place)
    return int(digits[-1])


def _is_frame(source: Source, path: str) -> bool:
    kind = source.tree.attribute(path, "pandas_type")
    return kind in (b"frame_table", b"frame")


def _read_hdf5(source: Source) -> tuple[list[Column], np.ndarray, np.ndarray]:
    paths = [path for path in source.tree.attributes if _is_frame(source, path)]
    if not paths:
        raise source.error("no pandas table", f"it has {source.tree.listed}")
    if len(paths) > 1:
        names = ", ".join(path.lstrip("/")[:40] for path in paths[:5])
        raise source.error(f"several tables ({names})", "keep one per file")
    if source.tree.attribute(paths[0], "pandas_type") == b"frame_table":
        columns, index, values = _table(source, paths[0])
    else:
        columns, index, values = _fixed(source, paths[0])
    if len(index) != len(values) or not len(values) or not columns:
        raise source.error("index and values do not match", "export it again")
    frames = [_frame(source, str(v), f"row {i}") for i, v in enumerate(index)]
    return columns, np.array(frames, dtype=np.int64), values


def _table(source: Source, path: str) -> tuple[list[Column], list[Any], np.ndarray]:
    """The format "table" of pandas: records, column names pickled beside them."""
    tree, table = source.tree, f"{path}/table"
    columns: list[Column] = []
    blocks = []
    for k in range(MAX_JOINTS):
        name = f"{table}/values_block_{k}"
        if name not in tree.arrays:
            break
        block = tree.arrays[name]
        listed = _unpickled(source, tree.attribute(table, f"values_block_{k}_kind"))
        if block.ndim == 0 or not block.size:
            raise source.error("a table without rows", "export it again")
        block = block.reshape(len(block), -1)
        if block.dtype.kind not in "iuf" or len(listed) != block.shape[1]:
            raise source.error("columns and names do not match", "export it again")
        columns += [_column(source, key) for key in listed]
        blocks.append(block.astype(np.float64))
    if not blocks or f"{table}/index" not in tree.arrays or len(columns) > MAX_COLUMNS:
        raise source.error("no values in the table", "export it again")
    return columns, tree.texts(f"{table}/index"), np.concatenate(blocks, 1)


def _unpickled(source: Source, value: Any) -> list[Any]:
    try:
        listed = read_pickled(value) if isinstance(value, bytes) else None
    except PickleRefusedError as error:
        raise source.error(f"its column names are refused ({error})", error.cure) from None
    if not isinstance(listed, (list, tuple)):
        raise source.error("its column names are no list", "export it again")
    return list(listed)


def _column(source: Source, key: Any) -> Column:
    words = tuple(key) if isinstance(key, (list, tuple)) else ()
    if len(words) not in (3, 4) or not all(isinstance(w, str) for w in words):
        raise source.error(
            "columns are not scorer, (individuals,) bodyparts, coords", "export it again"
        )
    scorer, *person, part, coord = words
    return scorer, person[0] if person else "", part, coord.lower()


def _fixed(source: Source, path: str) -> tuple[list[Column], list[Any], np.ndarray]:
    """The format "fixed" of pandas: levels and codes of the columns, one block of values."""
    tree = source.tree
    levels = _levels(source, f"{path}/block0_items")
    values = tree.arrays.get(f"{path}/block0_values")
    if len(levels) not in (3, 4) or values is None or f"{path}/block1_values" in tree.arrays:
        raise source.error("no single block of DeepLabCut's columns", "export it as csv")
    columns = [_column(source, key) for key in zip(*levels, strict=True)]
    if values.dtype.kind not in "iuf" or values.ndim != 2 or len(columns) not in values.shape:
        raise source.error("columns and names do not match", "export it again")
    if values.shape[1] != len(columns):
        values = values.T
    if f"{path}/axis1" in tree.arrays:
        index = tree.texts(f"{path}/axis1")
    else:
        index = (_levels(source, f"{path}/axis1") or [[]])[-1]
    return columns, index, values.astype(np.float64)


def _levels(source: Source, stem: str) -> list[list[str]]:
    """Every level of a pandas MultiIndex, spelled out."""
    tree = source.tree
    found = []
    for k in range(4):
        names, codes = f"{stem}_level{k}", f"{stem}_label{k}"
        if names not in tree.arrays or codes not in tree.arrays:
            break
        texts, at = tree.texts(names), tree.arrays[codes].ravel()
        bad = at.dtype.kind not in "iu" or (at.size and not 0 <= at.min() <= at.max() < len(texts))
        if bad or at.size > MAX_VALUES:
            raise source.error("its column names are damaged", "export it again")
        found.append([texts[i] for i in at.tolist()])
    if len({len(level) for level in found}) > 1:
        raise source.error("its column names are damaged", "export it again")
    return found


FORMAT = Format(
    name="deeplabcut",
    description="DeepLabCut CSV or HDF5, one animal or several; name its joints with a TOML file",
    sniff=sniff,
    read=read,
)

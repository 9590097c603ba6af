"""Tidy tables, CSV and Parquet: one row per motion, frame and joint.

=============================  =====================================================================
column                         meaning
=============================  =====================================================================
``frame``, ``time``            from 0; seconds, empty if the frame rate is unknown
``joint``                      name
``hypothesis``                 ``aggregate``, or the hypothesis' number
``x``, ``y``, ``z``            in the axes and unit of ``axes``
``std_x``, ``std_y``, ``std_z``  of the hypotheses; only in rows of the aggregate
``root_x``, ``root_y``, ``root_z``  where the root is; empty if unknown or left out
``axes``                       frame, axes, unit, and whether x, y, z hold the root, in words
=============================  =====================================================================

A table of several people begins with the column ``person``.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io.atomic import write_atomically
from hypopose.io.parsing.csv_rows import as_cell
from hypopose.io.writers.optional import require
from hypopose.io.writers.scene import Defaults, ExportScene, Take

COLUMNS = (
    "frame", "time", "joint", "hypothesis",
    "x", "y", "z", "std_x", "std_y", "std_z", "root_x", "root_y", "root_z", "axes",
)  # fmt: skip

DEFAULTS = Defaults()


def write_csv(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write a table as CSV; six decimals, unknown cells empty."""
    return write_csv_of_people(path, [scene])


def write_csv_of_people(path: Path, scenes: Sequence[ExportScene]) -> tuple[str, ...]:
    """Write people one after the other; those who are called something have it in ``person``."""
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*["person"] * bool(scenes[0].called), *COLUMNS])
        for scene in scenes:
            for take in scene.takes:
                writer.writerows(_rows(scene, take))
    return ()


def _rows(scene: ExportScene, take: Take) -> Iterator[list[Any]]:
    names = [as_cell(name) for name in scene.skeleton.joint_names]
    person = [as_cell(scene.called)] if scene.called else []
    times = scene.times
    who = _who(take)
    empty = np.full((scene.n_frames, len(names), 3), np.nan)
    std = empty if take.std is None else take.std
    for f, (joints, spreads) in enumerate(zip(take.joints, std, strict=True)):
        at = [*person, f, "" if times is None else f"{times[f]:.6f}"]
        root = _cells(empty[f, 0] if take.root is None else take.root[f])
        for name, place, spread in zip(names, joints, spreads, strict=True):
            yield [*at, name, who, *_cells(place), *_cells(spread), *root, scene.axes]


def _cells(values: NDArray[np.float64]) -> list[str]:
    return ["" if math.isnan(v) else f"{v:.6f}" for v in values.tolist()]


def _who(take: Take) -> str:
    return "aggregate" if take.hypothesis is None else str(take.hypothesis)


def write_parquet(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write the same table as Parquet; float32, unknown cells null, the record as metadata."""
    return _write_arrow(path, [scene], scene.record())


def write_parquet_of_people(path: Path, scenes: Sequence[ExportScene]) -> tuple[str, ...]:
    """The same of several people, a record of each under ``people``."""
    record = {**scenes[0].record(), "people": [scene.record() for scene in scenes]}
    return _write_arrow(path, scenes, record)


def _write_arrow(
    path: Path, scenes: Sequence[ExportScene], record: dict[str, Any]
) -> tuple[str, ...]:
    pa = require("pyarrow", "parquet")
    parquet = require("pyarrow.parquet", "parquet")
    parts = [_arrow(pa, scene, take) for scene in scenes for take in scene.takes]
    table = pa.concat_tables(parts).replace_schema_metadata({"hypopose": json.dumps(record)})
    with write_atomically(path) as temporary, temporary.open("wb") as stream:
        parquet.write_table(table, stream, compression="zstd")
    return ()


def _arrow(pa: Any, scene: ExportScene, take: Take) -> Any:
    shape = take.joints.shape[:2]
    names = pa.array(scene.skeleton.joint_names)
    joint = pa.array(np.tile(np.arange(shape[1], dtype="int32"), shape[0]))
    times = np.full(shape[0], np.nan) if scene.times is None else scene.times
    root = np.full((shape[0], 3), np.nan) if take.root is None else take.root
    std = np.full(take.joints.shape, np.nan) if take.std is None else take.std
    zeros = pa.array(np.zeros(shape[0] * shape[1], dtype="int32"))
    person = {"person": pa.DictionaryArray.from_arrays(zeros, pa.array([scene.called]))}
    columns = {
        **(person if scene.called else {}),
        "frame": pa.array(np.repeat(np.arange(shape[0], dtype="int32"), shape[1])),
        "time": _column(pa, np.repeat(times, shape[1]), "float64"),
        "joint": pa.DictionaryArray.from_arrays(joint, names),
        "hypothesis": pa.DictionaryArray.from_arrays(zeros, pa.array([_who(take)])),
        **_axes(pa, "", take.joints),
        **_axes(pa, "std_", std),
        **_axes(pa, "root_", np.repeat(root, shape[1], axis=0)),
        "axes": pa.DictionaryArray.from_arrays(zeros, pa.array([scene.axes])),
    }
    return pa.table(columns)


def _axes(pa: Any, prefix: str, values: NDArray[np.float64]) -> dict[str, Any]:
    flat = values.reshape(-1, 3)
    return {f"{prefix}{axis}": _column(pa, flat[:, i], "float32") for i, axis in enumerate("xyz")}


def _column(pa: Any, values: NDArray[np.float64], dtype: str) -> Any:
    return pa.array(values.astype(dtype), from_pandas=True)

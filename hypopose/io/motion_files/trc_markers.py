"""TRC: the marker tables of OpenSim, OpenCap, Pose2Sim, Cortex and Sports2D.

Line 3 states rate and unit, line 4 the markers, each over three columns; an empty cell is a marker
that is not seen. OpenSim's convention is y up; Cortex writes its laboratory's axes. Markers of
several subjects, ``ann:LKNE`` and ``bob:LKNE``, are several people.
"""

from __future__ import annotations

import numpy as np

from hypopose.io.motion_files.file_motion import (
    FileMotion,
    MotionFormat,
    People,
    checked_points,
    subjects,
)
from hypopose.io.motion_files.motion_tables import frames_at
from hypopose.io.parsing.times import rate_of
from hypopose.io.source import Source

MAX_BYTES = 512 * 2**20
UNITS = {"m": "m", "meters": "m", "cm": "cm", "mm": "mm", "millimeters": "mm"}


def suits(source: Source) -> bool:
    """A text whose first line says PathFileType."""
    return bool(source.opening) and source.opening[0].lstrip().startswith("PathFileType")


def read(source: Source) -> People:
    """Read the markers, of one person or of several subjects."""
    lines = source.read_text(MAX_BYTES, "a TRC file").split("\n")
    facts = _facts(source, lines)
    names = _names(source, lines)
    rows = [line.rstrip("\r") for line in lines[5:]]
    numbers, times, points = _rows(source, rows, len(names))
    rate = _rate(facts.get("datarate"))
    told, doubts = rate_of(numbers, times) if len(numbers) > 1 else (rate, ())
    if rate is not None and told is not None and abs(rate / told - 1) > 0.02:
        doubts = (f"DataRate {rate:g} Hz was used, but the Time column has {told:g} Hz",)
    unit = UNITS.get(facts.get("units", "").lower())
    points = frames_at(source, points, numbers)
    found = {}
    for person, (columns, own) in _people(names).items():
        places = checked_points(source, points[:, columns], own)
        found[person] = FileMotion(places, own, fps=rate or told, unit=unit, up="y", notes=doubts)
    return found


def _people(names: tuple[str, ...]) -> dict[str, tuple[list[int], tuple[str, ...]]]:
    """Columns and names of each person; names stay whole if there is one."""
    several = subjects(names)
    if len(several) < 2:
        return {"0": (list(range(len(names))), names)}
    return {
        person: (columns, tuple(names[i].rpartition(":")[2] for i in columns))
        for person, columns in several.items()
    }


def _facts(source: Source, lines: list[str]) -> dict[str, str]:
    if len(lines) < 6:
        raise source.error("cut off in its header", "write it again")
    keys, values = (line.rstrip("\r").split("\t") for line in lines[1:3])
    return {k.strip().lower(): v.strip() for k, v in zip(keys, values, strict=False)}


def _names(source: Source, lines: list[str]) -> tuple[str, ...]:
    cells = [cell.strip() for cell in lines[3].rstrip("\r").split("\t")]
    names = tuple(cell for cell in cells[2:] if cell)
    if len(cells) < 3 or not cells[0].lower().startswith("frame") or not names:
        raise source.error("no markers in its header", "write it again", "line 4")
    return names


def _rate(text: str | None) -> float | None:
    try:
        rate = float(text or "")
    except ValueError:
        return None
    return rate if 0 < rate < 100_000 else None


def _rows(
    source: Source, lines: list[str], n_markers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame numbers, times, and places (F, N, 3)."""
    width = 2 + 3 * n_markers
    rows = []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) < 2 or any(cell.strip() for cell in cells[width:]):
            raise source.error(
                f"{len(cells)} cells, but {n_markers} markers", "write it again", f"line {i + 6}"
            )
        rows.append(_numbers(source, [*cells[:width], *[""] * (width - len(cells))], i + 6))
    if not rows:
        raise source.error("a table without rows", "write it again")
    values = np.array(rows)
    numbers = values[:, 0]
    if not ((numbers >= 0) & (numbers < 2**53) & (numbers == np.floor(numbers))).all():
        raise source.error("a row without a frame number", "number the frames")
    return numbers.astype(np.int64), values[:, 1], values[:, 2:].reshape(len(rows), n_markers, 3)


def _numbers(source: Source, cells: list[str], line: int) -> list[float]:
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
    except ValueError as error:
        raise source.error(f"{str(error)[:80]}", "write numbers", f"line {line}") from None


FORMAT = MotionFormat("trc", "TRC markers: OpenSim, OpenCap, Pose2Sim, Cortex", suits, read)

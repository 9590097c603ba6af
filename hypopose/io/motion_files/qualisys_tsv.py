"""Qualisys Track Manager's 3D TSV: rows ``NO_OF_FRAMES`` ... ``MARKER_NAMES``, then a frame a row.

Places are in millimeters, z up in QTM's default; 0, 0, 0 and empty cells are markers that were not
seen. A first column ``Frame`` and a second ``Time`` are there where they were exported.
"""

from __future__ import annotations

import numpy as np

from hypopose.io.motion_files.file_motion import FileMotion, MotionFormat, People, checked_points
from hypopose.io.source import Source

MAX_BYTES = 512 * 2**20
TOP = "NO_OF_FRAMES"
MARKERS = "MARKER_NAMES"
MAX_HEADER = 40
"""Lines before the first frame, at most."""


def suits(source: Source) -> bool:
    """A text whose first line says NO_OF_FRAMES and that names markers."""
    lines = source.opening
    return bool(lines) and lines[0].startswith(TOP) and any(x.startswith(MARKERS) for x in lines)


def read(source: Source) -> People:
    """Read the markers as one person."""
    lines = source.read_text(MAX_BYTES, "a TSV file").split("\n")
    facts, first = _facts(source, lines)
    names = tuple(name for name in facts[MARKERS] if name)
    if facts.get("DATA_INCLUDED", ["3D"])[:1] != ["3D"]:
        raise source.error("holds no 3D markers", "export 3D data from QTM")
    if not names:
        raise source.error("no markers in its header", "export it from QTM again")
    points = _points(source, lines, first, len(names))
    points[(points == 0).all(-1)] = np.nan
    fps = _rate(facts.get("FREQUENCY", [""])[:1])
    places = checked_points(source, points, names)
    return {"0": FileMotion(places, names, fps=fps, unit="mm", up="z")}


def _facts(source: Source, lines: list[str]) -> tuple[dict[str, list[str]], int]:
    """Keys of the header with their cells, and the first line of the frames."""
    facts: dict[str, list[str]] = {}
    first = 0
    for line in lines[:MAX_HEADER]:
        key, *cells = (cell.strip() for cell in line.rstrip("\r").split("\t"))
        if _is_number(key):
            break
        facts[key] = cells
        first += 1
    if MARKERS not in facts:
        raise source.error(f"no row {MARKERS}", "export it from QTM again")
    return facts, first


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _points(source: Source, lines: list[str], first: int, n_markers: int) -> np.ndarray:
    """Places (F, N, 3); the columns before them are frame and time."""
    rows, width = [], 3 * n_markers
    for i, line in enumerate(lines[first:], start=first + 1):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        while len(cells) > width + 2 and not cells[-1].strip():
            cells.pop()
        before = len(cells) - width
        if before not in (0, 1, 2):
            raise source.error(
                f"{len(cells)} cells, but {n_markers} markers", "export it again", f"line {i}"
            )
        rows.append(_numbers(source, cells[before:], i))
    if not rows:
        raise source.error("a table without rows", "export it from QTM again")
    return np.array(rows).reshape(len(rows), n_markers, 3)


def _numbers(source: Source, cells: list[str], line: int) -> list[float]:
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
    except ValueError as error:
        raise source.error(f"{str(error)[:80]}", "export numbers", f"line {line}") from None


def _rate(cells: list[str]) -> float | None:
    rate = float(cells[0]) if cells and _is_number(cells[0]) else 0.0
    return rate if 0 < rate < 100_000 else None


FORMAT = MotionFormat("qualisys-tsv", "Qualisys TSV of 3D markers", suits, read)

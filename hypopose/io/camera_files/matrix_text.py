"""A bare camera matrix as text: three lines of three numbers, with spaces, commas or semicolons.

Scripts write it with ``numpy.savetxt``, Stray Scanner as ``camera_matrix.csv``. The size of the
picture is not in the file.
"""

from __future__ import annotations

import re

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.source import Source


def suits(source: Source) -> bool:
    """Three lines of three numbers, and nothing else but comments."""
    return _rows(source.opening) is not None


def read(source: Source) -> Tables:
    """The camera, named as the file."""
    return {source.path.stem: {"matrix": _rows(source.opening)}}


def _rows(lines: list[str]) -> list[list[float]] | None:
    """The matrix; None if the lines hold anything else."""
    said = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    words = [re.split(r"[\s,;]+", line.strip()) for line in said[:4]]
    if [len(row) for row in words] != [3, 3, 3]:
        return None
    try:
        return [[float(word) for word in row] for row in words]
    except ValueError:
        return None


FORMAT = CameraFormat("a 3 x 3 camera matrix as text", suits, read)

"""What is inside an HDF5, MATLAB, NetCDF-3, Parquet or C3D file: arrays and attributes by path.

The file is read by :mod:`hypopose.io.untrusted.reading_process` in a process of its own, so that a
damaged file cannot crash this one; the result is an npz without pickles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.errors import BackendError, FormatError

WORKER = Path(__file__).with_name("reading_process.py")
FREE_BYTES = 64 * 2**20
MAX_BYTES = 4 * 2**30
MAX_RATIO = 200
CPU_SECONDS = 20
"""Processor time for a file, and a second more for every 4 MiB of it."""
WALL_FACTOR = 15
"""A busy machine may take this many times as long; damaged files spend processor time."""

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"MATLAB 7.3 MAT-file", "hdf5"),  # HDF5 behind a header of 512 bytes
    (b"MATLAB 5.0 MAT-file", "mat5"),
    (b"CDF\x01", "netcdf3"),
    (b"CDF\x02", "netcdf3"),
    (b"PAR1", "parquet"),
)
NAMES = {
    "hdf5": "HDF5",
    "mat5": "MATLAB",
    "netcdf3": "NetCDF-3",
    "parquet": "Parquet",
    "c3d": "C3D",
}
EXTRAS = {"c3d": "export"}
"""Which optional packages bring a library; ``formats`` where none is named."""


@dataclass(frozen=True, eq=False)
class Tree:
    """The contents of a container file.

    Args:
        kind: ``hdf5``, ``mat5``, ``netcdf3``, ``parquet`` or ``c3d``.
        arrays: Numeric and text arrays by path, ``/df/table``; fields of records are arrays of
            their own.
        attributes: By path (the file's own under the empty text) and name: numbers, text, lists,
            or bytes.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, Mapping[str, Any]]

    def texts(self, path: str) -> list[str]:
        """A text array, flat; numbers become text."""
        array = self.arrays[path].ravel()
        if array.dtype.kind == "S":
            return [bytes(v).decode("utf-8", "replace") for v in array]
        return [str(v) for v in array]

    def attribute(self, path: str, name: str) -> Any:
        """An attribute as number, text, list or bytes; None if absent."""
        return self.attributes.get(path, {}).get(name)

    @property
    def listed(self) -> str:
        """The paths, shortened for messages."""
        names = [name.lstrip("/")[:40] for name in self.arrays]
        return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def container_kind(head: bytes) -> str | None:
    """Which container a file is by its first bytes."""
    return next((kind for magic, kind in MAGIC if head.startswith(magic)), None)


def read_tree(path: Path, kind: str) -> Tree:
    """Everything in the file.

    Args:
        path: The file.
        kind: What it is.

    Returns:
        Arrays and attributes.

    Raises:
        FormatError: If the file is damaged, too large, or reaches beyond itself; the message is a
            reason without the file's name.
        BackendError: If the library that reads it is not installed.
    """
    size = path.stat().st_size
    allowed = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * size))
    seconds = CPU_SECONDS + size // 2**22
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "contents.npz"
        words = [kind, str(path.absolute()), str(target), str(allowed), str(seconds)]
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(WORKER), *words],
                capture_output=True,
                timeout=WALL_FACTOR * seconds,
                check=False,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except subprocess.TimeoutExpired:
            raise FormatError(f"it was not read within {WALL_FACTOR * seconds} s") from None
        if done.returncode:
            raise _refusal(kind, done.returncode, done.stderr.decode("utf-8", "replace"))
        with np.load(target, allow_pickle=False) as stored:
            index = json.loads(stored["index"].item())
            arrays = {name: stored[f"a{i}"] for i, name in enumerate(index["names"])}
    attributes = {
        place: {name: with_bytes(value) for name, value in values.items()}
        for place, values in index["attributes"].items()
    }
    return Tree(kind, arrays, attributes)


def with_bytes(value: Any) -> Any:
    """An attribute as the isolated process wrote it, with its bytes made bytes again."""
    if isinstance(value, dict):
        return value["bytes"].encode("latin-1")
    return [with_bytes(v) for v in value] if isinstance(value, list) else value


def _refusal(kind: str, code: int, stderr: str) -> Exception:
    last = (stderr.strip().splitlines() or [""])[-1][:200]
    if code == 4:
        return BackendError(
            f"Reading {NAMES[kind]} needs {last.removeprefix('missing:')}, which is not installed; "
            f"pip install 'hypopose[{EXTRAS.get(kind, 'formats')}]'."
        )
    if code == 3:
        return FormatError(last)
    return FormatError(f"the {NAMES[kind]} library could not get through it (code {code})")

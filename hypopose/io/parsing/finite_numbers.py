"""Numbers of files from elsewhere: finite, of a kind, of a shape; texts within a size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from hypopose.errors import FormatError
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive

LARGEST = 1e9
"""No coordinate, angle or length of a file is larger, in any unit."""


def finite(word: str) -> float:
    """A finite number of plausible size.

    Raises:
        ValueError: If the word is something else.

    Example:
        >>> finite("2.5")
        2.5
    """
    value = float(word)
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{word[:40]!r} is not a finite number below {LARGEST:g}")
    return value


def finites(words: list[str], n: int) -> np.ndarray:
    """The first ``n`` of some words as finite numbers.

    Raises:
        ValueError: If there are fewer, or one is not a finite number.
    """
    if len(words) < n:
        raise ValueError(f"{n} numbers are needed, got {' '.join(words)[:40]!r}")
    return np.array([finite(word) for word in words[:n]])


def read_lines(path: Path, most: int) -> list[str]:
    """Lines of a text file.

    Args:
        path: The file.
        most: Larger files, in bytes, are refused.

    Raises:
        FormatError: If it cannot be read, or is too large.
    """
    source = Source(path)
    if source.is_folder:
        raise FormatError(f"{path} is a folder; name a file in it.")
    try:
        if path.stat().st_size > most:
            raise FormatError(f"{path} is larger than {most // 10**6} MB; split it.")
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error


def numeric(
    archive: NpzArchive,
    name: str,
    path: Path,
    *,
    ndim: int | None = None,
    largest: float = LARGEST,
) -> np.ndarray:
    """A finite numeric array of an archive as float64.

    Args:
        archive: Has it.
        name: Of the array.
        path: Named in errors.
        ndim: Its axes; any number if None.
        largest: Its values are smaller.

    Raises:
        FormatError: If it is text, not finite, or has other axes.
    """
    return check_numeric(archive.array(name), name, path, ndim=ndim, largest=largest)


def check_numeric(
    array: np.ndarray,
    name: str,
    path: Path,
    *,
    ndim: int | None = None,
    gaps: bool = False,
    largest: float = LARGEST,
) -> np.ndarray:
    """The same for an array.

    Args:
        array: Of a file.
        name: What it is.
        path: Named in errors.
        ndim: Its axes; any number if None.
        gaps: Whether NaN is allowed.
        largest: Its values are smaller.

    Raises:
        FormatError: If it is text, not finite, or has other axes.
    """
    if array.dtype.kind not in "iuf" or (ndim is not None and array.ndim != ndim):
        raise FormatError(
            f"{path}: {name} is {array.dtype} {array.shape}, not numbers"
            + (f" with {ndim} axes." if ndim is not None else ".")
        )
    values = array.astype(np.float64)
    known = values[~np.isnan(values)] if gaps else values
    if not (np.abs(known) <= largest).all():
        raise FormatError(f"{path}: {name} holds what is not a finite number.")
    return values

"""Checks of every path before it is opened: regular files only, and within a size limit.

A pipe or a device has no end, a link may lead in a circle, and a name may hold bytes that no file
system takes. All of these are refused in one line that names the file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hypopose.errors import FormatError


def check_regular(path: str | Path, what: str = "a file") -> Path:
    """Refuse what is no regular file, before anything is opened.

    Args:
        path: Any path.
        what: What it should be, for the message: ``"a calibrator"``.

    Returns:
        The path.

    Raises:
        FormatError: If there is no such file, or it is a folder, a pipe, a device or a link in a
            circle.

    Example:
        >>> check_regular(__file__).name
        'files.py'
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise FormatError(f"{shown(path)}: {_reason(error)}; give {what}.") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise FormatError(f"{shown(path)}: is {kind}, not a file; give {what}.")
    return Path(path)


def read_bounded(path: str | Path, max_bytes: int, what: str = "a file") -> bytes:
    """The bytes of a regular file of limited size.

    Args:
        path: Any path.
        max_bytes: A larger file is refused.
        what: What it should be, for the message.

    Raises:
        FormatError: If it is no regular file, larger, or cannot be read.

    Example:
        >>> read_bounded(__file__, 10**6)[:3]
        b'\"\"\"'
    """
    checked = check_regular(path, what)
    try:
        with checked.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise FormatError(f"{shown(path)}: {_reason(error)}; check its rights.") from None
    if len(data) > max_bytes:
        raise FormatError(f"{shown(path)}: more than {max_bytes} bytes; this is not {what}.")
    return data


def shown(path: str | Path) -> str:
    r"""A path as text that any terminal takes.

    Example:
        >>> shown("a\x1b[2Jb")
        'a?[2Jb'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else "?" for c in text)


RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))]
)
"""Names that Windows keeps for devices, with any ending."""

_FORBIDDEN = frozenset('<>:"/\\|?*')


def portable_name(text: str) -> str:
    """A name of a file, made of somebody else's text, that every file system takes.

    Args:
        text: The name of a person or an input, without an ending.

    Returns:
        The same with ``_`` for characters that are no part of names, without dots and spaces at
        its end, and not one that Windows keeps for a device.

    Example:
        >>> portable_name("12:30 a/b."), portable_name("con"), portable_name("walk.1")
        ('12_30 a_b', 'con_', 'walk.1')
    """
    kept = "".join("_" if c in _FORBIDDEN or ord(c) < 32 else c for c in text).rstrip(". ")
    reserved = kept.partition(".")[0].rstrip(" ").lower() in RESERVED
    if reserved:
        stem, dot, rest = kept.partition(".")
        kept = f"{stem}_{dot}{rest}"
    return kept or "_"


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError):
        return f"cannot be opened ({error.strerror or type(error).__name__})"
    return f"is not a path ({str(error)[:60]})"

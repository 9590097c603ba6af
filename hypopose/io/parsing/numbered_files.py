"""A folder of one file per frame, numbered by the last number in their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hypopose.io.source import Source


def files_ending(source: Source, suffix: str) -> list[Path]:
    """A folder's files with this ending, hidden ones left out, in alphabetical order.

    Raises:
        FormatError: If the folder cannot be read.
    """
    try:
        return sorted(
            p
            for p in source.path.iterdir()
            if p.suffix.lower() == suffix and p.name[0] != "." and p.is_file()
        )
    except OSError:
        raise source.error("the folder cannot be read", "check its rights") from None


def numbered(source: Source, files: Sequence[Path]) -> list[tuple[int, Path]]:
    """The files of one recording with their frame numbers, in the order of these.

    Args:
        source: The folder.
        files: Its files.

    Raises:
        FormatError: If they are of several recordings, are not numbered or number a frame twice,
            or if one of them is a link out of the folder.
    """
    found: dict[int, Path] = {}
    prefixes: set[str] = set()
    for path in files:
        frame, prefix = _frame_number(source, path)
        prefixes.add(prefix)
        if len(prefixes) > 1:
            raise source.error(
                f"files of several recordings ({' and '.join(sorted(prefixes))})",
                "give each its own folder",
            )
        if frame in found:
            raise source.error(
                f"{found[frame].name} and {path.name} are both frame {frame}", "remove one"
            )
        found[frame] = path
    return sorted(found.items())


def _frame_number(source: Source, path: Path) -> tuple[int, str]:
    if path.is_symlink() and path.resolve().parent != source.path.resolve():
        raise source.error(f"{path.name} is a link out of the folder", "copy the file instead")
    stem = path.stem.removesuffix("_keypoints")
    digits = re.findall(r"\d+", stem, re.ASCII)
    if not digits:
        raise source.error(f"{path.name} has no frame number in its name", "number the files")
    if len(digits[-1]) > 18:
        raise source.error(f"{path.name} has too large a frame number", "number the files from 0")
    return int(digits[-1]), stem[: stem.rindex(digits[-1])]

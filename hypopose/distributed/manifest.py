"""Manifests: the progress of a run over many inputs, one JSON line appended per input.

A line is written when an input is done or has failed. A resumed run reads the file and continues
with the remaining inputs, on the same machines or on others. The last line of an input counts; a
line truncated by a crash is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from hypopose.errors import FormatError, OptionError

FORMAT = "hypopose manifest 1"

State = Literal["done", "failed"]


@dataclass(frozen=True)
class Entry:
    """What became of one input.

    Args:
        input: Its path.
        state: ``done`` or ``failed``.
        options: Fingerprint of the run's options: entries of other options do not count.
        stamp: Size in bytes and time of the last change in nanoseconds, when it was read.
        attempt: How many times it was tried.
        seconds: How long the last attempt took.
        error: Why it failed.
        rows: What was written, as plain values.
    """

    input: str
    state: State
    options: str = ""
    stamp: tuple[int, int] | None = None
    attempt: int = 1
    seconds: float = 0.0
    error: str = ""
    rows: tuple[dict[str, Any], ...] = ()


@dataclass
class Manifest:
    """Entries by input, and the file that keeps them.

    Args:
        path: Its file; it is made with the first entry.
        options: Fingerprint of this run's options.

    Raises:
        FormatError: If the file is there and not a manifest.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "manifest.jsonl"
        >>> with Manifest(path, "a") as manifest:
        ...     manifest.add(Entry("walk.json", "done", "a"))
        >>> with Manifest(path, "a") as again, Manifest(path, "b") as other:
        ...     sorted(again.entries), sorted(other.entries)
        (['walk.json'], [])
    """

    path: Path
    options: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)
    _file: IO[str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.entries |= {
                entry.input: entry for entry in _read(self.path) if entry.options == self.options
            }

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, entry: Entry) -> None:
        """Keep an entry, in the file at once.

        Raises:
            OptionError: If the file cannot be written.
        """
        self.entries[entry.input] = entry
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(json.dumps(asdict(entry), ensure_ascii=True) + "\n")
            self._file.flush()
        except OSError as error:
            raise OptionError(
                f"{self.path}: cannot be written ({error.strerror}); free space or name another -o."
            ) from None

    def _opened(self) -> IO[str]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists() or not self.path.stat().st_size
        cut = not is_new and not _ends_a_line(self.path)
        file = self.path.open("a", encoding="utf-8")
        if is_new or cut:
            file.write(json.dumps({"format": FORMAT}) + "\n" if is_new else "\n")
        return file


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size and time of the last change of a file; None for a folder or what is not there.

    Example:
        >>> stamp_of(Path("/no/such/file")) is None
        True
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if path.is_file() else None


def _read(path: Path) -> list[Entry]:
    with path.open(encoding="utf-8", errors="replace") as file:
        head = _json(file.readline())
        if head.get("format") != FORMAT:
            raise FormatError(f"{path} is not a manifest of HypoPose; move it away.")
        found = (_json(line) for line in file)
        return [entry for values in found if (entry := _entry(values)) is not None]


def _json(line: str) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _entry(values: Mapping[str, Any]) -> Entry | None:
    """An entry, or None for a line that is damaged."""
    try:
        stamp = values["stamp"]
        return Entry(
            input=str(values["input"]),
            state="done" if values["state"] == "done" else "failed",
            options=str(values["options"]),
            stamp=None if stamp is None else (int(stamp[0]), int(stamp[1])),
            attempt=int(values["attempt"]),
            seconds=float(values["seconds"]),
            error=str(values["error"]),
            rows=tuple(dict(row) for row in values["rows"]),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"

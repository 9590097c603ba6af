"""A file or folder while its format is being detected: parsed once, errors with its name."""

from __future__ import annotations

import contextlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from hypopose.errors import FormatError
from hypopose.io.untrusted.containers import NAMES, Tree, container_kind, read_tree

MAX_JSON_BYTES = 512 * 2**20
"""A JSON file larger than this is refused: parsed, it would need ten times as much memory."""

OPENING_BYTES = 2**20
"""How much of a text file is looked at to find out its format."""

_ZIP_MAGIC = b"PK\x03\x04"
_NPY_MAGIC = b"\x93NUMPY"
_ARCHIVES = {
    b"xl/": "an Excel workbook (save it as CSV)",
    b"[Content_Types].xml": "an Office document (save the table as CSV)",
    b"/data.pkl": "a PyTorch file, which holds pickles and is not read (save it with numpy)",
}
"""What zip archives are that hold no arrays, by names in them."""
_TABLES = (".csv", ".tsv", ".txt")


class DoubtfulInputWarning(UserWarning):
    """A file was read, but something about it makes the result doubtful."""


class Source:
    """A file or folder that is being tried by several formats; it is parsed once.

    Args:
        path: An existing file or folder.

    Raises:
        FormatError: If the path is absent, or is neither a file nor a folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.is_folder = self.path.is_dir()
            is_file = self.path.is_file()
        except (OSError, ValueError) as error:
            raise self.error(f"cannot be opened ({_reason(error)})", "check the path") from None
        if not self.is_folder and not is_file:
            problem = "is not a file or folder" if self.path.exists() else "does not exist"
            raise self.error(problem, "check the path")

    def error(self, problem: str, cure: str, place: str = "") -> FormatError:
        """One line: file, place, problem; cure."""
        where = f"{_printable(self.path)}: {place}: " if place else f"{_printable(self.path)}: "
        return FormatError(printable(" ".join(f"{where}{problem}; {cure}.".split())))

    @cached_property
    def head(self) -> bytes:
        """The first bytes of a file; nothing for a folder."""
        if self.is_folder:
            return b""
        try:
            with self.path.open("rb") as file:
                return file.read(64)
        except OSError as error:
            raise self.error(f"cannot be read ({_reason(error)})", "check its rights") from None

    @cached_property
    def start(self) -> bytes:
        """The first 4 KiB of a file."""
        try:
            with self.path.open("rb") as file:
                return file.read(4096)
        except OSError as error:
            raise self.error(f"cannot be read ({_reason(error)})", "check its rights") from None

    @property
    def is_json(self) -> bool:
        """Whether the file could be a JSON list or object."""
        text = self.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return text[:1] in (b"[", b"{")

    @property
    def is_npz(self) -> bool:
        """Whether the file could be an npz archive."""
        is_zip = self.head.startswith(_ZIP_MAGIC)
        return is_zip and not any(word in self.start for word in _ARCHIVES)

    @property
    def is_npy(self) -> bool:
        """Whether the file could be a single numpy array."""
        return self.head.startswith(_NPY_MAGIC)

    @cached_property
    def json(self) -> Any:
        """The parsed JSON."""
        size = self.path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise self.error(
                f"{size / 2**20:.0f} MiB of JSON, more than {MAX_JSON_BYTES // 2**20}",
                "split the recording into several files",
            )
        try:
            return _parsed(self.read_bytes())
        except json.JSONDecodeError as error:
            raise self.error(
                f"not valid JSON ({error.msg})",
                "the file may be cut off, write it again",
                f"line {error.lineno} column {error.colno}",
            ) from None
        except RecursionError:
            raise self.error("JSON nested too deeply", "this is not a keypoint file") from None
        except UnicodeDecodeError as error:
            raise self.error(
                "JSON text is not UTF-8", "save it as UTF-8", f"byte {error.start}"
            ) from None
        except (ValueError, MemoryError) as error:
            raise self.error(f"not valid JSON ({_reason(error)})", "write it again") from None

    @cached_property
    def opening(self) -> list[str]:
        """The first lines of a text file without a byte order mark; none if it is no text."""
        if self.is_folder or self.container is not None or self.is_npz or self.is_npy:
            return []
        try:
            with self.path.open("rb") as file:
                start = file.read(OPENING_BYTES)
        except OSError as error:
            raise self.error(f"cannot be read ({_reason(error)})", "check its rights") from None
        if b"\x00" in start:
            return []
        try:
            lines = start.decode("utf-8-sig").split("\n", 40)
        except UnicodeDecodeError as error:
            if error.start < len(start) - 4:
                return []
            lines = start[: error.start].decode("utf-8-sig").split("\n", 40)
        return [line.rstrip("\r") for line in lines[:40]]

    @property
    def container(self) -> str | None:
        """``hdf5``, ``netcdf3`` or ``parquet``, judged by the first bytes."""
        return container_kind(self.head)

    @cached_property
    def tree(self) -> Tree:
        """The contents of an HDF5, NetCDF-3 or Parquet file, read in a process of its own.

        Raises:
            BackendError: If the library is not installed.
        """
        kind = self.container
        if kind is None:
            raise self.error("is not an HDF5, NetCDF or Parquet file", "write it again")
        try:
            return read_tree(self.path, kind)
        except FormatError as error:
            raise self.error(
                f"not a readable {NAMES[kind]} file ({error})", "write it again, in one file"
            ) from None
        except OSError as error:
            raise self.error(f"cannot be read ({_reason(error)})", "check its rights") from None

    def read_text(self, max_bytes: int, what: str) -> str:
        """The whole file as UTF-8 text without a byte order mark.

        Args:
            max_bytes: A larger file is refused.
            what: What the file should be, for the message: ``"a camera file"``.

        Raises:
            FormatError: If the file is larger, or not UTF-8.
        """
        size = self.path.stat().st_size
        if size > max_bytes:
            raise self.error(f"{size} bytes, more than {max_bytes}", f"this is not {what}")
        try:
            return self.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error("text is not UTF-8", f"give {what}", f"byte {error.start}") from None

    def read_bytes(self) -> bytes:
        """The whole file."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self.error(f"cannot be read ({_reason(error)})", "check its rights") from None

    @property
    def contents(self) -> str:
        """A few words on what is in it, for messages."""
        if self.is_folder:
            return "a folder without frames of OpenPose or YOLO"
        if self.path.stat().st_size == 0:
            return "an empty file"
        if self.is_json:
            return _describe_json(self.json)
        if self.container is not None:
            return f"a {NAMES[self.container]} file with {self.tree.listed or 'no arrays'}"
        return _describe_bytes(self.start, self.path.suffix)


def _parsed(raw: bytes) -> Any:
    """The JSON of a file; a list of its lines if each is an object or list of its own.

    Raises:
        ValueError: If it is neither.
    """
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
        lines = [line for line in raw.split(b"\n") if line.strip()]
        with contextlib.suppress(ValueError):
            values = [json.loads(line) for line in lines]
            if all(isinstance(value, (list, dict)) for value in values):
                return values
        raise


def _describe_bytes(start: bytes, suffix: str) -> str:
    """A description of a file that is neither JSON nor a container."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text in UTF-16 (save it as UTF-8)"
    if start.startswith(_ZIP_MAGIC):
        return next((what for word, what in _ARCHIVES.items() if word in start), "a zip archive")
    if suffix.lower() in (".pkl", ".pickle") or start[:1] == b"\x80":
        return "a pickle, which could run code and is not read (save CSV, JSON or npz)"
    if b"\0" not in start and not _is_utf8(start):
        return "text that is not UTF-8 (save it as UTF-8)"
    return f"a {suffix or 'nameless'} file{_describe_columns(start, suffix)}"


def _describe_columns(start: bytes, suffix: str) -> str:
    first = start.split(b"\n", 1)[0].decode("utf-8", "replace")
    is_table = suffix.lower() in _TABLES and any(c.isalpha() for c in first)
    return f" with the columns {first.strip()[:120]}" if is_table else ""


def _is_utf8(start: bytes) -> bool:
    """Whether the start of a file is UTF-8; its last character may be cut off."""
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(start) - 4
    return True


def _describe_json(value: Any) -> str:
    if isinstance(value, dict):
        keys = ", ".join(repr(key[:40]) for key in list(value)[:6])
        return f"a JSON object with {f'the keys {keys}' if keys else 'no keys'}"
    if not value:
        return "an empty JSON list, so no person was detected"
    first = value[0]
    if isinstance(first, dict):
        return f"a JSON list of objects with the keys {', '.join(repr(k[:40]) for k in first)}"[
            :300
        ]
    return f"a JSON list of {type(first).__name__}"


def printable(text: str) -> str:
    """Text that any terminal and file can take: odd characters become question marks."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__)[:120]

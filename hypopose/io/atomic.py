"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hypopose.errors import OptionError
from hypopose.files import portable_name, shown

WINDOWS = os.name == "nt"

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM,
            errno.EIO, errno.ENAMETOOLONG)  # fmt: skip


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Write to a temporary file beside ``path`` and move it there when done.

    The temporary file has the same ending, so that libraries which choose by ending work. It is
    flushed to disk before the move and removed if anything goes wrong. A file that is replaced
    keeps its access rights; a link is written through.

    Args:
        path: The file to make or replace.

    Yields:
        The temporary file to write: absent yet, in the same folder.

    Raises:
        OptionError: If the folder does not exist, or ``path`` is a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     target = Path(folder) / "a.txt"
        ...     with write_atomically(target) as temporary:
        ...         _ = temporary.write_text("done")
        ...     target.read_text(), len(list(Path(folder).iterdir()))
        ('done', 1)
    """
    target = _checked_target(path)
    stem = os.fsencode(target.stem)[:100].decode("utf-8", "replace")  # for libraries in C
    temporary = target.parent / f".{stem}.{secrets.token_hex(6)}{target.suffix}"
    try:
        yield temporary
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        _flush(temporary)
        temporary.replace(target)
        with suppress(OSError):  # some file systems cannot flush a folder
            _flush(target.parent)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OptionError(_not_written(path, error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def write_together(paths: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Write several files of one folder so that all of them appear, or none.

    Args:
        paths: The files to make or replace, all in one folder.

    Yields:
        Where to write them first: the same names in a new folder beside them, on the same file
        system.

    Raises:
        OptionError: As :func:`write_atomically`.
    """
    targets = [_checked_target(path) for path in paths]
    folder = targets[0].parent / f".hypopose.{secrets.token_hex(6)}"
    try:
        folder.mkdir()
        written = tuple(folder / target.name for target in targets)
        yield written
        for temporary, target in zip(written, targets, strict=True):
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
        for temporary, target in zip(written, targets, strict=True):
            temporary.replace(target)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OptionError(_not_written(paths[0], error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked_target(path: str | Path) -> Path:
    """The file that a path leads to, links followed."""
    try:
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode if target.exists() else None
    except (OSError, ValueError) as error:
        raise OptionError(f"{shown(path)}: is not a path that can be written ({error}).") from None
    if WINDOWS and portable_name(target.name) != target.name:
        raise OptionError(
            f"{shown(path)} is not a file name on Windows; name it {portable_name(target.name)}."
        )
    if not target.parent.is_dir():
        raise OptionError(f"The folder {shown(target.parent)} does not exist; make it first.")
    if mode is not None and not stat.S_ISREG(mode):
        kind = "folder; name a file in it" if stat.S_ISDIR(mode) else "pipe or device; name a file"
        raise OptionError(f"{shown(path)} is a {kind}.")
    return target


def _not_written(path: str | Path, error: OSError) -> str:
    return (
        f"{shown(path)}: could not be written ({error.strerror}); nothing was changed. Make room, "
        "or name a place that can be written."
    )


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

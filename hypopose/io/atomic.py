"""Files appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypopose.errors import OptionError


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
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise OptionError(f"The folder {target.parent} does not exist; make it first.")
    if target.is_dir():
        raise OptionError(f"{path} is a folder; name a file in it.")
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
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Lock files, so that processes on one machine or many share a folder and do each input once.

The process that works on an input holds a lock file beside its result. The file is created
atomically and touched every half minute. It is abandoned, and may be taken over, if it was not
touched for five minutes or if its process on this machine has ended.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TOUCH_S = 30.0
EXPIRY_S = 300.0


@contextmanager
def claim(result: Path) -> Iterator[bool]:
    """Hold the lock of a result for a while.

    Args:
        result: The file that will be written; its folder is created.

    Yields:
        True if the result is ours to make, False if another process is at it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "walk.npz"
        >>> with claim(path) as ours, claim(path) as again:
        ...     ours, again
        (True, False)
    """
    lock = result.with_name(f".{result.name}.lock")
    if not _taken(lock):
        yield False
        return
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lock, done), daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        lock.unlink(missing_ok=True)


def _taken(lock: Path) -> bool:
    """Take the lock, also from a process that has ended."""
    for _ in range(2):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"host": socket.gethostname(), "process": os.getpid()}, file)
            return True
        holder = _holder(lock)
        if holder is not None and not (_abandoned(lock, holder) and _removed(lock, holder)):
            return False
    return False


def _holder(lock: Path) -> str | None:
    """The contents of the lock file; None if it was removed just now."""
    try:
        return lock.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _abandoned(lock: Path, holder: str) -> bool:
    try:
        age = time.time() - lock.stat().st_mtime
        who = json.loads(holder)
    except FileNotFoundError:
        return False
    except ValueError:
        return age > EXPIRY_S  # being written, or truncated
    here = who.get("host") == socket.gethostname()
    return age > EXPIRY_S or (here and not _runs(int(who.get("process", 0))))


def _removed(lock: Path, holder: str) -> bool:
    """Remove an abandoned lock, unless another process has taken it over in the meantime."""
    away = lock.with_name(f"{lock.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        lock.rename(away)  # of several processes, one succeeds
    except FileNotFoundError:
        return False
    ours = away.read_text(encoding="utf-8") == holder
    if not ours:
        with suppress(FileExistsError):
            os.link(away, lock)
    away.unlink()
    return ours


def _runs(process: int) -> bool:
    """Whether a process of this machine exists."""
    if os.name != "posix":
        return True  # on Windows signal 0 ends the process; only the lock's age is used there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _keep(lock: Path, done: threading.Event) -> None:
    while not done.wait(TOUCH_S):
        with suppress(OSError):
            os.utime(lock)

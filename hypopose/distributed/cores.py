"""The number of threads for a run: the idle cores, and one for small inputs.

torch takes every core it sees. On a busy machine, or in a container that may use less than the
machine has, its threads then wait for each other: a clip of 120 frames took ten times the processor
time of one thread. Small inputs gain nothing from threads even on an idle machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch

from hypopose.checks import check_between

SMALL = 50_000
"""Up to so many frames of hypotheses one thread is as quick: about three seconds of its work."""

_GIVEN: ContextVar[bool] = ContextVar("given", default=False)
"""Whether a caller of :func:`threads` named a number."""

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much processor time a container gets."""


def available_cores() -> int:
    """Cores that this process may use: by its affinity, and by the quota of its container.

    Example:
        >>> available_cores() >= 1
        True
    """
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    n = len(allowed(0)) if allowed is not None else os.cpu_count() or 1
    return max(1, min(n, _quota()))


def _quota() -> int:
    """Cores of the container's quota; a large number without one."""
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()[:2]
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return 1 << 20


def choose_threads(work: int) -> int:
    """Threads for so much work: one if it is little, else as many as there are idle cores.

    ``OMP_NUM_THREADS`` is respected, and never more threads are chosen than torch has now.

    Args:
        work: Frames of all hypotheses of all clips.

    Returns:
        At least 1.

    Example:
        >>> choose_threads(20 * 120) <= torch.get_num_threads()
        True
    """
    present = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ:
        return present
    return 1 if work <= SMALL else min(present, idle_cores())


def idle_cores() -> int:
    """Cores that this process may use and that other work leaves idle, at least one.

    Example:
        >>> 1 <= idle_cores() <= available_cores()
        True
    """
    return max(1, round(available_cores() - _load()))


def _load() -> float:
    """Processes that ran or waited to run over the last minute, on average; 0 if unknown."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return 0.0


@contextmanager
def threads(n: int | None = None, *, work: int = SMALL + 1) -> Iterator[int]:
    """Let torch use so many threads for a while; the number it had comes back afterwards.

    Inside another such block that was given a number, that number stays.

    Sums may be rounded differently with another number of threads: poses move by less than a
    micrometer. Give ``n`` where bits must be equal on every machine.

    Args:
        n: Threads; None for :func:`choose_threads`.
        work: Frames of all hypotheses of all clips.

    Yields:
        The number of threads.

    Raises:
        OptionError: If ``n`` is below 1.

    Example:
        >>> with threads(1) as n:
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    chosen = n or (before if _GIVEN.get() else choose_threads(work))
    check_between(1, 4096, threads=chosen if n is None else n)
    given = _GIVEN.set(n is not None or _GIVEN.get())
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)
        _GIVEN.reset(given)

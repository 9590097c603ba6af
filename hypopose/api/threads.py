"""How many threads a computation gets: enough for its size, and no more than there are idle cores.

Torch takes every core by default. On a machine that is busy with other work its threads then wait
for each other, and small inputs pay more for handing work out than for doing it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hypopose.errors import OptionError

SMALL = 50_000
"""Poses (frames times hypotheses times network evaluations) up to which one thread is quickest."""


def idle_cores() -> int:
    """Cores that this process may use and that other work leaves idle, at least one.

    Example:
        >>> idle_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, round(allowed - busy))


def suitable_threads(n_poses: int) -> int:
    """Threads for an input of this size; never more than torch was set to use.

    Args:
        n_poses: Frames times hypotheses times network evaluations.

    Example:
        >>> suitable_threads(100)
        1
    """
    return 1 if n_poses <= SMALL else min(idle_cores(), torch.get_num_threads())


@contextmanager
def limited_threads(n_threads: int | None, n_poses: int) -> Iterator[None]:
    """Let torch use this many threads for a while.

    Args:
        n_threads: How many; None for what suits the input.
        n_poses: Size of the input, see :func:`suitable_threads`.

    Raises:
        OptionError: If the number is not positive.
    """
    if n_threads is not None and n_threads < 1:
        raise OptionError(f"threads must be at least 1, got {n_threads}.")
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or suitable_threads(n_poses))
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Processes that train one network together, each on its part of every batch.

Small networks leave most of a second core idle: their operations are too short to be divided. Two
processes with a core each, which add up their gradients, have no such trouble.

The first process leads: it keeps the log, the checkpoint and the clock, and tells the others before
every step whether there is another. All of them hold the same weights and take the same steps.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing, nn

from hypopose.errors import BackendError

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: validations and compilers take minutes."""


MEETING = timedelta(minutes=2)
"""How long processes wait for one another before they first talk."""

INTERFACE = "GLOO_SOCKET_IFNAME"
"""Environment variable that names the network interface; what is set is left alone."""

BROKEN = (
    "A training process ended before its time (if it could say why, that is above); train with "
    "fewer processes, and begin scripts that train below `if __name__ == '__main__':`."
)
"""What the leader says when another process is gone."""


class Team:
    """The processes of a run, as one of them sees it; by default it is alone.

    Args:
        rank: Which process this is; 0 leads.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    def part(self, B: int) -> int:
        """How many of ``B`` windows this process draws; each has one at least.

        Example:
            >>> [Team(rank, 3).part(7) for rank in range(3)]
            [3, 2, 2]
        """
        return max(1, B // self.size + (self.rank < B % self.size))

    def add_up(self, network: nn.Module, share: float, loss: Tensor) -> Tensor:
        """Replace gradients and the loss by those of the whole batch.

        Args:
            network: Has the gradients of this process's part.
            share: Of the batch's windows that are this process's.
            loss: Mean over this part.

        Returns:
            The mean over the batch.
        """
        if self.size == 1:
            return loss
        grads = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in grads), loss.detach().float().view(1)]) * share
        distributed.all_reduce(flat)
        start = 0
        for g in grads:
            g.copy_(flat[start : start + g.numel()].view_as(g))
            start += g.numel()
        return flat[-1]

    @torch.no_grad()
    def agree(self, network: nn.Module) -> None:
        """Give all processes the leader's weights, should rounding ever have parted them."""
        if self.size > 1:
            weights = list(network.parameters())
            flat = torch.cat([p.flatten() for p in weights])
            distributed.broadcast(flat, 0)
            for p, same in zip(weights, flat.split([p.numel() for p in weights]), strict=True):
                p.copy_(same.view_as(p))

    def lead(self, go: bool, seconds: float) -> bool:
        """Tell the others whether there is another step, and the time used; returns ``go``."""
        if self.size > 1:
            distributed.broadcast(torch.tensor([float(go), seconds], dtype=torch.float64), 0)
        return go

    def follow(self) -> tuple[bool, float]:
        """What the leader tells: whether there is another step, and the time used."""
        told = torch.zeros(2, dtype=torch.float64)
        distributed.broadcast(told, 0)
        return bool(told[0]), float(told[1])


@contextmanager
def team(size: int, follow: Callable[..., None], *args: object) -> Iterator[Team]:
    """Start the other processes, and lead them.

    Args:
        size: How many processes there are, this one included.
        follow: What the others run, a function of a module: their team, then ``args``.
        *args: Further arguments of it.

    Raises:
        BackendError: If one of the others ended before its time, if this process belongs to a
            group of processes already, or if torch was built without them.
    """
    if size == 1:
        yield Team()
        return
    if not distributed.is_available() or distributed.is_initialized():
        raise BackendError(
            "Several processes need a torch with torch.distributed, and a process that is in no "
            "group yet; train with processes=1."
        )
    each = max(1, torch.get_num_threads() // size)
    context = multiprocessing.get_context("spawn")
    ready, failed = context.Semaphore(0), context.Event()
    with tempfile.TemporaryDirectory() as folder, _loopback(), _threads(each):
        store = str(Path(folder) / "store")
        others = [
            context.Process(
                target=_other,
                args=(ready, failed, store, Team(rank, size), each, follow, args),
                daemon=True,
            )
            for rank in range(1, size)
        ]
        try:
            with _deaf_to_interrupts():
                for other in others:
                    other.start()
            _await(ready, others)
            _join(store, 0, size)
            yield Team(0, size)
            for other in others:
                other.join()
        except BackendError:
            raise
        except RuntimeError as error:  # what gloo raises when a process is gone
            if failed.is_set() or _killed(others):
                raise BackendError(BROKEN) from error
            raise
        finally:
            _end(others)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _end(others: list[Any]) -> None:
    """Leave no process behind, and no group."""
    for other in others:
        if other.pid is not None:
            other.terminate()
            other.join(5.0)
    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def _loopback() -> Iterator[None]:
    """Processes of one machine talk over its loopback, whatever its name resolves to."""
    names = {name for _, name in socket.if_nameindex()}
    found = [name for name in ("lo", "lo0") if name in names]
    before = os.environ.get(INTERFACE)
    if found and before is None:
        os.environ[INTERFACE] = found[0]
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(INTERFACE, None)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started here do not hear Ctrl-C, which is the leader's to hear."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _await(ready: Any, others: list[Any]) -> None:
    """Wait until every process is there; one that fails before would be waited for in vain."""
    for _ in others:
        while not ready.acquire(timeout=0.2):
            if any(other.exitcode for other in others):
                raise BackendError(BROKEN)


def _killed(others: list[Any]) -> bool:
    """Whether a process ended without a word; one that fails says so itself."""
    started = [other for other in others if other.pid is not None]
    for other in started:
        other.join(1.0)
    return any(other.exitcode for other in started)


def _other(
    ready: Any,
    failed: Any,
    store: str,
    own: Team,
    threads: int,
    follow: Callable[..., None],
    args: tuple[object, ...],
) -> None:
    """What a process that does not lead runs."""
    torch.set_num_threads(threads)
    torch.manual_seed(own.rank)  # dropout differs from process to process
    ready.release()
    try:
        _join(store, own.rank, own.size)
        follow(own, *args)
    except BaseException:
        failed.set()  # before the leader can hear that the connection is gone
        raise
    distributed.destroy_process_group()


def _join(path: str, rank: int, size: int) -> None:
    """Meet the others at a file; they are about to come, so that nobody waits long."""
    store = distributed.FileStore(path, size)  # type: ignore[attr-defined]
    store.set_timeout(MEETING)
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE
    )

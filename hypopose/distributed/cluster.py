"""Many machines through Dask: a cluster, and a map over it that survives the loss of workers.

Needs the extra ``hypopose[cluster]``. Dask's own retries are switched off where possible. If a
worker dies, the items of its task are tried again one by one; an item that kills its process twice
when it is alone is reported and left out.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hypopose.errors import BackendError, OptionError

Item = TypeVar("Item", bound=Hashable)
Outcome = TypeVar("Outcome")
Made = TypeVar("Made")

INSTALL = "pip install 'hypopose[cluster]'"
POLL_S = 1.0
WAIT_FOR_WORKERS_S = 60.0
MOST_ATTEMPTS = 2
"""How often an item is tried alone before it is given up."""
STRAGGLER = 6.0
STRAGGLER_S = 60.0
"""A task is repeated elsewhere after so many times the usual seconds, and not before so many."""


@dataclass(frozen=True)
class Lost:
    """What comes of an item whose process was ended each time.

    Args:
        attempts: How often it was tried alone.
    """

    attempts: int


@dataclass(eq=False)
class _Task(Generic[Item]):
    """Items that are sent to a worker together.

    Args:
        items: Which.
        attempt: Number of the attempt, from 1.
        start: When it was handed over.
        copies: Futures that work on it.
        done: Whether one of them has come back.
    """

    items: tuple[Item, ...]
    attempt: int = 1
    start: float = field(default_factory=time.monotonic)
    copies: int = 1
    done: bool = False


@contextmanager
def open_cluster(where: str, n_workers: int | None = None) -> Iterator[Any]:
    """A client of a cluster, which is closed afterwards if it was started here.

    Args:
        where: ``"local"`` for processes on this machine; ``"slurm"`` for jobs of a SLURM cluster,
            set up in the file ``~/.config/dask/jobqueue.yaml`` of dask-jobqueue; otherwise the
            address of a Dask scheduler, such as ``tcp://10.0.0.5:8786``.
        n_workers: Workers to start, for the first two; None for one per idle core, or 10 jobs.

    Yields:
        A ``distributed.Client``.

    Raises:
        BackendError: If Dask is not installed, or the scheduler cannot be reached.
    """
    dask = _require("dask")
    distributed = _require("distributed")
    quiet = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.worker.memory.terminate": 0.95,
        "distributed.comm.timeouts.connect": "20s",
        "distributed.client.scheduler-info-interval": "5s",
    }
    with dask.config.set(quiet), _cluster(where, n_workers) as address:
        try:
            client = distributed.Client(address, timeout=WAIT_FOR_WORKERS_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise BackendError(
                f"No Dask scheduler answers at {where} ({_first_line(error)}); start one with "
                "'dask scheduler', or use --cluster local."
            ) from None
        try:
            _check_workers(client, where)
            yield client
        finally:
            with suppress(OSError, TimeoutError, RuntimeError):
                client.close(timeout=5)


@contextmanager
def _cluster(where: str, n_workers: int | None) -> Iterator[Any]:
    """What a client connects to."""
    if where == "local":
        from hypopose.distributed.cores import idle_cores

        with _require("distributed").LocalCluster(
            n_workers=n_workers or idle_cores(), threads_per_worker=1, processes=True,
            dashboard_address=":0", silence_logs=50, memory_limit=0,
        ) as cluster:  # fmt: skip
            yield cluster
    elif where == "slurm":
        with _require("dask_jobqueue").SLURMCluster() as cluster:
            cluster.scale(jobs=n_workers or 10)
            yield cluster
    else:
        yield where


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise BackendError(f"--cluster needs the package {package}: {INSTALL}.") from None


def _check_workers(client: Any, where: str) -> None:
    """Wait for a worker; all need this version of HypoPose, or results would differ."""
    from hypopose import __version__

    if where != "slurm":  # whose queue may take hours
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS_S)
        except TimeoutError:
            raise BackendError(
                f"The cluster {where} has no workers; start some with 'dask worker {where}'."
            ) from None
    # A worker that dies meanwhile is ignored.
    answers = client.run(version_here, on_error="ignore")
    versions = set(answers.values()) - {__version__}
    if versions:
        raise BackendError(
            f"Workers of {where} have HypoPose {', '.join(sorted(map(str, versions)))}, this is "
            f"{__version__}; install the same version everywhere."
        )


def version_here() -> str:
    """HypoPose's version, as a worker has it."""
    from hypopose import __version__

    return __version__


def map_on_cluster(
    client: Any,
    function: Callable[[tuple[Item, ...]], Sequence[Outcome]],
    items: Sequence[Item],
    *,
    batch: int | None = None,
) -> Iterator[tuple[Item, Outcome | Lost, int]]:
    """Apply a function to items on the workers of a cluster.

    Only a few tasks per worker are known to the scheduler at a time, so that its memory does not
    grow with the number of items.

    Args:
        client: Of :func:`open_cluster`.
        function: From items to as many outcomes; it is sent to workers by pickle. It may run twice
            for an item, so it must not mind.
        items: Different from one another.
        batch: Items in a task; None for what keeps all workers busy, 16 at most.

    Yields:
        Item, outcome and the number of the attempt, in the order in which they are done.

    Raises:
        BackendError: If the connection to the scheduler is lost.
    """
    n_workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    size = batch or max(1, min(16, len(items) // (8 * n_workers)))
    waiting = deque(_Task(tuple(items[i : i + size])) for i in range(0, len(items), size))
    state = _State(client, function)
    while waiting or state.running:
        state.fill(waiting)
        for future, task in state.finished():
            if task.done:
                continue
            outcomes = state.outcomes_of(future)
            if outcomes is not None:
                state.end(task)
                yield from ((x, y, task.attempt) for x, y in zip(task.items, outcomes, strict=True))
            elif task.copies == 0:  # its process has died
                again, lost = _again(task)
                waiting.extendleft(again)
                yield from ((x, Lost(task.attempt), task.attempt) for x in lost)
        state.repeat_stragglers()


def _again(task: _Task[Item]) -> tuple[list[_Task[Item]], tuple[Item, ...]]:
    """A task's items to be tried alone, or those that were alone often enough."""
    if len(task.items) > 1:
        return [_Task((item,)) for item in task.items], ()
    if task.attempt < MOST_ATTEMPTS:
        return [_Task(task.items, task.attempt + 1)], ()
    return [], task.items


class _State(Generic[Item, Outcome]):
    """Futures under way, and how long tasks usually take."""

    def __init__(
        self, client: Any, function: Callable[[tuple[Item, ...]], Sequence[Outcome]]
    ) -> None:
        self.client, self.function = client, function
        self.running: dict[Any, _Task[Item]] = {}
        self.durations: deque[float] = deque(maxlen=100)
        self._n_threads, self._counted = 1, 0.0

    @property
    def n_threads(self) -> int:
        """Tasks that can run at once; asked for every few seconds, since workers come and go."""
        if time.monotonic() - self._counted > 5:
            with self._connection():
                self._n_threads = max(1, sum(self.client.nthreads().values()))
            self._counted = time.monotonic()
        return self._n_threads

    def fill(self, waiting: deque[_Task[Item]]) -> None:
        """Hand over tasks, two per thread."""
        while waiting and len(self.running) < 2 * self.n_threads:
            task = waiting.popleft()
            task.start = time.monotonic()
            self._submit(task)

    def _submit(self, task: _Task[Item]) -> None:
        with self._connection():
            future = self.client.submit(self.function, task.items, pure=False, retries=0)
        self.running[future] = task

    def finished(self) -> list[tuple[Any, _Task[Item]]]:
        """Futures that have come to an end, good or bad, after a short wait."""
        wait = _require("distributed").wait
        with suppress(TimeoutError), self._connection(), self.client.as_current():
            wait(list(self.running), timeout=POLL_S, return_when="FIRST_COMPLETED")
        if self.client.status not in ("running", "connecting"):
            self._gone()
        ended = [f for f in self.running if f.status != "pending"]
        tasks = [(future, self.running.pop(future)) for future in ended]
        for _, task in tasks:
            task.copies -= 1
        return tasks

    def end(self, task: _Task[Item]) -> None:
        """Note how long a task took, and forget copies of it that still run."""
        task.done = True
        self.durations.append(time.monotonic() - task.start)
        for future in [f for f, own in self.running.items() if own is task]:
            del self.running[future]
            future.cancel()

    def outcomes_of(self, future: Any) -> Sequence[Outcome] | None:
        """What a future brings; None if its process died."""
        if future.status == "finished":
            try:
                outcomes: Sequence[Outcome] = future.result(timeout=WAIT_FOR_WORKERS_S)
            except Exception as error:  # the worker died with its result; nothing else is expected
                if self.client.status != "running" or _is_death(error):
                    return None
                raise
            return outcomes
        if future.status in ("cancelled", "lost"):
            return None
        failure: BaseException = future.exception(timeout=WAIT_FOR_WORKERS_S)
        if _is_death(failure):
            return None
        raise failure

    def repeat_stragglers(self) -> None:
        """Hand a task that takes far longer than others to a second worker, when one is idle."""
        if len(self.durations) < 5 or len(self.running) >= self.n_threads:
            return
        limit = max(STRAGGLER_S, STRAGGLER * statistics.median(self.durations))
        for task in list(self.running.values()):
            if task.copies == 1 and not task.done and time.monotonic() - task.start > limit:
                task.copies += 1
                self._submit(task)

    @contextmanager
    def _connection(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except Exception as error:
            if isinstance(error, OSError) or type(error).__name__ == "ClosedClientError":
                self._gone()
            raise

    def _gone(self) -> None:
        raise BackendError(
            "The scheduler went away. Start the same command again: what is done is kept."
        )


def _is_death(error: BaseException) -> bool:
    return type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError",
                                    "CommClosedError")  # fmt: skip


@contextmanager
def cluster_executor(where: str | None, n_workers: int | None = None) -> Iterator[Executor | None]:
    """A ``concurrent.futures`` executor on a cluster, or None without one.

    Args:
        where: As for :func:`open_cluster`, or None.
        n_workers: As there.
    """
    if where is None:
        yield None
        return
    with open_cluster(where, n_workers) as client:
        executor: Executor = client.get_executor(pure=False)
        yield executor


_made: dict[str, Any] = {}


def once(key: str, make: Callable[[], Made]) -> Made:
    """What a process needs for many tasks, made at the first; the last few are kept.

    Args:
        key: Its name.
        make: Makes it.

    Example:
        >>> once("answer", lambda: 42), once("answer", lambda: 7)
        (42, 42)
    """
    if key not in _made:
        while len(_made) >= 4:
            _made.pop(next(iter(_made)))
        _made[key] = make()
    made: Made = _made[key]
    return made


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def check_where(where: str) -> None:
    """Refuse an address that cannot be one.

    Raises:
        OptionError: If it is neither ``local``, ``slurm`` nor an address with a port.

    Example:
        >>> check_where("local"), check_where("tcp://10.0.0.5:8786")
        (None, None)
    """
    if where not in ("local", "slurm") and ":" not in where:
        raise OptionError(
            f"--cluster takes local, slurm or the address of a Dask scheduler, for example "
            f"tcp://10.0.0.5:8786; got {where!r}."
        )

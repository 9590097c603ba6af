"""Work through the inputs of ``hypopose sample``: in several processes, with progress and a log."""

from __future__ import annotations

import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import click

from hypopose.cli import one_line
from hypopose.cli.claims import claim
from hypopose.cli.jobs import Job, Plan
from hypopose.cli.summary import SummaryRow
from hypopose.cli.wording import in_cli_words
from hypopose.errors import HypoPoseError
from hypopose.remote import is_remote

if TYPE_CHECKING:
    from hypopose.cli.log import Log
    from hypopose.cli.worker import Worker

MakeWorker = Callable[[], "Worker"]
WAIT_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Args:
        rows: One per person, or one that says why the input failed.
        warnings: What was said on the way.
        is_taken: Another process works on it; nothing was done.
    """

    rows: tuple[SummaryRow, ...] = ()
    warnings: tuple[str, ...] = ()
    is_taken: bool = False


@runtime_checkable
class Crew(Protocol):
    """Whoever works on the inputs of a batch."""

    def outcomes(self, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Each input's outcome, in the order in which they are done."""
        ...

    def draw(self, rows: list[SummaryRow]) -> list[SummaryRow]:
        """Draw the pictures that rows name; failures become rows."""
        ...


def run_all(
    plan: Plan, make: MakeWorker, n_processes: int | None, log: Log, cluster: str | None = None
) -> list[SummaryRow]:
    """Work on every input; in a batch, one that fails becomes a row and the others go on.

    Args:
        plan: The inputs.
        make: Makes what is done with each, in this process and where none can be forked.
        n_processes: How many work at once; None for one per idle core.
        log: Where each input is noted.
        cluster: ``local``, ``slurm`` or the address of a Dask scheduler; None for this process and
            those that it forks.

    Returns:
        A row per person, in the order of the inputs.
    """
    from hypopose.distributed import threads

    with threads(1):  # a fork must not inherit threads
        worker = make()
    if not plan.is_batch:
        return _run_one(plan.jobs[0], worker, log)
    folder = plan.jobs[0].output.parent
    with _made_if_needed(folder), threads(1):
        if cluster is None:
            return _run_batch(plan.jobs, _Crew(worker, make, n_processes), log)
        from hypopose.cli.cluster_crew import cluster_crew

        with cluster_crew(cluster, n_processes, worker, make, folder) as crew:
            return _run_batch(plan.jobs, crew, log)


def _run_batch(jobs: Sequence[Job], crew: Crew, log: Log) -> list[SummaryRow]:
    outcomes: dict[Job, Outcome] = {}
    with _bar(len(jobs)) as bar:
        while pending := [job for job in jobs if job not in outcomes]:
            before = len(outcomes)
            for job, outcome in crew.outcomes(pending):
                if outcome.is_taken:
                    continue
                outcomes[job] = outcome
                _say(outcome.warnings)
                log.note(job.source, outcome.rows)
                bar(n_frames=sum(row.n_frames for row in outcome.rows))
            if len(outcomes) == before:
                time.sleep(WAIT_S)  # the remaining inputs are held by other processes
    rows = [row for job in jobs for row in outcomes[job].rows]
    return rows + crew.draw([row for row in rows if row.picture])


def _run_one(job: Job, worker: Worker, log: Log) -> list[SummaryRow]:
    """A lone input: its steps are shown, and its errors end the run."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(job.source.name, total=None)
        with _caught() as said:
            rows = worker.run(job, partial(progress.update, task))
    _say(said)
    log.note(job.source, rows)
    return rows


class _Crew:
    """Processes that work on inputs, each with a worker."""

    def __init__(self, worker: Worker, make: MakeWorker, n_processes: int | None) -> None:
        from hypopose.distributed import idle_cores

        on_cpu = worker.device == "cpu"
        # A fork shares the networks in memory; with a GPU, and elsewhere than on Linux, it is not
        # safe.
        self.forks = on_cpu and sys.platform == "linux"
        self.n = n_processes or (idle_cores() if self.forks else 1)
        self.worker, self.make = worker, make

    def outcomes(self, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Each input's outcome, in the order in which they are done."""
        if min(self.n, len(jobs)) == 1:
            yield from ((job, _attempt(job, self.worker)) for job in jobs)
            return
        while jobs:
            done: set[Job] = set()
            try:
                for job, outcome in self._in_processes(jobs, self.n):
                    done.add(job)
                    yield job, outcome
            except BrokenProcessPool:  # a process was killed, or ran out of memory
                suspects = [job for job in jobs if job not in done][: 2 * self.n]
                yield from ((job, self._isolated(job)) for job in suspects)
                done.update(suspects)
            jobs = [job for job in jobs if job not in done]

    def draw(self, rows: list[SummaryRow]) -> list[SummaryRow]:
        """Pictures come last: one takes longer than a small input. Failures become rows."""
        if min(self.n, len(rows)) > 1:
            with self._pool(min(self.n, len(rows))) as pool:
                failures = list(pool.map(_draw, rows))
        else:
            failures = [_draw(row) for row in rows]
        return [failure for failure in failures if failure is not None]

    def _in_processes(self, jobs: list[Job], n: int) -> Iterator[tuple[Job, Outcome]]:
        with self._pool(min(n, len(jobs))) as pool:
            futures = {pool.submit(_attempt_in_child, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def _isolated(self, job: Job) -> Outcome:
        """One input in a separate process, so that a crash does not end the run."""
        try:
            return next(outcome for _, outcome in self._in_processes([job], 1))
        except BrokenProcessPool:
            reason = "its process was ended from outside, perhaps for want of memory"
            row = SummaryRow(str(job.source), error=f"{job.source}: {reason}", reason=reason)
            return Outcome((row,))

    def _pool(self, n: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("fork" if self.forks else "spawn")
        given = (self.worker, None) if self.forks else (None, self.make)
        return ProcessPoolExecutor(n, context, initializer=_start, initargs=given)


_worker: Worker | None = None


def _start(worker: Worker | None, make: MakeWorker | None) -> None:
    global _worker  # noqa: PLW0603 (a process has one)
    import torch

    torch.set_num_threads(1)
    _worker = make() if make is not None else worker


def _attempt_in_child(job: Job) -> Outcome:
    assert _worker is not None
    return _attempt(job, _worker)


def _attempt(job: Job, worker: Worker) -> Outcome:
    """One input of a batch, if no other process holds it."""
    free = nullcontext(True) if is_remote(job.output) else claim(job.output)
    with free as ours, _caught() as said:
        if not ours:
            return Outcome(is_taken=True)
        rows = tuple(_rows_or_error(job, worker))
    failed = any(row.error for row in rows)
    return Outcome(rows, () if failed else tuple(said))


def unclaimed_attempt(job: Job, worker: Worker) -> Outcome:
    """One input of a batch, pictures included, whoever else may be at it."""
    with _caught() as said:
        rows = tuple(_rows_or_error(job, worker, pictures_later=False))
    failed = any(row.error for row in rows)
    return Outcome(rows, () if failed else tuple(said))


def _rows_or_error(job: Job, worker: Worker, *, pictures_later: bool = True) -> list[SummaryRow]:
    """The rows of an input, or one that says why it failed."""
    try:
        return worker.run(job, pictures_later=pictures_later)
    except (HypoPoseError, OSError) as error:
        line = one_line(error)
        reason = line.replace(f"{job.source}: ", "").replace(str(job.source), "the input")
        return [SummaryRow(str(job.source), error=_naming(job.source, line), reason=reason)]
    except Exception as error:  # an unexpected error in one of 200 files must not lose the others
        line = f"unexpected {type(error).__name__}: {_naming(job.source, one_line(error))}"
        return [
            SummaryRow(str(job.source), error=line, reason=f"unexpected {type(error).__name__}")
        ]


def _draw(row: SummaryRow) -> SummaryRow | None:
    from hypopose.io import load_hypotheses
    from hypopose.report.overview import draw_overview

    try:
        draw_overview(Path(row.picture), load_hypotheses(row.written))
    except Exception as error:  # a failed picture must not lose the results and the other pictures
        line = f"{row.picture}: {type(error).__name__}: {one_line(error)}"
        return SummaryRow(row.source, row.person, error=line, reason="picture failed")
    return None


@contextmanager
def _made_if_needed(folder: Path) -> Iterator[None]:
    """A folder for results, removed again if none was written. Object stores need no folders."""
    if is_remote(folder):
        yield
        return
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    yield
    if not existed:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _bar(n_inputs: int) -> Iterator[Callable[..., None]]:
    """Progress over inputs: how many, frames per second, how long it will take."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    # Without a thread that refreshes it: processes are forked meanwhile.
    with Progress(
        *columns, console=Console(stderr=True), transient=True, auto_refresh=False
    ) as progress:
        task = progress.add_task("inputs", total=n_inputs)
        start, frames = time.perf_counter(), 0

        def advance(n_frames: int) -> None:
            nonlocal frames
            frames += n_frames
            rate = frames / max(time.perf_counter() - start, 1e-3)
            words = f"inputs, {rate:.0f} frames/s"
            progress.update(task, advance=1, description=words, refresh=True)

        yield advance


@contextmanager
def _caught() -> Iterator[list[str]]:
    """Warnings, each once, for one line on standard error."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield said
        finally:
            said += dict.fromkeys(" ".join(str(w.message).split()) for w in caught)


def _say(messages: Iterable[str]) -> None:
    for message in messages:
        click.echo(f"Warning: {in_cli_words(message)}", err=True)


def _naming(source: Path, line: str) -> str:
    """An error as one line that names its file."""
    return line if str(source) in line else f"{source}: {line}"

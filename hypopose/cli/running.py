"""Work through the inputs of ``hypopose sample`` with a progress bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from hypopose.cli import one_line
from hypopose.cli.jobs import Job, Plan
from hypopose.cli.summary import Row
from hypopose.cli.wording import in_cli_words
from hypopose.cli.worker import Worker
from hypopose.errors import HypoPoseError


def run_all(plan: Plan, worker: Worker) -> list[Row]:
    """Work on every input; in a batch, one that fails becomes a row and the others go on."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        files = progress.add_task("all inputs", total=len(plan.jobs), visible=plan.is_batch)
        for job in plan.jobs:
            task = progress.add_task(job.source.name, total=None)
            report = partial(progress.update, task)
            with _warnings_as_lines():
                rows += _attempt(job, worker, report) if plan.is_batch else worker.run(job, report)
            progress.remove_task(task)
            progress.advance(files)
    return rows


def _attempt(job: Job, worker: Worker, report: Callable[..., None]) -> list[Row]:
    """The rows of an input, or one that says why it failed."""
    try:
        return worker.run(job, report)
    except (HypoPoseError, OSError) as error:
        return [Row(str(job.source), error=_naming(job.source, error))]
    except Exception as error:  # a surprise in one of 200 files must not lose the others
        words = f"{type(error).__name__}: {_naming(job.source, error)}"
        return [Row(str(job.source), error=f"unexpected {words}")]


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print each warning once, as one line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(w.message) for w in caught if w.category is not None):
        click.echo(f"Warning: {in_cli_words(' '.join(message.split()))}", err=True)


def _naming(source: Path, error: Exception) -> str:
    """An error as one line that names its file."""
    line = one_line(error)
    return line if str(source) in line else f"{source}: {line}"

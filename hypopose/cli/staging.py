"""Inputs and results by URL: fetched into a temporary folder, worked on there, stored when done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypopose.cli.jobs import Job
from hypopose.errors import HypoPoseError
from hypopose.remote import fetch, is_remote, names_beginning, store, url_of

if TYPE_CHECKING:
    from hypopose.cli.summary import SummaryRow
    from hypopose.cli.worker import Worker


def needs_staging(job: Job) -> bool:
    """Whether the input or the result is a URL.

    Example:
        >>> needs_staging(Job(Path("walk.json"), Path("walk.npz")))
        False
    """
    return is_remote(job.source) or is_remote(job.output)


def run_staged(worker: Worker, job: Job, report: Callable[..., None]) -> list[SummaryRow]:
    """Work on an input whose files are elsewhere; pictures are drawn at once.

    Args:
        worker: What is done with it.
        job: The input and where its results go, by URL.
        report: As for :meth:`hypopose.cli.worker.Worker.run`.

    Returns:
        A row per person, with the URLs of what was written.
    """
    with tempfile.TemporaryDirectory(prefix="hypopose-") as name:
        folder = Path(name)
        local = _fetched(job, folder)
        before = _contents(folder / "out")
        try:
            rows = worker.run(local, report)
        except HypoPoseError as error:
            said = str(error).replace(str(local.source), str(url_of(job.source) or job.source))
            said = said.replace(str(folder / "out"), str(url_of(job.output.parent)))
            raise type(error)(said) from None
        target = url_of(job.output.parent)
        if target is None:
            return [replace(row, source=_shown(job.source), picture="") for row in rows]
        for path in sorted((folder / "out").iterdir()):
            if before.get(path.name) != _stamp(path):
                store(path, f"{target}/{path.name}")
        return [
            replace(
                row,
                source=_shown(job.source),
                written=f"{target}/{Path(row.written).name}" if row.written else "",
                picture="",
            )
            for row in rows
        ]


def _fetched(job: Job, folder: Path) -> Job:
    """The job with local files: the input, and results that an earlier run has stored."""
    source, output = job.source, job.output
    url = url_of(source)
    if url is not None:
        (folder / "in").mkdir()
        source = fetch(url, folder / "in" / job.source.name)
    target = url_of(output.parent)
    if target is not None:
        (folder / "out").mkdir()
        output = folder / "out" / job.output.name
        for name in names_beginning(target, job.output.stem):
            if name.startswith((f"{job.output.stem}.", f"{job.output.stem}_person")):
                fetch(f"{target}/{name}", folder / "out" / name)
    return Job(source, output)


def _contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: _stamp(path) for path in folder.iterdir()} if folder.is_dir() else {}


def _stamp(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns


def _shown(path: Path) -> str:
    return url_of(path) or str(path)

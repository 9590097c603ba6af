"""``hypopose sample --cluster``: the inputs of a run on the workers of a Dask cluster.

Workers read inputs and write results themselves, so all machines need the folders at the same
place. A manifest next to the results says what is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypopose.cli.jobs import Job
from hypopose.cli.running import Outcome, unclaimed_attempt
from hypopose.cli.summary import SummaryRow
from hypopose.distributed.manifest import Entry, Manifest, stamp_of
from hypopose.remote import exists, is_remote

if TYPE_CHECKING:
    from hypopose.cli.worker import Worker
    from hypopose.distributed.cluster import Lost

MANIFEST = "manifest.jsonl"


class ClusterCrew:
    """The workers of a cluster, as :func:`hypopose.cli.running.run_batch` asks for them.

    Args:
        client: Of :func:`hypopose.distributed.cluster.open_cluster`.
        make: Makes what is done with each input; sent to workers by pickle.
        manifest: What is done already, and where that is kept.
    """

    def __init__(self, client: Any, make: Callable[[], Worker], manifest: Manifest) -> None:
        self.client, self.make, self.manifest = client, make, manifest

    def outcomes(self, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Each input's outcome: first of those that are done, then as workers finish them."""
        from hypopose.distributed.cluster import map_on_cluster

        left = []
        for job in jobs:
            rows = self._done(job)
            if rows is None:
                left.append(job)
            else:
                yield job, Outcome(rows)
        function = partial(attempt_all, secrets.token_hex(8), self.make, os.getcwd())
        for job, outcome, attempt in map_on_cluster(self.client, function, left):
            found = self._outcome(job, outcome)
            self.manifest.add(self._entry(job, found, attempt))
            yield job, found

    def draw(self, rows: list[SummaryRow]) -> list[SummaryRow]:
        """Nothing: workers draw the pictures, too."""
        return []

    def _done(self, job: Job) -> tuple[SummaryRow, ...] | None:
        """The rows of an input that an earlier run has finished, if it has not changed since."""
        entry = self.manifest.entries.get(str(job.source))
        if entry is None or entry.state != "done" or entry.stamp is None:
            return None
        if entry.stamp != stamp_of(job.source):
            return None
        try:
            rows = tuple(_row(values) for values in entry.rows)
        except TypeError:  # of another version
            return None
        return rows if rows and all(exists(row.written) for row in rows) else None

    def _outcome(self, job: Job, outcome: Outcome | Lost) -> Outcome:
        if isinstance(outcome, Outcome):
            return outcome
        reason = f"its process was ended from outside {outcome.attempts} times, perhaps for memory"
        return Outcome(
            (SummaryRow(str(job.source), error=f"{job.source}: {reason}", reason=reason),)
        )

    def _entry(self, job: Job, outcome: Outcome, attempt: int) -> Entry:
        error = next((row.error for row in outcome.rows if row.error), "")
        return Entry(
            input=str(job.source),
            state="failed" if error else "done",
            options=self.manifest.options,
            stamp=stamp_of(job.source),
            attempt=attempt,
            seconds=float(round(sum(outcome.rows[0].seconds.values(), 0.0), 4))
            if outcome.rows
            else 0.0,
            error=error,
            rows=() if error else tuple(asdict(row) for row in outcome.rows),
        )


def _row(values: dict[str, Any]) -> SummaryRow:
    return replace(
        SummaryRow(**{**values, "notes": tuple(values["notes"])}), kept=True, picture="", seconds={}
    )


@contextmanager
def cluster_crew(
    where: str,
    n_workers: int | None,
    worker: Worker,
    make: Callable[[], Worker],
    folder: Path,
) -> Iterator[ClusterCrew]:
    """Connect to a cluster, with the manifest of a folder of results.

    Args:
        where: ``local``, ``slurm`` or a scheduler's address.
        n_workers: Workers to start for the first two.
        worker: What is done with each input, made here: its options count for the manifest.
        make: Makes the same on a worker.
        folder: Where results go.

    Raises:
        BackendError: If there is no such cluster.
        FormatError: If the manifest is not one.
    """
    from hypopose.distributed.cluster import check_where, open_cluster

    check_where(where)
    # Object stores cannot append to a file, so the manifest is kept where the run was started.
    here = Path.cwd() if is_remote(folder) else folder
    manifest = Manifest(here / MANIFEST, fingerprint(worker))
    if worker.force:
        manifest.entries.clear()
    with open_cluster(where, n_workers) as client, manifest:
        yield ClusterCrew(client, make, manifest)


def fingerprint(worker: Worker) -> str:
    """Of everything that decides which files a run writes and what is in them."""
    told = [worker.made_with, worker.person, worker.formats, worker.overview, worker.page]
    text = json.dumps([*told, worker.footage], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def attempt_all(
    key: str, make: Callable[[], Worker], folder: str, jobs: Sequence[Job]
) -> list[Outcome]:
    """Work on inputs, as a worker of a cluster does.

    Args:
        key: Of the run: networks are loaded once for it.
        make: Makes what is done with each input.
        folder: Where the run was started; relative paths count from there.
        jobs: The inputs.
    """
    import torch

    from hypopose.distributed.cluster import once

    torch.set_num_threads(1)
    try:
        os.chdir(folder)
        worker = once(key, make)
    except OSError:
        line = f"{folder}: not on this worker; a cluster needs folders that all machines share"
        return [Outcome((SummaryRow(str(job.source), error=line, reason=line),)) for job in jobs]
    return [_timed(job, worker) for job in jobs]


def _timed(job: Job, worker: Worker) -> Outcome:
    start = time.perf_counter()
    outcome = unclaimed_attempt(job, worker)
    spent = {"estimate": time.perf_counter() - start}
    return replace(
        outcome, rows=tuple(replace(row, seconds=row.seconds or spent) for row in outcome.rows)
    )

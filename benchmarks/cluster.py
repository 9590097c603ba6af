"""A cluster against one process: overhead, and what the loss of workers and scheduler costs.

    python benchmarks/cluster.py FOLDER --files 2000 --frames 9 --workers 4 --kills 6

Makes FILES small keypoint files in FOLDER and samples them with one process, with a local cluster,
and with a local cluster whose workers are killed (signal 9) at random moments. When half of the
files are done, the scheduler of the last one is killed, too, and the command is started again.
Results are compared byte for byte, the manifest is read for inputs that are missing or were done
twice. Seconds are of processors, children included, next to those of the clock. Needs the extra
``cluster`` and Linux.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import click

import hypopose
from hypopose.io import save_keypoints

COMMAND = (sys.executable, "-c", "from hypopose.cli import main; main()")


def make_files(folder: Path, n: int, n_frames: int) -> None:
    """Windows of the built-in walk, each moved by some pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    keypoints, _ = hypopose.datasets.example_pair(n_frames)
    for i in range(n):
        save_keypoints(folder / f"clip{i:05d}.npz", replace(keypoints, xy=keypoints.xy + i % 97))


def children_of(process: int) -> list[int]:
    """Processes below a process (Linux)."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == process:
            found += [int(path.parent.name), *children_of(int(path.parent.name))]
    return found


def is_worker(process: int) -> bool:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in words


@dataclass(frozen=True)
class Spent:
    """What a way of working has cost.

    Args:
        clock: Seconds.
        processor: Seconds of all processes.
    """

    clock: float
    processor: float

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.clock + other.clock, self.processor + other.processor)


def run(
    inputs: Path, out: Path, *more: str, kills: int = 0, stop_at: int | None = None
) -> tuple[Spent, int]:
    """Sample a folder; kill workers meanwhile, and the process of the scheduler at so many files.

    Returns:
        What it took, and how many workers were killed.
    """
    words = ("sample", str(inputs), "-o", str(out), "--n-hypotheses", "2", "--no-overview", *more)
    start, before, killed = time.perf_counter(), _processor_s(), 0
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL)
    chance = random.Random(0)
    while process.poll() is None:
        time.sleep(chance.uniform(5.0, 25.0) if kills else 0.5)
        done = len(list(out.glob("[!.]*.npz")))
        workers = [child for child in children_of(process.pid) if is_worker(child)]
        if stop_at is not None and done >= stop_at:
            process.kill()
            process.wait()
            _end(workers)
            break
        if killed < kills and workers and done:
            os.kill(chance.choice(workers), signal.SIGKILL)
            killed += 1
    if process.returncode and stop_at is None:
        raise SystemExit(f"{' '.join(words)} ended with code {process.returncode}")
    return Spent(time.perf_counter() - start, _processor_s() - before), killed


def _end(workers: list[int]) -> None:
    """Wait until workers without a scheduler have ended themselves; help those that do not."""
    deadline = time.monotonic() + 20
    while any(is_worker(worker) for worker in workers):
        if time.monotonic() > deadline:
            for worker in filter(is_worker, workers):
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.5)


def _processor_s() -> float:
    """Of all children that have ended; workers of a killed scheduler are not among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def digests(out: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.glob("[!.]*.npz")}


def done_twice(out: Path) -> int:
    """Inputs that the manifest has as done more than once."""
    lines = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines[1:] if line]
    done = Counter(entry["input"] for entry in entries if entry["state"] == "done")
    return sum(n > 1 for n in done.values())


def report(name: str, spent: Spent, first: Spent, out: Path, serial: Path) -> None:
    """One line: seconds, overhead, whether results are those of one process."""
    found, expected = digests(out), digests(serial)
    same = "equal" if found == expected else "DIFFERENT"
    words = f"{name}: {len(found)} of {len(expected)} results, {same} to one process; "
    words += f"{spent.processor:.0f} processor s, {spent.clock:.0f} s by the clock"
    if out != serial:
        words += f"; {100 * (spent.processor / first.processor - 1):+.0f} % processor time"
    if (out / "manifest.jsonl").exists():
        words += f"; {done_twice(out)} done twice"
    click.echo(words)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--files", "n_files", default=400, show_default=True)
@click.option("--frames", "n_frames", default=27, show_default=True)
@click.option("--workers", default=4, show_default=True)
@click.option("--kills", default=6, show_default=True)
def main(folder: Path, n_files: int, n_frames: int, workers: int, kills: int) -> None:
    """Print seconds of each way, and whether results are equal."""
    inputs, serial = folder / "in", folder / "serial"
    make_files(inputs, n_files, n_frames)
    cluster = ("--cluster", "local", "--jobs", str(workers))
    first, _ = run(inputs, serial, "--jobs", "1")
    report("one process", first, first, serial, serial)
    spent, _ = run(inputs, folder / "cluster", *cluster)
    report(f"cluster of {workers}", spent, first, folder / "cluster", serial)
    killed = folder / "killed"
    begun, before = run(inputs, killed, *cluster, kills=kills, stop_at=n_files // 2)
    n_begun = len(digests(killed))
    resumed, after = run(inputs, killed, *cluster, kills=max(0, kills - before))
    name = (
        f"cluster of {workers}, {before + after} workers killed, the scheduler at {n_begun} files"
    )
    report(name, begun + resumed, first, killed, serial)


if __name__ == "__main__":
    main()

"""A cluster against one process: overhead, and what the loss of workers costs.

    python benchmarks/cluster.py FOLDER --files 400 --workers 4 --kills 6

Makes FILES small keypoint files in FOLDER, samples them with one process, with a local cluster,
and with a local cluster whose workers are killed (signal 9) at random moments, and compares the
results byte for byte. Needs the extra ``cluster``.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

import hypopose
from hypopose.io import save_keypoints

COMMAND = (sys.executable, "-c", "from hypopose.cli import main; main()")


def make_files(folder: Path, n: int) -> None:
    """Windows of the built-in walk, each moved by some pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    keypoints, _ = hypopose.datasets.example_pair(27)
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


def run(inputs: Path, out: Path, *more: str, kills: int = 0) -> float:
    """Sample a folder; kill workers meanwhile. Returns seconds."""
    words = ("sample", str(inputs), "-o", str(out), "--n-hypotheses", "5", "--no-overview", *more)
    start = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL)
    chance = random.Random(0)
    while process.poll() is None:
        time.sleep(chance.uniform(1.0, 4.0))
        workers = [child for child in children_of(process.pid) if is_worker(child)]
        if kills and workers and any(out.glob("*.npz")):
            os.kill(chance.choice(workers), signal.SIGKILL)
            kills -= 1
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with code {process.returncode}")
    return time.perf_counter() - start


def digests(out: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.glob("*.npz")}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--files", "n_files", default=400, show_default=True)
@click.option("--workers", default=4, show_default=True)
@click.option("--kills", default=6, show_default=True)
def main(folder: Path, n_files: int, workers: int, kills: int) -> None:
    """Print seconds of each way, and whether results are equal."""
    make_files(folder / "in", n_files)
    cluster = ("--cluster", "local", "--jobs", str(workers))
    ways = {
        "one process": ((), 0),
        f"{workers} processes": (("--jobs", str(workers)), 0),
        f"cluster of {workers}": (cluster, 0),
        f"cluster of {workers}, {kills} workers killed": (cluster, kills),
    }
    first: dict[str, str] = {}
    for i, (name, (more, deaths)) in enumerate(ways.items()):
        out = folder / f"out{i}"
        seconds = run(folder / "in", out, *(more or ("--jobs", "1")), kills=deaths)
        found = digests(out)
        first = first or found
        same = "equal" if found == first else "DIFFERENT"
        click.echo(f"{name}: {len(found)} results in {seconds:.1f} s, {same} to one process")


if __name__ == "__main__":
    main()

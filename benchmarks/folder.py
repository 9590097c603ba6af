"""A folder of many short files and a few long ones by one command: rates, load and memory.

    python benchmarks/folder.py FOLDER --short 500 --long 2 --jobs 2

Prints files and frames per second of the clock and of the processor, the share of ``--jobs`` cores
that was used, the largest process, and whether results are the bytes of single runs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import torch

import hypopose
from hypopose.io import save_keypoints

COMMAND = (sys.executable, "-c", "from hypopose.cli import main; main()")


def make_files(folder: Path, n_short: int, n_long: int, lengths: tuple[int, int]) -> None:
    """Windows of the built-in walk, there and back, each moved by some pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    keypoints, _ = hypopose.datasets.example_pair()
    for i in range(n_short + n_long):
        n = lengths[i >= n_short]
        times = -(-n // (2 * keypoints.n_frames))
        xy = torch.cat([keypoints.xy, keypoints.xy.flip(0)]).repeat(times, 1, 1)[:n] + i % 97
        made = replace(keypoints, xy=xy, confidence=None, covariance=None)
        save_keypoints(folder / f"{'short' if i < n_short else 'long'}{i:05d}.npz", made)


def sample(*words: str) -> None:
    subprocess.run([*COMMAND, "sample", *words], check=True, stdout=subprocess.DEVNULL)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--short", "n_short", default=500, show_default=True)
@click.option("--long", "n_long", default=2, show_default=True)
@click.option("--frames", "lengths", nargs=2, type=int, default=(27, 3000), show_default=True)
@click.option("--jobs", default=2, show_default=True)
def main(folder: Path, n_short: int, n_long: int, lengths: tuple[int, int], jobs: int) -> None:
    """Sample a folder and print what it took."""
    inputs, out = folder / "in", folder / "out"
    make_files(inputs, n_short, n_long, lengths)
    start = time.perf_counter()
    sample(str(inputs), "-o", str(out), "--no-overview", "--jobs", str(jobs))
    clock = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime
    results = sorted(out.glob("[!.]*.npz"))
    equal = []
    for path in (results[0], results[-1], results[len(results) // 2]):
        single = folder / f"single-{path.name}"
        sample(str(inputs / path.name), "-o", str(single), "--no-overview")
        equal.append(single.read_bytes() == path.read_bytes())
    frames = n_short * lengths[0] + n_long * lengths[1]
    told = {
        "files": len(results),
        "frames": frames,
        "jobs": jobs,
        "clock_s": round(clock, 1),
        "processor_s": round(processor, 1),
        "files_per_s": round(len(results) / clock, 1),
        "frames_per_s": round(frames / clock),
        "files_per_processor_s": round(len(results) / processor, 1),
        "frames_per_processor_s": round(frames / processor),
        "cores_used_percent": round(100 * processor / clock / jobs),
        "largest_process_mib": round(used.ru_maxrss / 1024),
        "equal_to_single_runs": equal,
    }
    click.echo(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()

"""What many machines take: cost per file and per frame, and of the scheduler per task.

    python benchmarks/scaling.py cost
    python benchmarks/scaling.py scheduler --workers 100 --tasks 1000 --seconds 5

``cost`` samples files of several lengths as a worker does, without pictures, and fits processor
seconds and bytes to ``a + b * frames``. ``scheduler`` runs tasks that sleep on a Dask cluster of
many workers in one process, and compares the time that took with ``tasks * seconds / workers``;
its processor time is that of scheduler, client and workers together, so an upper bound for the
scheduler. ``cost`` then says what ``--files`` clips of ``--frames`` frames take.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

import hypopose
from hypopose.api import Pipeline, make_pipeline
from hypopose.io import save_keypoints


def worked(pipeline: Pipeline, source: Path, output: Path) -> float:
    """Processor seconds of one file: read, sample, write."""
    start = time.process_time()
    for result in pipeline.estimate_file(source).values():
        hypopose.save_result(output, result)
    return time.process_time() - start


@click.group()
def main() -> None:
    """Measure what a scaling model needs."""


@main.command()
@click.option("--files", default=1_000_000, show_default=True)
@click.option("--frames", default=300, show_default=True)
@click.option("--n-hypotheses", default=20, show_default=True)
@click.option("--repeats", default=5, show_default=True)
def cost(files: int, frames: int, n_hypotheses: int, repeats: int) -> None:
    """Seconds and bytes per file and per frame, and what many files take."""
    torch.set_num_threads(1)
    pipeline = make_pipeline(n_hypotheses=n_hypotheses, threads=1)
    lengths, seconds, sizes = (27, 81, 243), [], []
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.npz", Path(folder) / "out.npz"
        for n in lengths:
            save_keypoints(source, longer(n))
            runs = [worked(pipeline, source, output) for _ in range(repeats + 1)][1:]
            seconds.append(min(runs))
            sizes.append(output.stat().st_size)
            click.echo(f"{n} frames: {1000 * seconds[-1]:.1f} ms, {sizes[-1]} bytes")
    per_frame, per_file = np.polyfit(lengths, seconds, 1)
    bytes_per_frame, bytes_per_file = np.polyfit(lengths, sizes, 1)
    one = max(per_file, 0.0) + frames * per_frame
    told = {
        "ms_per_file": round(1000 * per_file, 2),
        "ms_per_frame": round(1000 * per_frame, 3),
        "bytes_per_file": round(bytes_per_file),
        "bytes_per_frame": round(bytes_per_frame),
        "files": files,
        "frames": frames,
        "core_hours": round(files * one / 3600, 1),
        "gigabytes": round(files * (bytes_per_file + frames * bytes_per_frame) / 1e9, 1),
    }
    click.echo(json.dumps(told, indent=1))


def longer(n_frames: int) -> hypopose.Keypoints2D:
    """The built-in walk there and back, so many frames of it."""
    keypoints, _ = hypopose.datasets.example_pair()
    times = -(-n_frames // (2 * keypoints.n_frames))
    xy = torch.cat([keypoints.xy, keypoints.xy.flip(0)]).repeat(times, 1, 1)[:n_frames]
    return replace(keypoints, xy=xy, confidence=None, covariance=None)


def slept(seconds: float, items: tuple[int, ...]) -> list[int]:
    """A task that takes a while and no processor."""
    time.sleep(seconds * len(items))
    return list(items)


@main.command()
@click.option("--workers", default=100, show_default=True)
@click.option("--tasks", default=1000, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of one task.")
def scheduler(workers: int, tasks: int, seconds: float) -> None:
    """Processor time per task of a cluster whose workers sleep, and the time it took."""
    import dask
    from distributed import Client, LocalCluster

    from hypopose.distributed.cluster import map_on_cluster

    quiet: dict[str, Any] = {
        "distributed.scheduler.worker-saturation": 1.0,
        # What workers do for themselves, on machines of their own.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.interval": "60s",
    }
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": False}
    with (
        dask.config.set(quiet),
        LocalCluster(**options, dashboard_address=None, silence_logs=50, memory_limit=0) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(workers)
        idle, used = time.perf_counter(), time.process_time()
        time.sleep(5)
        resting = (time.process_time() - used) / (time.perf_counter() - idle)
        start, used = time.perf_counter(), time.process_time()
        done = list(map_on_cluster(client, partial(slept, seconds), range(tasks), batch=1))
        took, used = time.perf_counter() - start, time.process_time() - used
    ideal = tasks * seconds / workers
    told = {
        "workers": workers,
        "tasks_done": len({item for item, *_ in done}),
        "seconds_per_task": seconds,
        "ideal_s": ideal,
        "took_s": round(took, 1),
        "overhead_percent": round(100 * (took / ideal - 1), 1),
        "processor_ms_per_task": round(1000 * (used - resting * took) / tasks, 2),
        "processor_share_at_rest": round(resting, 3),
    }
    click.echo(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()

"""Time and memory of an evaluation by the protocol of Human3.6M, and what all of it would take.

    python benchmarks/protocol_throughput.py --takes 1 2 --frames 1500 -o throughput.json
    python benchmarks/protocol_throughput.py --takes 1 --beside 440000

A synthetic folder in the official layout is made (a walking body), then evaluated with the default
network, once for each number of takes, in a process of its own. Takes all have ``--frames`` frames
and four cameras. Seconds per frame come from the largest run without its start; peak memory of all
runs shows whether it grows. Extrapolated to S9 and S11: 118,000 frames with four cameras each.

Seconds are those of the processor, one thread; a busy machine stretches them less than the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.datasets import example_motion

WHOLE = 118_000 * 4
"""Frames of all views."""


def make_folder(folder: Path, n_takes: int, n_frames: int, n_beside: int) -> None:
    """The poses of so many takes of S9, in the layout of VideoPose3D, with training subjects."""
    from hypopose.datasets.capture.lifter_archives import H36M_KEPT

    takes = {}
    for i in range(n_takes):
        joints = np.zeros((n_frames, 32, 3), np.float32)
        joints[:, list(H36M_KEPT)] = example_motion(n_frames).numpy()
        takes["Walking" if i == 0 else f"Walking {i}"] = joints
    array = np.empty((), dtype=object)
    rng = np.random.default_rng(0)
    beside = rng.standard_normal((n_beside, 32, 3), dtype=np.float32)
    parts = np.array_split(beside, max(1, n_beside // 5000))
    array[()] = {"S9": takes, "S1": {f"Walking {i}": part for i, part in enumerate(parts)}}
    np.savez(folder / "data_3d_h36m.npz", positions_3d=array)


def one_run(folder: Path, n_hypotheses: int) -> dict[str, Any]:
    """Evaluate a folder in this process."""
    import torch

    from hypopose.api import make_sampler
    from hypopose.datasets.protocols import make_protocol
    from hypopose.evaluation import SampledAnswers, evaluate_answers

    torch.set_num_threads(1)
    protocol = make_protocol("h36m", keypoints="projected", subjects="S9", partial=True)
    data = protocol.open(folder)
    answers = SampledAnswers(make_sampler(), data, n_hypotheses)
    ready = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = evaluate_answers(data, answers, method={"name": "default"})
    return {
        "n_frames": found.settings["n_frames"],
        "start_seconds": round(ready, 2),
        "seconds": round(time.process_time() - ready, 2),
        "sampling_clock_seconds": found.settings["sampling_seconds"],
        "peak_mb_before": before // 1024,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--n-hypotheses", type=int, default=20)
    parser.add_argument("--beside", type=int, default=0, help="Frames of training subjects.")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(one_run(options.folder, options.n_hypotheses)))
        return
    runs = []
    for n_takes in options.takes:
        with tempfile.TemporaryDirectory() as scratch:
            make_folder(Path(scratch), n_takes, options.frames, options.beside)
            words = [sys.executable, __file__, "--folder", scratch,
                     "--n-hypotheses", str(options.n_hypotheses)]  # fmt: skip
            done = subprocess.run(words, check=True, capture_output=True, text=True,
                                  env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        print(runs[-1])
    last = runs[-1]
    hours = last["seconds"] / last["n_frames"] * WHOLE / 3600
    record = {
        "n_hypotheses": options.n_hypotheses,
        "frames_per_take": options.frames,
        "frames_beside": options.beside,
        "runs": runs,
        "frames_per_processor_second": round(last["n_frames"] / last["seconds"], 1),
        "whole_frames": WHOLE,
        "whole_processor_hours": round(hours, 2),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }
    print(json.dumps(record, indent=1))
    if options.output is not None:
        options.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""MixSTE2 at its official size on one clip: seconds and peak memory of a sampling step with flip.

    python benchmarks/mixste.py --threads 2 -o benchmarks/results/mixste.json

Random weights: they cost as much as trained ones. Memory is what the run adds to the process, its
weights included. Seconds of processor time are recorded too: they hardly mind a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from hypopose.diffusion import seeded_noise
from hypopose.networks import MixSTE2
from hypopose.samplers import D3DP
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D

# Multiply-adds count 2; one pass at T=243, C=512, depth 8, one hypothesis.
TFLOP_PER_PASS = 0.29486


def peak_mib(device: str) -> float:
    """Most memory held so far, in MiB: on the GPU if there is one, else of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / (2**20 if sys.platform == "darwin" else 2**10)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    before = peak_mib(args.device)
    network = MixSTE2(attention=args.attention).to(args.device).eval()
    sampler = D3DP(
        network, n_steps=args.n_steps, flip=True, chunk=args.chunk, precision=args.precision
    )
    xy = 500 + 100 * torch.randn(network.info.n_frames, 17, 2)
    keypoints = Keypoints2D(xy, H36M17, image_size=(1000, 1000))
    seconds, cpu_seconds = [], []
    for seed in range(args.repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        sampler.sample(keypoints, args.n_hypotheses, seeded_noise(seed))
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    n_passes = 2 * args.n_hypotheses * args.n_steps
    median = statistics.median(seconds)
    return {
        "seconds_per_clip_median": round(median, 2),
        "seconds_per_clip_spread": [round(min(seconds), 2), round(max(seconds), 2)],
        "cpu_seconds_per_clip_median": round(statistics.median(cpu_seconds), 2),
        "load_average": round(os.getloadavg()[0], 1),
        "gflop_per_second": round(1000 * TFLOP_PER_PASS * n_passes / median, 1),
        "peak_memory_mib": round(peak_mib(args.device) - before),
    }


def machine() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--n-hypotheses", type=int, default=5)
    parser.add_argument("--n-steps", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=2048)
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    options = {k: v for k, v in vars(args).items() if k != "output"}
    report = {**machine(), **options, **measure(args)}
    print(json.dumps(report, indent=1))
    if args.output is not None:
        args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

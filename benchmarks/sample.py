"""Frames per second of the default sampler, end to end, and where the time goes.

    python benchmarks/sample.py --threads 2

End to end means: keypoint files in, hypotheses, aggregate, result file and overview out.
``estimate`` holds sampling and aggregation; ``estimate_cpu`` is its processor time, which a busy
machine distorts less than the clock.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import hypopose
from hypopose.report.overview import draw_overview

EXAMPLE = Path(__file__).parents[1] / "examples" / "data" / "openpose"


def longer(keypoints: hypopose.Keypoints2D, n_frames: int) -> hypopose.Keypoints2D:
    """Repeat the example there and back until it is long enough."""
    there_and_back = torch.cat([keypoints.xy, keypoints.xy.flip(0)])
    confidence = torch.cat([keypoints.confidence, keypoints.confidence.flip(0)])
    times = -(-n_frames // len(there_and_back))
    return replace(
        keypoints,
        xy=there_and_back.repeat(times, 1, 1)[:n_frames],
        confidence=confidence.repeat(times, 1)[:n_frames],
    )


def once(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Seconds of each part of one run."""
    seconds: dict[str, float] = {}
    start = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal start
        now = time.perf_counter()
        seconds[name], start = now - start, now

    keypoints = longer(hypopose.load(EXAMPLE, image_size=(640, 640)), args.frames)
    lap("load")
    options: dict[str, Any] = {}
    if args.precision is not None:
        options["precision"] = args.precision
    if args.flip is not None:
        options["flip"] = args.flip
    sampler = hypopose.make_sampler(
        args.sampler, n_steps=args.n_steps, device=args.device, **options
    )
    lap("weights")
    cpu = time.process_time()
    result = hypopose.estimate(keypoints, sampler=sampler, n_hypotheses=args.n_hypotheses)
    cpu = time.process_time() - cpu
    lap("estimate")
    hypopose.aggregate(result.hypotheses, result.keypoints)
    lap("aggregate")
    hypopose.save_result(folder / "out.npz", result)
    lap("save")
    draw_overview(folder / "out.png", result)
    lap("overview")
    parts = ("load", "weights", "estimate", "save", "overview")
    seconds["end_to_end"] = sum(seconds[part] for part in parts)
    seconds["estimate_cpu"] = cpu
    return seconds


def machine() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=EXAMPLE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "commit": commit.stdout.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--n-hypotheses", type=int, default=20)
    parser.add_argument("--n-steps", type=int, help="as the weights say")
    parser.add_argument("--sampler", default="distributional")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="as the weights say")
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction, help="as the weights say")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.sampler == "boneflips":
        args.n_steps = None
    with tempfile.TemporaryDirectory() as folder:
        runs = [once(args, Path(folder)) for _ in range(args.repeats)]
    rates = sorted(args.frames / run["end_to_end"] for run in runs)
    report = {
        **machine(),
        **{k: v for k, v in vars(args).items() if k != "threads"},
        "frames_per_second_median": round(statistics.median(rates), 1),
        "frames_per_second_spread": [round(rates[0], 1), round(rates[-1], 1)],
        "seconds_median": {
            part: round(statistics.median(run[part] for run in runs), 3) for part in runs[0]
        },
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

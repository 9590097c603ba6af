"""The live stream: what looking ahead brings, how quick it is, and whether its memory stays flat.

    python benchmarks/live.py loss --shards ../shared/data/motion
    python benchmarks/live.py speed --threads 1
    python benchmarks/live.py soak --minutes 30 --rate 25 --threads 1

``loss`` scores frames of the test split as a stream hands them out, by look-ahead, and the same
frames of whole views. ``speed`` pushes frames at a camera's rate and lists latencies by the clock
and by the processor, which a busy machine distorts less; ``soak`` does so for long and lists
memory. On a machine with other work, ``chrt -f 50`` before ``speed`` gives the clock of a quiet
core, as long as a push takes less than 95 % of the time between frames: Linux stops real-time
processes beyond.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hypopose
from hypopose.datasets.batching import batches, stack
from hypopose.datasets.benchmark_files import load_benchmark
from hypopose.diffusion import seeded_noise
from hypopose.evaluation.benchmark_loop import evaluate_pair
from hypopose.skeletons import convert
from hypopose.types import Hypotheses, Keypoints2D, Poses3D
from hypopose.video.stream import CausalStream, frame_of, newest_only

FRAMES = (30, 38, 46, 54, 62, 70)
SHOWN = ("mpjpe_mean_mm", "p_mpjpe_mean_mm", "energy_score_joint_mm", "ece", "coverage_80_percent")


def loss(args: argparse.Namespace) -> dict[str, Any]:
    """Errors and calibration per look-ahead, context and reach, against whole views."""
    sampler = hypopose.make_sampler()
    benchmark, rows = load_benchmark(args.benchmark), {}
    groups = []
    for group in batches(benchmark.items(args.shards, args.limit), 16):
        if group[0].keypoints.n_frames < 81:
            continue
        keypoints, truth = stack(group)
        groups.append((convert(keypoints, sampler.skeleton), truth, [i.name for i in group]))
    whole = []
    for keypoints, truth, names in groups:
        drawn = sampler.sample(keypoints, args.n_hypotheses, seeded_noise(0, names))
        whole.append((drawn.joints[..., list(FRAMES), :, :], truth))
    rows["whole view of 81"] = _score(whole, sampler.skeleton)
    for context, reach in args.windows:
        limited = newest_only(sampler, reach)
        for ahead in args.look_ahead:
            if ahead >= reach:
                continue
            parts = []
            for keypoints, truth, names in groups:
                seen = [
                    _newest(limited, keypoints, f, ahead, context, args.n_hypotheses, names)
                    for f in FRAMES
                ]
                parts.append((torch.cat(seen, -3), truth))
            rows[f"context {context}, reach {reach}, look-ahead {ahead}"] = _score(
                parts, sampler.skeleton
            )
            print(list(rows)[-1], rows[list(rows)[-1]], flush=True)
    return {"benchmark": args.benchmark, "n_views": sum(len(n) for *_, n in groups), "rows": rows}


def _newest(
    sampler: Any, keypoints: Keypoints2D, f: int, ahead: int, context: int, n: int, names: list[str]
) -> torch.Tensor:
    """Frame f as a stream hands it out when frame f + ahead has come."""
    end = f + ahead + 1
    span = slice(max(0, end - context), end)
    window = replace(
        keypoints, xy=keypoints.xy[:, span], confidence=keypoints.confidence[:, span],
        covariance=None,
    )  # fmt: skip
    noise = seeded_noise(0, [f"{name}@{f}" for name in names])
    at = window.n_frames - 1 - ahead
    return sampler.sample(window, n, noise).joints[..., at : at + 1, :, :]


def _score(parts: list[tuple[torch.Tensor, Poses3D]], skeleton: Any) -> dict[str, float]:
    joints = torch.cat([x for x, _ in parts])
    truth = torch.cat([y.joints[:, list(FRAMES)] for _, y in parts])
    scores = evaluate_pair(Hypotheses(joints, skeleton), None, Poses3D(truth, skeleton))
    return {k: round(scores[k], 4) for k in SHOWN if k in scores}


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Latency of pushes, keypoints in, for each look-ahead."""
    keypoints = hypopose.prepare(hypopose.datasets.example_pair()[0])
    rows = {}
    for ahead in args.look_ahead:
        stream = CausalStream(
            hypopose.make_sampler(), fps=30, look_ahead=ahead, n_hypotheses=args.n_hypotheses
        )
        wall, cpu = _latencies(stream, keypoints, args.n_pushes, args.rate)
        rows[f"look-ahead {ahead}"] = {
            "poses_per_s": round(1000 / float(wall.mean()), 1),
            **{f"p{q}_ms": round(float(np.percentile(wall, q)), 1) for q in (1, 50, 90, 99)},
            **{f"cpu_p{q}_ms": round(float(np.percentile(cpu, q)), 1) for q in (50, 90, 99)},
            "histogram_ms": _histogram(wall),
            "cpu_histogram_ms": _histogram(cpu),
        }
        print(list(rows)[-1], rows[list(rows)[-1]], flush=True)
    return {"threads": torch.get_num_threads(), "n_hypotheses": args.n_hypotheses, "rows": rows}


def _histogram(ms: np.ndarray) -> dict[str, int]:
    """Pushes by the tens of milliseconds they took."""
    counts, tens = np.histogram(ms, bins=range(0, 10 * (int(ms.max()) // 10 + 2), 10))
    return {str(int(a)): int(n) for n, a in zip(counts, tens, strict=False) if n}


def _latencies(
    stream: CausalStream, keypoints: Keypoints2D, n: int, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of every push, frames coming at a rate, by the clock and by the processor."""
    wall, cpu, begin = [], [], time.perf_counter()
    for i in range(n + 40):
        f = _back_and_forth(i, keypoints.n_frames)
        frame = frame_of(keypoints, f)
        time.sleep(max(0.0, begin + i / rate - time.perf_counter()))
        start, used = time.perf_counter(), time.process_time()
        stream.push(frame, i / stream.fps)
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - used))
    return np.array(wall[40:]), np.array(cpu[40:])  # the window is full from then on


def soak(args: argparse.Namespace) -> dict[str, Any]:
    """Push frames for long, at a rate; resident memory every minute."""
    keypoints = hypopose.prepare(hypopose.datasets.example_pair()[0])
    stream = CausalStream(hypopose.make_sampler(), fps=30, n_hypotheses=args.n_hypotheses)
    begin, n, memory = time.monotonic(), 0, []
    while time.monotonic() - begin < 60 * args.minutes:
        time.sleep(max(0.0, begin + n / args.rate - time.monotonic()))
        stream.push(frame_of(keypoints, _back_and_forth(n, keypoints.n_frames)), n / stream.fps)
        n += 1
        if (time.monotonic() - begin) // 60 >= len(memory):
            memory.append(round(_resident_mb(), 1))
            print(f"minute {len(memory) - 1}: {n} frames, {memory[-1]} MB", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"minutes": args.minutes, "n_frames": n, "resident_mb": memory, "peak_mb": round(peak)}


def _back_and_forth(i: int, n: int) -> int:
    at = i % (2 * n - 2)
    return at if at < n else 2 * n - 2 - at


def _window(text: str) -> tuple[int, int]:
    context, reach = text.split(",")
    return int(context), int(reach)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("loss", "speed", "soak"))
    parser.add_argument("--shards", default="../shared/data/motion")
    parser.add_argument("--benchmark", default="test-detector")
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--look-ahead", type=int, nargs="+", default=[0, 2, 4, 8])
    parser.add_argument(
        "--windows", type=_window, nargs="+", default=[(27, 27), (27, 9)], metavar="CONTEXT,REACH"
    )
    parser.add_argument("--n-hypotheses", type=int, default=20)
    parser.add_argument("--n-pushes", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--rate", type=float, default=25, help="Frames a second, of speed and soak."
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report = {"loss": loss, "speed": speed, "soak": soak}[args.what](args)
    text = json.dumps(report, indent=1)
    print(text)
    if args.output is not None:
        args.output.write_text(f"{text}\n")


if __name__ == "__main__":
    main()

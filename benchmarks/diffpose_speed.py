"""Time per frame of released DiffPose at its published size, one frame at a time and batched.

    OMP_NUM_THREADS=1 python benchmarks/diffpose_speed.py

Random weights, processor time, medians. The rows are the published sampler's 2 steps with one
hypothesis, and 5 steps with 5 hypotheses kept apart by noise.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch

from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.networks import DiffPosePair
from hypopose.samplers import ReleasedDiffPose
from hypopose.types import Keypoints2D


def milliseconds(
    sampler: ReleasedDiffPose, keypoints: Keypoints2D, H: int, repeats: int
) -> list[float]:
    """Processor time per frame of each repetition."""
    taken = []
    for _ in range(repeats + 1):
        start = time.process_time()
        sampler.sample(keypoints, H, seeded_noise(0))
        taken.append(1000 * (time.process_time() - start) / keypoints.n_frames)
    return sorted(taken[1:])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = DiffPosePair().eval()
    keypoints, _ = example_pair()
    times = -(-options.frames // keypoints.n_frames)
    xy = keypoints.xy.repeat(times, 1, 1)[: options.frames]
    many = replace(keypoints, xy=xy, confidence=None, covariance=None)
    one = replace(many, xy=xy[:1])
    samplers = {
        (2, 1): ReleasedDiffPose(network, n_steps=2),
        (5, 5): ReleasedDiffPose(network, n_steps=5, n_test_timesteps=25, eta=1.0, start="noised"),
    }
    for (n_steps, H), sampler in samplers.items():
        for name, keypoints in (("one frame", one), (f"{options.frames} frames", many)):
            ms = milliseconds(sampler, keypoints, H, options.repeats)
            print(
                f"{n_steps} steps, {H} hypotheses, {name:>10}: {statistics.median(ms):6.2f} ms CPU "
                f"per frame ({ms[0]:.2f} to {ms[-1]:.2f})"
            )


if __name__ == "__main__":
    main()

"""Turning the virtual camera or not: subjects in the middle, beside it, and in the corner.

python benchmarks/turning.py SHARDS [--views N] [--benchmark NAME]

The same weights read the same keypoints with and without perspective rotation, while the camera is
swung away from the subject by an angle. Results are always turned back.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from dataclasses import replace

import torch

from hypopose.api import make_sampler
from hypopose.cameras import project, turn_towards, undistort
from hypopose.datasets import BenchmarkItem, load_benchmark
from hypopose.diffusion import seeded_noise
from hypopose.types import Keypoints2D

ANGLES = (0.0, 15.0, 30.0)
TURNINGS = ("clip", "frame", "none")


def swung(item: BenchmarkItem, degrees: float) -> tuple[Keypoints2D, torch.Tensor]:
    """The item seen by a camera turned so that the subject stands beside its axis."""
    camera = item.view.camera
    camera = replace(camera, rotation=None, translation=None)
    assert item.truth.root is not None
    placed = item.truth.joints + item.truth.root[:, None]
    placed = turn_towards(undistort(item.keypoints.xy, camera)).enter(placed)
    a = math.radians(degrees)
    swing = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    placed = placed @ swing.mT
    keypoints = replace(item.keypoints, xy=project(placed, camera)).with_camera(camera)
    return keypoints, placed - placed[:, :1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards")
    parser.add_argument("--benchmark", default="test-wide")
    parser.add_argument("--views", type=int, default=30)
    parser.add_argument("--n-steps", type=int)
    options = parser.parse_args()
    samplers = {t: make_sampler(n_steps=options.n_steps, turning=t) for t in TURNINGS}
    errors: dict[tuple[float, str], list[float]] = defaultdict(list)
    for item in load_benchmark(options.benchmark).items(options.shards, limit=options.views):
        for angle in ANGLES:
            keypoints, truth = swung(item, angle)
            for turning, sampler in samplers.items():
                noise = seeded_noise(0, [item.name])
                found = sampler.sample(keypoints, 5, lambda s, n=noise: n((1, *s))[0])
                error = (found.joints.mean(0) - truth).norm(dim=-1).mean()
                errors[angle, turning].append(1000 * float(error))
    for angle in ANGLES:
        row = (f"{t} {torch.tensor(errors[angle, t]).mean():.1f}" for t in TURNINGS)
        print(f"{angle:.0f} degrees, MPJPE in mm over {options.views} views:", ", ".join(row))


if __name__ == "__main__":
    main()

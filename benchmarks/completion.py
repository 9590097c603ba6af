"""How well gaps are filled, in 2D and 3D, beside a straight line over time.

    python benchmarks/completion.py MOTION -o completion.json

MOTION is the folder of motion shards. Windows of 60 frames (50 Hz) of people the bundled weights
have not seen lose joints in five ways; errors are means over what was hidden, in pixels of an image
1000 wide and in mm; ``said`` is the error that the standard deviations promise.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

import hypopose
from hypopose.datasets import load_motion
from hypopose.io.atomic import write_atomically
from hypopose.samplers.completion import between
from hypopose.training.validation import HeldOut, hold_out
from hypopose.types import Poses3D

F, J = 60, 17
Gaps = Callable[[int], Bool[Tensor, "F J"]]


def without(frames: slice, joints: slice) -> Gaps:
    """Everything seen but these."""

    def seen(_: int) -> Tensor:
        mask = torch.ones(F, J, dtype=torch.bool)
        mask[frames, joints] = False
        return mask

    return seen


def at_random(window: int) -> Tensor:
    """Three in ten keypoints lost."""
    return torch.rand(F, J, generator=torch.Generator().manual_seed(window)) > 0.3


GAPS: dict[str, Gaps] = {
    "30 % of keypoints, at random": at_random,
    "all joints gone for 0.2 s": without(slice(25, 35), slice(None)),
    "a leg gone for 0.6 s": without(slice(15, 45), slice(4, 7)),
    "all joints gone for 0.6 s": without(slice(15, 45), slice(None)),
    "an arm never seen": without(slice(None), slice(14, 17)),
}


def line(points: Tensor) -> Tensor:
    """Straight lines over time, the ends held."""
    return torch.stack([between(points[:, j]) for j in range(J)], 1)


def errors(held_out: HeldOut, i: int, seen: Tensor) -> dict[str, Tensor]:
    """Of every hidden joint of a window."""
    xy, camera_joints = held_out.keypoints.xy[i], held_out.truth.joints[i]
    assert held_out.truth.root is not None
    points = camera_joints + held_out.truth.root[i][:, None]
    keypoints = replace(held_out.keypoints, xy=torch.where(seen[..., None], xy, torch.nan))
    broken = Poses3D(torch.where(seen[..., None], points, torch.nan), held_out.truth.skeleton)
    flat = hypopose.complete(keypoints)
    solid = hypopose.complete(broken, fps=held_out.keypoints.fps)
    assert solid.poses.std is not None
    off, sd = (flat.keypoints.xy - xy).norm(dim=-1), flat.std
    found = {
        "line_px": (line(keypoints.xy) - xy).norm(dim=-1),
        "px": off,
        "said_px": 1.2533 * sd,  # mean distance of a normal point in the plane
        "within_90_percent_2d": (off < 2.146 * sd).float(),
        "line_mm": 1000 * (line(broken.joints) - points).norm(dim=-1),
        "mm": 1000 * (solid.joints - points).norm(dim=-1),
        "said_mm": 1595.8 * solid.poses.std.square().mean(-1).sqrt(),
    }
    return {name: x[~seen] for name, x in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("motion", type=Path, help="folder of motion shards")
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    whole = hold_out(load_motion([str(args.motion / "cmu_permissive.npz")], "val"), F, 4 * F)
    chosen = torch.linspace(0, len(whole.truth.joints) - 1, args.windows).round().long().tolist()
    result = {}
    for name, seen in GAPS.items():
        rows = [errors(whole, at, seen(i)) for i, at in enumerate(chosen)]
        means = {key: float(torch.cat([row[key] for row in rows]).mean()) for key in rows[0]}
        result[name] = {k: round(x, 2) if math.isfinite(x) else None for k, x in means.items()}
        print(name, result[name], flush=True)
        with write_atomically(args.output) as partial:
            partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

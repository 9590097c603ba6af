"""How weights do on people whose skeletons they were never trained on.

    python benchmarks/other_bodies.py MOTION [--weights FOLDER ...] [--detected] [--steady PX]
        [--shards NAME ...] [--clips PATTERN ...] [--pitch DEGREES ...] [--frames N]

The people of the test split stand on skeletons that the train split has too. ``markers_mit`` holds
five people on skeletons of their own, ``deepmimic_mit`` other motions on a skeleton of the train
split; no bundled weights were trained on either. Windows of 81 frames, fixed virtual cameras, 20
hypotheses, exact keypoints, or with --detected COCO-17 keypoints as ``test-detector`` spoils them,
or with --steady keypoints that are off by so many pixels (of a person 400 px tall) in all frames
alike. The neck and head of the markers are extrapolated, so both are left out. --pitch puts the
cameras 3.5 m away on the same sides, looking down (or up, below 0) by so many degrees; of --shards
cmu_permissive and cmu_own_bodies the val split is taken, of the latter subjects 115 and 131 are on
skeletons that no training shard has (--clips 'cmu_115*' 'cmu_131*'). Other shards are judged whole:
name none that was trained on. --frames is the length of a window.

Besides the error, ECE and coverage: "depth" is the spread over the error along the line of sight,
"across" the same sideways; 80 % intervals by axis (sideways, down, depth); "ranking" is Spearman's
correlation of spread and error over the frames of a joint.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

import torch

from hypopose import make_sampler
from hypopose.calibration import ece, energy_score
from hypopose.calibration.by_axis import (
    AXES,
    along_sight,
    axis_coverage,
    error_ranking,
    spread_over_error,
)
from hypopose.cameras import project
from hypopose.datasets import DetectorNoise, coco_joints, load_motion
from hypopose.diffusion import seeded_noise
from hypopose.metrics import mpjpe, p_mpjpe
from hypopose.simulation import Motion
from hypopose.skeletons import COCO17, H36M17, convert
from hypopose.training.validation import HeldOut, hold_out
from hypopose.types import Keypoints2D

SHARDS = ("markers_mit", "deepmimic_mit")
JOINTS = [joint for joint in range(1, 17) if joint not in (9, 10)]
LEVELS = (0.5, 0.8, 0.95)


def scores(sampler: Any, held_out: HeldOut) -> dict[str, float]:
    """Millimeters, ECE, and the share of joints in 50, 80 and 95 % regions."""
    x = sampler.sample(held_out.keypoints, 20, seeded_noise(0)).joints[..., JOINTS, :]
    y = held_out.truth.joints[:, :, JOINTS]
    mean, curve = x.mean(1), ece(x, y)
    root = held_out.truth.root
    assert root is not None
    seen = along_sight(x, root[:, None]), along_sight(y, root)
    ratio, held = spread_over_error(*seen).tolist(), axis_coverage(*seen, [0.8])[0].tolist()
    levels = curve.levels.tolist()
    nearest = [min(range(len(levels)), key=lambda i: abs(levels[i] - q)) for q in LEVELS]
    return {
        "mean": 1000 * float(mpjpe(mean, y)),
        "P-MPJPE": 1000 * float(p_mpjpe(mean, y)),
        "energy": 1000 * float(energy_score(x, y).mean()),
        "ECE": float(curve.ece),
        **{
            f"in {round(100 * q)} %": 100 * float(curve.coverage.mean(0)[i])
            for q, i in zip(LEVELS, nearest, strict=True)
        },
        "depth": ratio[2],
        "across": ratio[0],
        **{f"80 % {axis}": 100 * share for axis, share in zip(AXES, held, strict=True)},
        "ranking": float(error_ranking(x, y).nanmean()),
    }


def chosen(motion: Motion, patterns: list[str]) -> Motion:
    """Clips whose names match any of some patterns."""
    keep = [i for i, n in enumerate(motion.names) if any(fnmatch(n, p) for p in patterns)]
    lengths = motion.length[keep]
    return Motion(
        torch.cat([motion.clip(i) for i in keep]),
        lengths.cumsum(0) - lengths,
        lengths,
        motion.fps,
        *(tuple(x[i] for i in keep) for x in (motion.names, motion.actions, motion.shards)),
    )


def steady(held_out: HeldOut, px: float) -> HeldOut:
    """The same with keypoints that are off by a constant, each its own."""
    xy = held_out.keypoints.xy
    height = (xy.amax(-2) - xy.amin(-2)).amax(-1).median(-1).values[:, None, None, None]
    noise = torch.randn(len(xy), 1, *xy.shape[2:], generator=torch.Generator().manual_seed(0))
    moved = xy + px * height / 400 * noise
    return replace(held_out, keypoints=replace(held_out.keypoints, xy=moved))


def detected(held_out: HeldOut) -> HeldOut:
    """The same, found by a COCO-17 detector that errs, swaps sides and loses keypoints."""
    keypoints, truth = held_out.keypoints, held_out.truth
    assert truth.root is not None
    assert keypoints.camera is not None
    clean = project(coco_joints(truth.joints + truth.root[:, :, None]), keypoints.camera)
    noise, generator = DetectorNoise(), torch.Generator().manual_seed(0)
    xy, confidence = (
        torch.stack(x) for x in zip(*(noise.apply(c, generator) for c in clean), strict=True)
    )
    found = Keypoints2D(
        xy, COCO17, confidence=confidence, camera=keypoints.camera, fps=keypoints.fps
    )
    return replace(held_out, keypoints=convert(found, H36M17))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--weights", nargs="+", default=["distributional-frame-small"])
    parser.add_argument("--detected", action="store_true", help="COCO-17 keypoints with errors.")
    parser.add_argument("--steady", type=float, help="Pixels that keypoints are off in all frames.")
    parser.add_argument("--clips", nargs="+", default=["*"], help="Patterns of names.")
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--shards", nargs="+", default=SHARDS)
    parser.add_argument("--pitch", nargs="+", type=float, default=[None])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for shard, pitch in product(options.shards, options.pitch):
        split = "val" if shard.startswith("cmu_") else "train"
        motion = chosen(load_motion(options.motion / f"{shard}.npz", split), options.clips)
        held_out = hold_out(motion, options.frames, 2 * options.frames, pitch)
        held_out = detected(held_out) if options.detected else held_out
        held_out = steady(held_out, options.steady) if options.steady else held_out
        seen = "" if pitch is None else f" from {pitch:g} degrees"
        for weights in options.weights:
            found = scores(make_sampler(weights=weights), held_out)
            told = ", ".join(
                f"{k} {v:.3f}" if abs(v) < 3 else f"{k} {v:.1f}" for k, v in found.items()
            )
            n = len(held_out.truth.joints)
            print(f"{shard}{seen}, {n} windows, {weights}: {told}", flush=True)


if __name__ == "__main__":
    main()

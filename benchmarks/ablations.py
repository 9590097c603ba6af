"""What matters for calibrated weights: one change at a time, equal frames, same seed.

    python benchmarks/ablations.py MOTION --n-frames 2000000 -o ablations.json

MOTION is the folder of shards. Every variant starts from random weights, is trained on the same
number of frames, and is judged on the validation subjects: error of the mean, energy score per
joint and ECE of 10 hypotheses, clean keypoints. Variants already in the output are kept, so that
the table can grow over several sittings; ``--only NAME`` runs one.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hypopose.datasets.motion import Motion, load_motion
from hypopose.io.atomic import write_atomically
from hypopose.training import TrainConfig, Trainer
from hypopose.training.objectives import OBJECTIVES
from hypopose.training.validation import HeldOut, hold_out

BASE = {
    "width": 128,
    "n_layers": 4,
    "n_heads": 4,
    "batch_frames": 1296,
    "lengths": (1, 9, 27, 81),
    "length_shares": (0.05, 0.15, 0.55, 0.25),
    "learning_rate": 1e-3,
    "warmup_steps": 100,
    "bf16": False,
    "objective": "energy",
    "n_latent": 48,
    "one_step_share": 0.8,
    "tumbling": 0.05,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "default (energy score, latent noise, 80 % from pure noise)": {},
    "regression of x0 (D3DP)": {"objective": "x0", "n_latent": 0},
    "flow matching": {"objective": "flow", "n_latent": 0},
    "energy score, noise in x_t alone": {"n_latent": 0},
    "energy score, always from pure noise": {"one_step_share": 1.0},
    "energy score, all noise levels alike": {"one_step_share": 0.0},
    "no recombination of body parts": {"recombine": 0.0},
    "all windows recombined": {"recombine": 1.0},
    "no tumbling": {"tumbling": 0.0},
    "no procedural shard": {"seated_share": 0.0},
    "targets in metres (scale 1)": {"scale": 1.0},
    "windows of 27 frames only": {"lengths": (27,), "length_shares": (1.0,)},
    "6 layers, 96 wide": {"width": 96, "n_layers": 6},
}
"""Name -> what differs from ``BASE``."""

HELD_OUT_ACTIONS = ("salsa", "indian dance", "modern dance", "dance")
"""What the last two variants never see: every action whose label has one of these words."""


def without(motion: Motion, words: tuple[str, ...]) -> Motion:
    """The clips whose action has none of the words."""
    keep = [i for i, a in enumerate(motion.actions) if not any(w in a.lower() for w in words)]
    joints = torch.cat([motion.clip(i) for i in keep])
    length = motion.length[keep]
    start = length.cumsum(0) - length
    labels = (tuple(row[i] for i in keep) for row in (motion.names, motion.actions, motion.shards))
    return Motion(joints, start, length, motion.fps, *labels)


def train(config: TrainConfig, held_out: HeldOut, motion: Motion | None = None) -> dict[str, Any]:
    """Train one variant and judge it."""
    trainer = Trainer(config)
    if motion is not None:
        trainer.make_batch = trainer.objective.make_batches(motion, trainer.device, config)
    cpu, start = time.process_time(), time.perf_counter()
    while trainer.progress.share(config) < 1:
        trainer.step()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    with torch.no_grad():
        scores = OBJECTIVES[config.objective].validate(trainer.averaged(), held_out, config)
    return {
        **scores,
        "frames": trainer.progress.frames,
        "frames_per_cpu_second": round(trainer.progress.frames / cpu),
        "seconds": round(wall),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--n-frames", type=int, default=2_000_000)
    parser.add_argument("--only", action="append", choices=[*VARIANTS, "dances held out"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path("ablations.json"))
    args = parser.parse_args()
    shards = tuple(str(args.motion / f"{n}.npz") for n in ("cmu_permissive", "procedural_seated"))
    held_out = hold_out(load_motion(shards, "val"))
    base = TrainConfig(shards=shards, n_frames=args.n_frames, device=args.device, **BASE)
    done = json.loads(args.output.read_text()) if args.output.exists() else {}
    for name in args.only or [*VARIANTS, "dances held out"]:
        if name in done:
            continue
        if name == "dances held out":
            done[name] = dances(base, shards)
        else:
            done[name] = train(replace(base, **VARIANTS[name]), held_out)
        with write_atomically(args.output) as partial:
            partial.write_text(json.dumps(done, indent=1) + "\n")
        print(name, json.dumps(done[name]), flush=True)


def dances(base: TrainConfig, shards: tuple[str, ...]) -> dict[str, Any]:
    """Never see a dance, then be judged on dances: with and without recombination of parts."""
    motion = load_motion(shards, "train")
    rest = without(motion, HELD_OUT_ACTIONS)
    names = set(rest.names)
    danced = [i for i, name in enumerate(motion.names) if name not in names]
    length = motion.length[danced]
    unseen = Motion(
        torch.cat([motion.clip(i) for i in danced]),
        length.cumsum(0) - length,
        length,
        motion.fps,
        *(tuple(r[i] for i in danced) for r in (motion.names, motion.actions, motion.shards)),
    )
    held_out = hold_out(unseen, stride=216)
    return {
        f"recombine {share}": train(replace(base, recombine=share), held_out, rest)
        for share in (0.0, 0.6)
    }


if __name__ == "__main__":
    main()

"""Which network: five D3DP denoisers after the same processor time, and what the hourglass saves.

    python benchmarks/networks.py --shard cmu.npz --shard seated.npz --minutes 20 -o networks.json

Part 1 trains MixSTE2, KTPFormer, MotionAGFormer with layer norm, FrameTokens, and FrameTokens in
the hourglass on the same motion with the same seed, each until it has used the same *processor*
time (which minds a busy machine little), and scores them on held-out subjects: error of the mean of
the hypotheses, fair energy score per joint, ECE, and frames per second of processor time.

Part 2 wraps trained networks in the hourglass without any training (recover="interpolate"): the
weights in the box, and part 1's MixSTE2; multiplications, speed and scores at several rates.

The result is written after every network; --only and --skip-training repeat parts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hypopose.calibration import ece, energy_score
from hypopose.datasets.motion import load_motion
from hypopose.diffusion import seeded_noise
from hypopose.io.atomic import write_atomically
from hypopose.metrics import mpjpe
from hypopose.networks import Hourglass, load_network
from hypopose.samplers import D3DP
from hypopose.training import TrainConfig, Trainer
from hypopose.training.recipes import RECIPES
from hypopose.training.validation import HeldOut, hold_out

FRAMES: dict[str, Any] = {"width": 192, "n_layers": 6, "n_heads": 6, "mlp_ratio": 3.0}
CONTENDERS: dict[str, dict[str, Any]] = {
    "frame-tokens": FRAMES,
    "hot-frame-tokens": FRAMES,
    "mixste2": {},
    "ktpformer": {},
    "motionagformer": {},
}
"""What is trained, and options beside those of its recipe."""

SHARED: dict[str, Any] = {
    "lengths": (27,),
    "length_shares": (1.0,),
    "lift_share": 0.0,
    "batch_frames": 27 * 8,
    "learning_rate": 1e-3,
    "warmup_steps": 100,
    "ema_decay": 0.99,
    "bf16": False,
}
H, STEPS = 20, 5


@dataclass(frozen=True, eq=False)
class Trained:
    """A network after its budget."""

    network: nn.Module
    steps: int
    frames: int
    wall_s: float


def train(name: str, options: dict[str, Any], args: argparse.Namespace) -> Trained:
    """Take steps until the processor time is used; the learning rate follows it."""
    given = {**RECIPES[name].options, **options, **SHARED}
    shards = tuple(str(s) for s in args.shard)
    trainer = Trainer(
        TrainConfig(shards, minutes=args.minutes, network=name, seed=args.seed, **given)
    )
    start, wall = time.process_time(), time.monotonic()
    while trainer.progress.share(trainer.config) < 1:
        trainer.step()
        trainer.progress.seconds = time.process_time() - start
    progress = trainer.progress
    return Trained(
        trainer.averaged(), progress.step, progress.frames, round(time.monotonic() - wall)
    )


def score(network: nn.Module, held_out: HeldOut, options: dict[str, Any]) -> dict[str, float]:
    """Scores and processor time of H hypotheses for every held-out window."""
    sampler = D3DP(network, n_steps=STEPS, eta=0.0, flip=False, chunk=8192, **options)
    truth = held_out.truth.joints
    start = time.process_time()
    x = sampler.sample(held_out.keypoints, H, seeded_noise(0)).joints
    seconds = time.process_time() - start
    judged = [j for j in range(truth.shape[-2]) if j != 0]
    x, truth = x[..., judged, :], truth[..., judged, :]
    return {
        "mpjpe_mean_mm": round(1000 * float(mpjpe(x.mean(1), truth)), 1),
        "energy_mm": round(1000 * float(energy_score(x, truth).mean()), 1),
        "ece": round(float(ece(x, truth).ece), 3),
        "spread_mm": round(1000 * float(x.std(1).square().sum(-1).sqrt().mean()), 1),
        "frames_per_cpu_s": round(truth.shape[0] * truth.shape[1] / seconds, 1),
    }


def multiplications(network: nn.Module, n_frames: int) -> float:
    """Billions, for one step of H hypotheses of a window."""
    x_t, xy = torch.zeros(1, H, n_frames, 17, 3), torch.randn(1, n_frames, 17, 2)
    context = torch.zeros(1, 2) if network.info.inputs == "subject" else None
    ones = torch.ones(1, n_frames, 17)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x_t, xy, torch.zeros(1), ones, None, context)
    return counter.get_total_flops() / 2e9


def on_math(network: nn.Module) -> nn.Module:
    """The same network with attention written out, so that its multiplications are counted."""
    config = {k: v for k, v in dict(network.config).items() if not k.startswith("_")}
    if "backbone" in config:
        config["backbone"] = {**config["backbone"], "attention": "math"}
    else:
        config["attention"] = "math"
    same = type(network)(**config)
    same.load_state_dict(network.state_dict())
    return same.eval()


def prune(
    network: nn.Module, held_out: HeldOut, rates: list[tuple[int, int]], options: dict[str, Any]
) -> list[dict[str, Any]]:
    """The network as it is, and with fewer frames after a block, untrained."""
    n_frames = held_out.keypoints.n_frames
    rows = []
    for at, keep in [(0, n_frames), *rates]:
        wrapped = network
        if keep < n_frames:
            wrapped = Hourglass.wrap(
                network, at=at, keep=keep, select="keypoints", recover="interpolate"
            ).eval()
        row = {
            "at": at,
            "keep": keep,
            "gmac": round(multiplications(on_math(wrapped), n_frames), 2),
        }
        rows.append({**row, **score(wrapped, held_out, options)})
        print(rows[-1], flush=True)
    return rows


def machine() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def write(path: Path, result: dict[str, Any]) -> None:
    with write_atomically(path) as partial:
        partial.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def contest(args: argparse.Namespace, held_out: HeldOut, result: dict[str, Any]) -> None:
    """Part 1: train and score the contenders; weights go to --keep."""
    for name in args.only or CONTENDERS:
        trained = train(name, CONTENDERS[name], args)
        row = {
            "parameters": sum(p.numel() for p in trained.network.parameters()),
            "steps": trained.steps,
            "frames_seen": trained.frames,
            "wall_s": trained.wall_s,
            **score(trained.network, held_out, {"scale": 3.0, "clamp": 1.7}),
        }
        result.setdefault("contest", {})[name] = row
        trained.network.save_pretrained(args.keep / name)
        write(args.output, result)
        print(name, row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shard", type=Path, action="append", required=True)
    parser.add_argument("--minutes", type=float, default=20.0, help="processor time per network")
    parser.add_argument("--windows", type=int, default=60, help="held-out windows that are scored")
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS))
    parser.add_argument("--skip-training", action="store_true", help="only part 2")
    parser.add_argument("--keep", type=Path, default=Path("networks-trained"), help="weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    if args.output.exists():
        result = json.loads(args.output.read_text(encoding="utf-8"))
    result["options"] = {
        "minutes": args.minutes,
        "seed": args.seed,
        "hypotheses": H,
        "steps": STEPS,
    }
    result["machine"] = machine()
    if not args.skip_training:
        contest(args, held_out(args, 27), result)
    result["pruning"] = pruning = result.get("pruning", {})
    pruning["d3dp-frame-small"] = prune(
        load_network("d3dp-frame-small"),
        held_out(args, 81),
        [(2, 41), (2, 27), (2, 14)],
        {"scale": 3.0, "clamp": 1.7},
    )
    write(args.output, result)
    if (args.keep / "mixste2").is_dir():
        pruning["mixste2"] = prune(
            load_network(args.keep / "mixste2"),
            held_out(args, 27),
            [(1, 14), (1, 9), (1, 5)],
            {"scale": 3.0, "clamp": 1.7},
        )
    write(args.output, result)


def held_out(args: argparse.Namespace, n_frames: int) -> HeldOut:
    """As many windows of held-out subjects as asked for, spread over the clips."""
    whole = hold_out(load_motion([str(s) for s in args.shard], "val"), n_frames, 2 * n_frames)
    at = torch.linspace(0, len(whole.truth.joints) - 1, args.windows).round().long().unique()
    return take(whole, at)


def take(whole: HeldOut, at: torch.Tensor) -> HeldOut:
    keypoints = replace(whole.keypoints, xy=whole.keypoints.xy[at])
    root = None if whole.truth.root is None else whole.truth.root[at]
    truth = replace(whole.truth, joints=whole.truth.joints[at], root=root)
    return replace(whole, keypoints=keypoints, truth=truth, world=whole.world[at])


if __name__ == "__main__":
    main()

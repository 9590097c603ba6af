"""Which network: five D3DP denoisers after the same processor time, and what the hourglass saves.

    python benchmarks/networks.py MOTION --minutes 20 -o networks.json

MOTION is the folder of motion shards. Part 1 trains MixSTE2, KTPFormer, MotionAGFormer with layer
norm, FrameTokens, and FrameTokens in the hourglass, all of about 0.4 million parameters, on the
same windows with the same seed, each until it has used the same *processor* time (which minds a
busy machine little), and scores them on held-out subjects: error of the mean of the hypotheses,
fair energy score per joint, ECE, and frames per second of processor time.

Part 2 wraps trained networks in the hourglass without any training (recover="interpolate"): weights
that are bundled, and part 1's MixSTE2; multiplications, speed and scores at several rates.

The result is written after every network, and what it holds is not done again; --only names parts.
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
from typing import Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from hypopose.calibration import ece, energy_score
from hypopose.datasets import load_motion
from hypopose.diffusion import seeded_noise
from hypopose.io.atomic import write_atomically
from hypopose.metrics import mpjpe
from hypopose.networks import Hourglass, load_network
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.staged import StagedNetwork
from hypopose.samplers import D3DP, DistributionalDiffusion
from hypopose.training import TrainConfig, Trainer
from hypopose.training.architectures import ARCHITECTURES
from hypopose.training.validation import HeldOut, hold_out
from hypopose.types import Sampler

JOINTS: dict[str, Any] = {"width": 64, "n_heads": 4, "mlp_ratio": 2.0}
FRAMES: dict[str, Any] = {"width": 96, "n_layers": 3, "n_heads": 4, "mlp_ratio": 3.0}
CONTENDERS: dict[str, dict[str, Any]] = {
    "frame-tokens": FRAMES,
    "hot-frame-tokens": FRAMES,
    "mixste2": {**JOINTS, "n_layers": 5},
    "ktpformer": {**JOINTS, "n_layers": 4},
    "motionagformer": {**JOINTS, "n_layers": 3},
}
"""What is trained, and sizes that give each about 0.4 million parameters."""

SHARED: dict[str, Any] = {
    "lengths": (27,),
    "length_shares": (1.0,),
    "lift_share": 0.0,
    "batch_frames": 27 * 8,
    "learning_rate": 1e-3,
    "warmup_steps": 50,
    "ema_decay": 0.99,
}
D3DP_OPTIONS: dict[str, Any] = {"scale": 3.0, "clamp": 1.7}
PRUNED: dict[str, tuple[int, list[tuple[int, int]]]] = {
    "d3dp-frame-small": (81, [(2, 41), (2, 27), (2, 14)]),
    "distributional-frame-small": (81, [(2, 41), (2, 27), (2, 14)]),
    "mixste2": (27, [(1, 14), (1, 9), (1, 5)]),
}
"""Weights -> frames of a window, and (block, frames kept after it)."""

STEPS = 5


@dataclass(frozen=True, eq=False)
class Trained:
    """A network after its budget."""

    network: PretrainedNetwork
    steps: int
    frames: int
    wall_s: float


def train(name: str, args: argparse.Namespace) -> Trained:
    """Take steps until the processor time is used; the learning rate follows it."""
    given = {**ARCHITECTURES[name].options, **CONTENDERS[name], **SHARED, "bf16": args.bf16}
    config = TrainConfig.from_options(
        shards_of(args), minutes=args.minutes, network=name, seed=args.seed, **given
    )
    trainer = Trainer(config)
    start, wall = time.process_time(), time.monotonic()
    while trainer.progress.share(config) < 1:
        trainer.step()
        trainer.progress.seconds = time.process_time() - start
    progress, wall = trainer.progress, round(time.monotonic() - wall)
    return Trained(trainer.averaged(), progress.step, progress.frames, wall)


def sampler_for(network: PretrainedNetwork) -> Sampler:
    """D3DP for denoisers; generators draw in one evaluation."""
    if network.info.n_latent:
        return DistributionalDiffusion(network, chunk=8192, **D3DP_OPTIONS)
    return D3DP(network, n_steps=STEPS, eta=0.0, flip=False, chunk=8192, **D3DP_OPTIONS)


def score(network: PretrainedNetwork, held_out: HeldOut, n_hypotheses: int) -> dict[str, float]:
    """Scores of hypotheses for every held-out window, and processor time."""
    sampler, truth = sampler_for(network), held_out.truth.joints
    start = time.process_time()
    x = sampler.sample(held_out.keypoints, n_hypotheses, seeded_noise(0)).joints
    seconds = time.process_time() - start
    x, truth = x[..., 1:, :], truth[..., 1:, :]  # the root is 0 by definition
    return {
        "windows": len(truth),
        "mpjpe_mean_mm": round(1000 * float(mpjpe(x.mean(1), truth)), 1),
        "energy_mm": round(1000 * float(energy_score(x, truth).mean()), 1),
        "ece": round(float(ece(x, truth).ece), 3),
        "spread_mm": round(1000 * float(x.std(1).square().sum(-1).sqrt().mean()), 1),
        "frames_per_cpu_s": round(truth.shape[0] * truth.shape[1] / seconds, 1),
    }


def multiplications(network: PretrainedNetwork, n_frames: int) -> float:
    """Billions, for one step of ten hypotheses of a window."""
    rows = 17 + network.info.n_latent // 3
    x_t, xy = torch.zeros(1, 10, n_frames, rows, 3), torch.randn(1, n_frames, 17, 2)
    context = torch.zeros(1, 2) if network.info.inputs == "subject" else None
    ones = torch.ones(1, n_frames, 17)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x_t, xy, torch.zeros(1), ones, None, context)
    return counter.get_total_flops() / 2e9


def on_math(network: PretrainedNetwork) -> PretrainedNetwork:
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
    network: StagedNetwork,
    held_out: HeldOut,
    rates: list[tuple[int, int]],
    n_hypotheses: int,
) -> list[dict[str, Any]]:
    """The network as it is, and with fewer frames after a block, untrained."""
    n_frames = held_out.keypoints.n_frames
    rows: list[dict[str, Any]] = []
    for at, keep in [(0, n_frames), *rates]:
        wrapped: PretrainedNetwork = network
        if keep < n_frames:
            wrapped = Hourglass.wrap(
                network, at=at, keep=keep, select="keypoints", recover="interpolate"
            ).eval()
        gmac = round(multiplications(on_math(wrapped), n_frames), 2)
        rows.append({"at": at, "keep": keep, "gmac": gmac} | score(wrapped, held_out, n_hypotheses))
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


def contest(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Part 1: train and score a contender; its weights go to --keep."""
    trained = train(name, args)
    trained.network.save_pretrained(args.keep / name)
    return {
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "minutes": args.minutes,
        "seed": args.seed,
        "bf16": args.bf16,
        "steps": trained.steps,
        "frames_seen": trained.frames,
        "frames_per_cpu_s_in_training": round(trained.frames / (60 * args.minutes)),
        "wall_s": trained.wall_s,
        "load_average": round(os.getloadavg()[0], 1),
        **score(trained.network, held_out(args, 27), args.n_hypotheses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("motion", type=Path, help="folder of motion shards")
    parser.add_argument("--minutes", type=float, default=20.0, help="processor time per network")
    parser.add_argument("--windows", type=int, default=40, help="held-out windows that are scored")
    parser.add_argument("--n-hypotheses", type=int, default=20, help="per window")
    parser.add_argument("--only", nargs="*", choices=[*CONTENDERS, "pruning"], help="parts")
    parser.add_argument("--float32", dest="bf16", action="store_false", help="no bfloat16")
    parser.add_argument("--keep", type=Path, default=Path("networks-trained"), help="weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"contest": {}, "pruning": {}}
    if args.output.exists():
        result |= json.loads(args.output.read_text(encoding="utf-8"))
    result["options"] = {"hypotheses": args.n_hypotheses, "steps": STEPS}
    result["machine"] = machine()
    parts = args.only or [*CONTENDERS, "pruning"]
    for name in CONTENDERS:
        if name in parts and name not in result["contest"]:
            result["contest"][name] = contest(name, args)
            print(name, result["contest"][name], flush=True)
            write(args.output, result)
    for name, (n_frames, rates) in PRUNED.items():
        weights = args.keep / name if name in CONTENDERS else name
        there = name not in CONTENDERS or (args.keep / name).is_dir()
        if "pruning" in parts and there and name not in result["pruning"]:
            network = cast(StagedNetwork, load_network(weights))
            result["pruning"][name] = prune(
                network, held_out(args, n_frames), rates, args.n_hypotheses
            )
            write(args.output, result)


def shards_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Recorded and procedural motion."""
    return tuple(str(args.motion / f"{n}.npz") for n in ("cmu_permissive", "procedural_seated"))


def held_out(args: argparse.Namespace, n_frames: int) -> HeldOut:
    """As many windows of held-out subjects as asked for, spread over the clips."""
    whole = hold_out(load_motion(shards_of(args), "val"), n_frames, 2 * n_frames)
    n = len(whole.truth.joints)
    at = torch.linspace(0, n - 1, min(n, args.windows)).round().long()
    return take(whole, at)


def take(whole: HeldOut, at: torch.Tensor) -> HeldOut:
    keypoints = replace(whole.keypoints, xy=whole.keypoints.xy[at])
    root = None if whole.truth.root is None else whole.truth.root[at]
    truth = replace(whole.truth, joints=whole.truth.joints[at], root=root)
    return replace(whole, keypoints=keypoints, truth=truth, world=whole.world[at])


if __name__ == "__main__":
    main()

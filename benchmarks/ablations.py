"""What matters for calibrated weights: one change at a time, a small network, the same seed.

    python benchmarks/ablations.py MOTION -o FOLDER --n-frames 500000
    python benchmarks/ablations.py MOTION -o FOLDER --table

MOTION is the folder of shards. Every variant starts from random weights and sees the same number of
frames; variants whose steps cost something else (``equal_time``) are given the processor time that
the first one took instead. They are judged on the validation subjects, clean keypoints, 20
hypotheses of windows of 27 frames. FOLDER gets a JSON file and the averaged weights per variant;
those that are there are kept, so that the table can grow over several sittings, and ``--only NAME``
runs one. ``--table`` writes what is there as markdown and trains nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hypopose.calibration import ece, energy_score
from hypopose.datasets import Motion, load_motion
from hypopose.diffusion import Schedule, ddim_step, seeded_noise, timestep_pairs
from hypopose.io.atomic import write_atomically
from hypopose.metrics import mpjpe, mpjve
from hypopose.networks.load import load_network
from hypopose.samplers import D3DP, DistributionalDiffusion, FlowMatching, Lifter
from hypopose.training import Batch, TrainConfig, Trainer
from hypopose.training.losses import joint_distance
from hypopose.training.validation import HeldOut, hold_out
from hypopose.types import Sampler

N_HYPOTHESES = 20

BASE: dict[str, Any] = {
    "width": 128,
    "n_layers": 4,
    "n_heads": 4,
    "batch_frames": 1296,
    "lengths": (1, 9, 27, 81),
    "length_shares": (0.05, 0.15, 0.55, 0.25),
    "learning_rate": 1e-3,
    "warmup_steps": 50,
    "ema_decay": 0.99,
    "objective": "energy",
    "n_latent": 48,
    "one_step_share": 0.8,
    "tumbling": 0.05,
}

DANCES = ("dance",)
FLOOR = (
    *("long_sit", "cross_legged", "legs_out", "heel_sit", "knees_up", "kneel"),
    *("handstand", "helicopter", "kickflip"),
)
"""Words in the labels of actions that are held out together."""


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Args:
        changes: What differs from ``BASE``.
        equal_time: Given the processor time of the first row instead of its frames.
        unseen_noise: Kinds of noise whose channels the generator is not shown: constant, slow,
            fresh, and the noisy pose itself.
        hidden: Actions with one of these words are not trained on, and are what it is judged on.
        distils: The network starts from this row's weights and learns the end of its walk of five
            steps, in one; it gets what time the other row left.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    equal_time: bool = False
    unseen_noise: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    distils: str | None = None


FIRST = "base: energy score, 80 % from pure noise"
REGRESSION = "regression of x0 (D3DP)"
VARIANTS: dict[str, Variant] = {
    FIRST: Variant(),
    "base, another seed": Variant({"seed": 1}),
    REGRESSION: Variant({"objective": "x0", "n_latent": 0}),
    "flow matching": Variant({"objective": "flow", "n_latent": 0}),
    "a scale per joint, sampled": Variant(
        {"objective": "uncertainty", "network": "scale-tokens", "n_latent": 0, "clip_norm": 20.0}
    ),
    "regression, distilled into one step": Variant(
        {"objective": "x0", "n_latent": 0}, equal_time=True, distils=REGRESSION
    ),
    "always from pure noise": Variant({"one_step_share": 1.0}),
    "all noise levels alike": Variant({"one_step_share": 0.0}),
    "noise in x_t alone": Variant({"n_latent": 0}),
    "latent noise: constant alone": Variant(unseen_noise=("slow", "fresh")),
    "latent noise: slow alone": Variant(unseen_noise=("constant", "fresh")),
    "latent noise: fresh alone": Variant(unseen_noise=("constant", "slow")),
    "nothing fresh, always from pure noise": Variant(
        {"one_step_share": 1.0}, unseen_noise=("fresh", "pose")
    ),
    "norms: joints alone": Variant({"norms": (1.0, 0.0, 0.0, 0.0)}),
    "norms: poses alone": Variant({"norms": (0.0, 1.0, 0.0, 0.0)}),
    "norms: clips alone": Variant({"norms": (0.0, 0.0, 1.0, 0.0)}),
    "norms: no changes between frames": Variant({"norms": (1.0, 1.0, 0.5, 0.0)}),
    "norms: changes four times as heavy": Variant({"norms": (1.0, 1.0, 0.5, 8.0)}),
    "4 draws a window, equal time": Variant({"n_draws": 4}, equal_time=True),
    "no averaged weights": Variant({"ema_decay": 0.0}),
    "float32, equal time": Variant({"bf16": False}, equal_time=True),
    "no recombination": Variant({"recombine": 0.0}),
    "all windows recombined": Variant({"recombine": 1.0}),
    "bones between Human3.6M's and recorded": Variant({"recorded_bones": 0.8}),
    "freer bones": Variant({"bone_sd": (0.06, 0.055), "free_pairs": True, "direction_sd": 0.05}),
    "no tumbling": Variant({"tumbling": 0.0}),
    "no procedural shard": Variant({"seated_share": 0.0}),
    "targets in meters (scale 1)": Variant({"scale": 1.0}),
    "windows of 27 frames": Variant({"lengths": (27,), "length_shares": (1.0,)}),
    "windows of 81 frames": Variant({"lengths": (81,), "length_shares": (1.0,)}),
    "no flicker": Variant({"flicker": 0.0}),
    "half of the blocks shared by all draws, equal time": Variant(
        {"network_options": {"n_shared": 2}}, equal_time=True
    ),
    "Muon inside the blocks, equal time": Variant({"optimizer": "muon"}, equal_time=True),
    "no flicker, blocks shared, Muon, equal time": Variant(
        {"flicker": 0.0, "network_options": {"n_shared": 2}, "optimizer": "muon"}, equal_time=True
    ),
    "96 wide, 6 layers, equal time": Variant({"width": 96, "n_layers": 6}, equal_time=True),
    "192 wide, 3 layers, equal time": Variant({"width": 192, "n_layers": 3}, equal_time=True),
    "256 wide, 6 layers, equal time": Variant(
        {"width": 256, "n_layers": 6, "n_heads": 8}, equal_time=True
    ),
    "joint tokens (MixSTE2 64 wide, 3 layers), equal time": Variant(
        {
            "network": "mixste2",
            "n_latent": 0,
            "width": 64,
            "n_layers": 3,
            "mlp_ratio": 2.0,
            "lengths": (27,),
            "length_shares": (1.0,),
            "lift_share": 0.0,
        },
        equal_time=True,
    ),
    "dances held out, no recombination": Variant({"recombine": 0.0}, hidden=DANCES),
    "dances held out, 60 % recombined": Variant(hidden=DANCES),
    "floor held out, no recombination": Variant({"recombine": 0.0}, hidden=FLOOR),
    "floor held out, 60 % recombined": Variant(hidden=FLOOR),
}

COLUMNS = {
    "mean_mm": "mean mm",
    "single_mm": "single mm",
    "energy_mm": "energy/joint mm",
    "clip_energy_mm": "energy/clip mm",
    "ece": "ECE",
    "cover_80": "80 % cover",
    "mpjve_single_mm": "MPJVE single",
}


def part(motion: Motion, keep: Sequence[int]) -> Motion:
    """Some of the clips."""
    length = motion.length[list(keep)]
    labels = (tuple(row[i] for i in keep) for row in (motion.names, motion.actions, motion.shards))
    joints = torch.cat([motion.clip(i) for i in keep])
    return Motion(joints, length.cumsum(0) - length, length, motion.fps, *labels)


def split(motion: Motion, words: tuple[str, ...]) -> tuple[Motion, Motion]:
    """Clips whose action has none of the words, and the others."""
    with_word = [any(w in action.lower() for w in words) for action in motion.actions]
    rest = [i for i, hit in enumerate(with_word) if not hit]
    return part(motion, rest), part(motion, [i for i, hit in enumerate(with_word) if hit])


def blind(network: nn.Module, config: TrainConfig, kinds: tuple[str, ...]) -> None:
    """Show a FrameTokens generator zeros in the channels of some kinds of noise."""
    if not kinds:
        return
    pose, quarter = 3 * 17, config.network.n_latent // 4
    seen = torch.ones(pose + config.network.n_latent)
    for kind, at in (
        ("pose", slice(pose)),
        ("constant", slice(pose, pose + 2 * quarter)),
        ("slow", slice(pose + 2 * quarter, pose + 3 * quarter)),
        ("fresh", slice(pose + 3 * quarter, None)),
    ):
        seen[at] = float(kind not in kinds)
    layer = network.get_submodule("from_pose")
    layer.register_forward_pre_hook(lambda _, given: (given[0] * seen.to(given[0]),))


def distillation(teacher: nn.Module, config: TrainConfig, schedule: Schedule) -> Callable[..., Any]:
    """Loss of a student whose one answer to pure noise is to be where the teacher's walk ends."""
    bound = config.objective.clamp * config.objective.scale

    def loss(network: Any, batch: Batch, step: Any) -> Tensor:
        e, y = batch.encoded, batch.target
        given = {"confidence": e.confidence, "context": e.context}
        x = torch.randn((len(y), 1, *y.shape[1:]), generator=step.generator, device=y.device)
        start = x.clamp(-bound, bound) / config.objective.scale

        def answer(net: Any, x_t: Tensor, t: int) -> Tensor:
            times = torch.full((len(y),), float(t), device=y.device)
            clean: Tensor = net(
                x_t.clamp(-bound, bound) / config.objective.scale, e.xy, times, **given
            )
            return clean

        with torch.no_grad():
            for t, t_next in timestep_pairs(5, config.objective.n_timesteps):
                x0 = answer(teacher, x, t).float() * config.objective.scale
                x = ddim_step(x, x0, t, t_next, schedule, eta=0.0)
        last = torch.full((len(y),), float(config.objective.n_timesteps - 1), device=y.device)
        return joint_distance(network(start, e.xy, last, **given), x / config.objective.scale)

    return loss


def samplers(network: Any, config: TrainConfig, steps: Sequence[int] = ()) -> dict[int, Sampler]:
    """Evaluations -> how the variant's network is sampled."""
    o = config.objective
    options: dict[str, Any] = {"scale": o.scale, "clamp": o.clamp, "flip": False}
    if config.objective.name == "uncertainty":
        return {1: Lifter(network, flip=False)}
    if config.objective.name == "energy":
        options["frame_noise_scale"] = config.objective.flicker
        return {n: DistributionalDiffusion(network, n_steps=n, **options) for n in steps or (1,)}
    if config.objective.name == "flow":
        return {n: FlowMatching(network, n_steps=n, **options) for n in steps or (1, 5)}
    return {n: D3DP(network, n_steps=n, eta=0.0, **options) for n in steps or (1, 5)}


@torch.no_grad()
def judge(sampler: Sampler, held_out: HeldOut) -> dict[str, float]:
    """Errors and energy scores in mm (a clip's per joint, root mean square), ECE, coverage."""
    y = held_out.truth.joints
    x = sampler.sample(held_out.keypoints, N_HYPOTHESES, seeded_noise(0)).joints
    mean = x.mean(1)
    curve = ece(x, y)
    at_80 = int((curve.levels - 0.8).abs().argmin())
    size = (y.shape[-3] * y.shape[-2]) ** 0.5
    return {
        "mean_mm": 1000 * float(mpjpe(mean, y)),
        "single_mm": 1000 * float(mpjpe(x, y[:, None].expand_as(x))),
        "energy_mm": 1000 * float(energy_score(x, y).mean()),
        "clip_energy_mm": 1000 * float(energy_score(x, y, level="clip").mean()) / size,
        "ece": curve.ece,
        "cover_80": float(curve.curve[at_80]),
        "mpjve_single_mm": 1000 * float(mpjve(x[:, 0], y)),
    }


def train(
    name: str, base: TrainConfig, folder: Path, seconds: float | None
) -> dict[str, dict[str, float]]:
    """Train a variant, store its weights and judge it."""
    variant = VARIANTS[name]
    config = base.with_options(**variant.changes)
    motion, held_out = load_motion(config.data.shards, "train"), None
    if variant.hidden:
        motion, unseen = split(motion, variant.hidden)
        held_out = hold_out(unseen, stride=216)
    else:
        held_out = hold_out(load_motion(config.data.shards, "val"))
    trainer = Trainer(config)
    trainer.make_batch = trainer.objective.make_batches(motion, trainer.device, config)
    blind(trainer.network, config, variant.unseen_noise)
    if variant.distils is not None:
        teacher = load_network(weights_of(variant.distils, folder)).eval()
        trainer.network.load_state_dict(teacher.state_dict())
        loss = distillation(teacher, config, trainer.schedule)
        trainer.objective = replace(trainer.objective, loss=loss)
    spent = run(trainer, seconds)
    network = trainer.averaged()
    network.save_pretrained(weights_of(name, folder))
    blind(network, config, variant.unseen_noise)
    about = {"frames": trainer.progress.frames, "cpu_seconds": round(spent, 1)}
    rows = {f"{n}": judge(s, held_out) for n, s in samplers(network, config).items()}
    return {"about": {**about, "windows": len(held_out.world)}, **rows}


def run(trainer: Trainer, seconds: float | None) -> float:
    """Step until the frames, or the processor time, are used; the time it took."""
    start = time.process_time()
    if seconds is not None:
        trainer.config = trainer.config.with_options(minutes=seconds / 60)
    while trainer.progress.share(trainer.config) < 1:
        trainer.step()
        trainer.progress.seconds = time.process_time() - start
    return time.process_time() - start


def weights_of(name: str, folder: Path) -> Path:
    """Where a variant's weights are."""
    return folder / "".join(c if c.isalnum() else "-" for c in name)


def table(done: dict[str, Any]) -> str:
    """Markdown: one line a variant and number of evaluations."""
    heads = ["variant", "evaluations", *COLUMNS.values(), "frames", "CPU s"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for name, rows in done.items():
        for n, scores in rows.items():
            if n == "about":
                continue
            cells = [f"{scores[k]:.3f}" if k == "ece" else f"{scores[k]:.1f}" for k in COLUMNS]
            cells[5] = f"{100 * scores['cover_80']:.0f}"
            about = [f"{rows['about']['frames'] // 1000} k", f"{rows['about']['cpu_seconds']:.0f}"]
            lines.append(f"| {' | '.join([name, n, *cells, *about])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="Folder.")
    parser.add_argument("--n-frames", type=int, default=500_000)
    parser.add_argument("--only", action="append", choices=VARIANTS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "scores.json"
    done = json.loads(path.read_text()) if path.exists() else {}
    if args.table:
        print(table(done))
        return
    shards = tuple(str(args.motion / f"{n}.npz") for n in ("cmu_permissive", "procedural_seated"))
    base = TrainConfig.from_options(
        shards=shards, n_frames=args.n_frames, device=args.device, **BASE
    )
    for name in args.only or VARIANTS:
        if name in done:
            continue
        seconds = done[FIRST]["about"]["cpu_seconds"] if VARIANTS[name].equal_time else None
        if seconds is not None and VARIANTS[name].distils is not None:
            seconds -= done[VARIANTS[name].distils]["about"]["cpu_seconds"]
        done[name] = train(name, base, args.output, seconds)
        with write_atomically(path) as partial:
            partial.write_text(json.dumps(done, indent=1) + "\n")
        print(name, json.dumps(done[name]), flush=True)


if __name__ == "__main__":
    main()

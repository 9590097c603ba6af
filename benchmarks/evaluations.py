"""Calibration against the number of network evaluations a draw costs.

    python benchmarks/evaluations.py MOTION -o evaluations.json --picture evaluations.png
    python benchmarks/evaluations.py MOTION -o evaluations.json --ablations FOLDER

Windows of 27 frames of the validation subjects, clean keypoints. The weights in the box differ in
what they were trained on and for how long; FOLDER, made by ``benchmarks/ablations.py``, adds three
small networks of equal size that saw equal numbers of frames. What is in the output is kept;
``benchmarks/results/evaluations.json`` is that of the picture in
docs/explanation/distributional.md.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ablations import BASE, FIRST, REGRESSION, VARIANTS, samplers, weights_of

import hypopose
from hypopose.calibration import ece, energy_score
from hypopose.datasets import load_motion
from hypopose.diffusion import seeded_noise
from hypopose.io.atomic import write_atomically
from hypopose.metrics import mpjpe
from hypopose.networks import load_network
from hypopose.training import TrainConfig
from hypopose.training.validation import HeldOut, hold_out
from hypopose.types import Poses3D, Sampler

BOXED = {
    "d3dp-frame-small (regression)": "d3dp",
    "distributional-frame-small (energy score)": "distributional",
}
SMALL = {
    "small, regression": REGRESSION,
    "small, flow matching": "flow matching",
    "small, energy score": FIRST,
}
"""Name in the picture -> sampler, or variant of the ablations."""


def windows(motion: Path, n: int) -> HeldOut:
    """Some of the validation windows, spread evenly."""
    shards = [motion / f"{name}.npz" for name in ("cmu_permissive", "procedural_seated")]
    whole = hold_out(load_motion(shards, "val"))
    pick = torch.linspace(0, len(whole.world) - 1, min(n, len(whole.world))).round().long()
    truth = whole.truth
    assert truth.root is not None
    return HeldOut(
        replace(whole.keypoints, xy=whole.keypoints.xy[pick]),
        Poses3D(truth.joints[pick], truth.skeleton, root=truth.root[pick]),
        whole.world[pick],
    )


@torch.no_grad()
def score(sampler: Sampler, held_out: HeldOut, counts: list[int]) -> dict[str, dict[str, float]]:
    """Scores of the first so many hypotheses, for each count."""
    y = held_out.truth.joints
    start = time.process_time()
    x = sampler.sample(held_out.keypoints, max(counts), seeded_noise(0)).joints
    seconds = time.process_time() - start
    out = {}
    for n in counts:
        few, mean = x[:, :n], x[:, :n].mean(1)
        out[str(n)] = {
            "mean_mm": 1000 * float(mpjpe(mean, y)),
            "single_mm": 1000 * float(mpjpe(few, y[:, None].expand_as(few))),
            "energy_mm": 1000 * float(energy_score(few, y).mean()),
            "spread_mm": 1000 * float(few.std(1).square().sum(-1).sqrt().mean()),
            "ece": ece(few, y).ece,
            "cpu_seconds": seconds,
        }
    return out


def contenders(args: argparse.Namespace) -> dict[str, dict[int, Sampler]]:
    """Name -> evaluations -> sampler."""
    found: dict[str, dict[int, Sampler]] = {
        name: {n: hypopose.make_sampler(sampler, n_steps=n) for n in args.steps}
        for name, sampler in BOXED.items()
        if args.ablations is None
    }
    if args.ablations is not None:
        base = TrainConfig.from_options(shards=("none",), **BASE)
        for name, variant in SMALL.items():
            network = load_network(weights_of(variant, args.ablations)).eval()
            config = base.with_options(**VARIANTS[variant].changes)
            found[name] = samplers(network, config, args.steps)
    return found


def draw(rows: dict[str, Any], count: int, path: Path) -> None:
    """ECE and energy score over evaluations; small networks dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.3), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, key, title in zip(
        panels,
        ("ece", "energy_mm"),
        ("ECE (0: honest)", "energy score per joint, mm (less is better)"),
        strict=True,
    ):
        for name, by_steps in rows.items():
            steps = sorted(int(n) for n in by_steps)
            values = [by_steps[str(n)][str(count)][key] for n in steps]
            color = {"regr": "tab:orange", "flow": "tab:green", "ener": "tab:blue"}[kind(name)]
            axes.plot(steps, values, "o--" if "small," in name else "o-", color=color, label=name)
        axes.set(xscale="log", xlabel="network evaluations per draw", title=title)
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=8, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110)


def kind(name: str) -> str:
    """What a network was trained with, in four letters."""
    return next(word for word in ("regr", "flow", "ener") if word in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("evaluations.json"))
    parser.add_argument("--ablations", type=Path, help="Folder of benchmarks/ablations.py.")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--counts", type=int, nargs="+", default=[10], help="Hypotheses.")
    parser.add_argument("--windows", type=int, default=30)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    rows = json.loads(args.output.read_text()) if args.output.exists() else {}
    held_out = windows(args.motion, args.windows)
    for name, by_steps in contenders(args).items():
        for n, sampler in by_steps.items():
            if str(n) in rows.get(name, {}):
                continue
            rows.setdefault(name, {})[str(n)] = score(sampler, held_out, args.counts)
            print(name, n, json.dumps(rows[name][str(n)]), flush=True)
            with write_atomically(args.output) as partial:
                partial.write_text(json.dumps(rows, indent=1) + "\n")
    if args.picture is not None:
        draw(rows, args.counts[0], args.picture)


if __name__ == "__main__":
    main()

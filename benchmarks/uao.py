"""Refinement measured: accuracy, calibration, reprojection, speed.

    python benchmarks/uao.py accuracy MOTION --limit 24 -o uao.json --table uao.md
    python benchmarks/uao.py speed

``accuracy`` samples views of the test benchmarks, spread evenly, and refines them with every kind
of root. ``given`` takes the true root and the true camera, as published numbers do, and stands
apart. Every sampler on every benchmark is written as soon as it is there; the same command goes on
where it stopped. Intervals are twice the standard error over views of the change by refinement.
``speed`` compares :class:`hypopose.optimization.UAO` with the published loop written plainly (two
passes per step, gradients for all weights, float32), on a network of published size with random
weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hypopose.api import make_sampler
from hypopose.calibration import CurveAccumulator
from hypopose.cameras import fit_root, hypothesis_camera, project, to_screen
from hypopose.datasets import batches, load_benchmark, stack
from hypopose.diffusion import seeded_noise
from hypopose.evaluation import frame_scores
from hypopose.networks import GUMLP
from hypopose.optimization import UAO, OffsetRefiner
from hypopose.skeletons import H36M17, convert
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

SCORES = {
    "mpjpe_single_mm": "MPJPE one",
    "mpjpe_mean_mm": "MPJPE mean",
    "p_mpjpe_mean_mm": "P-MPJPE mean",
    "energy_score_joint_mm": "energy per joint",
    "ece": "ECE",
    "reprojection_px": "reprojection px",
    "mpjve_single_mm_per_frame": "MPJVE one",
}
VARIANTS = {
    "fitted, posterior": OffsetRefiner(),
    "fitted, follow": OffsetRefiner(spread="follow"),
    "joint, posterior": OffsetRefiner(root="joint"),
    "given (truth), posterior": OffsetRefiner(root="given"),
}
BEFORE = "as sampled"
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Group:
    """Views sampled together; ``true_camera`` only serves roots that are given."""

    keypoints: Keypoints2D
    truth: Poses3D
    true_camera: Camera
    names: list[str]

    def seen(self, *, given: bool) -> Keypoints2D:
        """The keypoints with the camera that refinement may know."""
        return self.keypoints.with_camera(self.true_camera) if given else self.keypoints


def groups(benchmark: str, data: Path, limit: int) -> Iterator[Group]:
    """Views spread evenly over a benchmark."""
    for items in batches(load_benchmark(benchmark).items(data, limit), 8):
        keypoints, truth = stack(items)
        assert keypoints.camera is not None
        focal = torch.stack([item.view.camera.focal for item in items])
        yield Group(
            convert(keypoints, H36M17),
            truth,
            replace(keypoints.camera, focal=focal, assumed=False),
            [item.name for item in items],
        )


def reprojection_px(x: Hypotheses, keypoints: Keypoints2D) -> Tensor:
    """Per frame, mean over hypotheses and joints; roots are fitted where there are none."""
    root = fit_root(x.joints, keypoints) if x.root is None else x.root
    assert keypoints.camera is not None
    px = project(x.joints + root[..., None, :], hypothesis_camera(x, keypoints.camera))
    return (px - keypoints.xy.unsqueeze(-4)).norm(dim=-1).nanmean((-3, -1))


def scored(drawn: list[Hypotheses], given: list[Group], *, true_camera: bool) -> Row:
    """Scores over all groups, frames weighing alike, and every view's means."""
    curve = CurveAccumulator()
    frames: dict[str, list[Tensor]] = {key: [] for key in SCORES if key != "ece"}
    for x, group in zip(drawn, given, strict=True):
        curve.update(x, group.truth)
        scores = frame_scores(x, None, group.truth)
        scores["reprojection_px"] = reprojection_px(x, group.seen(given=true_camera))
        for key, values in frames.items():
            values += list(scores[key])
    means = {k: round(float(torch.cat(v).nanmean()), 3) for k, v in frames.items()}
    views = {k: [round(float(x.nanmean()), 3) for x in v] for k, v in frames.items()}
    return {"means": {**means, "ece": round(curve.compute().ece, 4)}, "views": views}


def cell(name: str, given: list[Group], n_hypotheses: int) -> dict[str, Row]:
    """One sampler on one benchmark, before and after."""
    sampler = make_sampler(name)
    drawn = [
        sampler.sample(g.keypoints, n_hypotheses, seeded_noise(0, g.names)) for g in given
    ]  # fmt: skip
    rows = {BEFORE: scored(drawn, given, true_camera=False)}
    for variant, refiner in VARIANTS.items():
        told = refiner.root == "given"
        refined = [
            refiner.refine(
                x,
                g.seen(given=told),
                noise=seeded_noise(1, g.names),
                root=g.truth.root if told else None,
            ).hypotheses
            for x, g in zip(drawn, given, strict=True)
        ]
        rows[variant] = scored(refined, given, true_camera=told)
    return rows


def accuracy(options: argparse.Namespace) -> None:
    """Every sampler on every benchmark, before and after."""
    settings = {"views": options.limit, "n_hypotheses": options.n_hypotheses}
    cells: dict[str, dict[str, Row]] = {}
    if options.output.exists():
        kept = json.loads(options.output.read_text())
        if kept["settings"] != settings:
            raise SystemExit(f"{options.output} was made with {kept['settings']}; name another -o.")
        cells = kept["cells"]
    for benchmark in options.benchmarks:
        missing = [name for name in options.samplers if f"{benchmark}, {name}" not in cells]
        given = list(groups(benchmark, options.motion, options.limit)) if missing else []
        for name in missing:
            start = time.process_time()
            cells[f"{benchmark}, {name}"] = cell(name, given, options.n_hypotheses)
            took = time.process_time() - start
            print(f"{benchmark}, {name}: {took:.0f} s of processor time", flush=True)
            text = json.dumps({"settings": settings, "cells": cells})
            options.output.write_text(text + "\n")
    if options.table is not None:
        options.table.write_text(f"{summary(cells)}\n{table(cells)}")


def summary(cells: dict[str, dict[str, Row]]) -> str:
    """Markdown: one line a cell, before and after with every kind of root."""
    keys = [k for k in SCORES if k not in ("mpjpe_single_mm", "mpjve_single_mm_per_frame")]
    heads = ["benchmark, sampler", *(SCORES[k] for k in keys)]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for key, rows in cells.items():
        values = []
        for score in keys:
            digits = 3 if score == "ece" else 1
            before, *after = (f"{row['means'][score]:.{digits}f}" for row in rows.values())
            values.append(f"{before} → {' / '.join(after)}")
        lines.append(f"| {key} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def table(cells: dict[str, dict[str, Row]]) -> str:
    """Markdown; changes of the energy score by refinement carry twice their standard error."""
    heads = ["benchmark, sampler", "root, spread", *SCORES.values(), "change of energy"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for key, rows in cells.items():
        before = torch.tensor(rows[BEFORE]["views"]["energy_score_joint_mm"])
        for variant, row in rows.items():
            digits = {"ece": 3}
            values = [f"{row['means'][k]:.{digits.get(k, 1)}f}" for k in SCORES]
            change = torch.tensor(row["views"]["energy_score_joint_mm"]) - before
            error = 2 * float(change.std()) / len(change) ** 0.5
            said = "" if variant == BEFORE else f"{float(change.mean()):+.1f} ± {error:.1f}"
            first = key if variant == BEFORE else ""
            lines.append(f"| {' | '.join([first, variant, *values, said])} |")
    return "\n".join(lines) + "\n"


def plain_loop(network: GUMLP, keypoints: Tensor, camera: Camera, root: Tensor) -> Tensor:
    """The published four iterations, written without care for speed."""
    order = list(H36M17.flip_order)

    def mirrored(x: Tensor) -> Tensor:
        return torch.cat([-x[..., :1], x[..., 1:]], -1)[..., order, :]

    def turned(z: Tensor) -> tuple[Tensor, Tensor]:
        pose, scale = network.with_scale(z)
        return mirrored(pose), scale[..., order]

    z = [keypoints.clone().requires_grad_(), mirrored(keypoints).requires_grad_()]
    lifts: tuple[Callable[[Tensor], tuple[Tensor, Tensor]], ...] = (network.with_scale, turned)
    held = [lift(x)[0].detach() for lift, x in zip(lifts, z, strict=True)]
    optimizer = torch.optim.Adam(z, lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        losses = []
        for lift, x, anchor in zip(lifts, z, held, strict=True):
            pose, scale = lift(x)
            s = scale.detach()
            prior = ((pose - anchor).norm(dim=-1) * torch.exp(-s) + s).mean()
            placed = torch.cat([root[:, :, None], pose[:, :, 1:] + root[:, :, None]], 2)
            seen = to_screen(project(placed, camera, clamp=1.0), camera.image_size)
            losses.append(0.005 * prior + (seen - keypoints).norm(dim=-1).mean())
        torch.autograd.backward(losses[0] + losses[1])
        optimizer.step()
    with torch.no_grad():
        pose = torch.stack([lift(x)[0] for lift, x in zip(lifts, z, strict=True)]).mean(0)
    pose[:, :, 0] = 0.0
    return pose


def speed(options: argparse.Namespace) -> None:
    """Plain against ours, taken in turn so that a busy machine slows both."""
    torch.manual_seed(0)
    network = GUMLP().eval()
    n = options.frames
    keypoints = 0.2 * torch.randn(n, 1, 17, 2)
    root = torch.tensor([0.0, 0.0, 4.5]).expand(n, 1, 3)
    camera = Camera(torch.tensor([1145.0, 1145.0]), torch.tensor([500.0, 500.0]), (1000, 1000))
    published = UAO.published()
    half = UAO(keep="last", patience=None, reduction="batch", anchor="current",
               precision="bfloat16")  # fmt: skip
    runs: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain_loop(network, keypoints, camera, root),
        "ours, float32": lambda: published.optimize(network, keypoints, camera, root),
        "ours, bfloat16": lambda: half.optimize(network, keypoints, camera, root),
    }
    poses = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, run in runs.items():
            network.zero_grad(set_to_none=True)
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    plain = statistics.median(seconds["plain"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        off = 1000 * (poses[name] - poses["plain"]).norm(dim=-1)
        print(
            f"{name:16} {1000 * middle / n:7.1f} ms CPU per frame  {plain / middle:5.2f} x"
            f"  differs by {off.mean():.4f} mm on average, {off.max():.3f} mm at most"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("accuracy")
    one.add_argument("motion", type=Path)
    one.add_argument("--limit", type=int, default=24)
    one.add_argument("--n-hypotheses", type=int, default=10)
    one.add_argument(
        "--benchmarks", nargs="+", default=["test-wide", "test-phone", "test-detector"]
    )
    one.add_argument(
        "--samplers",
        nargs="+",
        default=["distributional", "d3dp", "diffpose", "lifter", "platypose"],
    )
    one.add_argument("-o", "--output", type=Path, default=Path("uao.json"))
    one.add_argument("--table", type=Path, help="Markdown of all that is there.")
    one.set_defaults(run=accuracy)
    two = commands.add_parser("speed")
    two.add_argument("--frames", type=int, default=32)
    two.add_argument("--repeats", type=int, default=3)
    two.set_defaults(run=speed)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()

"""Refinement measured: accuracy, calibration, reprojection, speed.

    python benchmarks/uao.py accuracy MOTION --limit 8 -o benchmarks/results/uao.json
    python benchmarks/uao.py speed

``accuracy`` samples views of the test benchmarks and refines them with every kind of root; the
root ``given`` is the true one and stands apart. ``speed`` compares
:class:`hypopose.optimization.UAO` with the published loop written plainly (two passes per step,
gradients for all weights, float32), on a network of published size with random weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hypopose.api import make_sampler
from hypopose.cameras import fit_root, project, to_screen
from hypopose.datasets import batches, load_benchmark, stack
from hypopose.diffusion import seeded_noise
from hypopose.networks import GUMLP
from hypopose.optimization import UAO, OffsetRefiner
from hypopose.report.evaluation import evaluate_pair
from hypopose.skeletons import H36M17, convert
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

SCORES = (
    "mpjpe_single_mm",
    "mpjpe_mean_mm",
    "p_mpjpe_mean_mm",
    "energy_score_joint_mm",
    "ece",
    "coverage_80_percent",
    "mpjve_single_mm_per_frame",
)
VARIANTS = {
    "fitted, posterior": OffsetRefiner(),
    "fitted, follow": OffsetRefiner(spread="follow"),
    "joint, posterior": OffsetRefiner(root="joint"),
    "given (truth), posterior": OffsetRefiner(root="given"),
}


@dataclass(frozen=True, eq=False)
class Group:
    """Views sampled together."""

    keypoints: Keypoints2D
    truth: Poses3D
    names: list[str]


def groups(benchmark: str, data: Path, limit: int) -> Iterator[Group]:
    """Views spread evenly over a benchmark."""
    for items in batches(load_benchmark(benchmark).items(data, limit), 8):
        keypoints, truth = stack(items)
        yield Group(convert(keypoints, H36M17), truth, [item.name for item in items])


def reprojection_px(x: Hypotheses, keypoints: Keypoints2D) -> float:
    """Mean over hypotheses, frames and joints; roots are fitted where there are none."""
    root = fit_root(x.joints, keypoints) if x.root is None else x.root
    assert keypoints.camera is not None
    px = project(x.joints + root[..., None, :], keypoints.camera)
    return float((px - keypoints.xy.unsqueeze(-4)).norm(dim=-1).nanmean())


def scored(drawn: list[Hypotheses], given: list[Group]) -> dict[str, float]:
    """Scores over all groups, frames weighing alike."""
    total: dict[str, float] = {}
    n = 0
    for x, group in zip(drawn, given, strict=True):
        frames = group.truth.joints.shape[:-2].numel()
        scores = evaluate_pair(x, None, group.truth)
        row = {key: scores[key] for key in SCORES}
        row["reprojection_px"] = reprojection_px(x, group.keypoints)
        total = {k: total.get(k, 0.0) + frames * v for k, v in row.items()}
        n += frames
    return {k: round(v / n, 3) for k, v in total.items()}


def accuracy(options: argparse.Namespace) -> None:
    """Every sampler on every benchmark, before and after."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark in options.benchmarks:
        given = list(groups(benchmark, options.motion, options.limit))
        for name in options.samplers:
            sampler = make_sampler(name)
            drawn = [
                sampler.sample(g.keypoints, options.n_hypotheses, seeded_noise(0, g.names))
                for g in given
            ]
            rows = {"as sampled": scored(drawn, given)}
            for variant, refiner in VARIANTS.items():
                refined = [
                    refiner.refine(
                        x,
                        g.keypoints,
                        noise=seeded_noise(1, g.names),
                        root=g.truth.root if refiner.root == "given" else None,
                    ).hypotheses
                    for x, g in zip(drawn, given, strict=True)
                ]
                rows[variant] = scored(refined, given)
            results[f"{benchmark}, {name}"] = rows
            for variant, row in rows.items():
                cells = "  ".join(f"{v:8.3f}" for v in row.values())
                print(f"{benchmark:14} {name:10} {variant:26} {cells}", flush=True)
            if options.output is not None:
                settings = {"views": options.limit, "n_hypotheses": options.n_hypotheses}
                text = json.dumps({"settings": settings, "scores": results}, indent=1)
                options.output.write_text(text + "\n")


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
    one.add_argument("--limit", type=int, default=8)
    one.add_argument("--n-hypotheses", type=int, default=10)
    one.add_argument(
        "--benchmarks", nargs="+", default=["test-wide", "test-phone", "test-detector"]
    )
    one.add_argument("--samplers", nargs="+", default=["lifter", "d3dp", "boneflips"])
    one.add_argument("-o", "--output", type=Path)
    one.set_defaults(run=accuracy)
    two = commands.add_parser("speed")
    two.add_argument("--frames", type=int, default=32)
    two.add_argument("--repeats", type=int, default=3)
    two.set_defaults(run=speed)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()

"""Masks measured: a pose from its own silhouette, the rasterizer's cost, and hypotheses with masks.

    python benchmarks/silhouettes.py recover
    python benchmarks/silhouettes.py rasterizer
    python benchmarks/silhouettes.py temper MOTION [--benchmark val-people-detector] [--limit 8]
    python benchmarks/silhouettes.py split MOTION [--benchmark test-detector] [--limit 8]
        [--body anny|capsules] [--noise 0.05] [--mask-error TAU] [--weights-error TAU]
        [--n-frames 27] [--n-steps 12]

``recover`` disturbs the joints of a capsule body by 60 mm and lowers one minus the intersection
over union of its silhouette (64 pixels), with bones held at their true lengths and joints at where
they started: 20 starts. ``rasterizer`` renders one body and its gradient.

``split`` simulates masks: Anny, fitted to the true joints, with a weight and muscles of its own (or
capsules of another girth than the one that is scored with), is seen by the true camera, and its
outline is moved in and out by smooth noise until a share of its area is wrong. ``temper`` weighs
hypotheses by such masks with several τ; "at random" are the same weights for other hypotheses: what
fewer hypotheses alone cost. Hypotheses are those of the default sampler. The
camera is the one the benchmark lets samplers know. Views are spread over the benchmark;
``--n-frames`` takes the first frames of each. "half" hides what lies below the middle of the
mask: unmarked, or marked as unknown. Intervals are twice the standard error over views of the
change.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

import hypopose
from hypopose.aggregation import resample, silhouette_weights
from hypopose.aggregation.silhouette_weights import MASK_ERROR, mask_errors, weights_of
from hypopose.bodies import BodyModel, make_body
from hypopose.calibration import ece, energy_score
from hypopose.calibration.by_axis import along_sight
from hypopose.calibration.proper_scores import energy_score_points
from hypopose.cameras import project
from hypopose.datasets import Benchmark, BenchmarkItem, load_benchmark
from hypopose.diffusion import seeded_noise
from hypopose.io import Masks, with_silhouettes
from hypopose.io.mask_files import FrameMasks
from hypopose.optimization import OffsetRefiner
from hypopose.optimization.body_fit import BodyFitter
from hypopose.optimization.descent import Adam, Latents, descend
from hypopose.rendering import SoftRasterizer, iou_loss
from hypopose.rendering.silhouettes import render_bodies
from hypopose.rendering.views import normalized_points
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

GIRTH = 1.15
"""Of the bodies that masks show; scored with one of ``hypopose.rendering.silhouettes.GIRTHS``."""


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- a pose from its own silhouette --------------------------------------------------------------


def recover(_: argparse.Namespace) -> None:
    """MPJPE of 20 disturbed poses before and after their silhouettes are fitted."""
    keypoints, truth = hypopose.datasets.example_pair(20)
    camera = keypoints.camera
    assert camera is not None
    assert truth.root is not None
    placed = truth.joints + truth.root[:, None]
    window = _window(keypoints.xy)
    mask = render_bodies(placed, camera, window, 64).alpha
    mask = (mask > 0.5).float()
    noise = 0.06 * torch.randn(placed.shape, generator=torch.Generator().manual_seed(0)) / 3**0.5
    start = placed + noise
    lengths = _lengths(placed)

    def energy(latents: Latents) -> Tensor:
        joints = start + 0.02 * latents[0]
        alpha = render_bodies(joints, camera, window, 64).alpha
        bones = (_lengths(joints) - lengths).square().sum(-1) / 0.02**2
        held = latents[0].square().sum((-2, -1)) * (0.02 / 0.06) ** 2
        return iou_loss(alpha, mask) / 0.005 + bones + held

    seconds = time.process_time()
    found = descend(
        (torch.zeros_like(start),), energy, Adam(n_steps=100, learning_rate=0.2, patience=None)
    )
    seconds = time.process_time() - seconds
    end = start + 0.02 * found.latents[0]
    print(f"20 starts, 100 steps, {seconds:.0f} s of one core")
    for name, joints in (("before", start), ("after", end)):
        off = joints - placed
        iou = 1 - iou_loss((render_bodies(joints, camera, window, 64).alpha > 0.5).float(), mask)
        print(f"{name:7} MPJPE {1000 * off.norm(dim=-1).mean():5.1f} mm, in the image plane "
              f"{1000 * off[..., :2].norm(dim=-1).mean():5.1f}, depth "
              f"{1000 * off[..., 2].abs().mean():5.1f}, IoU {iou.mean():.3f}")  # fmt: skip
    better = (end - placed).norm(dim=-1).mean(-1) < (start - placed).norm(dim=-1).mean(-1)
    print(f"{int(better.sum())} of 20 are nearer to the truth")


def _lengths(joints: Tensor) -> Tensor:
    bones = torch.tensor(hypopose.get_skeleton("h36m17").bones)
    return (joints[..., bones[:, 1], :] - joints[..., bones[:, 0], :]).norm(dim=-1)


def _window(xy: Tensor) -> Tensor:
    low, high = xy.amin(-2), xy.amax(-2)
    side = 1.3 * (high - low).amax(-1, keepdim=True)
    return torch.cat([(low + high - side) / 2, side], -1)


# --- speed and memory ----------------------------------------------------------------------------


def rasterizer(_: argparse.Namespace) -> None:
    """Milliseconds of one core and megabytes for one body of 576 triangles."""
    keypoints, truth = hypopose.datasets.example_pair(8)
    assert keypoints.camera is not None
    assert truth.root is not None
    surface = make_body("capsules").around(truth.joints + truth.root[:, None])
    window = _window(keypoints.xy)
    points = normalized_points(surface.vertices, keypoints.camera, window)[:, surface.faces]
    print("side  forward ms  with gradient ms  peak MB of the process")
    for side in (64, 224, 512):
        forward = _milliseconds(partial(SoftRasterizer().render, points, (side, side)), len(points))
        both = _milliseconds(partial(_gradient, points, side), len(points))
        print(f"{side:4} {forward:10.1f} {both:15.1f} {peak_mb():12.0f}")


def _gradient(points: Tensor, side: int) -> None:
    given = points.clone().requires_grad_()
    SoftRasterizer().render(given, (side, side)).alpha.sum().backward()


def _milliseconds(work: Callable[[], object], n: int) -> float:
    work()
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start) / n


# --- hypotheses with masks -----------------------------------------------------------------------


LOOKS = 10
"""Frames from one mask to the next: 0.2 s of the benchmarks' 50 Hz, as masks are looked at."""

SIZES = (0.2, 0.8)
"""Weight and muscle of Anny are drawn between these: joints do not tell them."""


class Bodies:
    """Vertices around true joints."""

    def __init__(self, name: str) -> None:
        self.body: BodyModel = make_body(name, print)

    def vertices(self, item: BenchmarkItem, rng: np.random.Generator) -> Tensor:
        """In every frame that is looked at."""
        truth = item.truth
        assert truth.root is not None
        placed = (truth.joints + truth.root[:, None])[::LOOKS]
        if self.body.name == "capsules":
            return self.body.around(placed, GIRTH).vertices  # type: ignore[attr-defined]
        fitter, names = BodyFitter(), self.body.shapes.names
        fit = fitter.fit(self.body, placed[None], truth.skeleton)
        shape = fit.parameters.shape.clone()
        for name in ("weight", "muscle"):
            if name in names:
                shape[..., names.index(name)] = float(rng.uniform(*SIZES))
        return fitter.fit(self.body, placed[None], truth.skeleton, shape=shape).surface(0).vertices


def drawn(vertices: Tensor, faces: np.ndarray, camera: Camera) -> np.ndarray:
    """The outline of a surface, filled."""
    w, h = camera.image_size
    corners = project(vertices, camera).numpy()[faces]
    picture = Image.new("1", (w, h))
    pen = ImageDraw.Draw(picture)
    for triangle in corners:
        pen.polygon([tuple(point) for point in triangle.tolist()], fill=1)
    return np.asarray(picture)


def simulated(item: BenchmarkItem, bodies: Bodies, noise: float, half: str, seed: int) -> Masks:
    """Masks of a view at half the resolution of its image."""
    rng = np.random.default_rng(seed)
    vertices, camera = bodies.vertices(item, rng), item.view.camera
    w, h = (n // 2 for n in item.view.image_size)
    camera = replace(camera, focal=camera.focal / 2, center=camera.center / 2, image_size=(w, h))
    lasting, faces = rng.normal(size=(h, w)), bodies.body.faces.numpy()

    def read(number: int) -> FrameMasks:
        mask = drawn(vertices[number // LOOKS], faces, camera)
        if not mask.any():
            return FrameMasks(())
        fresh = np.random.default_rng([seed, number]).normal(size=(h, w))
        mask = spoiled(mask, (lasting + fresh) / math.sqrt(2), noise)
        if half == "all":
            return FrameMasks((mask,))
        rows = np.flatnonzero(mask.any(1))
        hidden = np.arange(h)[:, None] >= (rows[0] + rows[-1]) // 2
        unknown = np.broadcast_to(hidden, mask.shape) if half == "marked" else None
        return FrameMasks((mask & ~hidden,), unknown)

    return Masks("simulated", (w, h), tuple(range(0, LOOKS * len(vertices), LOOKS)), read)


def spoiled(mask: np.ndarray, field: np.ndarray, share: float) -> np.ndarray:
    """The mask with its outline moved until a share of its area is wrong."""
    if share <= 0:
        return mask
    size = math.sqrt(mask.sum())
    field = gaussian_filter(field, size / 12)
    field = field / field.std()
    reach = distance_transform_edt(mask) - distance_transform_edt(~mask)
    low, high = 0.0, size
    for _ in range(20):
        middle = (low + high) / 2
        wrong = ((reach + middle * field > 0) != mask).sum()
        low, high = (middle, high) if wrong < share * mask.sum() else (low, middle)
    return np.asarray(reach + high * field > 0)


def scores(x: Tensor, pose: Tensor, truth: Poses3D) -> dict[str, float]:
    """Millimeters, and the share of joints in 80 % regions."""
    assert truth.root is not None
    y = truth.joints
    curve = ece(x[None, ..., 1:, :], y[None, ..., 1:, :])
    at = min(range(len(curve.levels)), key=lambda i: abs(float(curve.levels[i]) - 0.8))
    seen = along_sight(x, truth.root[None])
    return {
        "MPJPE": 1000 * float((pose - y).norm(dim=-1).mean()),
        "energy": 1000 * float(energy_score(x[None], y[None]).mean()),
        "80 % holds": 100 * float(curve.coverage[..., at].mean()),
        "depth spread": 1000 * float(seen[..., 2].std(0).mean()),
        "sideways": 1000 * float(seen[..., :2].std(0).mean()),
    }


def methods(
    hypotheses: Hypotheses,
    plain: Keypoints2D,
    seen: dict[str, Keypoints2D],
    tau: tuple[float, float],
    n_steps: int,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Hypotheses and aggregate by name."""
    x = hypotheses.joints
    out = {"as sampled": (x, x.mean(0))}
    for name, keypoints in seen.items():
        weights = silhouette_weights(hypotheses, keypoints, mask_error=tau[0])
        mean = (weights[..., None, None] * x).sum(0)
        out[f"reweighted, {name}"] = resample(hypotheses, weights, seeded_noise(1)).joints, mean
    refiner = OffsetRefiner(mask_error=tau[1], n_steps=n_steps)
    for name, keypoints in {"no masks": plain, **seen}.items():
        moved = refiner.refine(hypotheses, keypoints, noise=seeded_noise(0)).hypotheses.joints
        out[f"refined, {name}"] = moved, moved.mean(0)
    return out


def temper(options: argparse.Namespace) -> None:
    """Scores of weighted hypotheses for several τ, beside the same weights dealt out at random."""
    bodies = Bodies(options.body)
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for i, item in enumerate(
        load_benchmark(options.benchmark).items(options.motion, options.limit)
    ):
        keypoints = hypopose.prepare(item.keypoints)
        hypotheses = hypopose.sample(keypoints, n_hypotheses=20, seed=i)
        seen = with_silhouettes(keypoints, simulated(item, bodies, options.noise, "all", i))
        errors = mask_errors(hypotheses, seen)
        own = mask_errors(Hypotheses(item.truth.joints[None], item.truth.skeleton), seen)
        print(f"{item.name}: 1 - IoU {errors.mean():.3f} of hypotheses, which differ by "
              f"{errors.std(0).mean():.3f}, {own.mean():.3f} of the true pose; "
              f"{time.process_time():.0f} s", flush=True)  # fmt: skip
        x, order = hypotheses.joints, torch.randperm(20, generator=torch.Generator().manual_seed(i))
        rows["as sampled"].append(_weighted(x, x.new_ones(x.shape[:2]) / 20, item.truth))
        for tau in TAUS:
            weights = weights_of(errors, hypotheses, seen, tau)
            rows[f"tau {tau}"].append(_weighted(x, weights, item.truth))
            rows[f"tau {tau}, at random"].append(_weighted(x, weights[order], item.truth))
    _print(rows)


TAUS = (0.01, 0.02, 0.04, 0.08, 0.16)


def _weighted(x: Tensor, weights: Tensor, truth: Poses3D) -> dict[str, float]:
    """Scores of weighted hypotheses; regions and spreads are of hypotheses drawn by weight."""
    picked = resample(Hypotheses(x, truth.skeleton), weights, seeded_noise(1)).joints
    found = scores(picked, (weights[..., None, None] * x).sum(0), truth)
    score = energy_score_points(
        x.permute(1, 2, 0, 3), truth.joints, weights=weights.T[:, None].expand(-1, 17, -1)
    )
    return {**found, "energy": 1000 * float(score.mean()),
            "in effect": float((1 / weights.square().sum(0)).mean())}  # fmt: skip


def split(options: argparse.Namespace) -> None:
    """The table of one benchmark."""
    bodies = Bodies(options.body)
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    clips: set[str] = set()
    n_frames = 0
    benchmark = _shortened(load_benchmark(options.benchmark), options.n_frames)
    taus = options.weights_error, options.mask_error
    for i, item in enumerate(benchmark.items(options.motion, options.limit)):
        keypoints = hypopose.prepare(item.keypoints)
        hypotheses = hypopose.sample(keypoints, n_hypotheses=20, seed=i)
        seen = {}
        start = time.process_time()
        for half in options.halves:
            masks = simulated(item, bodies, options.noise, half, i)
            seen[half] = with_silhouettes(keypoints, masks)
        seconds["masks"] += time.process_time() - start
        start = time.process_time()
        found = methods(hypotheses, keypoints, seen, taus, options.n_steps)
        seconds["methods"] += time.process_time() - start
        for name, (x, pose) in found.items():
            rows[name].append(scores(x, pose, item.truth))
        clips.add(item.view.clip)
        n_frames += len(item.truth.joints)
        print(f"{i + 1} views, {time.process_time():.0f} s of one core", flush=True)
        if i % 4 == 3:
            _print(rows)
    _print(rows)
    print(f"{options.benchmark}, {len(rows['as sampled'])} views of {len(clips)} clips, {n_frames} "
          "frames; processor seconds: "
          + ", ".join(f"{k} {v:.0f}" for k, v in seconds.items()))  # fmt: skip


def _shortened(benchmark: Benchmark, n_frames: int | None) -> Benchmark:
    """Only the first frames of every view."""
    if n_frames is None:
        return benchmark
    views = tuple(replace(v, stop=min(v.stop, v.start + n_frames)) for v in benchmark.views)
    return replace(benchmark, views=views)


def _print(rows: dict[str, list[dict[str, float]]]) -> None:
    first = rows["as sampled"]
    print(f"| {'method':28} |" + "".join(f" {name:>16} |" for name in first[0]))
    for method, values in rows.items():
        cells = []
        for name in first[0]:
            own = np.array([v[name] for v in values])
            change = own - np.array([v[name] for v in first])
            error = 2 * change.std(ddof=1) / math.sqrt(len(change)) if len(change) > 1 else 0.0
            cells.append(f"{own.mean():6.1f} {change.mean():+5.1f}±{error:.1f}")
        print(f"| {method:28} |" + "".join(f" {cell:>16} |" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("recover").set_defaults(run=recover)
    commands.add_parser("rasterizer").set_defaults(run=rasterizer)
    for name, run, benchmark in (
        ("temper", temper, "val-people-detector"),
        ("split", split, "test-detector"),
    ):
        table = commands.add_parser(name)
        table.add_argument("motion", type=Path)
        table.add_argument("--benchmark", default=benchmark)
        table.add_argument("--limit", type=int, default=8)
        table.add_argument("--body", default="anny")
        table.add_argument("--noise", type=float, default=0.05)
        table.set_defaults(run=run)
    table.add_argument("--mask-error", type=float, default=OffsetRefiner().mask_error)
    table.add_argument("--weights-error", type=float, default=MASK_ERROR)
    table.add_argument("--n-frames", type=int)
    table.add_argument("--n-steps", type=int, default=OffsetRefiner().n_steps)
    table.add_argument("--halves", nargs="+", default=["all", "unmarked", "marked"])
    options: Any = parser.parse_args()
    torch.set_num_threads(1)
    options.run(options)


if __name__ == "__main__":
    main()

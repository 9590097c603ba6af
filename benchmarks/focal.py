"""Unknown focal lengths: how well clips tell them, and what that does to poses and roots.

python benchmarks/focal.py SHARDS [--views N] [--window FRAMES] [--benchmark NAME]
                           [--focal LOW HIGH] [--fit]

Test motion seen by phone cameras whose focal length samplers are not told; ``--focal`` draws other
cameras, from LOW to HIGH times the longer image side. Ways to go on: take the assumed one (the
longer image side), take the estimate's middle, let every hypothesis have its own, or be told (a
bound), without and with the subject's stature. Errors of the focal length are of its natural log.
``path_mm`` is the error of the root's path about its own middle, at the same instants. The floor is
found in what is sampled when told.

``--fit`` finds what a second of a clip is worth (``FREE`` and ``ON_RAYS`` of
:mod:`hypopose.optimization.focal`): the likeliest numbers for windows of 30, 80, 160 and 240 frames
of a benchmark of 50 Hz without a detector, a quarter of ``--views`` each
(``--benchmark val-clean --focal 0.5 2 --fit``).
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import torch
from scipy.optimize import minimize

from hypopose.api import make_sampler
from hypopose.calibration import energy_score
from hypopose.datasets import BenchmarkItem, define, load_benchmark
from hypopose.diffusion import seeded_noise
from hypopose.optimization import (
    FocalPosterior,
    belief_of_prior,
    estimate_focal,
    estimate_ground,
    sample_with_focal,
    scale_to_height,
    stature,
)
from hypopose.optimization.focal import MAX_SECONDS, log_misfits, worth_of
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D, Sampler


def ways(
    keypoints: Keypoints2D,
    truth: Camera,
    height: float,
    belief: FocalPosterior,
    sampler: Sampler,
    n: int,
    seed: str,
) -> dict[str, Hypotheses]:
    noise = seeded_noise(0, [seed])

    def one(shape: tuple[int, ...]) -> torch.Tensor:
        return noise((1, *shape))[0]

    assert keypoints.camera is not None
    middle = torch.full((2,), belief.median)
    known = replace(truth, rotation=None, translation=None)
    found = {
        "assumed": sampler.sample(keypoints, n, one),
        "estimate": sampler.sample(
            keypoints.with_camera(replace(keypoints.camera, focal=middle)), n, one
        ),
        "each its own": sample_with_focal(keypoints, belief, sampler, n, one),
        "told": sampler.sample(keypoints.with_camera(known), n, one),
    }
    sized = {f"{way}, stature too": scale_to_height(h, height) for way, h in found.items()}
    return {**found, **sized}


def scores(h: Hypotheses, truth: Poses3D) -> dict[str, float]:
    assert h.root is not None
    assert truth.root is not None
    mean, root = h.joints.mean(0), h.root.nanmean(0)
    depth = h.root[..., 2]
    path = (root - root.nanmean(0)) - (truth.root - truth.root.mean(0))
    inside = (depth.quantile(0.1, 0) < truth.root[:, 2]) & (
        truth.root[:, 2] < depth.quantile(0.9, 0)
    )
    absolute = Hypotheses(h.joints + h.root[..., None, :], h.skeleton)
    placed = replace(truth, joints=truth.joints + truth.root[:, None], root=None)
    return {
        "mpjpe_mm": 1000 * float((mean - truth.joints).norm(dim=-1).mean()),
        "root_mm": 1000 * float((root - truth.root).norm(dim=-1).nanmean()),
        "path_mm": 1000 * float(path.norm(dim=-1).nanmean()),
        "depth_percent": 100 * float((root[:, 2] / truth.root[:, 2] - 1).abs().nanmean()),
        "depth_80_holds_percent": 100 * float(inside.double().mean()),
        "energy_mm": 1000 * float(energy_score(h, truth).mean()),
        "energy_placed_mm": 1000 * float(energy_score(absolute, placed).nanmean()),
    }


def keypoints_of(item: BenchmarkItem) -> Keypoints2D:
    return item.keypoints.with_camera(Camera.from_fov(item.view.image_size))


def fit(options: argparse.Namespace) -> None:
    """Print the numbers under which the true focal lengths are likeliest, and how good they are."""
    bench, sampler = load_benchmark(options.benchmark), make_sampler(options.sampler, n_steps=1)
    cameras = replace(bench.cameras, focal=tuple(options.focal or bench.cameras.focal))
    prior = belief_of_prior((1000, 1000))
    fine = (prior.focal / 1000).double().log()
    rows = []
    for window in (30, 80, 160, 240):
        cut = define(replace(bench, window=window, cameras=cameras), options.shards)
        for item in cut.items(options.shards, limit=options.views // 4):
            noise = seeded_noise(1, [item.name])
            log_r, log_c = log_misfits(
                keypoints_of(item), sampler, lambda s, n=noise: n((1, *s))[0], fine
            )
            true = math.log(item.view.focal / max(item.view.image_size))
            seconds = min(item.keypoints.n_frames / 50, MAX_SECONDS)
            if bool(torch.isfinite(log_r + log_c).all()):
                rows.append((log_r, log_c, math.sqrt(seconds), true))
    log_r, log_c = (torch.stack([row[i] for row in rows]) for i in (0, 1))
    count, true = (torch.tensor([row[i] for row in rows]).double() for i in (2, 3))
    at = torch.searchsorted(fine, true).clamp(max=len(fine) - 1)

    def beliefs(x: Sequence[float]) -> torch.Tensor:
        log_p = x[2] * fine - x[0] * log_r - x[1] * log_c
        return (prior.probability.double().log() + count[:, None] * log_p).softmax(1)

    def surprise(x: Sequence[float]) -> float:
        p = beliefs([math.exp(x[0]), math.exp(x[1]), x[2]])
        return -float((p.gather(1, at[:, None]) + 1e-12).log().mean())

    starts = ([2.0, 2.0, -1.0], [0.7, -2.0, 0.0])
    best = min((minimize(surprise, x, method="Nelder-Mead") for x in starts), key=lambda b: b.fun)
    found = [math.exp(best.x[0]), math.exp(best.x[1]), float(best.x[2])]
    for name, x in (("shipped", worth_of(sampler)), ("fitted", found)):
        p = beliefs(x)
        below = p.cumsum(1) - p / 2
        at_most = len(fine) - 1
        low, middle, high = (fine[(below < q).sum(1).clamp(max=at_most)] for q in (0.1, 0.5, 0.9))
        scores = {
            "error": (middle - true).abs().mean(),
            "80_holds": ((low < true) & (true < high)).double().mean(),
            "surprise": -(p.gather(1, at[:, None]) + 1e-12).log().mean(),
        }
        shown = {k: round(float(v), 3) for k, v in scores.items()}
        print(name, json.dumps({"worth": [round(v, 2) for v in x], "views": len(rows), **shown}))


def chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards")
    parser.add_argument("--benchmark", default="test-phone")
    parser.add_argument("--views", type=int, default=100)
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--focal", type=float, nargs=2)
    parser.add_argument("--n-hypotheses", type=int, default=10)
    parser.add_argument("--n-steps", type=int)
    parser.add_argument("--sampler", default="distributional")
    parser.add_argument("--estimate-only", action="store_true")
    parser.add_argument("--fit", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = chosen()
    if options.fit:
        return fit(options)
    bench = load_benchmark(options.benchmark)
    if options.window or options.focal:
        low, high = options.focal or bench.cameras.focal
        cameras = replace(bench.cameras, focal=(low, high))
        window = options.window or bench.window
        bench = define(replace(bench, window=window, cameras=cameras), options.shards)
    sampler, quick = (make_sampler(options.sampler, n_steps=n) for n in (options.n_steps, 1))
    table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    focal: dict[str, list[float]] = defaultdict(list)
    for item in bench.items(options.shards, limit=options.views):
        keypoints = keypoints_of(item)
        true = item.view.camera
        prior = belief_of_prior(item.view.image_size)
        noise = seeded_noise(1, [item.name])
        if options.benchmark == "test-detector":
            from hypopose.api import prepare

            keypoints = prepare(keypoints)
        belief = estimate_focal([keypoints], quick, lambda s, n=noise: n((1, *s))[0], prior)
        low, high = belief.interval()
        f = torch.tensor(item.view.focal)
        focal["error_assumed"].append(float((f / max(item.view.image_size)).log().abs()))
        focal["error_estimate"].append(float((torch.tensor(belief.median) / f).log().abs()))
        focal["80_holds"].append(float(low < f < high))
        focal["log_std"].append(belief.log_std)
        focal["learned"].append(belief.learned)
        focal["seconds"].append(keypoints.n_frames / 50)
        if options.estimate_only:
            continue
        height = float(stature(item.truth.joints, item.truth.skeleton))
        made = ways(keypoints, true, height, belief, sampler, options.n_hypotheses, item.name)
        up = estimate_ground(made["told"]).up.double()
        cosine = up @ true.rotation[:, 2].double() if true.rotation is not None else torch.ones(())
        focal["tilt_error_deg"].append(math.degrees(math.acos(min(1.0, float(cosine)))))
        focal["tilt_std_deg"].append(estimate_ground(made["told"]).tilt_std_deg)
        for way, hypotheses in made.items():
            for name, value in scores(hypotheses, item.truth).items():
                table[way][name].append(value)

        if len(focal["log_std"]) % 10 == 0:
            report(focal, table)
    return report(focal, table)


def report(focal: dict[str, list[float]], table: dict[str, dict[str, list[float]]]) -> None:
    def means(values: dict[str, list[float]]) -> dict[str, float]:
        return {k: round(float(torch.tensor(v).mean()), 3) for k, v in values.items()}

    print(json.dumps({"views": len(focal["log_std"]), **means(focal)}), flush=True)
    for way, values in table.items():
        print(way, json.dumps(means(values)), flush=True)


if __name__ == "__main__":
    main()

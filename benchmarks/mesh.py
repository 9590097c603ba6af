"""Surfaces measured: what fitting costs and misses, and a trained decoder against plain fitting.

    python benchmarks/mesh.py fit [--body capsules|anny|FILE.npz]
    python benchmarks/mesh.py decode WEIGHTS MOTION [--benchmark test-clean] [--limit 8]
    python benchmarks/mesh.py simulated WEIGHTS MOTION

``fit`` fits a body to 20 hypotheses of the built-in walker, 100 frames, with one build for all and
with one for each frame. ``decode`` takes hypotheses of the default sampler for views of people not
trained on. Their true surface is that of capsules around the true joints, with a girth drawn for
each view; what a frame shows of it are its keypoints alone. Vertices are compared with root joints
on each other, in millimeters, of single hypotheses and of the mean surface. ``simulated`` takes the
true joints of validation people with the errors that decoders are trained with.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import hypopose
from hypopose.api.decoded_meshes import decode_meshes
from hypopose.api.meshes import placed
from hypopose.bodies import CapsuleBody, make_body
from hypopose.datasets import load_benchmark
from hypopose.networks import encode, load_network
from hypopose.optimization.body_fit import BodyFitter, vertex_spread
from hypopose.training import TrainConfig
from hypopose.training.batches import Batch, motion_of
from hypopose.training.surface_losses import GIRTH_SD, bodies_of
from hypopose.training.validation import hold_out

SHARDS = ("cmu_permissive", "procedural_seated")


def peak_mb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(options: argparse.Namespace) -> None:
    """Joint error, processor seconds and memory of 100 frames and 20 hypotheses."""
    keypoints, _ = hypopose.datasets.example_pair(100)
    result = hypopose.estimate(keypoints, n_hypotheses=20)
    joints, skeleton = placed(result), result.hypotheses.skeleton
    body = make_body(options.body, print)
    before = peak_mb()
    print(
        f"{body.name}: {len(body.part_labels)} vertices; {before:.0f} MB before fitting", flush=True
    )
    for shape in ("shared", "frame"):
        start = time.process_time()
        found = BodyFitter(shape=shape).fit(body, joints, skeleton)
        fitted = time.process_time()
        spread = vertex_spread(found)
        done = time.process_time()
        print(f"shape {shape:7} joint error {1000 * found.joint_error:5.1f} mm, fit "
              f"{fitted - start:.1f} s, surfaces and spread {done - fitted:.1f} s (mean "
              f"{1000 * float(spread.mean()):.0f} mm), peak {peak_mb():.0f} MB")  # fmt: skip


def vertex_errors(vertices: Tensor, roots: Tensor, truth: Tensor, root: Tensor) -> dict[str, float]:
    """Of hypotheses (H, F, V, 3) and of their mean, root joints on each other."""
    own, true = vertices - roots[:, :, None], truth - root[:, None]
    return {
        "single": 1000 * float((own - true).norm(dim=-1).mean()),
        "mean": 1000 * float((own.mean(0) - true).norm(dim=-1).mean()),
    }


def decode(options: argparse.Namespace) -> None:
    """Vertex error and speed of a decoder, of fitting, and of capsules around the hypotheses."""
    capsules = CapsuleBody()
    generator = torch.Generator().manual_seed(0)
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    n = 0
    for item in load_benchmark(options.benchmark).items(options.motion, options.limit):
        result = hypopose.estimate(item.keypoints, n_hypotheses=20)
        girth = (GIRTH_SD * torch.randn((), generator=generator)).exp()
        truth = capsules.around(item.truth.joints, girth).vertices
        joints, skeleton = placed(result), result.hypotheses.skeleton
        n += joints.shape[:2].numel()
        start = time.process_time()
        around = capsules.around(joints).vertices
        seconds["around joints"] += time.process_time() - start
        rows["around joints"].append(
            vertex_errors(around, joints[:, :, 0], truth, item.truth.joints[:, 0])
        )
        start = time.process_time()
        found = BodyFitter().fit(capsules, joints, skeleton)
        surface = capsules(found.parameters)
        seconds["fitted"] += time.process_time() - start
        rows["fitted"].append(vertex_errors(surface.vertices, surface.joints[:, :, 0], truth,
                                            item.truth.joints[:, 0]))  # fmt: skip
        start = time.process_time()
        scene = decode_meshes(result, options.weights, motion="all", up="native")
        seconds["decoded"] += time.process_time() - start
        vertices, moved = (
            torch.from_numpy(np.stack([getattr(take, name) for take in scene.takes[1:]]))
            for name in ("vertices", "joints")
        )
        rows["decoded"].append(
            vertex_errors(vertices, moved[:, :, 0], truth, item.truth.joints[:, 0])
        )
    print(f"{options.benchmark}, {len(rows['fitted'])} views, {n} bodies")
    for name, values in rows.items():
        single, mean = (torch.tensor([v[k] for v in values]) for k in ("single", "mean"))
        print(f"{name:14} single {single.mean():5.1f} mm, mean surface {mean.mean():5.1f} mm, "
              f"{1000 * seconds[name] / n:.2f} ms a body")  # fmt: skip
    worse = [a["mean"] < b["mean"] for a, b in zip(rows["fitted"], rows["decoded"], strict=True)]
    print(f"fitting is nearer in {sum(worse)} of {len(worse)} views")


def simulated(options: argparse.Namespace) -> None:
    """Vertex errors for hypotheses made as in training, of people not trained on."""
    shards = [str(options.motion / f"{name}.npz") for name in SHARDS]
    config = TrainConfig.from_options(shards=shards)
    held_out = hold_out(motion_of(config, "val"), F=9, stride=9)
    encoded = encode(held_out.keypoints, "subject")
    turned = held_out.truth.joints @ encoded.rotation.mT[:, None]
    bodies = bodies_of(Batch(encoded, turned), torch.Generator().manual_seed(0))
    decoder: Any = load_network(options.weights)
    capsules = CapsuleBody()

    def around() -> Tensor:
        return capsules.around(bodies.hypothesis).vertices

    def fitted() -> Tensor:
        joints = bodies.hypothesis.reshape(turned.shape)
        found = BodyFitter(shape="hypothesis").fit(capsules, joints, held_out.truth.skeleton)
        return capsules(found.parameters).vertices.flatten(0, 1)

    def decoded() -> Tensor:
        given = bodies.hypothesis, bodies.keypoints, bodies.confidence, bodies.context
        vertices: Tensor = decoder(*given).vertices
        return vertices

    n = len(bodies.joints)
    print(f"{len(turned)} windows, {n} bodies")
    for work in (around, fitted, decoded):
        start = time.process_time()
        with torch.no_grad():
            off = (work() - bodies.vertices).norm(dim=-1)
        seconds = time.process_time() - start
        print(f"{work.__name__:8} {1000 * off.mean():5.1f} mm, {1000 * seconds / n:.2f} ms a body")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    fitting = commands.add_parser("fit")
    fitting.add_argument("--body", default="capsules")
    fitting.set_defaults(run=fit)
    decoding = commands.add_parser("decode")
    decoding.add_argument("weights", type=Path)
    decoding.add_argument("motion", type=Path)
    decoding.add_argument("--benchmark", default="test-clean")
    decoding.add_argument("--limit", type=int, default=8)
    decoding.set_defaults(run=decode)
    made = commands.add_parser("simulated")
    made.add_argument("weights", type=Path)
    made.add_argument("motion", type=Path)
    made.set_defaults(run=simulated)
    options: Any = parser.parse_args()
    torch.set_num_threads(1)
    options.run(options)


if __name__ == "__main__":
    main()

"""The report on a benchmark: results of whole splits, and 3D scenes of a few of their views.

    hypopose calibrate MOTION --benchmark test-clean -o default.json
    hypopose calibrate MOTION --benchmark test-clean --sampler boneflips -o boneflips.json
    python benchmarks/report.py MOTION default.json boneflips.json -o report/

Results keep no hypotheses, so those of the scenes are drawn again: the same views for every
sampler, with the seed of the results, their truth and 2D input beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from hypopose.ambiguity import analyze
from hypopose.api import make_sampler
from hypopose.datasets import load_benchmark
from hypopose.evaluation import Draw, benchmark_draws, load_results
from hypopose.report.exhibits import Report
from hypopose.report.page import save_report
from hypopose.report.panel import Scene
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D


def scene(name: str, draw: Draw) -> Scene:
    """The one view of a draw, without its batch axis."""
    assert draw.keypoints is not None
    x, kp = draw.hypotheses, draw.keypoints
    one = Hypotheses(x.joints[0], x.skeleton, None if x.root is None else x.root[0])
    keypoints = Keypoints2D(
        kp.xy[0],
        kp.skeleton,
        None if kp.confidence is None else kp.confidence[0],
        camera=_first(kp.camera),
        image_size=kp.image_size,
        fps=kp.fps,
    )
    truth = Poses3D(draw.truth.joints[0], draw.truth.skeleton)
    settings = {"view": draw.sequences[0], "drawn with seed": "0"}
    return Scene(
        f"{name}, {draw.sequences[0]}", one, keypoints, None, truth, analyze(one), settings
    )


def _first(camera: Camera | None) -> Camera | None:
    if camera is None or camera.focal.dim() == 1:
        return camera
    distortion = None if camera.distortion is None else camera.distortion[0]
    return Camera(camera.focal[0], camera.center[0], camera.image_size, distortion)


def scenes(motion: Path, benchmark: str, samplers: list[str], n: int) -> Iterator[Scene]:
    """``n`` views, evenly spaced, as every sampler sees them."""
    for name in samplers:
        draws = benchmark_draws(
            make_sampler(name), load_benchmark(benchmark), motion, limit=n, batch_size=1
        )
        for draw in draws:
            yield scene(name, draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path, help="Folder of motion shards.")
    parser.add_argument("results", type=Path, nargs="+", help="From hypopose calibrate.")
    parser.add_argument("--benchmark", default="test-clean")
    parser.add_argument(
        "--samplers", nargs="+", default=["distributional", "d3dp", "boneflips"], help="In 3D."
    )
    parser.add_argument("--scenes", type=int, default=3, help="Views of each sampler in 3D.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shown = tuple(scenes(options.motion, options.benchmark, options.samplers, options.scenes))
    results = tuple(load_results(path) for path in options.results)
    title = f"HypoPose on {options.benchmark}"
    for path in save_report(options.output, Report(title, results, shown)):
        print(path)


if __name__ == "__main__":
    main()

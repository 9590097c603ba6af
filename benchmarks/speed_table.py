"""Speed of the methods at their published sizes, and the share of the processor's peak they reach.

    OMP_NUM_THREADS=1 python benchmarks/speed_table.py

One thread, random weights where trained ones are not bundled (they cost the same). The peak is that
of a product of two float32 matrices of 2,048 rows, measured in the same run. Operations are counted
by torch (``FlopCounterMode``: matrix products and attention, backwards too); processor time is the
best of the repeats. ``plain`` rows are the published loops written down as their
papers have them (:mod:`benchmarks.uao`), on the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
import torch
from platypose import filmed
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from uao import plain_loop

import hypopose
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.networks import GUMLP, DiffPosePair, MixSTE2, MotionPrior
from hypopose.optimization import UAO
from hypopose.samplers import D3DP, Platypose, ReleasedDiffPose
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D

SIDE = 2048


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        name: What is run.
        n_frames: Frames of a run.
        run: Does it.
    """

    name: str
    n_frames: int
    run: Callable[[], object]


def peak() -> float:
    """Operations per processor second of a large product."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    return 2 * SIDE**3 / min(seconds(lambda: a @ b) for _ in range(6))


def seconds(run: Callable[[], object]) -> float:
    """Of the processor."""
    start = time.process_time()
    run()
    return time.process_time() - start


def walk(n_frames: int) -> Keypoints2D:
    """The built-in walk, repeated."""
    keypoints, _ = example_pair()
    xy = keypoints.xy.repeat(-(-n_frames // keypoints.n_frames), 1, 1)[:n_frames]
    return replace(keypoints, xy=xy, confidence=None, covariance=None)


def samplers() -> list[Case]:
    """Methods that draw."""
    default = hypopose.make_sampler()
    mixste = MixSTE2().eval()
    official = D3DP(mixste, n_steps=1, flip=True)
    released = ReleasedDiffPose(DiffPosePair().eval(), n_steps=2)
    platypose = Platypose(MotionPrior().eval(), n_steps=16, window=128)
    F = mixste.info.n_frames or 243
    seen = Keypoints2D(500 + 100 * torch.randn(F, 17, 2), H36M17, image_size=(1000, 1000))
    clip, one, some = hypopose.prepare(walk(81)), walk(1), walk(128)
    scene, _ = filmed(16)
    return [
        Case("default, H=20", 81, lambda: default.sample(clip, 20, seeded_noise(0))),
        Case("D3DP official size, H=1, K=1, flip", F,
             lambda: official.sample(seen, 1, seeded_noise(0))),
        Case("DiffPose, 2 steps, H=1", 1, lambda: released.sample(one, 1, seeded_noise(0))),
        Case("DiffPose, 2 steps, H=1", 128, lambda: released.sample(some, 1, seeded_noise(0))),
        Case("Platypose, 16 steps, H=10", 16,
             lambda: platypose.sample(scene, 10, seeded_noise(0))),
    ]  # fmt: skip


def refiners(n: int) -> list[Case]:
    """UAO, and its published loop."""
    network = GUMLP().eval()
    keypoints: Tensor = 0.2 * torch.randn(n, 1, 17, 2)
    root = torch.tensor([0.0, 0.0, 4.5]).expand(n, 1, 3)
    camera = Camera(torch.tensor([1145.0, 1145.0]), torch.tensor([500.0, 500.0]), (1000, 1000))
    published = UAO.published()
    return [
        Case("UAO", n, lambda: published.optimize(network, keypoints, camera, root)),
        Case("UAO, plain", n, lambda: plain_loop(network, keypoints, camera, root)),
    ]


@click.command()
@click.option("--repeats", default=3, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(repeats: int, output: Path | None) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lines = [
        "| method | frames | ms per frame | GFLOP per frame | GFLOP/s | share of the peak |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    top = peak()
    click.echo("\n".join(lines))
    for case in (*samplers(), *refiners(16)):
        with FlopCounterMode(display=False) as counter:
            case.run()
        took = min(seconds(case.run) for _ in range(repeats))
        top = max(top, peak())
        n, frames = counter.get_total_flops() / 1e9, case.n_frames
        lines.append(
            f"| {case.name} | {frames} | {1000 * took / frames:.2f} | {n / frames:.3f} | "
            f"{n / took:.0f} | {1e11 * n / took / top:.0f} % |"
        )
        click.echo(lines[-1])
    lines.append(f"\nPeak: {top / 1e9:.0f} GFLOP/s of float32.")
    click.echo(lines[-1])
    if output is not None:
        output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The ten worst clips of a benchmark as a picture: what the weights get wrong.

    python benchmarks/worst.py MOTION --benchmark test-clean -o worst.png

Every clip is scored by the error of the mean (the truth is only compared with); of each of the ten
worst the worst frame is drawn from the front and from the side: truth black, hypotheses thin, their
mean thick.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hypopose import make_sampler
from hypopose.datasets import Benchmark, batches, load_benchmark, stack
from hypopose.diffusion import seeded_noise
from hypopose.skeletons import H36M17, convert


def worst(
    sampler: Any, benchmark: Benchmark, folder: Path, n_hypotheses: int, limit: int | None
) -> list[dict[str, Any]]:
    """The ten worst clips: name, action, error in mm, and what to draw."""
    rows: list[dict[str, Any]] = []
    for group in batches(benchmark.items(folder, limit), 16):
        keypoints, truth = stack(group)
        keypoints = convert(keypoints, sampler.skeleton)
        noise = seeded_noise(0, [item.name for item in group])
        x = sampler.sample(keypoints, n_hypotheses, noise).joints
        errors = 1000 * (x.mean(1) - truth.joints).norm(dim=-1).mean(-1)
        for i, item in enumerate(group):
            frame = int(errors[i].argmax())
            rows.append(
                {
                    "name": item.name,
                    "action": item.action,
                    "mm": float(errors[i].mean()),
                    "hypotheses": x[i, :, frame].clone(),
                    "truth": truth.joints[i, frame].clone(),
                }
            )
        rows = sorted(rows, key=lambda row: -row["mm"])[:10]
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Two rows of pictures per five clips."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 5, figsize=(13, 11), layout="constrained")
    for k, row in enumerate(rows):
        for view, (across, name) in enumerate(((0, "front"), (2, "side"))):
            ax = axes[2 * (k // 5) + view, k % 5]
            for h in row["hypotheses"]:
                _figure(ax, h, across, color="tab:blue", lw=0.5, alpha=0.3)
            _figure(ax, row["hypotheses"].mean(0), across, color="tab:blue", lw=2)
            _figure(ax, row["truth"], across, color="black", lw=1.5)
            ax.set_aspect("equal")
            ax.set_xlim(-1.1, 1.1)
            ax.set_ylim(-1.1, 1.1)
            ax.set_axis_off()
            ax.set_title(f"{row['action'][:22]}, {row['mm']:.0f} mm" if view == 0 else name, size=9)
    figure.savefig(path, dpi=80)


def _figure(ax: Any, joints: Tensor, across: int, **style: Any) -> None:
    for a, b in H36M17.bones:
        ax.plot(joints[[a, b], across], -joints[[a, b], 1], **style)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--benchmark", default="test-clean")
    parser.add_argument("--weights")
    parser.add_argument("--n-hypotheses", type=int, default=20)
    parser.add_argument("--limit", type=int)
    parser.add_argument("-o", "--output", type=Path, default=Path("worst.png"))
    args = parser.parse_args()
    sampler = make_sampler(weights=args.weights)
    with torch.no_grad():
        rows = worst(
            sampler, load_benchmark(args.benchmark), args.motion, args.n_hypotheses, args.limit
        )
    draw(rows, args.output)
    for row in rows:
        print(f"{row['mm']:.0f} mm  {row['action']:<28} {row['name']}")


if __name__ == "__main__":
    main()

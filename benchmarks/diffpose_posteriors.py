"""How many network evaluations a diffusion sampler needs before its posterior is right.

    python benchmarks/diffpose_posteriors.py -o docs/images/posterior-evaluations.png

Every joint is in one of two places in depth, with odds 7 to 3; the denoiser is perfect, so that all
error is the solver's. Dashed lines are right; distances below 0.001 m½ are drawn there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor

from hypopose.calibration import PlacesPosterior, energy_distance
from hypopose.diffusion import cosine_schedule, seeded_noise
from hypopose.networks.base import NetworkInfo
from hypopose.samplers import D3DP
from hypopose.types import Keypoints2D

STEPS = (1, 2, 3, 5, 10, 20, 50, 100)
SOLVERS = {
    "DDIM, η = 0": {"eta": 0.0},
    "DDIM, η = 0.5": {"eta": 0.5},
    "DDIM, η = 1 (D3DP)": {"eta": 1.0},
    "DDIM, η = 1, spacing 2": {"eta": 1.0, "spacing": 2.0},
    "DDIM, η = 0, spacing 2": {"eta": 0.0, "spacing": 2.0},
    "DPM++": {"scheduler": "dpm++", "eta": 0.0},
    "UniPC": {"scheduler": "unipc", "eta": 0.0},
}
N_HYPOTHESES = 150


@dataclass(frozen=True)
class Perfect:
    """The perfect denoiser of a known posterior, as a network."""

    problem: PlacesPosterior

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any clip length."""
        return NetworkInfo("screen", None)

    def __call__(
        self,
        x_t: Tensor,
        keypoints: Tensor,
        t: Tensor,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        """E[x0 | x_t, keypoints]."""
        return self.problem.clean(x_t, keypoints[:, None], cosine_schedule().at(int(t[0])))


def measure(problem: PlacesPosterior, n_steps: int, options: dict) -> dict[str, float]:
    _, keypoints = problem(seeded_noise(0))
    sampler = D3DP(Perfect(problem), n_steps=n_steps, flip=False, clamp=None, **options)
    x = sampler.sample(keypoints, N_HYPOTHESES, seeded_noise(1)).joints
    exact = problem.draw(keypoints, N_HYPOTHESES, torch.Generator().manual_seed(2))
    return compare(problem, pooled(x, keypoints), pooled(exact, keypoints))


def pooled(x: Tensor, keypoints: Keypoints2D) -> Tensor:
    """All joints' draws as of one joint: the posterior differs by where x and y are."""
    x = x.clone()
    x[..., :2] -= keypoints.xy / 500 - 1
    return x[:, 0, 1:].flatten(0, 1).double()


def compare(problem: PlacesPosterior, x: Tensor, exact: Tensor) -> dict[str, float]:
    near = x[:, 2] < sum(problem.depths) / 2
    width = x[near, 2].std() / problem.depth_std if near.sum() > 2 else torch.tensor(0.0)
    return {
        "distance": energy_distance(x, exact),
        "near": float(near.double().mean()),
        "width": float(width),
    }


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(output: Path) -> None:
    """Measure, print and draw."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    torch.set_num_threads(1)
    problem = PlacesPosterior()
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for name, options in SOLVERS.items():
        rows = [measure(problem, n, options) for n in STEPS]
        for axis, key in zip(axes, ("distance", "near", "width"), strict=True):
            axis.plot(STEPS, [max(row[key], 1e-3) for row in rows], marker="o", ms=3, label=name)
        for n, row in zip(STEPS, rows, strict=True):
            values = "  ".join(f"{k} {v:.3f}" for k, v in row.items())
            click.echo(f"{name:24s} {n:4d}  {values}", color=False)
    titles = (
        "energy distance to the exact posterior, √m",
        "share of draws in the nearer place (right: 0.7)",
        "width of a place over the right one",
    )
    right = (None, problem.odds[0] / sum(problem.odds), 1.0)
    for axis, title, line in zip(axes, titles, right, strict=True):
        if line is not None:
            axis.axhline(line, color="black", ls="--", lw=1)
        axis.set(xscale="log", xlabel="network evaluations per draw", title=title)
        axis.set_xticks(STEPS, [str(n) for n in STEPS])
        axis.minorticks_off()
        axis.title.set_fontsize(9)
    axes[0].set_yscale("log")
    axes[0].legend(fontsize=7)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110)
    click.echo(str(output))


if __name__ == "__main__":
    main()

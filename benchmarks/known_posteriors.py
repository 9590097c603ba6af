"""Every sampler on the problems it can represent, against their exact posteriors.

    python benchmarks/known_posteriors.py table      # for docs/explanation/exact-posteriors.md
    python benchmarks/known_posteriors.py plot -o docs/images/posterior-evaluations.png

One frame, keypoints of a detector with normal errors. ``one place``: depth is normal, so that all
is linear and Gaussian. ``two places``: depth is in one of two places with odds 7 to 3. Networks
are perfect (closed form, so that all error is the sampler's), or small ones that are trained here
with the losses of :mod:`hypopose.training`, so that the error is both's. ``arm``: two bones under
a pinhole camera, whose four flips are enumerated.

Distances are those of all joints' draws, pooled; ranks are those of simulation-based calibration
(:mod:`hypopose.calibration.sbc`), of 16 joints in every run.

The plot shows how many network evaluations a solver needs before its posterior is right, with the
perfect denoiser on two places. Dashed lines are right; distances below 0.001 m½ are drawn there.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from hypopose.calibration.sbc import run_sbc, sbc_from_samples
from hypopose.cameras import project
from hypopose.diffusion import GaussianMixture, Schedule, cosine_schedule, seeded_noise
from hypopose.networks import GCNdiff
from hypopose.networks.base import NetworkInfo
from hypopose.networks.inputs import Encoded
from hypopose.samplers import (
    D3DP,
    MCMC,
    BoneFlips,
    DiffPose,
    DistributionalDiffusion,
    FlowMatching,
    Lifter,
    PosePrior,
    ReleasedDiffPose,
)
from hypopose.samplers.mcmc import ModelSimulator
from hypopose.skeletons import H36M17
from hypopose.training import Batch, energy_loss, x0_loss
from hypopose.training.flow import flow_loss
from hypopose.training.mixtures import MixtureBatch, mixture_loss
from hypopose.types import Camera, Keypoints2D, Sampler

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from exact_posteriors import ARM, ArmPosterior, PlacesPosterior, energy_distance

ONE = PlacesPosterior(depths=(0.0,), odds=(1.0,))
TWO = PlacesPosterior()
J = H36M17.n_joints
SCALE = 2.0
"""Trained networks see poses of about unit variance."""

STARTS = torch.tensor([[-0.4, 0.4], [0.35, 0.2]], dtype=torch.float64)
"""DiffPose's mixture in depth: means and deviations of two components, equally likely."""


# Perfect networks --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Perfect:
    """E[x0 | x_t, keypoints] of a known posterior, as a network.

    Args:
        problem: The posterior.
        flow: Whether noisy poses are those of a straight path, (1 - s) x0 + s z.
    """

    problem: PlacesPosterior
    flow: bool = False

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any clip length."""
        return NetworkInfo("screen", None)

    def __call__(self, x_t: Tensor, keypoints: Tensor, t: Tensor, *_: Any, **__: Any) -> Tensor:
        """See :class:`hypopose.networks.Network`."""
        bar, size = cosine_schedule().at(int(t[0])), 1.0
        if self.flow:
            s = float(t[0]) / 999
            size = ((1 - s) ** 2 + s**2) ** 0.5
            bar = ((1 - s) / size) ** 2
        screen = keypoints[:, None].expand(*x_t.shape[:-1], 2)
        return self.problem.clean(x_t / size, screen, bar)


@dataclass(frozen=True)
class PerfectTold:
    """The same for DiffPose: told the factor L of its component, diagonal as :func:`initial` is."""

    problem: PlacesPosterior

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any clip length."""
        return NetworkInfo("screen", None, n_latent=12 * J)

    def __call__(self, x_t: Tensor, keypoints: Tensor, t: Tensor, *_: Any, **__: Any) -> Tensor:
        """See :class:`hypopose.networks.Network`."""
        p, bar = self.problem, cosine_schedule().at(int(t[0]))
        x, _mean, columns = x_t.double().split([J, J, 3 * J], -2)
        rest = (1 - bar) * columns.unflatten(-2, (J, 3)).diagonal(dim1=-2, dim2=-1).square()
        keep, mean = bar**0.5, p.share * keypoints[:, None].double()
        flat = _settled(x[..., :2], mean, p.sigma**2 * p.share, keep, rest[..., :2])
        places = torch.tensor(p.depths, dtype=torch.float64)
        each = _settled(x[..., 2:], places, p.depth_std**2, keep, rest[..., 2:])
        whole = bar * p.depth_std**2 + rest[..., 2:]
        odds = torch.tensor(p.odds, dtype=torch.float64).log()
        odds = odds - 0.5 * (x[..., 2:] - keep * places).square() / whole
        clean = torch.cat([flat, (odds.softmax(-1) * each).sum(-1, keepdim=True)], -1)
        clean[..., 0, :] = 0.0
        return clean.to(x_t)


def _settled(x: Tensor, mean: Tensor, variance: float, keep: float, rest: Tensor) -> Tensor:
    """E[x0 | keep x0 + √rest z = x] for x0 ~ N(mean, variance)."""
    return (mean * rest + variance * keep * x) / (variance * keep**2 + rest)


@dataclass(frozen=True)
class PerfectLifter:
    """The posterior's mean."""

    problem: PlacesPosterior

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any clip length."""
        return NetworkInfo("screen", None, forms=("lifter",))

    def __call__(self, x_t: None, keypoints: Tensor, *_: Any, **__: Any) -> Tensor:
        """See :class:`hypopose.networks.Network`."""
        p = self.problem
        depth = sum(d * w for d, w in zip(p.depths, p.odds, strict=True)) / sum(p.odds)
        mean = nn.functional.pad(p.share * keypoints, (0, 1), value=depth)
        mean[..., 0, :] = 0.0
        return mean[:, None]


class PerfectRefiner(GCNdiff):
    """The released DiffPose's second network: the expected noise in (u, v, x, y, z).

    u and v are taken as they are, for their noise is far below the detector's error.
    """

    def __init__(self, problem: PlacesPosterior, schedule: Schedule) -> None:
        super().__init__(width=4, n_layers=1)
        self.problem, self.schedule_of = problem, schedule

    def forward(self, x_t: Tensor, t: Tensor, seen: Tensor | None = None) -> Tensor:
        """See :class:`hypopose.networks.GCNdiff`."""
        bar = self.schedule_of.at(int(t[0]))
        x0 = self.problem.clean(x_t[..., 2:], x_t[..., :2] / bar**0.5, bar)
        eps = (x_t[..., 2:] - bar**0.5 * x0) / (1 - bar) ** 0.5
        return torch.cat([torch.zeros_like(x_t[..., :2]), eps], -1)


# Trained networks --------------------------------------------------------------------------------


class Small(nn.Module):
    """One small network of 10 000 weights that every joint uses by itself.

    Args:
        reads: ``""``, or what comes behind the pose: ``"latent"`` noise, ``"told"`` components.
        width: Of two hidden layers.
    """

    def __init__(self, reads: str = "", width: int = 64) -> None:
        super().__init__()
        self.reads = reads
        n_in = 3 + 2 + 7 + (12 if reads else 0)
        self.layers = nn.Sequential(
            nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3),
        )  # fmt: skip

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any clip length."""
        return NetworkInfo("screen", None, n_latent=12 * J if self.reads else 0)

    def forward(self, x_t: Tensor, keypoints: Tensor, t: Tensor, *_: Any, **__: Any) -> Tensor:
        """See :class:`hypopose.networks.Network`."""
        pose, behind = x_t[..., :J, :], x_t[..., J:, :]
        lead = pose.shape[:-1]
        s = (t / 1000).reshape(-1, *[1] * (len(lead) - 1))
        waves = [f(k * torch.pi * s) for k in (0.5, 1.0, 2.0) for f in (torch.sin, torch.cos)]
        time = torch.stack([s, *waves], -1).expand(*lead, 7)
        parts = [SCALE * pose, keypoints[:, None].expand(*lead, 2), time]
        if self.reads == "latent":
            parts.append(behind.flatten(-2).unflatten(-1, (12, J)).mT)
        if self.reads == "told":
            rows = torch.cat([behind[..., :J, :], behind[..., J:, :].reshape(*lead, 9)], -1)
            parts.append(rows)
        moving = torch.ones(J, 1)
        moving[H36M17.root] = 0.0
        return moving * self.layers(torch.cat(parts, -1))


Loss = Callable[[Small, Batch, torch.Generator], Tensor]


def _squared(network: Small, batch: Batch, generator: torch.Generator) -> Tensor:
    """The perfect denoiser is what makes this least."""
    t = torch.randint(1000, batch.target.shape[:1], generator=generator)
    bar = cosine_schedule().alpha_bar[t].float().reshape(-1, 1, 1, 1)
    z = torch.randn(batch.target.shape, generator=generator)
    x_t = (bar.sqrt() * SCALE * batch.target + (1 - bar).sqrt() * z) / SCALE
    return (network(x_t[:, None], batch.encoded.xy, t.float())[:, 0] - batch.target).square().mean()


def _told(network: Small, batch: Batch, generator: torch.Generator) -> Tensor:
    B = len(batch.target)
    mixture = initial_of(batch.encoded.xy)
    component = torch.randint(2, (B, 1, J), generator=generator)
    rows = component[..., None, None]
    location = mixture.means.gather(-2, rows.expand(B, 1, J, 1, 3))[..., 0, :]
    factor = mixture.cholesky.gather(-3, rows[..., None].expand(B, 1, J, 1, 3, 3))[..., 0, :, :]
    drawn = MixtureBatch(batch, location.float(), factor.float())
    return mixture_loss(network, drawn, cosine_schedule(), generator, scale=SCALE, clamp=9.0)


OPTIONS: dict[str, Any] = {"scale": SCALE, "clamp": 9.0}
LOSSES: dict[str, tuple[str, Loss]] = {
    "x0": ("", lambda n, b, g: x0_loss(n, b, cosine_schedule(), g, **OPTIONS)),
    "squared": ("", _squared),
    "flow": ("", lambda n, b, g: flow_loss(n, b, g, n_timesteps=1000, **OPTIONS)),
    "energy": (
        "latent",
        lambda n, b, g: energy_loss(n, b, cosine_schedule(), g, one_step_share=1.0, **OPTIONS),
    ),
    "told": ("told", _told),
}
"""Name -> what the network reads behind the pose, and the loss."""


def drawn_batch(problem: PlacesPosterior, B: int, generator: torch.Generator) -> Batch:
    """Poses and keypoints from the problem, as networks read them."""
    spread = (problem.spread**2 + problem.sigma**2) ** 0.5
    screen = spread * torch.randn((B, J, 2), generator=generator)
    target = problem.draw(problem.keypoints(screen), 1, generator)[0][:, None].float()
    whole = torch.ones(B, 1, J)
    eye = torch.eye(3).expand(B, 3, 3)
    return Batch(Encoded(screen[:, None], whole, whole[..., 0] > 0, None, eye), target)


def trained(problem: PlacesPosterior, loss: str, n_steps: int, seed: int = 0) -> Small:
    """A small network after so many steps of Adam, 256 poses each."""
    reads, of = LOSSES[loss]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Small(reads)
    optimizer = torch.optim.Adam(network.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps, 1e-5)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        optimizer.zero_grad()
        of(network, drawn_batch(problem, 256, generator), generator).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


# DiffPose's initial distribution ------------------------------------------------------------------


def initial_of(screen: Tensor) -> GaussianMixture:
    """Two components per joint, in depth; x and y about the keypoint."""
    flat = screen.double()[..., None, :].expand(*screen.shape[:-1], 2, 2)
    means = torch.cat([flat, STARTS[0].expand(*flat.shape[:-1])[..., None]], -1)
    spread = torch.stack([s.new_tensor([0.1, 0.1, float(s)]) for s in STARTS[1]])
    factor = torch.diag_embed(spread).expand(*means.shape, 3)
    return GaussianMixture(torch.full_like(means[..., 0], 0.5), means, factor)


def initial(keypoints: Keypoints2D) -> GaussianMixture:
    """As :func:`initial_of`, from keypoints."""
    return initial_of(keypoints.xy / 500 - 1)


# What is compared --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One sampler on one problem.

    Args:
        sampler: Its name and options.
        network: Perfect or trained, and how.
        evaluations: Of the network per draw.
        make: Makes the sampler; trains its network if it must.
    """

    sampler: str
    network: str
    evaluations: int
    make: Callable[[], Sampler]


SHORT: dict[str, Any] = {"eta": 0.0, "spacing": 2.0, "flip": False, "clamp": None}
MANY: dict[str, Any] = {"flip": False, "mirror": False, "clamp": None}


def rows(problem: PlacesPosterior, n_steps: int) -> list[Row]:
    """Samplers on :data:`ONE` or :data:`TWO`; networks are trained for the second only."""
    if len(problem.depths) == 1:
        return [*perfect_rows(problem), Row("`lifter`", "perfect", 1, lambda: lifter(problem))]
    return [*perfect_rows(problem), *trained_rows(problem, n_steps)]


def perfect_rows(problem: PlacesPosterior) -> list[Row]:
    """Samplers whose network knows the answer."""
    perfect, told = Perfect(problem), PerfectTold(problem)
    paper = {"eta": 1.0, "flip": False, "clamp": None}

    def mixture() -> Sampler:
        return DiffPose(told, 20, initial=initial, **SHORT)

    return [
        Row("`d3dp`, as in the paper", "perfect", 5, lambda: D3DP(perfect, 5, **paper)),
        Row("`d3dp`, `eta=0`, `spacing=2`", "perfect", 20, lambda: D3DP(perfect, 20, **SHORT)),
        Row("`flow`", "perfect", 20, lambda: FlowMatching(Perfect(problem, True), 20, **MANY)),
        Row("`diffpose`, `eta=0`, `spacing=2`", "perfect", 20, mixture),
        Row("`diffpose-released`, noised", "perfect", 2, lambda: refiner(problem, 2, 24)),
        Row("the same, from the last timestep", "perfect", 51, lambda: refiner(problem, 51, 51)),
    ]


def refiner(problem: PlacesPosterior, n_steps: int, n_test_timesteps: int) -> Sampler:
    """The released DiffPose: the posterior's mean with noise, refined."""
    plain = ReleasedDiffPose(GCNdiff(width=4, n_layers=1), PerfectLifter(problem))
    return replace(
        plain,
        network=PerfectRefiner(problem, plain.schedule),
        n_steps=n_steps,
        n_test_timesteps=n_test_timesteps,
        start="noised",
        eta=1.0,
        uv_std=1e-4,
    )


def lifter(problem: PlacesPosterior) -> Sampler:
    """The posterior's mean, and draws at the expected distance from it; 0.92 for three normals."""
    std = (2 * problem.sigma**2 * problem.share + problem.depth_std**2) ** 0.5
    return Lifter(PerfectLifter(problem), flip=False, spread=0.92 * std, parent_correlation=0.0)


def trained_rows(problem: PlacesPosterior, n_steps: int) -> list[Row]:
    """Samplers whose network learned the problem from draws."""

    def d3dp(loss: str) -> Callable[[], Sampler]:
        return lambda: D3DP(trained(problem, loss, n_steps), 20, scale=SCALE, **SHORT)

    def flow() -> Sampler:
        return FlowMatching(trained(problem, "flow", n_steps), 20, scale=SCALE, **MANY)

    def one_step() -> Sampler:
        network = trained(problem, "energy", n_steps)
        return DistributionalDiffusion(network, 1, scale=SCALE, **MANY)

    def mixture() -> Sampler:
        network = trained(problem, "told", n_steps)
        return DiffPose(network, 20, scale=SCALE, initial=initial, **SHORT)

    return [
        Row("`d3dp`, `eta=0`, `spacing=2`", "trained, its own loss", 20, d3dp("x0")),
        Row("`d3dp`, `eta=0`, `spacing=2`", "trained, squared error", 20, d3dp("squared")),
        Row("`flow`", "trained", 20, flow),
        Row("`distributional`", "trained", 1, one_step),
        Row("`diffpose`, `eta=0`, `spacing=2`", "trained", 20, mixture),
    ]


def measure(problem: PlacesPosterior, sampler: Sampler, n_runs: int = 60) -> dict[str, Any]:
    """Distance, share of the nearer place, width of a place, and ranks.

    Args:
        problem: Simulates and knows.
        sampler: To be judged.
        n_runs: Of simulation-based calibration.

    Returns:
        ``distance`` in √m, ``near``, ``width`` over the right one, ``p`` of uniform ranks in x, y
        and depth (Kolmogorov-Smirnov, after Holm) and the ranks' ``shapes``.
    """
    draws, truths, exact = [], [], []
    generator = torch.Generator().manual_seed(0)
    for i in range(n_runs):
        truth, keypoints = problem(seeded_noise(0, [f"simulate {i}"]))
        x = sampler.sample(keypoints, 49, seeded_noise(0, [f"sample {i}"])).joints
        mean = nn.functional.pad(problem.share * (keypoints.xy / 500 - 1), (0, 1))
        draws.append((x - mean)[:, 0, 1:])
        exact.append((problem.draw(keypoints, 49, generator) - mean)[:, 0, 1:])
        truths.append((truth.joints - mean)[0, 1:])
    x, right = torch.stack(draws, 1).double(), torch.stack(exact, 1).double()
    flat, y = x.flatten(1, 2), torch.cat(truths).double()
    check = sbc_from_samples(flat, y, ("x", "y", "depth")).check("ks")
    pick = torch.randperm(flat.shape[0] * flat.shape[1], generator=generator)[:2000]
    return {
        **shape_of(problem, flat.flatten(0, 1)[pick], right.flatten(0, 2)[pick]),
        "p": check.p_values.tolist(),
        "shapes": check.shapes,
    }


# The arm -----------------------------------------------------------------------------------------

CAMERA = replace(Camera.from_fov((1000, 1000)), assumed=False)
LENGTHS = (0.28, 0.25)


def arm_samplers() -> dict[str, tuple[Sampler, Sampler]]:
    """Who can lift two bones: for one arm, and, with short chains, for many."""
    chains = MCMC(ARM, PosePrior.anywhere(ARM, LENGTHS), tails=None, n_warmup=30)
    flips = BoneFlips(ARM, LENGTHS)
    return {
        "`mcmc`": (replace(chains, n_chains=8, n_draws=40), replace(chains, n_draws=20)),
        "`boneflips`": (flips, flips),
    }


def measure_arm(one: Sampler, many: Sampler, n_runs: int) -> dict[str, Any]:
    """As :func:`measure`: one arm's distance and flips, and ranks over arms from the model."""
    pose = torch.tensor([[0.1, -0.2, 2.0], [0.2, -0.05, 2.2], [0.36, 0.04, 2.05]])
    covariance = (16 * torch.eye(2)).expand(1, 3, 2, 2)
    keypoints = Keypoints2D(project(pose, CAMERA)[None], ARM, camera=CAMERA, covariance=covariance)
    posterior = ArmPosterior(CAMERA, LENGTHS)
    generator = torch.Generator().manual_seed(0)
    exact, weights = posterior.draw(keypoints, 40_000, generator)
    some = exact[torch.multinomial(weights, 1500, replacement=True, generator=generator)]
    found = one.sample(keypoints, 320, seeded_noise(1))
    assert found.root is not None
    x = (found.joints + found.root[..., None, :])[:, 0].double()
    simulate = ModelSimulator(MCMC(ARM, PosePrior.anywhere(ARM, LENGTHS), tails=None), CAMERA)
    result = run_sbc(many, simulate, n_runs, n_hypotheses=19, of=("axis",))
    check = result.check("chi2")
    return {
        "distance": energy_distance((x - x[:, :1]).flatten(1), (some - some[:, :1]).flatten(1)),
        "flips": posterior.flip_shares(x).tolist(),
        "right": posterior.flip_shares(exact, weights).tolist(),
        "p": float(check.p_values.min()),
        "shapes": check.shapes,
    }


# How many evaluations ----------------------------------------------------------------------------

STEPS = (1, 2, 3, 5, 10, 20, 50, 100)
SOLVERS: dict[str, dict[str, Any]] = {
    "DDIM, η = 0": {"eta": 0.0},
    "DDIM, η = 0.5": {"eta": 0.5},
    "DDIM, η = 1 (D3DP)": {"eta": 1.0},
    "DDIM, η = 1, spacing 2": {"eta": 1.0, "spacing": 2.0},
    "DDIM, η = 0, spacing 2": {"eta": 0.0, "spacing": 2.0},
    "DPM++": {"scheduler": "dpm++", "eta": 0.0},
    "UniPC": {"scheduler": "unipc", "eta": 0.0},
}
N_HYPOTHESES = 150


def solver_errors(n_steps: int, options: dict[str, Any]) -> dict[str, float]:
    """Distance, share and width of one solver's draws, all joints pooled."""
    _, keypoints = TWO(seeded_noise(0))
    sampler = D3DP(Perfect(TWO), n_steps=n_steps, flip=False, clamp=None, **options)
    x = pooled(sampler.sample(keypoints, N_HYPOTHESES, seeded_noise(1)).joints, keypoints)
    exact = TWO.draw(keypoints, N_HYPOTHESES, torch.Generator().manual_seed(2))
    return shape_of(TWO, x, pooled(exact, keypoints))


def pooled(x: Tensor, keypoints: Keypoints2D) -> Tensor:
    """All joints' draws as of one joint: the posterior differs by where x and y are."""
    x = x.clone()
    x[..., :2] -= keypoints.xy / 500 - 1
    return x[:, 0, 1:].flatten(0, 1).double()


def shape_of(problem: PlacesPosterior, x: Tensor, exact: Tensor) -> dict[str, float]:
    """Energy distance, share of the nearer place, and its width over the right one."""
    near = x[:, 2] < sum(problem.depths) / len(problem.depths)
    inside = near if len(problem.depths) > 1 else torch.ones_like(near)
    width = x[inside, 2].std() / problem.depth_std if inside.sum() > 2 else torch.tensor(0.0)
    return {
        "distance": energy_distance(x, exact),
        "near": float(near.double().mean()),
        "width": float(width),
    }


@click.group()
def main() -> None:
    """Compare samplers with exact posteriors."""


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def plot(output: Path) -> None:
    """Draw calibration against network evaluations."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    torch.set_num_threads(1)
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for name, options in SOLVERS.items():
        found = [solver_errors(n, options) for n in STEPS]
        for axis, key in zip(axes, ("distance", "near", "width"), strict=True):
            axis.plot(STEPS, [max(row[key], 1e-3) for row in found], marker="o", ms=3, label=name)
        for n, row in zip(STEPS, found, strict=True):
            values = "  ".join(f"{k} {v:.3f}" for k, v in row.items())
            click.echo(f"{name:24s} {n:4d}  {values}", color=False)
    titles = (
        "energy distance to the exact posterior, √m",
        "share of draws in the nearer place (right: 0.7)",
        "width of a place over the right one",
    )
    right = (None, TWO.odds[0] / sum(TWO.odds), 1.0)
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


@main.command()
@click.option("--only", default="", help="Rows whose sampler or network contains this.")
@click.option("--n-steps", default=1500, help="Of training.")
@click.option("--n-runs", default=60, help="Of simulation-based calibration.")
@click.option("--n-arms", default=60, help="The same for arms; 0 leaves them out.")
def table(only: str, n_steps: int, n_runs: int, n_arms: int) -> None:
    """Measure every sampler and print a table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)  # short chains; the exact answer judges
    click.echo("| problem | sampler | network | evaluations | distance | near | width | ranks |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for title, problem in (("one place", ONE), ("two places", TWO)):
        for row in rows(problem, n_steps):
            if only not in f"{row.sampler}, {row.network}":
                continue
            m = measure(problem, row.make(), n_runs)
            near = f"{100 * m['near']:.0f} %" if len(problem.depths) > 1 else ""
            p = ", ".join(
                f"{p:.2f}" if p >= 0.005 else f"< 0.01 ({shape})"
                for p, shape in zip(m["p"], m["shapes"], strict=True)
            )
            click.echo(
                f"| {title} | {row.sampler} | {row.network} | {row.evaluations} "
                f"| {m['distance']:.3f} | {near} | {m['width']:.2f} | {p} |"
            )
    for name, (one, many) in arm_samplers().items():
        if only in name and n_arms:
            m = measure_arm(one, many, n_arms)
            flips, right = (", ".join(f"{100 * s:.0f}" for s in m[k]) for k in ("flips", "right"))
            click.echo(
                f"| arm | {name} | | | {m['distance']:.3f} | {flips} % (right: {right}) | "
                f"| {m['p']:.2f} {', '.join(sorted(set(m['shapes'])))} |"
            )


if __name__ == "__main__":
    main()

"""How good the motion prior and the sampler that uses it are.

    python benchmarks/platypose.py prior --data MOTION --picture grid.png
    python benchmarks/platypose.py error_covariance --data MOTION
    python benchmarks/platypose.py accuracy --data MOTION --frames 16 --n-hypotheses 10 --limit 12
    python benchmarks/platypose.py sbc --n 40 --frames 9
    python benchmarks/platypose.py speed

Everything is printed as JSON. ``accuracy`` looks at windows of the test split, with exact keypoints
or ``--noise-px``; with ``--keep FILE`` every cell is written when it is done, and a stopped run
goes on with the next. Further cameras stand around the person at the first one's distance and
height; the positions of all cameras in the world are then known. Oracle columns pick by the truth.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import hypopose
from hypopose.aggregation import jpma
from hypopose.calibration import ece, energy_score
from hypopose.calibration.sbc import run_sbc
from hypopose.cameras import cam_to_world, fit_roots, project, world_to_cam
from hypopose.datasets import load_benchmark, load_motion
from hypopose.diffusion import seeded_noise
from hypopose.networks.motion_prior import MotionPrior
from hypopose.samplers import HeuristicPlatypose, Platypose
from hypopose.samplers.platypose.error_covariance import moment_basis
from hypopose.samplers.platypose.likelihood import to_camera, view_of
from hypopose.samplers.platypose.released import MultiView, ReleasedCamera, released_chain
from hypopose.samplers.windows import seam_jump, window_starts
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource, Poses3D

FEET = (3, 6)
FPS = 50.0
MODES = {"posterior": "platypose", "heuristic": "platypose-heuristic"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["prior", "error_covariance", "accuracy", "sbc", "speed"])
    parser.add_argument("--data", type=Path, help="Folder of motion shards.")
    parser.add_argument(
        "--weights", default=None, help="Of a motion prior; default: the bundled one."
    )
    parser.add_argument("--picture", type=Path, help="Where to draw samples of the prior.")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--n-hypotheses", type=int, default=10)
    parser.add_argument("--n", type=int, default=40, help="Simulations, or samples of the prior.")
    parser.add_argument("--limit", type=int, default=12, help="Views of the test split.")
    parser.add_argument("--benchmark", default="test-clean")
    parser.add_argument("--noise-px", type=float, default=0.0, help="Added to the keypoints.")
    parser.add_argument("--window", type=int, help="Longest stretch the prior reads.")
    parser.add_argument("--keep", type=Path, help="Cells done so far; a stopped run goes on.")
    parser.add_argument("--cameras", type=int, nargs="*", default=[])
    parser.add_argument("--missing", type=float, nargs="*", default=[])
    methods = ["posterior", "heuristic", "d3dp", "diffpose", "distributional"]
    parser.add_argument("--methods", nargs="*", default=methods)
    args = parser.parse_args()
    torch.set_num_threads(1)
    parts = {
        "prior": prior,
        "error_covariance": error_covariance,
        "accuracy": accuracy,
        "sbc": sbc,
        "speed": speed,
    }
    report = parts[args.what](args)
    print(json.dumps(report, indent=1))


def made(args: argparse.Namespace, method: str = "posterior", **options: Any) -> Platypose:
    sampler = hypopose.make_sampler(MODES[method], weights=args.weights, **options)
    assert isinstance(sampler, Platypose)
    return sampler


# Prior -----------------------------------------------------------------------------------------


def prior(args: argparse.Namespace) -> dict[str, Any]:
    """Samples beside windows of subjects that were not trained on, all cut to one length."""
    F = args.frames
    sampler = made(args)
    drawn = sampler.unconditional(args.n, F, seeded_noise(0)).float()
    shards = [args.data / "cmu_permissive.npz"]
    sets = {"val": load_motion(shards, "val"), "train": load_motion(shards, "train")}
    windows = {name: cut(motion, F, 400) for name, motion in sets.items()}
    report: dict[str, Any] = {"samples": motion_report(drawn)}
    report["val"] = motion_report(windows["val"])
    for name, x in (("samples", drawn), ("train", windows["train"])):
        report[f"frechet_{name}_to_val"] = round(frechet(features(x), features(windows["val"])), 3)
    for name, x in (("samples", drawn), ("val", windows["val"])):
        near = nearest_mm(x[: args.n], windows["train"])
        report[f"nearest_train_window_mm_{name}"] = round(near, 1)
    if args.picture is not None:
        draw(drawn, args.picture)
    return report


def cut(motion: Any, F: int, most: int) -> Tensor:
    """At most so many windows, evenly over all clips."""
    clips = (motion.clip(i) for i in range(motion.n_clips))
    windows = [c[a : a + F] for c in clips for a in range(0, len(c) - F + 1, max(1, F // 2))]
    return torch.stack(windows[:: max(1, len(windows) // most)][:most])


def turned(x: Tensor) -> Tensor:
    """Middle root at the horizontal origin, middle hips along x."""
    middle = x.shape[1] // 2
    across = x[:, middle, 4, :2] - x[:, middle, 1, :2]
    c, s = (across / across.norm(dim=-1, keepdim=True).clamp(min=1e-6)).unbind(-1)
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    turn = torch.stack([c, s, zero, -s, c, zero, zero, zero, one], -1).reshape(-1, 1, 3, 3)
    origin = x[:, middle : middle + 1, :1].clone()
    origin[..., 2] = 0
    return (x - origin) @ turn.mT


def features(x: Tensor) -> Tensor:
    """Joints of three frames in meters, heading removed, and how far they moved between."""
    y = turned(x)
    at = y[:, [0, y.shape[1] // 2, -1]]
    return torch.cat([at.flatten(1), at.diff(dim=1).flatten(1)], 1).double()


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance in m² of normals over the 32 main directions of ``b``."""
    mean = b.mean(0)
    basis = torch.linalg.svd(b - mean, full_matrices=False).Vh[:32].T
    a, b = (a - mean) @ basis, (b - mean) @ basis
    cov_a, cov_b = a.T.cov(), b.T.cov()
    product = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt().sum()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    return float(gap + cov_a.trace() + cov_b.trace() - 2 * product)


def nearest_mm(x: Tensor, others: Tensor) -> float:
    """Mean distance per joint to the nearest window, heading removed."""
    x, others = turned(x), turned(others)
    rows = [(one - others).norm(dim=-1).mean((1, 2)).min() for one in x]
    return 1000 * float(torch.stack(rows).mean())


def motion_report(x: Tensor) -> dict[str, float]:
    parent, child = (list(j) for j in zip(*H36M17.bones, strict=True))
    bones = (x[:, :, child] - x[:, :, parent]).norm(dim=-1)
    feet = x[:, :, list(FEET)]
    low = feet[:, :-1, :, 2] < feet[..., 2].amin((1, 2))[:, None, None] + 0.03
    slide = feet.diff(dim=1)[..., :2].norm(dim=-1) * FPS
    change = x.diff(n=2, dim=1).norm(dim=-1) * FPS**2
    return {
        "foot_skate_m_s": round(float(slide[low].mean()), 3),
        "bone_drift_mm": round(1000 * float(bones.std(1).mean()), 2),
        "thigh_m": round(float(bones[..., 1].mean()), 3),
        "acceleration_m_s2": round(float(change.mean()), 2),
        "root_height_m": round(float(x[:, :, 0, 2].mean()), 3),
    }


def draw(x: Tensor, path: Path) -> None:
    """Eight motions, five moments each."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(16, 8))
    y = turned(x)
    for i in range(8):
        axes = figure.add_subplot(2, 4, i + 1, projection="3d")
        moments = torch.linspace(0, y.shape[1] - 1, 5).long().tolist()
        for k, f in enumerate(moments):
            for p, c in H36M17.bones:
                ends = y[i, f, [p, c]] - y[i, f, :1] * torch.tensor([1.0, 1.0, 0.0])
                ends = ends + torch.tensor([0.9 * (k - 2), 0.0, 0.0])
                color = "tab:red" if c in H36M17.right else "tab:blue"
                axes.plot(*ends.T.tolist(), color=color, linewidth=2)
        axes.set(xlim=(-2.2, 2.2), ylim=(-1, 1), zlim=(0, 1.9))
        axes.set_box_aspect((4.4, 2, 1.9), zoom=1.1)
        axes.view_init(elev=8, azim=-75)
        axes.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1, 0, 0)
    figure.savefig(path, dpi=70)


def error_covariance(args: argparse.Namespace) -> dict[str, Any]:
    """Errors of the clean estimate on people not trained on, beside their assumed covariance."""
    sampler, F = made(args), args.frames
    network, chain = sampler.network, sampler._chain()
    x = turned(cut(load_motion([args.data / "cmu_permissive.npz"], "val"), F, 150))
    slots = torch.cat([x[:, :, :1], x[:, :, 1:] - x[:, :, :1]], 2)
    basis = moment_basis(F, FPS)
    groups = {"hips": [1, 4], "ankles": [3, 6], "wrists": [13, 16], "root": [0]}
    report: dict[str, Any] = {}
    noise = seeded_noise(0)(tuple(slots.shape))
    for i in range(0, len(chain.timesteps), 3):
        bar = chain.schedule.at(i)
        x_t = math.sqrt(bar) * slots * network.scale + math.sqrt(1 - bar) * noise
        with torch.no_grad():
            said = network(x_t, torch.full((len(x),), chain.timesteps[i])) / network.scale
        measured = (slots - said).square().mean((0, 1, 3)).sqrt()
        believed = sampler.errors(bar, basis, FPS).slot_std()
        report[f"step {i}, noise {math.sqrt((1 - bar) / bar) / network.scale:.2f} m"] = {
            name: {
                "measured_mm": round(1000 * float(measured[j].mean()), 1),
                "believed_mm": round(1000 * float(believed[j].mean()), 1),
            }
            for name, j in groups.items()
        }
    return report


# Accuracy --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A window, its further views, and the truth."""

    name: str
    keypoints: Keypoints2D
    others: tuple[Keypoints2D, ...]
    truth: Poses3D
    complete: Tensor
    world: Camera


def scenes(args: argparse.Namespace, n_cameras: int, missing: float) -> Iterator[Scene]:
    """Windows of the split; with cameras counted, all of them are placed in the world."""
    for item in load_benchmark(args.benchmark).items(args.data, limit=args.limit):
        F = args.frames
        if item.keypoints.n_frames < F:
            continue
        start = (item.keypoints.n_frames - F) // 2
        part = slice(start, start + F)
        assert item.truth.root is not None
        truth = Poses3D(item.truth.joints[part], H36M17, root=item.truth.root[part])
        keypoints = replace(
            item.keypoints, xy=item.keypoints.xy[part], confidence=None, covariance=None
        )
        views = [keypoints]
        if n_cameras:
            world = cam_to_world(truth.joints + truth.root[:, None], item.view.camera)
            cameras = around(item.view.camera, world, n_cameras)
            views = [seen_by(world, camera, keypoints) for camera in cameras]
        generator = torch.Generator().manual_seed(start)
        noise = args.noise_px * torch.randn(len(views), F, 17, 2, generator=generator)
        views = [replace(v, xy=v.xy + e) for v, e in zip(views, noise, strict=True)]
        complete = views[0].xy
        if missing:
            gone = torch.rand(F, 17, generator=generator) < missing
            xy = torch.where(gone[..., None], torch.nan, complete)
            views[0] = replace(views[0], xy=xy)
        yield Scene(item.name, views[0], tuple(views[1:]), truth, complete, item.view.camera)


def around(camera: Camera, world: Tensor, n: int) -> list[Camera]:
    """The camera, and others a share of a circle further about the person."""
    assert camera.rotation is not None
    assert camera.translation is not None
    middle = world[:, 0].mean(0) * torch.tensor([1.0, 1.0, 0.0])
    cameras = []
    for i in range(n):
        angle = 2 * math.pi * i / max(n, 3)
        c, s = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        rotation = camera.rotation @ turn.T
        place = turn @ (-camera.rotation.T @ camera.translation - middle) + middle
        cameras.append(replace(camera, rotation=rotation, translation=-rotation @ place))
    return cameras


def seen_by(world: Tensor, camera: Camera, like: Keypoints2D) -> Keypoints2D:
    xy = project(world_to_cam(world, camera), camera)
    return replace(like, xy=xy, camera=camera, image_size=camera.image_size)


def accuracy(args: argparse.Namespace) -> dict[str, Any]:
    """One cell per method, number of cameras, and share of missing keypoints."""
    report: dict[str, Any] = {}
    if args.keep is not None and args.keep.exists():
        report = json.loads(args.keep.read_text(encoding="utf-8"))
    size = f"F={args.frames} S={args.n_hypotheses} noise={args.noise_px:g} window={args.window}"
    cells = [(method, method, 0, 0.0) for method in args.methods]
    cells += [(f"posterior, {n} placed cameras", "posterior", n, 0.0) for n in args.cameras]
    cells += [(f"posterior, {m:.0%} missing", "posterior", 0, m) for m in args.missing]
    for name, *cell in cells:
        key = f"{size}: {name}"
        if key in report:
            continue
        began = time.process_time()
        report[key] = judged(args, *cell)
        report[key]["cpu_s"] = round(time.process_time() - began, 1)
        if args.keep is not None:
            args.keep.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


def judged(args: argparse.Namespace, method: str, n_cameras: int, missing: float) -> dict[str, Any]:
    drawn, truths, rows = [], [], []
    known = {"sigma_px": args.noise_px} if args.noise_px else {}
    for scene in scenes(args, n_cameras, missing):
        noise = seeded_noise(0, [scene.name])
        sampler: Any
        if method in ("posterior", "heuristic"):
            eta = 1.0 if method == "posterior" else 0.0
            options = {"views": scene.others, "window": args.window, **known}
            sampler = made(args, method, eta=eta, **options)
        else:
            sampler = hypopose.make_sampler(method)
        h = sampler.sample(scene.keypoints, args.n_hypotheses, noise)
        if h.root is None:
            h = replace(h, root=fit_roots(h, scene.keypoints))
        drawn.append(h.joints)
        truths.append(scene.truth.joints)
        rows.append(scores(h, scene, args.window))
    columns = {k: torch.tensor([r[k] for r in rows]) for k in rows[0]}
    report: dict[str, Any] = {k: round(float(v.nanmean()), 2) for k, v in columns.items()}
    x, truth = torch.stack(drawn), torch.stack(truths)
    report["energy_score_mm"] = round(1000 * float(energy_score(x, truth).mean()), 1)
    report["ece"] = round(float(ece(x, truth).ece), 3)
    report["windows"] = len(rows)
    return report


def scores(h: Hypotheses, scene: Scene, window: int | None) -> dict[str, float]:
    truth, x = scene.truth.joints, h.joints
    off = 1000 * (x - truth).norm(dim=-1).mean(-1)
    speed = 1000 * (x.diff(dim=1) - truth.diff(dim=0)).norm(dim=-1).mean()
    camera, root = scene.keypoints.camera, h.root
    assert camera is not None
    assert root is not None
    bare = replace(camera, rotation=None, translation=None)
    uv = project(x + root[..., None, :], bare)
    seen = scene.keypoints.detected.expand(len(x), -1, -1)
    error = (uv - scene.complete).norm(dim=-1)
    best = jpma(h, replace(scene.keypoints, camera=bare)).joints
    inside = (truth[:, 1:] >= x[:, :, 1:].amin(0)) & (truth[:, 1:] <= x[:, :, 1:].amax(0))
    assert scene.truth.root is not None
    placed = scene.truth.root[:, None]
    world = [cam_to_world(motion + placed, scene.world) for motion in (*x, truth)]
    moving = [motion_report(motion[None]) for motion in world]
    report = {
        "single_mm": float(off.mean()),
        "mean_mm": 1000 * float((x.mean(0) - truth).norm(dim=-1).mean()),
        "jpma_mm": 1000 * float((best - truth).norm(dim=-1).nanmean()),
        "oracle_clip_best_mm": float(off.mean(1).min()),
        "oracle_frame_best_mm": float(off.min(0).values.mean()),
        "mpjve_mm_frame": float(speed),
        "spread_mm": 1000 * float(x.std(0).norm(dim=-1).mean()),
        "truth_outside_all": float((~inside).double().mean()),
        "reprojection_px": float(error[seen].mean()),
        "hidden_px": float(error[~seen].mean()) if bool((~seen).any()) else 0.0,
    }
    for name in ("foot_skate_m_s", "acceleration_m_s2"):
        report[name] = float(torch.tensor([m[name] for m in moving[:-1]]).nanmean())
        report[f"true_{name}"] = moving[-1][name]
    if window is not None:
        starts = window_starts(x.shape[1], window, window // 4)
        seams = sorted({*starts, *(a + window for a in starts)} - {0, x.shape[1]})
        at, within = seam_jump(x, seams)
        report |= {"seam_mm": 1000 * at, "inside_mm": 1000 * within}
    return report


# Simulation-based calibration ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PriorSimulator:
    """A motion of the prior, placed as the sampler believes, seen with normal errors."""

    sampler: Platypose
    camera: Camera
    n_frames: int
    sigma_px: float

    def __call__(self, noise: NoiseSource) -> tuple[Poses3D, Keypoints2D]:
        """Draw one."""
        world = self.sampler.unconditional(1, self.n_frames, noise)
        z = noise((1, 1, 1, 4)).double()[0, 0]
        mean, std = torch.tensor(self.sampler.origin), torch.tensor(self.sampler.origin_std)
        pitch = math.radians(self.sampler.pitch_std_deg) * z[0, 3:]
        blank = torch.full((self.n_frames, 17, 2), torch.nan)
        keypoints = Keypoints2D(blank, H36M17, camera=self.camera)
        view = view_of(keypoints, sigma_px=None, pitch_deg=self.sampler.pitch_deg)
        cam = to_camera(world + mean + std * z[0, :3], pitch, view)[0].float()
        xy = project(cam, self.camera)
        xy = xy + self.sigma_px * noise((1, self.n_frames, 17, 2))[0]
        covariance = self.sigma_px**2 * torch.eye(2).expand(self.n_frames, 17, 2, 2)
        root = cam[:, 0]
        truth = Poses3D(cam - root[:, None], H36M17, root=root)
        return truth, replace(keypoints, xy=xy, covariance=covariance)


def sbc(args: argparse.Namespace) -> dict[str, Any]:
    camera = Camera(torch.tensor([1000.0, 1000.0]), torch.tensor([500.0, 500.0]), (1000, 1000))
    known = {"origin": (0.0, 4.5, -1.2), "origin_std": (0.3, 0.3, 0.1), "pitch_std_deg": 3.0}
    truth = made(args, **known)
    simulator = PriorSimulator(truth, camera, args.frames, 5.0)
    report: dict[str, Any] = {"n": args.n, "hypotheses": 19, "frames": args.frames}
    histograms = {}
    for name, eta in (("heuristic", 0.0), ("posterior", 1.0)):
        result = run_sbc(
            made(args, name, **known, eta=eta), simulator, args.n, n_hypotheses=19, of=("axis",)
        )
        ranks = result.ranks.double() / 19
        depth = ranks[:, 2::3]
        report[name] = {
            "mean_rank": round(float(ranks.mean()), 3),
            "rank_std_uniform_0.306": round(float(ranks.std()), 3),
            "share_outside_all": round(float(((ranks == 0) | (ranks == 1)).double().mean()), 3),
            "share_outside_all_uniform": 0.1,
            "depth_rank_std": round(float(depth.std()), 3),
            "quantities_rejected_5_percent": int((result.check().p_values < 0.05).sum()),
            "quantities": ranks.shape[1],
        }
        histograms[name] = ranks
    if args.picture is not None:
        rank_picture(histograms, args.picture)
    return report


def rank_picture(ranks: dict[str, Tensor], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(ranks), figsize=(9, 3), sharey=True)
    for panel, (name, r) in zip(axes, ranks.items(), strict=True):
        panel.hist((r * 19).flatten().numpy(), bins=20, range=(-0.5, 19.5), density=True)
        panel.axhline(1 / 20, color="black", linewidth=1)
        panel.set(title=f"{name} guidance", xlabel="rank of the truth among 19 hypotheses")
    axes[0].set_ylabel("share")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


# Speed -----------------------------------------------------------------------------------------


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds of the released rule and of ours, same random network of the released size."""
    report: dict[str, Any] = {}
    if args.keep is not None and args.keep.exists():
        report = json.loads(args.keep.read_text(encoding="utf-8"))
    torch.manual_seed(0)
    network = MotionPrior().eval()
    for S, F in ((50, 16), (20, 128), (200, 16)):
        key = f"S={S}, F={F}"
        if key in report:
            continue
        keypoints, energy = filmed(F)
        took = {}
        began = time.process_time()
        released_chain(network, energy, Platypose(network)._chain(), torch.randn(S, F, 51))
        took["reference_cpu_s"] = round(time.process_time() - began, 1)
        for mode, precision in (
            ("heuristic", "float32"),
            ("heuristic", "bfloat16"),
            ("posterior", "bfloat16"),
        ):
            if precision == "float32" and S > 50:
                continue
            kind = {"heuristic": HeuristicPlatypose, "posterior": Platypose}[mode]
            sampler = kind(network, n_steps=16, window=128, precision=precision)
            began = time.process_time()
            sampler.sample(keypoints, S, seeded_noise(0))
            took[f"{mode}, {precision}"] = round(time.process_time() - began, 1)
        report[key] = took
        if args.keep is not None:
            args.keep.write_text(json.dumps(report, indent=1), encoding="utf-8")
    report["bfloat16_energy_off_percent"] = trace_off_percent(network)
    return report


def filmed(F: int) -> tuple[Keypoints2D, MultiView]:
    """Keypoints of a placed camera and their released energy."""
    camera = Camera(
        torch.tensor([1100.0, 1100.0]),
        torch.tensor([500.0, 500.0]),
        (1000, 1000),
        rotation=torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
        translation=torch.tensor([0.0, 1.0, 5.0]),
    )
    keypoints = Keypoints2D(500 + 60 * torch.randn(F, 17, 2), H36M17, camera=camera)
    root = torch.tensor([0.0, 0.0, 0.9]).expand(F, 3)
    return keypoints, MultiView((ReleasedCamera.of(camera),), keypoints.xy[None] / 500 - 1, root)


def trace_off_percent(network: MotionPrior) -> dict[str, float]:
    """How far mean energies of the released chain move with blocks in half the bits, per step."""
    _, energy = filmed(16)
    noise, chain = torch.randn(10, 16, 51), Platypose(network)._chain()
    traces = []
    for one in (network, network.halved()):
        steps: list[Tensor] = []
        released_chain(
            one, energy, chain, noise, callback=lambda s, kept=steps: kept.append(s.guided.energy)
        )
        traces.append(torch.stack(steps).mean(-1))
    off = 100 * (traces[1] / traces[0] - 1).abs()
    return {"worst": round(float(off.max()), 3), "mean": round(float(off.mean()), 3)}


if __name__ == "__main__":
    main()

"""Cameras found from people in simulated rigs, and several views' posteriors combined.

    python benchmarks/rigs.py MOTION [--views 2 3 4 6] [--rigs N] [--fusion | --coverage]
        [--out FILE]

People of ``cmu_own_bodies`` whose skeletons are in no training shard walk about in front of cameras
in a circle, 3.5 to 5 m away, 1 to 2.5 m high, with a focal length of .8 image widths. A COCO-17
detector errs by 4 px, 5 % of the keypoints are missing, and every camera but the first starts up to
2 s earlier. Focal lengths are given, or have to be found; the median stature is told.

With ``--fusion``: the energy score of 20 hypotheses of one view, of the product of the default's
posteriors, and of Platypose with all cameras, in the true rig, recordings in step.

With ``--coverage``: how long errors of triangulated joints last, and how often intervals of the
hypotheses hold them, in frames and in means over a second; recordings in step.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypopose.api import make_sampler
from hypopose.api.rigs import find_cameras
from hypopose.api.several_views import bring_together, triangulate_views
from hypopose.calibration import energy_score
from hypopose.cameras import look_at, project
from hypopose.datasets import DetectorNoise, coco_joints, load_motion
from hypopose.diffusion import seeded_noise
from hypopose.errors import UndeterminedError
from hypopose.io import CameraRig
from hypopose.multiview import fuse_hypotheses
from hypopose.optimization.stature import stature
from hypopose.skeletons import COCO17, H36M17, convert, convert_points
from hypopose.types import Camera, Keypoints2D

PEOPLE = ("cmu064", "cmu091")
SIZE = (1280, 960)
FOCAL = 0.8 * SIZE[0]
FPS = 50.0
N_FRAMES = 400
NOISE_PX, MISSING, MOST_LATE = 4.0, 0.05, 2.0
JOINTS = [joint for joint in range(1, 17) if joint not in (9, 10)]
WINDOW = 81


def motion_of(path: Path, subject: str) -> Tensor:
    """A person's trials end to end, about the origin, with margins for recordings that start."""
    motion = load_motion(path / "cmu_own_bodies.npz", "test")
    clips = [motion.clip(i) for i, s in enumerate(motion.subjects) if s == subject]
    longest = max(clips, key=len)
    n = N_FRAMES + round(MOST_LATE * FPS)
    repeated = torch.cat([longest, longest.flip(0)] * (1 + n // (2 * len(longest))))[:n]
    middle = repeated[:, 0, :2].mean(0)
    return torch.cat([repeated[..., :2] - middle, repeated[..., 2:]], -1)


def cameras_of(n: int, rng: np.random.Generator) -> list[Camera]:
    """Cameras in a circle that look at the middle."""
    found = []
    turn = rng.uniform(0, 2 * math.pi)
    for v in range(n):
        azimuth = turn + 2 * math.pi * v / max(n, 3) + rng.uniform(-0.25, 0.25)
        far, high = rng.uniform(3.5, 5.0), rng.uniform(1.0, 2.5)
        place = torch.tensor([far * math.cos(azimuth), far * math.sin(azimuth), high]).float()
        R = look_at(torch.tensor([0.0, 0.0, 0.9]) - place)
        found.append(
            Camera(
                torch.tensor([FOCAL, FOCAL]), torch.tensor(SIZE) / 2, SIZE, rotation=R,
                translation=-R @ place,
            )
        )  # fmt: skip
    return found


def seen_by(world: Tensor, camera: Camera, rng: np.random.Generator) -> Keypoints2D:
    """COCO-17 keypoints of a motion, with errors and gaps."""
    assert camera.rotation is not None  # as cameras_of makes them
    assert camera.translation is not None
    there = coco_joints(world) @ camera.rotation.mT + camera.translation
    bare = replace(camera, rotation=None, translation=None)
    xy = project(there, bare)
    xy = xy + NOISE_PX * torch.from_numpy(rng.normal(size=xy.shape)).float()
    gone = torch.from_numpy(rng.random(xy.shape[:-1]) < MISSING)
    xy = torch.where(gone[..., None], torch.nan, xy)
    return Keypoints2D(xy, COCO17, confidence=(~gone).float(), camera=bare, fps=FPS)


def covered(path: Path, n: int, seed: int, noise: str, known: bool) -> dict[str, Any]:
    """Errors of triangulated joints over time, and shares in intervals of 100 hypotheses.

    Truth is what the detector's exact points convert to.
    """
    rng = np.random.default_rng([seed, n])
    people = [motion_of(path, s)[:N_FRAMES] + torch.tensor([0.6 * i, 0.4 * i, 0.0])
              for i, s in enumerate(PEOPLE)]  # fmt: skip
    true = dict(zip("abcdef", cameras_of(n, rng), strict=False))
    detect = seen_by if noise == "fresh" else detected
    views = {v: [detect(p, camera, rng) for p in people] for v, camera in true.items()}
    height = float(np.median([float(stature(p, H36M17)) for p in people]))
    step = dict.fromkeys(list(views)[1:], 0.0)
    rig = CameraRig(true) if known else find_cameras(views, height=height, offsets=step).rig
    together = bring_together(views, rig)
    found = triangulate_views(together, scale_std=rig.scale_std, n_hypotheses=100, seed=seed)
    rows = []
    for person, result in found.items():
        R = true["a"].rotation
        assert R is not None  # as cameras_of makes them
        y = convert_points(coco_joints(people[int(person)]), COCO17, H36M17)
        y = ((y - y[:, :1]) @ R.mT)[:, JOINTS]
        x = result.hypotheses.joints[..., JOINTS, :]
        y = torch.where(torch.isfinite(x).all(-1).all(0)[..., None], y, torch.nan)
        e = result.pose.joints[:, JOINTS] - y
        square = float(e.square().sum(-1).nanmean())
        left = {
            f"left after {lag / FPS:g} s": float((e[lag:] * e[:-lag]).sum(-1).nanmean()) / square
            for lag in (1, 5, 50)
        }
        rows.append({"RMS mm": 1000 * square**0.5, **left, **shares("frames", x, y),
                     **shares("1 s", in_seconds(x), in_seconds(y))})  # fmt: skip
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {"views": n, "detector": noise, "rig known": known, "seed": seed, **mean}


def detected(world: Tensor, camera: Camera, rng: np.random.Generator) -> Keypoints2D:
    """Keypoints of a detector whose errors linger."""
    assert camera.rotation is not None  # as cameras_of makes them
    assert camera.translation is not None
    bare = replace(camera, rotation=None, translation=None)
    clean = project(coco_joints(world) @ camera.rotation.mT + camera.translation, bare)
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 30)))
    xy, confidence = DetectorNoise().apply(clean, generator)
    return Keypoints2D(xy, COCO17, confidence=confidence, camera=bare, fps=FPS)


def in_seconds(x: Tensor) -> Tensor:
    """Means over whole seconds."""
    n = round(FPS)
    whole = x[..., : x.shape[-3] // n * n, :, :]
    return whole.unflatten(-3, (-1, n)).nanmean(-3)


def shares(name: str, x: Tensor, y: Tensor) -> dict[str, float]:
    """Percent of the known coordinates in central intervals of the hypotheses."""
    known = torch.isfinite(y).all(-1)
    x, y = x[:, known], y[known]
    found = {}
    for level in (50, 80, 95):
        low, high = (torch.quantile(x, q / 200, dim=0) for q in (100 - level, 100 + level))
        found[f"{name} in {level} %"] = 100 * float(((y >= low) & (y <= high)).float().mean())
    return found


def angle_deg(a: Tensor, b: Tensor) -> float:
    """Between rotations, or between vectors."""
    turn = (torch.trace(a @ b.mT) - 1) / 2 if a.dim() == 2 else None
    cosine = (a @ b) / (a.norm() * b.norm()) if turn is None else turn
    return math.degrees(math.acos(float(cosine.clamp(-1.0, 1.0))))


def relative(cameras: list[Camera], v: int) -> tuple[Tensor, Tensor]:
    """Rotation and translation of a camera from the first."""
    one, other = cameras[0], cameras[v]
    assert one.rotation is not None
    assert one.translation is not None
    assert other.rotation is not None
    assert other.translation is not None
    R = other.rotation.double() @ one.rotation.double().mT
    return R, other.translation.double() - R @ one.translation.double()


def found_rig(path: Path, n: int, seed: int, known: bool) -> dict[str, Any]:
    """Errors of one rig: means over cameras, of angles the largest."""
    rng = np.random.default_rng([seed, n])
    people = [motion_of(path, s) + torch.tensor([0.6 * i, 0.4 * i, 0.0])
              for i, s in enumerate(PEOPLE)]  # fmt: skip
    true = cameras_of(n, rng)
    late = [0, *(rng.integers(0, round(MOST_LATE * FPS), n - 1).tolist())]
    views = {}
    for v, camera in enumerate(true):
        own = [seen_by(p[late[v] : late[v] + N_FRAMES], camera, rng) for p in people]
        if not known:
            own = [replace(k, camera=None, image_size=SIZE) for k in own]
        views[f"view{v}"] = own
    height = float(np.median([float(stature(p, H36M17)) for p in people]))
    began = time.process_time()
    row: dict[str, Any] = {"views": n, "focal known": known, "seed": seed}
    try:
        found = find_cameras(views, height=height)
    except UndeterminedError as error:
        return {**row, "refused": str(error)}
    got = list(found.rig.cameras.values())
    pairs = [(relative(true, v), relative(got, v)) for v in range(1, n)]
    clocks = [c.frames for c in found.found.offsets]
    return {
        **row,
        "rotation deg": max(angle_deg(a[0], b[0]) for a, b in pairs),
        "direction deg": max(angle_deg(a[0].mT @ a[1], b[0].mT @ b[1]) for a, b in pairs),
        "scale %": 100 * (sum(float(b[1].norm() / a[1].norm()) for a, b in pairs) / (n - 1) - 1),
        "clock frames": max(abs(c + n) for c, n in zip(clocks, late, strict=True)),
        "focal %": 100 * max(abs(float(c.focal.mean()) / FOCAL - 1) for c in got),
        "seconds": time.process_time() - began,
    }


def fused(path: Path, n: int, seed: int) -> Iterator[dict[str, Any]]:
    """Energy scores, mm, of hypotheses in the first camera's frame."""
    rng = np.random.default_rng([seed, n, 1])
    cameras = cameras_of(n, rng)
    first = cameras[0]
    assert first.rotation is not None
    for subject in PEOPLE:
        world = motion_of(path, subject)[WINDOW : 2 * WINDOW]
        seen = [convert(seen_by(world, c, rng), H36M17).with_camera(c) for c in cameras]
        truth = (world - world[:, :1]) @ first.rotation.mT
        default = make_sampler(None)
        drawn = [default.sample(k, 20, seeded_noise(seed, [str(v)])) for v, k in enumerate(seen)]
        answers = {"one view": drawn[0]}
        for method in ("importance", "gaussian"):
            noise = seeded_noise(seed, [method])
            answers[f"product, {method}"] = fuse_hypotheses(drawn, cameras, 20, noise, method)  # type: ignore[arg-type]
        all_of_them = make_sampler("platypose", views=tuple(seen[1:]))
        answers["platypose"] = all_of_them.sample(seen[0], 20, seeded_noise(seed, ["p"]))
        for name, hypotheses in answers.items():
            x = hypotheses.joints[..., JOINTS, :].float()
            score = 1000 * float(energy_score(x[None], truth[None, :, JOINTS]).mean())
            yield {"views": n, "person": subject, "seed": seed, "hypotheses": name,
                   "energy mm": score}  # fmt: skip


def rows_of(options: Any, n: int, seed: int) -> Iterator[dict[str, Any]]:
    """What is asked for of a rig."""
    if options.fusion:
        yield from fused(options.motion, n, seed)
    elif options.coverage:
        for noise in ("fresh", "coco"):
            for known in (True, False):
                yield covered(options.motion, n, seed, noise, known)
    else:
        for known in (True, False):
            yield found_rig(options.motion, n, seed, known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--views", type=int, nargs="+", default=[2, 3, 4, 6])
    parser.add_argument("--rigs", type=int, default=3)
    parser.add_argument("--fusion", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for n in options.views:
        for seed in range(options.rigs):
            for row in rows_of(options, n, seed):
                print(json.dumps(row), flush=True)
                if options.out:
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

"""What adaptation does for targets whose 3D is known only here: simulated from people never seen.

    python benchmarks/adaptation.py MOTION [--targets NAME ...] [--variants NAME ...]
        [--n-frames N] [--out FILE]

Targets are defined in ``benchmarks/results/adaptation_targets.json``: people of ``markers_mit``
(marker trials on skeletons of their own; no bundled weights were trained on them), cameras, a
detector and seeds. Two thirds of every person's frames are given to adaptation, without 3D; the
other trials, or the last part of the only one, are the test, one view at a time.

| target | what is unusual |
| --- | --- |
| wide | a camera 1.7 to 2.4 m away that looks down by 40 to 55 degrees |
| small, large | everybody .65 and 1.15 times as large, told or not told how tall |
| biased | a detector that places hips, shoulders, knees and others a few centimeters off |
| session | four cameras around two people; where they stand is found from the people |

Neck and head of the markers are extrapolated, so both are left out of the scores.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hypopose.adaptation import (
    AdaptOptions,
    Recording,
    SourceDomain,
    find_builds,
    load_source,
    make_trainer,
    refine_network,
)
from hypopose.adaptation.adapt_run import prepared
from hypopose.adaptation.keeping import ways_back
from hypopose.api.adapting import recordings_of
from hypopose.api.rigs import find_cameras
from hypopose.calibration import ece, energy_score
from hypopose.cameras import look_at, project
from hypopose.datasets import DetectorNoise, coco_joints, load_motion
from hypopose.diffusion import seeded_noise
from hypopose.metrics import mpjpe, p_mpjpe
from hypopose.optimization.stature import stature
from hypopose.simulation import Draws
from hypopose.simulation.anatomy import trunk_axes
from hypopose.skeletons import COCO17, H36M17, convert
from hypopose.training.validation import validate_generator
from hypopose.types import Camera, Keypoints2D

TARGETS = Path(__file__).with_name("results") / "adaptation_targets.json"
JOINTS = [joint for joint in range(1, 17) if joint not in (9, 10)]
LEVELS = (0.5, 0.8, 0.95)
WINDOW = 81

_NOTHING = {"aligned": 0.0, "augmented": 0.0, "builds": False, "teacher": 0.0, "view_labels": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "aligned": {**_NOTHING, "aligned": 0.6},
    "aligned + builds": {**_NOTHING, "aligned": 0.6, "builds": True},
    "bent (LPA)": {**_NOTHING, "aligned": 0.3, "augmented": 0.3},
    "teacher, low rank": {**_NOTHING, "teacher": 0.6, "rank": 8, "learning_rate": 1e-3},
    "views": {**_NOTHING, "view_labels": 0.8},
    "as shipped": {},
}
"""Name -> options of adaptation."""

SHIPPED = "as shipped"

TOLD = ", told the height"
"""Ends the name of a variant that gets the people's stature."""


@dataclass(frozen=True, eq=False)
class Shot:
    """What one camera saw of one person, and the truth.

    Args:
        keypoints: Human3.6M-17 as converted from the detector's.
        joints: Camera frame, meters.
    """

    keypoints: Keypoints2D
    joints: Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """A simulated target.

    Args:
        given: Person -> view -> shot that adaptation gets.
        test: Shots that are judged.
        heights: Person -> stature in meters.
    """

    given: dict[str, dict[str, Shot]]
    test: list[Shot]
    heights: dict[str, float]


def clips_of(
    path: Path, people: Sequence[str], scale: float
) -> dict[str, tuple[Tensor, list[Tensor]]]:
    """Person -> frames that are given, clips of the test; z up, meters."""
    motion = load_motion(path / "markers_mit.npz", "train")
    found = {}
    for person in people:
        own = [scale * motion.clip(i) for i, s in enumerate(motion.subjects) if s == person]
        test, given = own[1::3], [c for i, c in enumerate(own) if i % 3 != 1]
        if not test:
            cut = 2 * len(own[0]) // 3
            given, test = [own[0][:cut]], [own[0][cut:]]
        found[person] = (torch.cat([_centered(c) for c in given]), [_centered(c) for c in test])
    return found


def _centered(clip: Tensor) -> Tensor:
    """A clip about the origin of the floor."""
    middle = clip[:, 0, :2].mean(0)
    return torch.cat([clip[..., :2] - middle, clip[..., 2:]], -1)


def cameras_of(spec: Mapping[str, Any], draws: Draws, turn: float) -> Camera:
    """A camera that looks at the origin, a pelvis high."""
    u = draws.uniform(3).tolist()
    low, high = spec["distance"]
    distance = low + (high - low) * u[0]
    pitch = math.radians(spec["pitch"][0] + (spec["pitch"][1] - spec["pitch"][0]) * u[1])
    azimuth = 2 * math.pi * u[2] if turn < 0 else turn + 0.3 * u[2]
    middle = torch.tensor([0.0, 0.0, spec["middle"]])
    away = distance * torch.tensor(
        [math.cos(pitch) * math.cos(azimuth), math.cos(pitch) * math.sin(azimuth), math.sin(pitch)]
    )
    R = look_at(-away)
    w, h = spec["image_size"]
    focal = spec["focal"] * max(w, h)
    return Camera(
        torch.tensor([focal, focal]), torch.tensor([w / 2, h / 2]), (w, h), rotation=R,
        translation=-R @ (middle + away),
    )  # fmt: skip


def shoot(
    world: Tensor, camera: Camera, spec: Mapping[str, Any], offsets: Tensor, draws: Draws
) -> Shot:
    """What a camera and the target's detector make of a motion."""
    assert camera.rotation is not None  # as cameras_of makes them
    assert camera.translation is not None
    cam = world @ camera.rotation.mT + camera.translation
    body = cam - cam[:, :1]
    seen = cam + offsets @ trunk_axes(body[None])[0]
    bare = replace(camera, rotation=None, translation=None)
    if spec["detector"] == "coco":
        clean = project(coco_joints(seen), bare)
        xy, confidence = DetectorNoise().apply(clean, draws.generator)
        found = Keypoints2D(xy, COCO17, confidence=confidence, camera=bare, fps=50.0)
        keypoints = convert(found, H36M17)
    else:
        xy = project(seen, bare)
        size = (xy.amax(-2) - xy.amin(-2)).amax(-1).median() / 400
        slow = draws.normal(1, 17, 2) * 0.5 + 0.5 * draws.wave(1, len(xy), 17)[0]
        xy = xy + spec["noise_px"] * size * (0.7 * draws.normal(*xy.shape) + slow)
        keypoints = Keypoints2D(
            xy, H36M17, confidence=torch.ones(xy.shape[:2]), camera=bare, fps=50.0
        )
    return Shot(keypoints, cam)


def make_target(spec: Mapping[str, Any], motion: Path) -> Target:
    """Simulate a target from its definition."""
    draws = Draws(torch.Generator().manual_seed(spec["seed"]))
    offsets = torch.zeros(17, 3)
    for name, value in spec.get("offsets", {}).items():
        offsets[H36M17.index(name)] = torch.tensor(value)
    n_views = spec["views"]
    cameras = {
        f"view{v}": cameras_of(spec, draws, 2 * math.pi * v / n_views if n_views > 1 else 0.3)
        for v in range(n_views)
    }
    given: dict[str, dict[str, Shot]] = {}
    test, heights = [], {}
    apart = torch.tensor([1.2, 0.0, 0.0]) if n_views > 1 else torch.zeros(3)
    found = clips_of(motion, spec["people"], spec["scale"])
    for i, (person, (own, rest)) in enumerate(found.items()):
        some = own + (i - 0.5) * apart
        turned = [_turn(c, 2 * math.pi * float(draws.uniform(1))) for c in rest]
        heights[person] = float(stature(some, H36M17))
        given[person] = {
            view: shoot(some, camera, spec, offsets, draws) for view, camera in cameras.items()
        }
        test += [shoot(c, cam, spec, offsets, draws) for c in turned for cam in cameras.values()]
    return Target(given, test, heights)


def _turn(clip: Tensor, angle: float) -> Tensor:
    """A clip turned about the vertical."""
    c, s = math.cos(angle), math.sin(angle)
    return clip @ torch.tensor([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def recordings_of_target(target: Target, n_views: int) -> tuple[list[Recording], float]:
    """What adaptation gets, with the rig found from it where there are several views."""
    if n_views == 1:
        return [
            Recording(shot.keypoints, person)
            for person, shots in target.given.items()
            for shot in shots.values()
        ], 0.0
    shots = list(target.given.values())
    longest = max(s.keypoints.n_frames for own in shots for s in own.values())
    views = {v: [padded(own[v].keypoints, longest) for own in shots] for v in shots[0]}
    height = sum(target.heights.values()) / len(target.heights)
    offsets = dict.fromkeys(list(views)[1:], 0.0)
    found = find_cameras(views, height=height, offsets=offsets)
    print(found.describe(), flush=True)
    recordings, _ = recordings_of(views, found.rig)
    return recordings, found.rig.scale_std


def padded(keypoints: Keypoints2D, n: int) -> Keypoints2D:
    """A recording in which the person leaves before its end."""
    more = n - keypoints.n_frames
    assert keypoints.confidence is not None  # detectors say
    xy = torch.cat([keypoints.xy, torch.full((more, 17, 2), torch.nan)])
    confidence = torch.cat([keypoints.confidence, torch.zeros(more, 17)])
    return replace(keypoints, xy=xy, confidence=confidence)


def windows(target: Target) -> list[tuple[Keypoints2D, Tensor]]:
    """Test windows of 81 frames, or whole shorter clips: keypoints, root-relative truth."""
    found = []
    for shot in target.test:
        n = shot.keypoints.n_frames
        for a in range(0, max(1, n - WINDOW // 2), WINDOW):
            some = slice(a, min(a + WINDOW, n))
            k = shot.keypoints
            cut = replace(
                k, xy=k.xy[some], confidence=None if k.confidence is None else k.confidence[some]
            )
            found.append((cut, (shot.joints - shot.joints[:, :1])[some]))
    return found


def scores(
    source: SourceDomain, network: Any, tests: Sequence[tuple[Keypoints2D, Tensor]]
) -> dict[str, float]:
    """Millimeters, and the share of joints in 50, 80 and 95 % regions, over all test windows."""
    sampler = source.sampler(network)
    drawn, truth = [], []
    for i, (keypoints, y) in enumerate(tests):
        x = sampler.sample(keypoints, 20, seeded_noise(0, [str(i)])).joints
        drawn.append(x[..., JOINTS, :])
        truth.append(y[:, JOINTS])
    x, y = torch.cat(drawn, 1), torch.cat(truth)
    curve = ece(x[None], y[None])
    levels = curve.levels.tolist()
    nearest = [min(range(len(levels)), key=lambda i: abs(levels[i] - q)) for q in LEVELS]
    return {
        "MPJPE": 1000 * float(mpjpe(x.mean(0), y)),
        "P-MPJPE": 1000 * float(p_mpjpe(x.mean(0), y)),
        "energy": 1000 * float(energy_score(x[None], y[None]).mean()),
        **{
            f"in {round(100 * q)} %": 100 * float(curve.coverage.mean(0)[i])
            for q, i in zip(LEVELS, nearest, strict=True)
        },
    }


def remembered(source: SourceDomain, network: Any) -> float:
    """Energy score on validation motion, mm."""
    assert source.validation is not None  # the motion has a validation split
    o = source.config.objective
    given = {"scale": o.scale, "clamp": o.clamp, "flicker": o.flicker}
    return validate_generator(network, source.validation, **given)["energy_mm_1_steps"]


@dataclass(frozen=True, eq=False)
class Task:
    """A target as adaptation gets it, and how it is judged.

    Args:
        name: Of the target.
        target: With the truth.
        recordings: Without.
        scale_std: Of the size of the rig.
        tests: Windows with truth.
    """

    name: str
    target: Target
    recordings: Sequence[Recording]
    scale_std: float
    tests: Sequence[tuple[Keypoints2D, Tensor]]

    def options(self, variant: str, changes: Mapping[str, Any]) -> AdaptOptions:
        """Options of a variant."""
        plain = variant.removesuffix(TOLD)
        o = AdaptOptions(**{**VARIANTS[plain], **changes})
        heights = list(self.target.heights.values())
        return o if plain == variant else replace(o, height=sum(heights) / len(heights))

    def row(
        self, variant: str, source: SourceDomain, network: Any, before: float
    ) -> dict[str, Any]:
        """Scores of a network."""
        forgotten = 100 * (remembered(source, network) / before - 1)
        found = scores(source, network, self.tests)
        return {"target": self.name, "variant": variant, **found, "forgetting %": forgotten}


def adapted(task: Task, source: SourceDomain, o: AdaptOptions) -> tuple[Any, float]:
    """A trainer that is done, and processor minutes."""
    start, first = time.process_time(), source.network()
    split = prepared(task.recordings, source, first, o)
    builds = find_builds(source, split.used, source.config, task.scale_std)
    if builds is not None:
        told = zip(builds.people, builds.stature.tolist(), builds.stature_std.tolist(), strict=True)
        true = ", ".join(f"{v:.2f}" for v in task.target.heights.values())
        said = ", ".join(f"{who} {tall:.2f} ± {std:.2f}" for who, tall, std in told)
        print(f"  statures: {said} m; true: {true}", flush=True)
    trainer = make_trainer(source.config, source.motion, split.used, builds)
    while trainer.progress.share(source.config) < 1:
        trainer.step()
    return trainer, (time.process_time() - start) / 60


def run(name: str, spec: Mapping[str, Any], options: Any) -> Iterator[dict[str, Any]]:
    """Rows of all variants on one target."""
    target = make_target(spec, options.motion)
    task = Task(name, target, *recordings_of_target(target, spec["views"]), windows(target))
    changes = {"n_frames": options.n_frames, **json.loads(options.set)}
    source = load_source(options.weights, options.motion, AdaptOptions())
    before = remembered(source, source.network())
    if not options.no_default:
        yield {**task.row("default", source, source.network(), before), "minutes": 0.0}
    for variant in options.variants:
        o = task.options(variant, changes)
        source = load_source(options.weights, options.motion, o)
        trainer, minutes = adapted(task, source, o)
        if variant.startswith(SHIPPED):
            ways = list(ways_back(source, trainer, source.network()))
            way = next((w for w in ways if w.is_kept(o.tolerated)), ways[-1])
            network, share = way.network, way.share
        else:
            network, share = trainer.averaged().cpu(), 1.0
        if o.refinement:
            yield {**task.row(f"{variant}, not refined", source, network, before), "share": share}
            network = refine_network(network, trainer, o.refinement)
        yield {**task.row(variant, source, network, before), "minutes": minutes, "share": share}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--targets", nargs="+")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--n-frames", type=int, default=150_000)
    parser.add_argument("--set", default="{}", help="Options of adaptation as JSON.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-default", action="store_true", help="Leave out the default weights.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    specs = json.loads(TARGETS.read_text(encoding="utf-8"))
    for name in options.targets or list(specs):
        for row in run(name, specs[name], options):
            told = ", ".join(f"{k} {v:.1f}" for k, v in row.items() if isinstance(v, float))
            print(f"{row['target']}, {row['variant']}: {told}", flush=True)
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

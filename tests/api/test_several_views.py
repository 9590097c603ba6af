"""Motions drawn from triangulated covariances hold the truth as often as they say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hypopose.api.several_views import bring_together, triangulate_views
from hypopose.cameras import look_at, project
from hypopose.datasets import coco_joints
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.io import CameraRig, Result
from hypopose.multiview import ErrorMemory, memory_of
from hypopose.skeletons import COCO17, H36M17, convert_points
from hypopose.types import Camera, Keypoints2D

FPS = 50.0
NOISE_PX = 6.0
LEVELS = (0.5, 0.8, 0.95)
MEMORIES = {
    "fresh": ErrorMemory(),
    "of a tenth of a second": ErrorMemory(0.0, 0.9, 0.8),
    "partly lasting": ErrorMemory(0.15, 0.6, 0.7),
}


def walk() -> Tensor:
    """Twenty seconds of somebody who does several things about the origin, z up."""
    motion = synthetic_motion("test")
    clips = [motion.clip(i) for i in range(len(motion.subjects))]
    moved = [torch.cat([c[..., :2] - c[:, 0, :2].mean(0), c[..., 2:]], -1) for c in clips]
    whole = torch.cat(moved)[:1000]
    return torch.cat([whole, whole.flip(0)])[:1000]


def cameras(n: int) -> dict[str, Camera]:
    found = {}
    for v in range(n):
        angle = 0.4 + 2 * math.pi * v / max(n, 3)
        place = torch.tensor([4 * math.cos(angle), 4 * math.sin(angle), 1.2 + 0.3 * v])
        R = look_at(torch.tensor([0.0, 0.0, 0.9]) - place)
        found[f"view{v}"] = Camera(
            torch.tensor([1000.0, 1000.0]), torch.tensor([640.0, 480.0]), (1280, 960), rotation=R,
            translation=-R @ place,
        )  # fmt: skip
    return found


def triangulated(n: int, memory: ErrorMemory, seed: int) -> tuple[Result, Tensor]:
    """A result with 60 hypotheses, and what the detector's points tell of the truth."""
    world, rig = walk(), cameras(n)
    generator = torch.Generator().manual_seed(seed)
    views = {}
    for name, camera in rig.items():
        assert camera.rotation is not None
        assert camera.translation is not None
        there = coco_joints(world) @ camera.rotation.mT + camera.translation
        xy = project(there, replace(camera, rotation=None, translation=None))
        z = torch.randn(2 * len(xy) + 1, 17, 2, generator=generator).double().numpy()
        xy = xy + NOISE_PX * torch.from_numpy(memory.errors(z)).float()
        views[name] = [Keypoints2D(xy, COCO17, camera=camera, fps=FPS)]
    together = bring_together(views, CameraRig(rig))
    result = triangulate_views(together, n_hypotheses=60, seed=seed)["0"]
    truth = convert_points(coco_joints(world), COCO17, H36M17)
    R = rig["view0"].rotation
    assert R is not None
    return result, (truth - truth[:, :1]) @ R.mT


def coverage(x: Tensor, y: Tensor) -> list[float]:
    """Share of the coordinates in central intervals of the hypotheses."""
    found = []
    for level in LEVELS:
        low, high = (torch.nanquantile(x, q, dim=0) for q in ((1 - level) / 2, (1 + level) / 2))
        found.append(float(((y >= low) & (y <= high)).float().mean()))
    return found


def seconds(x: Tensor) -> Tensor:
    """Means over a second each."""
    return x.unflatten(-3, (-1, round(FPS))).nanmean(-3)


@pytest.mark.parametrize(
    ("n_views", "name"), [(2, "fresh"), (2, "of a tenth of a second"), (4, "partly lasting")]
)
def test_hypotheses_cover_frames_and_their_means(n_views: int, name: str) -> None:
    whole: list[list[float]] = []
    means: list[list[float]] = []
    for seed in range(2):
        result, truth = triangulated(n_views, MEMORIES[name], seed)
        x, y = result.hypotheses.joints[..., 1:, :], truth[:, 1:]
        whole.append(coverage(x, y))
        means.append(coverage(seconds(x), seconds(y)))
    # Of two recordings: 1,000 dependent frames of 16 joints, but 20 means over a second each.
    for found, tolerance in ((whole, 0.04), (means, 0.08)):
        for level, share in zip(LEVELS, torch.tensor(found).mean(0).tolist(), strict=True):
            assert share == pytest.approx(level, abs=tolerance), (found, tolerance)


@pytest.mark.parametrize("name", MEMORIES)
def test_residuals_tell_how_long_errors_last(name: str) -> None:
    true = MEMORIES[name]
    z = torch.randn(1201, 4, 17, 2, generator=torch.Generator().manual_seed(1)).double().numpy()
    residuals = NOISE_PX * true.errors(z).swapaxes(0, 1)
    residuals[:, :, 3] = float("nan")
    found = memory_of(residuals, torch.full((17,), NOISE_PX).double().numpy())
    for lag in (1, 4, 16, 64):  # a correlation over 1,200 dependent frames is sure to about .02
        assert found.after(lag) == pytest.approx(true.after(lag), abs=0.05)


def test_a_few_frames_tell_nothing() -> None:
    assert memory_of(torch.randn(2, 1, 17, 2).numpy(), torch.ones(17).numpy()) == ErrorMemory()

"""Recordings from files and rigs: sizes, verticals, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hypopose.api.adapting import recordings_of
from hypopose.cameras import look_at, project
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.errors import OptionError
from hypopose.io.camera_files import CameraRig
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D

SIZE = (1280, 960)


def two_views(n: int = 60) -> tuple[dict[str, Keypoints2D], CameraRig]:
    """A synthetic figure in two cameras that look down, in a world with z up."""
    walk = synthetic_motion("train").clip(0)[:n]
    views, cameras = {}, {}
    for name, azimuth in (("front", 0.0), ("side", 1.5)):
        away = 4.0 * torch.tensor([math.cos(azimuth), math.sin(azimuth), 0.3])
        center = walk[:, 0].mean(0) + away
        R = look_at(-away)
        camera = Camera(
            torch.tensor([900.0, 900.0]), torch.tensor([640.0, 480.0]), SIZE, rotation=R,
            translation=-R @ center,
        )  # fmt: skip
        bare = replace(camera, rotation=None, translation=None)
        xy = project(walk @ R.mT + camera.translation, bare)
        views[name] = Keypoints2D(xy, H36M17, confidence=torch.ones(xy.shape[:2]), fps=50.0)
        cameras[name] = camera
    return views, CameraRig(cameras, scale={"relative_std": 0.05})


def turned(rig: CameraRig, R: Tensor, unit: float = 1.0) -> CameraRig:
    """The same cameras in a world whose axes and unit are others."""
    cameras = {}
    for name, c in rig.cameras.items():
        assert c.rotation is not None
        assert c.translation is not None
        cameras[name] = replace(c, rotation=c.rotation @ R, translation=unit * c.translation)
    return replace(rig, cameras=cameras)


def test_labels_are_in_each_view_and_as_unsure_of_their_size_as_the_rig() -> None:
    views, rig = two_views()
    recordings, scale_std = recordings_of(views, rig)
    assert scale_std == 0.05
    assert [r.view for r in recordings] == ["front", "side"]
    for r in recordings:
        assert r.label is not None
        assert r.label.scale_std == 0.05
        off = project(r.label.joints, replace(r.keypoints.camera, rotation=None, translation=None))
        assert float((off - r.keypoints.xy).norm(dim=-1).nanmean()) < 1.0


@pytest.mark.parametrize("axis", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
def test_the_vertical_is_the_peoples_in_a_world_of_any_axes(axis: list[float]) -> None:
    """Calibrations of chessboards have the board's axes."""
    views, rig = two_views()
    right = [r.up for r in recordings_of(views, rig)[0]]
    v = torch.tensor(axis)
    R = torch.eye(3) * 0 + 2 * v[:, None] * v - torch.eye(3)  # half a turn about the axis
    lying = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # z to -y
    for found, up in zip(recordings_of(views, turned(rig, R @ lying))[0], right, strict=True):
        assert found.up is not None
        assert up is not None
        assert math.degrees(math.acos(float(found.up @ up))) < 12
        assert found.tilt_std_deg >= 4


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "mm"), (100.0, "cm"), (0.001, "m")])
def test_a_rig_in_another_unit_is_refused_with_the_option_that_names_it(
    factor: float, unit: str
) -> None:
    views, rig = two_views()
    with pytest.raises(OptionError, match=f"--camera-unit {unit},"):
        recordings_of(views, turned(rig, torch.eye(3), factor))

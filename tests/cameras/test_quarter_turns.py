"""Turned pictures: pixels and cameras turn together."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation

from hypopose.cameras import project, world_to_cam
from hypopose.cameras.quarter_turns import quarter_turns, turn_camera, turn_pixels, turn_size
from hypopose.errors import OptionError
from hypopose.types import Camera

SIZE = (1280, 720)


def camera(model: str) -> Camera:
    lens = None if model == "none" else torch.tensor([-0.2, 0.05, 0.01, -0.02, 0.01]).double()
    return Camera(
        torch.tensor([900.0, 910.0]).double(),
        torch.tensor([600.0, 350.0]).double(),
        SIZE,
        distortion=lens,
        distortion_model=model,  # type: ignore[arg-type]
        rotation=torch.from_numpy(Rotation.from_rotvec([0.3, -0.2, 0.1]).as_matrix()),
        translation=torch.tensor([0.1, 0.2, 4.0]).double(),
    )


@pytest.mark.parametrize("turns", range(-1, 5))
@pytest.mark.parametrize("model", ["none", "opencv", "h36m", "vp3d"])
def test_a_turned_camera_sees_the_turned_picture(model: str, turns: int) -> None:
    points = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double() * 0.4
    before, after = camera(model), turn_camera(camera(model), turns)
    pixels = turn_pixels(project(world_to_cam(points, before), before), SIZE, turns)
    torch.testing.assert_close(project(world_to_cam(points, after), after), pixels)
    assert after.image_size == turn_size(SIZE, turns)


def test_four_turns_are_none() -> None:
    xy = torch.tensor([[10.0, 20.0], [torch.nan, 3.0]])
    torch.testing.assert_close(turn_pixels(xy, SIZE, 4), xy, equal_nan=True)
    turned = turn_pixels(turn_pixels(xy, SIZE, 1), turn_size(SIZE, 1), 3)
    torch.testing.assert_close(turned[0], xy[0])


def test_clockwise_brings_the_top_to_the_right() -> None:
    top = torch.tensor([640.0, 0.0])
    assert turn_pixels(top, SIZE, 1).tolist() == [720.0, 640.0]


def test_only_quarter_turns() -> None:
    assert [quarter_turns(d) for d in (0, 90, 180, 270, 360, -90)] == [0, 1, 2, 3, 0, 3]
    with pytest.raises(OptionError, match="90, 180 or 270 degrees, got 45"):
        quarter_turns(45)

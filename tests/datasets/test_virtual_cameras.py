"""Virtual cameras look where they say."""

from __future__ import annotations

import math

import pytest
import torch

from hypopose.cameras import project, world_to_cam
from hypopose.datasets import CameraDistribution, example_motion
from hypopose.datasets.virtual_cameras import euler_rotation, look_at, visible_share
from hypopose.errors import OptionError


def test_drawn_cameras_stay_in_their_ranges_and_see_the_motion() -> None:
    joints = example_motion(40)
    kind = CameraDistribution(focal=(0.9, 1.1), distance=(4.0, 6.0), height=(1.0, 2.0))
    generator = torch.Generator().manual_seed(0)
    azimuths = []
    for _ in range(40):
        camera = kind.draw(joints, generator)
        assert 900 <= float(camera.focal[0]) <= 1100
        place = -camera.rotation.T @ camera.translation
        assert 1.0 <= float(place[2]) <= 2.0
        assert 3.9 < float((place - joints[:, 0].mean(0))[:2].norm()) < 6.1
        azimuths.append(math.atan2(float(place[1]), float(place[0])))
        assert visible_share(joints, camera) >= kind.inside
        cam = world_to_cam(joints, camera)
        assert (cam[:, 10, 1] < cam[:, 3, 1]).all()  # head above feet: y is down
        assert torch.linalg.det(camera.rotation) > 0.999
    assert max(azimuths) > 2
    assert min(azimuths) < -2


def test_look_at_puts_its_target_in_the_middle_without_roll() -> None:
    rotation = look_at(torch.tensor([1.0, 2.0, -0.5]))
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3))
    ahead = rotation @ torch.tensor([1.0, 2.0, -0.5])
    assert ahead[:2].abs().max() < 1e-6
    assert abs(float(rotation[0, 2])) < 1e-6  # the right axis is level
    assert float((rotation @ torch.tensor([0.0, 0.0, 1.0]))[1]) < 0  # up is up


def test_euler_rotation_is_one() -> None:
    r = euler_rotation(torch.tensor([0.1, -0.2, 0.3]))
    torch.testing.assert_close(r @ r.T, torch.eye(3))
    roll = euler_rotation(torch.tensor([0.0, 0.0, math.pi / 2]))
    torch.testing.assert_close(roll @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))


def test_a_camera_inside_the_person_sees_nothing() -> None:
    joints = example_motion(5)
    kind = CameraDistribution(distance=(0.1, 0.2), height=(0.8, 1.0))
    camera = kind.draw(joints, torch.Generator().manual_seed(0))  # gives up, takes the best
    assert visible_share(joints, camera) == 0.0
    assert project(world_to_cam(joints, camera), camera).shape == (5, 17, 2)


def test_ranges_are_checked() -> None:
    with pytest.raises(OptionError, match="low <= high"):
        CameraDistribution(focal=(2.0, 1.0))

"""Virtual cameras look where they say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.cameras import euler_rotation, look_at, project, world_to_cam
from hypopose.datasets import CameraDistribution, Motion, example_motion
from hypopose.errors import OptionError
from hypopose.simulation import Bodies, BodyMaker, BodyOptions, Draws, place_cameras
from hypopose.simulation.virtual_cameras import PITCHES, visible_share


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


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def bodies(motion: Motion) -> Bodies:
    return BodyMaker(motion, torch.device("cpu"), BodyOptions(recombine=1.0))(
        400, 9, Draws(seeded())
    )


def test_cameras_stand_level_and_see_everybody(bodies: Bodies) -> None:
    rotation, position = place_cameras(bodies.joints, Draws(seeded()))
    cam = (bodies.joints - position[:, None, None]) @ rotation.mT[:, None]
    assert (cam[..., 2] > 0).all()
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(400), atol=1e-4, rtol=0)
    up = rotation @ torch.tensor([0.0, 0.0, 1.0])
    assert (up[:, 1] < 0).all()  # up in the world is up in the image
    assert up[:, 1].mean() < -0.9
    distance = (position - bodies.joints[:, :, 0].mean(1))[:, :2].norm(dim=-1)
    assert distance.min() >= 1.79
    assert 0.2 < (cam[:, :, 0, :2] / cam[:, :, 0, 2:]).abs().amax() < 1.5
    torch.testing.assert_close(torch.linalg.det(look_at(torch.randn(5, 3))), torch.ones(5))


def test_cameras_of_any_pitch_look_from_the_floor_and_from_high_above(bodies: Bodies) -> None:
    def down(pitched: float) -> Tensor:
        _, position = place_cameras(bodies.joints, Draws(seeded()), pitched)
        assert position[:, 2].min() >= 0.05
        way = position - bodies.joints[:, :, 0].mean(1)
        assert way.norm(dim=-1).min() >= 1.79  # also where the floor stops a camera
        return torch.rad2deg(torch.atan2(way[:, 2], way[:, :2].norm(dim=-1)))

    steep, floor = (lambda d: (d > 40).float().mean(), lambda d: (d < -10).float().mean())
    every, some, none = down(1.0), down(0.5), down(0.0)
    assert PITCHES[0] - 0.01 <= every.min() < -15
    assert 55 < every.max() <= PITCHES[1] + 0.01
    assert steep(none) < 0.05 < steep(some) < steep(every)
    assert steep(every) == pytest.approx(20 / 85, abs=0.05)  # 400 draws: SD 0.02
    assert floor(none) < floor(some) < floor(every)

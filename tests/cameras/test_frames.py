"""World and camera frames, quaternions, virtual cameras."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from scipy.spatial.transform import Rotation
from strategies import normals, random_camera, random_root, seeds

from hypopose.cameras import (
    cam_to_world,
    look_at_rotation,
    rotation_from_quaternion,
    world_to_cam,
)
from hypopose.errors import OptionError


@pytest.mark.parametrize("batch", [(), (3,)])
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_world_and_camera_frames_are_inverse(batch, seed) -> None:
    camera = random_camera(seed, batch=batch)
    points = normals(seed, *batch, 4, 17, 3)
    torch.testing.assert_close(cam_to_world(world_to_cam(points, camera), camera), points)
    torch.testing.assert_close(world_to_cam(cam_to_world(points, camera), camera), points)


def test_x_cam_is_r_x_world_plus_t() -> None:
    camera = random_camera(1)
    point = normals(2, 3)
    expected = camera.rotation @ point + camera.translation
    torch.testing.assert_close(world_to_cam(point, camera), expected)


def test_half_given_extrinsics() -> None:
    camera, points = random_camera(1), normals(2, 5, 3)
    turned = replace(camera, translation=None)
    moved = replace(camera, rotation=None)
    for part in (turned, moved):
        torch.testing.assert_close(cam_to_world(world_to_cam(points, part), part), points)
    torch.testing.assert_close(world_to_cam(points, moved), points + camera.translation)


def test_quaternions_agree_with_scipy() -> None:
    q = normals(3, 20, 4)
    expected = Rotation.from_quat(q[:, [1, 2, 3, 0]].numpy()).as_matrix()
    torch.testing.assert_close(rotation_from_quaternion(q), torch.from_numpy(expected))


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_look_at_is_the_smallest_rotation_onto_the_axis(seed) -> None:
    d = random_root(seed, 10)
    R = look_at_rotation(d)
    torch.testing.assert_close(R @ R.mT, torch.eye(3, dtype=d.dtype).expand_as(R))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(10, dtype=d.dtype))
    length = d.norm(dim=-1)
    along = torch.stack((torch.zeros_like(length), torch.zeros_like(length), length), -1)
    torch.testing.assert_close((R @ d[..., None])[..., 0], along, atol=1e-12, rtol=0)
    angle = torch.from_numpy(Rotation.from_matrix(R.numpy()).magnitude())
    torch.testing.assert_close(angle, torch.arccos(d[:, 2] / length), atol=1e-7, rtol=0)


def test_look_at_near_the_axis_is_exact() -> None:
    d = torch.tensor([1e-9, -1e-9, 1.0], dtype=torch.float64)
    R = look_at_rotation(d)
    torch.testing.assert_close(
        R @ d, torch.tensor([0.0, 0.0, 1.0], dtype=d.dtype), rtol=0, atol=1e-17
    )


@pytest.mark.parametrize("d", [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [torch.nan, 0.0, 1.0]])
def test_look_at_refuses_directions_without_an_answer(d) -> None:
    with pytest.raises(OptionError, match="look_at_rotation"):
        look_at_rotation(torch.tensor(d))

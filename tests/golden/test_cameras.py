"""Cameras against VideoPose3D's and D3DP's numbers. Their clamp is on, as published.

Tolerances: 1e-6 (absolute plus relative) for camera-frame points and screen coordinates, 1e-5 for
projections (float32).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.cameras import (
    VirtualCamera,
    cam_to_world,
    camera_from_screen,
    from_screen,
    look_at_rotation,
    project,
    rays,
    rotation_from_quaternion,
    screen_intrinsics,
    to_screen,
    turn_towards,
    undistort,
    world_to_cam,
)
from hypopose.types import Camera

CLAMP = 1.0


def posed(quaternion: Tensor, place: Tensor) -> Camera:
    """A camera standing at ``place``, whose axes the quaternion turns into the world."""
    rotation = rotation_from_quaternion(quaternion).transpose(-1, -2)
    return Camera(
        focal=torch.ones_like(place[..., :2]),
        center=torch.zeros_like(place[..., :2]),
        image_size=(2, 2),
        rotation=rotation,
        translation=-(rotation @ place[..., None])[..., 0],
    )


def on_screen(points: Tensor, intrinsics: Tensor, size: tuple[int, int], model: Any) -> Tensor:
    camera = camera_from_screen(intrinsics, size, model)
    return to_screen(project(points, camera, clamp=CLAMP), size)


def test_d3dp_projection(golden: Callable[[str], Any]) -> None:
    io = golden("d3dp/camera").io
    for model, name in (("vp3d", "proj"), ("none", "proj_linear")):
        ours = on_screen(io["X_cam"].double(), io["intrinsics"].double(), (1000, 1002), model)
        torch.testing.assert_close(ours.float(), io[name], atol=1e-5, rtol=1e-6)


def test_d3dp_frames(golden: Callable[[str], Any]) -> None:
    io = golden("d3dp/camera").io
    camera = posed(io["quat_wxyz"], io["translation"])
    in_cam = world_to_cam(io["X_world"], camera)
    torch.testing.assert_close(in_cam, io["X_world_in_cam"], atol=1e-6, rtol=1e-6)
    back = cam_to_world(io["X_world_in_cam"], camera)
    torch.testing.assert_close(back, io["X_back_to_world"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("size", [(1000, 1002), (1920, 1080)])
def test_d3dp_screen(golden: Callable[[str], Any], size: tuple[int, int]) -> None:
    io = golden("d3dp/camera").io
    recorded = io[f"norm_{size[0]}x{size[1]}"]
    ours = to_screen(io["pixels"].double(), size)
    torch.testing.assert_close(ours, recorded, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        from_screen(recorded, size), io["pixels"].double(), atol=1e-4, rtol=0
    )


def test_d3dp_pixels(golden: Callable[[str], Any]) -> None:
    io = golden("d3dp/camera").io
    ours = from_screen(io["norm_1920x1080"], (1920, 1080))
    torch.testing.assert_close(ours, io["denorm_1920x1080"], atol=1e-9, rtol=0)


def test_vp3d_projection(golden: Callable[[str], Any]) -> None:
    io = golden("datasets/camera").io
    sizes = [(int(w), int(h)) for w, h in io["resolution_wh"]]
    for points, names in (
        ("camera", ("project_distorted", "project_linear")),
        ("extreme_camera", ("extreme_distorted", "extreme_linear")),
    ):
        for i, size in enumerate(sizes):
            for model, name in zip(("vp3d", "none"), names, strict=True):
                intrinsics = io["intrinsic9"][i].double()
                ours = on_screen(io[points][i].double(), intrinsics, size, model)
                torch.testing.assert_close(ours.float(), io[name][i], atol=1e-5, rtol=1e-6)


def test_vp3d_frames_and_pixels(golden: Callable[[str], Any]) -> None:
    io = golden("datasets/camera").io
    camera = posed(io["orientation_wxyz"].double(), io["translation_m"].double())
    in_cam = world_to_cam(io["world"].double(), camera)
    torch.testing.assert_close(in_cam, io["camera"].double(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        cam_to_world(io["camera"].double(), camera),
        io["world_back"].double(),
        atol=1e-6,
        rtol=1e-6,
    )
    for i, (w, h) in enumerate(io["resolution_wh"].tolist()):
        pixels = from_screen(io["project_distorted"][i], (w, h))
        torch.testing.assert_close(pixels, io["pixels"][i], atol=1e-3, rtol=0)
        again = to_screen(io["pixels"][i], (w, h))
        torch.testing.assert_close(again, io["pixels_renormalised"][i], atol=1e-6, rtol=0)


def test_vp3d_intrinsics_survive_a_round_trip(golden: Callable[[str], Any]) -> None:
    nine = golden("datasets/camera").io["intrinsic9"].double()
    again = screen_intrinsics(camera_from_screen(nine, (1000, 1002)))
    torch.testing.assert_close(again, nine, atol=1e-12, rtol=0)


def test_perspective_rotation(golden: Callable[[str], Any]) -> None:
    """PersPose turns subjects onto the axis by the smallest rotation too (exact columns: 1e-9)."""
    io = golden("perspose/rotation").io
    K = io["K"]
    w, h = (int(n) for n in io["wh"])
    camera = Camera(focal=K.diagonal()[:2], center=K[:2, 2], image_size=(w, h))
    ours = look_at_rotation(rays(io["centres"], camera))
    torch.testing.assert_close(ours, io["R_exact"], atol=1e-9, rtol=0)
    torch.testing.assert_close(ours, io["R_reference"], atol=5e-4, rtol=0)
    turned = project((io["R"] @ io["X"][..., None])[..., 0], camera)
    torch.testing.assert_close(turned, io["uv_rotated"], atol=1e-9, rtol=1e-9)


def pinhole(K: Tensor, size: Tensor) -> Camera:
    return Camera(K.diagonal()[:2], K[:2, 2], (int(size[0]), int(size[1])))


def test_perspective_homography(golden: Callable[[str], Any]) -> None:
    """Pixels map by K R K⁻¹; entries are in pixels, so the reference's floor is 0.5 there."""
    io = golden("perspose/rotation").io
    camera = pinhole(io["K"], io["wh"])
    ours = VirtualCamera(look_at_rotation(rays(io["centres"], camera))).homography(camera)
    torch.testing.assert_close(ours, io["H_exact"], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(ours, io["H_reference"], atol=0.5, rtol=0)


def test_perspective_rotation_of_a_clip(golden: Callable[[str], Any]) -> None:
    """One rotation from the box of all frames turns keypoints and joints, and turns them back."""
    io = golden("perspose/rotation").io
    camera = pinhole(io["K"], io["wh"])
    # The published box is symmetric in pixels, and without lens so it is on the plane.
    virtual = turn_towards(undistort(io["uv"], camera), center="box")
    torch.testing.assert_close(virtual.rotation[0], io["R"], atol=1e-9, rtol=0)
    torch.testing.assert_close(virtual.enter(io["X"]), io["X_rotated"], atol=1e-9, rtol=0)
    seen = virtual.see(undistort(io["uv"], camera))
    px = seen * camera.focal + camera.center
    torch.testing.assert_close(px, io["uv_rotated"], atol=1e-9, rtol=1e-9)
    back = virtual.leave(io["decoded_xyz_rel"])
    torch.testing.assert_close(back, io["decoded_back_rel"], atol=1e-9, rtol=0)


def test_perspective_encoding_is_the_ray(golden: Callable[[str], Any]) -> None:
    """Rays of the cropped keypoints in the cropped camera: any crop gives the same encoding."""
    io = golden("perspose/rotation").io
    crop = pinhole(io["K_crop"], io["crop_wh"])
    torch.testing.assert_close(
        undistort(io["uv_crop"], crop), io["pe_keypoints"], atol=1e-9, rtol=0
    )
    whole = undistort(io["uv_rotated"], pinhole(io["K"], io["wh"]))
    torch.testing.assert_close(whole, io["pe_keypoints"], atol=1e-9, rtol=0)


def test_perspective_rotation_with_a_twist(golden: Callable[[str], Any]) -> None:
    """Towards an aim beside the principal point: there, about it, and back from it."""
    io = golden("perspose/rotation").io
    camera = pinhole(io["K"], io["wh"])
    a = rays(io["centres"][0], camera)
    b = rays(io["twist_aim"], camera)
    axis = (b / b.norm()).double()
    turn = torch.tensor(17.0, dtype=torch.float64).deg2rad()
    half = torch.cat(((turn / 2).cos()[None], (turn / 2).sin() * axis))
    onto_b = look_at_rotation(b)
    swing = onto_b.mT @ look_at_rotation(onto_b @ a) @ onto_b
    ours = rotation_from_quaternion(half) @ swing
    torch.testing.assert_close(ours, io["twist_R_exact"], atol=1e-9, rtol=0)
    torch.testing.assert_close(ours, io["twist_R_reference"], atol=5e-4, rtol=0)

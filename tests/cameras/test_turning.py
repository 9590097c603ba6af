"""Virtual cameras turned towards the subject: exact, undone exactly, and never mixed."""

from __future__ import annotations

from dataclasses import replace

import jaxtyping
import pytest
import torch
from torch import Tensor

from hypopose.cameras import VirtualCamera, project, turn_towards, undistort
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Camera

CAMERA = Camera(
    torch.tensor([700.0, 640.0], dtype=torch.float64),
    torch.tensor([500.0, 380.0], dtype=torch.float64),
    (1000, 800),
)
TURNINGS = ("clip", "frame", "none")


def scene(seed: int = 0, place: tuple[float, float, float] = (1.5, -0.8, 4.0)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    joints = 0.4 * torch.randn(20, 17, 3, generator=generator, dtype=torch.float64)
    path = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None] * torch.tensor([0.6, 0.1, 0.3])
    return joints + (torch.tensor(place) + path)[:, None]


def rays_of(points: Tensor) -> Tensor:
    return points[..., :2] / points[..., 2:]


@pytest.mark.parametrize("turning", TURNINGS)
@pytest.mark.parametrize("center", ["mean", "box"])
def test_the_virtual_camera_sees_the_turned_scene(turning, center) -> None:
    points = scene()
    virtual = turn_towards(rays_of(points), turning=turning, center=center)
    assert virtual.rotation.shape == ((20 if turning == "frame" else 1), 3, 3)
    entered = virtual.enter(points)
    torch.testing.assert_close(virtual.see(rays_of(points)), rays_of(entered))
    torch.testing.assert_close(virtual.leave(entered), points)
    relative = points - points[:, :1]
    torch.testing.assert_close(virtual.enter(relative), entered - entered[:, :1])


@pytest.mark.parametrize("turning", ["clip", "frame"])
def test_an_oracle_behind_the_turn_gives_the_pose_back(turning) -> None:
    """Lift in the virtual camera, turn back: nothing lost; without turning back, much is."""
    points = scene()
    virtual = turn_towards(rays_of(points), turning=turning)
    lifted = virtual.enter(points - points[:, :1])[None].expand(5, -1, -1, -1)
    back = virtual.leave(lifted)
    truth = points - points[:, :1]
    torch.testing.assert_close(back, truth.expand_as(back))
    forgotten = (lifted - truth).norm(dim=-1).mean()
    assert forgotten > 0.05


def test_pixels_agree_through_the_homography() -> None:
    points = scene()
    px = project(points, CAMERA)
    virtual = turn_towards(undistort(px, CAMERA))
    turned = project(virtual.enter(points), CAMERA)
    h = virtual.homography(CAMERA)
    mapped = torch.cat((px, torch.ones_like(px[..., :1])), -1) @ h.mT
    torch.testing.assert_close(mapped[..., :2] / mapped[..., 2:], turned, atol=1e-9, rtol=1e-9)


def test_rays_do_not_depend_on_crop_or_resolution() -> None:
    points = scene()
    half = replace(CAMERA, focal=CAMERA.focal / 2, center=CAMERA.center / 2 - 10, image_size=(9, 9))
    a = turn_towards(undistort(project(points, CAMERA), CAMERA))
    b = turn_towards(undistort(project(points, half), half))
    torch.testing.assert_close(a.rotation, b.rotation)


def test_a_centered_subject_is_left_alone() -> None:
    points = scene(place=(0.0, 0.0, 4.0))
    points = torch.cat((points, points * torch.tensor([-1.0, -1.0, 1.0])))
    rotation = turn_towards(rays_of(points)).rotation
    torch.testing.assert_close(rotation, torch.eye(3, dtype=torch.float64)[None], atol=1e-9, rtol=0)


@pytest.mark.parametrize("turning", TURNINGS)
def test_missing_keypoints_and_empty_clips(turning) -> None:
    rays = rays_of(scene())
    rays[5:15] = torch.nan
    rays[0, 3] = torch.nan
    virtual = turn_towards(rays, turning=turning)
    assert torch.isfinite(virtual.rotation).all()
    assert torch.isnan(virtual.see(rays)[7]).all()
    nobody = turn_towards(torch.full((4, 17, 2), torch.nan), turning=turning)
    torch.testing.assert_close(nobody.rotation, torch.eye(3).expand(nobody.rotation.shape))


def test_per_frame_turning_follows_smoothly() -> None:
    walk = torch.linspace(-1.5, 1.5, 120, dtype=torch.float64)
    points = scene()[:1].expand(120, -1, -1) - torch.tensor([1.5, -0.8, 0.0])
    points = points + walk[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
    rays = rays_of(points)
    one, each = (turn_towards(rays, turning=t).see(rays) for t in ("clip", "frame"))
    drift = {k: x.mean(-2)[:, 0].abs().max() for k, x in (("clip", one), ("frame", each))}
    assert drift["frame"] < 0.3 * drift["clip"]
    rotation = turn_towards(rays, turning="frame").rotation
    assert rotation.diff(n=2, dim=0).abs().max() < 1e-3


def test_batches_of_clips_have_their_own_rotation() -> None:
    both = torch.stack((scene(), scene(place=(-1.0, 0.5, 3.0))))
    virtual = turn_towards(rays_of(both))
    assert virtual.rotation.shape == (2, 1, 3, 3)
    for i in range(2):
        torch.testing.assert_close(virtual.rotation[i], turn_towards(rays_of(both[i])).rotation)


def test_wrong_names_and_shapes_are_refused() -> None:
    with pytest.raises((OptionError, jaxtyping.TypeCheckError), match="'clip', 'frame'"):
        turn_towards(torch.zeros(2, 17, 2), turning="always")
    with pytest.raises(ShapeError, match="do not belong to rotations"):
        VirtualCamera(torch.eye(3)[None]).enter(torch.zeros(17, 3))

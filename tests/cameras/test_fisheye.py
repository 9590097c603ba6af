"""The fisheye of Kannala and Brandt: rays to pixels and back, up to the edge of its picture."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hypopose.cameras import project, rays, undistort
from hypopose.cameras.quarter_turns import turn_camera, turn_pixels
from hypopose.io import load_camera, save_camera
from hypopose.types import Camera

LENSES = {
    "equidistant": (0.0, 0.0, 0.0, 0.0),
    "action camera": (0.04, -0.02, 0.01, -0.002),
    "stereographic": (1 / 12, 1 / 120, 17 / 20160, 0.0),
    "narrowing": (-0.05, 0.003, 0.0, 0.0),
}


def fisheye(name: str, focal: float = 400.0) -> Camera:
    return Camera(
        focal=torch.tensor([focal, 1.01 * focal], dtype=torch.float64),
        center=torch.tensor([650.0, 350.0], dtype=torch.float64),
        image_size=(1280, 720),
        distortion=torch.tensor([*LENSES[name], 0.0], dtype=torch.float64),
        distortion_model="fisheye",
    )


def directions(most: float, n: int = 400) -> torch.Tensor:
    """Rays up to some degrees from the axis."""
    rng = np.random.default_rng(0)
    angle, around = np.radians(rng.uniform(0, most, n)), rng.uniform(0, 2 * np.pi, n)
    radius = np.tan(angle)
    return torch.from_numpy(
        np.stack([radius * np.cos(around), radius * np.sin(around), np.ones(n)], -1)
    )


@pytest.mark.parametrize("name", LENSES)
def test_pixels_are_those_of_the_formula(name: str) -> None:
    camera, x = fisheye(name), directions(85)
    r = x[:, :2].norm(dim=-1)
    angle = r.arctan()
    k = LENSES[name]
    bent = angle + sum(c * angle ** (2 * i + 3) for i, c in enumerate(k))
    expected = x[:, :2] * (bent / r)[:, None] * camera.focal + camera.center
    torch.testing.assert_close(project(x, camera), expected)


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize(("dtype", "most", "tolerance"),
                         [(torch.float64, 87, 1e-6), (torch.float32, 70, 1e-4)])  # fmt: skip
def test_rays_come_back(name: str, dtype: torch.dtype, most: float, tolerance: float) -> None:
    camera, x = fisheye(name), directions(most).to(dtype)
    camera = replace(camera, focal=camera.focal.to(dtype), center=camera.center.to(dtype),
                     distortion=camera.distortion.to(dtype))  # fmt: skip
    back = rays(project(x, camera), camera)
    apart = (back - x).norm(dim=-1) / x.norm(dim=-1)
    assert float(apart.max()) < tolerance


def test_the_axis_is_the_center_and_has_a_gradient() -> None:
    camera = fisheye("action camera")
    px = camera.center.clone().requires_grad_()
    ray = undistort(px, camera)
    assert ray.abs().max() < 1e-9
    (gradient,) = torch.autograd.grad(ray.sum(), px)
    torch.testing.assert_close(gradient, 1 / camera.focal)


def test_gradients_are_those_of_small_steps() -> None:
    camera = fisheye("action camera")
    px = torch.tensor([[200.0, 600.0], [900.0, 100.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: undistort(p, camera), (px,))
    x = directions(70, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: project(p, camera), (x,))


def test_what_no_ray_reaches_is_nowhere() -> None:
    camera = fisheye("equidistant")
    edge = camera.focal[0] * math.pi / 2
    beyond = camera.center + torch.tensor([1.05, 0.0]) * edge
    assert undistort(beyond, camera).isnan().all()
    assert undistort(torch.full((2,), torch.nan, dtype=torch.float64), camera).isnan().all()
    folding = replace(camera, distortion=torch.tensor([-0.5, 0, 0, 0, 0], dtype=torch.float64))
    assert undistort(beyond, folding).isnan().all()


def test_views_of_several_cameras_at_once() -> None:
    one, two = fisheye("equidistant"), fisheye("action camera", 500.0)
    both = replace(
        one,
        focal=torch.stack([one.focal, two.focal]),
        center=torch.stack([one.center, two.center]),
        distortion=torch.stack([one.distortion, two.distortion]),
    )
    x = directions(60, 12).expand(2, 12, 3)
    seen = project(x, both)
    torch.testing.assert_close(seen[0], project(x[0], one))
    torch.testing.assert_close(seen[1], project(x[1], two))
    torch.testing.assert_close(rays(seen, both), x)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_picture_turns_the_camera(turns: int) -> None:
    camera, x = fisheye("action camera"), directions(60, 30)
    turned = turn_camera(camera, turns)
    moved = x @ turned.rotation.double().T
    expected = turn_pixels(project(x, camera), camera.image_size, turns)
    torch.testing.assert_close(project(moved, turned), expected)


def test_it_is_written_and_read(tmp_path) -> None:
    camera = fisheye("action camera")
    save_camera(tmp_path / "camera.json", camera)
    back = load_camera(tmp_path / "camera.json")
    assert back.distortion_model == "fisheye"
    assert torch.allclose(back.distortion.double(), camera.distortion, atol=1e-7)

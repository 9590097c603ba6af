"""Laws of projection, distortion and rays; the OpenCV model written another way."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DISTORTION_MODELS, normals, random_camera, random_root, seeds, uniforms

from hypopose.cameras import (
    camera_from_screen,
    distort,
    from_screen,
    invert_distortion,
    project,
    project_normalized,
    rays,
    screen_intrinsics,
    to_screen,
    undistort,
    unproject,
)
from hypopose.errors import ShapeError
from hypopose.types import Camera

EXACT = {"atol": 1e-9, "rtol": 1e-9}


@pytest.mark.parametrize("model", DISTORTION_MODELS)
@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_unproject_then_project_is_identity(model, seed) -> None:
    camera = random_camera(seed, model)
    px = uniforms(seed, 40, 2) * torch.tensor(camera.image_size)
    depth = 1 + uniforms(seed + 1, 40) * 9
    points = unproject(px, depth, camera)
    torch.testing.assert_close(points[..., 2], depth)
    torch.testing.assert_close(project(points, camera), px, atol=1e-8, rtol=0)


@pytest.mark.parametrize("model", DISTORTION_MODELS)
@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_project_then_unproject_is_identity(model, seed) -> None:
    camera = random_camera(seed, model)
    points = random_root(seed, 40)
    again = unproject(project(points, camera), points[..., 2], camera)
    torch.testing.assert_close(again, points, **EXACT)
    directions = rays(project(points, camera), camera)
    torch.testing.assert_close(directions * points[..., 2:], points, **EXACT)


@pytest.mark.parametrize("model", DISTORTION_MODELS)
def test_float32_round_trip(model) -> None:
    camera = random_camera(3, model)
    camera = replace(
        camera,
        focal=camera.focal.float(),
        center=camera.center.float(),
        distortion=None if camera.distortion is None else camera.distortion.float(),
    )
    px = uniforms(0, 1000, 2).float() * torch.tensor(camera.image_size)
    back = project(rays(px, camera), camera)
    assert torch.isfinite(back).all()
    torch.testing.assert_close(back, px, atol=2e-2, rtol=0)


@pytest.mark.parametrize("model", DISTORTION_MODELS)
def test_camera_batch_axes_lead(model) -> None:
    batched = random_camera(5, model, batch=(3,))
    points = random_root(6, 3, 2, 4, 17)
    together = project(points, batched)
    for i in range(3):
        one = Camera(
            batched.focal[i],
            batched.center[i],
            batched.image_size,
            None if batched.distortion is None else batched.distortion[i],
            model,
        )
        torch.testing.assert_close(together[i], project(points[i], one), **EXACT)
        torch.testing.assert_close(undistort(together, batched)[i], undistort(together[i], one))


def test_camera_axes_must_be_the_leading_ones() -> None:
    with pytest.raises(ShapeError, match="leading axes"):
        project(random_root(0, 4, 17), random_camera(0, batch=(3,)))
    with pytest.raises(ShapeError, match="leading axes"):
        project(random_root(0, 3), random_camera(0, batch=(3, 2)))


def test_opencv_model_as_its_documentation_writes_it() -> None:
    camera = random_camera(11, "opencv")
    xy = 0.4 * normals(1, 50, 2)
    k1, k2, p1, p2, k3 = camera.distortion.tolist()
    x, y = xy.unbind(-1)
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    expected = torch.stack(
        (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ),
        -1,
    )
    torch.testing.assert_close(distort(xy, camera), expected, **EXACT)


def test_models_differ_as_documented() -> None:
    """Same coefficients: h36m is vp3d with p1 and p2 swapped; opencv is another lens."""
    camera = random_camera(2, "vp3d")
    xy = 0.3 * normals(4, 50, 2)
    swapped = camera.distortion[[0, 1, 3, 2, 4]]
    other = replace(camera, distortion=swapped, distortion_model="h36m")
    torch.testing.assert_close(distort(xy, camera), distort(xy, other), **EXACT)
    opencv = replace(other, distortion_model="opencv")
    assert (distort(xy, opencv) - distort(xy, other)).abs().max() > 1e-5


def test_human36m_lenses_differ_by_a_pixel_at_most_and_bend_by_fourteen(shared) -> None:
    import json

    path = shared / "golden" / "datasets" / "h36m_cameras.json"
    largest = {}
    grid = torch.linspace(-0.35, 0.35, 41, dtype=torch.float64)
    xy = torch.cartesian_prod(grid, grid)
    for entry in json.loads(path.read_text())["intrinsics"]:
        k1, k2, k3 = entry["radial_distortion"]
        p1, p2 = entry["tangential_distortion"]
        focal = torch.tensor(entry["focal_length"], dtype=torch.float64)
        lens = torch.tensor([k1, k2, p1, p2, k3], dtype=torch.float64)
        bent = {
            model: focal
            * distort(xy, Camera(focal, focal, (1000, 1000), lens, distortion_model=model))
            for model in DISTORTION_MODELS[1:]
        }
        largest[entry["id"]] = (bent["vp3d"] - bent["h36m"]).abs().max().item()
        inner = (xy.abs() < 0.29).all(-1)  # where people are seen
        assert 5 < (bent["vp3d"] - focal * xy)[inner].norm(dim=-1).max() < 15
    expected = {"54138969": 0.24, "55011271": 0.62, "58860488": 1.21, "60457274": 0.67}
    assert largest == pytest.approx(expected, rel=0.06)


def test_unreachable_pixels_have_no_ray() -> None:
    """r (1 - 0.3 r²) never exceeds 0.703: nothing is seen beyond."""
    lens = torch.tensor([-0.3, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    camera = Camera(
        torch.ones(2, dtype=torch.float64),
        torch.zeros(2, dtype=torch.float64),
        (2, 2),
        lens,
        distortion_model="opencv",
    )
    inside, outside = torch.tensor([[0.69, 0.0], [0.8, 0.0]], dtype=torch.float64)
    assert torch.isfinite(undistort(inside, camera)).all()
    assert undistort(inside, camera)[0] < 1.06, "the near branch of the fold"
    assert undistort(outside, camera).isnan().all()


def test_missing_keypoints_stay_missing_and_alone() -> None:
    camera = random_camera(8, "opencv")
    px = torch.tensor([[400.0, 300.0], [torch.nan, 10.0]], dtype=torch.float64)
    found = undistort(px, camera)
    assert torch.isfinite(found[0]).all()
    assert found[1].isnan().any()


def test_points_behind_the_camera_are_not_seen() -> None:
    camera = Camera.from_fov((640, 480))
    behind = torch.tensor([[0.1, 0.2, -3.0], [0.0, 0.0, 0.0]])
    assert project(behind, camera).isnan().all()
    assert torch.isfinite(project(behind, camera, min_depth=0.1)).all()


@pytest.mark.parametrize("model", DISTORTION_MODELS)
def test_gradients(model) -> None:
    camera = random_camera(9, model)
    points = random_root(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: project(p, camera), points)
    px = project(points, camera).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: invert_distortion(p / 1000 - 0.5, camera), px)


def test_clamp_flattens_and_kills_gradients_only_on_request() -> None:
    wide = torch.tensor([3.0, 0.0, 1.0], requires_grad=True)
    project_normalized(wide).sum().backward()
    assert wide.grad is not None
    assert wide.grad[0] == 1
    wide.grad = None
    clamped = project_normalized(wide, clamp=1.0)
    clamped.sum().backward()
    assert clamped[0] == 1
    assert wide.grad[0] == wide.grad[2] == 0


@given(seed=seeds, w=st.integers(16, 8000), h=st.integers(16, 8000))
@settings(max_examples=30, deadline=None)
def test_screen_round_trip(seed, w, h) -> None:
    px = normals(seed, 10, 2) * w
    screen = to_screen(px, (w, h))
    torch.testing.assert_close(from_screen(screen, (w, h)), px, atol=1e-8, rtol=1e-10)
    corner = to_screen(torch.tensor([float(w), float(h)], dtype=torch.float64), (w, h))
    torch.testing.assert_close(corner, torch.tensor([1.0, h / w], dtype=torch.float64))


@pytest.mark.parametrize("model", DISTORTION_MODELS)
def test_screen_intrinsics_make_the_same_camera(model) -> None:
    camera = random_camera(13, model, batch=(2,))
    again = camera_from_screen(screen_intrinsics(camera), camera.image_size, model)
    points = random_root(1, 2, 30)
    torch.testing.assert_close(project(points, again), project(points, camera), **EXACT)

"""The soft rasterizer: known areas, gradients, tiles, what hides what."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.bodies import CapsuleBody
from hypopose.bodies.capsules import CAPSULES
from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.errors import OptionError, ShapeError
from hypopose.rendering import SoftRasterizer, normalized_points, render_surface
from hypopose.rendering.fragments import boxes_of, pairs_of, tiles_of
from hypopose.types import Camera


def triangles(n: int = 6, seed: int = 0, items: int = 1) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    xy = 1.2 * torch.rand(items, n, 3, 2, generator=g, dtype=torch.float64) - 0.6
    z = 2 + torch.rand(items, n, 3, 1, generator=g, dtype=torch.float64)
    return torch.cat([xy, z], -1)


def test_gradients_are_those_of_finite_differences() -> None:
    corners = triangles(2)
    colors = torch.rand(1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # Wide influences: none begins or ends within a difference.
    rasterizer = SoftRasterizer(sigma=0.02, gamma=0.05)

    def image(corners: Tensor, colors: Tensor) -> Tensor:
        picture = rasterizer.render(corners, (4, 5), colors)
        assert picture.colors is not None
        return torch.cat([picture.colors, picture.alpha[:, None]], 1)

    given = (corners.requires_grad_(), colors.requires_grad_())
    assert torch.autograd.gradcheck(image, given, eps=1e-6, atol=1e-4)


@pytest.mark.parametrize("max_pairs", [1, 40, 1000])
def test_tiles_change_nothing(max_pairs: int) -> None:
    corners, colors = triangles(items=3), torch.rand(3, 6, 3, dtype=torch.float64)
    corners.requires_grad_()
    pictures, gradients = [], []
    for n in (10**7, max_pairs):
        picture = SoftRasterizer(sigma=1e-3, gamma=0.1, max_pairs=n).render(
            corners, (17, 11), colors
        )
        assert picture.colors is not None
        image = torch.cat([picture.colors, picture.alpha[:, None]], 1)
        pictures.append(image.detach())
        gradients.append(torch.autograd.grad(image.square().sum(), corners)[0])
    torch.testing.assert_close(pictures[0], pictures[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)


def test_tiles_are_as_small_as_they_say() -> None:
    boxes = boxes_of(triangles(20, items=4)[..., :2], (30, 30), 0.05)
    tiles = list(tiles_of(boxes, 4, 30, max_pairs=800))
    covered = torch.zeros(4, 30)
    for tile in tiles:
        covered[slice(*tile.items), slice(*tile.rows)] += 1
        n = len(pairs_of(boxes.within(tile.items, tile.rows))[0])
        assert n <= 800 or (tile.items[1] - tile.items[0], tile.rows[1] - tile.rows[0]) == (1, 1)
    assert (covered == 1).all()
    assert len(tiles) > 4


def test_area_of_a_triangle_and_how_softness_moves_it() -> None:
    corners = torch.tensor([[[[-0.8, -0.8, 2], [0.8, -0.8, 2], [0.0, 0.8, 2]]]])
    for sigma in (1e-7, 1e-5, 1e-4):
        alpha = SoftRasterizer(sigma=sigma).render(corners, (100, 100)).alpha
        assert alpha.mean() * 4 == pytest.approx(1.28, abs=0.01)
    picture = SoftRasterizer(sigma=1e-7).render(corners, (64, 64)).alpha[0]
    assert picture[:31].sum() < picture[33:].sum()  # the wide side is below


def test_pictures_that_are_not_square() -> None:
    corners = torch.tensor([[[[-0.5, -0.25, 2], [0.5, -0.25, 2], [0.0, 0.25, 2]]]])
    wide = SoftRasterizer(sigma=1e-7).render(corners, (40, 80)).alpha[0]
    square = SoftRasterizer(sigma=1e-7).render(corners, (80, 80)).alpha[0]
    assert wide.shape == (40, 80)
    torch.testing.assert_close(wide, square[20:60])


def test_the_nearer_surface_hides_the_other_by_default_and_not_as_published() -> None:
    front, back = (
        torch.tensor([[[-0.9, -0.9, z], [0.9, -0.9, z], [0.0, 0.9, z]]]) for z in (3.0, 3.3)
    )
    corners = torch.cat([back, front])[None]
    colors = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    sharp = SoftRasterizer().render(corners, (9, 9), colors).colors
    soft = SoftRasterizer.published().render(corners, (9, 9), colors).colors
    assert sharp is not None
    assert soft is not None
    assert sharp[0, :, 5, 4].tolist() == pytest.approx([1.0, 0.0], abs=1e-3)
    assert 0.4 < soft[0, 0, 5, 4] < 0.6


def test_what_is_not_there_is_left_out() -> None:
    corners = triangles()
    broken = torch.cat([corners, torch.full_like(corners[:, :1], torch.nan)], 1)
    a = SoftRasterizer(sigma=1e-3).render(corners, (12, 12)).alpha
    b = SoftRasterizer(sigma=1e-3).render(broken, (12, 12)).alpha
    assert torch.equal(a, b)
    nothing = SoftRasterizer().render(corners[:, :0], (4, 5), torch.zeros(1, 0, 3).double())
    assert nothing.alpha.shape == (1, 4, 5)
    assert not nothing.alpha.any()
    far = corners.clone()
    far[..., 0] += 1e30
    assert not SoftRasterizer().render(far, (8, 8)).alpha.any()


def test_options_that_cannot_be() -> None:
    with pytest.raises(OptionError, match="sigma must be positive"):
        SoftRasterizer(sigma=0.0)
    with pytest.raises(OptionError, match="beyond near"):
        SoftRasterizer(near=2.0, far=1.0)
    with pytest.raises(OptionError, match="has a pixel"):
        SoftRasterizer().render(triangles(), (0, 4))
    with pytest.raises(ShapeError, match="do not belong"):
        SoftRasterizer().render(triangles(), (4, 4), torch.zeros(1, 5, 3).double())


# Seen by a camera ---------------------------------------------------------------------------------


def test_pixels_of_the_picture_are_pixels_of_the_camera() -> None:
    camera = Camera(torch.tensor([90.0, 80.0]), torch.tensor([30.0, 20.0]), (80, 48))
    point = torch.tensor([0.15, 0.1, 1.0])
    corner = 0.05 * torch.tensor([[1.0, 0, 0], [-1.0, 1.0, 0], [-1.0, -1.0, 0], [0, 0, 0]])
    vertices = (point + corner - corner.mean(0))[None]
    px = project(vertices[0, :3].mean(0), camera)
    faces = torch.tensor([[0, 1, 2]])
    alpha = render_surface(vertices, faces, camera, size=(48, 80)).alpha[0]
    assert (middle(alpha) - px).abs().max() < 0.3
    window = torch.tensor([[px[0] - 8.0, px[1] - 4.0, 16.0]])
    close_up = render_surface(vertices, faces, camera, size=(32, 32), window=window).alpha[0]
    assert (middle(close_up) - torch.tensor([16.0, 8.0])).abs().max() < 0.3


def middle(alpha: Tensor) -> Tensor:
    """Pixels, x and y; the first pixel's middle is 0.5."""
    rows, columns = (torch.arange(n) + 0.5 for n in alpha.shape)
    return torch.stack([alpha.sum(0) @ columns, alpha.sum(1) @ rows]) / alpha.sum()


def test_a_window_shows_a_part_of_the_image() -> None:
    keypoints, truth = example_pair(2)
    body = CapsuleBody().around(truth.joints + truth.root[:, None])
    camera = keypoints.camera
    assert camera is not None
    hard = SoftRasterizer(sigma=1e-8)
    whole = render_surface(
        body.vertices, body.faces, camera, size=(100, 100), rasterizer=hard
    ).alpha
    window = torch.tensor([[200.0, 300.0, 400.0]]).expand(2, 3)
    part = render_surface(
        body.vertices, body.faces, camera, size=(40, 40), window=window, rasterizer=hard
    ).alpha
    assert (part - whole[:, 30:70, 20:60]).abs().mean() < 1e-3
    assert part.sum() > 100


def test_capsules_cover_what_capsules_cover() -> None:
    """Beside a picture drawn another way: pixels whose ray comes near a bone."""
    keypoints, truth = example_pair(1)
    camera = keypoints.camera
    assert camera is not None
    joints = (truth.joints + truth.root[:, None])[0]
    body = CapsuleBody().around(joints[None])
    n = 200
    alpha = render_surface(body.vertices, body.faces, camera, size=(n, n)).alpha[0] > 0.5
    grid = (torch.arange(n) + 0.5) * 5
    x, y = torch.meshgrid(grid, grid, indexing="xy")
    focal, center = camera.focal, camera.center
    ray = torch.stack(
        [(x - center[0]) / focal[0], (y - center[1]) / focal[1], torch.ones_like(x)], -1
    )
    inside = torch.zeros(n, n, dtype=torch.bool)
    for c in CAPSULES:
        a, b = joints[c.start], joints[c.end]
        b = b + c.reach * (b - a) / (b - a).norm()
        for share in torch.linspace(0, 1, 20):
            p = a + share * (b - a)
            radius = c.radius_start + share * (c.radius_end - c.radius_start)
            off = torch.linalg.cross(ray, p.expand_as(ray)).norm(dim=-1) / ray.norm(dim=-1)
            inside |= off < radius
    iou = (alpha & inside).sum() / (alpha | inside).sum()
    assert iou > 0.93


def test_points_behind_the_camera_are_nowhere() -> None:
    camera = Camera.from_fov((100, 100))
    points = torch.tensor([[[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.1, 0.0, 0.0]]])
    seen = normalized_points(points, camera)
    assert seen[0, [0, 2]].isnan().all()
    assert seen[0, 1].tolist() == [0.0, 0.0, 1.0]


def test_reach_is_one_pixel_of_224() -> None:
    assert SoftRasterizer().reach == pytest.approx(math.sqrt(9.21e-5), rel=1e-3)
    assert SoftRasterizer().reach * 112 == pytest.approx(1.07, abs=0.01)

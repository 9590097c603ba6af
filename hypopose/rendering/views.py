"""From camera-frame surfaces to pictures: whole images, windows of them, and DSR's crops."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.cameras import project
from hypopose.rendering.rasterizer import Picture, SoftRasterizer
from hypopose.types import Camera

MIN_DEPTH = 1e-3
"""Meters in front of the camera; triangles with a nearer corner are left out."""


def normalized_points(
    points: Float[Tensor, "*any V 3"],
    camera: Camera,
    window: Float[Tensor, "*items 3"] | None = None,
) -> Float[Tensor, "*any V 3"]:
    """Where points are in a picture, as the rasterizer reads them.

    Convention:
        Points in the camera frame, meters. Result: x right, y up, the longer side of the image, or
        the window, spans -1 to 1; z is the depth in meters.

    Args:
        points: Any.
        camera: Intrinsics and lens; its batch axes lead.
        window: Left, top and side of a square in pixels; its axes are the last ones of the points'
            before V. None for the whole image.

    Returns:
        NaN for points that are not in front of the camera.
    """
    z = points[..., 2:]
    points = torch.where(z > MIN_DEPTH, points, torch.full_like(points, torch.nan))
    px = project(points, camera)
    if window is None:
        w, h = camera.image_size
        middle, half = px.new_tensor([w / 2, h / 2]), max(w, h) / 2
        xy = (px - middle) / half
    else:
        half_side = window[..., None, 2:] / 2
        xy = (px - window[..., None, :2] - half_side) / half_side
    return torch.cat([xy * xy.new_tensor([1.0, -1.0]), points[..., 2:]], -1)


def render_surface(
    vertices: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "T 3"],
    camera: Camera,
    *,
    size: tuple[int, int],
    window: Float[Tensor, "B 3"] | None = None,
    colors: Float[Tensor, "*b T C"] | None = None,
    rasterizer: SoftRasterizer | None = None,
) -> Picture:
    """See surfaces with a camera.

    Args:
        vertices: Camera frame, meters.
        faces: Triangles.
        camera: Intrinsics and lens.
        size: Height and width of the pictures in pixels.
        window: Left, top and side of a square in pixels of the image for each item; None for the
            whole image, whose shape ``size`` should have.
        colors: Of the triangles, the same for all items or one set each.
        rasterizer: Options.

    Returns:
        Pictures.

    Example:
        >>> import hypopose
        >>> from hypopose.bodies import make_body
        >>> keypoints, truth = hypopose.datasets.example_pair(2)
        >>> body = make_body("capsules").around(truth.joints + truth.root[:, None])
        >>> picture = render_surface(body.vertices, body.faces, keypoints.camera, size=(64, 64))
        >>> 0.01 < picture.alpha.mean().item() < 0.2
        True
    """
    points = normalized_points(vertices, camera, window)
    corners = points[:, faces]
    if colors is not None:
        colors = colors.expand(len(corners), *colors.shape[-2:])
    return (rasterizer or SoftRasterizer()).render(corners, size, colors)


def crop_projection(
    translation: Float[Tensor, "*any 3"], focal: float = 5000.0, size: float = 224.0
) -> Float[Tensor, "*any 3 4"]:
    """DSR's projection of a crop: y turned up, the camera's place t.

    Args:
        translation: Camera translation of SPIN, meters.
        focal: Pixels of the crop.
        size: Of the crop, pixels.

    Returns:
        ``P`` with ``P (X, 1) = (u z, v z, z)``.

    Example:
        >>> crop_projection(torch.tensor([0.0, 1.0, 50.0]))[1].tolist()
        [0.0, -5000.0, 112.0, 600.0]
    """
    flip = translation.new_tensor([1.0, -1.0, 1.0])
    inner = translation.new_tensor(
        [[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]]
    )
    outer = torch.cat(
        [torch.diag(flip).expand(*translation.shape, 3), (flip * translation)[..., None]], -1
    )
    return inner @ outer


def crop_points(
    points: Float[Tensor, "*any V 3"], projection: Float[Tensor, "*any 3 4"], size: float = 224.0
) -> Float[Tensor, "*any V 3"]:
    """Points through :func:`crop_projection`, as the rasterizer reads them.

    Args:
        points: SPIN's body frame, meters.
        projection: Of the crop.
        size: Of the crop, pixels.
    """
    rotation, shift = projection[..., :3], projection[..., 3]
    seen = points @ rotation.mT + shift[..., None, :]
    xy = seen[..., :2] / (seen[..., 2:] + 1e-5)
    return torch.cat([2 * (xy - size / 2) / size, seen[..., 2:]], -1)


def weak_translation(
    camera: Float[Tensor, "*any 3"], focal: float = 5000.0, size: float = 224.0
) -> Float[Tensor, "*any 3"]:
    """SPIN's translation of a weak-perspective camera (scale, x, y).

    Example:
        >>> weak_translation(torch.tensor([1.0, 0.1, 0.2]))[:2].tolist()
        [0.10000000149011612, 0.20000000298023224]
    """
    depth = 2 * focal / (size * camera[..., :1] + 1e-9)
    return torch.cat([camera[..., 1:], depth], -1)

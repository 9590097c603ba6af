"""Screen coordinates as lifters read them: both axes divided by half the image WIDTH."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.types import Camera, DistortionModel


def to_screen(px: Float[Tensor, "*any 2"], image_size: tuple[int, int]) -> Float[Tensor, "*any 2"]:
    """Pixels to screen coordinates: x in -1..1, y in -h/w..h/w, aspect kept.

    Args:
        px: Pixels, origin at the top-left corner.
        image_size: Width and height in pixels.

    Returns:
        ``2 px / w - (1, h/w)``.

    Example:
        >>> to_screen(torch.tensor([1920.0, 540.0]), (1920, 1080)).tolist()
        [1.0, 0.0]
    """
    w, h = image_size
    return px * (2 / w) - px.new_tensor([1.0, h / w])


def from_screen(
    xy: Float[Tensor, "*any 2"], image_size: tuple[int, int]
) -> Float[Tensor, "*any 2"]:
    """Screen coordinates to pixels, the inverse of :func:`to_screen`.

    Example:
        >>> from_screen(torch.tensor([1.0, 0.0]), (1920, 1080)).tolist()
        [1920.0, 540.0]
    """
    w, h = image_size
    return (xy + xy.new_tensor([1.0, h / w])) * (w / 2)


def screen_intrinsics(camera: Camera) -> Float[Tensor, "*any 9"]:
    """The nine numbers of published code: fx, fy, cx, cy, k1, k2, k3, p1, p2 in screen units.

    Note the order, which is not OpenCV's; the distortion model is not part of the vector.

    Returns:
        Intrinsics in screen units; zeros for a camera without distortion.

    Example:
        >>> screen_intrinsics(Camera.from_fov((1920, 1080)))[:4].round().tolist()
        [2.0, 2.0, 0.0, 0.0]
    """
    focal = camera.focal * (2 / camera.image_size[0])
    center = to_screen(camera.center, camera.image_size)
    if camera.distortion is None:
        return torch.cat((focal, center, focal.new_zeros((*focal.shape[:-1], 5))), -1)
    return torch.cat((focal, center, camera.distortion[..., [0, 1, 4, 2, 3]]), -1)


def camera_from_screen(
    intrinsics: Float[Tensor, "*any 9"],
    image_size: tuple[int, int],
    distortion_model: DistortionModel = "vp3d",
) -> Camera:
    """A camera in pixels from the nine numbers of :func:`screen_intrinsics`.

    Args:
        intrinsics: fx, fy, cx, cy, k1, k2, k3, p1, p2 in screen units.
        image_size: Width and height in pixels.
        distortion_model: ``vp3d`` is what vectors of this kind were made for; ``none`` drops the
            coefficients (the published "linear" variant).

    Returns:
        A camera without extrinsics.

    Example:
        >>> nine = torch.tensor([2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        >>> camera_from_screen(nine, (1920, 1080)).focal.tolist()
        [1920.0, 1920.0]
    """
    lens = None if distortion_model == "none" else intrinsics[..., [4, 5, 7, 8, 6]]
    return Camera(
        focal=intrinsics[..., :2] * (image_size[0] / 2),
        center=from_screen(intrinsics[..., 2:4], image_size),
        image_size=image_size,
        distortion=lens,
        distortion_model=distortion_model,
    )

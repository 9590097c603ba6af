"""Pictures turned by quarter turns: what becomes of pixels and cameras."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.types import Camera, Keypoints2D


def quarter_turns(degrees: float | int) -> int:
    """Clockwise quarter turns of an angle.

    Raises:
        OptionError: If it is no multiple of 90 degrees.

    Example:
        >>> quarter_turns(270), quarter_turns(-90)
        (3, 3)
    """
    if degrees % 90 != 0:
        raise OptionError(f"Pictures are turned by 90, 180 or 270 degrees, got {degrees:g}.")
    return int(degrees // 90) % 4


def turn_size(size: tuple[int, int], turns: int) -> tuple[int, int]:
    """Width and height of a picture after quarter turns."""
    return (size[1], size[0]) if turns % 2 else size


def turn_pixels(
    xy: Float[Tensor, "*any 2"], size: tuple[int, int], turns: int
) -> Float[Tensor, "*any 2"]:
    """Where pixels of a picture are after clockwise quarter turns.

    Args:
        xy: Pixels, origin at the top-left corner; NaN stays NaN.
        size: Width and height before.
        turns: Clockwise quarter turns.

    Returns:
        Pixels of the turned picture, whose size is :func:`turn_size`.

    Example:
        >>> turn_pixels(torch.tensor([10.0, 20.0]), (640, 480), 1).tolist()
        [460.0, 10.0]
    """
    for _ in range(turns % 4):
        xy = torch.stack((size[1] - xy[..., 1], xy[..., 0]), -1)
        size = (size[1], size[0])
    return xy


def turn_camera(camera: Camera, turns: int) -> Camera:
    """The camera of the turned picture.

    Args:
        camera: Of the picture as recorded, without batch axes in focal length and center.
        turns: Clockwise quarter turns.

    Returns:
        Focal lengths, center, size, lens and extrinsics of the turned picture: a point projects to
        :func:`turn_pixels` of where it projected before.
    """
    turns %= 4
    if turns == 0:
        return camera
    one = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    R = torch.linalg.matrix_power(one, turns).to(camera.focal)
    rotation, translation, lens = camera.rotation, camera.translation, camera.distortion
    return replace(
        camera,
        focal=camera.focal.flip(-1) if turns % 2 else camera.focal,
        center=turn_pixels(camera.center, camera.image_size, turns),
        image_size=turn_size(camera.image_size, turns),
        distortion=None if lens is None else _turn_lens(lens, camera.distortion_model, turns),
        rotation=R if rotation is None else R.to(rotation) @ rotation,
        translation=None if translation is None else translation @ R.to(translation).T,
    )


def turn_keypoints(keypoints: Keypoints2D, turns: int) -> Keypoints2D:
    """Keypoints of the turned picture, with its size and camera.

    Args:
        keypoints: Of the picture as recorded; its size must be known.
        turns: Clockwise quarter turns.

    Raises:
        OptionError: If the size of the picture is not known.

    Example:
        >>> from hypopose.skeletons import COCO17
        >>> lying = Keypoints2D(torch.rand(3, 17, 2), COCO17, image_size=(640, 480))
        >>> turn_keypoints(lying, 1).image_size
        (480, 640)
    """
    size = keypoints.image_size
    turns %= 4
    if turns == 0:
        return keypoints
    if size is None:
        raise OptionError(
            "Turning keypoints needs the size of their picture: give it: image_size=(W, H)."
        )
    covariance, camera = keypoints.covariance, keypoints.camera
    if covariance is not None:
        R = torch.linalg.matrix_power(torch.tensor([[0.0, -1.0], [1.0, 0.0]]), turns)
        covariance = R.to(covariance) @ covariance @ R.to(covariance).mT
    return replace(
        keypoints,
        xy=turn_pixels(keypoints.xy, size, turns),
        image_size=turn_size(size, turns),
        camera=None if camera is None else turn_camera(camera, turns),
        covariance=covariance,
        notes=(*keypoints.notes, f"the picture was turned clockwise by {90 * turns} degrees"),
    )


def _turn_lens(lens: Float[Tensor, "*cam 5"], model: str, turns: int) -> Float[Tensor, "*cam 5"]:
    """Radial coefficients stay; the tangential pair turns with the picture."""
    if model == "fisheye":
        return lens
    order = [2, 3] if model == "vp3d" else [3, 2]
    a, b = lens[..., order].unbind(-1)  # along x and y
    for _ in range(turns):
        a, b = -b, a
    turned = lens.clone()
    turned[..., order[0]], turned[..., order[1]] = a, b
    return turned

"""Which way is up: a world's axis that points up, and rotations that bring it to y or z."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.errors import MissingCameraError
from hypopose.types import Camera

CAMERA_UP = (1, -1)
"""Number and sign of the camera frame's axis that points up in the picture: y grows downwards."""


def up_axis(camera: Camera) -> tuple[int, int]:
    """The axis of the camera's world, with its sign, that comes closest to the picture's up.

    Args:
        camera: With a rotation; one that moves counts with its mean.

    Returns:
        Number and sign of the axis.

    Raises:
        MissingCameraError: If the camera has no rotation.

    Example:
        >>> import torch
        >>> from dataclasses import replace
        >>> level = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z up, looking along y
        >>> up_axis(replace(Camera.from_fov((640, 480)), rotation=level))
        (2, 1)
    """
    if camera.rotation is None:
        raise MissingCameraError(
            "The world frame needs a camera with a rotation (and a translation), but this "
            "result's has none; sample with --camera or --ground, or use the camera frame."
        )
    up = -camera.rotation.reshape(-1, 3, 3)[:, 1].double().mean(0).cpu().numpy()
    axis = int(np.abs(up).argmax())
    return axis, int(np.sign(up[axis]))


def turn_up(axis_and_sign: tuple[int, int], up: str) -> Float[np.ndarray, "3 3"]:
    """The rotation that brings a signed axis up.

    Args:
        axis_and_sign: Number and sign of the axis that points up before.
        up: ``"y"`` or ``"z"`` points up after; ``"native"`` turns nothing.

    Returns:
        A rotation matrix of zeros and ones, determinant 1.

    Example:
        >>> turn_up(CAMERA_UP, "z").astype(int).tolist()  # the camera frame with z up
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    """
    if up == "native":
        return np.eye(3)
    axis, sign = axis_and_sign
    to_y = {
        0: [[0, -sign, 0], [sign, 0, 0], [0, 0, 1]],
        1: [[1, 0, 0], [0, sign, 0], [0, 0, sign]],
        2: [[1, 0, 0], [0, 0, sign], [0, -sign, 0]],
    }[axis]
    y_to_z = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    after = np.array(y_to_z if up == "z" else np.eye(3), dtype=np.float64)
    return after @ np.array(to_y, dtype=np.float64)

"""World and camera frames."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.distortion import lead
from hypopose.types import Camera


def world_to_cam(points: Float[Tensor, "*any 3"], camera: Camera) -> Float[Tensor, "*any 3"]:
    """Bring world points into the camera frame, ``x_cam = R x_world + t``.

    Args:
        points: World frame, meters; the camera's batch axes lead.
        camera: With or without extrinsics; a missing part leaves the points as they are.

    Returns:
        Camera-frame points (x right, y down, z forward).

    Example:
        >>> import torch
        >>> world_to_cam(torch.tensor([1.0, 2.0, 3.0]), Camera.from_fov((640, 480))).tolist()
        [1.0, 2.0, 3.0]
    """
    if camera.rotation is not None:
        points = _apply(lead(camera.rotation, points, 2), points)
    return points if camera.translation is None else points + lead(camera.translation, points)


def cam_to_world(points: Float[Tensor, "*any 3"], camera: Camera) -> Float[Tensor, "*any 3"]:
    """Undo :func:`world_to_cam`: ``x_world = Rᵀ (x_cam - t)``.

    Args:
        points: Camera frame, meters; the camera's batch axes lead.
        camera: With or without extrinsics.

    Returns:
        World-frame points.
    """
    if camera.translation is not None:
        points = points - lead(camera.translation, points)
    if camera.rotation is None:
        return points
    return _apply(lead(camera.rotation, points, 2).transpose(-1, -2), points)


def motion_to_world(points: Float[Tensor, "*any F J 3"], camera: Camera) -> Tensor:
    """Bring motions into the world, also those that a moving camera saw.

    Args:
        points: Camera frame, meters, ``joints + root``; any leading axes, such as hypotheses.
        camera: One camera without batch axes; its rotation and translation may have a frame axis.

    Returns:
        World-frame points ``(*any, F, J, 3)``.

    Raises:
        ShapeError: If the camera moves over another number of frames.

    Example:
        >>> import torch
        >>> camera = Camera.from_fov((640, 480))
        >>> motion_to_world(torch.ones(2, 5, 17, 3), camera).shape
        torch.Size([2, 5, 17, 3])
    """
    parts = ((camera.rotation, 3), (camera.translation, 2))
    moves = any(x is not None and x.dim() == n for x, n in parts)
    if not moves:
        return cam_to_world(points, camera)
    return cam_to_world(points.movedim(-3, 0), camera).movedim(0, -3)


def _apply(rotation: Tensor, points: Tensor) -> Tensor:
    return (rotation @ points[..., None])[..., 0]

"""World and camera frames, quaternions, and cameras turned towards a ray."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.distortion import lead
from hypopose.errors import OptionError
from hypopose.types import Camera


def world_to_cam(points: Float[Tensor, "*any 3"], camera: Camera) -> Float[Tensor, "*any 3"]:
    """Bring world points into the camera frame, ``x_cam = R x_world + t``.

    Args:
        points: World frame, meters; the camera's batch axes lead.
        camera: With or without extrinsics; a missing part leaves the points as they are.

    Returns:
        Camera-frame points (x right, y down, z forward).

    Example:
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
        >>> camera = Camera.from_fov((640, 480))
        >>> motion_to_world(torch.ones(2, 5, 17, 3), camera).shape
        torch.Size([2, 5, 17, 3])
    """
    parts = ((camera.rotation, 3), (camera.translation, 2))
    moves = any(x is not None and x.dim() == n for x, n in parts)
    if not moves:
        return cam_to_world(points, camera)
    return cam_to_world(points.movedim(-3, 0), camera).movedim(0, -3)


def rotation_from_quaternion(quaternion: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 3 3"]:
    """Rotation matrix of a quaternion ``(w, x, y, z)``; its length does not matter.

    Human3.6M files store the orientation that turns camera axes into the world and the camera's
    place T. Our extrinsics are then ``R = rotation_from_quaternion(q)ᵀ`` and ``t = -R T``.

    Args:
        quaternion: Scalar first, not zero.

    Returns:
        R with ``R v = q v q*``.

    Example:
        >>> R = rotation_from_quaternion(torch.tensor([0.0, 0.0, 0.0, 1.0]))
        >>> (R @ torch.tensor([1.0, 2.0, 3.0])).tolist()
        [-1.0, -2.0, 3.0]
    """
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = (
        torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), -1),
        torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), -1),
        torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), -1),
    )
    return torch.stack(rows, -2)


def look_at_rotation(direction: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3 3"]:
    """The smallest rotation that turns a direction onto the optical axis.

    A virtual camera at the same place, turned so that the subject stands in its middle, sees
    the same rays under another name: ``x_virtual = R x_cam``, with no roll of its own. Back with
    ``x_cam = Rᵀ x_virtual``. Close to the axis the formula stays exact (no arccos).

    Args:
        direction: Camera-frame rays of any length, in front of the camera.

    Returns:
        R with ``R d = |d| (0, 0, 1)``.

    Raises:
        OptionError: If a direction is zero or points straight backwards, where no smallest
            rotation exists.

    Example:
        >>> direction = torch.tensor([3.0, 0.0, 4.0])
        >>> turned = look_at_rotation(direction) @ direction
        >>> torch.allclose(turned, torch.tensor([0.0, 0.0, 5.0]), atol=1e-6)
        True
    """
    d = direction / direction.norm(dim=-1, keepdim=True)
    x, y, z = d.unbind(-1)
    if bool((~torch.isfinite(d).all(-1) | (z <= -1 + 1e-6)).any()):
        raise OptionError(
            "look_at_rotation needs finite directions that are not zero and do not point straight "
            "backwards; leave out frames without keypoints first."
        )
    c = 1 / (1 + z)
    rows = (
        torch.stack((1 - c * x * x, -c * x * y, -x), -1),
        torch.stack((-c * x * y, 1 - c * y * y, -y), -1),
        torch.stack((x, y, z), -1),
    )
    return torch.stack(rows, -2)


def _apply(rotation: Tensor, points: Tensor) -> Tensor:
    return (rotation @ points[..., None])[..., 0]

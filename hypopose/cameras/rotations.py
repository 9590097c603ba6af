"""Rotation matrices: from quaternions, axes and Euler angles, and of cameras with an aim.

Convention:
    Matrices act on column vectors, ``y = R x``. A camera's rotation is world-to-camera: its rows
    are the camera's right, down and forward axes in the world.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.errors import OptionError


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
    the same rays under another name: ``x_virtual = R x_cam``, without additional roll. Back with
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


def look_at(forward: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3 3"]:
    """World-to-camera rotation of a camera without roll (world z up, image y down).

    Args:
        forward: Viewing directions in the world, of any length, not vertical.

    Returns:
        Rows are the camera's right, down and forward axes.

    Example:
        >>> look_at(torch.tensor([0.0, 2.0, 0.0])).tolist()  # rows: right, down, forward
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    """
    forward = functional.normalize(forward, dim=-1)
    up = forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward)
    right = functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    rows = (right, torch.linalg.cross(forward, right), forward)
    return torch.stack(rows, -2) + 0.0  # no negative zeros


def axis_angle(
    axis: Float[Tensor, "*any 3"], angle: Float[Tensor, "*any"]
) -> Float[Tensor, "*any 3 3"]:
    """Rotation about unit axes (Rodrigues' formula).

    Args:
        axis: Unit vectors.
        angle: Radians, counterclockwise seen from the tip of the axis.

    Example:
        >>> quarter = axis_angle(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(torch.pi / 2))
        >>> (quarter @ torch.tensor([1.0, 0.0, 0.0])).round()[1].item()
        1.0
    """
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    cross = rows.reshape(*axis.shape[:-1], 3, 3)
    s, c = angle.sin()[..., None, None], angle.cos()[..., None, None]
    identity = torch.eye(3, dtype=axis.dtype, device=axis.device)
    return identity + s * cross + (1 - c) * (cross @ cross)


def euler_rotation(angles: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """Rotation about the fixed x axis, then y, then z.

    Args:
        angles: Radians about x, y and z.

    Returns:
        The rotation matrix, ``Rz Ry Rx``.

    Example:
        >>> euler_rotation(torch.zeros(3)).diagonal().tolist()
        [1.0, 1.0, 1.0]
    """
    (cx, cy, cz), (sx, sy, sz) = angles.cos().tolist(), angles.sin().tolist()
    x = angles.new_tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = angles.new_tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = angles.new_tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x

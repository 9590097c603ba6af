"""Rotations along a tree of bones, and vertices that follow several bones.

Linear blend skinning: a vertex is moved by every bone as if it were rigidly attached to it, and the
results are averaged with the vertex's weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def rotation_from_vector(vector: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3 3"]:
    """Rotation about a vector by its length in radians; smooth at zero, too.

    Args:
        vector: Axis times angle.

    Example:
        >>> rotation_from_vector(torch.zeros(3)).diagonal().tolist()
        [1.0, 1.0, 1.0]
    """
    square = vector.square().sum(-1)[..., None, None]
    small = square < 1e-6
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / angle.square())
    cross = cross_matrix(vector)
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + first * cross + second * (cross @ cross)


def cross_matrix(vector: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3 3"]:
    """The matrix K with ``K x = vector × x``.

    Example:
        >>> (cross_matrix(torch.tensor([0.0, 0.0, 1.0])) @ torch.tensor([1.0, 0.0, 0.0])).tolist()
        [0.0, 1.0, 0.0]
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    return rows.reshape(*vector.shape[:-1], 3, 3)


def swing(
    start: Float[Tensor, "*any 3"], end: Float[Tensor, "*any 3"]
) -> Float[Tensor, "*any 3 3"]:
    """The smallest rotation from one unit vector to another.

    Args:
        start: Unit vectors.
        end: Unit vectors; opposite ones have no smallest rotation and give some matrix.

    Example:
        >>> x, y = torch.eye(3)[0], torch.eye(3)[1]
        >>> (swing(x, y) @ x).round().tolist()
        [0.0, 1.0, 0.0]
    """
    cross = cross_matrix(torch.linalg.cross(start, end))
    cosine = (start * end).sum(-1)[..., None, None]
    identity = torch.eye(3, dtype=start.dtype, device=start.device)
    return identity + cross + cross @ cross / (1 + cosine).clamp(min=1e-4)


def nearest_rotation(matrix: Float[Tensor, "*any 3 3"]) -> Float[Tensor, "*any 3 3"]:
    """The rotation R with the largest trace of ``Rᵀ M``.

    Args:
        matrix: For example sums of outer products of target and source vectors (Kabsch, Acta
            Crystallographica A, 1976).

    Example:
        >>> nearest_rotation(2 * torch.eye(3)).round().diagonal().tolist()
        [1.0, 1.0, 1.0]
    """
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.det(u @ vt).sign()
    flip = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
    return (u * flip[..., None, :]) @ vt


def forward_kinematics(
    rotations: Float[Tensor, "*n B 3 3"],
    origin: Float[Tensor, "*n 3"],
    rest: Float[Tensor, "*n B 3"],
    parents: Sequence[int],
) -> tuple[Float[Tensor, "*n B 3 3"], Float[Tensor, "*n B 3"]]:
    """Orientations and origins of bones.

    Args:
        rotations: Of each bone against its parent; identity at rest.
        origin: Where the first bone begins.
        rest: Where bones begin at rest.
        parents: Of each bone; they come before their children, and -1 marks the first.

    Returns:
        Rotations from the rest pose, and where bones begin.

    Example:
        >>> rest = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> turn = torch.eye(3).expand(2, 3, 3).clone()
        >>> turn[0] = rotation_from_vector(torch.tensor([0.0, 0.0, torch.pi / 2]))
        >>> forward_kinematics(turn, torch.zeros(3), rest, (-1, 0))[1][1].round().tolist()
        [-1.0, 0.0, 0.0]
    """
    turns: list[Tensor] = []
    places: list[Tensor] = []
    for bone, parent in enumerate(parents):
        if parent < 0:
            turns.append(rotations[..., bone, :, :])
            places.append(origin)
            continue
        offset = (rest[..., bone, :] - rest[..., parent, :])[..., None]
        places.append(places[parent] + (turns[parent] @ offset)[..., 0])
        turns.append(turns[parent] @ rotations[..., bone, :, :])
    return torch.stack(turns, -3), torch.stack(places, -2)


def skin(
    points: Float[Tensor, "*n V 3"],
    weights: Float[Tensor, "V B"],
    turns: Float[Tensor, "*n B 3 3"],
    shifts: Float[Tensor, "*n B 3"],
) -> Float[Tensor, "*n V 3"]:
    """Linear blend skinning.

    Args:
        points: At rest.
        weights: How much each bone moves a point; rows sum to 1.
        turns: Rotation of each bone from the rest pose.
        shifts: ``x = turn @ rest + shift`` for points of a bone.

    Example:
        >>> x = skin(torch.zeros(1, 3), torch.ones(1, 1), torch.eye(3)[None], torch.ones(1, 3))
        >>> x.tolist()
        [[1.0, 1.0, 1.0]]
    """
    affine = torch.cat([turns, shifts[..., None]], -1)
    blended = torch.einsum("vb,...bij->...vij", weights, affine)
    return (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]

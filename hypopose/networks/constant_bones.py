"""Bones that keep their length over a clip: the skeleton of one person, not of one frame.

Ours. A network that predicts joint positions frame by frame lets bone lengths vary: where a depth
is uncertain, lengths follow the error. Here every bone keeps its direction in each frame and takes
its mean length over the clip, so that a hypothesis is one body in motion; and a length seen well in
one frame (a forearm across the line of sight) is used in all frames.
"""

from __future__ import annotations

from functools import cache

from jaxtyping import Float
from torch import Tensor

from hypopose.types import Skeleton

SMALLEST = 1e-6
"""Bones are at least this long, in meters, so that they have a direction."""


def with_constant_bones(
    joints: Float[Tensor, "*any F J 3"],
    skeleton: Skeleton,
    usable: Float[Tensor, "*any F"] | None = None,
) -> Float[Tensor, "*any F J 3"]:
    """Give every bone its mean length over the frames; directions and the root stay.

    Args:
        joints: Meters.
        skeleton: Of the joints.
        usable: 1 for frames that count in the mean, 0 for padding; all count where None. Without a
            usable frame lengths are 0.

    Returns:
        Joints at the same directions from their parents.

    Example:
        >>> import torch
        >>> from hypopose.skeletons import H36M17
        >>> bent = with_constant_bones(torch.randn(9, 17, 3), H36M17)
        >>> forearm = (bent[:, 13] - bent[:, 12]).norm(dim=-1)
        >>> bool(forearm.std() < 1e-6)
        True
    """
    bones = bone_vectors(joints, skeleton)
    length = bones.square().sum(-1, keepdim=True).add(SMALLEST**2).sqrt()
    if usable is None:
        mean = length.mean(-3, keepdim=True)
    else:
        weight = usable[..., None, None]
        mean = (length * weight).sum(-3, keepdim=True) / weight.sum(-3, keepdim=True).clamp(min=1)
    root = joints[..., skeleton.root : skeleton.root + 1, :]
    return root + joints_from_bones(bones * (mean / length), skeleton)


def bone_vectors(
    joints: Float[Tensor, "*any J 3"], skeleton: Skeleton
) -> Float[Tensor, "*any bones 3"]:
    """From parent to child, in the order of ``skeleton.bones``.

    Args:
        joints: In any unit.
        skeleton: Of the joints.
    """
    _, parents, children = _chain(skeleton)
    return joints[..., children, :] - joints[..., parents, :]


def joints_from_bones(
    bones: Float[Tensor, "*any bones 3"], skeleton: Skeleton
) -> Float[Tensor, "*any J 3"]:
    """Joints about the root, which is at 0.

    Args:
        bones: From parent to child, in the order of ``skeleton.bones``.
        skeleton: Of the joints; parents come before their children.

    Example:
        >>> import torch
        >>> from hypopose.skeletons import H36M17
        >>> joints = torch.randn(5, 17, 3)
        >>> back = joints_from_bones(bone_vectors(joints, H36M17), H36M17)
        >>> torch.allclose(back, joints - joints[:, :1], atol=1e-5)
        True
    """
    rows, _, _ = _chain(skeleton)
    return (bones.mT @ bones.new_tensor(rows).mT).mT


@cache
def _chain(skeleton: Skeleton) -> tuple[list[list[float]], list[int], list[int]]:
    """Rows (J, bones) that add up bone vectors to joints about the root; both ends of each bone."""
    bones = skeleton.bones
    rows = [[0.0] * len(bones) for _ in range(skeleton.n_joints)]
    for bone, (parent, child) in enumerate(bones):
        rows[child] = list(rows[parent])
        rows[child][bone] = 1.0
    return rows, [parent for parent, _ in bones], [child for _, child in bones]

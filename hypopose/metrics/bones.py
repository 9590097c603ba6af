"""Bone lengths: do limbs keep their length, and do left and right agree?

These need no truth, except :func:`bone_length_error`. A bone of length 0 or NaN (a collapsed pose)
gives NaN: a pose without size would be perfectly symmetric and rigid, without meaning.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import SkeletonMismatchError
from hypopose.types import Skeleton


def bone_lengths(
    joints: Float[Tensor, "*batch J 3"], skeleton: Skeleton
) -> Float[Tensor, "*batch B"]:
    """Length of every bone, in the order of ``skeleton.bones``.

    Args:
        joints: Joints in any unit.
        skeleton: Their joint set.

    Returns:
        Lengths in the unit of the joints; NaN for bones without length.

    Raises:
        SkeletonMismatchError: If the joints are not the skeleton's.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> bone_lengths(torch.randn(4, 17, 3), H36M17).shape
        torch.Size([4, 16])
    """
    if joints.shape[-2] != skeleton.n_joints:
        raise SkeletonMismatchError(
            f"{joints.shape[-2]} joints are not skeleton {skeleton.name!r} with "
            f"{skeleton.n_joints}; name the skeleton the data are in."
        )
    parent, child = (list(side) for side in zip(*skeleton.bones, strict=True))
    length = (joints[..., child, :] - joints[..., parent, :]).norm(dim=-1)
    return torch.where(length > 0, length, torch.nan)


def bone_length_error(
    pred: Float[Tensor, "*batch J 3"], lengths: Float[Tensor, "*_lengths B"], skeleton: Skeleton
) -> Float[Tensor, ""]:
    """Mean absolute difference between predicted bone lengths and the subject's own.

    Args:
        pred: Predicted joints.
        lengths: The subject's bone lengths (for example the median of :func:`bone_lengths` of the
            truth over frames), same unit.
        skeleton: The joint set.

    Returns:
        The mean over poses and bones, in the inputs' unit; NaN if a bone has no length.
    """
    return (bone_lengths(pred, skeleton) - lengths).abs().mean()


def bone_length_variation(
    joints: Float[Tensor, "*batch F J 3"], skeleton: Skeleton
) -> Float[Tensor, ""]:
    """How much bones change length over the frames of a clip.

    Args:
        joints: Clips.
        skeleton: The joint set.

    Returns:
        Standard deviation over frames (dividing by F), averaged over bones and clips, in the
        inputs' unit; NaN if a bone has no length.
    """
    return bone_lengths(joints, skeleton).std(-2, correction=0).mean()


def symmetry_errors(
    joints: Float[Tensor, "*batch J 3"], skeleton: Skeleton
) -> Float[Tensor, "*batch P"]:
    """Absolute difference between the lengths of left and right limbs.

    The bones from the root to the hips do not count: upper leg, lower leg, clavicle, upper arm and
    forearm do.

    Args:
        joints: Poses.
        skeleton: A joint set with left and right sides.

    Returns:
        Per pose and pair, in the inputs' unit; NaN if a bone has no length.

    Raises:
        SkeletonMismatchError: If the skeleton has no sides.
    """
    row = {child: b for b, (_, child) in enumerate(skeleton.bones)}
    pairs = [
        (row[left], row[right])
        for left, right in zip(skeleton.left, skeleton.right, strict=True)
        if skeleton.parents[left] not in (-1, skeleton.root)
        and skeleton.parents[right] not in (-1, skeleton.root)
    ]
    if not pairs:
        raise SkeletonMismatchError(
            f"Skeleton {skeleton.name!r} names no left and right limbs to compare."
        )
    lengths = bone_lengths(joints, skeleton)
    lefts, rights = (list(side) for side in zip(*pairs, strict=True))
    return (lengths[..., lefts] - lengths[..., rights]).abs()


def symmetry_error(joints: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, ""]:
    """Mean of :func:`symmetry_errors` over poses and pairs; NaN if a bone has no length."""
    return symmetry_errors(joints, skeleton).mean()

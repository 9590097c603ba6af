"""Ambiguities with names: limbs towards or away from the camera, left or right in front.

One image fixes where a joint is seen, not how deep it lies. A bone of known length that looks
shortened points either towards the camera or away from it (Lee and Chen, "Determination of 3D human
body postures from a single view", 1985). And where left and right limbs lie over each other in the
image, either may be the nearer one. Both are a sign: of the depth a bone gains from parent to
child, of the depth by which the left joint lies behind its right partner.

Criterion: an ambiguity of this kind is there if the hypotheses fall on both sides of zero, at least
``min_share`` of them on the rarer side, and their signed depths form two or more modes
(:func:`hypopose.ambiguity.find_modes`) with centers on both sides. A bone that merely scatters
about the image plane has one mode and is not a flip.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.ambiguity.covariance import require_hypotheses, viewing_rays
from hypopose.ambiguity.modes import find_modes
from hypopose.types import Hypotheses, Skeleton

_BONES = {
    ("hip", "knee"): "thigh",
    ("knee", "ankle"): "shin",
    ("shoulder", "elbow"): "upper arm",
    ("elbow", "wrist"): "forearm",
    ("ankle", "foot"): "foot",
    ("ankle", "toe"): "foot",
    ("ankle", "big_toe"): "foot",
    ("ankle", "heel"): "heel",
    ("wrist", "hand"): "hand",
}


@dataclass(frozen=True, eq=False)
class SignedDepths:
    """Depth differences per hypothesis whose sign is the ambiguity.

    Args:
        names: What each column is, such as ``right forearm`` or ``ankles``.
        sides: The words for negative and positive, such as ``("towards", "away")``.
        values: Meters along the viewing ray.
        negative: Share of hypotheses below zero.
        ambiguous: Where both signs are modes (criterion in the module's opening).
    """

    names: tuple[str, ...]
    sides: tuple[str, str]
    values: Float[Tensor, "*batch H F N"]
    negative: Float[Tensor, "*batch F N"]
    ambiguous: Bool[Tensor, "*batch F N"]


def bone_name(skeleton: Skeleton, bone: tuple[int, int]) -> str:
    """Plain name of a bone.

    Args:
        skeleton: With joint names such as ``right_elbow``.
        bone: Parent and child index.

    Returns:
        ``right forearm`` where the bone has such a name, else ``parent to child``.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> bone_name(H36M17, (15, 16)), bone_name(H36M17, (0, 7))
        ('right forearm', 'pelvis to spine')
    """
    parent, child = (skeleton.joint_names[j] for j in bone)
    side, _, joint = child.partition("_")
    limb = _BONES.get((parent.removeprefix(f"{side}_"), joint))
    if side in ("left", "right") and limb:
        return f"{side} {limb}"
    return f"{parent} to {child}".replace("_", " ")


def bone_depths(hypotheses: Hypotheses) -> Float[Tensor, "*batch H F B"]:
    """Depth every bone gains from parent to child.

    Convention:
        Meters along the viewing ray of the parent's mean position (the optical axis if the root is
        unknown); negative means that the bone points towards the camera.

    Args:
        hypotheses: Any number.

    Returns:
        One value per bone, in the order of ``skeleton.bones``.
    """
    rays = viewing_rays(hypotheses)
    bones = hypotheses.skeleton.bones
    parents, children = [p for p, _ in bones], [c for _, c in bones]
    x = hypotheses.joints.double()
    vectors = x[..., children, :] - x[..., parents, :]
    return (vectors * rays[..., None, :, :, :][..., parents, :]).sum(-1)


def depth_flips(
    hypotheses: Hypotheses, min_share: float = 0.1, resolution: float = 0.02
) -> SignedDepths:
    """Which bones may point towards or away from the camera, with which shares.

    Args:
        hypotheses: Two or more; twenty or more for shares worth reading.
        min_share: Smallest share of the rarer direction that counts.
        resolution: Meters of depth below which differences are not modes.

    Returns:
        One column per bone; ``negative`` is the share pointing towards the camera.
    """
    require_hypotheses(hypotheses, 2, "Finding depth flips")
    names = tuple(bone_name(hypotheses.skeleton, bone) for bone in hypotheses.skeleton.bones)
    sides = ("towards", "away")
    return _signed(names, sides, bone_depths(hypotheses), min_share, resolution)


def side_order(
    hypotheses: Hypotheses, min_share: float = 0.1, resolution: float = 0.02
) -> SignedDepths:
    """Which of a left and right pair may be the nearer one, with which shares.

    Args:
        hypotheses: Two or more; twenty or more for shares worth reading.
        min_share: Smallest share of the rarer order that counts.
        resolution: Meters of depth below which differences are not modes.

    Returns:
        One column per pair of ``skeleton.left`` and ``skeleton.right``; ``negative`` is the share
        in which the left joint is nearer.
    """
    require_hypotheses(hypotheses, 2, "Finding left-right ambiguities")
    skeleton = hypotheses.skeleton
    names = tuple(_pair_name(skeleton.joint_names[j]) for j in skeleton.left)
    x = hypotheses.joints.double()
    left, right = x[..., list(skeleton.left), :], x[..., list(skeleton.right), :]
    rays = viewing_rays(hypotheses)
    ray = rays[..., list(skeleton.left), :] + rays[..., list(skeleton.right), :]
    ray = ray / ray.norm(dim=-1, keepdim=True)
    values = ((left - right) * ray[..., None, :, :, :]).sum(-1)
    return _signed(names, ("left nearer", "right nearer"), values, min_share, resolution)


def switch_rate(depths: SignedDepths) -> Float[Tensor, "*batch N"]:
    """How often a hypothesis changes its mind from one frame to the next, where it could.

    Args:
        depths: From :func:`depth_flips` or :func:`side_order`.

    Returns:
        Share of frame steps, both frames ambiguous, at which a hypothesis changes sign; NaN where
        no two successive frames are ambiguous. Near 0 hypotheses are coherent motions; near twice
        the product of the shares every frame tosses its own coin.
    """
    sign = depths.values < 0
    both = depths.ambiguous[..., 1:, :] & depths.ambiguous[..., :-1, :]
    changed = (sign[..., 1:, :] != sign[..., :-1, :]).double().mean(-3)
    return (changed * both).sum(-2) / both.sum(-2)


def describe(depths: SignedDepths, min_frames: int = 1) -> tuple[str, ...]:
    """Sentences such as ``right forearm towards/away 60/40 (frames 3-20, 12 of 40)``.

    Args:
        depths: Of a single clip, without batch axes.
        min_frames: Columns ambiguous in fewer frames are left out.

    Returns:
        One sentence per ambiguous column, the one with most frames first; shares are means over the
        ambiguous frames, in percent.
    """
    n_frames = depths.ambiguous.shape[0]
    found = []
    for i, name in enumerate(depths.names):
        frames = torch.nonzero(depths.ambiguous[:, i])[:, 0]
        if len(frames) >= max(1, min_frames):
            share = round(100 * depths.negative[frames, i].mean().item())
            where = f"frames {frames[0]}-{frames[-1]}, {len(frames)} of {n_frames}"
            text = f"{name} {'/'.join(depths.sides)} {share}/{100 - share} ({where})"
            found.append((len(frames), text))
    return tuple(text for _, text in sorted(found, key=lambda item: -item[0]))


def _pair_name(left: str) -> str:
    return f"{left.removeprefix('left_').replace('_', ' ')}s".replace("foots", "feet")


def _signed(
    names: tuple[str, ...],
    sides: tuple[str, str],
    values: Float[Tensor, "*batch H F N"],
    min_share: float,
    resolution: float,
) -> SignedDepths:
    negative = (values < 0).double().mean(-3)
    negative = torch.where(
        torch.isnan(values).any(-3), torch.full_like(negative, torch.nan), negative
    )
    both = torch.minimum(negative, 1 - negative) >= min_share
    ambiguous = torch.zeros_like(both)
    candidates = values.movedim(-3, -1)[both]  # (n, H)
    if len(candidates):
        centers = find_modes(candidates[..., None], resolution=resolution).centers[..., 0]
        ambiguous[both] = (centers < 0).any(-1) & (centers > 0).any(-1)
    return SignedDepths(names, sides, values, negative, ambiguous)

"""Conversions between any two skeletons of the human body, by what their joints are called.

A joint the source has is copied. Others are formed where a rule of thumb is accurate enough:
the middle of the hips, the middle of the shoulders, the spine between them, and points of the neck
and head along the line from the shoulders, by their heights (in trunk lengths above the middle of
the shoulders; see :mod:`hypopose.skeletons.recipes` for where these come from, and the upper neck
from BODY_25B detections: 0.08 to 0.19). Everything else stays missing.
"""

from __future__ import annotations

from hypopose.skeletons.recipes import Blend, blend
from hypopose.types import Skeleton

MEANINGS: dict[str, dict[str, str]] = {
    "h36m17": {"neck": "neck_nose", "head": "upper_head"},
    "h36m21": {"neck": "neck_nose", "head": "upper_head"},
    "h36m16": {"head": "upper_head"},
    "h36m32": {"neck": "neck_nose", "head": "upper_head"},
    "body25b": {"neck": "upper_neck"},
    "body135": {"neck": "upper_neck"},
    "mpii16": {"neck": "upper_neck"},
    "3dhp17": {"neck": "upper_neck", "head": "upper_head"},
    "3dhp28": {"neck": "upper_neck", "head": "upper_head"},
    "smpl24": {"neck": "upper_neck", "head": "neck_nose", "spine1": "", "spine2": "spine"},
    "humaneva15": {"head": "upper_head"},
}
"""Joints whose name means something else than it says, or than it does in other skeletons."""

NAMESAKES = {
    "neck": "thorax",
    "mid_hip": "pelvis",
    "hip_center": "pelvis",
    "left_big_toe": "left_toe",
    "right_big_toe": "right_toe",
    "left_foot_index": "left_toe",
    "right_foot_index": "right_toe",
    "left_clavicle": "left_collar",
    "right_clavicle": "right_collar",
}
"""Other words for about the same place."""

HEIGHTS = {
    "upper_neck": 0.12,
    "neck_nose": 0.25,
    "nose": 0.31,
    "ears": 0.39,
    "eyes": 0.39,
    "upper_head": 0.46,
    "head_top": 0.64,
}
"""Trunk lengths above the middle of the shoulders."""
FORMED_HEIGHTS = ("upper_neck", "neck_nose", "upper_head", "head_top")
TRUNK = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
_SPINE_AT = 0.45


def meaning(skeleton: Skeleton, joint: str) -> str:
    """What a joint is, in one word for all skeletons.

    Example:
        >>> from hypopose.skeletons import BODY25, H36M17
        >>> meaning(BODY25, "neck"), meaning(H36M17, "neck")
        ('thorax', 'neck_nose')
    """
    return MEANINGS.get(skeleton.name, {}).get(joint) or NAMESAKES.get(joint, joint)


def recipes_by_name(
    source: Skeleton, target: Skeleton
) -> tuple[dict[str, tuple[Blend, ...]], tuple[str, ...]] | None:
    """How to form the target's joints, and which of them are approximate.

    Args:
        source: The skeleton of the keypoints.
        target: The skeleton wanted.

    Returns:
        Recipes and approximate joints; None if one of the two has no hips or shoulders, so that
        names are no evidence of a human body.

    Example:
        >>> from hypopose.skeletons import COCO17, MPII16
        >>> recipes, approximate = recipes_by_name(COCO17, MPII16)
        >>> approximate
        ('pelvis', 'thorax', 'neck', 'head_top')
    """
    if not set(TRUNK) <= set(source.joint_names) or not set(TRUNK) <= set(target.joint_names):
        return None
    have = {meaning(source, joint): joint for joint in reversed(source.joint_names)}
    recipes: dict[str, tuple[Blend, ...]] = {}
    approximate = []
    for joint in target.joint_names:
        wanted = meaning(target, joint)
        if wanted in have:
            recipes[joint] = ({have[wanted]: 1.0}, *_formed(wanted, have))
            if have[wanted] != joint or wanted == "thorax":
                approximate.append(joint)
        elif formed := _formed(wanted, have):
            recipes[joint] = formed
            approximate.append(joint)
    return recipes, tuple(approximate)


def _formed(wanted: str, have: dict[str, str]) -> tuple[Blend, ...]:
    """Alternatives for a joint the source does not have."""
    hips: Blend = {"left_hip": 0.5, "right_hip": 0.5}
    shoulders: Blend = {"left_shoulder": 0.5, "right_shoulder": 0.5}
    if wanted == "pelvis":
        return (hips,)
    if wanted == "thorax":
        return (shoulders,)
    if wanted == "spine":
        return (blend((1 - _SPINE_AT, hips), (_SPINE_AT, shoulders)),)
    if wanted not in FORMED_HEIGHTS:
        return ()
    points = sorted(_head_points(have), key=lambda p: abs(p[1] - HEIGHTS[wanted]))
    return tuple(
        blend((HEIGHTS[wanted] / height, point), (1 - HEIGHTS[wanted] / height, shoulders))
        for point, height in points
        if height > HEIGHTS["upper_neck"]  # too close to the shoulders to point anywhere
    )


def _head_points(have: dict[str, str]) -> list[tuple[Blend, float]]:
    """Points on the line from the shoulders through the head, and their heights."""
    points: list[tuple[Blend, float]] = []
    for part in ("ear", "eye"):
        if {f"left_{part}", f"right_{part}"} <= set(have):
            points.append(({f"left_{part}": 0.5, f"right_{part}": 0.5}, HEIGHTS[f"{part}s"]))
    for name in ("neck_nose", "nose", "upper_head", "head_top"):
        if name in have:
            points.append(({have[name]: 1.0}, HEIGHTS[name]))
    return points

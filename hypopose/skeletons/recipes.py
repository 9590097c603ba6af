"""How each joint of one skeleton is formed from the keypoints of another.

A recipe is a list of alternatives, tried in order; an alternative is a weighted mean of named
source joints whose weights sum to one, so that conversions commute with every rotation, scaling
and shift of the image. (The published COCO conversion, which treats x and y differently, does not;
it is kept separately.)

Detectors label faces, Human3.6M's tree has a neck/nose joint and a head joint. Measured in trunk
lengths (pelvis to thorax) above the middle of the shoulders:

===========================================  =====  ==========================================
point                                        along  seen in
===========================================  =====  ==========================================
neck/nose (9) of the training motion          0.25  motion capture, 12 cm
head (10) of the training motion              0.46  motion capture, 22 cm
middle of the ears                            0.39  COCO-style detections and labels
middle of the eyes                            0.39  the same
nose                                          0.31  the same
head top                                      0.64  BODY_25B
===========================================  =====  ==========================================

hence the factors below: the head lies 1.2 times as far from the shoulders as the ears, the
neck/nose 0.65 times. The spine joint lies 0.45 of the way from pelvis to thorax (0.43 in the
training motion, 0.47 in Human3.6M).
"""

from __future__ import annotations

from collections.abc import Mapping

from hypopose.types import Skeleton

Blend = Mapping[str, float]
"""Weights of source joints, by name; they sum to 1."""

Recipes = Mapping[str, tuple[Blend, ...]]
"""For each target joint the alternatives, first choice first; a joint left out stays missing."""

FORMED = ("pelvis", "spine", "thorax", "neck", "head")
"""Joints of :data:`hypopose.skeletons.H36M17` that detectors do not give."""

_SHOULDERS = {"left_shoulder": 0.5, "right_shoulder": 0.5}
_HIPS = {"left_hip": 0.5, "right_hip": 0.5}
_EYES = {"left_eye": 0.5, "right_eye": 0.5}
_SPINE_AT = 0.45


def blend(*parts: tuple[float, Blend]) -> dict[str, float]:
    """A weighted sum of blends.

    Example:
        >>> blend((0.5, {"left_hip": 1.0}), (0.5, {"right_hip": 1.0}))
        {'left_hip': 0.5, 'right_hip': 0.5}
    """
    total: dict[str, float] = {}
    for weight, part in parts:
        for name, w in part.items():
            total[name] = total.get(name, 0.0) + weight * w
    return {name: w for name, w in total.items() if w != 0.0}


_LANDMARKS: tuple[tuple[Blend, float, float], ...] = (
    ({"left_ear": 0.5, "right_ear": 0.5}, 1.2, 0.65),
    # One ear and both eyes: a head turned half away, its middle halfway between them.
    (blend((0.5, {"left_ear": 1.0}), (0.5, _EYES)), 1.2, 0.65),
    (blend((0.5, {"right_ear": 1.0}), (0.5, _EYES)), 1.2, 0.65),
    # One ear without the far eye: close to a profile, where the ear itself is the middle.
    ({"left_ear": 0.8, "nose": 0.2}, 1.2, 0.65),
    ({"right_ear": 0.8, "nose": 0.2}, 1.2, 0.65),
    ({"left_ear": 1.0}, 1.2, 0.65),
    ({"right_ear": 1.0}, 1.2, 0.65),
    (_EYES, 1.2, 0.65),
    ({"head_top": 1.0}, 0.72, 0.39),
    ({"nose": 1.0}, 1.5, 0.8),
)
"""Points of the head with how far, in units of their distance from the shoulders, the head and the
neck/nose joints lie."""

_THORAX: tuple[Blend, ...] = (_SHOULDERS, {"neck": 1.0})
_PELVIS: tuple[Blend, ...] = (_HIPS, {"pelvis": 1.0})


_COPIED = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)


def detector_recipes(source: Skeleton) -> dict[str, tuple[Blend, ...]]:
    """Our recipes for Human3.6M's 17 joints from a detector's keypoints.

    Hips, knees, ankles, shoulders, elbows and wrists are copied.

    Args:
        source: A skeleton with left and right shoulders and hips.

    Returns:
        Alternatives that use only joints the source has.
    """
    above_shoulders = [(base, point) for base in _THORAX for point in _LANDMARKS]
    recipes: dict[str, tuple[Blend, ...]] = {
        "pelvis": _PELVIS,
        "thorax": _THORAX,
        "spine": tuple(
            blend((1 - _SPINE_AT, pelvis), (_SPINE_AT, thorax))
            for thorax in _THORAX
            for pelvis in _PELVIS
        ),
        "neck": tuple(blend((n, point), (1 - n, b)) for b, (point, _, n) in above_shoulders),
        "head": tuple(blend((h, point), (1 - h, b)) for b, (point, h, _) in above_shoulders),
    }
    recipes |= {joint: ({joint: 1.0},) for joint in _COPIED}
    available = set(source.joint_names)
    return {
        joint: tuple(b for b in blends if set(b) <= available) for joint, blends in recipes.items()
    }


def copies(source: Skeleton, target: Skeleton) -> dict[str, tuple[Blend, ...]]:
    """Recipes that copy joints of the same name and leave the others missing."""
    return {name: ({name: 1.0},) for name in target.joint_names if name in source.joint_names}


def relabel(
    source: Skeleton, target: Skeleton, order: tuple[int, ...]
) -> dict[str, tuple[Blend, ...]]:
    """Recipes that copy by index: target joint i is source joint ``order[i]``."""
    return {
        name: ({source.joint_names[j]: 1.0},)
        for name, j in zip(target.joint_names, order, strict=True)
    }

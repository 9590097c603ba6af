"""Conversions to Human3.6M's 17 joints as published code does them, for comparison.

Kept apart from ours because they differ: the COCO one treats x and y differently and so only fits
upright people; the Halpe-26 one puts the nose at joint 9 and the head top at joint 10.
"""

from __future__ import annotations

from hypopose.skeletons.recipes import Blend, blend, relabel
from hypopose.skeletons.tables import H36M17, HALPE26, MPI3DHP17, MPII16

_LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
_COPIED: dict[str, Blend] = {name: {name: 1.0} for name in _LIMBS}
_SHOULDERS: Blend = {"left_shoulder": 0.5, "right_shoulder": 0.5}
_HIPS: Blend = {"left_hip": 0.5, "right_hip": 0.5}
_EYES: Blend = {"left_eye": 0.5, "right_eye": 0.5}
_EARS: Blend = {"left_ear": 0.5, "right_ear": 0.5}
_NOSE: Blend = {"nose": 1.0}
_TRUNK = blend((0.5, _SHOULDERS), (0.5, _HIPS))


def _each(blends: dict[str, Blend]) -> dict[str, tuple[Blend, ...]]:
    return {joint: (b,) for joint, b in blends.items()}


def coco_horizontal(spine_shift: float) -> dict[str, tuple[Blend, ...]]:
    """The x coordinates of the lifters' demo code for COCO.

    The thorax lies a third of the way from the shoulders to the nose, joint 9 three quarters, the
    head at the mean of eyes and ears; the spine is pushed away from the pelvis–thorax line.

    Args:
        spine_shift: 2 in the code that runs, 0.3 in a second copy of it.
    """
    thorax = blend((2 / 3, _SHOULDERS), (1 / 3, _NOSE))
    line = blend((0.5, _HIPS), (0.5, thorax))
    return _each(
        {
            **_COPIED,
            "pelvis": _HIPS,
            "spine": blend((1 + spine_shift, _TRUNK), (-spine_shift, line)),
            "thorax": thorax,
            "neck": blend((0.75, _NOSE), (0.25, _SHOULDERS)),
            "head": blend((0.5, _EYES), (0.5, _EARS)),
        }
    )


def coco_vertical() -> dict[str, tuple[Blend, ...]]:
    """The y coordinates of the lifters' demo code for COCO: the nose mirrored over the eyes."""
    thorax = blend((2 / 3, _SHOULDERS), (1 / 3, _NOSE))
    return _each(
        {
            **_COPIED,
            "pelvis": _HIPS,
            "spine": _TRUNK,
            "thorax": blend((1.0, thorax), (-2 / 3, _EYES), (2 / 3, _NOSE)),
            "neck": blend((0.75, _NOSE), (0.25, _SHOULDERS)),
            "head": blend((2.0, _EYES), (-1.0, _NOSE)),
        }
    )


def coco_scores() -> dict[str, tuple[Blend, ...]]:
    """The confidences of the lifters' demo code for COCO."""
    return _each(
        {
            **_COPIED,
            "pelvis": _HIPS,
            "spine": _TRUNK,
            "thorax": _SHOULDERS,
            "neck": _NOSE,
            "head": blend((0.5, _EYES), (0.5, _EARS)),
        }
    )


def halpe_recipes() -> dict[str, tuple[Blend, ...]]:
    """MotionBERT's table for Halpe-26."""
    order = (19, 12, 14, 16, 11, 13, 15, 19, 18, 0, 17, 5, 7, 9, 6, 8, 10)
    table = relabel(HALPE26, H36M17, order)
    return {**table, "spine": ({"neck": 0.5, "pelvis": 0.5},)}


def mpii_recipes() -> dict[str, tuple[Blend, ...]]:
    """The demo code's table for MPII; the spine is the mean of hips and shoulders."""
    order = (6, 2, 1, 0, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 12, 11, 10)
    return {**relabel(MPII16, H36M17, order), "spine": (_TRUNK,)}


def mpi3dhp_recipes() -> dict[str, tuple[Blend, ...]]:
    """MPI-INF-3DHP's test order relabeled; joints 8, 9, 10 differ anatomically from Human3.6M."""
    order = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
    return relabel(MPI3DHP17, H36M17, order)

"""Tell 3D joints from 2D keypoints: a third coordinate that behaves as depth is refused.

Evidence of depth: a third channel beyond the range of confidences; coordinates about the hips; a
share of negative coordinates that no image has; limbs whose lengths are constant with the third
coordinate and not without it (a limb that turns towards the camera gets shorter in the image).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.errors import FormatError
from hypopose.io.source import Source
from hypopose.types import Skeleton

CURE = (
    "give the 2D keypoints that the detector found in the image; hypopose import FILE -o OUT.npz "
    "reads 3D motion"
)
MAX_CONFIDENCE = 10.0
"""Old detectors write confidences up to 6; most stay below 1."""
MAX_FLAG = 2
MANY = 10
NEGATIVE_SHARE = 0.2
CENTERED = 0.02
RIGID = 0.02
_LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))


def without_marks(
    xy: Float[np.ndarray, "*any 2"], third: Float[np.ndarray, "*any"]
) -> Float[np.ndarray, "*any"]:
    """The numbers beside x and y, 0 for missing points that are written as -1, -1, -1.

    Args:
        xy: As the file has them.
        third: As the file has them.
    """
    return np.where((xy == -1).all(-1) & (third == -1), 0.0, third)


def check_third_channel(source: Source, third: Float[np.ndarray, "..."]) -> None:
    """Refuse an array's third channel that is neither a confidence nor a visibility flag.

    Args:
        source: The file, for messages.
        third: Values beside x and y; NaN where missing.

    Raises:
        FormatError: If a value is below 0 or above 1, unless all are flags 0, 1 and 2.
    """
    known = third[np.isfinite(third)]
    flags = bool(np.isin(known, (0, 1, 2)).all())
    if not known.size or flags or (known.min() >= 0 and known.max() <= 1):
        return
    raise source.error(
        f"the third channel runs from {known.min():.4g} to {known.max():.4g}, so it is not a "
        "confidence but a depth: these are 3D joints",
        f"{CURE}; if it is a confidence, scale it to 0 to 1",
    )


def check_confidences(confidence: np.ndarray, file: str) -> None:
    """Refuse confidences of any format that are far from 0 to 1.

    Args:
        confidence: Of the keypoints that are there, finite.
        file: Name of the file, for the message.

    Raises:
        FormatError: If one is above 10 or below -1, or none of many is as low as 2.
    """
    if not confidence.size:
        return
    low, high = float(confidence.min()), float(confidence.max())
    never_low = low > MAX_FLAG and confidence.size >= MANY
    if high > MAX_CONFIDENCE or low < -1 or never_low:
        raise FormatError(
            f"{file}: the number after each x and y runs from {low:.4g} to {high:.4g}, so it is "
            f"not a confidence and may be a depth; {CURE}, and if it is a confidence, scale it to "
            "0 to 1."
        )


def check_depth(source: Source, xyz: Float[np.ndarray, "F J 3"], skeleton: Skeleton) -> None:
    """Refuse points with a third coordinate that are measured in space and not in an image.

    Args:
        source: The file, for messages.
        xyz: x, y and z as the file has them; NaN where missing.
        skeleton: Which joints these are.

    Raises:
        FormatError: If they are centered on the hips, lie where no image is, or have limbs that
            are rigid only in 3D.
    """
    names = skeleton.joint_names
    reasons = (
        _about_the_hips(xyz, names),
        _negative(xyz),
        _rigid_in_space(xyz, names),
        "its name says 3D" if "3d" in source.path.stem.lower() else "",
    )
    reason = next((r for r in reasons if r), "")
    if reason:
        raise source.error(f"holds 3D joints, not 2D keypoints ({reason})", CURE)


def _about_the_hips(xyz: Float[np.ndarray, "F J 3"], names: tuple[str, ...]) -> str:
    if not {"left_hip", "right_hip"} <= set(names):
        return ""
    hips = (xyz[:, names.index("left_hip"), :2] + xyz[:, names.index("right_hip"), :2]) / 2
    known = np.isfinite(hips).all(-1)
    if not known.any():
        return ""
    points = xyz[known][..., :2]
    size = np.nanmax(points, axis=(1, 2)) - np.nanmin(points, axis=(1, 2))
    away = np.linalg.norm(hips[known], axis=-1) / np.maximum(size, 1e-9)
    if np.median(away) > CENTERED:
        return ""
    return "they are centered on the hips, as MediaPipe's world landmarks are"


def _negative(xyz: Float[np.ndarray, "F J 3"]) -> str:
    known = xyz[..., :2][np.isfinite(xyz[..., :2]).all(-1)]
    if not len(known):
        return ""
    share = float((known < 0).any(-1).mean())
    return f"{share:.0%} have a negative x or y" if share > NEGATIVE_SHARE else ""


def _rigid_in_space(xyz: Float[np.ndarray, "F J 3"], names: tuple[str, ...]) -> str:
    """Limbs of constant length with z that change by more than that without it."""
    variation = []
    for side in ("left", "right"):
        for upper, lower in _LIMBS:
            ends = f"{side}_{upper}", f"{side}_{lower}"
            if set(ends) <= set(names):
                limb = xyz[:, names.index(ends[0])] - xyz[:, names.index(ends[1])]
                variation.append([_variation(limb), _variation(limb[:, :2])])
    known = [v for v in variation if np.isfinite(v).all()]
    if len(known) < len(_LIMBS):
        return ""
    space, image = np.median(np.array(known), axis=0)
    if space < RIGID and image > 2 * space + RIGID:
        return "limbs have constant lengths only with the third coordinate"
    return ""


def _variation(limb: Float[np.ndarray, "F d"]) -> float:
    length = np.linalg.norm(limb, axis=-1)
    known = length[np.isfinite(length)]
    if len(known) < 5 or known.mean() == 0:
        return float("nan")
    return float(known.std() / known.mean())

"""Whether enough of a person was detected to draw a body from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from hypopose.io.detections import Detections
from hypopose.types import Skeleton

MIN_JOINTS = 4
"""Body joints (shoulders, elbows, wrists, hips, knees, ankles) a frame must have to count."""
LONG = 30
"""Frames from which a clip is long enough to tell a person from a false detection."""
MIN_FRAMES = 3
"""Frames that count which a person must have in a clip that is long."""
_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def body_joints(skeleton: Skeleton) -> list[int]:
    """The twelve joints of trunk and limbs; all joints of a skeleton that names few of them.

    Example:
        >>> from hypopose.skeletons import COCO17
        >>> len(body_joints(COCO17))
        12
    """
    names = [f"{side}_{part}" for side in ("left", "right") for part in _PARTS]
    found = [skeleton.index(name) for name in names if name in skeleton.joint_names]
    return found if len(found) >= MIN_JOINTS else list(range(skeleton.n_joints))


def too_little_seen(
    detections: Detections, people: Mapping[str, Int[np.ndarray, " n"]], min_joints: int
) -> dict[str, str]:
    """People of whom too little was detected, and what was.

    Args:
        detections: Cleaned detections.
        people: Rows per person.
        min_joints: Body joints a frame must have to count; 0 if anybody will do.

    Returns:
        Name to a few words: ``"at most 1 of 12 body joints detected"``.
    """
    if min_joints == 0:
        return {}
    joints = body_joints(detections.skeleton)
    # Joints of an unknown skeleton may be anything: one of them is enough.
    named = len(joints) < detections.skeleton.n_joints or len(joints) == 2 * len(_PARTS)
    needed = min(min_joints, len(joints)) if named else min(min_joints, 1)
    long = detections.shared_clock and detections.last_frame - detections.first_frame + 1 >= LONG
    found = {}
    for name, rows in people.items():
        seen = np.isfinite(detections.xy[rows][:, joints]).all(-1).sum(-1)
        n_good = int((seen >= needed).sum())
        if n_good == 0:
            found[name] = f"at most {seen.max()} of {len(joints)} body joints detected"
        elif long and n_good < MIN_FRAMES:
            found[name] = f"{needed} or more body joints detected in {n_good} frame(s) only"
    return found

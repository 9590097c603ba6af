"""How well points fit the skeletons that have as many joints.

Drawn in a wrong order, bones run across the body and are long; and shoulders and hips point to
different sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton

CLEAR_RATIO = 1.3
"""Bones must be this much shorter before geometry overrules a documented default."""
MIN_BONES = 6
N_EXAMINED = 200
"""Detections that are looked at, spread over the file."""


def skeletons_by_fit(values: Sequence[np.ndarray] | np.ndarray) -> dict[str, float]:
    """Known skeletons with as many joints as there are points, the best fitting one first.

    Args:
        values: Detections (J, 2 or more), zeros and NaN missing.

    Returns:
        Name to misfit: the mean bone length in diagonals of the body, times one plus the share of
        bodies whose shoulders and hips point to different sides. About 0.1 for the right order.
    """
    n_points = len(values[0]) if len(values) else 0
    step = max(1, len(values) // N_EXAMINED)
    some = [np.asarray(v)[:, :2] for v in values[::step]]
    misfits = {s.name: _misfit(some, s) for s in SKELETONS.values() if s.n_joints == n_points}
    known = {name: m for name, m in misfits.items() if np.isfinite(m)}
    unknown = {name: m for name, m in misfits.items() if not np.isfinite(m)}
    return dict(sorted(known.items(), key=lambda item: item[1])) | unknown


def _misfit(values: Sequence[np.ndarray], skeleton: Skeleton) -> float:
    return bone_length(values, skeleton) * (1 + _crossed_share(values, skeleton))


def bone_length(values: Sequence[np.ndarray] | np.ndarray, skeleton: Skeleton) -> float:
    """Median over detections of the mean bone length, in diagonals of the person's bounding box.

    Args:
        values: Detections (J, 2 or more); zeros and NaN are missing.
        skeleton: The order to draw the points in.

    Returns:
        About 0.1 for the right order, more for a wrong one; NaN if too few points are there.
    """
    parents, children = np.array(skeleton.bones).T
    step = max(1, len(values) // N_EXAMINED)
    lengths = [_mean_bone(v[:, :2], parents, children) for v in values[::step]]
    known = [x for x in lengths if np.isfinite(x)]
    return float(np.median(known)) if known else float("nan")


def _mean_bone(xy: Float[np.ndarray, "J 2"], parents: np.ndarray, children: np.ndarray) -> float:
    present = np.isfinite(xy).all(-1) & (xy != 0).any(-1) & (np.abs(xy) < 1e6).all(-1)
    drawn = present[parents] & present[children]
    if drawn.sum() < MIN_BONES:
        return float("nan")
    extent = float(np.linalg.norm(np.ptp(xy[present], axis=0)))
    bones = np.linalg.norm(xy[parents[drawn]] - xy[children[drawn]], axis=-1)
    return float(bones.mean()) / extent if extent > 0 else float("nan")


def _crossed_share(values: Sequence[np.ndarray], skeleton: Skeleton) -> float:
    """Share of bodies whose shoulders and hips point to different sides."""
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    if not set(names) <= set(skeleton.joint_names):
        return 0.0
    points = np.array([[v[skeleton.index(name)] for name in names] for v in values])
    across = ((points[:, 0] - points[:, 1]) * (points[:, 2] - points[:, 3])).sum(-1)
    known = across[np.isfinite(across) & (across != 0)]
    return float((known < 0).mean()) if len(known) else 0.0

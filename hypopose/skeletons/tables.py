"""The joint tables. A skeleton is always named, never inferred from a joint count."""

from __future__ import annotations

from hypopose.types import Skeleton

H36M17 = Skeleton(
    name="h36m17",
    joint_names=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "neck", "head", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    left=(4, 5, 6, 11, 12, 13),
    right=(1, 2, 3, 14, 15, 16),
)  # fmt: skip
"""Human3.6M's 17 joints; ``neck`` is the neck/nose joint, ``head`` the top of the head."""

SKELETONS: dict[str, Skeleton] = {s.name: s for s in (H36M17,)}

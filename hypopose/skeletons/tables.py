"""The joint tables. A skeleton is always named, never inferred from a joint count.

Parents of joints that a detector scatters over a face are chosen for drawing; those of 3D skeletons
are the kinematic tree of the data set.
"""

from __future__ import annotations

from hypopose.errors import SkeletonMismatchError
from hypopose.skeletons.depth_cameras import KINECTS
from hypopose.skeletons.wholebody import WHOLE_BODIES
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

H36M21 = Skeleton(
    name="h36m21",
    joint_names=(
        *H36M17.joint_names, "left_heel", "left_big_toe", "right_heel", "right_big_toe",
    ),
    parents=(*H36M17.parents, 6, 6, 3, 3),
    left=(*H36M17.left, 17, 18),
    right=(*H36M17.right, 19, 20),
)  # fmt: skip
"""Human3.6M's 17 joints, and heels and big toes, which are derived from 2D points of feet."""

H36M16 = Skeleton(
    name="h36m16",
    joint_names=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "head", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14),
    left=(4, 5, 6, 10, 11, 12),
    right=(1, 2, 3, 13, 14, 15),
)  # fmt: skip
"""Human3.6M without the neck/nose joint, as stacked-hourglass lifters use it."""

H36M32 = Skeleton(
    name="h36m32",
    joint_names=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "right_toe", "right_toe_end",
        "left_hip", "left_knee", "left_ankle", "left_toe", "left_toe_end",
        "spine_base", "spine", "thorax", "neck", "head",
        "left_collar", "left_shoulder", "left_elbow", "left_wrist", "left_wrist_copy",
        "left_thumb", "left_hand", "left_hand_end",
        "right_collar", "right_shoulder", "right_elbow", "right_wrist", "right_wrist_copy",
        "right_thumb", "right_hand", "right_hand_end",
    ),
    parents=(
        -1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 12, 16, 17, 18, 19, 20, 19, 22,
        12, 24, 25, 26, 27, 28, 27, 30,
    ),
    left=(6, 7, 8, 9, 10, 16, 17, 18, 19, 20, 21, 22, 23),
    right=(1, 2, 3, 4, 5, 24, 25, 26, 27, 28, 29, 30, 31),
)  # fmt: skip
"""Human3.6M's full set, several joints of which coincide."""


_COCO17_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
_COCO17_PARENTS = (-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14)

COCO17 = Skeleton(
    name="coco17",
    joint_names=_COCO17_NAMES,
    parents=_COCO17_PARENTS,
    left=(1, 3, 5, 7, 9, 11, 13, 15),
    right=(2, 4, 6, 8, 10, 12, 14, 16),
)
"""COCO's 17 keypoints: left odd, right even."""

COCO18 = Skeleton(
    name="coco18",
    joint_names=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    parents=(1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15),
    left=(5, 6, 7, 11, 12, 13, 15, 17),
    right=(2, 3, 4, 8, 9, 10, 14, 16),
)  # fmt: skip
"""OpenPose's COCO model (and 3DPW's 2D poses): COCO plus a neck between the shoulders."""

BODY25 = Skeleton(
    name="body25",
    joint_names=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "pelvis",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
        "left_big_toe", "left_small_toe", "left_heel",
        "right_big_toe", "right_small_toe", "right_heel",
    ),
    parents=(
        1, 8, 1, 2, 3, 1, 5, 6, -1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11,
    ),
    left=(5, 6, 7, 12, 13, 14, 16, 18, 19, 20, 21),
    right=(2, 3, 4, 9, 10, 11, 15, 17, 22, 23, 24),
)  # fmt: skip
"""OpenPose BODY_25; ``neck`` lies between the shoulders, ``pelvis`` between the hips."""

BODY25B = Skeleton(
    name="body25b",
    joint_names=(
        *_COCO17_NAMES, "neck", "head_top",
        "left_big_toe", "left_small_toe", "left_heel",
        "right_big_toe", "right_small_toe", "right_heel",
    ),
    parents=(*_COCO17_PARENTS, 0, 17, 15, 19, 15, 16, 22, 16),
    left=(1, 3, 5, 7, 9, 11, 13, 15, 19, 20, 21),
    right=(2, 4, 6, 8, 10, 12, 14, 16, 22, 23, 24),
)  # fmt: skip
"""OpenPose BODY_25B: COCO-17, MPII's upper neck and head top, feet. No mid hip."""

HALPE26 = Skeleton(
    name="halpe26",
    joint_names=(
        *_COCO17_NAMES, "head_top", "neck", "pelvis",
        "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
        "left_heel", "right_heel",
    ),
    parents=(18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8, 19, 19, 11, 12, 13, 14, 18, 19, -1,
             15, 16, 20, 21, 15, 16),
    left=(1, 3, 5, 7, 9, 11, 13, 15, 20, 22, 24),
    right=(2, 4, 6, 8, 10, 12, 14, 16, 21, 23, 25),
)  # fmt: skip
"""Halpe's 26 body keypoints: COCO-17, head top, neck, mid hip, feet."""

MPII16 = Skeleton(
    name="mpii16",
    joint_names=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "pelvis", "thorax", "neck", "head_top", "right_wrist", "right_elbow", "right_shoulder",
        "left_shoulder", "left_elbow", "left_wrist",
    ),
    parents=(1, 2, 6, 6, 3, 4, -1, 6, 7, 8, 11, 12, 7, 7, 13, 14),
    left=(3, 4, 5, 13, 14, 15),
    right=(2, 1, 0, 12, 11, 10),
)  # fmt: skip
"""MPII's 16 keypoints; ``neck`` is its upper neck."""

MPI3DHP28 = Skeleton(
    name="3dhp28",
    joint_names=(
        "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top",
        "left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
        "right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand",
        "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
        "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
    ),
    parents=(
        2, 0, 3, 4, -1, 1, 5, 6, 5, 8, 9, 10, 11, 5, 13, 14, 15, 16,
        4, 18, 19, 20, 21, 4, 23, 24, 25, 26,
    ),
    left=(8, 9, 10, 11, 12, 18, 19, 20, 21, 22),
    right=(13, 14, 15, 16, 17, 23, 24, 25, 26, 27),
)  # fmt: skip
"""MPI-INF-3DHP's 28 joints."""

MPI3DHP17 = Skeleton(
    name="3dhp17",
    joint_names=(
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
    ),
    parents=(16, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, -1, 14, 1),
    left=(5, 6, 7, 11, 12, 13),
    right=(2, 3, 4, 8, 9, 10),
)  # fmt: skip
"""The order of MPI-INF-3DHP's test set."""


HUMANEVA15 = Skeleton(
    name="humaneva15",
    joint_names=(
        "pelvis", "thorax", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist", "left_hip", "left_knee", "left_ankle",
        "right_hip", "right_knee", "right_ankle", "head",
    ),
    parents=(-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1),
    left=(2, 3, 4, 8, 9, 10),
    right=(5, 6, 7, 11, 12, 13),
)  # fmt: skip
"""HumanEva-I's 15 joints."""

SMPL24 = Skeleton(
    name="smpl24",
    joint_names=(
        "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2",
        "left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck",
        "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
    ),
    parents=(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
    left=(1, 4, 7, 10, 13, 16, 18, 20, 22),
    right=(2, 5, 8, 11, 14, 17, 19, 21, 23),
)  # fmt: skip
"""SMPL's 24 joints."""

MEDIAPIPE33 = Skeleton(
    name="mediapipe33",
    joint_names=(
        "nose", "left_eye_inner", "left_eye", "left_eye_outer",
        "right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear",
        "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
        "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee",
        "left_ankle", "right_ankle", "left_heel", "right_heel",
        "left_foot_index", "right_foot_index",
    ),
    parents=(
        -1, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16,
        11, 12, 23, 24, 25, 26, 27, 28, 29, 30,
    ),
    left=(1, 2, 3, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31),
    right=(4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32),
)  # fmt: skip
"""MediaPipe's 33 pose landmarks."""

SKELETONS: dict[str, Skeleton] = {
    s.name: s
    for s in (
        H36M17, H36M21, H36M16, H36M32, COCO17, COCO18, BODY25, BODY25B, HALPE26, MPII16,
        MPI3DHP17, MPI3DHP28, HUMANEVA15, SMPL24, MEDIAPIPE33, *WHOLE_BODIES, *KINECTS,
    )
}  # fmt: skip
"""Every named skeleton."""


def get_skeleton(name: str | Skeleton) -> Skeleton:
    """Look a skeleton up by name.

    Args:
        name: A key of :data:`SKELETONS`; a skeleton passes through.

    Raises:
        SkeletonMismatchError: If no skeleton has that name; the message lists those that exist.

    Example:
        >>> get_skeleton("coco17").joint_names[0]
        'nose'
    """
    if isinstance(name, Skeleton):
        return name
    if name not in SKELETONS:
        raise SkeletonMismatchError(
            f"There is no skeleton {name!r}; choose one of {', '.join(sorted(SKELETONS))}."
        )
    return SKELETONS[name]

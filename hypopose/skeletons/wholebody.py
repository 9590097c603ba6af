"""Whole-body joint sets: a detector's body and feet with its face and hands.

Conversions use the body (and feet, where the target has them); face and hand points stay in the
keypoints as they are. Orders are those the data sets and tools document: COCO-WholeBody (133),
Halpe (136), OpenPose's BODY_135.
"""

from __future__ import annotations

from hypopose.types import Skeleton

_COCO17_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
_FEET_BY_SIDE = (
    "left_big_toe", "left_small_toe", "left_heel",
    "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
_FEET_BY_POINT = (
    "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe", "left_heel", "right_heel",
)  # fmt: skip
_PARENT_BY_NAME = {
    "left_eye": "nose", "right_eye": "nose", "left_ear": "left_eye", "right_ear": "right_eye",
    "left_elbow": "left_shoulder", "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow", "right_wrist": "right_elbow",
    "left_hip": "left_shoulder", "right_hip": "right_shoulder",
    "left_knee": "left_hip", "right_knee": "right_hip",
    "left_ankle": "left_knee", "right_ankle": "right_knee",
    "left_big_toe": "left_ankle", "right_big_toe": "right_ankle",
    "left_small_toe": "left_big_toe", "right_small_toe": "right_big_toe",
    "left_heel": "left_ankle", "right_heel": "right_ankle",
    "head_top": "nose", "neck": "nose", "pelvis": "neck",
}  # fmt: skip
"""Parents for drawing; joints not named here hang on the nose."""


def face(n_points: int) -> tuple[str, ...]:
    """Names of the 68 face points of iBUG, or of 70 with the pupils.

    A point on the person's left is named after the one opposite, ``left_face_36`` and
    ``right_face_36``; those in the middle are ``face_8`` and so on.

    Example:
        >>> names = face(68)
        >>> names[16], names[0], names[8]
        ('left_face_0', 'right_face_0', 'face_8')
    """
    pairs = [(16 - i, i) for i in range(8)]  # jaw
    pairs += [(26 - i, 17 + i) for i in range(5)]  # brows
    pairs += [(35, 31), (34, 32)]  # nostrils
    pairs += [(45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41)]  # eyes
    pairs += [(54, 48), (53, 49), (52, 50), (55, 59), (56, 58)]  # outer lips
    pairs += [(64, 60), (63, 61), (65, 67)]  # inner lips
    pairs += [(69, 68)]  # pupils
    names = {i: f"face_{i}" for i in range(n_points)}
    for left, right in pairs:
        names |= {left: f"left_face_{right}", right: f"right_face_{right}"}
    return tuple(names[i] for i in range(n_points))


def hand(side: str, n_points: int) -> tuple[str, ...]:
    """Names of a hand's points: 21 with the wrist of the hand model, 20 without.

    Example:
        >>> hand("left", 21)[0], hand("right", 20)[0]
        ('left_hand_0', 'right_hand_1')
    """
    return tuple(f"{side}_hand_{i}" for i in range(21 - n_points, 21))


def _whole(name: str, joints: tuple[str, ...]) -> Skeleton:
    """A skeleton whose sides and parents are told by its names."""
    at = {joint: i for i, joint in enumerate(joints)}

    def parent(joint: str) -> int:
        if joint == "nose":
            return -1
        if "_hand_" in joint:
            return at[f"{joint.split('_', maxsplit=1)[0]}_wrist"]
        return at[_PARENT_BY_NAME.get(joint, "nose")]

    left = tuple(joint for joint in joints if joint.startswith("left_"))
    return Skeleton(
        name=name,
        joint_names=joints,
        parents=tuple(parent(joint) for joint in joints),
        left=tuple(at[joint] for joint in left),
        right=tuple(at[joint.replace("left_", "right_", 1)] for joint in left),
    )


COCO133 = _whole(
    "coco133",
    (*_COCO17_NAMES, *_FEET_BY_SIDE, *face(68), *hand("left", 21), *hand("right", 21)),
)
"""COCO-WholeBody: COCO-17, six points of the feet, 68 of the face, 21 of each hand."""

HALPE136 = _whole(
    "halpe136",
    (
        *_COCO17_NAMES, "head_top", "neck", "pelvis", *_FEET_BY_POINT,
        *face(68), *hand("left", 21), *hand("right", 21),
    ),
)  # fmt: skip
"""Halpe full body: Halpe-26, 68 points of the face, 21 of each hand."""

BODY135 = _whole(
    "body135",
    (
        *_COCO17_NAMES, "neck", "head_top", *_FEET_BY_SIDE,
        *hand("left", 20), *hand("right", 20), *face(70),
    ),
)  # fmt: skip
"""OpenPose BODY_135: BODY_25B, 20 points of each hand, 70 of the face."""

WHOLE_BODIES = (COCO133, HALPE136, BODY135)

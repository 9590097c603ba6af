"""The joints of Microsoft's depth cameras, as their documentation lists them.

Azure Kinect: https://learn.microsoft.com/azure/kinect-dk/body-joints. Kinect for Windows v2:
``JointType`` of its SDK.
"""

from __future__ import annotations

from hypopose.types import Skeleton

AZURE_WORDS = (
    "PELVIS", "SPINE_NAVEL", "SPINE_CHEST", "NECK", "CLAVICLE_LEFT", "SHOULDER_LEFT", "ELBOW_LEFT",
    "WRIST_LEFT", "HAND_LEFT", "HANDTIP_LEFT", "THUMB_LEFT", "CLAVICLE_RIGHT", "SHOULDER_RIGHT",
    "ELBOW_RIGHT", "WRIST_RIGHT", "HAND_RIGHT", "HANDTIP_RIGHT", "THUMB_RIGHT", "HIP_LEFT",
    "KNEE_LEFT", "ANKLE_LEFT", "FOOT_LEFT", "HIP_RIGHT", "KNEE_RIGHT", "ANKLE_RIGHT", "FOOT_RIGHT",
    "HEAD", "NOSE", "EYE_LEFT", "EAR_LEFT", "EYE_RIGHT", "EAR_RIGHT",
)  # fmt: skip
"""What the SDK calls them, in its order."""

KINECT_WORDS = (
    "SpineBase", "SpineMid", "Neck", "Head", "ShoulderLeft", "ElbowLeft", "WristLeft", "HandLeft",
    "ShoulderRight", "ElbowRight", "WristRight", "HandRight", "HipLeft", "KneeLeft", "AnkleLeft",
    "FootLeft", "HipRight", "KneeRight", "AnkleRight", "FootRight", "SpineShoulder", "HandTipLeft",
    "ThumbLeft", "HandTipRight", "ThumbRight",
)  # fmt: skip


def _sided(word: str) -> str:
    name, _, side = word.lower().rpartition("_")
    return f"{side}_{name}" if side in ("left", "right") else word.lower()


def _pairs(names: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    left = tuple(i for i, name in enumerate(names) if name.startswith("left_"))
    return left, tuple(names.index(names[i].replace("left_", "right_")) for i in left)


_AZURE_NAMES = tuple(_sided(word) for word in AZURE_WORDS)
AZURE32 = Skeleton(
    "azure32",
    _AZURE_NAMES,
    (-1, 0, 1, 2, 2, 4, 5, 6, 7, 8, 7, 2, 11, 12, 13, 14, 15, 14, 0, 18, 19, 20, 0, 22, 23, 24,
     3, 26, 26, 26, 26, 26),
    *_pairs(_AZURE_NAMES),
)  # fmt: skip
"""Azure Kinect's 32 joints."""

_KINECT_NAMES = (
    "pelvis", "spine", "upper_neck", "head", "left_shoulder", "left_elbow", "left_wrist",
    "left_hand", "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip",
    "left_knee", "left_ankle", "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot",
    "thorax", "left_handtip", "left_thumb", "right_handtip", "right_thumb",
)  # fmt: skip
KINECT25 = Skeleton(
    "kinect25",
    _KINECT_NAMES,
    (-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11),
    *_pairs(_KINECT_NAMES),
)
"""Kinect v2's 25 joints; its SpineBase is the pelvis, SpineShoulder the thorax."""

KINECTS = (AZURE32, KINECT25)

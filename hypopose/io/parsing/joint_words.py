"""One spelling for what programs call the joints of a body.

``RHip``, ``R_Hip``, ``hip_r``, ``rightHip`` and ``Hip.R`` are ``right_hip``; ``CHip`` and
``MidHip`` are ``pelvis``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PARTS = {
    "shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist", "hip": "hip", "knee": "knee",
    "ankle": "ankle", "eye": "eye", "ear": "ear", "heel": "heel", "toe": "toe", "foot": "foot",
    "hand": "hand", "thumb": "thumb", "clavicle": "clavicle", "collar": "collar",
    "big_toe": "big_toe", "bigtoe": "big_toe", "bt": "big_toe", "small_toe": "small_toe",
    "smalltoe": "small_toe", "little_toe": "small_toe", "st": "small_toe",
    "foot_index": "foot_index", "pinky": "pinky", "index": "index",
    "eye_inner": "eye_inner", "eye_outer": "eye_outer",
    "sho": "shoulder", "shldr": "shoulder", "elb": "elbow", "wri": "wrist", "kne": "knee",
    "ank": "ankle",
}  # fmt: skip
_MIDDLE = {
    "chip": "pelvis", "c_hip": "pelvis", "mid_hip": "pelvis", "midhip": "pelvis",
    "hip_center": "pelvis", "center_hip": "pelvis", "hips": "pelvis", "hip": "pelvis",
    "mid_hips": "pelvis", "root": "pelvis", "center_hips": "pelvis", "hip_mid": "pelvis",
    "chest": "thorax", "headtop": "head_top", "top_of_head": "head_top",
    "mid_shoulder": "thorax", "shoulder_center": "thorax",
}  # fmt: skip
_APPLE = {
    "shoulder_1_joint": "shoulder", "forearm_joint": "elbow", "hand_joint": "wrist",
    "up_leg_joint": "hip", "leg_joint": "knee", "foot_joint": "ankle", "eye_joint": "eye",
    "ear_joint": "ear",
}  # fmt: skip
"""Apple Vision's joints, whose hands are wrists and whose feet are ankles."""
_PARTS |= _APPLE
_MIDDLE |= {"head_joint": "nose", "neck_1_joint": "neck", "head_bottom": "neck"}
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}


def plain(name: str) -> str:
    """A joint's name without its spelling.

    Example:
        >>> plain("LeftHip"), plain("Left Hip"), plain("LEFT_HIP")
        ('left_hip', 'left_hip', 'left_hip')
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")


def usual_name(name: str) -> str:
    """What we call the joint that a file calls so; the plain name if we do not know it.

    Example:
        >>> [usual_name(n) for n in ("RHip", "hip_l", "leftBigToe", "CHip", "walker:RKnee", "LASI")]
        ['right_hip', 'left_hip', 'left_big_toe', 'pelvis', 'right_knee', 'lasi']
    """
    word = plain(name.rsplit(":", maxsplit=1)[-1])
    if word in _MIDDLE:
        return _MIDDLE[word]
    for pattern in _PATTERNS:
        match = pattern.fullmatch(word)
        if match and match["part"] in _PARTS:
            return f"{_SIDES[match['side']]}_{_PARTS[match['part']]}"
    return word


_PATTERNS = (
    re.compile(r"(?P<side>left|right|l|r)_?(?P<part>[a-z0-9_]+)"),
    re.compile(r"(?P<part>[a-z0-9_]+?)_?(?P<side>left|right|l|r)"),
)


def usual_names(names: Sequence[str]) -> list[str]:
    """The usual names, where they are unique; else the plain ones.

    Example:
        >>> usual_names(["RHip", "right_hip"])
        ['rhip', 'right_hip']
    """
    usual = [usual_name(name) for name in names]
    words = [plain(name) for name in names]
    return [u if usual.count(u) == 1 else w for u, w in zip(usual, words, strict=True)]

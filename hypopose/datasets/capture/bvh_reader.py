"""Biovision hierarchies (BVH): a skeleton of offsets, then Euler angles per frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hypopose.datasets.capture.clips import Rig
from hypopose.errors import FormatError

MAX_BYTES = 1_000_000_000
MAX_JOINTS = 1000
_AXES = {"Xrotation": "X", "Yrotation": "Y", "Zrotation": "Z"}
_PLACES = {"Xposition": 0, "Yposition": 1, "Zposition": 2}


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


def read_bvh(path: str | Path) -> Rig:
    """Read a BVH file and pose its skeleton.

    Args:
        path: The file.

    Returns:
        Positions of all joints and end sites (named ``<parent>_end``), in the file's unit and axes.

    Raises:
        FormatError: If the file is no BVH, or is cut short.
    """
    path = Path(path)
    head, motion = _halves(path)
    joints = _hierarchy(path, head.split())
    values, fps = _motion(path, motion, sum(len(j.channels) for j in joints))
    return Rig(
        tuple(j.name for j in joints),
        tuple(j.parent for j in joints),
        _posed(joints, values),
        fps,
    )


def _halves(path: Path) -> tuple[str, str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is larger than 1 GB; split it.")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error
    head, found, motion = text.partition("MOTION")
    if not found or not head.lstrip("\ufeff \t\r\n").startswith("HIERARCHY"):
        raise FormatError(f"{path} is no BVH file: it needs HIERARCHY and MOTION.")
    return head, motion


def _hierarchy(path: Path, words: list[str]) -> list[_Joint]:
    """Joints in file order; braces are kept on a stack, so that deep files cost nothing."""
    joints: list[_Joint] = []
    open_joints: list[int] = []
    i = 1
    try:
        while i < len(words):
            word = words[i]
            if word in ("ROOT", "JOINT", "End"):
                parent = open_joints[-1] if open_joints else -1
                name = f"{joints[parent].name}_end" if word == "End" else words[i + 1]
                joints.append(_Joint(name, parent))
                i += 2
            elif word == "{":
                open_joints.append(len(joints) - 1)
                i += 1
            elif word == "}":
                open_joints.pop()
                i += 1
            elif word == "OFFSET":
                x, y, z = (float(w) for w in words[i + 1 : i + 4])
                joints[open_joints[-1]].offset = (x, y, z)
                i += 4
            elif word == "CHANNELS":
                n = int(words[i + 1])
                joints[open_joints[-1]].channels = _channels(words[i + 2 : i + 2 + n], n)
                i += 2 + n
            else:
                raise ValueError(f"unexpected {word[:40]!r}")
            if len(joints) > MAX_JOINTS:
                raise ValueError(f"more than {MAX_JOINTS} joints")
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path}: the HIERARCHY is damaged ({error}).") from error
    if not joints or open_joints:
        raise FormatError(f"{path}: the HIERARCHY is empty or cut short.")
    return joints


def _channels(words: list[str], n: int) -> list[str]:
    if len(words) != n or any(w not in _AXES and w not in _PLACES for w in words):
        raise ValueError(f"unknown channels {' '.join(words)[:80]!r}")
    return words


def _motion(path: Path, text: str, n_channels: int) -> tuple[np.ndarray, float]:
    words = text.split()
    try:
        if words[0] != "Frames:" or words[2:4] != ["Frame", "Time:"]:
            raise ValueError("it begins with Frames: and Frame Time:")
        n_frames, step = int(words[1]), float(words[4])
        values = np.array(words[5:], dtype=np.float64)
        if step <= 0 or n_frames < 1:
            raise ValueError("frame count and frame time are positive")
        if values.size != n_frames * n_channels:
            raise ValueError(f"{n_frames} frames of {n_channels} numbers, found {values.size}")
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path}: the MOTION part is damaged ({error}).") from error
    return values.reshape(n_frames, n_channels), 1 / step


def _posed(joints: list[_Joint], values: np.ndarray) -> np.ndarray:
    """Forward kinematics; a joint's own position channels take the place of its offset."""
    n = len(values)
    positions = np.zeros((n, len(joints), 3))
    turns: list[Rotation] = []
    column = 0
    for i, joint in enumerate(joints):
        own = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        place = np.tile(np.array(joint.offset), (n, 1))
        for k, channel in enumerate(joint.channels):
            if channel in _PLACES:
                place[:, _PLACES[channel]] = own[:, k]
        turning = [k for k, channel in enumerate(joint.channels) if channel in _AXES]
        turn = Rotation.identity(n)
        if turning:
            order = "".join(_AXES[joint.channels[k]] for k in turning)
            turn = Rotation.from_euler(order, own[:, turning], degrees=True)
        if joint.parent >= 0:
            above = turns[joint.parent]
            place = positions[:, joint.parent] + above.apply(place)
            turn = above * turn
        positions[:, i] = place
        turns.append(turn)
    return positions

"""Biovision hierarchies (BVH): a skeleton of offsets, then Euler angles per frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hypopose.errors import FormatError
from hypopose.io.motion_files.file_motion import (
    CapturedRig,
    FileMotion,
    MotionFormat,
    People,
    checked_points,
)
from hypopose.io.parsing.finite_numbers import finite, read_lines
from hypopose.io.source import Source

MAX_BYTES = 300_000_000
MAX_JOINTS = 1000
ROWS = 4096
"""Rows of numbers that are parsed together."""

_AXES = {"Xrotation": "X", "Yrotation": "Y", "Zrotation": "Z"}
_PLACES = {"Xposition": 0, "Yposition": 1, "Zposition": 2}


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


def read_bvh(path: str | Path) -> CapturedRig:
    """Read a BVH file and pose its skeleton.

    Args:
        path: The file.

    Returns:
        Positions of all joints and end sites (named ``<parent>_end``), in the file's unit and axes.

    Raises:
        FormatError: If the file is not BVH, is cut short, or holds what is not a finite number.
    """
    path = Path(path)
    head, motion = _halves(path)
    joints = _Hierarchy(path, " ".join(head).split()).joints
    values, fps = _motion(path, motion, joints)
    return CapturedRig(
        tuple(j.name for j in joints),
        tuple(j.parent for j in joints),
        _posed(joints, values),
        fps,
    )


def _halves(path: Path) -> tuple[list[str], list[str]]:
    """Lines before and after ``MOTION``."""
    lines = read_lines(path, MAX_BYTES)
    first = lines[0].lstrip("\ufeff").split() if lines else []
    at = next((i for i, line in enumerate(lines) if "MOTION" in line.split()), None)
    if at is None or first[:1] != ["HIERARCHY"]:
        raise FormatError(f"{path} is not a BVH file: it needs HIERARCHY and MOTION.")
    before, _, after = lines[at].partition("MOTION")
    return [*lines[:at], before], [after, *lines[at + 1 :]]


class _Hierarchy:
    """Reads joints in file order; open braces are a stack, so that deep files cost nothing."""

    def __init__(self, path: Path, words: list[str]) -> None:
        self.words, self.at = words, 1
        self.joints: list[_Joint] = []
        self.open: list[int] = []
        keywords: dict[str, Callable[[], None]] = {
            "ROOT": self._joint,
            "JOINT": self._joint,
            "End": self._end,
            "{": self._open,
            "}": self._close,
            "OFFSET": self._offset,
            "CHANNELS": self._channels,
        }
        try:
            while self.at < len(words):
                word = self._next()
                if word not in keywords:
                    raise ValueError(f"unexpected {word[:40]!r}")
                keywords[word]()
        except (ValueError, IndexError) as error:
            raise FormatError(f"{path}: the HIERARCHY is damaged ({error}).") from error
        if not self.joints or self.open:
            raise FormatError(f"{path}: the HIERARCHY is empty or cut short.")

    def _next(self, n: int = 1) -> str:
        word = self.words[self.at]
        self.at += n
        return word

    def _open(self) -> None:
        self.open.append(len(self.joints) - 1)

    def _close(self) -> None:
        self.open.pop()

    def _add(self, name: str) -> None:
        self.joints.append(_Joint(name, self.open[-1] if self.open else -1))
        if len(self.joints) > MAX_JOINTS:
            raise ValueError(f"more than {MAX_JOINTS} joints")

    def _joint(self) -> None:
        self._add(self._next())

    def _end(self) -> None:
        self._next()  # Site
        self._add(f"{self.joints[self.open[-1]].name}_end")

    def _offset(self) -> None:
        self.joints[self.open[-1]].offset = tuple(finite(self._next()) for _ in range(3))

    def _channels(self) -> None:
        n = int(self._next())
        words = self.words[self.at : self.at + n]
        self.at += n
        turns = [word for word in words if word in _AXES]
        places = [word for word in words if word in _PLACES]
        known = len(turns) + len(places) == len(words) == n
        if not known or len(set(words)) != n or len(turns) not in (0, 1, 2, 3):
            raise ValueError(f"unknown or repeated channels {' '.join(words)[:80]!r}")
        self.joints[self.open[-1]].channels = words


def _motion(path: Path, lines: list[str], joints: list[_Joint]) -> tuple[np.ndarray, float]:
    """Channel values (frames, channels), and the frame rate."""
    n_channels = sum(len(joint.channels) for joint in joints)
    rows = (line for line in lines if line.strip())
    try:
        words = " ".join(islice(rows, 2)).split()
        if words[0] != "Frames:" or words[2:4] != ["Frame", "Time:"]:
            raise ValueError("it begins with Frames: and Frame Time:")
        n_frames, step = int(words[1]), finite(words[4])
        if not 1e-4 <= step <= 10 or not 1 <= n_frames <= 10**8:
            raise ValueError("frame count and frame time are positive")
        parts = [np.array(words[5:], dtype=np.float64), *_chunks(rows)]
        values = np.concatenate(parts)
        if values.size != n_frames * n_channels:
            raise ValueError(f"{n_frames} frames of {n_channels} numbers, found {values.size}")
        bad = np.flatnonzero(~(np.abs(values) < 1e9))  # also what is not a number
        if bad.size:
            frame, channel = divmod(int(bad[0]), n_channels)
            raise ValueError(f"frame {frame + 1}, number {channel + 1} is {values[bad[0]]:g}")
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path}: the MOTION part is damaged ({error}).") from error
    return values.reshape(n_frames, n_channels), 1 / step


def _chunks(rows: Iterator[str]) -> Iterator[np.ndarray]:
    """Numbers of some rows at a time: words take many times the memory of numbers."""
    while chunk := list(islice(rows, ROWS)):
        yield np.array(" ".join(chunk).split(), dtype=np.float64)


def _posed(joints: list[_Joint], values: np.ndarray) -> np.ndarray:
    """Forward kinematics; a joint's own position channels take the place of its offset."""
    n = len(values)
    positions = np.zeros((n, len(joints), 3))
    turns: list[Rotation] = []
    column = 0
    for i, joint in enumerate(joints):
        own = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        place, turn = _local(joint, own)
        if joint.parent >= 0:
            above = turns[joint.parent]
            place = positions[:, joint.parent] + above.apply(place)
            turn = above * turn
        positions[:, i] = place
        turns.append(turn)
    return positions


def _local(joint: _Joint, own: np.ndarray) -> tuple[np.ndarray, Rotation]:
    """Place and turn of a joint relative to its parent."""
    place = np.tile(np.array(joint.offset), (len(own), 1))
    for k, channel in enumerate(joint.channels):
        if channel in _PLACES:
            place[:, _PLACES[channel]] = own[:, k]
    turning = [k for k, channel in enumerate(joint.channels) if channel in _AXES]
    if not turning:
        return place, Rotation.identity(len(own))
    order = "".join(_AXES[joint.channels[k]] for k in turning)
    return place, Rotation.from_euler(order, own[:, turning], degrees=True)


def suits(source: Source) -> bool:
    """A text that begins with HIERARCHY."""
    return bool(source.opening) and source.opening[0].lstrip("\ufeff \t").startswith("HIERARCHY")


def read(source: Source) -> People:
    """The joints of a BVH file and its end sites, with their hierarchy; usually y up."""
    rig = read_bvh(source.path)
    points = checked_points(source, rig.positions, rig.names, zeros=True)
    usual = tuple(_WORDS.get(_bare(name), "") for name in rig.names)
    return {"0": FileMotion(points, rig.names, usual, parents=rig.parents, fps=rig.fps, up="y")}


def _bare(name: str) -> str:
    """Letters alone, without a prefix such as ``mixamorig:``."""
    return re.sub("[^a-z]", "", name.rpartition(":")[2].lower())


_WORDS = {"hips": "pelvis", "head": "head"} | {
    f"{word}{part}": f"{side}_{joint}"
    for side in ("left", "right")
    for word, parts in (
        (side, ("upleg", "leg", "foot", "arm", "forearm", "hand")),
        (side[0], ("thigh", "shin", "foot", "shldr", "forearm", "hand")),
    )
    for part, joint in zip(
        parts, ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"), strict=True
    )
}
"""Joints of Mixamo's, CMU's and DAZ's rigs."""


FORMAT = MotionFormat("bvh", "BVH: joints posed by its rotations", suits, read)

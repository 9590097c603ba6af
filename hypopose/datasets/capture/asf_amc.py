"""Acclaim skeletons and motions (ASF, AMC), as the CMU motion capture database provides them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hypopose.datasets.capture.recorded_clip import CapturedRig
from hypopose.errors import FormatError
from hypopose.io.parsing.finite_numbers import finite, finites, read_lines

MAX_BYTES = 100_000_000
MAX_BONES = 1000
DOFS = frozenset(("tx", "ty", "tz", "rx", "ry", "rz", "l"))
"""Degrees of freedom: places, angles, and a length that is not used."""


@dataclass
class _Bone:
    """One bone: it ends ``length`` along ``direction`` from where its parent ends."""

    name: str
    direction: np.ndarray = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: np.ndarray = field(default_factory=lambda: np.zeros(3))
    dof: list[str] = field(default_factory=list)
    parent: str = ""


@dataclass(frozen=True, eq=False)
class AcclaimSkeleton:
    """What an ASF file says.

    Args:
        bones: By name, parents first; the first is the root, whose "end" is where it stands.
        degrees: Whether angles are degrees.
    """

    bones: dict[str, _Bone]
    degrees: bool = True


def read_asf(path: str | Path) -> AcclaimSkeleton:
    """Read a skeleton.

    Raises:
        FormatError: If the file is not ASF.
    """
    path = Path(path)
    sections = _sections(path)
    if ":bonedata" not in sections or ":hierarchy" not in sections:
        raise FormatError(f"{path} is not an ASF file: it needs :bonedata and :hierarchy.")
    try:
        bones = _bones(sections[":bonedata"])
        root = _root(sections.get(":root", []))
        parents = _parents(sections[":hierarchy"])
        ordered = {"root": root}
        for name, parent in parents.items():
            if parent not in ordered:
                raise ValueError(f"{name} hangs on {parent}, which comes later or never")
            ordered[name] = bones[name]
            bones[name].parent = parent
    except (ValueError, IndexError, KeyError) as error:
        raise FormatError(f"{path} is damaged: {error}.") from error
    units = [line for line in sections.get(":units", []) if line[:1] == ["angle"]]
    return AcclaimSkeleton(ordered, not units or units[0][1:2] != ["rad"])


def read_amc(path: str | Path, skeleton: AcclaimSkeleton, fps: float | None = 120.0) -> CapturedRig:
    """Read a motion and pose its skeleton.

    Args:
        path: The AMC file.
        skeleton: Of the same subject.
        fps: The file does not say; CMU's are 120.

    Returns:
        Where every bone ends (the root: where it stands), in the file's unit and axes.

    Raises:
        FormatError: If the file is not AMC, or lacks bones of the skeleton.
    """
    path = Path(path)
    frames = _frames(path)
    values: dict[str, np.ndarray] = {}
    for name, bone in skeleton.bones.items():
        if bone.dof:
            rows = [frame.get(name, []) for frame in frames]
            if any(len(row) != len(bone.dof) for row in rows):
                raise FormatError(
                    f"{path}: a frame lacks the {len(bone.dof)} numbers of {name!r} that the "
                    "skeleton needs; use the ASF file of the same subject."
                )
            values[name] = np.array(rows, dtype=np.float64)
    names = tuple(skeleton.bones)
    parents = tuple(names.index(b.parent) if b.parent else -1 for b in skeleton.bones.values())
    return CapturedRig(names, parents, _posed(skeleton, values, len(frames)), fps)


def _sections(path: Path) -> dict[str, list[list[str]]]:
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in read_lines(path, MAX_BYTES):
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0].lower(), [])
            words = words[1:]
        if words:
            current.append(words)
    return sections


def _bones(lines: list[list[str]]) -> dict[str, _Bone]:
    bones: dict[str, _Bone] = {}
    bone = _Bone("")
    for key, *rest in lines:
        if key == "begin":
            bone = _Bone("")
        elif key in _BONE_KEYS:
            name, read = _BONE_KEYS[key]
            setattr(bone, name, read(rest))
        elif key == "end":
            bones[bone.name] = bone
        if len(bones) > MAX_BONES:
            raise ValueError(f"more than {MAX_BONES} bones")
    return bones


def _axis(words: list[str]) -> np.ndarray:
    if len(words) > 3 and words[3].upper() != "XYZ":
        raise ValueError(f"axis order {words[3]} is not XYZ")
    return finites(words, 3)


def _dofs(words: list[str]) -> list[str]:
    dofs = [word.lower() for word in words]
    unknown = sorted(set(dofs) - DOFS)
    if unknown or len(set(dofs)) != len(dofs):
        raise ValueError(f"unknown or repeated degrees of freedom {' '.join(words)[:40]!r}")
    return dofs


_BONE_KEYS: dict[str, tuple[str, Callable[[list[str]], Any]]] = {
    "name": ("name", lambda words: words[0]),
    "direction": ("direction", lambda words: finites(words, 3)),
    "length": ("length", lambda words: finite(words[0])),
    "axis": ("axis", _axis),
    "dof": ("dof", _dofs),
}
"""Keyword of a bone -> its field, and how words become that."""


def _root(lines: list[list[str]]) -> _Bone:
    root = _Bone("root", dof=["tx", "ty", "tz", "rx", "ry", "rz"])
    for key, *rest in lines:
        if key == "order":
            root.dof = _dofs(rest)
        elif key == "orientation":
            root.axis = finites(rest, 3)
    return root


def _parents(lines: list[list[str]]) -> dict[str, str]:
    return {
        child: line[0] for line in lines if line[0] not in ("begin", "end") for child in line[1:]
    }


def _frames(path: Path) -> list[dict[str, list[float]]]:
    frames: list[dict[str, list[float]]] = []
    try:
        for line in read_lines(path, MAX_BYTES):
            words = line.split("#")[0].split()
            if not words or words[0].startswith(":"):
                continue
            if len(words) == 1 and words[0].isdigit():
                frames.append({})
            else:
                frames[-1][words[0]] = [finite(x) for x in words[1:]]
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path} is not an AMC file, or is damaged: {error}.") from error
    if not frames:
        raise FormatError(f"{path} is not an AMC file: it has no frames.")
    return frames


def _posed(skeleton: AcclaimSkeleton, values: dict[str, np.ndarray], n: int) -> np.ndarray:
    """A bone turns about its own axes: above · C · M · C⁻¹, angles about fixed x, y, z in turn."""
    ends: dict[str, np.ndarray] = {}
    turns: dict[str, Rotation] = {}
    for name, bone in skeleton.bones.items():
        own = values.get(name, np.zeros((n, len(bone.dof))))
        moves = {"r": np.zeros((n, 3)), "t": np.zeros((n, 3)), "l": np.zeros((n, 3))}
        for k, dof in enumerate(bone.dof):
            moves[dof[0]][:, "xyz".find(dof[1:])] = own[:, k]
        frame = Rotation.from_euler("xyz", bone.axis, degrees=skeleton.degrees)
        angles = Rotation.from_euler("xyz", moves["r"], degrees=skeleton.degrees)
        turn, place = frame * angles * frame.inv(), moves["t"]
        if bone.parent:
            turn = turns[bone.parent] * turn
            place = ends[bone.parent] + turn.apply(bone.direction * bone.length)
        ends[name], turns[name] = place, turn
    return np.stack(list(ends.values()), 1)

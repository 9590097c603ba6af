"""Acclaim skeletons and motions (ASF, AMC), as the CMU motion capture database offers them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hypopose.datasets.capture.clips import Rig
from hypopose.errors import FormatError

MAX_BYTES = 500_000_000
MAX_BONES = 1000


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
        FormatError: If the file is no ASF.
    """
    path = Path(path)
    sections = _sections(path)
    if ":bonedata" not in sections or ":hierarchy" not in sections:
        raise FormatError(f"{path} is no ASF file: it needs :bonedata and :hierarchy.")
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


def read_amc(path: str | Path, skeleton: AcclaimSkeleton, fps: float | None = 120.0) -> Rig:
    """Read a motion and pose its skeleton.

    Args:
        path: The AMC file.
        skeleton: Of the same subject.
        fps: The file does not say; CMU's are 120.

    Returns:
        Where every bone ends (the root: where it stands), in the file's unit and axes.

    Raises:
        FormatError: If the file is no AMC, or names bones the skeleton lacks.
    """
    path = Path(path)
    frames = _frames(path)
    values: dict[str, np.ndarray] = {}
    for name, bone in skeleton.bones.items():
        if bone.dof:
            rows = [frame.get(name, []) for frame in frames]
            if any(len(row) != len(bone.dof) for row in rows):
                raise FormatError(
                    f"{path}: a frame has not the {len(bone.dof)} numbers of {name!r} that the "
                    "skeleton asks for; take the ASF file of the same subject."
                )
            values[name] = np.array(rows, dtype=np.float64)
    names = tuple(skeleton.bones)
    parents = tuple(names.index(b.parent) if b.parent else -1 for b in skeleton.bones.values())
    return Rig(names, parents, _posed(skeleton, values, len(frames)), fps)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is larger than 500 MB; split it.")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error


def _sections(path: Path) -> dict[str, list[list[str]]]:
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in _text(path).splitlines():
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
        elif key == "name":
            bone.name = rest[0]
        elif key == "direction":
            bone.direction = np.array([float(x) for x in rest[:3]])
        elif key == "length":
            bone.length = float(rest[0])
        elif key == "axis":
            bone.axis = _axis(rest)
        elif key == "dof":
            bone.dof = [word.lower() for word in rest]
        elif key == "end":
            bones[bone.name] = bone
        if len(bones) > MAX_BONES:
            raise ValueError(f"more than {MAX_BONES} bones")
    return bones


def _axis(words: list[str]) -> np.ndarray:
    if len(words) > 3 and words[3].upper() != "XYZ":
        raise ValueError(f"axis order {words[3]} is not XYZ")
    return np.array([float(x) for x in words[:3]])


def _root(lines: list[list[str]]) -> _Bone:
    root = _Bone("root", dof=["tx", "ty", "tz", "rx", "ry", "rz"])
    for key, *rest in lines:
        if key == "order":
            root.dof = [word.lower() for word in rest]
        elif key == "orientation":
            root.axis = np.array([float(x) for x in rest[:3]])
    return root


def _parents(lines: list[list[str]]) -> dict[str, str]:
    return {
        child: line[0] for line in lines if line[0] not in ("begin", "end") for child in line[1:]
    }


def _frames(path: Path) -> list[dict[str, list[float]]]:
    frames: list[dict[str, list[float]]] = []
    try:
        for line in _text(path).splitlines():
            words = line.split("#")[0].split()
            if not words or words[0].startswith(":"):
                continue
            if len(words) == 1 and words[0].isdigit():
                frames.append({})
            else:
                frames[-1][words[0]] = [float(x) for x in words[1:]]
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path} is no AMC file, or is damaged: {error}.") from error
    if not frames:
        raise FormatError(f"{path} is no AMC file: it has no frames.")
    return frames


def _posed(skeleton: AcclaimSkeleton, values: dict[str, np.ndarray], n: int) -> np.ndarray:
    """A bone turns about its own axes: above · C · M · C⁻¹, angles about fixed x, y, z in turn."""
    ends: dict[str, np.ndarray] = {}
    turns: dict[str, Rotation] = {}
    for name, bone in skeleton.bones.items():
        own, angles, place = values.get(name), np.zeros((n, 3)), np.zeros((n, 3))
        for k, dof in enumerate(bone.dof):
            if dof[0] == "r":
                angles[:, "xyz".index(dof[1])] = own[:, k] if own is not None else 0
            elif dof[0] == "t":
                place[:, "xyz".index(dof[1])] = own[:, k] if own is not None else 0
        frame = Rotation.from_euler("xyz", bone.axis, degrees=skeleton.degrees)
        turn = frame * Rotation.from_euler("xyz", angles, degrees=skeleton.degrees) * frame.inv()
        if bone.parent:
            turn = turns[bone.parent] * turn
            place = ends[bone.parent] + turn.apply(bone.direction * bone.length)
        ends[name], turns[name] = place, turn
    return np.stack(list(ends.values()), 1)

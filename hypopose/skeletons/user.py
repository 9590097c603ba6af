"""Skeletons of your own, and what files call the joints, in TOML.

A table of its own::

    name = "clinic6"
    joints = ["pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "neck"]

    [parents]                  # a joint left out hangs on the first
    left_knee = "left_hip"
    right_knee = "right_hip"

    [names]                    # optional: what a file calls a joint, where it differs
    left_hip = "LHip"

or names for a skeleton there is::

    skeleton = "coco17"

    [names]
    left_shoulder = "shoulder_L"

``left_x`` and ``right_x`` are a pair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypopose.errors import FormatError, HypoPoseError
from hypopose.files import read_bounded
from hypopose.skeletons.tables import SKELETONS
from hypopose.skeletons.toml_text import parse_toml
from hypopose.types import Skeleton

MAX_BYTES = 2**20
MAX_JOINTS = 1000
_KEYS = {"name", "joints", "parents", "names", "skeleton"}


@dataclass(frozen=True)
class SkeletonFile:
    """A skeleton and what files call its joints.

    Args:
        skeleton: The joint set.
        names: Joint of the skeleton to its name in a file, where they differ.
    """

    skeleton: Skeleton
    names: Mapping[str, str] = field(default_factory=dict)


def load_skeleton(path: str | Path) -> SkeletonFile:
    r"""Read a skeleton, or names for one, from TOML.

    Args:
        path: A file as described at the top of this module.

    Returns:
        The skeleton and the names.

    Raises:
        FormatError: If the file is absent or not what it should be.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "mine.toml"
        ...     _ = path.write_text('name = "arm"\njoints = ["left_elbow", "left_wrist"]')
        ...     load_skeleton(path).skeleton.parents
        (-1, 0)
    """
    path = Path(path)
    table = _parsed(path)
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise _error(path, f"unknown key {unknown[0]!r}; the keys are {', '.join(sorted(_KEYS))}")
    skeleton = _known(path, table) if "skeleton" in table else _defined(path, table)
    names = _texts(path, table.get("names", {}), "names")
    for joint in names:
        if joint not in skeleton.joint_names:
            raise _error(path, f"[names] has {joint!r}, no joint of {skeleton.name}")
    if len(set(names.values())) != len(names):
        raise _error(path, "[names] gives one name to two joints")
    return SkeletonFile(skeleton, names)


def skeleton_from_names(
    name: str, joints: Sequence[str], parents: Mapping[str, str] | None = None
) -> Skeleton:
    """A skeleton from names alone: unparented joints hang on the first, left and right are paired.

    Args:
        name: What it is called.
        joints: Joint names, unique.
        parents: Joint to parent, by name.

    Raises:
        ShapeError: If names repeat.
        KeyError: If a parent is no joint.

    Example:
        >>> skeleton_from_names("arm", ("left_wrist", "right_wrist")).left
        (0,)
    """
    at = {joint: i for i, joint in enumerate(joints)}
    parents = parents or {}
    tree = [-1 if i == 0 else 0 for i in range(len(joints))]
    for joint, parent in parents.items():
        tree[at[joint]] = at[parent]
    left = [(a, at[m]) for joint, a in at.items()
            if re.search("[Ll]eft", joint) and (m := _mirror(joint)) in at]  # fmt: skip
    return Skeleton(
        name=name,
        joint_names=tuple(joints),
        parents=tuple(tree),
        left=tuple(a for a, _ in left),
        right=tuple(b for _, b in left),
    )


def _mirror(joint: str) -> str:
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"left|right|Left|Right", lambda m: swap[m.group()], joint)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_bounded(path, MAX_BYTES, "a skeleton file").decode("utf-8"))
    except UnicodeDecodeError:
        raise _error(path, "is not UTF-8") from None
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise _error(path, f"is not TOML ({' '.join(str(error).split())[:120]})") from None


def _known(path: Path, table: dict[str, Any]) -> Skeleton:
    name = table["skeleton"]
    if not isinstance(name, str) or name not in SKELETONS or {"joints", "parents"} & set(table):
        raise _error(path, f"skeleton is one of {', '.join(SKELETONS)}, without joints or parents")
    return SKELETONS[name]


def _defined(path: Path, table: dict[str, Any]) -> Skeleton:
    name, joints = table.get("name"), table.get("joints")
    if not isinstance(name, str) or not name or name in SKELETONS:
        raise _error(path, "needs a name that no skeleton has yet: name = ...")
    joints = _joints(path, joints)
    parents = _texts(path, table.get("parents", {}), "parents")
    missing = sorted({*parents, *parents.values()} - set(joints))
    if missing:
        raise _error(path, f"[parents] has {missing[0]!r}, which is not among the joints")
    _check_loops(path, parents)
    try:
        return skeleton_from_names(name, joints, parents)
    except HypoPoseError as error:
        raise _error(path, str(error).rstrip(".")) from None


def _joints(path: Path, value: Any) -> list[str]:
    ok = isinstance(value, list) and 0 < len(value) <= MAX_JOINTS
    if not ok or not all(isinstance(joint, str) and joint for joint in value):
        raise _error(path, "needs joints, a list of names")
    return list(value)


def _check_loops(path: Path, parents: Mapping[str, str]) -> None:
    for joint in parents:
        at, steps = joint, 0
        while at in parents:
            at, steps = parents[at], steps + 1
            if steps > len(parents):
                raise _error(path, f"[parents] leads from {joint!r} in a circle")


def _texts(path: Path, value: Any, place: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _error(path, f'[{place}] takes joint = "text" lines')
    return dict(value)


def _error(path: Path, problem: str) -> FormatError:
    text = f"{path}: {problem}; see docs/reference/skeletons.md."
    return FormatError("".join(c if c.isprintable() else "?" for c in text))

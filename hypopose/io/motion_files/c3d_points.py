"""C3D: the points of motion laboratories (Vicon, Qualisys, OptiTrack, Theia, and HypoPose's own).

Read by ezc3d in a process of its own. ``POINT:UNITS`` is the unit; ``X_SCREEN`` and ``Y_SCREEN``,
where a program writes them, say which axis points up, otherwise z does. Labels may begin with a
subject, ``walker:LKNE``; several subjects are several people. What ``POINT:ANGLES``, ``FORCES``,
``MOMENTS``, ``POWERS`` and ``SCALARS`` list are no places, and left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.io.motion_files.file_motion import (
    FileMotion,
    MotionFormat,
    People,
    checked_points,
    subjects,
)
from hypopose.io.source import Source, printable
from hypopose.io.untrusted.containers import Tree, read_tree

UNITS = {"m": "m", "cm": "cm", "mm": "mm"}
_UP = {"+Y": "y", "+Z": "z", "+X": "x", "-Y": "native", "-Z": "-z", "-X": "-x",
       "Y": "y", "Z": "z", "X": "x"}  # fmt: skip
_NO_PLACES = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS")


def suits(source: Source) -> bool:
    """The header of a C3D file: the place of its parameters, and the letter that marks it."""
    head = source.head
    return len(head) >= 32 and head[1] == 0x50 and 0 < head[0] < 32


def read(source: Source) -> People:
    """Read the labeled points."""
    try:
        tree = read_tree(source.path, "c3d")
    except FormatError as error:
        raise source.error(f"not a readable C3D file ({error})", "write it again") from None
    points = tree.arrays.get("/points", np.zeros((0, 0, 3)))
    computed = {w for key in COMPUTED for w in _words(tree, key)}
    labels = _words(tree, "LABELS")[: points.shape[1]]
    labels = ["" if label in computed else label for label in labels]
    labels += [""] * (points.shape[1] - len(labels))
    facts: dict[str, Any] = {
        "fps": _rate(tree),
        "unit": UNITS.get(str(_first(tree, "UNITS")).strip().lower()),
        "up": _UP.get(str(_first(tree, "Y_SCREEN")).strip().upper(), "z"),
    }
    found: dict[str, FileMotion] = {}
    for person, columns in subjects(labels).items():
        names = tuple(labels[i].rpartition(":")[2] for i in columns)
        found[person] = FileMotion(
            checked_points(source, points[:, columns], names), names, **facts
        )
    if not found:
        raise source.error(f"{len(labels)} points, none of them labeled", "label them first")
    return found


COMPUTED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS")
"""Parameters that list points which are no places: Vicon's models, HypoPose's joint angles."""


def _words(tree: Tree, name: str) -> list[str]:
    """Texts of a parameter, and of NAME2, NAME3, ... of files with more than 255 points."""
    attributes = tree.attributes.get("", {})
    keys = [name, *(f"{name}{i}" for i in range(2, 20))]
    found = [attributes.get(key, []) for key in keys]
    words = [w for value in found for w in (value if isinstance(value, list) else [value])]
    return [printable(str(w))[:80].strip() for w in words]


def _first(tree: Tree, name: str) -> Any:
    value = tree.attributes.get("", {}).get(name)
    return value[0] if isinstance(value, list) and value else value if value is not None else ""


def _rate(tree: Tree) -> float | None:
    rate = _first(tree, "RATE")
    return float(rate) if isinstance(rate, (int, float)) and 0 < rate < 100_000 else None


FORMAT = MotionFormat("c3d", "C3D points; needs hypopose[export]", suits, read)

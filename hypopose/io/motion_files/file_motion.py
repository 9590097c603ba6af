"""What readers of 3D motion return, and what a format of such files is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hypopose.io.source import Source
from hypopose.types import Skeleton

MAX_PEOPLE = 300
"""More people than this are a numbering mistake."""
MAX_POINTS = 1000
"""More points than this are a surface and no skeleton."""


@dataclass(frozen=True, eq=False)
class CapturedRig:
    """A recorded motion with the joints of its own skeleton.

    Args:
        names: Joint names.
        parents: Index of each joint's parent, -1 for the root.
        positions: In the file's own unit and axes.
        fps: Frames per second; None if the file does not say.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Float[np.ndarray, "F J 3"]
    fps: float | None


@dataclass(frozen=True, eq=False)
class FileMotion:
    """One person's points over time, as a file has them.

    Args:
        points: In the file's own unit and axes; NaN where unknown.
        names: What the file calls the points; empty if it does not name them.
        usual: What HypoPose calls the points that the file calls otherwise, so that limbs can be
            measured; the empty text for others.
        skeleton: The joint set, where the format or the file settles it.
        parents: Index of each point's parent, where the file has a hierarchy.
        fps: Frames per second; None if the file does not say.
        unit: ``"m"``, ``"cm"``, ``"mm"`` or meters per unit, where the file or its format says.
        up: The axis that points up, a key of :data:`~hypopose.io.motion_files.motion_axes.TURNS`,
            where the format says.
        placed: Whether the points are at their places; False if they are relative to the body.
        notes: What was assumed on reading.
    """

    points: Float[np.ndarray, "F N 3"]
    names: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    skeleton: Skeleton | None = None
    parents: tuple[int, ...] | None = None
    fps: float | None = None
    unit: str | float | None = None
    up: str | None = None
    placed: bool = True
    notes: tuple[str, ...] = ()


People = Mapping[str, FileMotion]
"""Motions by person, ``"0"`` where a file names no person."""


@dataclass(frozen=True)
class MotionFormat:
    """One kind of file with 3D motion.

    Args:
        name: What ``format=`` calls it.
        description: One line for users.
        suits: Cheap and certain: is this source in the format? Never raises but FormatError.
        read: The people in it.
    """

    name: str
    description: str
    suits: Callable[[Source], bool]
    read: Callable[[Source], People]


def check_people(source: Source, people: Collection[str]) -> None:
    """Refuse more people than a recording has.

    Raises:
        FormatError: If there are more than :data:`MAX_PEOPLE`.
    """
    if len(people) > MAX_PEOPLE:
        raise source.error(f"{len(people)} people, more than {MAX_PEOPLE}", "split the file")


def checked_points(
    source: Source, points: np.ndarray, names: Sequence[str] = (), *, zeros: bool = False
) -> Float[np.ndarray, "F N 3"]:
    """Points as float64, with what is not finite or a mark for missing as NaN.

    Args:
        source: The file, for messages.
        points: ``(F, N, 3)``.
        names: What the file calls them.
        zeros: Whether a point at the origin is there; otherwise it is missing, unless it is at the
            origin in every frame.

    Raises:
        FormatError: If there are none, too many, or another number than names.
    """
    if points.ndim != 3 or points.shape[-1] != 3 or points.dtype.kind not in "iuf":
        raise source.error(f"{points.dtype} {points.shape}", "give frames, joints, x y z")
    if 0 in points.shape or points.shape[1] > MAX_POINTS:
        raise source.error(
            f"{points.shape[0]} frames of {points.shape[1]} points", "give a person's joints"
        )
    if names and len(names) != points.shape[1]:
        raise source.error(f"{len(names)} names for {points.shape[1]} points", "name each once")
    x = points.astype(np.float64)
    x[~(np.abs(x) < LARGEST).all(-1)] = np.nan
    if not zeros:
        x[_sparse_zeros(x)] = np.nan
    if not np.isfinite(x).any():
        raise source.error("no point is known in any frame", "check the recording")
    return x


LARGEST = 1e9
"""No coordinate is larger, in any unit; programs mark missing points by such numbers."""


def _sparse_zeros(x: Float[np.ndarray, "F N 3"]) -> Bool[np.ndarray, "F N"]:
    """Where a point at the origin is a mark for missing: not in columns that are always there.

    Root-relative motions have their root at the origin in every frame.
    """
    zero = (x == 0).all(-1)
    return zero & ~zero.all(0)


MIN_POINTS = 6
"""Points a subject must have to be a person and not a stick or a force plate."""


def subjects(labels: Sequence[str]) -> dict[str, list[int]]:
    """Columns by subject; all labeled points are one person's if there is one subject.

    Args:
        labels: Of the points, perhaps with a subject before a colon; empty or ``*12`` if unlabeled.

    Example:
        >>> subjects([f"{who}:{i}" for who in ("ann", "bob") for i in range(6)])["bob"]
        [6, 7, 8, 9, 10, 11]
        >>> subjects(["LKNE", "LANK", "*3"])
        {'0': [0, 1]}
    """
    named: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        if label and not label.startswith("*"):
            named.setdefault(label.rpartition(":")[0], []).append(i)
    people = {name: columns for name, columns in named.items() if len(columns) >= MIN_POINTS}
    if len(people) > 1 and all(people):
        return people
    everything = [i for columns in named.values() for i in columns]
    return {next(iter(people), "") or "0": sorted(everything)} if everything else {}

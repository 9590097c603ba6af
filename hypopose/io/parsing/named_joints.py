"""Formats that name their joints: whose names they are, and where the file has them.

A file whose names are those of a skeleton HypoPose knows, in any order and spelling (``RHip`` is
``right_hip``), is in that skeleton; so is one with both hips and some other joints of a common
skeleton, whose other joints stay missing, and one with all limbs among other points, which are left
out. With ``skeleton=`` its joints are looked for by name, by the names a TOML file gives them, or
by number where the file numbers as many joints. Otherwise the file's own names make a skeleton that
nothing converts from: it can be looked at, and given names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.detections import MAX_PEOPLE_IN_FRAME, Detections
from hypopose.io.format import ReadOptions
from hypopose.io.parsing.joint_words import plain, usual_names
from hypopose.io.source import Source, printable
from hypopose.skeletons import SKELETONS
from hypopose.skeletons.user import skeleton_from_names
from hypopose.types import Skeleton

MAX_JOINTS = 1000
MAX_VALUES = 200_000_000
PARTLY = ("coco17", "halpe26", "mediapipe33", "h36m17")
"""Skeletons that files may have a part of, in the order in which they are tried."""
LIMBS = tuple(f"{side}_{part}" for side in ("left", "right")
              for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))  # fmt: skip
"""Joints from which a file is a body, whatever other points it has."""
MIN_PART = 6
"""Joints of a skeleton, both hips among them, from which a file is taken to have a part of it."""

Joints = tuple[Skeleton, list[int], tuple[str, ...]]
"""A skeleton, the place of each of its joints in the file or -1, and notes."""


def find_joints(source: Source, options: ReadOptions, names: Sequence[str]) -> Joints:
    """Which of the file's joints is which of the skeleton's.

    Args:
        source: The file, for messages.
        options: Carries the caller's skeleton and names.
        names: The file's joints, in its order.

    Returns:
        The skeleton; for each of its joints the place in the file or -1; notes.

    Raises:
        FormatError: If names repeat, or none of the skeleton's joints is there.
    """
    names = _checked_names(source, names)
    names = names if options.joint_names else _without_prefix(names)
    if options.skeleton is not None:
        order, notes = _looked_up(source, options.skeleton, options.joint_names, names)
        return options.skeleton, order, notes
    spelled = [plain(name) for name in names]
    usual = usual_names(names)
    known = _whole(spelled) or _whole(usual) or _part(usual)
    if known is None and not _complete(spelled):
        known = _among(usual, names)
    if known is not None:
        return known
    unique = len(set(spelled)) == len(spelled) and all(spelled)
    own = skeleton_from_names(f"own{len(names)}", spelled if unique else names)
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    note = (
        f"the file's joints ({shown}) are those of no skeleton HypoPose knows, and are kept under "
        "their own names; say which are whose with skeleton=FILE.toml"
    )
    return own, list(range(len(names))), (note,)


def _whole(spelled: list[str]) -> Joints | None:
    """The skeleton that has just these joints, if there is one."""
    for skeleton in SKELETONS.values():
        if sorted(spelled) == sorted(skeleton.joint_names):
            order = [spelled.index(joint) for joint in skeleton.joint_names]
            return skeleton, order, (f"the file's joint names are those of {skeleton.name}",)
    return None


def _part(spelled: list[str]) -> Joints | None:
    """The skeleton of which the file has a part with both hips, if there is one."""
    if len(spelled) < MIN_PART or not {"left_hip", "right_hip"} <= set(spelled):
        return None
    for skeleton in (SKELETONS[name] for name in PARTLY):
        if set(spelled) <= set(skeleton.joint_names):
            order = [spelled.index(j) if j in spelled else -1 for j in skeleton.joint_names]
            return skeleton, order, (_missing_note(skeleton, order),)
    return None


def _complete(spelled: list[str]) -> bool:
    """Whether a whole skeleton is among the names, which then convert to it with all the others."""
    return any(set(spelled) >= set(SKELETONS[name].joint_names) for name in PARTLY)


def _among(spelled: list[str], names: Sequence[str]) -> Joints | None:
    """The skeleton most of whose joints are there, all limbs among them, beside other points."""
    if not set(spelled) >= set(LIMBS):
        return None
    shared = {name: len(set(spelled) & set(SKELETONS[name].joint_names)) for name in PARTLY}
    skeleton = SKELETONS[max(PARTLY, key=lambda name: shared[name])]
    order = [spelled.index(j) if j in spelled else -1 for j in skeleton.joint_names]
    rest = [name for i, name in enumerate(names) if i not in order]
    shown = ", ".join(rest[:4]) + (", ..." if len(rest) > 4 else "")
    missing = (_missing_note(skeleton, order),) if min(order) < 0 else ()
    return skeleton, order, (f"read as {skeleton.name}; points beside it: {shown}", *missing)


def _missing_note(skeleton: Skeleton, order: Sequence[int]) -> str:
    missing = [joint for joint, i in zip(skeleton.joint_names, order, strict=True) if i < 0]
    return f"read as {skeleton.name}; the file has no {', '.join(missing)}"


def _checked_names(source: Source, names: Sequence[str]) -> list[str]:
    names = [printable(str(name)[:80]) for name in names]
    good = 0 < len(names) <= MAX_JOINTS and all(name.strip() for name in names)
    if not good or len(set(names)) != len(names):
        raise source.error(f"{len(names)} joint names, some empty or twice", "name each joint once")
    return names


def _without_prefix(names: list[str]) -> list[str]:
    """The names without what all of them begin with up to a dot: ``PoseLandmark.NOSE``."""
    prefix = names[0].partition(".")[0] + "."
    alike = len(names) > 1 and all(len(n) > len(prefix) and n.startswith(prefix) for n in names)
    return [name[len(prefix) :] for name in names] if alike else names


def _looked_up(
    source: Source, skeleton: Skeleton, given: Mapping[str, str], names: Sequence[str]
) -> tuple[list[int], tuple[str, ...]]:
    numbers = _numbers(names)
    if not given and sorted(numbers) == list(range(skeleton.n_joints)):
        order = [numbers.index(i) for i in range(skeleton.n_joints)]
        return order, (f"its joints are numbered, in the order of {skeleton.name}",)
    places = {**_by_spelling(skeleton, given, names), **_by_given_name(source, given, names)}
    order = [places.get(joint, -1) for joint in skeleton.joint_names]
    if max(order) < 0:
        raise source.error(
            f"none of its joints ({', '.join(names[:12])}) is called as in {skeleton.name}",
            "say which is which with skeleton=FILE.toml, see docs/reference/skeletons.md",
        )
    if min(order) < 0:
        return order, (_missing_note(skeleton, order),)
    return order, (f"read as {skeleton.name}, joints found by name",)


def _numbers(names: Sequence[str]) -> list[int]:
    """The numbers of joints called ``0``, ``1`` or ``joint_0``, ``joint_1``; none of others."""
    found = [re.fullmatch(r"(\D*)(\d{1,4})", name) for name in names]
    if any(m is None for m in found) or len({m[1] for m in found if m}) != 1:
        return []
    return [int(m[2]) for m in found if m]


def _by_given_name(
    source: Source, given: Mapping[str, str], names: Sequence[str]
) -> dict[str, int]:
    """Places of the joints that the caller names."""
    at = {name: i for i, name in enumerate(names)}
    absent = next(((joint, name) for joint, name in given.items() if name not in at), None)
    if absent is not None:
        raise source.error(
            f"no joint {absent[1]!r}, which is to be {absent[0]!r}",
            f"it has {', '.join(names[:40])}",
        )
    return {joint: at[name] for joint, name in given.items()}


def _by_spelling(
    skeleton: Skeleton, given: Mapping[str, str], names: Sequence[str]
) -> dict[str, int]:
    """Places of the joints that are called as in the skeleton; the first of several."""
    taken = set(given.values())
    free = [i for i, name in enumerate(names) if name not in taken]
    usual = usual_names([names[i] for i in free])
    spelled = {
        **dict(reversed(list(zip(usual, free, strict=True)))),
        **dict(reversed([(plain(names[i]), i) for i in free])),
    }
    return {joint: spelled.get(plain(joint), -1) for joint in skeleton.joint_names}


def pick(values: Float[np.ndarray, "*any K"], order: Sequence[int]) -> Float[np.ndarray, "*any J"]:
    """The file's joints in the skeleton's order; NaN where it has none."""
    taken = values[..., list(order)].astype(np.float64)
    taken[..., [i < 0 for i in order]] = np.nan
    return taken


def dense_detections(
    source: Source,
    options: ReadOptions,
    names: Sequence[str],
    x: Float[np.ndarray, "F P K"],
    y: Float[np.ndarray, "F P K"],
    confidence: Float[np.ndarray, "F P K"] | None,
    people: Sequence[str] | None,
    frames: Int[np.ndarray, " F"] | None = None,
    **more: Any,
) -> Detections:
    """Detections from complete arrays of frames, people and named joints.

    Args:
        source: The file, for messages.
        options: Carries the caller's skeleton and names.
        names: The file's joints.
        x: Pixels to the right.
        y: Pixels down.
        confidence: Per keypoint, or None.
        people: The file's names of people, or None if their order means nothing.
        frames: Frame numbers; from 0 if None.
        **more: Further fields of :class:`Detections`; ``notes`` are added to.

    Raises:
        FormatError: If names or sizes are not what keypoints have.
    """
    n_frames, n_people, n_names = x.shape
    if 0 in x.shape or n_people > MAX_PEOPLE_IN_FRAME or x.size > MAX_VALUES:
        raise source.error(
            f"{n_frames} frames of {n_people} people with {n_names} joints",
            "order the axes as the format says, and split long recordings",
        )
    skeleton, order, notes = find_joints(source, options, names)
    numbers = np.arange(n_frames) if frames is None else frames
    if len(np.unique(numbers)) != n_frames:
        raise source.error("a frame number is there twice", "number the frames one by one")
    xy = np.stack([pick(x, order), pick(y, order)], -1)
    if confidence is not None:
        confidence = pick(confidence, order).reshape(-1, skeleton.n_joints)
    return Detections(
        skeleton=skeleton,
        frames=np.repeat(numbers, n_people).astype(np.int64),
        xy=xy.reshape(-1, skeleton.n_joints, 2),
        confidence=confidence,
        ids=_identities(people, n_people) * n_frames,
        first_frame=int(numbers.min()),
        last_frame=int(numbers.max()),
        notes=(*notes, *more.pop("notes", ())),
        **more,
    )


def _identities(people: Sequence[str] | None, n_people: int) -> tuple[str | None, ...]:
    """The file's names; a single person without a name is person 0."""
    if people is None:
        return ("0",) if n_people == 1 else (None,) * n_people
    return tuple(printable(str(p)[:80]).strip() or None for p in people)

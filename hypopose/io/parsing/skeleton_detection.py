"""Which skeleton are these points in? The caller knows, or the format; a count never does.

A file that names its skeleton is believed, and the caller's ``skeleton=`` overrides everything.
Where a format documents a default for a number of points, that default is taken and the notes say
so; if the format has another layout with as many points, both are drawn, and if the other one's
bones are clearly shorter (a wrong order draws bones across the body), it is taken instead, with a
warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from hypopose.io.format import ReadOptions
from hypopose.io.source import Source
from hypopose.skeletons import SKELETONS, get_skeleton
from hypopose.types import Skeleton

CLEAR_RATIO = 1.3
"""Bones must be this much shorter before geometry overrules a documented default."""
MIN_DETECTIONS_BONES = 6


class SkeletonGuessWarning(UserWarning):
    """The points contradict the format's default skeleton, so another was taken."""


def choose_skeleton(
    source: Source,
    options: ReadOptions,
    values: Sequence[np.ndarray],
    candidates: Mapping[int, tuple[str, ...]],
    says: str,
) -> tuple[Skeleton, tuple[str, ...]]:
    """The skeleton of a format that does not name it.

    Args:
        source: The file, for messages.
        options: Carries the caller's skeleton.
        values: Detections (J, 2 or more) in file order.
        candidates: Number of points to layouts of this format, its documented default first.
        says: What the format is, for messages: ``"OpenPose"``.

    Returns:
        The skeleton, and notes that say how it was found.

    Raises:
        FormatError: If the caller's skeleton does not fit, or the format has no such layout.
    """
    n_points = len(values[0])
    if options.skeleton is not None:
        check_joints(source, options.skeleton, n_points)
        return options.skeleton, _doubts(values, options.skeleton, candidates.get(n_points, ()))
    names = [name for name in candidates.get(n_points, ()) if name in SKELETONS]
    if not names:
        known = ", ".join(f"{n} ({' or '.join(c)})" for n, c in candidates.items())
        raise source.error(
            f"{_points(n_points)} per person; {says} layouts HypoPose knows have {known}",
            _fitting(n_points, "name the skeleton: skeleton="),
        )
    default = get_skeleton(names[0])
    if len(names) == 1:
        return default, (f"{says} does not name its skeleton; taken as {names[0]}, its layout",)
    return _by_geometry(source, values, names, says)


def check_joints(source: Source, skeleton: Skeleton, n_points: int) -> None:
    """Refuse a named skeleton with another number of joints.

    Raises:
        FormatError: If the numbers differ.
    """
    if skeleton.n_joints != n_points:
        raise source.error(
            f"{_points(n_points)} per person, but {skeleton.name} has {skeleton.n_joints}",
            _fitting(n_points, "name a skeleton that fits: "),
        )


def need_skeleton(source: Source, n_points: int) -> Exception:
    """The error for a file whose skeleton nobody named."""
    return source.error(
        f"{_points(n_points)} per person in an order the file does not name",
        _fitting(n_points, "name it: skeleton="),
    )


def bone_length(values: Sequence[np.ndarray], skeleton: Skeleton) -> float:
    """Median over detections of the mean bone length, in diagonals of the person's bounding box.

    Args:
        values: Detections (J, 2 or more); zeros and NaN are missing.
        skeleton: The order to draw the points in.

    Returns:
        About 0.1 for the right order, more for a wrong one; NaN if too few points are there.
    """
    parents, children = np.array(skeleton.bones).T
    step = max(1, len(values) // 200)
    lengths = [_mean_bone(v[:, :2], parents, children) for v in values[::step]]
    known = [x for x in lengths if np.isfinite(x)]
    return float(np.median(known)) if known else float("nan")


def _mean_bone(xy: Float[np.ndarray, "J 2"], parents: np.ndarray, children: np.ndarray) -> float:
    present = np.isfinite(xy).all(-1) & (xy != 0).any(-1) & (np.abs(xy) < 1e6).all(-1)
    drawn = present[parents] & present[children]
    if drawn.sum() < MIN_DETECTIONS_BONES:
        return float("nan")
    extent = float(np.linalg.norm(np.ptp(xy[present], axis=0)))
    bones = np.linalg.norm(xy[parents[drawn]] - xy[children[drawn]], axis=-1)
    return float(bones.mean()) / extent if extent > 0 else float("nan")


def _by_geometry(
    source: Source, values: Sequence[np.ndarray], names: Sequence[str], says: str
) -> tuple[Skeleton, tuple[str, ...]]:
    lengths = {name: bone_length(values, get_skeleton(name)) for name in names}
    default, n_points = names[0], len(values[0])
    best = min(names, key=lambda name: (np.nan_to_num(lengths[name], nan=9.0), name != default))
    if best != default and lengths[default] >= CLEAR_RATIO * lengths[best]:
        note = (
            f"{n_points} points are taken as {best}: drawn as {default}, {says}'s default, their "
            f"bones would be {lengths[default] / lengths[best]:.1f} times as long; override with "
            "skeleton="
        )
        warnings.warn(f"{source.path.name}: {note}", SkeletonGuessWarning, stacklevel=2)
        return get_skeleton(best), (note,)
    if _all_clearly_longer(lengths, default):
        note = f"{n_points} points are {default}, {says}'s default, and their geometry agrees"
    else:
        others = " or ".join(n for n in names if n != default)
        note = (
            f"{n_points} points are taken as {default}, {says}'s default; their geometry does not "
            f"rule out {others}: name it with skeleton= if it is"
        )
    return get_skeleton(default), (note,)


def _doubts(
    values: Sequence[np.ndarray], named: Skeleton, layouts: Sequence[str]
) -> tuple[str, ...]:
    """A note if another layout of the format fits much better than the one the caller named."""
    length = bone_length(values, named)
    for name in layouts:
        if name in SKELETONS and length >= CLEAR_RATIO * bone_length(values, SKELETONS[name]):
            return (f"read as {named.name} as told, but the geometry looks like {name}",)
    return ()


def _all_clearly_longer(lengths: Mapping[str, float], default: str) -> bool:
    others = [length for name, length in lengths.items() if name != default]
    return all(length >= CLEAR_RATIO * lengths[default] for length in others)


def _points(n: int) -> str:
    return f"{n} keypoint{'s' * (n != 1)}"


def _fitting(n_points: int, cure: str) -> str:
    """The cure with the skeletons of so many joints; or, if there is none, another cure."""
    names = [name for name, s in SKELETONS.items() if s.n_joints == n_points]
    if names:
        return cure + " or ".join(names)
    return (
        f"no skeleton HypoPose knows has {_points(n_points).replace('keypoint', 'joint')}: give "
        "all keypoints, or describe the skeleton in a file, skeleton=FILE.toml"
    )

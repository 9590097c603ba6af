"""Which skeleton points are in: stated by the caller or the format, never inferred from a count.

The skeleton that a file names is used, and the caller's ``skeleton=`` overrides everything.
Where a format documents a default for a number of points, that default is taken and the notes say
so; if the format has another layout with as many points, both are drawn, and if the other one's
bones are clearly shorter (a wrong order draws bones across the body), it is taken instead, with a
warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from hypopose.io.format import ReadOptions
from hypopose.io.parsing.skeleton_fit import CLEAR_RATIO, bone_length, skeletons_by_fit
from hypopose.io.source import DoubtfulInputWarning, Source
from hypopose.skeletons import SKELETONS, get_skeleton
from hypopose.types import Skeleton


class SkeletonGuessWarning(DoubtfulInputWarning):
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
        check_joints(source, options.skeleton, n_points, values)
        return options.skeleton, ()
    names = [name for name in candidates.get(n_points, ()) if name in SKELETONS]
    if not names:
        known = ", ".join(f"{n} ({' or '.join(c)})" for n, c in candidates.items())
        raise source.error(
            f"{_points(n_points)} per person; {says} known layouts have {known}",
            _fitting(n_points, "name the skeleton: skeleton=", values),
        )
    default = get_skeleton(names[0])
    if len(names) == 1:
        return default, (f"{says} does not name its skeleton; taken as {names[0]}, its layout",)
    return _by_geometry(source, values, names, says)


def check_joints(
    source: Source,
    skeleton: Skeleton,
    n_points: int,
    values: Sequence[np.ndarray] | np.ndarray = (),
) -> None:
    """Refuse a named skeleton with another number of joints.

    Args:
        source: The file, for messages.
        skeleton: As named.
        n_points: Points the file has.
        values: Detections, which order the suggestions by how well they fit.

    Raises:
        FormatError: If the numbers differ.
    """
    if skeleton.n_joints != n_points:
        raise source.error(
            f"{_points(n_points)} per person, but {skeleton.name} has {skeleton.n_joints}",
            _fitting(n_points, "name a skeleton that fits: skeleton=", values),
        )


def need_skeleton(source: Source, values: Sequence[np.ndarray] | np.ndarray) -> Exception:
    """The error for a file whose skeleton is not named; it suggests the best fitting one first."""
    n_points = len(values[0])
    return source.error(
        f"{_points(n_points)} per person in an order the file does not name",
        _fitting(n_points, "name it: skeleton=", values),
    )


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


def _all_clearly_longer(lengths: Mapping[str, float], default: str) -> bool:
    others = [length for name, length in lengths.items() if name != default]
    return all(length >= CLEAR_RATIO * lengths[default] for length in others)


def _points(n: int) -> str:
    return f"{n} keypoint{'s' * (n != 1)}"


def _fitting(n_points: int, cure: str, values: Sequence[np.ndarray] | np.ndarray = ()) -> str:
    """The cure with the skeletons of so many joints, the best fitting one first; or another."""
    names = list(skeletons_by_fit(values)) if len(values) else []
    names = names or [name for name, s in SKELETONS.items() if s.n_joints == n_points]
    if names:
        return cure + " or ".join(names)
    return (
        f"no known skeleton has {_points(n_points).replace('keypoint', 'joint')}: give "
        "all keypoints, or describe the skeleton in a file, skeleton=FILE.toml"
    )

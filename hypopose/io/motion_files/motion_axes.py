"""Which way is up in a file of 3D motion, and whether its axes are right-handed.

HypoPose holds x right, y down, z forward. Files have y up (OpenSim, most animation), z up
(laboratories, FreeMoCap) or y down (cameras). People are upright in most frames of most recordings:
the axis from the ankles to the head is taken as up. Where no person is upright, the format's
convention or the user's option is used.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

TURNS: dict[str, tuple[tuple[int, ...], ...]] = {
    "native": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "z": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "x": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    "-z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-x": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
}
"""Axis that points up -> rotation to x right, y down, z forward. ``native`` is y down."""

_AXIS = {(0, 1): "x", (0, -1): "-x", (1, 1): "y", (1, -1): "native", (2, 1): "z", (2, -1): "-z"}

UPRIGHT = 0.8
"""Cosine between a body and an axis from which the body stands along it: 37 degrees."""
SHARE = 0.7
"""Share of the frames in which it must."""

HEADS = ("head_top", "head", "nose", "neck", "c7", "thorax", "left_shoulder", "left_hip", "pelvis",
         "lasi", "sacr")  # fmt: skip
FEET = ("left_ankle", "left_heel", "left_knee", "pelvis", "left_hip")

Points = Float[np.ndarray, "F N 3"]


def turned(points: Float[np.ndarray, "*any 3"], up: str) -> Float[np.ndarray, "*any 3"]:
    """Points of a file in HypoPose's axes.

    Args:
        points: As the file has them.
        up: A key of :data:`TURNS`.

    Example:
        >>> turned(np.array([1.0, 2.0, 3.0]), "z").tolist()
        [1.0, -3.0, 2.0]
    """
    return np.asarray(points @ np.array(TURNS[up], dtype=np.float64).T)


def upright_axis(points: Points, names: list[str]) -> str | None:
    """The axis people stand along, a key of :data:`TURNS`; None if they stand along none.

    Args:
        points: ``(F, N, 3)``, in any unit.
        names: Usual names of the points.
    """
    high, low = _middle(points, names, HEADS), _middle(points, names, FEET)
    if high is None or low is None:
        return None
    body = high - low
    length = np.linalg.norm(body, axis=-1)
    known = length > 0  # False where NaN
    if not known.any():
        return None
    cosine = body[known] / length[known, None]
    for (axis, sign), name in _AXIS.items():
        if float((sign * cosine[:, axis] > UPRIGHT).mean()) >= SHARE:
            return name
    return None


def is_mirrored(points: Points, names: list[str]) -> bool:
    """Whether noses and toes point backwards, as in left-handed axes or with sides swapped.

    The way from the hips to the shoulders, the way a foot or the nose points, and the way from
    right to left are a right-handed system.
    """
    up = _between(points, names, ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))
    left = _between(points, names, ("right_hip",), ("left_hip",))
    ahead = [
        _between(points, names, (f"{side}_{heel}",), (f"{side}_{toe}",))
        for side in ("left", "right")
        for heel, toe in (("heel", "big_toe"), ("heel", "foot_index"), ("ankle", "toe"),
                          ("ankle", "foot"))
    ]  # fmt: skip
    ahead.append(_between(points, names, ("left_ear", "right_ear"), ("nose",)))
    if up is None or left is None:
        return False
    known = [a / np.linalg.norm(a, axis=-1, keepdims=True) for a in ahead if a is not None]
    if not known:
        return False
    hand = np.stack([np.einsum("fi,fi->f", np.cross(up, a), left) for a in known])
    size = np.linalg.norm(up, axis=-1) * np.linalg.norm(left, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = hand / size
    value = value[np.isfinite(value)]
    clear = value[np.abs(value) > 0.3]
    return len(clear) >= 3 and float((clear < 0).mean()) > 0.8


def _between(
    points: Points, names: list[str], start: tuple[str, ...], end: tuple[str, ...]
) -> Float[np.ndarray, "F 3"] | None:
    a, b = _mean_of(points, names, start), _mean_of(points, names, end)
    return None if a is None or b is None else b - a


def _mean_of(
    points: Points, names: list[str], wanted: tuple[str, ...]
) -> Float[np.ndarray, "F 3"] | None:
    """The middle of joints, all of which must be there."""
    if not set(wanted) <= set(names):
        return None
    return np.asarray(points[:, [names.index(name) for name in wanted]].mean(1))


def _middle(
    points: Points, names: list[str], wanted: tuple[str, ...]
) -> Float[np.ndarray, "F 3"] | None:
    """The first of the joints that is there, both sides averaged where both are."""
    for name in wanted:
        pair = tuple(n for n in (name, name.replace("left_", "right_")) if n in names)
        found = _mean_of(points, names, pair) if pair else None
        if found is not None and np.isfinite(found).any():
            return found
    return None

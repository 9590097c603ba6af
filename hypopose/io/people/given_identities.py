"""Check the identities that a file gives.

An identity that is at two places in one frame, or that moves faster than a person can, is not one
person. Its detections lose their identity and are tracked again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from hypopose.io.detections import Detections

MAX_SPEED = 15.0
"""Meters per second; sprinters reach 12."""
BODY_DIAGONAL = 1.7
"""Meters of an adult's bounding box, corner to corner, seen from the front."""
ASSUMED_FPS = 30.0
NOISE = 0.3, 0.45
"""Diagonals a body may jump by detection noise, with and without a known frame rate."""
APART = 0.5
"""Diagonals between two detections that are not the same body detected twice."""
MIN_SHARED = 6
"""Keypoints two detections must share before they are compared."""
MIN_STEPS = 10
"""Steps from frame to frame from which people's speed is judged."""
CHUNK = 2_000_000
"""Keypoints compared at once."""
MANY_NAMES = 5
FLEETING = 2
"""Identities are counts and no names if there are so many times as many as people in a frame, and
most of them are there for so few frames."""
FORGIVEN = 0.02
"""Share of an identity's frames that may hold it twice."""


def drop_identities(detections: Detections) -> Detections:
    """The same detections without identities."""
    return replace(detections, ids=(None,) * len(detections.ids))


def believable_identities(
    detections: Detections, fps: float | int | None
) -> tuple[Detections, tuple[str, ...]]:
    """Drop the identities that cannot be one person each.

    Args:
        detections: Cleaned detections.
        fps: Frames per second; None if unknown.

    Returns:
        The detections, and a doubt per kind of impossible identity.
    """
    if not detections.shared_clock or all(i is None for i in detections.ids):
        return detections, ()
    names, kin = _kin(detections)
    if _are_fleeting(detections, kin, len(names)):
        return drop_identities(detections), (
            f"{len(names)} identities ignored, most are there for a frame or two: tracked by "
            "position; keep_identities=True keeps those of the file",
        )
    in_two_places = _are_in_two_places(detections, kin, len(names))
    too_fast = _are_too_fast(detections, kin, len(names), fps) & ~in_two_places
    twice = [name for name, is_so in zip(names, in_two_places, strict=True) if is_so]
    fast = [name for name, is_so in zip(names, too_fast, strict=True) if is_so]
    dropped = {*twice, *fast}
    ids = tuple(None if i in dropped else i for i in detections.ids)
    doubts = _doubt(twice, "is in two places in one frame"), _doubt(fast, "jumps across the image")
    return replace(detections, ids=ids), tuple(d for d in doubts if d)


def speed_doubt(detections: Detections, fps: float | int) -> tuple[str, ...]:
    """A doubt about the frame rate if people with identities mostly move faster than anybody can.

    Args:
        detections: Cleaned detections.
        fps: Frames per second.
    """
    if not detections.shared_clock or all(i is None for i in detections.ids):
        return ()
    _, kin = _kin(detections)
    once = kin.only(kin.begins)
    later = np.flatnonzero(
        (once.who[1:] == once.who[:-1]) & (once.frames[1:] - once.frames[:-1] == 1)
    ) + 1  # fmt: skip
    if len(later) < MIN_STEPS:
        return ()
    distance, size, _ = _moved(
        detections.xy, once.rows[later - 1], once.rows[later], once.who[later]
    )
    speed = float(np.nanmedian(distance / size)) * BODY_DIAGONAL * fps
    if not speed > MAX_SPEED:
        return ()
    return (
        f"at {fps:g} frames a second people move at about {speed:.0f} m/s, too fast for anyone: "
        "check fps=",
    )


def _doubt(names: list[str], what: str) -> str:
    if not names:
        return ""
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    many = "identities" if len(names) > 1 else "identity"
    each = f"each {what}" if len(names) > 1 else f"it {what}"
    return (
        f"{many} {listed} ignored, {each}: tracked by position; keep_identities=True "
        "keeps those of the file"
    )


@dataclass(frozen=True, eq=False)
class _Kin:
    """Rows with an identity, sorted by identity and frame.

    Args:
        rows: Of the detections.
        who: Number of the identity of each.
        frames: Frame of each.
    """

    rows: Int[np.ndarray, " n"]
    who: Int[np.ndarray, " n"]
    frames: Int[np.ndarray, " n"]

    def only(self, kept: Bool[np.ndarray, " n"]) -> _Kin:
        return _Kin(self.rows[kept], self.who[kept], self.frames[kept])

    @property
    def begins(self) -> Bool[np.ndarray, " n"]:
        """Whether a row is the first of its identity in its frame."""
        again = (self.who[1:] == self.who[:-1]) & (self.frames[1:] == self.frames[:-1])
        return np.concatenate([[True], ~again])[: len(self.rows)]


def _kin(detections: Detections) -> tuple[list[str], _Kin]:
    """The identities in file order, and their rows."""
    numbers: dict[str, int] = {}
    rows = [i for i, name in enumerate(detections.ids) if name is not None]
    who = np.array([numbers.setdefault(str(detections.ids[i]), len(numbers)) for i in rows])
    picked = np.array(rows, dtype=np.int64)
    order = np.lexsort((detections.frames[picked], who))
    return list(numbers), _Kin(picked[order], who[order], detections.frames[picked[order]])


def _are_fleeting(detections: Detections, kin: _Kin, n: int) -> bool:
    """Whether identities are new in nearly every frame, as an untracked detector counts people."""
    _, crowd = np.unique(detections.frames, return_counts=True)
    n_frames = np.bincount(kin.who[kin.begins], minlength=n)
    return n > MANY_NAMES * int(crowd.max()) and float(np.median(n_frames)) <= FLEETING


def _are_in_two_places(detections: Detections, kin: _Kin, n: int) -> Bool[np.ndarray, " n"]:
    """Which identities stand at two places in one frame, in more frames than is forgiven."""
    begins = kin.begins
    again = np.flatnonzero(~begins)
    distance, size, _ = _moved(detections.xy, kin.rows[again - 1], kin.rows[again], kin.who[again])
    n_apart = np.bincount(kin.who[again[distance > APART * size]], minlength=n)
    n_frames = np.bincount(kin.who[begins], minlength=n)
    return np.asarray(n_apart > FORGIVEN * n_frames)


def _are_too_fast(
    detections: Detections, kin: _Kin, n: int, fps: float | int | None
) -> Bool[np.ndarray, " n"]:
    """Which identities ever move farther between two detections than a person can."""
    once = kin.only(kin.begins)
    later = np.flatnonzero(once.who[1:] == once.who[:-1]) + 1
    before, after, who = once.rows[later - 1], once.rows[later], once.who[later]
    gaps = once.frames[later] - once.frames[later - 1]
    rate = fps or ASSUMED_FPS
    distance, size, bent = _moved(detections.xy, before, after, who)
    floor = NOISE[0] if fps else NOISE[1]
    reach = np.maximum(floor, MAX_SPEED / BODY_DIAGONAL / rate * gaps)
    # It is another body, in another pose; noise changes the pose as much as the position.
    moved = (distance > reach * size) & (bent < 0.5 * distance)
    return np.asarray(np.bincount(who[moved & (gaps <= rate)], minlength=n) > 0)


def _moved(
    xy: Float[np.ndarray, "N J 2"],
    before: Int[np.ndarray, " P"],
    after: Int[np.ndarray, " P"],
    who: Int[np.ndarray, " P"],
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """How far bodies moved (0 where few keypoints are shared), their diagonals, how much they bent.

    The move is the median over the keypoints both have; the bend is the median distance from it. A
    body is no smaller than half of what is usual for its identity.
    """
    step = max(1, CHUNK // max(1, xy.shape[1]))
    pieces = [slice(i, i + step) for i in range(0, len(before), step)]
    parts = [_shifts(xy[before[p]], xy[after[p]]) for p in pieces]
    distance, sizes, bent = (
        np.concatenate([part[k] for part in parts]) if parts else np.zeros(0) for k in range(3)
    )
    return distance, np.maximum(sizes, 0.5 * _usual(sizes, who)), bent


def _shifts(
    before: Float[np.ndarray, "P J 2"], after: Float[np.ndarray, "P J 2"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Distances, diagonals and bends of pairs of bodies."""
    shift = after - before
    enough = np.isfinite(shift).all(-1).sum(-1) >= MIN_SHARED
    shift = np.where(enough[:, None, None], shift, 0.0)
    move = np.nanmedian(shift, axis=1)
    bent = np.nanmedian(np.linalg.norm(shift - move[:, None], axis=-1), axis=1)
    return np.linalg.norm(move, axis=-1), np.maximum(_diagonals(before), _diagonals(after)), bent


def _usual(sizes: Float[np.ndarray, " P"], who: Int[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """The ninth decile of each identity's sizes, for each of its pairs; ``who`` is sorted.

    Example:
        >>> _usual(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 3])).round(2).tolist()
        [1.9, 1.9, 5.0]
    """
    if not len(sizes):
        return sizes
    ordered = sizes[np.lexsort((sizes, who))]
    _, start, group, counts = np.unique(
        who, return_index=True, return_inverse=True, return_counts=True
    )
    at = 0.9 * (counts - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, counts - 1)
    share = at - low
    usual = (1 - share) * ordered[start + low] + share * ordered[start + high]
    return np.asarray(usual[group.ravel()])


def _diagonals(xy: Float[np.ndarray, "N J 2"]) -> Float[np.ndarray, " N"]:
    seen = np.isfinite(xy).all(-1, keepdims=True)
    high = np.where(seen, xy, -np.inf).max(1)
    low = np.where(seen, xy, np.inf).min(1)
    extent = np.where(np.isfinite(high - low), high - low, 0.0)
    return np.maximum(np.linalg.norm(extent, axis=-1), 1.0)

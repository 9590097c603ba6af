"""Follow people from frame to frame by assignment.

Every person already seen is expected where it was, moved on by its recent speed. In each frame,
people and detections are paired to the least total cost (Kuhn-Munkres, ``scipy.optimize``); the
cost is the mean distance of the keypoints both have, in diagonals of the body. A pair that is too
far apart is not matched: the detection starts a new person, and the old one may return within
``max_gap`` frames. Identities a file gives are kept as they are; only detections without one are
followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.detections import Detections

CHUNK = 1_000_000
"""Keypoint distances computed at once."""


@dataclass(frozen=True)
class TrackingOptions:
    """How far a person may move.

    Args:
        max_gap: Frames a person may be unseen and still be the same.
        max_distance: Largest mean keypoint distance between neighboring frames, in diagonals of the
            body's bounding box.
        per_missed_frame: How much that grows per frame unseen.
        distance_limit: How much it may grow to.
    """

    max_gap: int = 30
    max_distance: float = 0.3
    per_missed_frame: float = 0.02
    distance_limit: float = 0.6


class _Track:
    """A person followed so far: rows of the detections, last place, speed and size."""

    def __init__(self, row: int, frame: int, xy: Float[np.ndarray, "J 2"]) -> None:
        self.rows = [row]
        self.frame = frame
        self.place = xy.copy()
        self.speed = np.zeros(2)
        self.size = diagonal(xy)

    def expected(self, frame: int) -> Float[np.ndarray, "J 2"]:
        return self.place + self.speed * min(frame - self.frame, 5)

    def follow(self, row: int, frame: int, xy: Float[np.ndarray, "J 2"]) -> None:
        both = np.isfinite(xy).all(-1) & np.isfinite(self.place).all(-1)
        shift = (xy - self.place)[both].mean(0) if both.any() else np.zeros(2)
        speed = shift / (frame - self.frame)
        self.speed = speed if len(self.rows) == 1 else 0.5 * self.speed + 0.5 * speed
        # Joints that are not seen now move along with those that are.
        self.place = np.where(np.isfinite(xy), xy, self.place + shift)
        self.size = max(diagonal(xy), 0.98 * self.size)
        self.rows.append(row)
        self.frame = frame


def track(
    detections: Detections, options: TrackingOptions | None = None
) -> dict[str, Int[np.ndarray, " n"]]:
    """Who is who.

    Args:
        detections: Cleaned detections of a file.
        options: How far a person may move; by default up to 30 frames unseen.

    Returns:
        Rows of the detections per person, in frame order. People are ordered by how much was seen
        of them: the main person comes first, short ghosts last. Given identities keep their names;
        people found by tracking are called ``"0"``, ``"1"``, ... in that order.
    """
    options = options or TrackingOptions()
    given, loose = _by_identity(detections)
    found = _follow(detections, loose, options)
    found.sort(key=lambda rows: person_weight(detections, rows), reverse=True)
    prefix = "untracked-" if given else ""
    people = {**given, **{f"{prefix}{i}": rows for i, rows in enumerate(found)}}
    ranked = sorted(
        people.items(), key=lambda item: person_weight(detections, item[1]), reverse=True
    )
    return {name: np.array(rows, dtype=np.int64) for name, rows in ranked}


def _by_identity(detections: Detections) -> tuple[dict[str, list[int]], list[int]]:
    """Rows per given identity, and rows without one.

    If an identity is there twice in a frame, the better detection keeps it.
    """
    best: dict[tuple[str, int], int] = {}
    loose: list[int] = []
    for row, (identity, frame) in enumerate(
        zip(detections.ids, detections.frames.tolist(), strict=True)
    ):
        if identity is None:
            loose.append(row)
            continue
        other = best.get((identity, frame))
        if other is None or row_weight(detections, row) > row_weight(detections, other):
            best[identity, frame] = row
            row = -1 if other is None else other  # noqa: PLW2901 - the one that loses its name
        if row >= 0:
            loose.append(row)
    given: dict[str, list[int]] = {}
    for (identity, _), row in best.items():
        given.setdefault(identity, []).append(row)
    frames = detections.frames
    rows = {name: sorted(rows, key=lambda r: int(frames[r])) for name, rows in given.items()}
    return rows, sorted(loose, key=lambda r: int(frames[r]))


def _follow(detections: Detections, rows: list[int], options: TrackingOptions) -> list[list[int]]:
    if not detections.shared_clock:
        return [[row] for row in rows]
    active: list[_Track] = []
    done: list[_Track] = []
    by_frame: dict[int, list[int]] = {}
    for row in rows:
        by_frame.setdefault(int(detections.frames[row]), []).append(row)
    for frame in sorted(by_frame):
        kept = [t for t in active if frame - t.frame <= options.max_gap + 1]
        done += [t for t in active if frame - t.frame > options.max_gap + 1]
        active = kept + _pair(detections.xy, kept, frame, by_frame[frame], options)
    return [t.rows for t in done + active]


def _pair(
    xy: Float[np.ndarray, "N J 2"],
    tracks: list[_Track],
    frame: int,
    rows: list[int],
    options: TrackingOptions,
) -> list[_Track]:
    """Extend the tracks by this frame's detections; return the people who are new."""
    new = set(rows)
    if tracks:
        cost = _costs(tracks, xy[rows], frame)
        missed = np.array([frame - t.frame - 1 for t in tracks])
        reach = options.max_distance + options.per_missed_frame * missed
        limit = np.minimum(reach, max(options.distance_limit, options.max_distance))[:, None]
        for i, j in _assign(np.where(cost <= limit, cost, np.inf)):
            tracks[i].follow(rows[j], frame, xy[rows[j]])
            new.discard(rows[j])
    return [_Track(row, frame, xy[row]) for row in sorted(new)]


def _assign(cost: Float[np.ndarray, "T D"]) -> list[tuple[int, int]]:
    """Pairs of least total cost; infinite costs are no pairs, and as many pairs as possible."""
    from scipy.optimize import linear_sum_assignment

    impossible = 1e6
    first, second = linear_sum_assignment(np.where(np.isfinite(cost), cost, impossible))
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return [(i, j) for i, j in pairs if np.isfinite(cost[i, j])]


def _costs(
    tracks: list[_Track], xy: Float[np.ndarray, "D J 2"], frame: int
) -> Float[np.ndarray, "T D"]:
    expected = np.stack([t.expected(frame) for t in tracks])
    step = max(1, CHUNK // max(1, xy[..., 0].size))  # so that memory stays bounded in a crowd
    parts = [_mean_distances(expected[i : i + step], xy) for i in range(0, len(expected), step)]
    sizes = np.array([diagonal(v) for v in xy])
    scale = np.maximum(np.maximum.outer(np.array([t.size for t in tracks]), sizes), 1.0)
    return np.concatenate(parts) / scale


def _mean_distances(
    expected: Float[np.ndarray, "T J 2"], xy: Float[np.ndarray, "D J 2"]
) -> Float[np.ndarray, "T D"]:
    """Mean over the keypoints both have; infinite if they share none."""
    difference = expected[:, None] - xy[None]
    distance = np.hypot(difference[..., 0], difference[..., 1])
    both = np.isfinite(distance)
    count = both.sum(-1)
    total = np.where(both, distance, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def diagonal(xy: Float[np.ndarray, "J 2"]) -> float:
    """Diagonal of a body's bounding box; 0 if nothing of it is seen."""
    seen = xy[np.isfinite(xy).all(-1)]
    return float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) else 0.0


def person_weight(detections: Detections, rows: Sequence[int]) -> tuple[int, float, float]:
    """How much is seen of a person: frames, keypoints, size; more is the more important."""
    picked = np.array(rows)
    seen = float(np.isfinite(detections.xy[picked]).all(-1).sum())
    return len(rows), seen, float(np.mean([diagonal(detections.xy[r]) for r in rows[:100]]))


def row_weight(detections: Detections, row: int) -> tuple[float, float]:
    """How much is seen of a detection, and how sure the detector was: more is better."""
    score = 0.0 if detections.scores is None else float(np.nan_to_num(detections.scores[row]))
    return float(np.isfinite(detections.xy[row]).all(-1).sum()), score

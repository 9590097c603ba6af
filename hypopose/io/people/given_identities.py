"""Whether the identities that a file gives can be true.

An identity that stands at two places in one frame, or that moves faster than a person can, is not
one person. Its detections lose their names and are tracked anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

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
    twice: list[str] = []
    fast: list[str] = []
    for name, rows in _rows_by_identity(detections):
        if _is_in_two_places(detections, rows):
            twice.append(name)
        elif _is_too_fast(detections, rows, fps):
            fast.append(name)
    dropped = {*twice, *fast}
    ids = tuple(None if i in dropped else i for i in detections.ids)
    doubts = _doubt(twice, "is in two places in one frame"), _doubt(fast, "jumps across the image")
    return replace(detections, ids=ids), tuple(d for d in doubts if d)


def _doubt(names: list[str], what: str) -> str:
    if not names:
        return ""
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    many = "identities" if len(names) > 1 else "identity"
    each = f"each {what}" if len(names) > 1 else f"it {what}"
    return (
        f"{many} {listed} not believed, {each}: followed anew by position; keep_identities=True "
        "keeps what the file says"
    )


def _rows_by_identity(detections: Detections) -> Iterator[tuple[str, np.ndarray]]:
    """Rows of each identity in frame order."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(detections.ids):
        if name is not None:
            rows.setdefault(name, []).append(row)
    for name, some in rows.items():
        picked = np.array(some)
        yield name, picked[np.argsort(detections.frames[picked], kind="stable")]


def _is_in_two_places(detections: Detections, rows: np.ndarray) -> bool:
    frames = detections.frames[rows]
    same = frames[1:] == frames[:-1]
    if not same.any():
        return False
    distance, size, _ = _moved(detections.xy[rows[:-1][same]], detections.xy[rows[1:][same]])
    n_apart = int((distance > APART * size).sum())
    return n_apart > FORGIVEN * len(np.unique(frames))


def _is_too_fast(detections: Detections, rows: np.ndarray, fps: float | int | None) -> bool:
    """Whether it ever moves farther between two detections than a person can."""
    frames, first = np.unique(detections.frames[rows], return_index=True)
    xy = detections.xy[rows[first]]
    if len(frames) < 2:
        return False
    rate = fps or ASSUMED_FPS
    gaps = np.diff(frames)
    distance, size, bent = _moved(xy[:-1], xy[1:])
    floor = NOISE[0] if fps else NOISE[1]
    reach = np.maximum(floor, MAX_SPEED / BODY_DIAGONAL / rate * gaps)
    # Another body stands there, in a pose of its own; noise bends a body as much as it moves it.
    moved = (distance > reach * size) & (bent < 0.5 * distance)
    return bool((moved & (gaps <= rate)).any())


def _moved(
    before: Float[np.ndarray, "N J 2"], after: Float[np.ndarray, "N J 2"]
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """How far bodies moved (0 where few keypoints are shared), their diagonals, how much they bent.

    The move is the median over the keypoints both have; the bend is the median distance from it.
    """
    shift = after - before
    enough = np.isfinite(shift).all(-1).sum(-1) >= MIN_SHARED
    shift = np.where(enough[:, None, None], shift, 0.0)
    move = np.nanmedian(shift, axis=1)
    bent = np.nanmedian(np.linalg.norm(shift - move[:, None], axis=-1), axis=1)
    sizes = np.maximum(_diagonals(before), _diagonals(after))
    usual = np.quantile(sizes, 0.9) if len(sizes) else 0.0
    return np.linalg.norm(move, axis=-1), np.maximum(sizes, 0.5 * usual), bent


def _diagonals(xy: Float[np.ndarray, "N J 2"]) -> Float[np.ndarray, " N"]:
    seen = np.isfinite(xy).all(-1, keepdims=True)
    high = np.where(seen, xy, -np.inf).max(1)
    low = np.where(seen, xy, np.inf).min(1)
    extent = np.where(np.isfinite(high - low), high - low, 0.0)
    return np.maximum(np.linalg.norm(extent, axis=-1), 1.0)

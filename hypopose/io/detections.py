"""What readers return: every detection in a file with its frame, and its person if known.

Cleaning happens here, once for all formats: what counts as missing, which confidences are
possible, which coordinates are no pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from hypopose.errors import FormatError
from hypopose.io.parsing.depth import CURE, NEGATIVE_SHARE, check_confidences
from hypopose.types import Camera, Skeleton

MAX_FRAMES = 2_000_000
"""Nine hours at 60 Hz; a longer range of frame numbers is a numbering mistake."""
MAX_PEOPLE_IN_FRAME = 300
MAX_PIXELS = 1e6
MIN_EXTENT = 2.0
"""Coordinates within this many pixels of 0, not all of them whole, are fractions and no pixels."""
MIN_BODY = 4.0
"""Pixels of the smallest body that a detector finds."""
MIN_SHOWN = 5
"""Keypoints of a body whose size is judged."""


@dataclass(frozen=True, eq=False)
class Detections:
    """All detections of a file, one row each: N people-in-a-frame.

    Args:
        skeleton: The joint set.
        frames: Frame number of each detection, as the file numbers them.
        xy: Pixels; NaN where undetected.
        confidence: As the detector gave it, or None if the format has none.
        ids: A person's name per detection, None where the file gives none.
        scores: How sure the detector was of the whole person, or None.
        first_frame: First frame the file speaks of, people in it or not.
        last_frame: Last frame the file speaks of.
        shared_clock: Whether frame numbers mean the same time for everybody. False for separate
            clips or images in one file: then people are not followed from one to the next.
        image_size: Width and height in pixels, if the file says.
        image_sizes: By identity, where separate clips or images differ in size.
        fps: Frames per second, if the file says.
        camera: The camera, if the file says.
        covariance: Per-keypoint covariance in px², if the file has it.
        approximate: Joints the file marks as formed from others.
        times: Seconds of each detection, where the file has time stamps; ``frames`` then only
            orders them.
        notes: What was assumed on the way.
        doubts: What makes the file doubtful, see :mod:`hypopose.io.doubts`.
    """

    skeleton: Skeleton
    frames: Int[np.ndarray, " N"]
    xy: Float[np.ndarray, "N J 2"]
    confidence: Float[np.ndarray, "N J"] | None
    ids: tuple[str | None, ...]
    first_frame: int
    last_frame: int
    scores: Float[np.ndarray, " N"] | None = None
    shared_clock: bool = True
    image_size: tuple[int, int] | None = None
    image_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    fps: float | None = None
    camera: Camera | None = None
    covariance: Float[np.ndarray, "N J 2 2"] | None = None
    approximate: tuple[str, ...] = ()
    times: Float[np.ndarray, " N"] | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def with_notes(self, *notes: str) -> Detections:
        """The same detections with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def with_doubts(self, *doubts: str) -> Detections:
        """The same detections with more doubts."""
        return replace(self, doubts=(*self.doubts, *doubts))


def check_size(detections: Detections, file: str) -> None:
    """Refuse frame numbers and crowds that no recording has.

    Args:
        detections: What a reader found.
        file: Name of the file, for the message.

    Raises:
        FormatError: If the range of frames or the number of people in a frame is beyond reason.
    """
    n_frames = detections.last_frame - detections.first_frame + 1
    if n_frames > MAX_FRAMES:
        raise FormatError(
            f"{file}: frame numbers run from {detections.first_frame} to {detections.last_frame}, "
            f"more than {MAX_FRAMES} frames; number the frames one by one."
        )
    if detections.shared_clock and len(detections.frames):
        numbers, counts = np.unique(detections.frames, return_counts=True)
        if counts.max() > MAX_PEOPLE_IN_FRAME:
            raise FormatError(
                f"{file}: frame {numbers[counts.argmax()]} holds {counts.max()} people, more than "
                f"{MAX_PEOPLE_IN_FRAME}; remove the false detections."
            )


def clean(detections: Detections, file: str) -> Detections:
    """Give missing and impossible values one meaning, and say what was done.

    A keypoint is missing if a coordinate is not finite, if it lies at exactly (0, 0) or (-1, -1),
    or if its confidence is zero, negative or not a number. Confidences above 1 become 1.

    Args:
        detections: What a reader found.
        file: Name of the file, for messages.

    Returns:
        Detections without empty rows; NaN and confidence 0 where missing.

    Raises:
        FormatError: If nothing is detected, or the values are no pixels.
    """
    xy = detections.xy.astype(np.float64)
    finite = np.isfinite(xy).all(-1)
    if (np.abs(xy[finite]) > MAX_PIXELS).any():
        row, joint = np.argwhere(finite & (np.abs(np.nan_to_num(xy)) > MAX_PIXELS).any(-1))[0]
        raise FormatError(
            f"{file}: frame {detections.frames[row]}: keypoint {joint} lies at "
            f"({xy[row, joint, 0]:.3g}, {xy[row, joint, 1]:.3g}) px, outside any image; "
            "write coordinates in pixels."
        )
    present = finite & ~(xy == 0).all(-1) & ~(xy == -1).all(-1)
    placed = present.copy()
    confidence = detections.confidence
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    if confidence is not None:
        confidence = confidence.astype(np.float64)
        check_confidences(confidence[present & np.isfinite(confidence)], file)
        confidence, sure, notes, doubts = _clean_confidence(confidence, present)
        present &= sure
    if _are_fractions(xy[present]):
        raise _not_pixels(xy[present], file)
    _refuse_tiny(xy, present, file)
    rows = present.any(-1)
    if not rows.any():
        raise _nothing_seen(placed=bool(placed.any()), file=file)
    xy[~present] = np.nan
    kept = _keep(replace(detections, xy=xy, confidence=confidence), rows)
    return kept.with_notes(*notes).with_doubts(*doubts)


def _nothing_seen(*, placed: bool, file: str) -> FormatError:
    """The error for a file whose keypoints are all missing, with places or without."""
    if placed:
        return FormatError(
            f"{file}: every confidence is 0, so no keypoint is detected; leave the confidences out "
            "if there are none."
        )
    return FormatError(
        f"{file}: no keypoint of any person is detected in any frame; check the recording."
    )


def _not_pixels(xy: Float[np.ndarray, "n 2"], file: str) -> FormatError:
    near = f"{file}: all coordinates lie within {MIN_EXTENT:g} of 0"
    if (xy < 0).any(-1).mean() > NEGATIVE_SHARE:
        return FormatError(
            f"{near}, many negative: 3D joints in meters, or fractions from -1 to 1; {CURE}, and "
            "if they are fractions, write pixels (OpenPose: --keypoint_scale 0)."
        )
    return FormatError(
        f"{near}, so they are fractions of the image; read them with fractions=True and "
        "image_size=(W, H), or write them in pixels (OpenPose: --keypoint_scale 0)."
    )


def _refuse_tiny(
    xy: Float[np.ndarray, "N J 2"], present: Bool[np.ndarray, "N J"], file: str
) -> None:
    """Refuse bodies of a few pixels, which are meters or fractions away from 0.

    Raises:
        FormatError: If half of the bodies are smaller than :data:`MIN_BODY`.
    """
    rows = xy[present.sum(-1) >= MIN_SHOWN]
    shown = present[present.sum(-1) >= MIN_SHOWN]
    if not len(rows) or not (xy[present] != np.floor(xy[present])).any():
        return
    high = np.where(shown[..., None], rows, -np.inf).max(1)
    low = np.where(shown[..., None], rows, np.inf).min(1)
    size = float(np.median((high - low).max(-1)))
    if size < MIN_BODY:
        raise FormatError(
            f"{file}: bodies are only {size:.2g} wide or high, so these are no pixels but 3D "
            f"joints in meters, or fractions of the image; {CURE}."
        )


def _are_fractions(xy: Float[np.ndarray, "n 2"]) -> bool:
    """No pixels: nothing is farther from 0 than this, and it is not in whole numbers."""
    near = bool(len(xy)) and bool(np.abs(xy).max() <= MIN_EXTENT)
    return near and bool((xy != np.floor(xy)).any())


def _clean_confidence(
    confidence: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Confidences from 0 to 1, where they are above 0, notes and doubts."""
    known = np.nan_to_num(confidence, nan=0.0, posinf=0.0, neginf=0.0)
    negative = int((present & (known < 0)).sum())
    above = int((present & (known > 1)).sum())
    notes = (f"{negative} keypoints with a negative confidence are taken as missing",)
    high = known[present].max() if present.any() else 0.0
    doubts = (f"{above} confidences above 1 (up to {high:.3g}) became 1",)
    sure = known > 0
    cleaned = np.where(present & sure, known.clip(0, 1), 0.0)
    return cleaned, sure, notes if negative else (), doubts if above else ()


def _keep(detections: Detections, rows: np.ndarray) -> Detections:
    def pick(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[rows]

    return replace(
        detections,
        frames=detections.frames[rows],
        xy=detections.xy[rows],
        confidence=pick(detections.confidence),
        scores=pick(detections.scores),
        covariance=pick(detections.covariance),
        times=pick(detections.times),
        ids=tuple(i for i, kept in zip(detections.ids, rows, strict=True) if kept),
    )

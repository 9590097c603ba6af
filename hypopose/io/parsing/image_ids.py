"""Ambiguities of the COCO family: whether image ids count frames, and what third numbers mean."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from hypopose.io.detections import Detections
from hypopose.io.parsing import json_values
from hypopose.io.source import Source

LAYOUTS = {17: ("coco17",), 133: ("coco133",)}
"""Skeletons of the COCO family by number of points."""
MIN_EVEN = 5
"""Evenly spaced image ids from which they are frames of one video."""
SPARSE = 10
"""Image ids that span more than this many times their number are not frame numbers."""


def image_number(source: Source, value: Any, place: str) -> int:
    """The frame number of an image: a number, or the last number in its name.

    Raises:
        FormatError: If there is none.
    """
    if not isinstance(value, str):
        return json_values.whole_number(source, value, place)
    digits = re.findall(r"\d+", re.sub(r"\.[A-Za-z]\w*$", "", value), re.ASCII)
    if not digits or len(digits[-1]) > 18:
        raise source.error(f"no frame number in {value[:60]!r}", "name images by number", place)
    return int(digits[-1])


def one_image_id(listed: Any) -> bool:
    """Whether all detections of a list carry the same ``image_id``."""
    ids = {str(entry.get("image_id")) for entry in listed if isinstance(entry, dict)}
    return len(ids) == 1


def third_numbers(detections: Detections) -> Detections:
    """Scores stay; flags become 0 and 1; zeros everywhere mean that nothing was written."""
    values = np.nan_to_num(np.asarray(detections.confidence))
    if not values.any():
        note = "the third number of every keypoint is 0, so it is taken as unused"
        return replace(detections, confidence=None).with_notes(note)
    if values.max() == 2 and np.isin(values, (0, 1, 2)).all():
        note = "the third numbers are visibility flags (0, 1, 2): 1 and 2 count as seen, surely"
        return replace(detections, confidence=values.clip(0, 1)).with_notes(note)
    return detections


def _step(numbers: Int[np.ndarray, " n"]) -> int:
    """The step of image ids that are evenly spaced; 1 if they are not, or are too few to tell."""
    steps = np.unique(np.diff(numbers))
    return int(steps[0]) if len(steps) == 1 and len(numbers) >= MIN_EVEN else 1


def _every(detections: Detections, step: int) -> Detections:
    """One clip of every ``step``-th frame of a video."""
    doubt = (
        f"image ids step by {step}: read as one clip of every frame there is; the frame rate is "
        f"then the video's divided by {step}"
    )
    return replace(
        detections,
        frames=(detections.frames - detections.first_frame) // step,
        first_frame=0,
        last_frame=(detections.last_frame - detections.first_frame) // step,
        fps=None if detections.fps is None else detections.fps / step,
    ).with_doubts(doubt)


def as_video_or_images(detections: Detections) -> Detections:
    """Image ids in a row are frames; scattered ones separate images with a person per detection."""
    numbers = np.unique(detections.frames)
    n_images = len(numbers)
    step = _step(numbers)
    if step > 1:
        return _every(detections, step)
    span = detections.last_frame - detections.first_frame + 1
    if span <= max(SPARSE * n_images, 100):
        return detections
    counts: dict[int, int] = {}
    ids = []
    for frame in detections.frames.tolist():
        k = counts[frame] = counts.get(frame, -1) + 1
        ids.append(f"{frame}/{k}")
    note = (
        f"{n_images} image ids between {detections.first_frame} and {detections.last_frame} are no "
        "frame numbers: every detection is a person of its own, one frame long"
    )
    frames = np.zeros_like(detections.frames)
    images = replace(detections, frames=frames, ids=tuple(ids), first_frame=0, last_frame=0)
    apart = replace(images, shared_clock=False)
    return apart.with_doubts(note) if n_images >= MIN_EVEN else apart.with_notes(note)

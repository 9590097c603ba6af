"""Warnings about files that can be read but are probably not what they seem.

A doubt is one short sentence that states how to fix the file. It is raised as a
:class:`DoubtfulInputWarning` (on the command line a line on standard error), and it stands among
the notes of the keypoints.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.parsing.skeleton_fit import CLEAR_RATIO, bone_length, skeletons_by_fit
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import COCO17
from hypopose.types import Skeleton

UPSIDE_DOWN_SHARE = 0.6
"""Share of bodies with the shoulders below the hips from which the whole file is doubted."""
SIDEWAYS_SHARE = 0.95
"""Share of trunks across the image from which the whole file is doubted."""
ACROSS = 2.0
"""Width over height of a trunk, shoulders to hips, that lies across the image."""
OUTSIDE_SHARE = 0.05
"""Share of keypoints outside the image from which the image size is doubted."""
SETTLED = ("mediapipe33", "kinect25")
"""Skeletons that a format always has, so that naming another is no cure."""
SCRAMBLED = 0.27
"""Mean bone length, in diagonals of the body, from which points are no body in this order."""
CROWD = 5
SAME_SPOT = 0.1
"""So many people of one frame, so many sizes of a body from one to the next, are no crowd."""
CORNER = 0.5
"""Share of width and height within which all keypoints of a clip lie only if the size is wrong."""
PERCENT = 100
MIN_CLIP = 10
"""Number of frames from which a doubt is raised if no one leaves a quarter of the image."""
SMALL = 40.0
"""Pixels of a person's height below which keypoints are too coarse."""
FEW = 8
"""Fewer joints do not tell how tall a person is."""
N_EXAMINED = 200
"""Detections that are looked at, spread over the file."""


def warn_of(doubts: Iterable[str], file: str) -> None:
    """Raise each doubt as a warning that names the file."""
    for doubt in doubts:
        warnings.warn(f"{file}: {doubt}", DoubtfulInputWarning, stacklevel=3)


def doubts_about(detections: Detections, *, skeleton_told: bool) -> tuple[str, ...]:
    """What about the keypoints themselves is doubtful.

    Args:
        detections: Cleaned detections, in pixels.
        skeleton_told: Whether the caller, and not the file, named the skeleton.

    Returns:
        One sentence per doubt.
    """
    step = max(1, len(detections.xy) // N_EXAMINED)
    xy = detections.xy[::step]
    named = detections.skeleton
    wrong = misnamed(xy, named) if skeleton_told else scrambled(xy, named)
    # Joints under wrong names do not show which way is up.
    found = wrong or upside_down(xy, named) or sideways(xy, named)
    return tuple(doubt for doubt in (found, on_one_spot(detections), small(xy)) if doubt)


def on_one_spot(detections: Detections) -> str:
    """A doubt if the people of a frame stand where one another stand; else nothing."""
    if not detections.shared_clock:
        return ""
    numbers, counts = np.unique(detections.frames, return_counts=True)
    if counts.max() < CROWD:
        return ""
    frame = numbers[counts.argmax()]
    xy = detections.xy[detections.frames == frame][:N_EXAMINED]
    low, high, step = _spans(xy)
    if not np.median(step) < SAME_SPOT * np.median(high - low):  # NaN where nothing can be told
        return ""
    return (
        f"{counts.max()} people of frame {frame} stand on one spot: if these are rows of several "
        "frames, number them in a column 'frame'"
    )


def _spans(
    xy: Float[np.ndarray, "N J 2"],
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"], Float[np.ndarray, " _"]]:
    """Lowest and highest y of bodies, and how far the next is from each, over their joints."""
    seen = np.isfinite(xy).all(-1)
    low = np.where(seen, xy[..., 1], np.inf).min(1)
    high = np.where(seen, xy[..., 1], -np.inf).max(1)
    both = seen[1:] & seen[:-1]
    step = np.where(both, np.linalg.norm(np.diff(xy, axis=0), axis=-1), 0.0).sum(1)
    return low, high, step / np.where(both.any(1), both.sum(1), np.nan)


def small(xy: Float[np.ndarray, "N J 2"]) -> str:
    """A doubt if people are so small that a pixel counts; else nothing."""
    seen = np.isfinite(xy).all(-1, keepdims=True)
    size = (np.where(seen, xy, -np.inf).max(1) - np.where(seen, xy, np.inf).min(1)).max(-1)
    whole = size[seen.sum((1, 2)) >= max(FEW, xy.shape[1] / 2)]
    tall = float(np.median(whole)) if len(whole) else np.inf
    if not 1 <= tall < SMALL:
        return ""
    return (
        f"people are {tall:.0f} px tall, so that an error of one pixel is {1 / tall:.0%} of them: "
        "detect keypoints in larger pictures, or write pixels if these are another unit"
    )


def upside_down(xy: Float[np.ndarray, "N J 2"], skeleton: Skeleton) -> str:
    """A doubt if most bodies have the head below the shoulders below the hips; else nothing."""
    levels = [_level(xy, skeleton, names) for names in _LEVELS]
    known = np.isfinite(levels[1:]).all(0)
    below = levels[1] > levels[2]
    has_head = np.isfinite(levels[0])
    below &= ~has_head | (levels[0] > levels[1])
    share = float(below[known].mean()) if known.any() else 0.0
    if share < UPSIDE_DOWN_SHARE:
        return ""
    return (
        f"people are upside down in {share:.0%} of the frames: if the file counts y upwards, read "
        "it with y_up=True; if the video is turned, with rotate=180"
    )


def sideways(xy: Float[np.ndarray, "N J 2"], skeleton: Skeleton) -> str:
    """A doubt if nearly all trunks lie across the image; else nothing."""
    across = [_level(xy, skeleton, names, axis=0) for names in _LEVELS[1:]]
    along = [_level(xy, skeleton, names, axis=1) for names in _LEVELS[1:]]
    width, height = abs(across[0] - across[1]), abs(along[0] - along[1])
    known = np.isfinite(width)
    share = float((width > ACROSS * height)[known].mean()) if known.any() else 0.0
    if share < SIDEWAYS_SHARE:
        return ""
    return (
        f"people lie across the image in {share:.0%} of the frames: if the video is turned, read "
        "it with rotate=90 or rotate=270; if the file has y before x, write x first"
    )


_LEVELS = (
    ("nose", "head", "head_top", "left_ear", "right_ear"),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
)


def _level(
    xy: Float[np.ndarray, "N J 2"], skeleton: Skeleton, names: tuple[str, ...], axis: int = 1
) -> Float[np.ndarray, " N"]:
    """Mean height (or x) in the image of the joints that are seen; NaN where none is."""
    there = [skeleton.index(name) for name in names if name in skeleton.joint_names]
    y = xy[:, there, axis]
    seen = np.isfinite(y)
    total = np.where(seen, y, 0.0).sum(-1)
    return np.where(seen.any(-1), total / np.maximum(seen.sum(-1), 1), np.nan)


def misnamed(xy: Float[np.ndarray, "N J 2"], named: Skeleton) -> str:
    """A doubt if the points fit another skeleton of as many joints clearly better; else nothing."""
    fits = skeletons_by_fit(xy)
    if named.name not in fits:
        return ""
    better = [name for name, misfit in fits.items() if fits[named.name] >= CLEAR_RATIO * misfit]
    if not better:
        return ""
    return (
        f"read as {named.name} as given, but the points look like {' or '.join(better)}: check "
        "skeleton="
    )


def scrambled(xy: Float[np.ndarray, "N J 2"], skeleton: Skeleton) -> str:
    """A doubt if the points, in the skeleton that was assumed, are no body; else nothing."""
    if skeleton.name in SETTLED or not set(skeleton.joint_names) >= {
        "left_shoulder",
        "right_shoulder",
        "left_hip",
    }:
        return ""
    whole = skeleton.joint_names[: COCO17.n_joints] == COCO17.joint_names
    body = COCO17 if whole else skeleton  # hands and faces may be anywhere
    length = bone_length(xy[:, : body.n_joints], body)
    if not length > SCRAMBLED:  # NaN where nothing can be told
        return ""
    return (
        f"the points, taken as {skeleton.name}, do not look like a body: their bones are "
        f"{length:.0%} of its size and not about 10 %: check skeleton="
    )


def outside_doubt(xy: Float[np.ndarray, "*any 2"], size: tuple[int, int] | None) -> tuple[str, ...]:
    """A doubt about the image size if many keypoints lie outside the image; else nothing.

    Args:
        xy: Pixels, NaN where missing.
        size: Width and height of the image; None if unknown.
    """
    known = xy[np.isfinite(xy).all(-1)]
    if size is None or not len(known):
        return ()
    share = float(((known < 0) | (known > np.array(size))).any(-1).mean())
    if share <= OUTSIDE_SHARE:
        return _corner_doubt(len(xy), known, size)
    return (
        f"{share:.0%} of the keypoints lie outside the {size[0]} x {size[1]} image: check "
        "image_size=",
    )


def _corner_doubt(
    n_frames: int, known: Float[np.ndarray, "n 2"], size: tuple[int, int]
) -> tuple[str, ...]:
    """A doubt if no one ever leaves the upper left quarter of the image."""
    high = known.max(0)
    if n_frames < MIN_CLIP or (high > CORNER * np.array(size)).any():
        return ()
    if high.max() <= PERCENT < min(size):
        return (
            f"no coordinate is above 100 in a {size[0]} x {size[1]} image: if they are percent of "
            "it, write pixels",
        )
    return (
        f"all keypoints lie in the upper left quarter of the {size[0]} x {size[1]} image, up to "
        f"({high[0]:.0f}, {high[1]:.0f}): check image_size=",
    )

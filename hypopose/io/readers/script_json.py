"""JSON of frames, people and points in no format of their own, as scripts write it.

PoseNet, MoveNet, BlazePose and ml5 in the browser, Apple Vision, openpifpaf, torchvision, MMPose
0.x, lists of OpenPose's frames, and MediaPipe's landmarks by name are read. Points with names are
found by these, others by their number, where it settles the joint set; else the user names it. It
is tried where no other format fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing.depth import CURE, check_depth, check_third_channel, without_marks
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.json_values import scalar
from hypopose.io.parsing.loose_frames import LooseFrame, bare_people, facts_of, frames_in
from hypopose.io.parsing.loose_points import SURE, THIRD, Person, X, Y, Z
from hypopose.io.parsing.named_joints import MAX_JOINTS, MAX_VALUES, find_joints
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.parsing.stated_facts import stated_facts
from hypopose.io.parsing.times import rate_of, seconds, time_column
from hypopose.io.source import Source
from hypopose.types import Skeleton

LAYOUTS = {17: ("coco17", "h36m17"), 18: ("coco18",), 25: ("body25", "body25b"), 26: ("halpe26",),
           33: ("mediapipe33",), 133: ("coco133",), 135: ("body135",),
           136: ("halpe136",)}  # fmt: skip
SNIFFED = 50
"""Entries that are looked at to find out the format."""
NEAR = 0.5
"""Sizes of a body that the next of several bare people is away, if they are one in many frames."""
_FACTS = {
    "fps": ("fps", "frame_rate", "framerate", "frameRate", "video_fps"),
    "width": ("width", "image_width", "imageWidth", "video_width", "videoWidth", "frame_width"),
    "height": ("height", "image_height", "imageHeight", "video_height", "videoHeight",
               "frame_height"),
}  # fmt: skip


def sniff(source: Source) -> bool:
    """JSON whose first entries are frames, at least one of them with people."""
    if not source.is_json:
        return False
    first = [frame for frame, _ in zip(frames_in(source.json), range(SNIFFED), strict=False)]
    return None not in first and any(frame is not None and frame.people for frame in first)


def one_image(source: Source) -> bool:
    """Whether the file is one frame."""
    first = [frame for frame, _ in zip(frames_in(source.json), range(2), strict=False)]
    return len(first) == 1 or bare_people(source.json)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    frames, notes = _frames(source)
    people = [person for frame in frames for person in frame.people]
    at = np.repeat(np.arange(len(frames)), [len(frame.people) for frame in frames])
    if not people:
        raise source.error(
            f"no person in any of its {len(frames)} frames", "check that the detector saw somebody"
        )
    skeleton, values, found = _joints(source, options, people)
    third = without_marks(values[..., [X, Y]], values[..., THIRD])
    check_third_channel(source, third)
    _refuse_depth(source, values, skeleton)
    facts = _facts(source, facts_of(source.json) or frames[0].facts)
    known = replace(options, image_size=options.image_size or facts["image_size"])
    xy, more = _pixels(source, known, skeleton, values[..., [X, Y]])
    numbers, times, rate, doubts = _clock(source, frames)
    return Detections(
        skeleton=skeleton,
        frames=numbers[at],
        xy=xy,
        confidence=_confidence(values[..., SURE], third),
        ids=_identities(frames),
        first_frame=int(numbers.min()),
        last_frame=int(numbers.max()),
        image_size=known.image_size,
        fps=facts["fps"] or rate,
        times=None if times is None else times[at],
        notes=(*notes, *found, *more),
        doubts=doubts,
    )


def _pixels(
    source: Source, options: ReadOptions, skeleton: Skeleton, xy: Float[np.ndarray, "N J 2"]
) -> tuple[Float[np.ndarray, "N J 2"], tuple[str, ...]]:
    """Pixels; MediaPipe's landmarks are fractions of the image."""
    if skeleton.name != "mediapipe33":
        return xy, ()
    return to_pixels(source, options, xy, "MediaPipe's landmarks")


def _confidence(
    stated: Float[np.ndarray, "N J"], third: Float[np.ndarray, "N J"]
) -> Float[np.ndarray, "N J"] | None:
    """The stated confidence, or a third value that is one; None if there is neither.

    Visibility flags may be 2; confidences are left for the cleaning to judge.
    """
    sure = np.where(np.isfinite(stated), stated, third)
    if np.isnan(sure).all():
        return None
    return np.minimum(sure, 1.0) if np.isfinite(third).any() else sure


def _identities(frames: Sequence[LooseFrame]) -> tuple[str | None, ...]:
    """Of every person; one person a frame without identities is one person."""
    ids = tuple(person.identity for frame in frames for person in frame.people)
    alone = max(len(frame.people) for frame in frames) == 1
    return ("0",) * len(ids) if alone and set(ids) == {None} else ids


def _frames(source: Source) -> tuple[list[LooseFrame], tuple[str, ...]]:
    """All frames; entries that are people are told apart by where they stand."""
    frames = []
    for i, frame in enumerate(frames_in(source.json)):
        if frame is None:
            raise source.error(
                "is not a list of people with keypoints, as the others are", "write it again",
                f"entry {i}",
            )  # fmt: skip
        frames.append(frame)
    if not frames:
        raise source.error("no frames in it", "check that the detector saw somebody")
    if not bare_people(source.json) or _timed(frames):
        return frames, ()
    people = [person for frame in frames for person in frame.people]
    if _follow(people):
        return frames, (f"its {len(people)} poses are taken as one person in {len(people)} frames",)
    return [LooseFrame(people, 0, frames[0].facts)], (
        f"its {len(people)} poses are taken as one image",
    )


def _timed(frames: Sequence[LooseFrame]) -> bool:
    return time_column(list(frames[0].facts)) is not None


def _follow(people: Sequence[Person]) -> bool:
    """Whether each stands about where the one before stood."""
    shapes = {person.points.shape for person in people}
    if len(shapes) > 1:
        return False
    xy = np.stack([person.points[:, [X, Y]] for person in people])
    low, high = np.nanmin(xy, axis=(0, 1)), np.nanmax(xy, axis=(0, 1))
    if not np.isfinite(low).all():
        return True
    size = np.nanmedian(np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1), axis=0)
    step = np.nanmedian(np.nanmedian(np.abs(np.diff(xy, axis=0)), axis=1), axis=0)
    return bool((step <= NEAR * np.maximum(size, 1e-9)).all() or (high == low).all())


def _joints(
    source: Source, options: ReadOptions, people: Sequence[Person]
) -> tuple[Skeleton, Float[np.ndarray, "N J 5"], tuple[str, ...]]:
    """The skeleton, everybody's points in its order, and notes."""
    names = list(dict.fromkeys(name for person in people for name in person.names))
    named = sum(bool(person.names) for person in people)
    if named not in (0, len(people)) or len(names) > MAX_JOINTS:
        raise source.error("people with names of keypoints and others without", "name them all")
    if not names:
        return _by_number(source, options, people)
    if len(people) * len(names) > MAX_VALUES:
        raise source.error(f"{len(people)} people with {len(names)} keypoints", "split the file")
    at = {name: j for j, name in enumerate(names)}
    values = np.full((len(people), len(names), 5), np.nan)
    for i, person in enumerate(people):
        values[i, [at[name] for name in person.names]] = person.points
    skeleton, order, notes = find_joints(source, options, names)
    picked = values[:, order]
    picked[:, [place < 0 for place in order]] = np.nan
    return skeleton, picked, notes


def _by_number(
    source: Source, options: ReadOptions, people: Sequence[Person]
) -> tuple[Skeleton, Float[np.ndarray, "N J 5"], tuple[str, ...]]:
    counts = {len(person.points) for person in people}
    if len(counts) > 1:
        raise source.error(
            f"people of {min(counts)} and of {max(counts)} keypoints",
            "give every person the same keypoints",
        )
    points = [person.points for person in people]
    skeleton, notes = choose_skeleton(source, options, points, LAYOUTS, "JSON")
    return skeleton, np.stack(points), notes


def _refuse_depth(source: Source, values: Float[np.ndarray, "N J 5"], skeleton: Skeleton) -> None:
    """Refuse 3D joints; MediaPipe's z beside fractions of the image is none.

    Raises:
        FormatError: If there is a z that is one.
    """
    z = values[..., Z]
    if not np.nan_to_num(z).any():
        return
    if skeleton.name != "mediapipe33":
        raise source.error("its points have a z, so they are 3D joints", CURE)
    check_depth(source, values[..., [X, Y, Z]], skeleton)


def _facts(source: Source, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Image size and frame rate, where the file says them."""
    found = {
        fact: next((scalar(stated[k]) for k in keys if k in stated), np.nan)
        for fact, keys in _FACTS.items()
    }
    size = f"{found['width']} {found['height']}" if found["width"] >= 1 <= found["height"] else None
    rate = found["fps"] if found["fps"] > 0 else None
    return stated_facts(source, {"image_size": size, "fps": rate})


def _clock(
    source: Source, frames: Sequence[LooseFrame]
) -> tuple[Int[np.ndarray, " F"], Float[np.ndarray, " F"] | None, float | None, tuple[str, ...]]:
    """Frame numbers, time stamps that number the frames, a rate, and doubts."""
    times = _times(source, frames)
    given = [frame.number for frame in frames if frame.number is not None]
    if len(given) != len(frames):
        if given:
            raise source.error("frames with a number and others without", "number all of them")
        order = np.arange(len(frames)) if times is None else _ranks(times)
        return order, times, None, ()
    numbers = np.array(given, dtype=np.int64)
    if times is None:
        return numbers, None, None, ()
    return numbers, None, *rate_of(numbers, times)


def _ranks(times: Float[np.ndarray, " F"]) -> Int[np.ndarray, " F"]:
    return np.unique(times, return_inverse=True)[1].ravel().astype(np.int64)


def _times(source: Source, frames: Sequence[LooseFrame]) -> Float[np.ndarray, " F"] | None:
    """Seconds per frame, if every frame has a time stamp."""
    keys = list(frames[0].facts)
    column = time_column(keys)
    if column is None or len(frames) < 2:
        return None
    key = keys[column[0]]
    stamps = [scalar(frame.facts.get(key)) for frame in frames]
    return None if np.isnan(stamps).all() else seconds(source, np.array(stamps), column[1])


FORMAT = Format(
    name="script-json",
    description="JSON of frames, people and points: PoseNet, MoveNet, ml5, Apple Vision and others",
    sniff=sniff,
    read=read,
    one_image=one_image,
    loose=True,
)

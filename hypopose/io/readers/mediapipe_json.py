"""MediaPipe's pose landmarks as JSON, the way the tasks API's results are saved.

A list of frames, or one frame. A frame is an object with the landmarks of its people
(``pose_landmarks`` in Python, ``landmarks`` or ``poseLandmarks`` in JavaScript), perhaps with a
frame number or a time stamp; or just the list of landmarks. A person is a list of 33 objects
``{"x", "y", "z", "visibility"}``. World landmarks are passed over; alone they are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.depth import CURE, check_depth
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.parsing.times import rate_of, seconds, time_column
from hypopose.io.readers.mediapipe_landmarks import SURE
from hypopose.io.source import Source
from hypopose.skeletons import MEDIAPIPE33

N_LANDMARKS = 33
_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks")
_WORLD = ("pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks")
_NUMBERS = ("frame", "frame_id", "frame_number", "frame_index", "frame_idx", "index")


def sniff(source: Source) -> bool:
    """A frame, or a list that begins with one (frames without people are passed over)."""
    if not source.is_json:
        return False
    frames = source.json if isinstance(source.json, list) else [source.json]
    if _first_landmark(frames) is not None:
        return True
    return any(_is_frame(frame) for frame in frames[:1000])


def _is_frame(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key in value for key in (*_KEYS, *_WORLD))
    return _first_landmark(value) is not None


def _first_landmark(value: Any) -> dict[str, Any] | None:
    """The first landmark of a person, or of the first person; None if it is neither."""
    for _ in range(2):
        if isinstance(value, list) and value:
            value = value[0]
    is_point = isinstance(value, dict) and {"x", "y"} <= value.keys()
    return value if is_point else None


def one_image(source: Source) -> bool:
    """Whether the file is one frame and not a list of several."""
    top = source.json
    return (
        not isinstance(top, list) or len(top) == 1 or (isinstance(top[0], dict) and "x" in top[0])
    )


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    if options.skeleton is not None:
        check_joints(source, options.skeleton, N_LANDMARKS)
    skeleton = options.skeleton or MEDIAPIPE33
    top = _frames(source)
    numbers = [_number(source, frame, i) for i, frame in enumerate(top)]
    times = _times(source, top)
    people = [_people(source, frame, f"frame {n}") for frame, n in zip(top, numbers, strict=True)]
    if not any(people):
        raise source.error(
            f"no person in any of its {len(top)} frames", "check that the detector saw somebody"
        )
    rows = np.repeat(np.arange(len(people)), [len(some) for some in people])
    values = np.concatenate([np.stack(some) for some in people if some])
    check_depth(source, values[..., :3], skeleton)
    xy, notes = to_pixels(source, options, values[..., :2], "MediaPipe's landmarks")
    unsure = np.isnan(values[..., 3]).all()
    alone = max(len(some) for some in people) == 1
    times, rate, doubts = _clock(top, numbers, times)
    return Detections(
        skeleton=skeleton,
        frames=np.array(numbers, dtype=np.int64)[rows],
        xy=xy,
        confidence=None if unsure else values[..., 3],
        ids=("0" if alone else None,) * len(rows),
        first_frame=min(numbers),
        last_frame=max(numbers),
        image_size=options.image_size,
        fps=rate,
        times=None if times is None else times[rows],
        doubts=doubts,
        notes=notes if unsure else (*notes, SURE),
    )


def _clock(
    top: list[Any], numbers: list[int], times: Float[np.ndarray, " F"] | None
) -> tuple[Float[np.ndarray, " F"] | None, float | None, tuple[str, ...]]:
    """Times where frames have no numbers; else the rate that both state, and doubts about it."""
    numbered = isinstance(top[0], dict) and any(key in top[0] for key in _NUMBERS)
    if not numbered or times is None:
        return times, None, ()
    return None, *rate_of(np.array(numbers), times)


def _frames(source: Source) -> list[Any]:
    """What the file says of each frame."""
    top: list[Any] = source.json if isinstance(source.json, list) else [source.json]
    if _first_landmark(top) is not None and isinstance(top[0], dict):
        return [top]  # the landmarks of one person in one frame
    return top


def _number(source: Source, frame: Any, i: int) -> int:
    found = [frame[k] for k in _NUMBERS if k in frame] if isinstance(frame, dict) else []
    return json_values.whole_number(source, found[0], f"entry {i}") if found else i


def _times(source: Source, top: list[Any]) -> Float[np.ndarray, " F"] | None:
    """Seconds per frame, if every frame has a time stamp."""
    first = top[0] if top else None
    if not isinstance(first, dict):
        return None
    column = time_column(list(first))
    if column is None or len(top) < 2:
        return None
    key = list(first)[column[0]]
    stamps = [json_values.scalar(f.get(key)) if isinstance(f, dict) else np.nan for f in top]
    return seconds(source, np.array(stamps), column[1])


def _people(source: Source, frame: Any, place: str) -> list[Float[np.ndarray, "33 4"]]:
    if isinstance(frame, dict):
        key = next((k for k in _KEYS if k in frame), None)
        if key is None and any(k in frame for k in _WORLD):
            raise source.error("holds world landmarks only, which are 3D", CURE, place)
        frame = [] if key is None or frame[key] is None else frame[key]
    people = json_values.entries(source, frame, place)
    if people and isinstance(people[0], dict):
        people = [people]
    return [_person(source, person, f"{place}, person {k}") for k, person in enumerate(people)]


def _person(source: Source, value: Any, place: str) -> Float[np.ndarray, "33 4"]:
    points = json_values.entries(source, value, place)
    if len(points) != N_LANDMARKS:
        raise source.error(
            f"{len(points)} landmarks, not {N_LANDMARKS} per person", "write pose landmarks", place
        )
    records = [
        json_values.record(source, p, f"{place}, landmark {j}") for j, p in enumerate(points)
    ]
    if not all({"x", "y"} <= r.keys() for r in records):
        raise source.error("a landmark without x and y", "write it again", place)
    return np.array(
        [[json_values.scalar(r.get(k)) for k in ("x", "y", "z", "visibility")] for r in records]
    )


FORMAT = Format(
    name="mediapipe-json",
    description="MediaPipe pose landmarks as JSON, as results of the tasks API are saved",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

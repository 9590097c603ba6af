"""Plain numpy arrays of keypoints, whose skeleton is named beside them or by the caller.

Shapes are ``(F, J, 2 or 3)``, ``(J, 2 or 3)`` for one frame and ``(F, people, J, 2 or 3)``. The
last axis is x, y and perhaps confidence, in pixels. An .npz may hold the keypoints as ``xy`` or
``keypoints`` (or be its only array), with ``confidence`` or ``scores`` (the same shape less the
last axis), and ``skeleton`` (text), ``image_size`` (width, height), ``fps``, ``timestamps`` and
``frames`` (one number per frame). Otherwise the skeleton must be named by the caller.

rtmlib and YOLO give keypoints (people, 17, 2) and scores (people, 17) per frame, and a different
number of people in every frame: a folder with two files, ``keypoints.npy`` and ``scores.npy``
(names may begin with anything), is one recording, and object arrays of one array per frame are
read without unpickling, see :mod:`hypopose.io.untrusted.pickles`; all others are refused.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hypopose.errors import HypoPoseError
from hypopose.io import native
from hypopose.io.detections import MAX_PEOPLE_IN_FRAME, Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing.depth import CURE, check_depth, check_third_channel, without_marks
from hypopose.io.parsing.skeleton_detection import check_joints, need_skeleton
from hypopose.io.parsing.times import rate_of, seconds, time_column
from hypopose.io.readers import detectron2_npz, videopose3d
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive, read_ragged
from hypopose.skeletons import MEDIAPIPE33, get_skeleton
from hypopose.types import Skeleton

_KEYPOINTS = ("xy", "keypoints", "keypoints_2d")
_CONFIDENCE = ("confidence", "scores", "keypoint_scores")
_FRAMES = ("frames", "frame", "frame_ids", "frame_numbers")


_BODY_MODEL = {"poses", "trans"}
MAX_VALUES = 50_000_000


def sniff(source: Source) -> bool:
    """An .npy file, a pair of them, or an archive that no other format reads."""
    if source.is_folder:
        return _pair(source) is not None
    if source.is_npy:
        return True
    others = (videopose3d.sniff, detectron2_npz.sniff, native.is_native)
    return source.is_npz and not any(theirs(source) for theirs in others)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read the array."""
    if source.is_folder:
        arrays = _read_pair(source)
        return _detections(source, options, arrays["keypoints"], arrays)
    if not source.is_npz:
        values = _filled(source, read_ragged(source, source.read_bytes()))
        return _detections(source, options, values, {})
    archive = NpzArchive(source)
    arrays = {name: _member(source, archive, name) for name in archive.names}
    named = [name for name in _KEYPOINTS if name in arrays]
    if not named and len(arrays) == 1:
        named = list(arrays)
    if len(named) != 1:
        raise source.error(
            f"the archive holds {', '.join(list(arrays)[:8]) or 'nothing'}",
            f"name the keypoints {_KEYPOINTS[0]!r}"
            + (": these are parameters of a body model" if set(arrays) >= _BODY_MODEL else ""),
        )
    return _detections(source, options, arrays[named[0]], arrays)


def _pair(source: Source) -> dict[str, Path] | None:
    """The two files of a folder that holds keypoints and scores apart, and nothing else."""
    try:
        paths = sorted(p for p in source.path.iterdir() if p.suffix.lower() == ".npy")
    except OSError:
        raise source.error("the folder cannot be read", "check its rights") from None
    found: dict[str, Path] = {}
    for path in paths[:3]:
        stem = path.stem.lower()
        if stem.endswith(_KEYPOINTS):
            found["keypoints"] = path
        elif stem.endswith(_CONFIDENCE):
            found["scores"] = path
    return found if len(found) == len(paths) == 2 else None


def _read_pair(source: Source) -> dict[str, np.ndarray]:
    paths = _pair(source)
    if paths is None:
        raise source.error(
            "no pair keypoints.npy and scores.npy in the folder", "put these two there alone"
        )
    arrays = {}
    for name, path in paths.items():
        if path.is_symlink() and path.resolve().parent != source.path.resolve():
            raise source.error(f"{path.name} is a link out of the folder", "copy the file instead")
        file = Source(path)
        arrays[name] = _filled(file, read_ragged(file, file.read_bytes()))
    return arrays


def _member(source: Source, archive: NpzArchive, name: str) -> np.ndarray:
    """An array of an archive; where one per frame is pickled, filled up with NaN."""
    if name in (*_KEYPOINTS, *_CONFIDENCE) and archive.is_pickled(name):
        value = archive.pickled(name)
        return _filled(source, value if isinstance(value, (list, np.ndarray)) else [value])
    return archive.array(name)


def _filled(source: Source, value: Any) -> np.ndarray:
    """One array per frame, (people, ...), as one array with NaN for people who are not there."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    parts = list(value)
    shapes = {p.shape[1:] if _is_frame(p) else None for p in parts if not _is_empty_frame(p)}
    if len(shapes) != 1 or None in shapes:
        raise source.error(
            "an array of Python objects, not one numeric array (people, joints, 2) per frame",
            "save it as one float32 array",
        )
    return _stacked(source, parts, shapes.pop() or ())


def _stacked(source: Source, parts: list[np.ndarray], of_person: tuple[int, ...]) -> np.ndarray:
    most = max(map(len, parts))
    shape = (len(parts), most, *of_person)
    if most > MAX_PEOPLE_IN_FRAME or np.prod(shape, dtype=float) > MAX_VALUES:
        raise source.error(f"{most} people in a frame of {len(parts)}", "remove false detections")
    full = np.full(shape, np.nan)
    for i, part in enumerate(parts):
        if len(part):
            full[i, : len(part)] = part
    return full


def _is_frame(part: Any) -> bool:
    """Whether this is a numeric array (people, ...)."""
    return isinstance(part, np.ndarray) and part.dtype.kind in "iuf" and part.ndim > 1


def _is_empty_frame(part: Any) -> bool:
    return _is_frame(part) and len(part) == 0


def _detections(
    source: Source, options: ReadOptions, values: np.ndarray, extra: dict[str, np.ndarray]
) -> Detections:
    values = _without_depth(source, _unfolded(options, values))
    _check_values(source, values)
    scores = _scores(source, values, extra)
    xy = _with_people(source, values[..., :2].astype(np.float64))
    confidence = None if scores is None else scores.astype(np.float64).reshape(xy.shape[:-1])
    skeleton = _skeleton(source, options, extra, xy.reshape(-1, *xy.shape[2:]))
    n_frames, n_people = xy.shape[:2]
    clock = _clock(source, n_frames, extra)
    return Detections(
        skeleton=skeleton,
        frames=np.repeat(clock.frames, n_people),
        xy=xy.reshape(-1, *xy.shape[2:]),
        confidence=None if confidence is None else confidence.reshape(-1, xy.shape[2]),
        ids=("0" if n_people == 1 else None,) * (n_frames * n_people),
        first_frame=int(clock.frames.min()),
        last_frame=int(clock.frames.max()),
        image_size=_image_size(source, extra),
        fps=_fps(source, extra) or clock.fps,
        times=None if clock.times is None else np.repeat(clock.times, n_people),
        doubts=clock.doubts,
    )


@dataclass(frozen=True, eq=False)
class _Numbering:
    """The number of every frame; its time, where there are only times; a rate; doubts."""

    frames: Int[np.ndarray, " F"]
    times: Float[np.ndarray, " F"] | None = None
    fps: float | None = None
    doubts: tuple[str, ...] = ()


def _clock(source: Source, n_frames: int, extra: dict[str, np.ndarray]) -> _Numbering:
    """Frame numbers and times that stand beside the keypoints."""
    numbers = _per_frame(source, n_frames, extra, next((n for n in _FRAMES if n in extra), None))
    column = time_column(list(extra))
    stamps = None if column is None else list(extra)[column[0]]
    times = _per_frame(source, n_frames, extra, stamps)
    if times is not None and column is not None:
        times = seconds(source, times, column[1])
    if numbers is None:
        return _Numbering(np.arange(n_frames), times)
    bad = (numbers < 0) | (numbers >= 2**53) | (numbers != np.floor(numbers))
    if bad.any() or len(np.unique(numbers)) != n_frames:
        raise source.error(
            "frame numbers that are not whole, or are there twice", "number the frames one by one"
        )
    at = numbers.astype(np.int64)
    return _Numbering(at) if times is None else _Numbering(at, None, *rate_of(at, times))


def _per_frame(
    source: Source, n_frames: int, extra: dict[str, np.ndarray], name: str | None
) -> Float[np.ndarray, " F"] | None:
    if name is None or n_frames < 2:
        return None
    values = extra[name]
    if values.size != n_frames or values.dtype.kind not in "iuf":
        raise source.error(
            f"{name} {values.shape} of {values.dtype} for {n_frames} frames",
            "give one number per frame",
        )
    return values.reshape(-1).astype(np.float64)


def _unfolded(options: ReadOptions, values: np.ndarray) -> np.ndarray:
    """Rows of all numbers of a frame as (F, J, 2 or 3), where the joints are known."""
    n = 0 if options.skeleton is None else options.skeleton.n_joints
    if values.ndim != 2 or not n or values.shape[1] not in (2 * n, 3 * n, 4 * n):
        return values
    return values.reshape(len(values), n, -1)


def _without_depth(source: Source, values: np.ndarray) -> np.ndarray:
    """MediaPipe's x, y, z, visibility without the z, which is relative; others as they are."""
    if values.shape[-1:] != (4,) or values.shape[-2:-1] != (MEDIAPIPE33.n_joints,):
        return values
    if values.dtype.kind in "iuf" and values.size:
        xyz = values[..., :3].reshape(-1, MEDIAPIPE33.n_joints, 3).astype(np.float64)
        check_depth(source, xyz, MEDIAPIPE33)
    return values[..., [0, 1, 3]]


def _check_values(source: Source, values: np.ndarray) -> None:
    ok = values.dtype.kind in "iuf" and values.ndim in (2, 3, 4) and values.shape[-1] in (2, 3)
    if not ok or 0 in values.shape:
        raise source.error(
            f"an array {values.shape} of {values.dtype}",
            "give (frames, joints, 2 or 3): x, y and perhaps confidence",
        )


def _scores(source: Source, values: np.ndarray, extra: dict[str, np.ndarray]) -> np.ndarray | None:
    """The confidences beside the keypoints, or in their third column."""
    scores = next((extra[name] for name in _CONFIDENCE if name in extra), None)
    third = values[..., 2] if values.shape[-1] == 3 else None
    if third is not None and scores is not None:
        raise source.error(f"3 coordinates {values.shape} and a confidence", CURE)
    if third is not None:
        third = without_marks(values[..., :2].astype(np.float64), third.astype(np.float64))
        check_third_channel(source, third)
        return np.minimum(third, 1)  # visibility flags may be 2
    if scores is None:
        return None
    if scores.shape != values.shape[:-1] or scores.dtype.kind not in "iuf":
        raise source.error(
            f"confidence {scores.shape} for keypoints {values.shape}", "give one per keypoint"
        )
    return scores


def _with_people(source: Source, xy: np.ndarray) -> np.ndarray:
    """Keypoints (F, people, J, 2), whichever of these axes the file leaves out."""
    n_frames, n_people = {2: (1, 1), 3: (len(xy), 1), 4: xy.shape[:2]}[xy.ndim]
    if n_people > min(MAX_PEOPLE_IN_FRAME, max(n_frames, 10)):
        raise source.error(
            f"{n_people} people in {n_frames} frames",
            "order the axes (frames, people, joints, 2)",
        )
    return xy.reshape(n_frames, n_people, xy.shape[-2], 2)


def _skeleton(
    source: Source, options: ReadOptions, extra: dict[str, np.ndarray], xy: np.ndarray
) -> Skeleton:
    skeleton = options.skeleton
    if skeleton is None and "skeleton" in extra and extra["skeleton"].size == 1:
        name = str(extra["skeleton"].item())[:60]
        with contextlib.suppress(HypoPoseError, KeyError):
            skeleton = get_skeleton(name)
        if skeleton is None:
            raise source.error(f"HypoPose knows no skeleton {name!r}", "name one with skeleton=")
    if skeleton is None:
        raise need_skeleton(source, xy)
    check_joints(source, skeleton, xy.shape[1])
    return skeleton


def _image_size(source: Source, extra: dict[str, np.ndarray]) -> tuple[int, int] | None:
    if "image_size" not in extra:
        return None
    size: Any = extra["image_size"]
    ok = size.dtype.kind in "iuf" and size.shape == (2,) and bool((size > 0).all())
    if not ok or not bool((size < 100_000).all()):
        raise source.error("image_size is not a width and height", "give two pixel counts")
    return int(size[0]), int(size[1])


def _fps(source: Source, extra: dict[str, np.ndarray]) -> float | None:
    if "fps" not in extra:
        return None
    fps = extra["fps"]
    if fps.size != 1 or fps.dtype.kind not in "iuf" or not 0 < float(fps.reshape(())) < 1e5:
        raise source.error("fps is not a frame rate", "give frames per second")
    return float(fps.reshape(()))


FORMAT = Format(
    name="arrays",
    description="numpy .npy or .npz with plain (frames, joints, 2 or 3) arrays, or a folder of "
    "keypoints.npy and scores.npy; name the skeleton",
    sniff=sniff,
    read=read,
    folders=sniff,
)

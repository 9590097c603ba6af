"""VideoPose3D's ``data_2d_*.npz``: pickled dicts, subject -> action -> one array per camera.

The two object arrays are read by :mod:`hypopose.io.untrusted.pickles`; nothing in them is run.
Every (subject, action, camera) is a clip of its own with its own frames and is offered as a person
named ``subject/action/camera``; custom videos, which have one action and one array, by the video's
name.
VideoPose3D interpolates frames without a detection before saving, so gaps cannot be told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hypopose.io.detections import MAX_FRAMES, Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing.skeleton_detection import check_joints, need_skeleton
from hypopose.io.source import Source, printable
from hypopose.io.untrusted.arrays import NpzArchive
from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton

LAYOUT_NAMES = {"coco": "coco17", "h36m": "h36m17", "humaneva15": "humaneva15"}
CUSTOM = "custom"
_NOTE = "VideoPose3D interpolates frames without a detection before saving: gaps are not marked"


def sniff(source: Source) -> bool:
    """An archive with ``positions_2d``."""
    return source.is_npz and "positions_2d" in NpzArchive(source).names


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all clips."""
    archive = NpzArchive(source)
    if "positions_2d" not in archive.names:
        raise source.error("no array 'positions_2d'", f"it has {', '.join(archive.names)}")
    metadata = archive.pickled("metadata") if "metadata" in archive.names else {}
    metadata = metadata if isinstance(metadata, dict) else {}
    clips = _clips(source, archive.pickled("positions_2d"))
    skeleton = _skeleton(source, options, metadata, next(iter(clips.values())))
    _check_clips(source, skeleton, clips)
    values = np.concatenate(list(clips.values())).astype(np.float64)
    lengths = [len(clip) for clip in clips.values()]
    return Detections(
        skeleton=skeleton,
        frames=np.concatenate([np.arange(n) for n in lengths]),
        xy=values[..., :2],
        confidence=values[..., 2] if values.shape[2] == 3 else None,
        ids=tuple(name for name, n in zip(clips, lengths, strict=True) for _ in range(n)),
        first_frame=0,
        last_frame=max(lengths) - 1,
        shared_clock=False,
        image_size=_image_size(metadata),
        image_sizes=_image_sizes(metadata, clips),
        fps=_fps(metadata),
        notes=(_NOTE,),
    )


def _check_clips(source: Source, skeleton: Skeleton, clips: dict[str, np.ndarray]) -> None:
    width = next(iter(clips.values())).shape[2]
    for place, clip in clips.items():
        check_joints(source, skeleton, clip.shape[1])
        if clip.shape[2] != width:
            raise source.error("some clips have confidences and some not", "save alike", place)


def _clips(source: Source, positions: Any) -> dict[str, np.ndarray]:
    clips: dict[str, np.ndarray] = {}
    n_frames = 0
    for subject, actions in _items(source, positions, "positions_2d"):
        for action, cameras in _items(source, actions, subject):
            place = f"{subject}/{action}"
            arrays = _as_list(source, cameras, place)
            for k, array in enumerate(arrays):
                name = f"{place}/{k}" if action != CUSTOM or len(arrays) > 1 else subject
                if name in clips:
                    raise source.error(f"two clips are called {name!r}", "rename one")
                clips[name] = _clip(source, array, name)
                n_frames += len(clips[name])
                if n_frames > MAX_FRAMES:
                    raise source.error(f"more than {MAX_FRAMES} frames", "split the file")
    if not clips:
        raise source.error("positions_2d is empty", "write at least one clip")
    return clips


def _as_list(source: Source, cameras: Any, place: str) -> list[Any]:
    if not isinstance(cameras, (list, tuple, np.ndarray)) or len(cameras) == 0:
        raise source.error("expected a list of arrays", "one per camera", place)
    if isinstance(cameras, np.ndarray) and cameras.dtype != object and cameras.ndim == 3:
        return [cameras]
    return list(cameras)


def _items(source: Source, value: Any, place: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise source.error(f"expected a dict, got {type(value).__name__}", "save as one", place)
    return [(printable(str(key)[:80]), item) for key, item in value.items()]


def _clip(source: Source, array: Any, place: str) -> np.ndarray:
    numeric = isinstance(array, np.ndarray) and array.dtype.kind in "iuf"
    if not numeric or array.ndim != 3 or array.shape[2] not in (2, 3) or 0 in array.shape:
        got = getattr(array, "shape", type(array).__name__)
        raise source.error(f"expected (frames, joints, 2 or 3), got {got}", "save as such", place)
    return np.asarray(array)


def _skeleton(
    source: Source, options: ReadOptions, metadata: dict[Any, Any], values: np.ndarray
) -> Skeleton:
    if options.skeleton is not None:
        return options.skeleton
    name = LAYOUT_NAMES.get(str(metadata.get("layout_name")))
    if name not in SKELETONS:
        raise need_skeleton(source, values)
    return SKELETONS[name]


def _videos(metadata: dict[Any, Any]) -> list[dict[Any, Any]]:
    videos = metadata.get("video_metadata")
    return [v for v in videos.values() if isinstance(v, dict)] if isinstance(videos, dict) else []


def _image_sizes(metadata: dict[Any, Any], clips: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Sizes by clip where the videos differ; a clip is named after its video."""
    videos = metadata.get("video_metadata")
    own = {str(k): v for k, v in videos.items()} if isinstance(videos, dict) else {}
    sizes = {clip: _image_size({"video_metadata": {clip: own.get(clip)}}) for clip in clips}
    return {clip: size for clip, size in sizes.items() if size is not None}


def _image_size(metadata: dict[Any, Any]) -> tuple[int, int] | None:
    sizes = {(v.get("w"), v.get("h")) for v in _videos(metadata)}
    if len(sizes) != 1:
        return None
    w, h = sizes.pop()
    if isinstance(w, int) and isinstance(h, int) and 0 < w < 100_000 and 0 < h < 100_000:
        return w, h
    return None


def _fps(metadata: dict[Any, Any]) -> float | None:
    rates = {v.get("fps") for v in _videos(metadata)}
    rate = rates.pop() if len(rates) == 1 else None
    return float(rate) if isinstance(rate, (int, float)) and 0 < rate < 1e5 else None


FORMAT = Format(
    name="videopose3d",
    description="VideoPose3D's data_2d_*.npz, read without unpickling",
    sniff=sniff,
    read=read,
)

"""MMPose: the Inferencer's list of frames, the demo's object with ``instance_info``, or one image.

``[{"frame_id": 0, "instances": [{"keypoints": [[x, y]], "keypoint_scores": [...]}]}]`` comes from
the Inferencer and does not name its skeleton; ``{"meta_info", "instance_info"}`` does, by joint
names. One image gives the bare list of instances. ``track_id`` is respected where it is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.named_joints import MAX_JOINTS, find_joints
from hypopose.io.parsing.skeleton_detection import check_joints, choose_skeleton
from hypopose.io.source import Source
from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton

_SCORES = ("keypoint_scores", "keypoints_visible")
LAYOUTS = {
    17: ("coco17", "h36m17"),
    26: ("halpe26",),
    133: ("coco133",),
    136: ("halpe136",),
}
DATASETS = {
    "coco": "coco17",
    "halpe26": "halpe26",
    "body26": "halpe26",
    "body8-halpe26": "halpe26",
    "body7-halpe26": "halpe26",
    "h36m": "h36m17",
    "coco_wholebody": "coco133",
    "ubody2d": "coco133",
    "halpe": "halpe136",
}
"""MMPose's ``dataset_name`` to our skeletons, where the joint names do not settle it."""


def sniff(source: Source) -> bool:
    """An object with ``instance_info``, or a list of frames with instances, or of instances."""
    if not source.is_json:
        return False
    value = source.json
    if isinstance(value, dict):
        return "instance_info" in value
    if not value or not isinstance(value[0], dict):
        return False
    frames = "instances" in value[0] and not isinstance(value[0]["instances"], dict)
    return frames or _is_person(value[0])


def _is_person(entry: dict[str, Any]) -> bool:
    return "keypoints" in entry and any(key in entry for key in _SCORES)


def one_image(source: Source) -> bool:
    """Whether the file holds the instances of one image, or one frame."""
    value = source.json
    frames = value["instance_info"] if isinstance(value, dict) else value
    bare = bool(frames) and isinstance(frames[0], dict) and _is_person(frames[0])
    return bare or len(frames) < 2


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    found = json_values.DetectionList(source)
    top = source.json
    meta = top.get("meta_info") if isinstance(top, dict) else None
    if isinstance(top, dict) and "instance_info" in top:
        top = top["instance_info"]
    frames = json_values.entries(source, top, "instance_info" if meta is not None else "top level")
    if frames and isinstance(frames[0], dict) and _is_person(frames[0]):
        frames = [{"frame_id": 0, "instances": frames}]
    for i, value in enumerate(frames):
        _read_frame(source, value, i, found)
    found.require_people()
    by_names = _by_names(source, options, found, meta)
    skeleton, notes = by_names or _skeleton(source, options, found.values, meta)
    return found.build(skeleton, notes)


def _read_frame(source: Source, value: Any, i: int, found: json_values.DetectionList) -> None:
    entry = json_values.record(source, value, f"entry {i}")
    if "instances" not in entry:
        raise source.error("no key 'instances'", "write the people of every frame", f"entry {i}")
    frame = json_values.whole_number(source, entry.get("frame_id", i), f"entry {i}, frame_id")
    found.saw(frame)
    instances = json_values.entries(source, entry["instances"], f"frame {frame}, instances")
    for k, instance in enumerate(instances):
        place = f"frame {frame}, person {k}"
        person = json_values.record(source, instance, place)
        identity = json_values.person_id(person.get("track_id"))
        score = json_values.scalar(person.get("bbox_score"))
        found.add(frame, _values(source, person, place), place, identity, score)


def _values(source: Source, person: dict[str, Any], place: str) -> np.ndarray:
    beside = next((key for key in _SCORES if key in person), None)
    if beside is None or "keypoints" not in person:
        raise source.error("no key 'keypoints' or 'keypoint_scores'", "write both", place)
    xy = json_values.points(source, person["keypoints"], f"{place}, keypoints")
    scores = json_values.numbers(source, person[beside], f"{place}, {beside}")
    if len(scores) != len(xy):
        raise source.error(
            f"{len(xy)} keypoints but {len(scores)} {beside}", "write one each", place
        )
    return np.column_stack([xy, scores])


def _skeleton(
    source: Source, options: ReadOptions, values: list[np.ndarray], meta: Any
) -> tuple[Skeleton, tuple[str, ...]]:
    told = options.skeleton is not None
    named = _named(source, meta) if isinstance(meta, dict) and not told else None
    if named is None:
        return choose_skeleton(source, options, values, LAYOUTS, "MMPose")
    check_joints(source, named, len(values[0]))
    return named, (f"the file's meta_info names the skeleton {named.name}",)


def _by_names(
    source: Source, options: ReadOptions, found: json_values.DetectionList, meta: Any
) -> tuple[Skeleton, tuple[str, ...]] | None:
    """The skeleton by the joint names in ``meta_info``, where they are those of no set of ours.

    Sapiens' 308 points and other large sets are read so: the body by its names, the rest beside it.
    """
    names = _joint_names(meta)
    known = any(sorted(names) == sorted(s.joint_names) for s in SKELETONS.values())
    if not names or known or len(names) != len(found.values[0]):
        return None
    skeleton, order, notes = find_joints(source, options, names)
    places = np.array(order)
    picked = [np.where(places[:, None] < 0, np.nan, v[places]) for v in found.values]
    found.values = [np.column_stack([v[:, :2], np.nan_to_num(v[:, 2])]) for v in picked]
    return skeleton, notes


def _joint_names(meta: Any) -> tuple[str, ...]:
    """Names of all keypoints in their order; none if ``meta_info`` does not tell."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict) or not 0 < len(names) <= MAX_JOINTS:
        return ()
    if not all(str(i) in names for i in range(len(names))):
        return ()
    return tuple(str(names[str(i)]) for i in range(len(names)))


def _named(source: Source, meta: dict[str, Any]) -> Skeleton | None:
    names = _joint_names(meta)
    for skeleton in SKELETONS.values():
        if skeleton.joint_names == names:
            return skeleton
    dataset = meta.get("dataset_name")
    if not isinstance(dataset, str):
        return None
    name = DATASETS.get(dataset.lower())
    if name not in SKELETONS:
        raise _unknown(source, dataset)
    return SKELETONS[name]


def _unknown(source: Source, dataset: str) -> FormatError:
    return source.error(
        f"meta_info names the data set {dataset[:40]!r}, whose keypoints HypoPose does not know",
        "name a skeleton with skeleton=... if one fits",
    )


FORMAT = Format(
    name="mmpose",
    description="MMPose JSON: the Inferencer's predictions or the top-down demo's",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

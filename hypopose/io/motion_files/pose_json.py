"""JSON of 3D poses: MediaPipe's world landmarks, MMPose's 3D lifters, Azure Kinect, EasyMocap.

| tool | layout | unit | up |
| --- | --- | --- | --- |
| MediaPipe tasks | frames with ``pose_world_landmarks``, 33 objects x, y, z | m | y down |
| MMPose | ``[{"frame_id", "instances": [{"keypoints": [[x, y, z], ...]}]}]`` | m | z |
| Azure Kinect | ``frames`` with ``bodies`` with ``joint_positions`` | mm | y down |
| Kinect v2 | frames of ``bodies`` with 25 ``joints``: ``cameraX``, or x, y, z | m | y |
| EasyMocap | a folder: ``[{"id", "keypoints3d": [[x, y, z, c], ...]}]`` | m | z |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.motion_files.file_motion import (
    FileMotion,
    MotionFormat,
    People,
    check_people,
    checked_points,
)
from hypopose.io.motion_files.motion_tables import MAX_FRAMES, MOST_VALUES
from hypopose.io.parsing import json_values
from hypopose.io.parsing.kinect_json import (
    azure_bodies,
    is_azure,
    kinect_bodies,
    kinect_frames,
    kinect_joints,
)
from hypopose.io.parsing.numbered_files import files_ending, numbered
from hypopose.io.source import Source
from hypopose.skeletons import AZURE32, BODY25, H36M17, KINECT25, MEDIAPIPE33
from hypopose.types import Skeleton

_WORLD = ("pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks")
_NUMBERS = ("frame", "frame_id", "frame_number", "frame_index", "frame_idx", "index")

Row = tuple[int, str, np.ndarray]
"""Frame number, person and points (N, 3)."""


def _assembled(source: Source, rows: Sequence[Row], **facts: Any) -> People:
    """Motions by person over the frames the file speaks of."""
    if not rows:
        raise source.error("no person in any frame", "check the recording")
    start = min(frame for frame, _, _ in rows)
    n_frames = max(frame for frame, _, _ in rows) - start + 1
    sizes = {len(points) for _, _, points in rows}
    if len(sizes) > 1:
        raise source.error("people of different numbers of points", "write it again")
    people: dict[str, list[Row]] = {}
    for row in rows:
        people.setdefault(row[1], []).append(row)
    check_people(source, people)
    n_points = sizes.pop()
    if n_frames > MAX_FRAMES or 3 * n_frames * len(people) * n_points > MOST_VALUES:
        raise source.error(f"{len(people)} people over {n_frames} frames", "split the recording")
    found = {}
    for person, own in people.items():
        points = np.full((n_frames, n_points, 3), np.nan)
        for frame, _, values in own:
            points[frame - start] = values
        found[person] = FileMotion(checked_points(source, points), **facts)
    return found


def _xyz(source: Source, value: Any, place: str) -> Float[np.ndarray, "N 3"]:
    """Lists of three or four numbers; a confidence of zero or less is missing."""
    listed = json_values.entries(source, value, place)
    rows = [json_values.numbers(source, v, f"{place}, point {j}") for j, v in enumerate(listed)]
    if not rows or {len(row) for row in rows} not in ({3}, {4}):
        raise source.error("expected lists of x, y, z", "give 3D points", place)
    values = np.stack(rows)
    if values.shape[1] == 4:
        values[values[:, 3] <= 0] = np.nan
    return values[:, :3]


# --- MediaPipe ----------------------------------------------------------------------------------


def suits_world(source: Source) -> bool:
    """Frames with world landmarks."""
    if not source.is_json:
        return False
    frames = source.json if isinstance(source.json, list) else [source.json]
    return any(isinstance(f, dict) and any(k in f for k in _WORLD) for f in frames[:1000])


def read_world(source: Source) -> People:
    """Read world landmarks, in meters about the hips."""
    top = source.json if isinstance(source.json, list) else [source.json]
    rows: list[Row] = []
    for i, value in enumerate(top):
        frame = json_values.record(source, value, f"entry {i}")
        key = next((k for k in _NUMBERS if k in frame), None)
        number = i if key is None else json_values.whole_number(source, frame[key], f"entry {i}")
        found: Any = next((frame[k] for k in _WORLD if frame.get(k)), [])
        people = json_values.entries(source, found, f"frame {number}")
        people = [people] if people and isinstance(people[0], dict) else people
        for k, person in enumerate(people):
            rows.append((number, str(k), _landmarks(source, person, f"frame {number}, person {k}")))
    notes = ("world landmarks are about the middle of the hips: the person's place is not known",)
    return _assembled(source, rows, skeleton=MEDIAPIPE33, unit="m", up="native", placed=False,
                      notes=notes)  # fmt: skip


def _landmarks(source: Source, value: Any, place: str) -> Float[np.ndarray, "33 3"]:
    points = json_values.entries(source, value, place)
    if len(points) != MEDIAPIPE33.n_joints:
        raise source.error(f"{len(points)} landmarks, not 33", "write pose landmarks", place)
    records = [json_values.record(source, p, place) for p in points]
    return np.array([[json_values.scalar(r.get(a)) for a in "xyz"] for r in records])


# --- MMPose -------------------------------------------------------------------------------------


def suits_mmpose(source: Source) -> bool:
    """Frames with instances whose keypoints have three numbers."""
    return source.is_json and _first_point(source.json) == 3


def _frames(top: Any) -> list[Any]:
    top = top.get("instance_info") if isinstance(top, dict) else top
    return top if isinstance(top, list) else []


def _first_point(top: Any) -> int:
    """Numbers of the first keypoint of the first instance; 0 if there is none."""
    for frame in _frames(top)[:1000]:
        instances = frame.get("instances") if isinstance(frame, dict) else None
        for instance in (instances if isinstance(instances, list) else [])[:1]:
            value = instance.get("keypoints") if isinstance(instance, dict) else None
            first = value[0] if isinstance(value, list) and value else None
            return len(first) if isinstance(first, list) else 0
    return 0


def read_mmpose(source: Source) -> People:
    """Read the predictions of MMPose's 3D inferencer."""
    rows: list[Row] = []
    for i, value in enumerate(_frames(source.json)):
        entry = json_values.record(source, value, f"entry {i}")
        number = json_values.whole_number(source, entry.get("frame_id", i), f"entry {i}")
        people = json_values.entries(source, entry.get("instances"), f"frame {number}")
        for k, one in enumerate(people):
            place = f"frame {number}, person {k}"
            person = json_values.record(source, one, place)
            who = json_values.person_id(person.get("track_id")) or str(k)
            rows.append((number, who, _xyz(source, person.get("keypoints"), place)))
    skeleton, names = _named(source.json, len(rows[0][2]) if rows else 0)
    found = _assembled(source, rows, skeleton=skeleton, unit="m", up="z")
    return {who: _with_names(motion, names) for who, motion in found.items()}


def _with_names(motion: FileMotion, names: tuple[str, ...]) -> FileMotion:
    return replace(motion, names=names) if names else motion


def _named(top: Any, n_points: int) -> tuple[Skeleton | None, tuple[str, ...]]:
    """The skeleton or the joint names that ``meta_info`` tells; 17 points are Human3.6M's."""
    meta = top.get("meta_info") if isinstance(top, dict) else None
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(names, dict) and len(names) == n_points:
        listed = tuple(str(names.get(str(i), "")) for i in range(n_points))
        if all(listed):
            return None, listed
    return (H36M17 if n_points == H36M17.n_joints else None), ()


# --- Azure Kinect -------------------------------------------------------------------------------


def read_azure(source: Source) -> People:
    """Read the body tracker's joints: millimeters in the frame of the depth camera."""
    rows: list[Row] = []
    for number, who, body, place in azure_bodies(source):
        rows.append((number, who, _xyz(source, body.get("joint_positions"), place)))
    return _assembled(source, rows, skeleton=AZURE32, unit="mm", up="native", fps=30.0)


# --- Kinect v2 ----------------------------------------------------------------------------------


def suits_kinect(source: Source) -> bool:
    """Frames with bodies whose joints have places in space."""
    first = next((b.get("joints") for f in kinect_frames(source) if isinstance(f, dict)
                  for b in f.get("bodies") or [] if isinstance(b, dict)), None)  # fmt: skip
    some = list(first.values()) if isinstance(first, dict) else first
    joint = some[0] if isinstance(some, list) and some else None
    return isinstance(joint, dict) and any(set(keys) <= set(joint) for keys in _KINECT)


_KINECT = (("cameraX", "cameraY", "cameraZ"), ("x", "y", "z"))
"""What programs call the place of a joint, in meters with y up."""


def read_kinect(source: Source) -> People:
    """Read the joints' places before the depth camera."""
    rows: list[Row] = []
    for number, who, body, place in kinect_bodies(source):
        joints = kinect_joints(source, body, place)
        keys = next((k for k in _KINECT if k[0] in joints[0]), _KINECT[0])
        points = [[json_values.scalar(joint.get(k)) for k in keys] for joint in joints]
        rows.append((number, who, np.array(points)))
    return _assembled(source, rows, skeleton=KINECT25, unit="m", up="y")


# --- EasyMocap ----------------------------------------------------------------------------------


def suits_easymocap(source: Source) -> bool:
    """A folder of JSON files with ``keypoints3d``."""
    if not source.is_folder:
        return False
    first = next((Source(p) for p in files_ending(source, ".json")), None)
    return first is not None and b'"keypoints3d"' in first.start


def read_easymocap(source: Source) -> People:
    """Read EasyMocap's ``keypoints3d`` folder, a file per frame."""
    rows: list[Row] = []
    for number, path in numbered(source, files_ending(source, ".json")):
        file = Source(path)
        for k, one in enumerate(json_values.entries(file, file.json, "top level")):
            person = json_values.record(file, one, f"person {k}")
            who = json_values.person_id(person.get("id")) or str(k)
            rows.append((number, who, _xyz(file, person.get("keypoints3d"), f"person {k}")))
    n_points = len(rows[0][2]) if rows else 0
    skeleton = BODY25 if n_points == BODY25.n_joints else None
    return _assembled(source, rows, skeleton=skeleton, unit="m", up="z")


MEDIAPIPE_WORLD = MotionFormat(
    "mediapipe-world", "MediaPipe's world landmarks as JSON", suits_world, read_world
)
MMPOSE = MotionFormat("mmpose-3d", "MMPose's 3D predictions", suits_mmpose, read_mmpose)
AZURE_KINECT = MotionFormat(
    "azure-kinect-3d", "Azure Kinect's body tracker as JSON", is_azure, read_azure
)
KINECT = MotionFormat("kinect-3d", "Kinect v2 bodies as JSON", suits_kinect, read_kinect)
EASYMOCAP = MotionFormat(
    "easymocap-3d", "EasyMocap's folder of keypoints3d", suits_easymocap, read_easymocap
)

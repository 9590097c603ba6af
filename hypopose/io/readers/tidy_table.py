"""One row per frame, person and joint: ``frame,person,joint,x,y,confidence``, CSV or Parquet.

``person`` and ``confidence`` may be absent; empty cells are missing. A time column may stand in
for ``frame``. A column ``z`` is refused: it makes the joints 3D. ``joint`` holds names.
Column names have the aliases of :data:`COLUMNS`. Before a CSV's header may stand
``# skeleton: coco17``, ``# image_size: 1920 1080`` and ``# fps: 60``, in a Parquet file the same as
metadata of its schema. MediaPipe's long CSV, with landmark numbers and fractions, is read too.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hypopose.errors import FormatError
from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import csv_rows
from hypopose.io.parsing.depth import CURE, check_depth
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.joint_words import plain
from hypopose.io.parsing.json_values import person_id
from hypopose.io.parsing.named_joints import MAX_JOINTS, MAX_VALUES, find_joints, pick
from hypopose.io.parsing.stated_facts import constant_facts, stated_columns, stated_facts
from hypopose.io.parsing.times import rate_of, seconds, time_column, time_of
from hypopose.io.readers.mediapipe_landmarks import WHOSE
from hypopose.io.source import Source
from hypopose.skeletons import MEDIAPIPE33
from hypopose.types import Skeleton

COLUMNS: dict[str, tuple[str, ...]] = {
    "frame": ("frame", "frame_id", "frame_number", "frame_idx", "frame_index"),
    "person": ("person", "person_id", "individual", "individuals", "track", "track_id", "subject",
               "pose_id", "instance", "instance_id", "pose", "person_index"),
    "joint": ("joint", "keypoint", "keypoints", "bodypart", "node", "landmark", "landmark_id",
              "joint_name", "keypoint_name", "landmark_name", "body_part", "body_part_name",
              "node_name", "joint_id", "keypoint_id", "joint_index", "keypoint_index",
              "landmark_index"),
    "x": ("x", "x_px", "x_pixel", "pixel_x", "u", "px_x", "pos_x", "x_pos"),
    "y": ("y", "y_px", "y_pixel", "pixel_y", "v", "px_y", "pos_y", "y_pos"),
    "z": ("z", "z_px"),
    "confidence": ("confidence", "score", "likelihood", "visibility", "conf", "keypoint_score",
                   "probability", "presence"),
}  # fmt: skip
"""Our columns and what others call them."""
IMAGES = ("image", "image_name", "image_id", "file_name", "filename", "frame_name")
"""Columns that number frames by the last digits in their cells."""
NUMERIC = ("frame", "time", "x", "y", "z", "confidence")
NEEDED = ("joint", "x", "y")
"""Besides a frame or a time."""
DEPTH = ("depth", "depth_m", "depth_mm", "z_m", "z_mm", "z_cm")
"""Columns that make the joints 3D, though not of HypoPose's own name."""
PARTS = ("camera", "cam", "view", "video", "video_name", "file", "trial", "clip", "recording",
         "session", "take")  # fmt: skip
"""Columns that tell recordings apart, which are not read."""
MAX_PEOPLE = 100_000


@dataclass(frozen=True, eq=False)
class Columns:
    """A tidy table: N rows, names as codes into lists."""

    frame: Float[np.ndarray, " N"] | None
    time: Float[np.ndarray, " N"] | None
    person: Int[np.ndarray, " N"]
    joint: Int[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]
    y: Float[np.ndarray, " N"]
    z: Float[np.ndarray, " N"] | None
    confidence: Float[np.ndarray, " N"] | None
    people: Sequence[str]
    joints: Sequence[str]
    header: Sequence[str]


def column_places(header: Sequence[str]) -> dict[str, int] | None:
    """Our columns' places in a header; None if it is not a table of keypoints."""
    names = [plain(name) for name in header]
    if "hypothesis" in names or len(set(names)) != len(names):
        return None
    places = {c: csv_rows.find_column(names, aliases) for c, aliases in COLUMNS.items()}
    time = time_column(names)
    places["time"] = None if time is None else time[0]
    if places["frame"] is None and time is None:
        places["frame"] = csv_rows.find_column(names, IMAGES)
    found = {column: place for column, place in places.items() if place is not None}
    timed = found.keys() & {"frame", "time"}
    return found if timed and found.keys() >= set(NEEDED) else None


def sniff(source: Source) -> bool:
    """A header with frame, joint, x and y, in text or in a Parquet file."""
    if source.container == "parquet":
        return column_places([name.lstrip("/") for name in source.tree.arrays]) is not None
    header = next(iter(csv_rows.first_rows(source, 1)), [])
    return column_places(header) is not None


def read(source: Source, options: ReadOptions) -> Detections:
    """Read the table."""
    if source.container == "parquet":
        table, stated = _parquet_columns(source)
        texts = source.tree.attributes.get("", {}).items()
        stated |= {k: v for k, v in texts if type(v) is str}
    else:
        table, stated = _csv_columns(source)
        stated |= csv_rows.comments(source)
    return _detections(source, options, table, stated)


def read_columns(source: Source) -> tuple[Columns, Int[np.ndarray, " N"]]:
    """A CSV table as it is, z included, and the frame of each of its rows.

    Raises:
        FormatError: If it is no such table, or holds a joint twice.
    """
    table, _ = _csv_columns(source)
    if not len(table.x):
        raise source.error("a table without rows", "check the recording")
    frames = _frames(source, table)
    _rows(source, table, frames)
    return table, frames


def _csv_columns(source: Source) -> tuple[Columns, dict[str, str]]:
    """The table, and what columns that never change state."""
    rows = csv_rows.rows(source)
    header = next(rows, (0, []))[1]
    places = column_places(header)
    if places is None:
        raise source.error(
            "no columns frame (or time), joint, x, y", "name them in the first row", "first row"
        )
    codes: dict[str, tuple[dict[str, int], Any]] = {
        n: ({}, array("l")) for n in ("person", "joint")
    }
    numeric = {column: array("d") for column in NUMERIC if column in places}
    stated = stated_columns(header)
    seen: dict[str, set[str]] = {fact: set() for fact in stated}
    for line, row in rows:
        csv_rows.check_width(source, row, len(header), line)
        for fact, place in stated.items():
            seen[fact].add(row[place].strip())
        for column, values in numeric.items():
            read_cell = _READ_CELL.get(column, csv_rows.number)
            values.append(read_cell(source, row[places[column]], f"line {line}, {column}"))
        for column, (known, coded) in codes.items():
            name = csv_rows.from_cell(row[places[column]].strip()) if column in places else ""
            coded.append(known.setdefault(name, len(known)))
        _check_names(source, codes["person"][0], codes["joint"][0])
    table = _columns(
        source,
        header,
        {column: np.array(values) for column, values in numeric.items()},
        person=np.array(codes["person"][1], dtype=np.int64),
        joint=np.array(codes["joint"][1], dtype=np.int64),
        people=list(codes["person"][0]) if "person" in places else ["0"],
        joints=list(codes["joint"][0]),
    )
    return table, constant_facts(seen)


def _frame_cell(source: Source, text: str, place: str) -> float:
    """A frame's number, or the last number in an image's name."""
    try:
        return csv_rows.number(source, text, place)
    except FormatError:
        digits = re.findall(r"\d{1,15}", text[:200].rpartition(".")[0] or text[:200], re.ASCII)
        if not digits:
            raise
        return float(digits[-1])


_READ_CELL = {"time": time_of, "frame": _frame_cell}


def _parquet_columns(source: Source) -> tuple[Columns, dict[str, str]]:
    """The table, and what columns that never change state."""
    tree = source.tree
    header = [name.lstrip("/") for name in tree.arrays]
    places = column_places(header)
    if places is None:
        raise source.error("no columns frame (or time), joint, x, y", "name them so")
    arrays = {c: list(tree.arrays.values())[i] for c, i in places.items()}
    numeric = _numeric_columns(source, arrays)
    n = arrays["x"].size
    if {array.shape for array in arrays.values()} != {(n,)}:
        raise source.error("columns of different lengths", "write it again")
    joints, joint = _coded(arrays["joint"])
    people, person = _coded(arrays["person"]) if "person" in arrays else (["0"], np.zeros(n, int))
    _check_names(source, people, joints)
    table = _columns(
        source,
        header,
        numeric,
        person=person,
        joint=joint,
        people=people,
        joints=joints,
    )
    return table, constant_facts(_stated_values(header, list(tree.arrays.values())))


def _numeric_columns(source: Source, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns that must hold numbers, as float64."""
    numeric = {column: arrays[column] for column in NUMERIC if column in arrays}
    for column, values in numeric.items():
        if values.dtype.kind not in "iuf":
            raise source.error(f"column {column!r} holds text", "write numbers")
    return {column: values.astype(np.float64) for column, values in numeric.items()}


def _stated_values(header: list[str], columns: list[np.ndarray]) -> dict[str, set[str]]:
    """All numbers of the columns that state a fact."""
    return {
        fact: {f"{v:g}" for v in np.unique(columns[place])}
        for fact, place in stated_columns(header).items()
        if columns[place].dtype.kind in "iuf"
    }


def _columns(
    source: Source, header: Sequence[str], numeric: dict[str, np.ndarray], **names: Any
) -> Columns:
    """The table, times in seconds."""
    times = numeric.get("time")
    if times is not None and len(times):
        column = time_column(header)
        times = seconds(source, times, None if column is None else column[1])
    return Columns(
        frame=numeric.get("frame"),
        time=times,
        x=numeric["x"],
        y=numeric["y"],
        z=numeric.get("z"),
        confidence=numeric.get("confidence"),
        header=tuple(name.strip().lower() for name in header),
        **names,
    )


def _coded(values: np.ndarray) -> tuple[list[str], Int[np.ndarray, " N"]]:
    names, codes = np.unique(values, return_inverse=True)
    if values.dtype.kind in "iuf":
        return [f"{v:g}" if abs(v) < 1e6 else str(v) for v in names.tolist()], codes
    return [str(v).strip() for v in names], codes


def _check_names(source: Source, people: Any, joints: Any) -> None:
    if len(people) > MAX_PEOPLE or len(joints) > MAX_JOINTS:
        raise source.error(
            f"more than {MAX_PEOPLE} people or {MAX_JOINTS} joints",
            "write one row per frame, person and joint",
        )


def _detections(
    source: Source,
    options: ReadOptions,
    table: Columns,
    stated: Mapping[str, str],
) -> Detections:
    if not len(table.x):
        raise source.error("a table without rows", "check that the detector saw somebody")
    _refuse_depth(source, table.header)
    frames = _frames(source, table)
    facts = stated_facts(source, stated, skeleton_told=options.skeleton is not None)
    skeleton, size = facts.pop("skeleton"), facts.pop("image_size")
    if options.skeleton is None and skeleton is not None:
        options = replace(options, skeleton=skeleton)
    joints, options, landmarks = _landmark_names(table.joints, table.header, options)
    chosen, order, notes = find_joints(source, options, joints)
    row, who, places = _rows(source, table, frames)
    x, y, c = (_spread(v, row, table.joint, len(places), len(joints))
               for v in (table.x, table.y, table.confidence))  # fmt: skip
    xy = np.stack([pick(x, order), pick(y, order)], -1)
    _refuse_3d(source, table.z, _spread(table.z, row, table.joint, len(places), len(joints)), xy,
               order, chosen, landmarks)  # fmt: skip
    rate, doubts = _rate(table, frames, facts["fps"])
    if landmarks:
        known = replace(options, image_size=options.image_size or size)
        xy, more = to_pixels(source, known, xy, WHOSE)
        notes = (*notes, *more)
    return Detections(
        skeleton=chosen,
        frames=frames[places],
        xy=xy,
        confidence=None if table.confidence is None else pick(c, order),
        ids=tuple(person_id(table.people[k]) for k in who),
        first_frame=int(frames.min()),
        last_frame=int(frames.max()),
        image_size=size,
        fps=rate,
        approximate=_of(chosen, facts["approximate"]),
        times=table.time[places] if table.frame is None and table.time is not None else None,
        notes=notes,
        doubts=doubts,
    )


def _refuse_depth(source: Source, header: Sequence[str]) -> None:
    deep = next((name for name in DEPTH if name in header), None)
    if deep is not None:
        raise source.error(
            f"has a column {deep}, so it may hold 3D joints, not 2D keypoints",
            "leave the column out if x and y are pixels of the image",
        )


def _refuse_3d(
    source: Source,
    z: np.ndarray | None,
    depth: Float[np.ndarray, "N K"],
    xy: Float[np.ndarray, "N J 2"],
    order: Sequence[int],
    skeleton: Skeleton,
    landmarks: bool,
) -> None:
    """Refuse a table with depths: any but MediaPipe's relative z is one."""
    if z is None or not np.isfinite(z).any() or not np.nan_to_num(z).any():
        return
    if not landmarks:
        raise source.error("has a column z, so it holds 3D joints, not 2D keypoints", CURE)
    check_depth(source, np.concatenate([xy, pick(depth, order)[..., None]], -1), skeleton)


def _frames(source: Source, table: Columns) -> Int[np.ndarray, " N"]:
    """Frame numbers, or the order of the time stamps where there are none."""
    if table.frame is not None:
        return _whole_frames(source, table.frame)
    return np.unique(np.asarray(table.time), return_inverse=True)[1].ravel()


def _rate(
    table: Columns, frames: Int[np.ndarray, " N"], stated: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """The frame rate that is stated, or that numbered frames with time stamps have."""
    if stated is not None or table.frame is None or table.time is None:
        return stated, ()
    return rate_of(frames, table.time)


def _rows(
    source: Source, table: Columns, frames: Int[np.ndarray, " N"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every cell its person-in-a-frame; for each of these the person and an example cell."""
    _, at = np.unique(frames, return_inverse=True)
    _, places, row = np.unique(
        at * len(table.people) + table.person, return_index=True, return_inverse=True
    )
    cells = row * len(table.joints) + table.joint
    numbers, first, counts = np.unique(cells, return_index=True, return_counts=True)
    if len(numbers) != len(cells):
        twice = int(first[counts > 1][0])
        raise source.error(
            f"{table.joints[table.joint[twice]]!r} is there twice in frame {frames[twice]} for "
            f"person {table.people[table.person[twice]]!r}",
            _cure_of_repeats(table, cells),
        )
    if len(places) * len(table.joints) > MAX_VALUES:
        raise source.error(
            f"{len(places)} people-in-a-frame with {len(table.joints)} joints", "split the file"
        )
    return row, table.person[places], places


def _cure_of_repeats(table: Columns, cells: np.ndarray) -> str:
    """What to do about a joint that a person has twice in a frame."""
    part = next((name for name in PARTS if name in table.header), None)
    if part is not None:
        return f"split the table by its column {part!r}"
    points = np.unique(np.stack([cells, table.x, table.y], -1), axis=0)
    if len(points) == len(np.unique(cells)):
        return "remove the rows that are repeated"
    return (
        "give every person a name of their own in a column 'person', or split a table of several "
        "recordings"
    )


def _spread(
    values: np.ndarray | None, row: np.ndarray, joint: np.ndarray, n_rows: int, n_joints: int
) -> np.ndarray:
    dense = np.full((n_rows, n_joints), np.nan)
    if values is not None:
        dense[row, joint] = values
    return dense


def _whole_frames(source: Source, frame: Float[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    bad = ~((frame >= 0) & (frame < 2**53) & (frame == np.floor(frame)))
    if bad.any():
        csv_rows.as_frame(source, float(frame[bad][0]), f"row {int(bad.argmax()) + 1}")
    return frame.astype(np.int64)


def _landmark_names(
    joints: Sequence[str], header: Sequence[str], options: ReadOptions
) -> tuple[Sequence[str], ReadOptions, bool]:
    """MediaPipe's landmark numbers as names; and whether this is MediaPipe's long table."""
    called = any(name.strip().lower().startswith("landmark") for name in header)
    if not called:
        return joints, options, False
    numbers = [str(i) for i in range(33)]
    if sorted(joints) == sorted(numbers):
        joints = [MEDIAPIPE33.joint_names[int(j)] for j in joints]
    return joints, options, True


def _of(skeleton: Skeleton, joints: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(joint for joint in joints if joint in skeleton.joint_names)


FORMAT = Format(
    name="tidy",
    description="CSV or Parquet, one row per frame, person and joint: frame,person,joint,x,y,...",
    sniff=sniff,
    read=read,
)

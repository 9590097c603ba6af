"""YOLO pose labels, as Ultralytics writes and trains on them: a text file per frame, in a folder.

Every row is a detection: class, box (center x, center y, width, height), then x, y and perhaps
visibility or confidence of every keypoint, all but the class as fractions of the image, whose size
must be given. Predictions may end in the box's confidence, a track id, or both in this order; the
id is absent from frames without a tracked person. Class 0 is a person; other classes are left
out. The rows do not name their joints: 17 are COCO-17, the layout of the published models. As
many numbers can be 26 points of x and y: these are refused until the skeleton is named.

Files are numbered by the last number in their names. An empty file is a frame without people, and
so is a file that is not there. ``classes.txt`` is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hypopose.errors import FormatError
from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.image_fractions import to_pixels
from hypopose.io.parsing.image_ids import LAYOUTS, as_video_or_images, third_numbers
from hypopose.io.parsing.numbered_files import files_ending, numbered
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source

N_BOX = 5
"""Class and box, before the keypoints."""
N_EXTRA = 2
"""Confidence and track id, after them."""
DEFAULT_JOINTS = 17
REACH = 0.6
"""Of a box's width and height: how far from its center its keypoints may lie."""
INSIDE = 0.85
"""Share of the keypoints that lie in their boxes, at least."""
OTHERS = 26
"""Keypoints of x and y whose numbers can be taken for 17 with confidences and a track id."""
N_EXAMINED = 200
MAX_BYTES = 4 * 2**20
MAX_NUMBERS = 4000


@dataclass(frozen=True, eq=False)
class Row:
    """One detection.

    Args:
        frame: Number of its file.
        place: File and line, for messages.
        box: Center x, center y, width and height, as fractions.
        keypoints: Fractions, with 2 or 3 numbers per keypoint.
        extra: What stands behind the keypoints: up to two numbers.
    """

    frame: int
    place: str
    box: Float[np.ndarray, " 4"]
    keypoints: Float[np.ndarray, "J d"]
    extra: tuple[float, ...]


def sniff(source: Source) -> bool:
    """A text file that begins with a row, or a folder whose first text file does."""
    if source.is_folder:
        files = (Source(path) for path in _label_files(source))
        first = next((file for file in files if file.head.strip()), None)
        return first is not None and sniff(first)
    line = next((line for line in source.opening if line.strip()), "")
    return "\t" not in line and _is_row(line.split()[:MAX_NUMBERS])


def _is_row(words: list[str]) -> bool:
    """Whether these are a class and a box in fractions, and more."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return False
    boxed = len(numbers) >= N_BOX and all(0 <= v <= 1 for v in numbers[1:N_BOX])
    return boxed and numbers[0] in range(1000)


def is_recording(source: Source) -> bool:
    """Whether the text files of a folder are the frames of one recording."""
    try:
        files = numbered(source, _label_files(source))
    except FormatError:
        return False
    found = (Source(path) for _, path in files)
    return all(sniff(file) for file in found if file.head.strip())


def read(source: Source, options: ReadOptions) -> Detections:
    """Read a folder or a file."""
    n_joints = DEFAULT_JOINTS if options.skeleton is None else options.skeleton.n_joints
    found = json_values.DetectionList(source)
    rows: list[Row] = []
    others: set[int] = set()
    for frame, path in _frames(source):
        found.saw(frame)
        for line, numbers in _numbers(Source(path)):
            place = f"{path.name}, line {line}"
            if numbers[0] != 0:
                others.add(int(numbers[0]))
                continue
            rows.append(_row(source, frame, place, numbers, n_joints))
    return _detections(source, options, found, rows, others)


def _detections(
    source: Source,
    options: ReadOptions,
    found: json_values.DetectionList,
    rows: list[Row],
    others: set[int],
) -> Detections:
    if not rows and others:
        raise source.error(
            f"no row of class 0, a person, only of class {', '.join(map(str, sorted(others)[:8]))}",
            "give people the class 0",
        )
    dims = {row.keypoints.shape[1] for row in rows}
    if len(dims) > 1:
        raise source.error("rows with and without visibility", "write them by one model")
    if options.skeleton is None:
        _check_boxes(source, rows)
    for row, (score, identity) in zip(rows, _extras(source, rows), strict=True):
        values = np.zeros((len(row.keypoints), 3))
        values[:, : row.keypoints.shape[1]] = row.keypoints
        found.add(row.frame, values, row.place, identity, score)
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "YOLO")
    detections = found.build(skeleton, notes)
    detections = replace(detections, confidence=None) if dims == {2} else third_numbers(detections)
    xy, more = to_pixels(source, options, detections.xy, "YOLO's keypoints")
    if others:
        more = (*more, f"rows of {len(others)} classes other than 0, a person, are left out")
    detections = replace(detections, xy=xy, image_size=options.image_size).with_notes(*more)
    tracked = any(identity is not None for identity in detections.ids)
    return detections if tracked else as_video_or_images(detections)


def _check_boxes(source: Source, rows: list[Row]) -> None:
    """Refuse 17 keypoints that could be 26 of x and y, if these alone lie in their boxes.

    Raises:
        FormatError: If the points are those of 26 joints.
    """
    flat = [np.concatenate([row.keypoints.ravel(), row.extra]) for row in rows[:N_EXAMINED]]
    if any(len(numbers) not in (2 * OTHERS, 2 * OTHERS + 1) for numbers in flat):
        return
    others = [numbers[: 2 * OTHERS].reshape(OTHERS, 2) for numbers in flat]
    as_17 = _inside(rows, [row.keypoints for row in rows[:N_EXAMINED]])
    if _inside(rows, others) < INSIDE or as_17 >= INSIDE:
        return
    raise source.error(
        f"{len(flat[0])} numbers behind the box, which lie in it as {OTHERS} points of x and y and "
        f"not as {DEFAULT_JOINTS} with confidences",
        "name the skeleton the model was trained on, for example skeleton=halpe26",
        rows[0].place,
    )


def _inside(rows: list[Row], keypoints: list[np.ndarray]) -> float:
    """Share of points that lie in their boxes, a little enlarged."""
    found: list[bool] = []
    for row, points in zip(rows, keypoints, strict=False):
        seen = points[points[:, :2].any(-1), :2]
        found += (np.abs(seen - row.box[:2]) <= REACH * row.box[2:]).all(-1).tolist()
    return float(np.mean(found)) if found else 0.0


def _frames(source: Source) -> list[tuple[int, Path]]:
    if not source.is_folder:
        return [(0, source.path)]
    files = _label_files(source)
    if not files:
        raise source.error("no .txt file in the folder", "give the folder of YOLO's labels")
    return numbered(source, files)


def _label_files(source: Source) -> list[Path]:
    return [p for p in files_ending(source, ".txt") if p.name.lower() != "classes.txt"]


def _numbers(source: Source) -> Iterator[tuple[int, list[float]]]:
    """The numbers of every row, with its line."""
    size = source.path.stat().st_size
    if size > MAX_BYTES:
        raise source.error(f"{size} bytes for one frame", "write one file per frame")
    try:
        lines = source.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise source.error("text is not UTF-8", "save it as UTF-8") from None
    for i, line in enumerate(lines, 1):
        words = line.split(maxsplit=MAX_NUMBERS)
        if not words:
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            raise source.error(
                "no row of numbers", "keep only YOLO's labels in the folder", f"line {i}"
            ) from None
        if numbers[0] not in range(1000):
            raise source.error(
                f"a row begins with its class, not with {numbers[0]:g}", "write it again",
                f"line {i}",
            )  # fmt: skip
        yield i, numbers


def _row(source: Source, frame: int, place: str, numbers: list[float], n_joints: int) -> Row:
    rest = numbers[N_BOX:]
    for dims in (3, 2):
        n_extra = len(rest) - dims * n_joints
        if 0 <= n_extra <= N_EXTRA:
            keypoints = np.array(rest[: dims * n_joints]).reshape(n_joints, dims)
            box = np.array(numbers[1:N_BOX])
            return Row(frame, place, box, keypoints, tuple(rest[dims * n_joints :]))
    if len(rest) <= 1 + N_EXTRA:
        raise source.error(
            "a box without keypoints", "predict with a pose model, such as yolo11n-pose", place
        )
    raise source.error(
        f"{len(numbers)} numbers, not class, box and {n_joints} keypoints",
        "name the skeleton the model was trained on: skeleton=...",
        place,
    )


def _extras(source: Source, rows: list[Row]) -> Iterator[tuple[float, str | None]]:
    """Confidence and identity of every row.

    A lone number is a confidence if others have both, or if it is no whole number; else an id.
    """
    are_ids = _are_ids(rows)
    for row in rows:
        pair, known = len(row.extra) == N_EXTRA, bool(row.extra)
        *scores, last = (float("nan"), *row.extra) if known else (float("nan"), float("nan"))
        score = scores[-1] if pair or are_ids else last
        if not (np.isnan(score) or 0 <= score <= 1):
            raise source.error(
                f"{score:g} behind the keypoints is neither a confidence nor a track id",
                "write it again",
                row.place,
            )
        yield score, json_values.person_id(last) if pair or (are_ids and known) else None


def _are_ids(rows: list[Row]) -> bool:
    """Whether lone numbers behind the keypoints are identities."""
    if any(len(row.extra) == N_EXTRA for row in rows):
        return False
    lone = np.array([row.extra[0] for row in rows if row.extra])
    return bool(len(lone)) and bool(((lone >= 1) & (lone == np.floor(lone))).all())


FORMAT = Format(
    name="yolo",
    description="YOLO pose labels (Ultralytics): a folder of frames, or one file; needs image_size",
    sniff=sniff,
    read=read,
    folders=is_recording,
)

"""Where ``hypopose live`` takes its frames from: footage, a keypoint file, lines of a pipe."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hypopose.errors import FormatError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from hypopose.types import Skeleton


def from_footage(source: str, options: Mapping[str, Any]) -> Iterator[Any]:
    """Time, frame and rate of a camera or a video.

    Args:
        source: ``camera:0``, a video or pictures.
        options: Of the command.
    """
    from hypopose.io.footage import camera_number
    from hypopose.video import Clip, open_footage

    reader = open_footage(source, Clip(end=options["end"]))
    rate = options["fps"] or reader.footage.rate or 30.0
    live_source = camera_number(source) is not None
    began = time.monotonic()
    try:
        for frame in reader.frames():
            late = live_source and time.monotonic() - began - frame.seconds > 2 / rate
            if late:  # we lag behind the camera: skip to the newest frame
                began += 1 / rate
                continue
            yield frame.seconds, frame.rgb, rate
    finally:
        reader.close()


def from_file(source: str, options: Mapping[str, Any]) -> Iterator[Any]:
    """Time, keypoints and rate of a keypoint file, one frame after the other.

    Args:
        source: The file.
        options: Of the command.
    """
    from hypopose.api import prepare
    from hypopose.io import load
    from hypopose.video import frame_of

    given = {name: options[name] for name in ("person", "fps", "skeleton", "image_size")}
    keypoints = prepare(load(source, **{k: v for k, v in given.items() if v is not None}))
    rate = keypoints.fps or 30.0
    for f in range(keypoints.n_frames):
        if options["end"] is not None and f / rate >= options["end"]:
            return
        yield f / rate, frame_of(keypoints, f), rate


def from_lines(lines: Any, options: Mapping[str, Any]) -> Iterator[Any]:
    """Time, keypoints and rate of frames that come as lines of JSON.

    Args:
        lines: A text stream, one object a line: ``keypoints`` (pixels, confidence) and ``seconds``.
        options: Of the command.

    Raises:
        OptionError: If the skeleton or the image size is missing.
        FormatError: If a line is something else.
    """
    import torch

    from hypopose.skeletons import get_skeleton
    from hypopose.types import Keypoints2D

    if options["skeleton"] is None or options["image_size"] is None:
        raise OptionError("Keypoints from a pipe need --skeleton and --image-size.")
    skeleton, rate = get_skeleton(options["skeleton"]), options["fps"] or 30.0
    for n, line in enumerate(iter(lines.readline, "")):
        seconds, points = _parsed(line, n, skeleton)
        seconds = n / rate if seconds is None else seconds
        if options["end"] is not None and seconds >= options["end"]:
            return
        told = torch.from_numpy(points).float()
        yield seconds, Keypoints2D(
            xy=told[None, :, :2],
            skeleton=skeleton,
            confidence=told[None, :, 2],
            image_size=options["image_size"],
            fps=rate,
        ), rate  # fmt: skip


def _parsed(line: str, n: int, skeleton: Skeleton) -> tuple[float | None, np.ndarray]:
    """The time of a line, if it has one, and its keypoints (J, 3); NaN and 0 where undetected."""
    import numpy as np

    try:
        told = json.loads(line)
        rows = [(np.nan, np.nan, 0.0) if row is None else row for row in told["keypoints"]]
        points = np.array(rows, dtype=np.float64)
        seconds = None if told.get("seconds") is None else float(told["seconds"])
    except (ValueError, TypeError, KeyError, AttributeError):
        points, seconds = np.empty(0), None
    if points.shape != (skeleton.n_joints, 3) or np.isinf(points).any():
        raise FormatError(
            f"Line {n + 1} of the pipe is not "
            f'{{"seconds": 0.04, "keypoints": [[x, y, confidence], ...]}} with '
            f"{skeleton.n_joints} keypoints of {skeleton.name}."
        )
    lost = np.isnan(points).any(-1)
    points[lost] = (np.nan, np.nan, 0.0)
    return seconds, points

"""Hypotheses over the frames they were lifted from, with a side view beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from hypopose.cameras import project
from hypopose.errors import OptionError
from hypopose.io.results import Result
from hypopose.video.decode import Clip, Frame, open_footage
from hypopose.video.encode import video_writer
from hypopose.video.stick_figures import ON_PAPER, ON_PICTURES, draw_bodies, write_text

PAPER = 245
"""Gray of what is drawn on where there is no picture."""

LABEL_WIDTH = 140
"""Pixels of a side view that says where it is seen from."""

SHARE = 0.9
"""How much of the height of the side view the tallest pose takes."""


def render(
    path: Path,
    results: Sequence[Result],
    footage: Path | None = None,
    *,
    clip: Clip | None = None,
    start: float = 0.0,
    n_shown: int = 50,
    side: bool = True,
    progress: Callable[[int, int | None], None] | None = None,
) -> int:
    """Draw people's hypotheses over a video and write another.

    Args:
        path: The video to write: ``.mp4``, ``.gif`` or another of
            :data:`hypopose.video.encode.ENDINGS`.
        results: The people of one recording.
        footage: What they were seen in; None draws on plain paper.
        clip: Which frames of it, and how large.
        start: Seconds of the footage at which the results begin.
        n_shown: Hypotheses drawn at most.
        side: Whether a side view is drawn beside the frames.
        progress: Called with the frames done and their number, if known.

    Returns:
        Number of frames written.

    Raises:
        OptionError: If a result has no camera or frame rate, or the footage another size.
        FormatError: If the footage cannot be read.
        BackendError: If PyAV is not installed.
    """
    people = [_Person(result, n_shown) for result in results]
    size = people[0].size
    if any(person.size != size for person in people):
        raise OptionError("These recordings differ in size; render them separately.")
    clip = clip or Clip()
    last = max((person.n_frames - 0.5) / person.fps for person in people)
    n = 0
    frames, fps, total = _frames(footage, clip, size, people[0], last)
    with video_writer(path, fps) as writer:
        for frame in frames:
            at = frame.seconds - start
            if at > last:
                break
            writer.write(_drawn(frame.rgb, people, at, side, footage is not None))
            n += 1
            if progress is not None:
                progress(n, total)
        if n == 0:
            raise OptionError(f"No frame of {footage} lies in the time of these results.")
    return n


class _Person:
    """Where a person's hypotheses are, in pixels and from the side."""

    def __init__(self, result: Result, n_shown: int) -> None:
        hypotheses, camera = result.hypotheses, result.keypoints.camera
        if hypotheses.root is None or camera is None or result.keypoints.fps is None:
            raise OptionError(
                f"{result.source or 'The result'} has no camera, root or frame rate to draw with; "
                "sample it again with --image-size and --fps."
            )
        self.fps, self.size = result.keypoints.fps, camera.image_size
        joints = hypotheses.joints[:n_shown]
        placed = joints + hypotheses.root[:n_shown, :, None]
        self.pixels = _numbers(project(placed, camera))
        self.side = _numbers(joints[..., [2, 1]])  # depth to the right, down
        self.skeleton = hypotheses.skeleton
        known = np.abs(self.side[np.isfinite(self.side)])
        self.reach = max(float(known.max()) if known.size else 1.0, 0.5)
        self.n_frames = joints.shape[1]


def _numbers(x: torch.Tensor) -> Float[np.ndarray, "H F J 2"]:
    return x.double().numpy(force=True)


def _frames(
    footage: Path | None, clip: Clip, size: tuple[int, int], first: _Person, last: float
) -> tuple[Iterator[Frame], float, int | None]:
    """The frames to draw on, their rate, and how many there are."""
    if footage is None:
        scale = min(1.0, clip.max_side / max(size))
        shape = (round(size[1] * scale), round(size[0] * scale), 3)
        paper = np.full(shape, PAPER, np.uint8)
        blank = (Frame(i, i / first.fps, paper) for i in range(first.n_frames))
        return blank, first.fps, first.n_frames
    reader = open_footage(footage, clip)
    if reader.footage.size != size:
        w, h = reader.footage.size
        reader.close()
        raise OptionError(
            f"{footage} shows {w} x {h} pixels, the keypoints were found in {size[0]} x {size[1]}; "
            "give the video they were detected in."
        )
    rate = (reader.footage.rate or first.fps) / clip.every
    total = reader.footage.n_frames
    return _closing(reader.frames(), reader.close), rate, total


def _closing(frames: Iterator[Frame], close: Callable[[], None]) -> Iterator[Frame]:
    try:
        yield from frames
    finally:
        close()


def _drawn(
    rgb: UInt8[np.ndarray, "height width 3"],
    people: list[_Person],
    at: float,
    side: bool,
    on_video: bool,
) -> UInt8[np.ndarray, "height width2 3"]:
    """One frame with everybody, and the side view beside it."""
    height, width = rgb.shape[:2]
    line = max(2, round(height / 200))
    scale = np.array([width, height]) / np.array(people[0].size)
    panel = np.full((height, round(0.6 * height), 3), PAPER, np.uint8)
    reach = max(person.reach for person in people)
    for person in people:
        f = round(at * person.fps)
        if not 0 <= f < person.n_frames:
            continue
        placed = person.pixels[:, f] * scale
        rgb = draw_bodies(rgb, placed, person.skeleton, line, ON_PICTURES if on_video else ON_PAPER)
        middle = np.array([panel.shape[1], height]) / 2
        points = middle + person.side[:, f] * (SHARE * height / 2 / reach)
        panel = draw_bodies(panel, points, person.skeleton, line)
    if not side:
        return rgb
    panel = write_text(panel, f"{at:.2f} s", (6, 6))
    if panel.shape[1] >= LABEL_WIDTH:
        panel = write_text(panel, "away from the camera ->", (6, 22))
    return np.concatenate([rgb, panel], 1)

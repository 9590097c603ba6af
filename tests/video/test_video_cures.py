"""Cures that messages about footage name, applied; see :mod:`test_cures`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from cures import CureTable
from footage import DotDetector, dots, write_clip
from PIL import Image
from test_cures import Box, RefusedError

from hypopose.cli import main
from hypopose.cli.footage_options import as_read
from hypopose.errors import HypoPoseError
from hypopose.io import save_people
from hypopose.types import Keypoints2D
from hypopose.video import choose_detector, decoding, detect_people, detectors

pytest.importorskip("av", reason="PyAV is not installed")
pytestmark = pytest.mark.video

PACKAGES = ("video", "cli/detect.py", "cli/footage_options.py", "cli/live_input.py",
            "cli/render.py", "cli/live.py")  # fmt: skip
TABLE = CureTable(PACKAGES, {})
case = TABLE.case
FRAMES, _ = dots(25)


@pytest.fixture(autouse=True)
def _dot_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(detectors.DETECTORS, "rtmpose", ("av", lambda models: DotDetector()))


def clip(box: Box, frames: Any = FRAMES) -> Path:
    return write_clip(box.path("clip.mp4"), frames)


def detect(box: Box, source: object, *words: object) -> Any:
    out = box.path("o.json")
    return lambda: box.run("detect", source, "-o", out, *words)


@case
def footage_by_url(box):
    yield detect(box, "https://example.org/walk.mp4")
    yield detect(box, clip(box))


@case
def a_camera_without_an_end(box):
    yield detect(box, "camera:0")
    path = clip(box)
    decoding.CAMERAS["linux"] = (str(path).replace(path.name, "{n}.mp4"), "mp4")
    path.rename(path.with_name("0.mp4"))
    yield detect(box, "camera:0", "--end", 0.5)


@case
def another_size_than_the_footage(box):
    out, words = box.path("o.npz"), ("--sampler", "boneflips", "--n-hypotheses", 2)
    path = clip(box)
    yield lambda: box.run("sample", path, "-o", out, "--image-size", 10, 10, *words)
    people = detect_people(path, choose_detector()[0])
    yield lambda: as_read(people, {}, None, path)


@case
def a_start_before_the_beginning(box):
    path = clip(box)
    yield detect(box, path, "--start", -1)
    yield detect(box, path, "--start", 0)


@case
def an_end_before_the_start(box):
    path = clip(box)
    yield detect(box, path, "--start", 0.6, "--end", 0.2)
    yield detect(box, path, "--start", 0.2, "--end", 0.6)


@case
def no_frame_of_any(box):
    path = clip(box)
    yield detect(box, path, "--every", 0)
    yield detect(box, path, "--every", 1)


@case
def a_start_behind_the_end(box):
    path = clip(box)
    yield detect(box, path, "--start", 5)
    yield detect(box, path, "--start", 0.5)


@case
def nobody_at_the_beginning(box):
    path = clip(box, [np.full_like(FRAMES[0], 90)] * 10 + FRAMES)
    yield detect(box, path, "--end", 0.3)
    yield detect(box, path, "--start", 0.4)


@case
def models_for_the_other_detector(box):
    path = clip(box)
    yield detect(box, path, "--detector", "mediapipe", "--detector-models", box.folder)
    yield detect(box, path, "--detector", "rtmpose", "--detector-models", box.folder)


@case
def pictures_behind_the_end(box):
    folder = box.path("pictures")
    folder.mkdir()
    for i, frame in enumerate(FRAMES[:12]):
        Image.fromarray(frame).save(folder / f"{i}.png")
    yield detect(box, folder, "--start", 5)
    yield detect(box, folder, "--start", 0.2)


@case
def an_animation_that_ends_before(box):
    path = box.path("clip.webp")
    pictures = [Image.fromarray(f) for f in FRAMES]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    yield detect(box, path, "--start", 5)
    yield detect(box, path, "--start", 0.2)


@case
def a_result_that_cannot_be_drawn(box):
    out = box.path("o.mp4")
    bare = box.path("bare.npz")
    keypoints = box.path("walk.csv")
    person = box.person()
    save_people(keypoints, {"0": Keypoints2D(person.xy, person.skeleton)})
    words = ("--sampler", "boneflips", "--n-hypotheses", 2, "--no-overview")
    box.run("sample", keypoints, "-o", bare, *words, "--image-size", 640, 480)
    yield lambda: box.run("render", bare, "-o", out)
    again = box.path("again.npz")
    box.run("sample", keypoints, "-o", again, *words, "--image-size", 640, 480, "--fps", 25)
    yield lambda: box.run("render", again, "-o", out)


@case
def a_pipe_without_a_skeleton(box):
    person = box.person()
    lines = "".join(
        json.dumps({"seconds": f / 25, "keypoints": [[*map(float, xy), 0.9] for xy in frame]})
        + "\n"
        for f, frame in enumerate(person.xy.tolist())
    )

    def live(*words: object) -> None:
        given = ["live", "-", "--n-hypotheses", "2", *map(str, words)]
        done = CliRunner().invoke(main, given, input=lines)
        if done.exit_code:
            raise RefusedError(" ".join(done.output.split()))

    yield live
    yield lambda: live("--skeleton", "coco17", "--image-size", 640, 480)


@pytest.mark.parametrize("name", TABLE.cases)
def test_the_cure_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CAMERAS", dict(decoding.CAMERAS))
    TABLE.apply(name, Box(tmp_path), (HypoPoseError, RefusedError))


def test_every_message_that_names_a_cure_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "CAMERAS", dict(decoding.CAMERAS))
    TABLE.check_all(tmp_path, Box, (HypoPoseError, RefusedError))

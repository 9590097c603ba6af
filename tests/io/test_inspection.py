"""``inspect`` says what is in a file, in numbers and in words."""

from __future__ import annotations

import json

import pytest

from hypopose.errors import OptionError
from hypopose.io import inspect


def test_numbers_and_words(write_as, figure):
    one, two = figure("body25"), figure("body25", (700, 150))
    two[0:2] = 0
    path = write_as("openpose", [[one], [one, two], [], [one], [one, two]], confidence=0.5)
    info = inspect(path)
    assert info.n_frames == 5
    assert info.frames_without_people == 1
    assert info.confidence == (0.5, 0.5, 0.5)
    assert [(p.n_frames, p.first, p.last, p.gaps) for p in info.people] == [
        (4, 0, 4, 1),
        (2, 1, 4, 1),
    ]
    assert info.people[1].missing == pytest.approx(2 / 25)
    text = info.describe(most_people=1)
    for words in (
        "format      openpose",
        "skeleton    body25 (25 joints)",
        "frames      5, 1 without people",
        "image size  not stated",
        "confidence  0.50 to 0.50, median 0.50",
        "0: 4 of 5 frames (0 to 4, 1 gap), 0.0% of keypoints missing",
        "and 1 more",
        "note        25 points are body25",
    ):
        assert words in text


@pytest.mark.parametrize("size", [(0, 480), (-5, 10)])
def test_an_impossible_size_is_refused(write_as, figure, size):
    path = write_as("openpose", [[figure("body25")]])
    with pytest.raises(OptionError, match=r"image_size is width and height in pixels"):
        inspect(path, image_size=size)


def test_facts_the_file_states(write_as, figure):
    text = inspect(write_as("videopose3d", [[figure("coco17")]] * 3)).describe()
    for words in (
        "640 x 480 px",
        "25 Hz",
        "confidence  none",
        "camera      none",
        "walk.mp4: 3 of 3",
    ):
        assert words in text


def test_coco_third_numbers(write_as, figure):
    path = write_as("coco-results", [[figure("coco17")]] * 2, confidence=2)
    info = inspect(path)
    assert info.confidence == (1, 1, 1)
    assert any("visibility flags" in note for note in info.notes)
    entries = json.loads(path.read_text())
    for entry in entries:
        entry["keypoints"][2::3] = [0] * 17
    path.write_text(json.dumps(entries))
    info = inspect(path)
    assert info.confidence is None
    assert any("taken as unused" in note for note in info.notes)

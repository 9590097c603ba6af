"""Broken, empty and odd footage: one line that names the file and the cure, exit code 2.

What could be read is done and the rest said; ``docs/how-to/video.md`` lists what each prints.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from footage import DotDetector, dots, draw_dots, write_clip, write_sound
from PIL import Image

from hypopose.cli import main
from hypopose.video import detectors

pytest.importorskip("av", reason="PyAV is not installed")
pytestmark = pytest.mark.video

FRAMES, _ = dots(25)
GRAY = [np.full((96, 128, 3), 90, np.uint8)] * 8


@pytest.fixture(autouse=True)
def _dot_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(detectors.DETECTORS, "rtmpose", ("av", lambda models: DotDetector()))


def run(*arguments: str | Path) -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, (result.stdout + result.stderr).strip().splitlines()


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("not a video at all\n" * 50)
    return path


def zeros(path: Path) -> Path:
    path.write_bytes(bytes(50_000))
    return path


def headless(path: Path) -> Path:
    """An mp4 whose index, at the end, was never written."""
    data = write_clip(path, FRAMES).read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    return path


def sound(path: Path) -> Path:
    return write_sound(path)


def nobody(path: Path) -> Path:
    return write_clip(path, GRAY)


def only_header(path: Path) -> Path:
    """A Matroska file that ends before its first frame."""
    data = write_clip(path, FRAMES).read_bytes()
    path.write_bytes(data[: data.index(b"\x1fC\xb6u") + 20])
    return path


def keypoints_in_disguise(path: Path) -> Path:
    path.write_text('{"hypopose": "keypoints"}')
    return path


def broken_picture(path: Path) -> Path:
    Image.fromarray(FRAMES[0]).save(path)
    path.write_bytes(path.read_bytes()[:200])
    return path


def missing(path: Path) -> Path:
    return path


def no_pictures(path: Path) -> Path:
    path.mkdir()
    return path


def unequal_pictures(path: Path) -> Path:
    path.mkdir()
    Image.fromarray(FRAMES[0]).save(path / "1.png")
    Image.fromarray(FRAMES[0][:50]).save(path / "2.png")
    return path


REFUSED: list[tuple[str, Callable[[Path], Path], str]] = [
    ("empty.mp4", empty, "is an empty file"),
    ("text.mp4", text, "cannot be opened as a video"),
    ("zeros.avi", zeros, "cannot be opened as a video"),
    ("headless.mp4", headless, "cut off or damaged"),
    ("sound.m4a", sound, "only sound"),
    ("sound.mp4", sound, "only sound"),
    ("nobody.mp4", nobody, "sees no person in any of 8 frames"),
    ("header.mkv", only_header, "not one frame"),
    ("keypoints.mov", keypoints_in_disguise, "cannot be opened as a video"),
    ("broken.png", broken_picture, "not a picture that can be read"),
    ("missing.mp4", missing, "does not exist"),
    ("folder.mp4", no_pictures, "is a folder without pictures"),
    ("folder", no_pictures, "is a folder without pictures"),
    ("unequal", unequal_pictures, "put pictures of one size into a folder"),
    ("keypoints.json", keypoints_in_disguise, "not a video"),
]


@pytest.mark.parametrize(("name", "make", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_is_refused_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path / name)
    code, lines = run("detect", path, "-o", tmp_path / "out.json")
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert name in lines[0]
    assert words in lines[0]
    assert not (tmp_path / "out.json").exists()


def truncated(path: Path) -> Path:
    data = write_clip(path, dots(100, size=(320, 96))[0]).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def scratched(path: Path) -> Path:
    """Every tenth kilobyte of a transport stream overwritten."""
    data = bytearray(write_clip(path, FRAMES, codec="mpeg4").read_bytes())
    for at in range(4000, len(data) - 1000, 8000):
        data[at : at + 300] = bytes(300)
    path.write_bytes(bytes(data))
    return path


def one_frame(path: Path) -> Path:
    return write_clip(path, FRAMES[:1])


def gif(path: Path) -> Path:
    pictures = [Image.fromarray(f) for f in FRAMES]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    return path


def with_sound(path: Path) -> Path:
    return write_clip(path, FRAMES, sound=True)


def wrong_ending(path: Path) -> Path:
    """A Matroska file that is called .json."""
    return write_clip(path.with_suffix(".mkv"), FRAMES).rename(path)


def cut(path: Path) -> Path:
    bright = [np.where(f == 90, 240, f).astype(np.uint8) for f in FRAMES]
    return write_clip(path, [*FRAMES, *bright])


def comes_and_goes(path: Path) -> Path:
    return write_clip(path, [*FRAMES[:12], *GRAY, *FRAMES[14:]])


def swapped(path: Path) -> Path:
    """Somebody else, elsewhere, from one frame to the next in the same scene."""
    other = [draw_dots(np.array([[110.0, 15], [110, 25], [110, 40]]), (128, 96))] * 12
    return write_clip(path, [*FRAMES[:12], *other])


READ: list[tuple[str, Callable[[Path], Path], str]] = [
    ("truncated.mkv", truncated, "cut off"),
    ("scratched.ts", scratched, "frames at 25 frames/s"),
    ("one.mp4", one_frame, "1 frame at 25"),
    ("clip.gif", gif, "25 frames at 25 frames/s"),
    ("sound.mkv", with_sound, "25 frames at 25 frames/s"),
    ("matroska.json", wrong_ending, "25 frames at 25 frames/s"),
    ("cut.mp4", cut, "scene cut at 1.00 s"),
    ("gone.mp4", comes_and_goes, "23 of 31 frames; the others are missing"),
    ("swapped.mp4", swapped, "2 people"),
]


@pytest.mark.parametrize(("name", "make", "words"), READ, ids=[r[0] for r in READ])
def test_what_can_be_read_is_done_and_the_rest_said(
    tmp_path: Path, name: str, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path / name)
    code, lines = run("detect", path, "-o", tmp_path / "out.csv")
    assert code == 0, lines
    assert any(words in line for line in lines), lines
    assert (tmp_path / "out.csv").exists()
    assert not (tmp_path / "out.csv.part").exists()


def test_other_commands_say_that_it_is_a_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "walk.mp4", FRAMES)
    for command in (("info", path), ("tracks", path), ("info", path, "--input-format", "openpose")):
        code, lines = run(*command)
        assert code == 2
        assert "is a video, not a keypoint file" in lines[-1]
        assert "pip install 'hypopose[video]'" in lines[-1]


def test_a_url_is_named_with_the_command_that_takes_it(tmp_path: Path) -> None:
    code, lines = run("detect", "https://example.org/walk.mp4", "-o", tmp_path / "out.json")
    assert code == 2
    assert "https://example.org/walk.mp4" in lines[0]
    assert "hypopose sample" in lines[0]


def test_nothing_that_exists_is_replaced(tmp_path: Path) -> None:
    path, out = write_clip(tmp_path / "walk.mp4", FRAMES), tmp_path / "out.json"
    out.write_text("mine")
    code, lines = run("detect", path, "-o", out)
    assert code == 2
    assert "--force" in lines[-1]
    assert out.read_text() == "mine"

"""Broken, empty and odd footage: one line that names the file and the cure, exit code 2.

What could be read is done and the rest said; ``benchmarks/bad_videos.py`` prints what each
says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bad_footage import READ, REFUSED, Maker, cut_to, dropped
from click.testing import CliRunner
from footage import DotDetector, dots, draw_dots, write_clip

from hypopose.cli import main
from hypopose.video import detectors, open_footage

pytest.importorskip("av", reason="PyAV is not installed")
pytestmark = pytest.mark.video

FRAMES, _ = dots(25)
LONG, _ = dots(100, size=(320, 96))


def _frames(name: str) -> list[np.ndarray]:
    """What is cut off or scratched needs some length."""
    return LONG if any(word in name for word in ("half", "nearly", "scratched")) else FRAMES


@pytest.fixture(autouse=True)
def _dot_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(detectors.DETECTORS, "rtmpose", ("av", lambda models: DotDetector()))


def run(*arguments: str | Path) -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, (result.stdout + result.stderr).strip().splitlines()


@pytest.mark.parametrize(("name", "make", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_is_refused_in_one_line(tmp_path: Path, name: str, make: Maker, words: str) -> None:
    path = make(tmp_path / name, _frames(name))
    code, lines = run("detect", path, "-o", tmp_path / "out.json")
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert name in lines[0]
    assert words in lines[0]
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("name", "make", "words"), READ, ids=[r[0] for r in READ])
def test_what_can_be_read_is_done_and_the_rest_said(
    tmp_path: Path, name: str, make: Maker, words: str
) -> None:
    path = make(tmp_path / name, _frames(name))
    code, lines = run("detect", path, "-o", tmp_path / "out.csv")
    assert code == 0, lines
    assert any(words in line for line in lines), lines
    assert (tmp_path / "out.csv").exists()
    assert not (tmp_path / "out.csv.part").exists()


def test_somebody_else_in_the_same_scene_is_another_person(tmp_path: Path) -> None:
    other = [draw_dots(np.array([[110.0, 15], [110, 25], [110, 40]]), (128, 96))] * 12
    path = write_clip(tmp_path / "swapped.mp4", [*FRAMES[:12], *other])
    code, lines = run("detect", path, "-o", tmp_path / "out.csv")
    assert code == 0
    assert any("2 people" in line for line in lines), lines


@pytest.mark.parametrize("ending", ["mpg", "mpeg", "vob"])
def test_frames_without_a_time_of_their_own_follow_the_last(tmp_path: Path, ending: str) -> None:
    # FFmpeg gives a time to the first frame of each packet of a program stream only.
    path = write_clip(tmp_path / f"clip.{ending}", LONG, codec="libx264")
    reader = open_footage(path)
    times = [frame.seconds for frame in reader.frames()]
    reader.close()
    assert times == pytest.approx(np.arange(100) / 25, abs=0.002)
    assert not reader.footage.notes


@pytest.mark.parametrize("share", [0.85, 0.6, 0.3])
@pytest.mark.parametrize("ending", ["avi", "mkv", "mp4"])
def test_an_end_that_is_missing_is_said_with_its_place(
    tmp_path: Path, ending: str, share: float
) -> None:
    options = {"movflags": "faststart"} if ending == "mp4" else {}
    path = cut_to(share, **options)(tmp_path / f"clip.{ending}", LONG)
    reader = open_footage(path)
    last = list(reader.frames())[-1].seconds
    reader.close()
    told = [note for note in reader.footage.notes if "cut off" in note]
    assert told == [f"the file ends at {last:.2f} s of the 4.00 s it promises: it is cut off"]


def test_dropped_frames_of_an_avi_keep_their_time(tmp_path: Path) -> None:
    reader = open_footage(dropped(tmp_path / "clip.avi", FRAMES))
    times = [frame.seconds for frame in reader.frames()]
    reader.close()
    assert times == pytest.approx([i / 25 for i in (*range(10), *range(15, 25))], abs=0.002)
    assert not reader.footage.notes


def test_a_still_that_is_shown_for_long_is_no_missing_end(tmp_path: Path) -> None:
    times = [*np.arange(24) / 25, 9.0]
    path = write_clip(tmp_path / "clip.mp4", FRAMES, times=times)
    reader = open_footage(path)
    assert len(list(reader.frames())) == 25
    reader.close()
    assert not [note for note in reader.footage.notes if "cut off" in note]


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

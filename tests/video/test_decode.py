"""What a container says about its pixels and times is applied; what cannot be read is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from footage import DotDetector, dots, draw_dots, write_clip
from PIL import Image

from hypopose.errors import FormatError, OptionError
from hypopose.video import Clip, detect_people, open_footage
from hypopose.video.decoding import camera_of

pytest.importorskip("av", reason="PyAV is not installed")
pytestmark = pytest.mark.video

FRAMES, PLACES = dots(30)
SIZE = (128, 96)


def test_closing_a_file_does_not_wait_for_its_decoding_threads(tmp_path: Path) -> None:
    # Decoders of H.264 speak from threads of their own; a listener in Python would be waited for.
    path = write_clip(tmp_path / "clip.mp4", FRAMES, codec="libx264")
    script = (
        "import sys; from hypopose.video import open_footage\n"
        "for _ in range(20): open_footage(sys.argv[1]).close()"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=120)


@pytest.mark.parametrize(
    ("codec", "ending"),
    [("libx264", "ts"), ("libx264", "avi"), ("libx264", "mp4"), ("mpeg2video", "mpg"),
     ("mpeg2video", "ts"), ("mpeg2video", "avi")],
)  # fmt: skip
def test_every_frame_is_read_whatever_the_container(
    tmp_path: Path, codec: str, ending: str
) -> None:
    path = write_clip(tmp_path / f"clip.{ending}", dots(80)[0], codec=codec)
    assert times_of(path, Clip()) == pytest.approx(np.arange(80) / 25, abs=0.002)
    assert times_of(path, Clip(start=2.4)) == pytest.approx(np.arange(60, 80) / 25, abs=0.002)


def times_of(path: Path, clip: Clip) -> list[float]:
    reader = open_footage(path, clip)
    times = [frame.seconds for frame in reader.frames()]
    reader.close()
    assert not reader.footage.notes
    return times


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_is_applied_as_players_do(tmp_path: Path, rotation: int) -> None:
    # Where OpenCV's reader, which turns frames too, finds the first red disc.
    red = {0: (20, 30), 90: (30, 108), 180: (108, 66), -90: (66, 20)}[rotation]
    keypoints = found(write_clip(tmp_path / "clip.mp4", FRAMES, rotation=rotation))
    assert keypoints.image_size == (SIZE if rotation % 180 == 0 else SIZE[::-1])
    np.testing.assert_allclose(keypoints.xy[0, 0], red, atol=0.3)


def test_wide_pixels_are_stretched(tmp_path: Path) -> None:
    keypoints = found(write_clip(tmp_path / "clip.mp4", FRAMES, ratio=(2, 1)))
    assert keypoints.image_size == (256, 96)
    np.testing.assert_allclose(keypoints.xy[..., 0], 2 * PLACES[..., 0], atol=2.0)
    assert any("stretched to 256 x 96" in note for note in keypoints.notes)


def test_a_variable_rate_is_resampled_at_its_timestamps(tmp_path: Path) -> None:
    times = np.cumsum([0, *np.random.default_rng(0).uniform(0.02, 0.06, 29)])
    frames = [draw_dots(PLACES[0] + [50 * t, 0], SIZE) for t in times]
    keypoints = found(write_clip(tmp_path / "clip.mkv", frames, times=times))
    assert keypoints.fps is not None
    seconds = np.arange(keypoints.n_frames) / keypoints.fps
    np.testing.assert_allclose(keypoints.xy[:, 0, 0], 20 + 50 * seconds, atol=0.4)
    assert any("variable frame rate" in note for note in keypoints.notes)


def test_start_end_and_every_choose_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES)
    reader = open_footage(path, Clip(start=0.2, end=0.8, every=3))
    frames = list(reader.frames())
    reader.close()
    assert [f.seconds for f in frames] == pytest.approx([0.2, 0.32, 0.44, 0.56, 0.68])
    keypoints = found(path, Clip(start=0.2, end=0.8, every=3))
    assert keypoints.fps == pytest.approx(25 / 3)
    np.testing.assert_allclose(keypoints.xy[:, 0], PLACES[5:20:3, 0], atol=0.5)


def test_a_late_start_is_sought_to_the_same_frames(tmp_path: Path) -> None:
    frames, places = dots(100, size=(320, 96))
    path = write_clip(tmp_path / "clip.mp4", frames)
    keypoints = found(path, Clip(start=3.0))
    assert keypoints.n_frames == 25
    np.testing.assert_allclose(keypoints.xy, places[75:], atol=0.6)


def test_a_large_frame_is_looked_at_small_and_measured_large(tmp_path: Path) -> None:
    places = np.array([[1900.0, 500], [1900, 1000], [1900, 1500]])
    rgb = np.full((2160, 3840, 3), 90, np.uint8)
    for (x, y), channel in zip(places.astype(int), range(3), strict=True):
        rgb[y - 40 : y + 40, x - 40 : x + 40] = 0
        rgb[y - 40 : y + 40, x - 40 : x + 40, channel] = 255
    path = write_clip(tmp_path / "clip.mp4", [rgb] * 2)
    reader = open_footage(path)
    assert next(iter(reader.frames())).rgb.shape == (720, 1280, 3)
    reader.close()
    np.testing.assert_allclose(found(path).xy[0], places, atol=3.0)


def test_pictures_are_frames_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, frame in enumerate(FRAMES[:12]):
        Image.fromarray(frame).save(folder / f"{i}.png")
    keypoints = found(folder)
    np.testing.assert_allclose(keypoints.xy, PLACES[:12], atol=0.05)


def test_a_photo_is_turned_and_brings_its_focal_length(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    exif.get_ifd(0x8769)[0xA405] = 36
    lying = np.rot90(draw_dots(PLACES[0], SIZE), 1)
    Image.fromarray(lying).save(path, exif=exif, quality=95)
    keypoints = found(path)
    assert keypoints.image_size == SIZE
    assert keypoints.fps is None
    np.testing.assert_allclose(keypoints.xy[0], PLACES[0], atol=0.5)
    assert keypoints.camera is not None
    assert keypoints.camera.focal.tolist() == [128, 128]


def test_a_container_that_names_its_lens_gives_a_camera_marked_assumed() -> None:
    camera, notes = camera_of({"com.apple.quicktime.camera.focal_length.35mm_equivalent": "36"},
                              SIZE)  # fmt: skip
    assert camera is not None
    assert camera.assumed
    assert camera.focal.tolist() == [128, 128]
    assert "36 mm" in notes[0]


def test_a_camera_that_is_not_there_says_so() -> None:
    with pytest.raises(OptionError, match="camera:9 cannot be opened"):
        open_footage("camera:9")


def test_a_camera_is_read_like_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "0.mp4", FRAMES)
    monkeypatch.setattr(
        "hypopose.video.decoding.CAMERAS", {"linux": (str(path.with_name("{n}.mp4")), "mp4")}
    )
    keypoints = detect_people("camera:0", DotDetector())["0"]
    np.testing.assert_allclose(keypoints.xy[1:], PLACES[2:], atol=0.6)


@pytest.mark.parametrize(
    "wrong", [{"start": -1.0}, {"start": 2.0, "end": 1.0}, {"every": 0}, {"max_side": 8}]
)
def test_clips_that_leave_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Clip(**wrong)  # type: ignore[arg-type]


def test_a_start_behind_the_end_says_where_the_end_is(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES)
    with pytest.raises(FormatError, match="between 5 s and the end"):
        found(path, Clip(start=5.0))


def found(path: Path, clip: Clip | None = None):  # type: ignore[no-untyped-def]
    from hypopose.video import DetectOptions

    return detect_people(path, DotDetector(), DetectOptions(clip or Clip()))["0"]

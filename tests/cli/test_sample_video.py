"""``hypopose sample`` on footage: detected once, sampled like a keypoint file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from footage import write_clip

import hypopose
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.skeletons import H36M17
from hypopose.video import detectors
from hypopose.video.detectors import Seen

pytest.importorskip("av", reason="PyAV is not installed")
pytestmark = pytest.mark.video

KEYPOINTS = hypopose.prepare(example_pair()[0])
GRAY = [np.full((96, 128, 3), 40 + 8 * i, np.uint8) for i in range(12)]


class Knows:
    """A detector that reads the frame's number from its gray value, and knows the keypoints."""

    name, skeleton, max_people = "knows", H36M17, None
    n_seen = 0

    def detect(self, rgb: np.ndarray) -> Seen:
        Knows.n_seen += 1
        f = round((float(rgb.mean()) - 40) / 8)
        xy = KEYPOINTS.xy[f].double().numpy()[None] * 0.1
        return Seen(xy, np.full(xy.shape[:2], 0.8), np.zeros((1, 4)))

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


@pytest.fixture(autouse=True)
def _detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(detectors.DETECTORS, "rtmpose", ("av", lambda models: Knows()))
    Knows.n_seen = 0


def run(*arguments: str | Path) -> tuple[int, str]:
    common = ("--no-overview", "--sampler", "boneflips", "--n-hypotheses", "3")
    result = CliRunner().invoke(main, ["sample", *map(str, arguments), *common])
    return result.exit_code, result.output


def test_a_video_becomes_a_result_and_is_detected_once(tmp_path: Path) -> None:
    video, out = write_clip(tmp_path / "walk.mp4", GRAY), tmp_path / "new" / "walk.npz"
    code, said = run(video, "-o", out)
    assert code == 0, said
    result = hypopose.load_hypotheses(out)
    assert result.keypoints.fps == 25
    np.testing.assert_allclose(result.keypoints.xy, KEYPOINTS.xy[:12] * 0.1, atol=0.01)
    assert any("detector rtmpose" in note for note in result.notes)
    assert "Note: walk: detector rtmpose, found by --detector auto" in said
    assert Knows.n_seen == 12
    code, said = run(video, "-o", out)
    assert (code, Knows.n_seen) == (0, 12)
    assert "kept" in said
    code, said = run(video, "-o", out, "--seed", "1", "--force")
    assert (code, Knows.n_seen) == (0, 12)
    code, said = run(video, "-o", out, "--every", "2")
    assert code == 2
    assert "footage" in said


def test_a_run_that_is_stopped_says_that_it_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Knows, rgb: np.ndarray) -> Seen:
        if Knows.n_seen == 5:
            raise KeyboardInterrupt
        return seen(self, rgb)

    seen = Knows.detect
    monkeypatch.setattr("hypopose.video.footage_keypoints.STRETCH", 4)
    video, out = write_clip(tmp_path / "walk.mp4", GRAY), tmp_path / "walk.npz"
    with monkeypatch.context() as patch:
        patch.setattr(Knows, "detect", stopped)
        code, said = run(video, "-o", out)
    assert (code, said.strip()) == (1, "Stopped; the same command continues the run.")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["walk.detections", "walk.mp4"]
    assert run(video, "-o", out)[0] == 0
    assert Knows.n_seen == 5 + 8  # four of twelve frames were kept
    assert hypopose.load_hypotheses(out).keypoints.n_frames == 12


def test_the_cameras_angle_needs_no_image_size(tmp_path: Path) -> None:
    video, out = write_clip(tmp_path / "walk.mp4", GRAY), tmp_path / "walk.npz"
    code, said = run(video, "-o", out, "--fov", "90")
    assert code == 0, said
    camera = hypopose.load_hypotheses(out).keypoints.camera
    assert camera is not None
    assert camera.focal.tolist() == pytest.approx([64, 64])
    assert not camera.assumed


def test_a_folder_of_videos_is_a_batch(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "a.mp4", GRAY)
    write_clip(folder / "b.mkv", GRAY[:6])
    (folder / "c.mp4").write_bytes(b"")
    code, said = run(folder, "-o", tmp_path / "out")
    assert code == 1
    assert "c.mp4: is an empty file" in said
    assert hypopose.load_hypotheses(tmp_path / "out" / "b.npz").keypoints.n_frames == 6


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--image-size", "10", "10"), "shows 128 x 96 pixels"),
        (("--skeleton", "coco17"), "for keypoint files"),
        (("--input-format", "openpose"), "is a video, not a keypoint file"),
        (("--person", "7"), "No person '7'"),
        (("--start", "9"), "choose another --start"),
    ],
)
def test_options_that_do_not_fit_footage_are_refused(
    tmp_path: Path, extra: tuple[str, ...], words: str
) -> None:
    video = write_clip(tmp_path / "walk.mp4", GRAY)
    code, said = run(video, "-o", tmp_path / "walk.npz", *extra)
    assert code == 2
    assert words in said
    assert not (tmp_path / "walk.npz").exists()

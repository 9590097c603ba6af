"""Figures are drawn where joints project to, opaque where hypotheses agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from footage import write_clip

import hypopose
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.skeletons import H36M17
from hypopose.video import open_footage
from hypopose.video.stick_figures import LEFT, draw_bodies

RESULT = hypopose.estimate(example_pair(6)[0], sampler="boneflips", n_hypotheses=4)
SIZE = RESULT.keypoints.camera.image_size  # type: ignore[union-attr]


def bodies(n: int, spread: float) -> np.ndarray:
    body = np.random.default_rng(1).uniform(30, 170, (17, 2))
    return body + spread * np.random.default_rng(2).standard_normal((n, 17, 2))


def test_agreeing_figures_are_solid_and_differing_ones_transparent() -> None:
    paper = np.full((200, 200, 3), 245, np.uint8)
    solid = draw_bodies(paper, bodies(20, 0.0), H36M17)
    haze = draw_bodies(paper, bodies(20, 12.0), H36M17)
    color = np.array(LEFT) - 245.0
    near = [float((np.abs(x - np.array(LEFT)).max(-1) < 30).sum()) for x in (solid, haze)]
    assert near[0] > 100
    assert near[1] < 0.2 * near[0]
    assert (haze != 245).any(-1).sum() > 2 * (solid != 245).any(-1).sum()
    assert color[2] < 0
    assert (paper == 245).all()


def test_bones_without_an_end_and_figures_outside_are_left_out() -> None:
    paper = np.full((50, 50, 3), 245, np.uint8)
    nothing = np.full((3, 17, 2), np.nan)
    assert (draw_bodies(paper, nothing, H36M17) == paper).all()
    assert (draw_bodies(paper, bodies(3, 0.0) + 500, H36M17) == paper).all()


@pytest.fixture
def result_file(tmp_path: Path) -> Path:
    hypopose.save_result(tmp_path / "walk.npz", RESULT)
    return tmp_path / "walk.npz"


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["render", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.video
@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_a_video_of_all_frames_is_written(tmp_path: Path, result_file: Path, ending: str) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    out = tmp_path / f"overlay.{ending}"
    code, said = run(result_file, "-o", out, "--max-side", "320")
    assert code == 0, said
    reader = open_footage(out)
    frames = [f.rgb for f in reader.frames()]
    reader.close()
    assert len(frames) == 6
    height = frames[0].shape[0]
    assert frames[0].shape[1] >= round(320 * 0.99) + round(0.6 * height) - 2
    assert (np.abs(frames[0].astype(int) - 245).max(-1) > 40).sum() > 50
    assert run(result_file, "-o", out)[0] == 2


@pytest.mark.video
def test_frames_lie_under_the_figures(tmp_path: Path, result_file: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    sky = [np.full((SIZE[1], SIZE[0], 3), (30, 60, 160), np.uint8)] * 10
    video = write_clip(tmp_path / "sky.mp4", sky, fps=RESULT.keypoints.fps or 25)
    out = tmp_path / "overlay.mp4"
    code, said = run(result_file, "--video", video, "-o", out, "--no-side", "--max-side", "320")
    assert code == 0, said
    reader = open_footage(out)
    frames = [f.rgb for f in reader.frames()]
    reader.close()
    assert len(frames) == 6
    assert np.abs(np.median(frames[0], (0, 1)) - (30, 60, 160)).max() < 12
    small = write_clip(tmp_path / "small.mp4", [sky[0][:64, :64]] * 3)
    code, said = run(result_file, "--video", small, "-o", tmp_path / "b.mp4")
    assert code == 2
    assert "shows 64 x 64 pixels" in said


def test_other_endings_are_refused(result_file: Path, tmp_path: Path) -> None:
    code, said = run(result_file, "-o", tmp_path / "overlay.txt")
    assert code == 2
    assert ".mp4" in said


@pytest.mark.video
def test_a_page_shows_the_frames_under_the_keypoints(tmp_path: Path, result_file: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    from hypopose.report.gather import scene_of
    from hypopose.report.panel import panel_data

    sky = [np.full((SIZE[1], SIZE[0], 3), (30, 60, 160), np.uint8)] * 8
    video = write_clip(tmp_path / "sky.mp4", sky, fps=RESULT.keypoints.fps or 25)
    data = panel_data(scene_of("sky", hypopose.load_hypotheses(result_file), video=video))
    assert [p[:23] for p in data["pictures"]] == ["data:image/jpeg;base64,"] * 6
    small = write_clip(tmp_path / "small.mp4", [sky[0][:64, :64]] * 3)
    with pytest.raises(hypopose.HypoPoseError, match="64, 64"):
        scene_of("small", RESULT, video=small)


def test_sampling_can_write_the_player(tmp_path: Path) -> None:
    out = tmp_path / "again.npz"
    keypoints = tmp_path / "keypoints.npz"
    from hypopose.io import save_keypoints

    save_keypoints(keypoints, RESULT.keypoints)
    arguments = ["sample", str(keypoints), "-o", str(out), "--view-html", "--no-overview",
                 "--sampler", "boneflips", "--n-hypotheses", "3"]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "<canvas" in (tmp_path / "again.html").read_text()

"""Cameras, scale, floor and smoothing from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from hypopose import load_hypotheses
from hypopose.metrics import bone_length_variation
from hypopose.optimization import stature

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 4, "--no-overview")
SIZE = ("--image-size", 640, 640)
TOML = """[left]
name = "left"
size = [1280, 1280]
matrix = [[1400.0, 0.0, 640.0], [0.0, 1400.0, 640.0], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0]
[right]
name = "right"
size = [1280, 1280]
matrix = [[1500.0, 0.0, 640.0], [0.0, 1500.0, 640.0], [0.0, 0.0, 1.0]]
"""


def test_a_camera_of_a_calibration_file_by_name(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text(TOML)
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, *SIZE,
                    "--camera", f"{tmp_path / 'c.toml'}:right")  # fmt: skip
    assert done.exit_code == 0, done.output
    camera = load_hypotheses(out).keypoints.camera
    assert camera is not None
    assert camera.focal.tolist() == [750.0, 750.0]  # resized to the keypoints' image
    assert not camera.assumed
    unnamed = hypopose("sample", one_person, "-o", out, *FAST, "--camera", tmp_path / "c.toml")
    assert unnamed.exit_code == 2
    assert "left, right" in unnamed.output


def test_a_field_of_view(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, *SIZE, "--fov", 90)
    assert done.exit_code == 0, done.output
    camera = load_hypotheses(out).keypoints.camera
    assert camera is not None
    assert camera.focal[0].item() == pytest.approx(320.0)
    assert not camera.assumed


def test_an_estimated_focal_length_differs_between_hypotheses(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, *SIZE, "--estimate-focal")
    assert done.exit_code == 0, done.output
    result = load_hypotheses(out)
    assert result.hypotheses.focal is not None
    assert len(set(result.hypotheses.focal.tolist())) == 4
    assert any(note.startswith("focal length estimated") for note in result.notes)
    assert not any(note.startswith("camera assumed") for note in result.notes)
    assert result.keypoints.camera is not None
    assert result.keypoints.camera.assumed


def test_stature_smoothing_and_floor(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, *SIZE, "--height", 1.6,
                    "--smooth", 5, "--ground")  # fmt: skip
    assert done.exit_code == 0, done.output
    result = load_hypotheses(out)
    found = stature(result.hypotheses.joints, result.hypotheses.skeleton)
    torch.testing.assert_close(found, torch.full((4,), 1.6), atol=1e-5, rtol=0)
    assert bone_length_variation(result.hypotheses.joints, result.hypotheses.skeleton) < 1e-4
    assert result.keypoints.camera is not None
    assert result.keypoints.camera.rotation is not None
    assert sum(w in n for n in result.notes for w in ("smoothed", "stature", "world frame")) == 3


def test_a_moving_camera_has_a_pose_a_frame(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    rows = "\n".join(f"{i},1,0,0,0,{0.01 * i},0,0" for i in (0, 11))
    (tmp_path / "motion.csv").write_text(f"frame,qw,qx,qy,qz,tx,ty,tz\n{rows}\n")
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, *SIZE,
                    "--camera-motion", tmp_path / "motion.csv")  # fmt: skip
    assert done.exit_code == 0, done.output
    camera = load_hypotheses(out).keypoints.camera
    assert camera is not None
    assert camera.translation is not None
    assert camera.translation.shape == (12, 3)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--fov", 60, "--estimate-focal"), "--fov and --estimate-focal contradict"),
        (("--fov", 60, "--focal", 500), "--focal and --fov contradict"),
        (("--height", -1), "--height must be positive"),
        (("--height", 17.8), "between 0.5 and 2.6 m"),
        (("--camera-motion", "m.csv", "--ground"), "brings its own world"),
        (("--camera", "gone.toml:a"), "does not exist"),
    ],
)
def test_contradictions_are_one_line(
    hypopose: Run, one_person: Path, tmp_path: Path, words: tuple[object, ...], problem: str
) -> None:
    done = hypopose("sample", one_person, "-o", tmp_path / "o.npz", *FAST, *SIZE, *words)
    assert done.exit_code == 2
    assert problem in done.output
    assert not (tmp_path / "o.npz").exists()


def test_an_angle_needs_the_image_size(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    done = hypopose("sample", one_person, "-o", tmp_path / "o.npz", *FAST, "--fov", 60)
    assert done.exit_code == 2
    assert "--fov needs the image size" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--focal", "inf"), "--focal is a length in pixels, got inf"),
        (("--focal", "nan"), "nan"),
        (("--camera-motion", "nowhere.txt"), "nowhere.txt: there is no such file"),
    ],
)
def test_what_is_no_camera(
    hypopose: Run, one_person: Path, tmp_path: Path, words: tuple[str, str], says: str
) -> None:
    done = hypopose("sample", one_person, "-o", tmp_path / "a.npz", *FAST, *SIZE, *words)
    assert (done.exit_code, says in done.stderr) == (2, True)

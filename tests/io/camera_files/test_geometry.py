"""Keys that change the picture are read or refused, and matrices must suit their picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hypopose.cameras import project, undistort
from hypopose.errors import FormatError
from hypopose.io import CameraFileWarning
from hypopose.io.camera_files.calibration_tables import camera_from_table
from hypopose.io.camera_files.lens import five_coefficients, opencv_distort

K = [[1100.0, 0.0, 640.0], [0.0, 1100.0, 360.0], [0.0, 0.0, 1.0]]
TABLE: dict[str, Any] = {"matrix": K, "size": [1280, 720], "distortions": [0.0] * 5}


def matrix(fx: float, fy: float, cx: float, cy: float) -> list[list[float]]:
    return [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]


REFUSED = {
    "outside": (
        {"matrix": matrix(1100, 1100, 1500, 360)},
        r"\(1500, 360\) lies outside .*1280 x 720",
    ),
    "negative": ({"matrix": matrix(1100, 1100, -3, 360)}, "lies outside"),
    "portrait matrix": ({"matrix": matrix(1100, 1100, 360, 640)}, r"give that size|720 x 1280"),
    "matrix of 4K": ({"matrix": matrix(3000, 3000, 1920, 1080)}, "lies outside"),
    "matrix of half": ({"matrix": matrix(550, 550, 320, 180)}, "middle of a picture of 640 x 360"),
    "focal in mm": ({"matrix": matrix(24, 24, 640, 360)}, "degrees of view"),
    "focal of a telescope": ({"matrix": matrix(9e4, 9e4, 640, 360)}, "degrees of view"),
    "unequal focals": ({"matrix": matrix(1100, 300, 640, 360)}, "degrees of view"),
    "skew": ({"matrix": [[1100, 30, 640], [0, 1100, 360], [0, 0, 1]]}, "skew"),
    "crop": ({"crop": [100, 100, 640, 480]}, "crop: the picture was cropped"),
    "roi": ({"roi": {"x_offset": 64, "y_offset": 0}}, "roi: the picture was cropped"),
    "binning": ({"binning_x": 2}, "binning_x"),
    "scale": ({"scale": 0.5}, "scale: the picture was cropped, scaled"),
    "mirror": ({"mirror": "horizontal"}, "mirror"),
    "omnidirectional": ({"xi": 0.8}, "xi"),
    "omni model": ({"camera_model": "omnidirectional"}, "the model 'omnidirectional'"),
    "model": ({"model": "KannalaBrandt8 fisheye62"}, "which HypoPose does not know"),
    "rotation count": ({"rotation_count": 0.5}, "rotation_count: '0.5'"),
    "six coefficients": ({"distortions": [0.1] * 6}, "expected 4 or 5 or 8 or 12 or 14"),
    "five of a fisheye": ({"fisheye": True}, "of a fisheye lens: expected 4 numbers"),
    "folding fisheye": (
        {"fisheye": True, "distortions": [-2.5, 0, 0, 0], "matrix": matrix(350, 350, 640, 360)},
        "fold over within the picture",
    ),
    "strong tilt": ({"distortions": [0.0] * 12 + [0.2, 0.1]}, "five coefficients miss by"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_impossible_pictures_are_refused(kind: str) -> None:
    changed, problem = REFUSED[kind]
    with pytest.raises(FormatError, match=problem) as caught:
        camera_from_table({**TABLE, **changed}, "rig.toml: cam_1")
    assert str(caught.value).startswith("rig.toml: cam_1: ")


NOTHING = {
    "roi of zeros": {"roi": {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0}},
    "binning of one": {"binning_x": 1, "binning_y": 0},
    "no rotation": {"rotation_count": 0},
    "four quarter turns": {"rotation_count": 4},
    "a pinhole by name": {"distortion_model": "plumb_bob", "camera_model": "pinhole"},
    "a camera's product": {"model": "Miqus Video"},
    "a report": {"error": 0.3, "exposure": -4, "grid_count": 20, "ignore": False},
}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_changes_nothing_is_passed_over(kind: str) -> None:
    camera = camera_from_table({**TABLE, **NOTHING[kind]}, "f")
    assert camera.focal.tolist() == [1100.0, 1100.0]
    assert camera.image_size == (1280, 720)


def test_unknown_keys_are_named() -> None:
    with pytest.warns(CameraFileWarning, match=r"f: not read: lens_shift, tilt"):
        camera_from_table({**TABLE, "lens_shift": 3, "tilt": 0.1}, "f")


def test_a_center_far_off_is_doubted() -> None:
    with pytest.warns(CameraFileWarning, match=r"far from the middle.*was it cropped"):
        camera_from_table({**TABLE, "matrix": matrix(1100, 1100, 400, 500)}, "f")


@pytest.mark.parametrize(("turns", "size"), [(1, (720, 1280)), (2, (1280, 720)), (-1, (720, 1280))])
def test_turned_pictures_give_turned_cameras(turns: int, size: tuple[int, int]) -> None:
    with pytest.warns(CameraFileWarning, match="as its pictures were"):
        camera = camera_from_table({**TABLE, "rotation_count": turns}, "f")
    assert camera.image_size == size


def test_keypoints_of_unturned_pictures_leave_the_camera() -> None:
    with pytest.warns(CameraFileWarning, match="is left out"):
        camera = camera_from_table({**TABLE, "rotation_count": 1}, "f", (1280, 720))
    assert camera.image_size == (1280, 720)


LENSES = {
    "rational": [-0.2, 0.05, 0.001, -0.001, 0.01, 0.02, 0.01, 0.0],
    "thin prism": [-0.1, 0.02, 0.001, -0.001, 0.0, 0, 0, 0, 1e-4, 0, -1e-4, 0],
    "tilted": [-0.1, 0.02, 0.001, -0.001, 0.0, 0, 0, 0, 0, 0, 0, 0, 1e-3, -1e-3],
}


@pytest.mark.parametrize("kind", LENSES)
def test_mild_lenses_of_more_coefficients_are_fitted(kind: str) -> None:
    lens = np.array(LENSES[kind])
    camera = camera_from_table({**TABLE, "distortions": lens.tolist()}, "f")
    points = np.random.default_rng(0).uniform([-0.5, -0.3], [0.5, 0.3], (50, 2))
    pixels = opencv_distort(points, lens) * 1100 + [640, 360]
    rays = torch.from_numpy(np.concatenate([points, np.ones((50, 1))], -1)).float()
    np.testing.assert_allclose(project(rays, camera).numpy(), pixels, atol=0.26)


@pytest.mark.parametrize("name", [{"fisheye": True}, {"distortion_model": "equidistant"},
                                  {"camera_model": "opencv_fisheye"}])  # fmt: skip
def test_a_fisheye_is_kept_as_it_is(name: dict[str, object]) -> None:
    """Pose2Sim, ROS and anipose name it so; 130 degrees of view."""
    lens = [0.05, -0.01, 0.004, -0.001]
    table = {**TABLE, "matrix": matrix(330, 332, 640, 360), "distortions": lens, **name}
    camera = camera_from_table(table, "f")
    assert camera.distortion_model == "fisheye"
    points = np.random.default_rng(0).uniform([-1.8, -0.9], [1.8, 0.9], (50, 2))
    r = np.linalg.norm(points, axis=-1)
    angle = np.arctan(r)
    bent = angle * (1 + (angle[:, None] ** [2, 4, 6, 8]) @ lens)
    pixels = points * (bent / r)[:, None] * [330, 332] + [640, 360]
    rays = torch.from_numpy(np.concatenate([points, np.ones((50, 1))], -1)).float()
    np.testing.assert_allclose(project(rays, camera).numpy(), pixels, atol=2e-3)
    back = undistort(torch.from_numpy(pixels).float(), camera)
    np.testing.assert_allclose(back.numpy(), points, atol=1e-4)


def test_a_lens_that_bends_nothing_is_none() -> None:
    assert five_coefficients(np.zeros(8), np.array(K), (1280, 720), "f") is None
    four = five_coefficients(np.array([0.1, 0, 0, 0]), np.array(K), (1280, 720), "f")
    assert four is not None
    assert four.tolist() == [0.1, 0, 0, 0, 0]

"""Calibration files as tools write them, and files that only look like it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from hypopose.cameras import cam_to_world, project, undistort, world_to_cam
from hypopose.errors import FormatError, HypoPoseError, OptionError
from hypopose.io import (
    load_camera,
    load_camera_motion,
    load_cameras,
    resized,
    save_camera,
    split_camera_name,
)
from hypopose.io.camera_files.yaml_text import parse_yaml
from hypopose.types import Camera

OPENCV = """%YAML:1.0
---
calibration_time: "Tue 03 Mar 2020 15:15:15: CET"
image_width: 1280
image_height: 720
flags: 0 # nothing fixed
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 9.1e+02, 0., 6.40e+02, 0., 9.2e+02,
       3.60e+02, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -2.0e-01, 5.0e-02, 1.0e-03, -2.0e-03,
       -1.0e-02 ]
avg_reprojection_error: .3
"""
ROS = """image_width: 1280
image_height: 720
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [910, 0, 640, 0, 920, 360, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.2, 0.05, 0.001, -0.002, -0.01]
"""
POSE2SIM = """[cam_01]
name = "cam_01"
size = [ 1280.0, 720.0]
matrix = [ [ 910.0, 0.0, 640.0], [ 0.0, 920.0, 360.0], [ 0.0, 0.0, 1.0]]
distortions = [ -0.2, 0.05, 0.001, -0.002, -0.01]
rotation = [ 1.2, -0.3, 0.4]
translation = [ 0.1, 1.2, 4.3]
fisheye = false

[cam_02]
name = "cam_02"
size = [ 640.0, 480.0]
matrix = [ [ 500.0, 0.0, 320.0], [ 0.0, 500.0, 240.0], [ 0.0, 0.0, 1.0]]
distortions = [ 0.0, 0.0, 0.0, 0.0]
rotation = [ 0.0, 0.0, 0.0]
translation = [ 0.0, 0.0, 0.0]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"""
ANIPOSE = """[cam_0]
name = "A"
size = [ 1280, 720,]
matrix = [ [ 910.0, 0.0, 640.0,], [ 0.0, 920.0, 360.0,], [ 0.0, 0.0, 1.0,],]
distortions = [ -0.2, 0.05, 0.001, -0.002, -0.01,]
rotation = [ 1.2, -0.3, 0.4,]
translation = [ 0.1, 1.2, 4.3,]

[metadata]
"""
COLMAP = """# Camera list with one line of data per camera:
#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]
1 OPENCV 1280 720 910 920 640 360 -0.2 0.05 0.001 -0.002
2 SIMPLE_RADIAL 640 480 500 320 240 0.1
"""
SCRIPT = {
    "mtx": [[910, 0, 640], [0, 920, 360], [0, 0, 1]],
    "dist": [[-0.2, 0.05, 0.001, -0.002, -0.01]],
    "image_size": [1280, 720],
}
OPENCV_JSON = {
    "image_width": 1280,
    "image_height": 720,
    "camera_matrix": {
        "type_id": "opencv-matrix",
        "rows": 3,
        "cols": 3,
        "dt": "d",
        "data": [910.0, 0.0, 640.0, 0.0, 920.0, 360.0, 0.0, 0.0, 1.0],
    },
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [-0.2, 0.05, 0.001, -0.002, -0.01]},
}
FILES = {
    "opencv.yml": (OPENCV, "opencv"),
    "ros.yaml": (ROS, "narrow_stereo"),
    "pose2sim.toml": (POSE2SIM, "cam_01"),
    "anipose.toml": (ANIPOSE, "A"),
    "cameras.txt": (COLMAP, "1"),
    "script.json": (json.dumps(SCRIPT), "script"),
    "opencv.json": (json.dumps(OPENCV_JSON), "opencv"),
    "several.json": (json.dumps({"left": SCRIPT, "right": SCRIPT}), "left"),
}


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", FILES)
def test_tools_that_calibrated_one_camera_agree(tmp_path: Path, name: str) -> None:
    text, which = FILES[name]
    camera = load_cameras(written(tmp_path, name, text))[which]
    assert camera.focal.tolist() == [910.0, 920.0]
    assert camera.center.tolist() == [640.0, 360.0]
    assert camera.image_size == (1280, 720)
    assert camera.distortion_model == "opencv"
    lens = camera.distortion
    assert lens is not None
    torch.testing.assert_close(lens[:4], torch.tensor([-0.2, 0.05, 0.001, -0.002]))
    assert not camera.assumed
    px = torch.tensor([900.0, 500.0])
    ray = torch.cat((undistort(px, camera), torch.ones(1)))
    torch.testing.assert_close(project(3 * ray, camera), px, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["pose2sim.toml", "anipose.toml"])
def test_toml_rotation_vectors_lead_from_the_world_to_the_camera(tmp_path: Path, name: str) -> None:
    text, which = FILES[name]
    camera = load_camera(written(tmp_path, name, text), which)
    point = np.array([0.3, -0.2, 1.0])
    expected = np.array([0.1, 1.2, 4.3]) + Rotation.from_rotvec([1.2, -0.3, 0.4]).apply(point)
    ours = world_to_cam(torch.from_numpy(point).float(), camera)
    torch.testing.assert_close(ours, torch.from_numpy(expected).float(), atol=1e-5, rtol=0)


def test_a_lens_without_effect_is_no_lens(tmp_path: Path) -> None:
    camera = load_camera(written(tmp_path, "c.toml", POSE2SIM), "cam_02")
    assert camera.distortion is None
    assert camera.distortion_model == "none"


def test_several_cameras_need_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, "c.toml", POSE2SIM)
    with pytest.raises(OptionError, match=r"2 cameras: cam_01, cam_02.*c.toml:cam_01"):
        load_camera(path)
    with pytest.raises(OptionError, match=r"no camera 'cam_03'; it has cam_01, cam_02"):
        load_camera(path, "cam_03")
    assert load_camera(path, "cam_02").image_size == (640, 480)


def test_a_name_stands_behind_a_colon(tmp_path: Path) -> None:
    colon = written(tmp_path, "a:b.toml", ANIPOSE)
    assert split_camera_name(str(colon)) == (colon, None)
    assert split_camera_name(f"{colon}:A") == (colon, "A")
    assert split_camera_name("gone.toml") == (Path("gone.toml"), None)


def test_the_size_the_keypoints_have_counts(tmp_path: Path) -> None:
    path = written(tmp_path, "opencv.yml", OPENCV)
    half = load_camera(path, image_size=(640, 360))
    assert half.focal.tolist() == [455.0, 460.0]
    assert half.center.tolist() == [320.0, 180.0]
    with pytest.raises(OptionError, match=r"1280 x 720.*640 x 640.*aspect"):
        load_camera(path, image_size=(640, 640))
    sizeless = json.dumps({"K": SCRIPT["mtx"]})
    path = written(tmp_path, "sizeless.json", sizeless)
    with pytest.raises(FormatError, match=r"image_size=\(W, H\)"):
        load_camera(path)
    assert load_camera(path, image_size=(1280, 720)).image_size == (1280, 720)


def test_resizing_moves_pixels_and_keeps_rays() -> None:
    camera = Camera(torch.tensor([900.0, 910.0]), torch.tensor([640.0, 350.0]), (1280, 720))
    point = torch.tensor([0.4, -0.3, 3.0])
    small = project(point, resized(camera, (320, 180)))
    torch.testing.assert_close(small, project(point, camera) / 4)


def test_a_photo_says_its_focal_length(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 27
    Image.new("RGB", (400, 300)).save(tmp_path / "upright.jpg", exif=exif)
    camera = load_camera(tmp_path / "upright.jpg")
    assert camera.focal.tolist() == [300.0, 300.0]
    assert camera.image_size == (400, 300)
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (400, 300)).save(tmp_path / "portrait.jpg", exif=exif)
    assert load_camera(tmp_path / "portrait.jpg").image_size == (300, 400)
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.jpg")
    with pytest.raises(FormatError, match=r"no 35 mm equivalent.*--fov"):
        load_camera(tmp_path / "plain.jpg")
    written(tmp_path, "fake.jpg", OPENCV)
    with pytest.raises(FormatError, match="not a photo"):
        load_camera(tmp_path / "fake.jpg")


BAD = {
    "a.yml": ("camera_matrix: [1, 2, 3", "line 2: did not find expected"),
    "b.yml": ("%YAML:1.0\n---\nK: *x\n", "aliases are more YAML"),
    "c.yml": ("K: !!python/object/apply:os.system [rm]\nsize: [1, 1]\n", "expected 9 numbers"),
    "d.yml": ("K: [1, 0, 0, 0, 1, 0, 0, 0]\n", "expected 9 numbers"),
    "e.yml": ("a: 1\na: 2\n", "line 1: 'a' is there twice"),
    "f.yml": ("a: 1\n   b: 2\n", "line 2: mapping values are not allowed"),
    "g.yml": ("just words\n", "holds no camera; give"),
    "h.yml": ("", "empty"),
    "i.yml": (OPENCV.replace("9.1e+02", "-9.1e+02"), "focal lengths are positive"),
    "j.yml": (ROS.replace("plumb_bob", "equidistant"), "fisheye"),
    "k.toml": (POSE2SIM.replace("fisheye = false", "fisheye = true"), "cam_01: .* of a fisheye"),
    "l.toml": ("[x\n", "not valid TOML"),
    "m.toml": ("[metadata]\na = 1\n", "holds no camera"),
    "n.toml": (ANIPOSE.replace("1280", "1280.5"), "width and height in pixels"),
    "o.txt": ("1 FOV 1280 720 1 1 1 1 0 0 0 0\n", "use one of SIMPLE_PINHOLE"),
    "p.txt": ("1 PINHOLE 1280 720 900 900 640\n", "expected size and 4 parameters"),
    "q.txt": ("1 PINHOLE 1280 720 nan 900 640 360\n", "finite numbers"),
    "r.txt": (COLMAP.replace("OPENCV 1280 720 910 920 640 360 -0.2 0.05 0.001 -0.002",
              "FULL_OPENCV 1280 720 910 920 640 360 0 0 0 0 0 3 0 0"), "five coefficients miss"),
    "s.json": ("{}", "holds no camera"),
    "t.json": (json.dumps({**SCRIPT, "dist": [0] * 5 + [3, 0, 0]}), "five coefficients miss"),
    "u.json": (json.dumps({**SCRIPT, "mtx": [[910, 5, 640], [0, 920, 360], [0, 0, 1]]}), "skew"),
    "v.json": (json.dumps({**SCRIPT, "R": [[2, 0, 0], [0, 1, 0], [0, 0, 1]]}), "not a rotation"),
    "w.json": (json.dumps({**SCRIPT, "mtx": [[True, 0, 1], [0, 1, 1], [0, 0, 1]]}), "9 numbers"),
    "x.bin": ("\x00\x01 nothing", "holds no camera"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_with_the_cure(tmp_path: Path, name: str) -> None:
    text, problem = BAD[name]
    with pytest.raises(FormatError, match=problem) as caught:
        load_cameras(written(tmp_path, name, text))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab:[]-,.019 \n'\"#!&{%\t", max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(FormatError):
        parse_yaml(text, "f")


@pytest.mark.filterwarnings("ignore::hypopose.io.camera_files.CameraFileWarning")
@given(st.sampled_from(list(FILES)), st.integers(0, 400), st.text("0-.[]{}\"',: \nx", max_size=3))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_files_are_refused_by_our_errors(
    tmp_path: Path, name: str, at: int, junk: str
) -> None:
    text = FILES[name][0]
    at %= len(text)
    with contextlib.suppress(HypoPoseError):
        load_cameras(written(tmp_path, name, text[:at] + junk + text[at + 2 :]))


def test_deep_and_long_yaml_is_refused() -> None:
    deep = "\n".join(f"{' ' * i}a:" for i in range(40)) + " 1"
    with pytest.raises(FormatError, match="nested deeper"):
        parse_yaml(deep, "f")
    with pytest.raises(FormatError, match="nested deeper"):
        parse_yaml("a: " + "[" * 30 + "]" * 30, "f")
    with pytest.raises(FormatError, match="not a camera file"):
        parse_yaml("a" * (1 << 21), "f")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x",
        "a: 1\na: 2",
        "a: " + "1" * 100_000,
        "a: 1" + ":59" * 100_000,
        "a: [" + "1," * 400_000,
        "a: " + "[" * 900_000,
        "a: {b: [1, 2}",
    ],
    ids=["alias", "twice", "digits", "sexagesimal", "many", "deep", "brackets"],
)
def test_yaml_that_no_camera_needs_is_refused_at_once(text: str) -> None:
    with pytest.raises(FormatError, match=r"^f: not readable YAML \(.*write the calibration again"):
        parse_yaml(text, "f")


def test_yaml_tags_build_nothing() -> None:
    text = "a: !!python/object/apply:os.system ['x']\nb: !!opencv-matrix {data: [1e-05]}"
    assert parse_yaml(text, "f") == {"a": ["x"], "b": {"data": [1e-05]}}


def pose_rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    turn = Rotation.from_rotvec([[0.1 * i, 0.2, -0.05 * i] for i in range(4)])
    t = np.array([[0.1 * i, 0.2 * i, 1.0] for i in range(4)])
    return turn.as_quat()[:, [3, 0, 1, 2]], t, turn.as_matrix()


def path_files(folder: Path) -> list[Path]:
    q, t, R = pose_rows()
    rows = [f"{i},{','.join(map(str, (*q[i], *t[i])))}" for i in range(4)]
    csv = written(folder, "poses.csv", "\n".join(["frame,qw,qx,qy,qz,tx,ty,tz", *rows]))
    lines = [
        line
        for i in (2, 0, 3, 1)
        for line in (f"{i} {' '.join(map(str, (*q[i], *t[i])))} 1 shot/im{i + 7:04d}.png", "1 2 -1")
    ]
    images = written(folder, "images.txt", "\n".join(["# header", *lines]))
    place = [-R[i].T @ t[i] for i in range(4)]
    back = q * [1, -1, -1, -1]
    tum = [f"{i / 30} {' '.join(map(str, (*place[i], *back[i, [1, 2, 3, 0]])))}" for i in range(4)]
    return [csv, images, written(folder, "traj.txt", "\n".join(tum))]


def test_three_ways_to_write_one_path(tmp_path: Path) -> None:
    camera = Camera.from_fov((640, 480))
    for path in path_files(tmp_path):
        moving = load_camera_motion(path, camera, 4)
        assert moving.rotation is not None
        assert moving.translation is not None
        _, t, R = pose_rows()
        torch.testing.assert_close(moving.rotation, torch.from_numpy(R).float())
        torch.testing.assert_close(
            moving.translation, torch.from_numpy(t).float(), atol=1e-6, rtol=1e-5
        )


def test_a_moving_camera_sees_a_still_world(tmp_path: Path) -> None:
    moving = load_camera_motion(path_files(tmp_path)[0], Camera.from_fov((640, 480)), 4)
    still = torch.randn(17, 3, generator=torch.Generator().manual_seed(0)).expand(4, 17, 3)
    torch.testing.assert_close(cam_to_world(world_to_cam(still, moving), moving), still,
                               atol=1e-5, rtol=1e-5)  # fmt: skip
    save_camera(tmp_path / "moving.json", moving)
    again = load_camera(tmp_path / "moving.json")
    assert again.rotation is not None
    assert moving.rotation is not None
    torch.testing.assert_close(again.rotation, moving.rotation)


def test_paths_bridge_gaps_but_invent_no_ends(tmp_path: Path) -> None:
    q, t, _ = pose_rows()
    rows = [f"{i},{','.join(map(str, (*q[i], *t[i])))}" for i in (0, 2)]
    path = written(tmp_path, "p.csv", "\n".join(["frame,qw,qx,qy,qz,tx,ty,tz", *rows]))
    camera = load_camera_motion(path, Camera.from_fov((640, 480)), 3)
    assert camera.translation is not None
    assert camera.translation[1].tolist() == pytest.approx((t[0] + t[2]) / 2)
    with pytest.raises(OptionError, match=r"frames 0 to 2, the keypoints have 0 to 3"):
        load_camera_motion(path, Camera.from_fov((640, 480)), 4)
    for text in ("frame,qw\n0,1\n", "a b\n", "frame,qw,qx,qy,qz,tx,ty,tz\n0,0,0,0,0,0,0,0\n", "#"):
        with pytest.raises(FormatError):
            load_camera_motion(written(tmp_path, "bad.csv", text), camera, 3)

"""One rig, written the way each tool writes it, is the same rig when read."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hypopose.cameras import project, world_to_cam
from hypopose.errors import FormatError, OptionError
from hypopose.io import CameraFileWarning, load_camera, load_cameras

SIZE = (1280, 720)
F, CX, CY = 1100.0, 650.0, 350.0
LENS = [-0.2, 0.05, 0.001, -0.002, -0.01]
PLACES = {"a": (3.0, 1.0, 1.5), "b": (-2.0, 3.0, 1.2), "c": (0.5, -4.0, 2.0)}
AIM = np.array([0.1, 0.2, 1.0])


def pose(name: str) -> tuple[np.ndarray, np.ndarray]:
    """World to camera in meters; z up, all cameras look at AIM."""
    center = np.array(PLACES[name])
    z = (AIM - center) / np.linalg.norm(AIM - center)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    return R, -R @ center


def matrix() -> list[list[float]]:
    return [[F, 0.0, CX], [0.0, F, CY], [0.0, 0.0, 1.0]]


def expected_pixels(name: str, points: np.ndarray, lens: list[float]) -> np.ndarray:
    """By the textbook, independent of the package's cameras."""
    R, t = pose(name)
    x, y, z = (points @ R.T + t).T
    x, y = x / z, y / z
    k1, k2, p1, p2, k3 = lens
    r2 = x * x + y * y
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * gain + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * gain + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
    return np.stack([F * u + CX, F * v + CY], -1)


def toml(folder: Path, scale: float = 1.0) -> Path:
    lines = []
    for i, name in enumerate(PLACES):
        R, t = pose(name)
        vector = Rotation.from_matrix(R).as_rotvec()
        lines += [f"[cam_{i}]", f'name = "{name}"', f"size = {list(SIZE)}",
                  f"matrix = {matrix()}", f"distortions = {LENS}", f"rotation = {vector.tolist()}",
                  f"translation = {(scale * t).tolist()}"]  # fmt: skip
    path = folder / "rig.toml"
    path.write_text("\n".join([*lines, "[metadata]", "adjusted = false"]))
    return path


def easymocap(folder: Path) -> Path:
    def mat(key: str, values: Any, rows: int, cols: int) -> str:
        flat = ", ".join(f"{v:.12e}" for v in np.ravel(values))
        return (f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n"
                f"   data: [{flat}]\n")  # fmt: skip

    names = "names:\n" + "".join(f'   - "{n}"\n' for n in PLACES)
    intri, extri = "%YAML:1.0\n---\n" + names, "%YAML:1.0\n---\n" + names
    for name in PLACES:
        R, t = pose(name)
        intri += mat(f"K_{name}", matrix(), 3, 3) + mat(f"dist_{name}", LENS, 1, 5)
        intri += f"H_{name}: {SIZE[1]}\nW_{name}: {SIZE[0]}\n"
        extri += mat(f"R_{name}", Rotation.from_matrix(R).as_rotvec(), 3, 1)
        extri += mat(f"Rot_{name}", R, 3, 3) + mat(f"T_{name}", t, 3, 1)
    (folder / "extri.yml").write_text(extri)
    (folder / "intri.yml").write_text(intri)
    return folder / "intri.yml"


def calibio(folder: Path) -> Path:
    cameras = []
    for name in PLACES:
        R, t = pose(name)
        values = dict(zip(("k1", "k2", "p1", "p2", "k3"), LENS, strict=True))
        values |= {"f": F, "ar": 1.0, "cx": CX, "cy": CY}
        data = {"parameters": {k: {"val": v, "state": 1} for k, v in values.items()},
                "CameraModelCRT": {"CameraModelBase": {"imageSize": {
                    "width": SIZE[0], "height": SIZE[1]}}}}  # fmt: skip
        rotation = dict(zip(("rx", "ry", "rz"), Rotation.from_matrix(R).as_rotvec(), strict=True))
        cameras.append({"name": name, "model": {"polymorphic_name": "libCalib::CameraModelOpenCV",
                        "ptr_wrapper": {"data": data}}, "transform": {
                        "rotation": rotation,
                        "translation": dict(zip("xyz", 1000 * t, strict=True))}})  # fmt: skip
    path = folder / "calib.json"
    path.write_text(json.dumps({"Calibration": {"cameras": cameras}}))
    return path


def qualisys(folder: Path, *, theia: bool = True, inverse: bool = False) -> Path:
    per_px = 1 if theia else 64
    lines = ["<calibration>", "<cameras>"]
    for name in PLACES:
        R, t = pose(name)
        if inverse:
            R, t = R.T, -R.T @ t
        rows = " ".join(f'r{i + 1}{j + 1}="{R[i, j]:.12f}"' for i in range(3) for j in range(3))
        x, y, z = 1000 * t
        lines += [
            f'<camera active="1" serial="{name}" viewrotation="0">',
            f'<fov_video left="0" top="0" right="{SIZE[0] - 1}" bottom="{SIZE[1] - 1}"/>',
            f'<transform x="{x:.9f}" y="{y:.9f}" z="{z:.9f}" {rows}/>',
            f'<intrinsic focallength="8" sensorMinU="0" sensorMaxU="{SIZE[0] * per_px - 1}" '
            f'sensorMinV="0" sensorMaxV="{SIZE[1] * per_px - 1}" focalLengthU="{F * per_px}" '
            f'focalLengthV="{F * per_px}" centerPointU="{CX * per_px}" '
            f'centerPointV="{CY * per_px}" skew="0" radialDistortion1="{LENS[0]}" '
            f'radialDistortion2="{LENS[1]}" radialDistortion3="{LENS[4]}" '
            f'tangentalDistortion1="{LENS[2]}" tangentalDistortion2="{LENS[3]}"/>',
            "</camera>",
        ]
    path = folder / "rig.qca.txt"
    path.write_text("\n".join([*lines, "</cameras>", "</calibration>"]))
    return path


def qtm(folder: Path) -> Path:
    return qualisys(folder, theia=False, inverse=True)


def vicon(folder: Path) -> Path:
    lines = ["<Cameras>"]
    for name in PLACES:
        R, t = pose(name)
        x, y, z = 1000 * (-R.T @ t)
        q = " ".join(f"{v:.12f}" for v in Rotation.from_matrix(R).as_quat())
        lines += [f'<Camera DEVICEID="1" USERID="{name}" PIXEL_ASPECT_RATIO="1" SKEW="0" '
                  f'SENSOR_SIZE="{SIZE[0]} {SIZE[1]}"><KeyFrames><KeyFrame FRAME="0" '
                  f'FOCAL_LENGTH="{F}" ORIENTATION="{q}" POSITION="{x:.9f} {y:.9f} {z:.9f}" '
                  f'PRINCIPAL_POINT="{CX} {CY}" VICON_RADIAL="0 0"/></KeyFrames></Camera>'
                  ]  # fmt: skip
    path = folder / "rig.xcp"
    path.write_text("\n".join([*lines, "</Cameras>"]))
    return path


def metashape(folder: Path) -> Path:
    k1, k2, p1, p2, k3 = LENS
    lines = ['<document version="2.0.0"><chunk><sensors><sensor id="0" type="frame">',
             f'<resolution width="{SIZE[0]}" height="{SIZE[1]}"/>',
             '<calibration type="frame" class="adjusted">',
             f'<resolution width="{SIZE[0]}" height="{SIZE[1]}"/>',
             f"<f>{F}</f><cx>{CX - SIZE[0] / 2}</cx><cy>{CY - SIZE[1] / 2}</cy><k1>{k1}</k1>"
             f"<k2>{k2}</k2><k3>{k3}</k3><p1>{p2}</p1><p2>{p1}</p2>",
             "</calibration></sensor></sensors><cameras>"]  # fmt: skip
    for i, name in enumerate(PLACES):
        R, t = pose(name)
        M = np.eye(4)
        M[:3, :3], M[:3, 3] = R.T, (-R.T @ t) / 2  # the chunk's unit is two meters
        numbers = " ".join(f"{v:.12f}" for v in M.ravel())
        lines.append(f'<camera id="{i}" sensor_id="0" label="{name}"><transform>{numbers}'
                     "</transform></camera>")  # fmt: skip
    end = "</cameras><transform><scale>2.0</scale></transform></chunk></document>"
    path = folder / "cameras.xml"
    path.write_text("\n".join([*lines, end]))
    return path


TOOLS: dict[str, tuple[Callable[[Path], Path], list[float]]] = {
    "anipose": (toml, LENS),
    "easymocap": (easymocap, LENS),
    "calib.io": (calibio, LENS),
    "theia": (qualisys, LENS),
    "qtm": (qtm, LENS),
    "vicon": (vicon, [0.0] * 5),
    "metashape": (metashape, LENS),
}


@pytest.mark.filterwarnings("ignore:.*taken as millimeters:hypopose.io.CameraFileWarning")
@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_gives_the_same_rig(tool: str, tmp_path: Path) -> None:
    write, lens = TOOLS[tool]
    cameras = load_cameras(write(tmp_path))
    points = AIM + np.random.default_rng(0).normal(0, 0.4, (20, 3))
    assert list(cameras) == list(PLACES)
    for name, camera in cameras.items():
        assert camera.image_size == SIZE
        ours = project(world_to_cam(torch.from_numpy(points).float(), camera), camera)
        np.testing.assert_allclose(ours.numpy(), expected_pixels(name, points, lens), atol=2e-2)
        R, t = pose(name)
        place = -camera.rotation.double().numpy().T @ camera.translation.double().numpy()
        np.testing.assert_allclose(place, -R.T @ t, atol=1e-4)


def test_extri_leads_to_its_intri(tmp_path: Path) -> None:
    easymocap(tmp_path)
    for path in (tmp_path, tmp_path / "extri.yml"):
        assert load_cameras(path)["b"].translation is not None


def test_opencap_is_millimeters_and_writes_the_height_first(tmp_path: Path) -> None:
    R, t = pose("a")
    values = {"intrinsicMat": np.array(matrix()), "distortion": np.array([LENS]),
              "imageSize": np.array([[SIZE[1]], [SIZE[0]]], dtype=float), "rotation": R,
              "translation": 1000 * t[:, None], "reprojectionError": 0.2}  # fmt: skip
    path = tmp_path / "cameraIntrinsicsExtrinsics.pickle"
    path.write_bytes(pickle.dumps(values))
    camera = load_camera(path)
    assert camera.image_size == SIZE
    assert camera.translation is not None
    np.testing.assert_allclose(camera.translation.numpy(), t, atol=1e-4)


def test_a_pickle_that_runs_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(FormatError, match=r"a\.pickle: its pickle is refused .*builtins.print"):
        load_camera(path)


def test_vicon_lenses_undistort(tmp_path: Path) -> None:
    k1, k2 = 1e-8, 1e-15
    path = vicon(tmp_path)
    radial = f'VICON_RADIAL2="ViconRadial2 {CX} {CY} 0 {k1} {k2} 0"'
    path.write_text(path.read_text().replace('VICON_RADIAL="0 0"', radial))
    camera = load_camera(path, "a")
    bent = np.array([CX + 500.0, CY + 200.0])
    r2 = 500.0**2 + 200.0**2
    straight = (bent - [CX, CY]) * (1 + k1 * r2 + k2 * r2**2)
    ray = torch.tensor([*(straight / F), 1.0]).float()
    np.testing.assert_allclose(project(ray, camera).numpy(), bent, atol=0.05)


def test_agisoft_lens_writes_pixels(tmp_path: Path) -> None:
    path = tmp_path / "lens.xml"
    path.write_text(f"<calibration><projection>frame</projection><width>{SIZE[0]}</width>"
                    f"<height>{SIZE[1]}</height><fx>{F}</fx><fy>{F}</fy><cx>{CX}</cx><cy>{CY}</cy>"
                    "<k1>-0.2</k1><p1>0.001</p1><p2>-0.002</p2></calibration>")  # fmt: skip
    camera = load_camera(path)
    assert camera.center.tolist() == [CX, CY]
    assert camera.distortion is not None
    np.testing.assert_allclose(camera.distortion.numpy(), [-0.2, 0, 0.001, -0.002, 0], atol=1e-7)


def test_cameras_that_look_apart_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, turn = pose, Rotation.from_rotvec([0.3, 1.5, -0.8]).as_matrix()

    def wrong(name: str) -> tuple[np.ndarray, np.ndarray]:
        R, t = right(name)
        return (turn @ R, turn @ t) if name == "a" else (R, t)

    monkeypatch.setitem(globals(), "pose", wrong)
    with pytest.raises(FormatError, match="look at no common place"):
        load_cameras(qualisys(tmp_path))


BAD_XML = {
    "bomb": '<!DOCTYPE x [<!ENTITY a "aaaa">]><calibration><camera/></calibration>',
    "cut": "<calibration><cameras><camera serial='1'>",
    "deep": "<calibration><camera>" + "<a>" * 100 + "</a>" * 100 + "</camera></calibration>",
    "empty": "<calibration><cameras><camera/></cameras></calibration>",
    "words": "<Cameras><Camera SENSOR_SIZE='a b'><KeyFrames><KeyFrame FOCAL_LENGTH='x'/>"
    "</KeyFrames></Camera></Cameras>",
    "chunk": "<document>\n<chunk></chunk></document>",
    "fisheye": "<calibration><projection>fisheye</projection><width>10</width><height>10</height>"
    "<f>10</f></calibration>",
}


@pytest.mark.parametrize("kind", BAD_XML)
def test_bad_xml_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "rig.xml"
    path.write_text(BAD_XML[kind])
    with pytest.raises(FormatError, match=r"^\S*rig.xml: ") as caught:
        load_cameras(path)
    assert "\n" not in str(caught.value)


def test_warnings_are_about_the_camera_that_is_asked_for(tmp_path: Path) -> None:
    path = toml(tmp_path)
    path.write_text(path.read_text().replace('name = "b"', 'name = "b"\nodd_key = 3'))
    load_camera(path, "a")
    with pytest.warns(CameraFileWarning, match="b: not read: odd_key"):
        load_camera(path, "b")


K_ROWS = [1450.2, 0.0, 962.1, 0.0, 1450.2, 716.5, 0.0, 0.0, 1.0]
K_COLUMNS = [1450.2, 0.0, 0.0, 0.0, 1450.2, 0.0, 962.1, 716.5, 1.0]
STILL = np.eye(4).tolist()

PHONES: dict[str, tuple[str, object]] = {
    "Record3D": ("metadata", {"w": 1920, "h": 1440, "K": K_COLUMNS, "fps": 60, "poses": []}),
    "3D Scanner App": ("frame.json", {"intrinsics": K_ROWS, "cameraPoseARFrame": STILL}),
    "Polycam": ("1.json", {"fx": 1450.2, "fy": 1450.2, "cx": 962.1, "cy": 716.5, "width": 1920,
                           "height": 1440, "t_00": 1.0}),
    "ARKit, nested": ("a.json", {"camera": {
        "intrinsics": np.reshape(K_COLUMNS, (3, 3)).tolist(),
        "imageResolution": {"width": 1920, "height": 1440}}}),
    "ARKit, by names": ("b.json", {
        "cameraIntrinsics": {"fx": 1450.2, "fy": 1450.2, "cx": 962.1, "cy": 716.5},
        "imageResolution": [1920, 1440]}),
    "Stray Scanner": ("camera_matrix.csv", "1450.2,0,962.1\n0,1450.2,716.5\n0,0,1\n"),
    "numpy.savetxt": ("K.txt", "1.4502e+03 0 9.621e+02\n0 1.4502e+03 7.165e+02\n0 0 1\n"),
}  # fmt: skip
"""Files of one camera as phones and scripts write them."""


@pytest.mark.filterwarnings("ignore::hypopose.io.CameraFileWarning")
@pytest.mark.parametrize("tool", PHONES)
def test_the_intrinsics_of_a_phone(tool: str, tmp_path: Path) -> None:
    name, content = PHONES[tool]
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    camera = load_camera(path, image_size=(1920, 1440))
    assert camera.focal.tolist() == pytest.approx([1450.2, 1450.2])
    assert camera.center.tolist() == pytest.approx([962.1, 716.5])
    assert camera.image_size == (1920, 1440)


def test_a_matrix_by_columns_is_said(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps({"w": 1920, "h": 1440, "K": K_COLUMNS}))
    with pytest.warns(CameraFileWarning, match="read by columns"):
        load_camera(path)


@pytest.mark.parametrize("rows", ["1 2\n3 4\n", "1 0 0\n0 1 0\n0 0 1\n0 0 0\n", "a b c\n" * 3])
def test_other_numbers_are_no_matrix(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "K.txt"
    path.write_text(rows)
    with pytest.raises(FormatError, match="holds no camera"):
        load_camera(path, image_size=(1920, 1440))


@pytest.mark.filterwarnings("ignore::hypopose.io.CameraFileWarning")
@pytest.mark.parametrize("count", [1, 3])
def test_a_video_that_was_turned_against_its_camera(count: int, tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    values = {"w": 1920, "h": 1440, "K": K_COLUMNS}
    path.write_text(json.dumps(values))
    with pytest.raises(OptionError, match="was turned: write rotation_count 1"):
        load_camera(path, image_size=(1440, 1920))
    path.write_text(json.dumps({**values, "rotation_count": count}))
    camera = load_camera(path, image_size=(1440, 1920))
    center = (1440 - 716.5, 962.1) if count == 1 else (716.5, 1920 - 962.1)
    assert camera.image_size == (1440, 1920)
    assert camera.center.tolist() == pytest.approx(center, abs=1.5)

"""Kalibr's camchain, Detectron2's instances and Qualisys' table: values with known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.spatial.transform import Rotation
from walker import in_axes, walk

import hypopose
from hypopose.errors import FormatError
from hypopose.io import inspect, load_cameras
from hypopose.skeletons import get_skeleton

COCO = get_skeleton("coco17").joint_names
H36M = get_skeleton("h36m17").joint_names


# --- Kalibr -------------------------------------------------------------------------------------


def transform(degrees: float, t: tuple[float, float, float]) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    T[:3, 3] = t
    return T


STEPS = [transform(-40, (2.0, 0.1, 1.0)), transform(-35, (1.5, 0.0, 1.2))]


def camchain(**changes: Any) -> dict[str, Any]:
    chain: dict[str, Any] = {
        f"cam{i}": {
            "cam_overlaps": [1],
            "camera_model": "pinhole",
            "distortion_coeffs": [-0.1, 0.02, 0.001, -0.002],
            "distortion_model": "radtan",
            "intrinsics": [900.0 + i, 905.0, 640.0, 360.0],
            "resolution": [1280, 720],
            "rostopic": f"/cam{i}/image_raw",
        }
        for i in range(3)
    }
    for i, step in enumerate(STEPS):
        chain[f"cam{i + 1}"]["T_cn_cnm1"] = step.tolist()
    chain["cam1"].update(changes)
    return chain


def written(path: Path, chain: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(chain, default_flow_style=None))
    return path


def test_a_camchain_places_its_cameras_in_the_frame_of_the_first(tmp_path: Path) -> None:
    cameras = load_cameras(written(tmp_path / "log-camchain.yaml", camchain()))
    assert list(cameras) == ["cam0", "cam1", "cam2"]
    whole = np.eye(4)
    for i, camera in enumerate(cameras.values()):
        whole = (STEPS[i - 1] if i else np.eye(4)) @ whole
        assert camera.focal.tolist() == [900.0 + i, 905.0]
        assert camera.image_size == (1280, 720)
        assert camera.distortion is not None
        assert camera.distortion[:4].tolist() == pytest.approx([-0.1, 0.02, 0.001, -0.002])
        assert camera.rotation is not None
        assert camera.translation is not None
        np.testing.assert_allclose(camera.rotation, whole[:3, :3], atol=1e-6)
        np.testing.assert_allclose(camera.translation, whole[:3, 3], atol=1e-6)


def test_a_fisheye_camera_and_a_single_one(tmp_path: Path) -> None:
    one = {"cam0": camchain()["cam0"]}
    one["cam0"] |= {"distortion_model": "equidistant", "distortion_coeffs": [0.01, 0.0, 0.0, 0.0]}
    camera = load_cameras(written(tmp_path / "a.yaml", one))["cam0"]
    assert camera.distortion_model == "fisheye"
    assert camera.rotation is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"camera_model": "omni"}, "omni-radtan is not read; calibrate with Kalibr's pinhole"),
        ({"distortion_model": "fov"}, "pinhole-fov is not read"),
        ({"intrinsics": [900, 900]}, "intrinsics: expected 4 numbers"),
        ({"T_cn_cnm1": np.diag([1, 1, -1, 1]).tolist()}, "not a rotation matrix"),
        ({"T_cn_cnm1": np.ones((4, 4)).tolist()}, "last row"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        load_cameras(written(tmp_path / "a.yaml", camchain(**changes)))


def test_a_chain_with_a_link_missing_is_refused(tmp_path: Path) -> None:
    chain = camchain()
    del chain["cam1"]["T_cn_cnm1"]
    with pytest.raises(FormatError, match=r"cam1.*T_cn_cnm1: absent"):
        load_cameras(written(tmp_path / "a.yaml", chain))


# --- Detectron2 ---------------------------------------------------------------------------------


def pixels(n: int = 12) -> np.ndarray:
    body = walk(list(COCO), n)
    return np.stack([300 - 100 * body[..., 1], 420 - 200 * body[..., 2]], -1)


RIGHT = np.array([150.0, 0.0])


def image(f: int, xy: np.ndarray, layout: str) -> dict[str, Any]:
    """One image with two people, the second 150 px to the right."""
    people = [np.column_stack([p, np.full(17, 0.8)]).tolist() for p in (xy, xy + RIGHT)]
    fields = {"pred_keypoints": people, "scores": [0.99, 0.9], "pred_classes": [0, 0]}
    if layout == "flat":
        return {"frame": f, "image_height": 480, "image_width": 640, **fields}
    if layout == "fields":
        return {"image_id": f, "instances": {"image_size": [480, 640], "fields": fields}}
    return {"frame_id": f, "instances": {"image_size": [480, 640], **fields}}


@pytest.mark.parametrize("layout", ["flat", "instances", "fields"])
def test_instances_of_detectron2(tmp_path: Path, layout: str) -> None:
    xy = pixels()
    path = tmp_path / "instances.json"
    path.write_text(json.dumps([image(f, p, layout) for f, p in enumerate(xy)]))
    assert inspect(path).format == "detectron2"
    people = hypopose.load_people(path)
    assert len(people) == 2
    first = min(people.values(), key=lambda k: float(k.xy[0, 0, 0]))
    np.testing.assert_allclose(first.xy, xy, atol=1e-4)
    assert (first.image_size, first.skeleton.name) == ((640, 480), "coco17")
    assert first.confidence is not None
    assert first.confidence[0, 0].item() == pytest.approx(0.8)


def test_a_folder_of_images_of_detectron2(tmp_path: Path) -> None:
    xy = pixels()
    for f, p in enumerate(xy):
        (tmp_path / f"{f:04}.json").write_text(json.dumps(image(0, p, "instances")))
    people = hypopose.load_people(tmp_path)
    assert {k.n_frames for k in people.values()} == {12}


def test_instances_with_depth_are_refused(tmp_path: Path) -> None:
    one = {"pred_keypoints": [[[1.0, 2.0, 3.0, 0.9]] * 17], "scores": [1.0]}
    (tmp_path / "a.json").write_text(json.dumps([one] * 3))
    with pytest.raises(FormatError, match="x, y, z, confidence"):
        hypopose.load_people(tmp_path / "a.json")


def npz(path: Path, xy: np.ndarray, *, rows: int = 4) -> Path:
    """As VideoPose3D's scripts write what Detectron saw; nobody in the third frame."""
    keypoints, boxes = np.empty(len(xy), object), np.empty(len(xy), object)
    for f, p in enumerate(xy):
        person = np.stack([*p.T, np.full(17, 7.0), np.full(17, 0.9)])[None, :rows]
        keypoints[f] = [[], person if f != 2 else np.zeros((0, rows, 17))]
        boxes[f] = [[], np.array([[0.0, 0, 9, 9, 1]])]
    np.savez_compressed(path, boxes=boxes, segments=keypoints, keypoints=keypoints,
                        metadata={"w": 640, "h": 480})  # fmt: skip
    return path


def test_an_archive_of_detectron(tmp_path: Path) -> None:
    xy = pixels()
    path = npz(tmp_path / "walk.mp4.npz", xy)
    assert inspect(path).format == "detectron2-npz"
    person = hypopose.load(path)
    assert person.image_size == (640, 480)
    assert torch.isnan(person.xy[2]).all()
    np.testing.assert_allclose(person.xy[3:], xy[3:], atol=1e-4)
    assert person.confidence is not None
    assert person.confidence[0, 0].item() == pytest.approx(0.9)


def test_an_archive_of_other_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"frame 0: people of float64 \(1, 3, 17\)"):
        hypopose.load(npz(tmp_path / "a.npz", pixels(), rows=3))


# --- Qualisys -----------------------------------------------------------------------------------


def tsv(path: Path, *, columns: int = 2, marker: str = "3D") -> np.ndarray:
    """A walk as QTM exports it; the right wrist is not seen in the fourth frame."""
    places = 1000 * in_axes(walk(list(H36M), 30), "z")
    lines = ["NO_OF_FRAMES\t30", "NO_OF_CAMERAS\t8", "NO_OF_MARKERS\t17", "FREQUENCY\t25",
             "NO_OF_ANALOG\t0", "ANALOG_FREQUENCY\t0", "DESCRIPTION\t--",
             "TIME_STAMP\t2026-01-01, 10:00:00.000\t12.5", f"DATA_INCLUDED\t{marker}",
             "MARKER_NAMES\t" + "\t".join(H36M)]  # fmt: skip
    if columns:
        lines.append("\t".join(["Frame", "Time"][:columns]
                               + [f"{n} {a}" for n in H36M for a in "XYZ"]))  # fmt: skip
    for f, frame in enumerate(places):
        shown = frame.copy()
        if f == 3:
            shown[H36M.index("right_wrist")] = 0
        before = [str(f + 1), f"{f / 25:.5f}"][:columns]
        lines.append("\t".join([*before, *(f"{v:.3f}" for v in shown.ravel())]))
    path.write_text("\r\n".join(lines) + "\r\n")
    return places


@pytest.mark.parametrize("columns", [0, 1, 2])
def test_a_table_of_qualisys(tmp_path: Path, columns: int) -> None:
    places = tsv(tmp_path / "walk.tsv", columns=columns)
    result = hypopose.import_motion(tmp_path / "walk.tsv")["0"]
    assert result.keypoints.fps == 25
    joints = result.hypotheses.joints[0].numpy()
    truth = places / 1000
    assert np.isnan(joints[3, H36M.index("right_wrist")]).all()
    bones = [(1, 2), (2, 3), (4, 5), (5, 6), (11, 12)]
    for a, b in bones:
        np.testing.assert_allclose(
            np.linalg.norm(joints[:, a] - joints[:, b], axis=-1),
            np.linalg.norm(truth[:, a] - truth[:, b], axis=-1),
            atol=1e-5,
        )
    up = joints[0, 10, 1] - joints[0, 0, 1]
    assert up == pytest.approx(-(truth[0, 10, 2] - truth[0, 0, 2]), abs=1e-5)  # y points down


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.replace("\t3D", "\t6D"), "holds no 3D markers"),
        (lambda s: s.replace("0.04000\t", "0.04000\tx\t"), "line 13: .* cells, but 17 markers"),
        (lambda s: s.partition("1\t0.00000")[0], "without rows"),
    ],
)
def test_other_tables_of_qualisys_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    path = tmp_path / "walk.tsv"
    tsv(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(FormatError, match=words):
        hypopose.import_motion(path)


def test_it_is_no_keypoint_file(tmp_path: Path) -> None:
    tsv(tmp_path / "walk.tsv")
    with pytest.raises(FormatError, match="hypopose import"):
        hypopose.load_people(tmp_path / "walk.tsv", image_size=(640, 480))

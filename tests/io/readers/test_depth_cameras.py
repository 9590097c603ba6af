"""Kinect v2 and Azure Kinect: the 2D part as keypoints, the 3D part for ``hypopose import``."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from walker import native, walk

from hypopose.errors import FormatError
from hypopose.io import detect_format, load, load_people
from hypopose.io.motion_files import load_motion
from hypopose.skeletons import AZURE32, KINECT25, convert, get_skeleton
from hypopose.skeletons.depth_cameras import AZURE_WORDS, KINECT_WORDS

PLACES = {"upper_neck": "neck", "hand": "wrist", "handtip": "index", "foot": "big_toe",
          "head": "head"}  # fmt: skip


def places(n: int = 8) -> np.ndarray:
    def word(name: str) -> str:
        side, _, part = name.partition("_")
        known = PLACES.get(part)
        return f"{side}_{known}" if side in ("left", "right") and known else PLACES.get(name, name)

    return walk([word(name) for name in KINECT25.joint_names], n)


def body(x: np.ndarray, who: int = 72057594037930000, **more: object) -> dict[str, object]:
    """A body of one frame as Kinectron passes it on."""
    joints = []
    for px, py, pz in x:
        joints.append({
            "colorX": 0.5 - 0.1 * (py - 2), "colorY": 0.8 - 0.3 * pz, "depthX": 0.5, "depthY": 0.5,
            "cameraX": px, "cameraY": pz, "cameraZ": -py, "trackingState": 2,
        })  # fmt: skip
    return {"bodyIndex": 0, "tracked": True, "trackingId": who, "joints": joints, **more}


def written(folder: Path, frames: object) -> Path:
    (folder / "kinect.json").write_text(json.dumps(frames))
    return folder / "kinect.json"


def test_color_joints_are_pixels(tmp_path: Path) -> None:
    x = places()
    frames = [{"bodies": [body(p), {"tracked": False}]} for p in x]
    frames[3]["bodies"] = []
    frames[5]["bodies"][0]["joints"][6]["trackingState"] = 0
    frames[5]["bodies"][0]["joints"][7]["trackingState"] = 1
    path = written(tmp_path, frames)
    assert detect_format(path) == "kinect"
    keypoints = load(path)
    assert keypoints.skeleton == KINECT25
    assert keypoints.image_size == (1920, 1080)
    assert keypoints.n_frames == 8
    assert not keypoints.detected[3].any()
    expected = np.stack([0.5 - 0.1 * (x[..., 1] - 2), 0.8 - 0.3 * x[..., 2]], -1) * [1920, 1080]
    known = keypoints.detected.numpy()
    assert np.abs(keypoints.xy.numpy() - expected)[known].max() < 1e-3
    assert not keypoints.detected[5, 6]
    assert keypoints.confidence[5, 7] == 0.5
    pelvis = convert(keypoints, get_skeleton("h36m17")).xy[0, 0]
    assert np.allclose(pelvis.numpy(), expected[0, 0], atol=1e-3)


def test_named_joints_in_any_order_and_two_people(tmp_path: Path) -> None:
    frames = []
    for p in places(6):
        one, two = body(p, 1), body(p + np.array([0, 1.5, 0]), 2)
        for person in (one, two):
            named = dict(zip(KINECT_WORDS, person["joints"], strict=True))
            person["joints"] = dict(sorted(named.items()))
        frames.append({"bodies": [one, two]})
    people = load_people(written(tmp_path, frames))
    assert set(people) == {"1", "2"}
    apart = people["1"].xy - people["2"].xy
    assert np.allclose(apart.numpy()[..., 0], 0.15 * 1920, atol=1e-2)


def test_one_file_per_frame_is_a_clip(tmp_path: Path) -> None:
    for f, p in enumerate(places(6)):
        (tmp_path / f"frame_{f:03}.json").write_text(json.dumps({"bodies": [body(p)]}))
    keypoints = load(tmp_path)
    assert keypoints.n_frames == 6
    assert keypoints.detected.all()


def test_3d_alone_is_refused_and_the_cure_works(tmp_path: Path) -> None:
    x = places()
    frames = [{"bodies": [{"id": 1, "joints": [
        {"name": w, "x": px, "y": pz, "z": -py}
        for w, (px, py, pz) in zip(KINECT_WORDS, p, strict=True)]}]} for p in x]  # fmt: skip
    path = written(tmp_path, frames)
    with pytest.raises(FormatError, match="hypopose import"):
        load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        motion = load_motion(path)["1"]
    assert motion.skeleton == KINECT25
    assert np.abs(motion.places - native(x)).max() < 1e-6


def test_camera_space_of_a_file_with_both(tmp_path: Path) -> None:
    x = places()
    path = written(tmp_path, [{"bodies": [body(p, 5)]} for p in x])
    motion = load_motion(path)["5"]
    assert np.abs(motion.places - native(x)).max() < 1e-6


def test_azure_is_3d(tmp_path: Path) -> None:
    frames = [{"frame_id": 0, "bodies": [{"body_id": 1, "joint_positions": [[1, 2, 3]] * 32}]}]
    path = written(tmp_path, {"k4abt_sdk_version": "1.1.2", "frames": frames})
    with pytest.raises(FormatError, match=r"3D joints of Azure Kinect; .*hypopose import"):
        load(path)


def test_tables_are_those_of_the_documentation() -> None:
    assert len(AZURE_WORDS) == AZURE32.n_joints == 32
    names = AZURE32.joint_names
    parent = {a: names[p] for a, p in zip(names, AZURE32.parents, strict=True) if p >= 0}
    assert parent["left_hip"] == parent["spine_navel"] == "pelvis"
    assert parent["right_thumb"] == "right_wrist"
    assert parent["left_clavicle"] == "spine_chest"
    assert parent["head"] == "neck"
    for skeleton in (AZURE32, KINECT25):
        for a, b in zip(skeleton.left, skeleton.right, strict=True):
            left, right = skeleton.joint_names[a], skeleton.joint_names[b]
            assert left.replace("left", "right") == right


@pytest.mark.parametrize(
    "joints",
    [[{"colorX": 1}] * 24, [1] * 25, 5, {"Head": 5}, [{"colorX": "a", "colorY": None}] * 25],
)
def test_broken_bodies_are_refused(joints: object, tmp_path: Path) -> None:
    path = written(tmp_path, [{"bodies": [{"joints": joints}]}])
    with pytest.raises(FormatError, match=r"kinect\.json"):
        load(path, format="kinect")


def goliath(folder: Path) -> tuple[Path, np.ndarray]:
    """A set of 308 points that names them, the body among them in an order of its own."""
    coco = get_skeleton("coco17").joint_names
    names = [f"left_thing{i}" for i in range(308)]
    at = np.linspace(3, 300, 17).astype(int)
    for i, name in zip(at, coco, strict=True):
        names[i] = name
    body2d = walk(coco, 5)
    xy = np.zeros((5, 308, 2)) + np.arange(308)[None, :, None]
    xy[:, at] = np.stack([600 - 200 * body2d[..., 1], 700 - 300 * body2d[..., 2]], -1)
    people = [{"keypoints": p.tolist(), "keypoint_scores": [0.9] * 308} for p in xy]
    frames = [{"frame_id": f, "instances": [person]} for f, person in enumerate(people)]
    meta = {"dataset_name": "goliath", "keypoint_id2name": {str(i): n for i, n in enumerate(names)}}
    (folder / "a.json").write_text(json.dumps({"meta_info": meta, "instance_info": frames}))
    return folder / "a.json", xy[:, at]


def test_308_points_that_name_themselves(tmp_path: Path) -> None:
    path, expected = goliath(tmp_path)
    keypoints = load(path)
    assert keypoints.xy.shape == (5, 308, 2)
    body2d = convert(keypoints, get_skeleton("h36m17"))
    hips = expected[:, [11, 12]].mean(1)
    assert np.allclose(body2d.xy[:, 0].numpy(), hips, atol=1e-3)
    told = load(path, skeleton="coco17")
    assert np.allclose(told.xy.numpy(), expected, atol=1e-3)

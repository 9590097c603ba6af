"""Protocols against recorded numbers: cameras and keypoints of VideoPose3D, 3DHP's tool, JPMA."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from protocol_folders import dictionary

from hypopose.datasets.protocols import make_protocol
from hypopose.datasets.protocols.h36m_cameras import CAMERA_IDS, h36m_camera
from hypopose.evaluation import Layout, Predictions, evaluate_answers
from hypopose.io.prediction_files import read_predictions


@pytest.fixture
def datasets(shared: Path) -> Path:
    folder = shared / "golden" / "datasets"
    if not folder.is_dir():
        pytest.skip(f"recorded data sets are not at {folder}")
    return folder


def test_cameras_of_h36m(datasets: Path) -> None:
    recorded = json.loads((datasets / "h36m_cameras.json").read_text())
    for i, lens in enumerate(recorded["intrinsics"]):
        camera = h36m_camera("S9", i)
        assert lens["id"] == CAMERA_IDS[i]
        assert (lens["res_w"], lens["res_h"]) == camera.image_size
        np.testing.assert_allclose(camera.focal, lens["focal_length"], rtol=1e-8)
        np.testing.assert_allclose(camera.center, lens["center"], rtol=1e-8)
        k1, k2, k3 = lens["radial_distortion"]
        p1, p2 = lens["tangential_distortion"]
        np.testing.assert_allclose(camera.distortion, [k1, k2, p1, p2, k3], atol=1e-9)
    for subject in ("S1", "S5", "S6", "S7", "S8", "S9", "S11"):
        for i, place in enumerate(recorded["extrinsics"][subject]):
            camera = h36m_camera(subject, i)
            center = -(camera.rotation.mT @ camera.translation)
            np.testing.assert_allclose(1000 * center, place["translation"], atol=1e-4)
            w, x, y, z = np.array(place["orientation"]) / np.linalg.norm(place["orientation"])
            first = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
            np.testing.assert_allclose(camera.rotation[:, 0], first, atol=1e-6)


def test_projected_truth_is_the_gt_file(datasets: Path, tmp_path: Path) -> None:
    tiny = datasets / "h36m_tiny"
    shutil.copy(tiny / "data_3d_h36m_tiny.npz", tmp_path / "data_3d_h36m.npz")
    shutil.copy(tiny / "data_2d_h36m_tiny_gt.npz", tmp_path / "data_2d_h36m_gt.npz")
    options = {"subjects": "S1,S9", "partial": True}
    projected = make_protocol("h36m", keypoints="projected", **options).open(tmp_path)
    stored = make_protocol("h36m", keypoints="gt", **options).open(tmp_path)
    assert len(stored.entries) == 12
    for ours, theirs in zip(projected.entries, stored.entries, strict=True):
        a, b = projected.load(ours).keypoints, stored.load(theirs).keypoints
        torch.testing.assert_close(a.xy, b.xy, rtol=0, atol=2e-3)


def archive(folder: Path, arrays: dict[str, tuple[np.ndarray, ...]]) -> None:
    """3DHP's archive of lifters: keypoints, poses and marks by sequence."""
    names = ("data_2d", "data_3d", "valid")
    data = {name: dict(zip(names, x, strict=True)) for name, x in arrays.items()}
    np.savez(folder / "data_test_3dhp.npz", data=dictionary(data))


def evaluated(folder: Path, x: dict[str, np.ndarray], **variant: object) -> dict[str, float]:
    np.savez(folder / "theirs.npz", **x)
    data = make_protocol("3dhp", partial=True, **variant).open(folder)
    answers = Predictions(read_predictions(folder / "theirs.npz"), data, Layout("mm"))
    found = evaluate_answers(data, answers, method={"name": "recorded"})
    return {key: estimate.value for key, estimate in found.scores.items()}


def test_pck_auc_and_mpjpe_of_3dhp(golden, tmp_path: Path) -> None:
    """The recorded rules of the official MATLAB tool, on the valid frames of three clips."""
    io = {k: v.numpy() for k, v in golden("metrics/basic").io.items() if k.startswith("dhp")}
    root = np.array([0.0, 0.0, 4000.0])
    arrays, x = {}, {}
    for i, name in enumerate(("TS1", "TS2", "TS3")):
        placed = io["dhp_target_mm"][i] + root
        size = np.linalg.norm(io["dhp_target_mm"][i], axis=-1).max()
        assert 300 < size < 2000
        pixels = 1500 * placed[..., :2] / placed[..., 2:] + 1000
        arrays[name] = (pixels, 1.3 * placed, io["dhp_valid"][i])  # 1.3: reprojects elsewhere
        x[name] = 1.3 * io["dhp_hypotheses_mm"][i, -1]
    archive(tmp_path, arrays)
    for name, (pixels, placed, valid) in arrays.items():
        arrays[name] = (pixels + 200, placed / 1.3, valid)  # not annot3's pixels
        x[name] = x[name] / 1.3
    archive(tmp_path, arrays)
    scores = evaluated(tmp_path, x, annotation="univ_annot3")
    pck, auc, mpjpe = io["dhp_pck_auc_mpjpe"]
    assert scores["pck_150_mean_percent"] == pytest.approx(pck, abs=1e-4)
    assert scores["auc_mean_percent"] == pytest.approx(auc, abs=1e-4)
    assert scores["mpjpe_mean_mm"] == pytest.approx(mpjpe, abs=1e-4)


@pytest.mark.parametrize(("group", "name"), [("ts1_4", "TS1"), ("ts5_6", "TS6")])
def test_jpma_of_3dhp(golden, tmp_path: Path, group: str, name: str) -> None:
    case = golden("d3dp/jpma_3dhp")
    io = {k.removeprefix(f"{group}."): v.numpy() for k, v in case.io.items() if group in k}
    flat = (-1, 17, 3)
    target = io["target_mm"] + io["trajectory_mm"]
    keypoints = io["input_2d_px"].reshape(-1, 17, 2)
    archive(tmp_path, {name: (keypoints, target.reshape(flat), np.ones(len(keypoints)))})
    x = io["hypotheses_mm"][:, -1].swapaxes(0, 1).reshape(-1, *target.reshape(flat).shape)
    annotation = "annot3" if reprojects(tmp_path) else "univ_annot3"
    scores = evaluated(tmp_path, {name: x}, cameras="nominal", annotation=annotation)
    chosen = io["pose_J_Agg"][:, -1].reshape(flat)
    relative = io["target_mm"].reshape(flat) - io["target_mm"].reshape(flat)[:, 14:15]
    chosen = chosen - chosen[:, 14:15]
    expected = np.linalg.norm(chosen - relative, axis=-1).mean()
    assert scores["mpjpe_oracle_jpma_true_root_mm"] == pytest.approx(expected, abs=1e-3)
    camera = make_protocol("3dhp", cameras="nominal")._camera(name)
    fx, fy, cx, cy = io["camera_px"][:4]
    np.testing.assert_allclose(camera.focal, [fx, fy], atol=0.02)
    np.testing.assert_allclose(camera.center, [cx, cy], atol=0.02)


def reprojects(folder: Path) -> bool:
    """Whether the recorded random poses happen to be seen where the keypoints are."""
    try:
        make_protocol("3dhp", partial=True, cameras="nominal").open(folder)
    except ValueError as error:
        if "so it holds univ_annot3" in str(error):
            return False
        raise
    return True

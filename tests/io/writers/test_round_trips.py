"""Every format, read back by a library that is not ours."""

from __future__ import annotations

import importlib
import json
import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
from handed_body import (
    N_FRAMES,
    N_HYPOTHESES,
    constant_bones,
    handedness,
    placed,
    y_up,
    z_up,
)
from scipy.spatial.transform import Rotation

from hypopose.errors import FormatError
from hypopose.io import EXPORTERS, ExportOptions, export_result, load_hypotheses
from hypopose.skeletons import H36M17

NAMES = list(H36M17.joint_names)


def read_ezc3d(path):
    file = importlib.import_module("ezc3d").c3d(str(path))
    assert file["parameters"]["POINT"]["UNITS"]["value"] == ["mm"]
    assert file["parameters"]["POINT"]["LABELS"]["value"][:17] == NAMES
    assert file["header"]["points"]["frame_rate"] == 25
    return file["data"]["points"][:3, :17].transpose(2, 1, 0) / 1000


def read_c3d(path):
    c3d = importlib.import_module("c3d")
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses analog data
        reader = c3d.Reader(stream)
        assert [label.strip() for label in reader.point_labels][:17] == NAMES
        assert reader.point_rate == 25
        return np.stack([points[:17, :3] for _, points, _ in reader.read_frames()]) / 1000


def read_trc(path):
    pandas = importlib.import_module("pandas")
    header = [line.split("\t") for line in path.read_text().splitlines()[:5]]
    assert header[2][:5] == ["25", "25", str(N_FRAMES), "17", "mm"]
    assert [name for name in header[3][2:] if name] == NAMES
    assert header[4][2:5] == ["X1", "Y1", "Z1"]
    table = pandas.read_csv(path, sep="\t", skiprows=6, header=None)
    assert table[1].tolist() == pytest.approx([f / 25 for f in range(N_FRAMES)])
    return table.iloc[:, 2:].to_numpy().reshape(N_FRAMES, 17, 3) / 1000


def read_bvh(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        bvhio = importlib.import_module("bvhio")
    root = bvhio.readAsHierarchy(str(path))
    frames = []
    for frame in range(N_FRAMES):
        root.loadPose(frame)
        at = {joint.Name: tuple(joint.PositionWorld) for joint, _, _ in root.layout()}
        frames.append([at[name] for name in NAMES])
    return np.array(frames) / 100


def read_glb(path):
    """pygltflib opens it; the places follow from glTF's rules, T R of every node in turn."""
    file = importlib.import_module("pygltflib").GLTF2().load(str(path))
    data = file.binary_blob()

    def array(index):
        accessor = file.accessors[index]
        view = file.bufferViews[accessor.bufferView]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor.type]
        flat = np.frombuffer(data, "<f4", accessor.count * width, view.byteOffset)
        return flat.reshape(accessor.count, width).astype(float)

    moved = {}
    for channel in file.animations[0].channels:
        sampler = file.animations[0].samplers[channel.sampler]
        assert array(sampler.input).ravel().tolist() == pytest.approx(
            [f / 25 for f in range(N_FRAMES)]
        )
        moved[channel.target.node, channel.target.path] = array(sampler.output)
    at = {}

    def walk(node, place, turn):
        own = np.broadcast_to(file.nodes[node].translation or [0, 0, 0], (N_FRAMES, 3))
        own = moved.get((node, "translation"), own)
        place = place + np.einsum("fab,fb->fa", turn, own)
        if (node, "rotation") in moved:
            turn = turn @ Rotation.from_quat(moved[node, "rotation"]).as_matrix()
        at[file.nodes[node].name] = place
        for child in file.nodes[node].children or []:
            walk(child, place, turn)

    for node in file.scenes[0].nodes:
        walk(node, np.zeros((N_FRAMES, 3)), np.broadcast_to(np.eye(3), (N_FRAMES, 3, 3)))
    return np.stack([at[name] for name in NAMES], axis=1)


READERS = {
    "ezc3d": (read_ezc3d, "c3d", z_up, 1e-6),
    "c3d": (read_c3d, "c3d", z_up, 1e-6),
    "trc": (read_trc, "trc", y_up, 1e-6),
    "bvh": (read_bvh, "bvh", lambda x: y_up(constant_bones(x)), 1e-5),
    "glb": (read_glb, "glb", lambda x: y_up(constant_bones(x)), 1e-5),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("which", ["aggregate", 1])
def test_places_come_back_upright_and_not_mirrored(result, tmp_path, reader, which):
    read, ending, axes, tolerance = READERS[reader]
    path = tmp_path / f"out.{ending}"
    export_result(path, result, ExportOptions(which=which, frame="camera"))
    found = read(path)
    original = placed(result, None if which == "aggregate" else which)
    assert np.abs(found - axes(original)).max() < tolerance
    assert (handedness(found) == handedness(original)).all()
    up = 2 if axes is z_up else 1
    assert (found[:, NAMES.index("head"), up] > found[:, NAMES.index("left_ankle"), up]).all()


def test_c3d_residuals_are_one_sigma(result, tmp_path):
    gap = result.pose.joints.clone()
    gap[4, 7] = np.nan
    gone = replace(result, pose=replace(result.pose, joints=gap))
    export_result(tmp_path / "out.c3d", gone, ExportOptions(frame="camera"))
    file = importlib.import_module("ezc3d").c3d(str(tmp_path / "out.c3d"))
    residuals = file["data"]["meta_points"]["residuals"][0, :17].T
    sigma = 1000 * result.pose.std.norm(dim=-1).numpy()
    assert residuals[4, 7] == -1
    assert np.isnan(file["data"]["points"][:3, 7, 4]).all()
    residuals[4, 7] = sigma[4, 7]
    assert np.abs(residuals - sigma).max() <= 0.5 + 1e-3
    ours = {k: v["value"] for k, v in file["parameters"]["HYPOPOSE"].items() if "value" in v}
    exact = np.sqrt((np.delete(sigma[:, 7], 4) ** 2).mean()), np.sqrt((sigma[:, 3] ** 2).mean())
    assert ours["SIGMA"][3] == pytest.approx(exact[1], rel=1e-5)
    assert ours["AXES"] == ["camera frame; x right; y forward; z up; millimeters; joints at "
                            "their places"]  # fmt: skip
    assert ours["MOTION"] == ["aggregate"]
    assert file["parameters"]["POINT"]["Y_SCREEN"]["value"] == ["+Z"]


def test_wide_spread_and_hypotheses_in_c3d(result, tmp_path):
    wide = replace(result, pose=replace(result.pose, std=result.pose.std * 0 + 1))
    export_result(tmp_path / "out.c3d", wide, ExportOptions(which="all", frame="camera"))
    ezc3d = importlib.import_module("ezc3d")
    names = ["out.c3d", "out_h00.c3d", "out_h01.c3d", "out_h02.c3d"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    highest = [
        ezc3d.c3d(str(tmp_path / name))["data"]["meta_points"]["residuals"].max() for name in names
    ]
    assert highest == [255, 0, 0, 0]


def test_gaps_in_opensims_files(result, tmp_path):
    joints = result.pose.joints.clone()
    joints[4, 7] = np.nan
    gap = replace(result, pose=replace(result.pose, joints=joints))
    export_result(tmp_path / "out.trc", gap)
    found = read_trc(tmp_path / "out.trc")
    assert np.argwhere(np.isnan(found).any(-1)).tolist() == [[4, 7]]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tidy_tables(result, tmp_path, ending):
    pandas = importlib.import_module("pandas")
    path = tmp_path / f"out.{ending}"
    export_result(path, result, ExportOptions(unit="cm", up="y", frame="camera"))
    table = pandas.read_csv(path) if ending == "csv" else pandas.read_parquet(path)
    assert len(table) == (1 + N_HYPOTHESES) * N_FRAMES * 17
    assert set(table["axes"]) == {
        "camera frame; x right; y up; z backward; centimeters; joints relative to the root; "
        "root apart"
    }
    for who, h in (("aggregate", None), ("2", 2)):
        rows = table[table["hypothesis"].astype(str) == who]
        xyz = rows[["x", "y", "z"]].to_numpy() + rows[["root_x", "root_y", "root_z"]].to_numpy()
        found = xyz.reshape(N_FRAMES, 17, 3) / 100
        assert rows["joint"].tolist()[:17] == NAMES
        assert np.abs(found - y_up(placed(result, h))).max() < 1e-6
        assert rows["std_x"].isna().all() == (h is not None)
    assert table["time"].max() == pytest.approx((N_FRAMES - 1) / 25)
    aggregate = table[table["hypothesis"].astype(str) == "aggregate"]
    std = aggregate[["std_x", "std_y", "std_z"]].to_numpy().reshape(N_FRAMES, 17, 3) / 100
    assert np.allclose(std, result.pose.std.numpy(), atol=1e-6)


def test_parquet_carries_the_record(result, tmp_path):
    parquet = importlib.import_module("pyarrow.parquet")
    export_result(tmp_path / "out.parquet", result)
    record = json.loads(parquet.read_schema(tmp_path / "out.parquet").metadata[b"hypopose"])
    assert record["exported_by"] == "HypoPose 1.2.3"
    assert record["unit"] == "m"
    assert record["seed"] == 3


def test_netcdf_has_the_dimensions_of_movement(result, tmp_path):
    xarray = importlib.import_module("xarray")
    export_result(tmp_path / "out.nc", result, ExportOptions(frame="camera"))
    with xarray.open_dataset(tmp_path / "out.nc") as data:
        assert data["position"].dims == ("time", "space", "keypoints", "individuals")
        assert data["hypotheses"].dims == ("hypothesis", *data["position"].dims)
        assert data["confidence"].dims == ("time", "keypoints", "individuals")
        assert data["time"].values.tolist() == pytest.approx([f / 25 for f in range(N_FRAMES)])
        assert (data.attrs["ds_type"], data.attrs["fps"], data.attrs["time_unit"]) == (
            "poses",
            25.0,
            "seconds",
        )
        assert "y down" in data.attrs["axes"]
        assert data["position"].attrs["units"] == "m"
        chosen = data["hypotheses"].sel(hypothesis=2, keypoints="left_wrist").squeeze("individuals")
        root = data["hypotheses_root"].sel(hypothesis=2).squeeze("individuals")
        found = (chosen + root).transpose("time", "space").values
        assert np.allclose(found, placed(result, 2)[:, NAMES.index("left_wrist")], atol=1e-6)
        pose = data["position"].squeeze("individuals").transpose("time", "keypoints", "space")
        assert np.allclose(pose.values, result.pose.joints.numpy(), atol=1e-6)
        std = data["std"].squeeze("individuals").transpose("time", "keypoints", "space")
        assert np.allclose(std.values, result.pose.std.numpy(), atol=1e-6)
        confidence = data["confidence"].squeeze("individuals").values
        assert np.allclose(confidence, result.keypoints.confidence.numpy())


def test_netcdf_of_one_motion_without_rate(result, tmp_path):
    xarray = importlib.import_module("xarray")
    slow = replace(result, keypoints=replace(result.keypoints, fps=None, confidence=None))
    export_result(tmp_path / "out.nc", slow, ExportOptions(which=1, root="placed", frame="camera"))
    with xarray.open_dataset(tmp_path / "out.nc") as data:
        assert "hypotheses" not in data
        assert data.attrs["time_unit"] == "frames"
        assert "fps" not in data.attrs
        assert np.isnan(data["confidence"].values).all()
        pose = data["position"].squeeze("individuals").transpose("time", "keypoints", "space")
        assert np.allclose(pose.values, placed(slow, 1), atol=1e-5)


def test_named_arrays(result, tmp_path):
    for ending in ("npz", "json"):
        export_result(tmp_path / f"out.{ending}", result, ExportOptions(frame="world", up="z"))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    metadata = json.loads(arrays.pop("metadata").item())
    text = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert {k: v for k, v in text.items() if k != "arrays"} == metadata
    assert set(text["arrays"]) == set(arrays)
    for name, value in arrays.items():
        written = np.array(text["arrays"][name], dtype=float)
        assert np.allclose(written, value, atol=1e-5, rtol=1e-5, equal_nan=True), name
    assert arrays["hypotheses"].shape == (N_HYPOTHESES, N_FRAMES, 17, 3)
    assert metadata["axes"] == "world frame; z up; meters; joints relative to the root; root apart"
    with pytest.raises(FormatError):
        load_hypotheses(tmp_path / "out.npz")


def test_glb_shows_every_motion(result, tmp_path):
    export_result(tmp_path / "out.glb", result, ExportOptions(which="all", frame="camera"))
    data = (tmp_path / "out.glb").read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    file = importlib.import_module("pygltflib").GLTF2().load(str(tmp_path / "out.glb"))
    assert [skin.name for skin in file.skins] == ["aggregate", "h00", "h01", "h02"]
    assert len(file.meshes) == 4
    assert len({node.name for node in file.nodes}) == len(file.nodes)
    assert file.scenes[0].extras["axes"].startswith("camera frame; x right; y up")
    for view in file.bufferViews:
        assert view.byteOffset % 4 == 0
        assert view.byteOffset + view.byteLength <= file.buffers[0].byteLength


def test_every_exporter_is_read_by_somebody_here():
    covered = {ending for _, ending, _, _ in READERS.values()}
    elsewhere = {"mot"}  # test_opensim.py
    assert covered | elsewhere | {"csv", "parquet", "nc", "npz", "json"} == set(EXPORTERS)


def test_c3d_angles_are_points_of_their_own(result, tmp_path):
    export_result(tmp_path / "out.c3d", result)
    ezc3d = importlib.import_module("ezc3d").c3d(str(tmp_path / "out.c3d"))
    point = ezc3d["parameters"]["POINT"]
    labels, angles = point["LABELS"]["value"], point["ANGLES"]["value"]
    assert {"LKneeAngles", "RHipAngles", "TrunkAngles"} < set(angles)
    assert labels[17:] == angles
    assert point["ANGLE_UNITS"]["value"] == ["deg"]
    assert "LAnkleAngles" not in labels  # no feet
    with (tmp_path / "out.c3d").open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = [points[:, :3] for _, points, _ in
                  importlib.import_module("c3d").Reader(stream).read_frames()]  # fmt: skip
    found = np.stack(frames)
    at = dict(zip(NAMES, np.moveaxis(placed(result), 1, 0), strict=True))
    thigh, shank = at["left_knee"] - at["left_hip"], at["left_ankle"] - at["left_knee"]
    cosine = (thigh * shank).sum(-1) / np.linalg.norm(thigh, axis=-1)
    flexion = np.degrees(np.arccos(cosine / np.linalg.norm(shank, axis=-1)))
    assert found[:, labels.index("LKneeAngles"), 0] == pytest.approx(flexion, abs=1e-3)
    assert found[:, labels.index("LKneeAngles"), 1:] == pytest.approx(0)

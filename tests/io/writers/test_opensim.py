"""OpenSim's files: coordinates by an independent chain of rotations, set-ups by another parser."""

from __future__ import annotations

import importlib
from dataclasses import replace
from xml.dom import minidom

import numpy as np
import pytest
import torch
from handed_body import N_FRAMES, placed
from scipy.spatial.transform import Rotation
from standing_body import posed

from hypopose.cameras import cam_to_world
from hypopose.errors import SkeletonMismatchError
from hypopose.io import ExportOptions, export_result
from hypopose.quantities import BodyMotion, opensim_coordinates
from hypopose.quantities.opensim_coordinates import HIPS_IN_PELVIS
from hypopose.skeletons import H36M17, H36M21
from hypopose.types import Poses3D, Skeleton


def read_mot(path):
    pandas = importlib.import_module("pandas")
    lines = path.read_text().splitlines()
    end = lines.index("endheader")
    assert {"nRows=12", "nColumns=26", "inDegrees=yes"} < set(lines[:end])
    return pandas.read_csv(path, sep="\t", skiprows=end + 1)


def rotated(order: str, *degrees: float) -> np.ndarray:
    """Body-fixed rotations by scipy, which is not how the coordinates were found."""
    return Rotation.from_euler(order, degrees, degrees=True).as_matrix()


def model(row: dict[str, float]) -> dict[str, np.ndarray]:
    """Directions of segments of OpenSim's model: forward kinematics with its axes."""
    down = np.array([0.0, -1.0, 0.0])
    pelvis = rotated("ZXY", *(row[f"pelvis_{n}"] for n in ("tilt", "list", "rotation")))
    torso = pelvis @ rotated("ZXY", *(row[f"lumbar_{n}"] for n in
                                      ("extension", "bending", "rotation")))  # fmt: skip
    found = {"pelvis": pelvis, "torso": torso}
    for side, sign in (("r", 1), ("l", -1)):
        hip = pelvis @ rotated("ZXY", row[f"hip_flexion_{side}"],
                               sign * row[f"hip_adduction_{side}"],
                               sign * row[f"hip_rotation_{side}"])  # fmt: skip
        found[f"thigh_{side}"] = hip @ down
        found[f"shank_{side}"] = hip @ rotated("Z", -row[f"knee_angle_{side}"]) @ down
        arm = torso @ rotated("ZXY", row[f"arm_flex_{side}"], sign * row[f"arm_add_{side}"],
                              sign * row[f"arm_rot_{side}"])  # fmt: skip
        found[f"arm_{side}"] = arm @ down
        found[f"forearm_{side}"] = arm @ rotated("Z", row[f"elbow_flex_{side}"]) @ down
    return found


SEGMENTS = {
    "thigh": ("hip", "knee"), "shank": ("knee", "ankle"), "arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}  # fmt: skip


def bent(side: str, thigh: float, knee: float, out: float, turn: float) -> dict[str, tuple]:
    """A leg whose angles are given, in a standing body that faces +x, z up."""
    sign = 1 if side == "right" else -1
    hip = np.array([0, -0.1 * sign, 0.9])
    frame = rotated("ZXY", thigh, sign * out, sign * turn)
    steps = (0.4 * frame @ [0, -1, 0], 0.42 * frame @ rotated("Z", -knee) @ [0, -1, 0])
    knee_at, ankle_at = (np.array([s[0], -s[2], s[1]]) for s in steps)
    return {f"{side}_knee": tuple(hip + knee_at), f"{side}_ankle": tuple(hip + knee_at + ankle_at)}


@pytest.mark.parametrize("angles", [(40, 60, 10, 15), (-15, 35, -12, -20), (80, 90, 5, 0)])
def test_angles_of_a_posed_leg_come_back(angles) -> None:
    motion = posed(**bent("right", *angles), **bent("left", *angles))
    found = {name: v.item() for name, v in opensim_coordinates(motion).items()}
    for side in ("r", "l"):
        names = ("hip_flexion", "knee_angle", "hip_adduction", "hip_rotation")
        assert [found[f"{n}_{side}"] for n in names] == pytest.approx(angles, abs=1e-5)


def test_standing_is_all_zeros() -> None:
    found = {name: v.item() for name, v in opensim_coordinates(posed()).items()}
    place = [found.pop(f"pelvis_t{axis}") for axis in "xyz"]
    assert place == pytest.approx([-HIPS_IN_PELVIS[0], 0.9 - HIPS_IN_PELVIS[1], 0])
    assert list(found.values()) == pytest.approx([0] * len(found), abs=1e-4)


def test_the_table_places_every_segment(result, tmp_path) -> None:
    """A random body in the world: directions follow from the table; bent limbs entirely."""
    export_result(tmp_path / "walk.mot", result, ExportOptions(which=1))
    table = read_mot(tmp_path / "walk.mot")
    assert table["time"].tolist() == pytest.approx([f / 25 for f in range(N_FRAMES)])
    world = cam_to_world(torch.tensor(placed(result, 1)).float(), result.keypoints.camera)
    at = {
        name: np.stack((x[:, 0], x[:, 2], -x[:, 1]), -1)  # y up
        for name, x in zip(H36M17.joint_names, world.double().numpy().swapaxes(0, 1), strict=True)
    }
    for f in range(N_FRAMES):
        row = table.iloc[f].to_dict()
        found = model(row)
        for segment, (start, end) in SEGMENTS.items():
            for side, long in (("r", "right"), ("l", "left")):
                seen = at[f"{long}_{end}"][f] - at[f"{long}_{start}"][f]
                joint = f"knee_angle_{side}" if segment == "shank" else f"elbow_flex_{side}"
                turn = f"hip_rotation_{side}" if segment == "shank" else f"arm_rot_{side}"
                limit = 60 if segment == "shank" else 90
                whole = row[joint] > 30 and abs(row[turn]) < limit - 1
                if segment in ("thigh", "arm") or whole:
                    cosine = found[f"{segment}_{side}"] @ seen / np.linalg.norm(seen)
                    assert cosine > 1 - 1e-6, (segment, side, f)
        hips = (at["left_hip"][f] + at["right_hip"][f]) / 2
        origin = np.array([row[f"pelvis_t{axis}"] for axis in "xyz"])
        assert origin + found["pelvis"] @ HIPS_IN_PELVIS == pytest.approx(hips, abs=1e-5)


def test_no_place_no_translations_and_no_arms_no_table(result) -> None:
    adrift = BodyMotion(result.pose.joints.double(), H36M17, 25.0, placed=False)
    assert not [n for n in opensim_coordinates(adrift) if n.startswith("pelvis_tx")]
    legs = Skeleton("legs", ("left_hip", "right_hip"), (-1, 0))
    with pytest.raises(SkeletonMismatchError, match="no joint 'thorax'"):
        opensim_coordinates(BodyMotion(torch.zeros(3, 2, 3), legs))


def text(node: minidom.Element, *path: str) -> str:
    for tag in path:
        node = node.getElementsByTagName(tag)[0]
    return node.firstChild.data


def test_set_ups_name_markers_files_and_weights(result, tmp_path) -> None:
    done = export_result(tmp_path / "walk.trc", result)
    assert [p.name for p in done.beside] == ["walk_markers.xml", "walk_scale.xml", "walk_ik.xml"]
    markers, scale, ik = (minidom.parse(str(path)).documentElement for path in done.beside)
    assert {m.tagName for m in (markers, scale, ik)} == {"OpenSimDocument"}
    named = [m.getAttribute("name") for m in markers.getElementsByTagName("Marker")]
    trc = (tmp_path / "walk.trc").read_text().splitlines()[3].split("\t")
    assert set(named) < {n for n in trc if n}
    assert "left_knee" in named
    places = {m.getAttribute("name"): text(m, "location") for m in
              markers.getElementsByTagName("Marker")}  # fmt: skip
    assert places["left_hip"].split()[2] == f"-{places['right_hip'].split()[2]}"
    assert text(scale, "marker_set_file") == "walk_markers.xml"
    assert text(scale, "marker_file") == text(ik, "marker_file") == "walk.trc"
    assert text(scale, "output_model_file") == text(ik, "model_file") == "walk_scaled.osim"
    pairs = [p.firstChild.data.split() for p in scale.getElementsByTagName("markers")]
    assert {name for pair in pairs for name in pair} <= set(named)
    scaled = [b.getAttribute("name") for b in scale.getElementsByTagName("BodyScale")]
    assert {"pelvis", "torso", "femur_r", "femur_l", "tibia_l", "humerus_r"} < set(scaled)
    assert len(scaled) == len(set(scaled))  # no body is scaled twice
    assert float(text(ik, "time_range").split()[1]) == pytest.approx((N_FRAMES - 1) / 25)
    weights = {t.getAttribute("name"): float(text(t, "weight")) for t in
               ik.getElementsByTagName("IKMarkerTask")}  # fmt: skip
    assert set(weights) == set(named)
    sigma = result.pose.std.norm(dim=-1).square().mean(0)
    a, b = "left_knee", "right_wrist"
    ratio = sigma[H36M17.index(b)] / sigma[H36M17.index(a)]
    assert weights[a] / weights[b] == pytest.approx(float(ratio), rel=0.02)


def test_without_a_spread_all_markers_weigh_alike(result, tmp_path) -> None:
    blind = replace(result, pose=replace(result.pose, std=None))
    _, _, ik = export_result(tmp_path / "walk.trc", blind).beside
    tasks = minidom.parse(str(ik)).getElementsByTagName("IKMarkerTask")
    assert {text(task, "weight") for task in tasks} == {"1"}


def with_feet(result):
    """The same bodies with heels and toes somewhere near their ankles."""
    ankles = [H36M17.index(f"{side}_ankle") for side in ("left", "left", "right", "right")]
    offsets = torch.tensor([[-0.05, 0.05, 0.0], [0.2, 0.05, 0.0]] * 2)
    x, pose = result.hypotheses, result.pose
    joints = torch.cat((x.joints, x.joints[..., ankles, :] + offsets), -2)
    both = Poses3D(joints.mean(0), H36M21, pose.root, joints.std(0))
    return replace(result, hypotheses=replace(x, joints=joints, skeleton=H36M21), pose=both)


def test_feet_are_markers_of_the_foot(result, tmp_path) -> None:
    markers, _, ik = export_result(tmp_path / "walk.trc", with_feet(result)).beside
    found = {m.getAttribute("name"): m for m in
             minidom.parse(str(markers)).getElementsByTagName("Marker")}  # fmt: skip
    for side, sign in (("left", -1), ("right", 1)):
        for name, ahead in (("heel", -1), ("big_toe", 1)):
            marker = found[f"{side}_{name}"]
            assert text(marker, "socket_parent_frame") == f"/bodyset/calcn_{side[0]}"
            place = [float(x) for x in text(marker, "location").split()]
            assert place[0] * ahead > 0
            assert place[2] * sign <= 0  # the big toe is on the inner side
    tasks = minidom.parse(str(ik)).getElementsByTagName("IKMarkerTask")
    assert {t.getAttribute("name") for t in tasks} == set(found)


def test_opensim_itself_reads_every_file(result, tmp_path, monkeypatch) -> None:
    """With the package ``opensim`` (pip install opensim), version 4.4 or later."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Off")
    monkeypatch.chdir(tmp_path)  # it writes a log
    full = with_feet(result)
    done = export_result(tmp_path / "walk.trc", full)
    export_result(tmp_path / "walk.mot", full)
    markers, scale, ik = (str(path) for path in done.beside)
    read = opensim.MarkerSet(markers)
    named = {read.get(i).getName(): read.get(i) for i in range(read.getSize())}
    assert named["left_knee"].getParentFrameName() == "/bodyset/tibia_l"
    assert named["right_hip"].get_location()[2] == pytest.approx(0.0773)
    tool = opensim.ScaleTool(scale)
    assert tool.getGenericModelMaker().getMarkerSetFileName() == "walk_markers.xml"
    scaler = tool.getModelScaler()
    assert scaler.getMarkerFileName() == "walk.trc"
    assert scaler.getOutputModelFileName() == "walk_scaled.osim"
    measurements = scaler.getMeasurementSet()
    assert {measurements.get(i).getName(): measurements.get(i).getNumMarkerPairs()
            for i in range(measurements.getSize())} == {
        "trunk": 1, "thigh": 2, "shank": 2, "upper_arm": 2, "forearm": 2}  # fmt: skip
    thigh = measurements.get("thigh")
    assert thigh.getBodyScaleSet().get("femur_l").getAxisNames().getSize() == 3
    tasks = (kinematics := opensim.InverseKinematicsTool(ik)).getIKTaskSet()
    weights = {tasks.get(i).getName(): tasks.get(i).getWeight() for i in range(tasks.getSize())}
    assert set(weights) == {*named, "lumbar_extension"}
    assert weights["left_knee"] != weights["right_wrist"]
    assert kinematics.getMarkerDataFileName() == "walk.trc"
    assert kinematics.getEndTime() == pytest.approx((N_FRAMES - 1) / 25)
    trc = opensim.TimeSeriesTableVec3(str(tmp_path / "walk.trc"))
    assert (trc.getNumRows(), trc.getNumColumns()) == (N_FRAMES, 21)
    assert trc.getTableMetaDataString("Units") == "mm"
    mot = opensim.TimeSeriesTable(str(tmp_path / "walk.mot"))
    assert mot.getTableMetaDataString("inDegrees") == "yes"
    own = opensim_coordinates(body_motion_of_file(full))
    column = mot.getDependentColumn("knee_angle_r").to_numpy()
    assert column == pytest.approx(own["knee_angle_r"].numpy(), abs=1e-4)
    assert "ankle_angle_l" in mot.getColumnLabels()


def body_motion_of_file(result) -> BodyMotion:
    """The aggregate as :file:`.mot` holds it; knee angles do not depend on the frame."""
    return BodyMotion(result.pose.joints.double(), result.pose.skeleton, 25.0)

"""Motion capture files against motions whose positions are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from captured_motion import AMC, ASF, body_model, bvh_text, t_pose
from click.testing import CliRunner
from scipy.spatial.transform import Rotation

from hypopose.cli import main
from hypopose.datasets import example_motion, load_motion
from hypopose.datasets.capture import (
    CapturedRig,
    CaptureFile,
    Options,
    RecordedClip,
    cleaned,
    find_sources,
    load_body_model,
    read_3dhp,
    read_amass,
    read_amc,
    read_asf,
    read_bvh,
    read_h36m,
    read_source,
    to_h36m17,
    write_shard,
)
from hypopose.datasets.capture.amass import BODY_JOINTS
from hypopose.datasets.capture.recorded_clip import leg_length
from hypopose.errors import FormatError, OptionError
from hypopose.training import TrainConfig, Trainer

ARM_BVH = """HIERARCHY
ROOT shoulder
{
  OFFSET 9 9 9
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT elbow
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.02
0 0 0  0 0 0  0 0 0
1 2 3  90 0 0  0 0 0
0 0 0  90 0 0  0 90 0
"""


def test_bvh_is_posed_as_its_channels_say(tmp_path: Path) -> None:
    (tmp_path / "arm.bvh").write_text(ARM_BVH)
    rig = read_bvh(tmp_path / "arm.bvh")
    assert (rig.names, rig.parents) == (("shoulder", "elbow", "elbow_end"), (-1, 0, 1))
    assert rig.fps == pytest.approx(50)
    expected = [
        [[0, 0, 0], [0, 10, 0], [0, 15, 0]],
        [[1, 2, 3], [-9, 2, 3], [-14, 2, 3]],
        [[0, 0, 0], [-10, 0, 0], [-10, 0, 5]],
    ]
    assert np.allclose(rig.positions, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("Frames: 3", "Frames: 4"), "4 frames of 9 numbers, found 27"),
        (("OFFSET 0 10 0", "OFFSET 0 ten 0"), "HIERARCHY is damaged"),
        (("HIERARCHY", "NOTHING"), "is not a BVH file"),
        (("Zrotation Xrotation", "Wrotation Xrotation"), "unknown or repeated channels"),
        (("Frame Time: 0.02", "Frame Time: 0"), "positive"),
    ],
)
def test_damaged_bvh_says_where(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    (tmp_path / "bad.bvh").write_text(ARM_BVH.replace(*change))
    with pytest.raises(FormatError, match=words):
        read_bvh(tmp_path / "bad.bvh")


def test_deeply_nested_bvh_is_read_or_refused_without_recursion(tmp_path: Path) -> None:
    text = "HIERARCHY " + "".join(f"JOINT j{i} {{ OFFSET 0 0 0 " for i in range(5000))
    (tmp_path / "deep.bvh").write_text(text + "}" * 5000 + " MOTION")
    with pytest.raises(FormatError, match="more than 1000 joints"):
        read_bvh(tmp_path / "deep.bvh")


def test_acclaim_bones_turn_about_their_own_axes(tmp_path: Path) -> None:
    (tmp_path / "05.asf").write_text(ASF)
    (tmp_path / "05_01.amc").write_text(AMC)
    rig = read_amc(tmp_path / "05_01.amc", read_asf(tmp_path / "05.asf"))
    assert rig.names == ("root", "lfemur", "ltibia")
    assert np.allclose(rig.positions[0], [[1, 2, 3], [1, -6, 3], [1, -13, 3]])
    # The root turned by 90 degrees about z: the thigh points along +x. The shin bends about its
    # own x axis, which the bone's frame tilts by 20 degrees.
    frame = Rotation.from_euler("z", 20, degrees=True)
    bend = frame * Rotation.from_euler("x", 90, degrees=True) * frame.inv()
    shin = Rotation.from_euler("z", 90, degrees=True).apply(bend.apply([0, -7, 0]))
    assert np.allclose(rig.positions[1], [[0, 0, 0], [8, 0, 0], np.array([8, 0, 0]) + shin])


def test_a_motion_of_another_skeleton_is_refused(tmp_path: Path) -> None:
    (tmp_path / "05.asf").write_text(ASF)
    (tmp_path / "bad.amc").write_text(AMC.replace("lfemur 0 0 0", "lfemur 0 0"))
    with pytest.raises(FormatError, match="ASF file of the same subject"):
        read_amc(tmp_path / "bad.amc", read_asf(tmp_path / "05.asf"))
    (tmp_path / "no.asf").write_text(":version 1.10\n")
    with pytest.raises(FormatError, match="not an ASF file"):
        read_asf(tmp_path / "no.asf")


def test_a_rig_becomes_17_joints_upright_in_meters_and_not_mirrored() -> None:
    x = to_h36m17(t_pose())[0]
    assert x[0] == pytest.approx([0, 0, 0.95])
    assert x[6] == pytest.approx([0.10, 0, 0.08])  # left ankle, +x as in the file
    assert x[13] == pytest.approx([0.70, 0, 1.44])
    assert x[8] == pytest.approx([0, 0, 1.44])  # as high as the shoulders
    assert x[9] == pytest.approx([0, 0, 1.60])
    assert x[10][2] == pytest.approx(1.60 + 0.115 * 0.87 / 0.897)
    assert 1.15 < x[7][2] < 1.2
    # Facing (l_hip - r_hip) x z: along the file's z, which is -y with z up.
    facing = np.cross(x[4] - x[1], [0, 0, 1])
    assert facing / np.linalg.norm(facing) == pytest.approx([0, -1, 0])


@pytest.mark.parametrize(
    ("factor", "unit"), [(0.01, "m"), (1.0, "cm"), (10.0, "mm"), (0.1772, "cmu")]
)
def test_units_are_told_by_the_legs(factor: float, unit: str) -> None:
    rig = t_pose()
    scaled = CapturedRig(rig.names, rig.parents, rig.positions * factor, rig.fps)
    found = to_h36m17(scaled)
    assert np.allclose(found, to_h36m17(scaled, unit=unit))
    assert leg_length(found) == pytest.approx(0.87, rel=1e-3)


PARTS = (
    ("hip", "UpLeg"), ("knee", "Leg"), ("ankle", "Foot"),
    ("shoulder", "Arm"), ("elbow", "ForeArm"), ("wrist", "Hand"),
)  # fmt: skip


def test_names_with_prefixes_and_own_names_work() -> None:
    rig = t_pose()
    prefixed = CapturedRig(
        tuple(f"mixamorig:{n}" for n in rig.names), rig.parents, rig.positions, 30.0
    )
    assert np.allclose(to_h36m17(prefixed), to_h36m17(rig))
    odd = CapturedRig(tuple(f"bone{i}" for i in range(17)), rig.parents, rig.positions, 30.0)
    with pytest.raises(FormatError, match="--joints"):
        to_h36m17(odd)
    at = {n: f"bone{i}" for i, n in enumerate(rig.names)}
    own = {"neck": at["Neck"], "head_base": at["Head"], "spine": f"{at['Spine']} {at['Spine1']}"}
    for side in ("left", "right"):
        for part, name in PARTS:
            own[f"{side}_{part}"] = at[f"{side.capitalize()}{name}"]
    assert np.allclose(to_h36m17(odd, names=own), to_h36m17(rig))
    with pytest.raises(OptionError, match="left_hip"):
        to_h36m17(odd, names={k: v for k, v in own.items() if k != "left_hip"})


def test_what_cgspeed_lost_of_cmu_is_put_back() -> None:
    """Neck and shoulders at Spine1, hands at 2/3 of the forearm: trunk and forearm come back."""
    rig = t_pose()
    x = rig.positions.copy()
    at = {name: i for i, name in enumerate(rig.names)}
    missing = np.array([0, 11 * 0.87 / 0.897, 0])
    for name in ("Neck", "Head", "LeftArm", "LeftForeArm", "LeftHand",
                 "RightArm", "RightForeArm", "RightHand"):  # fmt: skip
        x[:, at[name]] -= missing
    for side in ("Left", "Right"):
        elbow, hand = x[:, at[f"{side}ForeArm"]], x[:, at[f"{side}Hand"]]
        x[:, at[f"{side}Hand"]] = elbow + (hand - elbow) / 1.5
    names = (*rig.names, "LHipJoint", "LowerBack")
    cut = CapturedRig(
        names, (*rig.parents, 0, 0), np.concatenate([x, x[:, :1], x[:, :1]], 1), 120.0
    )
    whole = to_h36m17(rig)
    assert np.allclose(to_h36m17(cut)[:, [0, 8, 9, 13, 16]], whole[:, [0, 8, 9, 13, 16]], atol=1e-6)


def walk(n: int = 100, fps: float = 25.0, **options: str) -> RecordedClip:
    return RecordedClip(example_motion(n).numpy().astype(np.float64), fps, "walk", **options)


def test_clips_are_resampled_and_set_on_the_floor() -> None:
    moved = RecordedClip(walk().joints + np.array([3.0, -2.0, 0.7]), 25.0, "walk")
    (clip,) = cleaned(moved)
    assert clip.fps == 50
    assert len(clip.joints) == 199
    track = clip.joints[:, 0, :2]
    assert (track.min(0) + track.max(0)) / 2 == pytest.approx([0, 0], abs=1e-9)
    assert np.percentile(clip.joints[:, [3, 6], 2].min(1), 5) == pytest.approx(0.08)
    shift = clip.joints[0, 0] - walk().joints[0, 0]
    assert np.allclose(clip.joints[::2], walk().joints + shift, atol=1e-9)


def test_faster_clips_lose_what_50_hz_cannot_hold() -> None:
    t = np.arange(240) / 240
    x = np.tile(walk(1).joints, (240, 1, 1))
    hum = 0.002 * np.sin(2 * math.pi * 100 * t)[:, None]
    slow = 0.05 * np.sin(2 * math.pi * 2 * t)[:, None]
    x[:, 13] += hum * [1, 0, 0] + slow * [0, 1, 0]
    (clip,) = cleaned(RecordedClip(x, 240.0, "hum"))
    wrist = clip.joints[5:-5, 13] - clip.joints[5:-5, 0]
    assert np.ptp(wrist[:, 0]) < 2e-4
    assert np.ptp(wrist[:, 1]) == pytest.approx(0.1, rel=0.02)


def test_jumps_and_gaps_split_a_clip() -> None:
    x = walk(100).joints.copy()
    x[40:] += [2.0, 0, 0]  # 50 m/s
    x[70, 3] = np.nan
    pieces = cleaned(RecordedClip(x, 25.0, "walk"))
    assert [p.name for p in pieces] == ["walk_part1", "walk_part2", "walk_part3"]
    assert [len(p.joints) for p in pieces] == [79, 59, 57]
    with pytest.raises(FormatError, match="frame rate"):
        cleaned(RecordedClip(x, 0.0, "walk"))


def test_shards_are_read_back_and_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "shard.npz"
    clips = [c for s in ("a", "b", "c") for c in cleaned(walk(subject=s, license="CC0"))]
    assert write_shard(path, clips, val=["b"], test=["c"]) == {
        "train": 199,
        "val": 199,
        "test": 199,
    }
    motion = load_motion(path)
    assert np.allclose(motion.clip(0).numpy(), clips[0].joints, atol=0.00013)
    with np.load(path) as archive:
        assert list(archive["license"]) == ["CC0"] * 3
        assert list(archive["subject"]) == ["a", "b", "c"]
    options = {"width": 16, "n_layers": 1, "n_heads": 2, "bf16": False, "batch_frames": 40}
    one = {"lengths": (5,), "length_shares": (1.0,)}
    config = TrainConfig.from_options(shards=(str(path),), **options, **one)
    assert math.isfinite(Trainer(config).step()["loss_mm"])
    with pytest.raises(OptionError, match="There are 'a', 'b', 'c'"):
        write_shard(path, clips, val=["d"])
    with pytest.raises(OptionError, match="no clips"):
        write_shard(path, [])


def test_clips_that_walk_away_are_cut_to_what_integers_hold(tmp_path: Path) -> None:
    x = walk(200).joints + np.linspace(0, 1, 200)[:, None, None] * [12.0, 0, 0]
    write_shard(tmp_path / "far.npz", cleaned(RecordedClip(x, 25.0, "far")))
    motion = load_motion(tmp_path / "far.npz")
    assert 100 < motion.length[0] < 400
    assert motion.joints.abs().max() <= 8.0


def test_amass_is_posed_with_the_users_body_model(tmp_path: Path) -> None:
    model = load_body_model(body_model(tmp_path))
    poses = np.zeros((2, 156))
    poses[1, 3 * 18 : 3 * 18 + 3] = [0, 0, math.pi / 2]  # the left elbow, about z
    np.savez(tmp_path / "walk_poses.npz", poses=poses, trans=np.array([[0, 0, 0], [1, 0, 0.0]]),
             betas=np.array([1.0]), mocap_framerate=60.0)  # fmt: skip
    rig = read_amass(tmp_path / "walk_poses.npz", model)
    at = {name: i for i, name in enumerate(BODY_JOINTS)}
    assert rig.fps == 60
    assert rig.positions[0, at["pelvis"]] == pytest.approx([0, 0.95 * 1.1, 0])
    elbow, wrist = rig.positions[1, at["left_elbow"]], rig.positions[1, at["left_wrist"]]
    assert elbow - rig.positions[0, at["left_elbow"]] == pytest.approx([1, 0, 0])
    assert wrist - elbow == pytest.approx([0, 0.25 * 1.1, 0])
    assert to_h36m17(rig, up="y").shape == (2, 17, 3)
    source = CaptureFile(tmp_path / "walk_poses.npz", "amass")
    with pytest.raises(OptionError, match="--body-model"):
        read_source(source, Options())
    (clip,) = read_source(source, Options(body_model=tmp_path / "model.npz"))
    assert "non-commercial" in clip.license
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(FormatError, match="not as a pickle"):
        load_body_model(tmp_path / "model.pkl")


def test_human36m_archives_are_read_without_unpickling(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 32, 3)).astype(np.float32)
    positions = {"S1": {"Walking 1": x}}
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=np.array(positions, dtype=object))
    (clip,) = read_h36m(tmp_path / "data_3d_h36m.npz")
    assert (clip.name, clip.subject, clip.action) == ("h36m_S1_Walking_1", "S1", "Walking")
    assert "academic" in clip.license
    assert np.allclose(clip.joints[:, 13], x[:, 19])
    assert find_sources(tmp_path) == [CaptureFile(tmp_path / "data_3d_h36m.npz", "h36m")]


def test_3dhp_archives_stand_upright(tmp_path: Path) -> None:
    # Camera frame, millimeters: y down. Head top 0 at y = -600, pelvis 14 at 0.
    pose = np.zeros((30, 17, 3))
    pose[:, 0, 1], pose[:, :, 2] = -600, 3000
    view = {"data_2d": np.zeros((30, 17, 2)), "data_3d": pose}
    other = {"data_2d": np.zeros((30, 17, 2)), "data_3d": pose * 2}
    train = {"S1 Seq1": [{"10": other, "0": view}, 25]}
    np.savez(tmp_path / "data_train_3dhp.npz", data=np.array(train, dtype=object))
    (clip,) = read_3dhp(tmp_path / "data_train_3dhp.npz")
    assert (clip.subject, clip.fps, clip.flags) == ("S1", 25.0, "gravity_from_camera")
    assert clip.joints[0, 10] - clip.joints[0, 0] == pytest.approx([0, 0, 0.6])
    test = {"TS1": {**view, "valid": np.arange(30) < 20}}
    np.savez(tmp_path / "data_test_3dhp.npz", data=np.array(test, dtype=object))
    (clip,) = read_3dhp(tmp_path / "data_test_3dhp.npz")
    assert np.isnan(clip.joints[20:]).all()
    assert [len(c.joints) for c in cleaned(clip)] == [39]


def test_hostile_archives_run_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "owned"),)  # type: ignore[return-value]

    evil = np.array({"S1": Evil()}, dtype=object)
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=evil)
    with pytest.raises(FormatError):
        read_h36m(tmp_path / "data_3d_h36m.npz")
    assert not (tmp_path / "owned").exists()


def test_a_folder_becomes_a_shard_and_bad_files_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "capture" / "anna"
    folder.mkdir(parents=True)
    (folder / "wave_01.bvh").write_text(bvh_text(t_pose()))
    (folder / "broken.bvh").write_text("HIERARCHY ROOT")
    (folder / "notes.txt").write_text("nothing to see")
    out = tmp_path / "shard.npz"
    command = ["data", "prepare", str(tmp_path / "capture"), "-o", str(out), "--license", "mine"]
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 1, told.output
    assert "broken.bvh" in told.output
    assert "terms: mine" in told.output
    motion = load_motion(out)
    assert (motion.n_clips, motion.actions) == (1, ("wave",))
    assert motion.joints[0, 0, 2] == pytest.approx(0.95, abs=1e-3)
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 2
    assert "--force" in again.output
    empty = CliRunner().invoke(main, ["data", "prepare", str(folder / "notes.txt"), "-o", "x.npz"])
    assert empty.exit_code == 2
    assert torch.is_tensor(motion.joints)

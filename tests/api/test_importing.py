"""Imported 3D motion is a result that evaluation, export and reports take."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from walker import POSE2SIM, in_axes, native, walk, write_trc

import hypopose
from hypopose.cameras import look_at
from hypopose.errors import FormatError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.evaluation import evaluate_pair, read_truth
from hypopose.evaluation.truth import TruthFrameWarning
from hypopose.io import ExportOptions, export_result, save_keypoints, save_result
from hypopose.skeletons import get_skeleton
from hypopose.types import Camera, Keypoints2D

H36M = get_skeleton("h36m17").joint_names


def quietly(*paths, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hypopose.import_motion(*paths, **options)


@pytest.fixture
def result(tmp_path):
    keypoints, _ = hypopose.datasets.example_pair()
    some = replace(keypoints, xy=keypoints.xy[:12], confidence=None, covariance=None)
    return hypopose.estimate(some, sampler="boneflips", n_hypotheses=2)


def directions(pose):
    """Unit vectors along the bones."""
    bones = [
        pose.joints[:, child] - pose.joints[:, parent] for parent, child in pose.skeleton.bones
    ]
    return torch.nn.functional.normalize(torch.stack(bones, 1), dim=-1)


@pytest.mark.parametrize("ending", ["trc", "c3d", "bvh"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_what_is_exported_is_imported_again(result, ending, up, tmp_path):
    if ending == "c3d":
        pytest.importorskip("ezc3d")
    path = tmp_path / f"walk.{ending}"
    export_result(path, result, ExportOptions(up=up, frame="camera"))
    back = quietly(path, to="h36m17")["0"]
    assert torch.allclose(directions(back.pose), directions(result.pose), atol=1e-4)
    if ending != "bvh":  # whose bones keep one length: only their directions come back
        assert torch.allclose(back.pose.joints, result.pose.joints, atol=2e-6)
    assert torch.allclose(back.pose.root, result.pose.root, atol=2e-6)
    assert back.keypoints.fps == pytest.approx(result.keypoints.fps)
    assert not any("Angles" in note for note in back.notes)  # degrees are no places


def test_it_is_written_and_read_like_any_result(tmp_path):
    path = write_trc(tmp_path / "a.trc", H36M, in_axes(walk(H36M), "y"))
    made = quietly(path)["0"]
    save_result(tmp_path / "a.npz", made)
    back = hypopose.load_hypotheses(tmp_path / "a.npz")
    assert back.sampler == {"name": "import", "format": "trc", "frame": "file, y up"}
    places = back.hypotheses.joints + back.hypotheses.root[:, :, None]
    assert np.abs(places[0].numpy() - native(walk(H36M))).max() < 1e-5
    assert back.pose.std is None
    done = export_result(tmp_path / "b.trc", back)
    assert done.axes.startswith("frame of the imported file; x right; y up")
    with pytest.raises(FormatError, match="holds no keypoints"):
        hypopose.load_people(tmp_path / "a.npz")


def test_files_are_hypotheses(tmp_path):
    a = write_trc(tmp_path / "a.trc", H36M, in_axes(walk(H36M), "y"))
    b = write_trc(tmp_path / "b.trc", H36M, in_axes(walk(H36M, aside=(0.2, 0, 0)), "y"))
    made = quietly([a, b])["0"]
    assert len(made.hypotheses) == 2
    assert made.pose.std is not None
    apart = made.hypotheses.root[1] - made.hypotheses.root[0]
    assert torch.allclose(apart, torch.tensor([0.2, 0, 0]).expand(20, 3), atol=1e-6)
    assert torch.allclose(hypopose.aggregate(made.hypotheses, made.keypoints, "median").joints,
                          made.pose.joints, atol=1e-6)  # fmt: skip


def test_files_that_do_not_belong_together(tmp_path):
    a = write_trc(tmp_path / "a.trc", H36M, in_axes(walk(H36M), "y"))
    b = write_trc(tmp_path / "b.trc", H36M, in_axes(walk(H36M, 9), "y"))
    with pytest.raises(ShapeError, match=r"9 frames.*20; .*one by one"):
        quietly([a, b])
    coco = get_skeleton("coco17").joint_names
    c = write_trc(tmp_path / "c.trc", coco, in_axes(walk(coco), "y"))
    with pytest.raises(OptionError, match=r"coco17.*to=h36m17"):
        quietly([a, c])
    assert len(quietly([a, c], to="h36m17")["0"].hypotheses) == 2
    np.save(tmp_path / "two.npy", np.stack([walk(H36M), walk(H36M)], 1))
    with pytest.raises(OptionError, match="the same people"):
        quietly([tmp_path / "two.npy", a], skeleton="h36m17", up="z", unit="m")
    with pytest.raises(OptionError, match="at least one file"):
        quietly([])


def test_a_camera_brings_it_into_its_frame(tmp_path):
    rotation = look_at(torch.tensor([0.2, 5.0, -0.5]))
    place = torch.tensor([1.0, -3.0, 1.5])
    camera = replace(
        Camera.from_fov((1280, 720)),
        rotation=rotation,
        translation=-rotation @ place,
        assumed=False,
    )
    np.save(tmp_path / "a.npy", 1000 * walk(H36M))
    made = quietly(tmp_path / "a.npy", skeleton="h36m17", camera=camera)["0"]
    world = torch.from_numpy(walk(H36M)).float()
    expected = world @ camera.rotation.T + camera.translation
    places = made.hypotheses.joints[0] + made.hypotheses.root[0][:, None]
    assert (places - expected).abs().max() < 1e-5
    assert made.sampler["frame"] == "camera"
    done = export_result(
        tmp_path / "world.trc", made, ExportOptions(frame="world", unit="m", up="z")
    )
    assert done.axes.startswith("world frame")
    back = quietly(tmp_path / "world.trc")["0"]
    assert (
        np.abs((back.pose.joints + back.pose.root[:, None]).numpy() - native(walk(H36M))).max()
        < 1e-3
    )
    with pytest.raises(OptionError, match="stands nowhere"):
        quietly(tmp_path / "a.npy", skeleton="h36m17", camera=Camera.from_fov((1280, 720)))
    with pytest.raises(OptionError, match="leave out up"):
        quietly(tmp_path / "a.npy", skeleton="h36m17", camera=camera, up="z")


def test_it_is_a_truth(result, tmp_path):
    export_result(tmp_path / "walk.trc", result)
    save_result(tmp_path / "truth.npz", quietly(tmp_path / "walk.trc")["0"])
    with pytest.warns(TruthFrameWarning, match="axes of its own file"):
        truth = read_truth(tmp_path / "truth.npz", result.hypotheses)
    scores = evaluate_pair(result.hypotheses, None, truth)
    assert scores["p_mpjpe_mean_mm"] < 0.1
    coco = get_skeleton("coco17").joint_names
    path = write_trc(tmp_path / "c.trc", coco, in_axes(walk(coco, 12), "y"))
    save_result(tmp_path / "coco.npz", quietly(path)["0"])
    with pytest.raises(FormatError, match="to=h36m17"):
        read_truth(tmp_path / "coco.npz", result.hypotheses)
    save_result(tmp_path / "coco2.npz", quietly(path, to="h36m17")["0"])
    with pytest.warns(TruthFrameWarning):
        read_truth(tmp_path / "coco2.npz", result.hypotheses)


def test_pose2sims_markers_become_human36ms_joints(tmp_path):
    x = in_axes(walk(list(POSE2SIM.values())), "y")
    path = write_trc(tmp_path / "walk.trc", list(POSE2SIM), x)
    made = quietly(path, to="h36m17")["0"]
    places = (made.pose.joints + made.pose.root[:, None]).numpy()
    expected = native(walk(H36M))
    same = [H36M.index(j) for j in H36M if j not in ("pelvis", "spine", "neck", "head", "thorax")]
    assert np.abs(places - expected)[:, same].max() < 1e-5
    assert np.isfinite(places).all()
    assert any("formed from halpe26" in note for note in made.notes)
    lab = write_trc(tmp_path / "lab.trc", ["LASI", "RASI", "SACR", "LKNE", "LANK"],
                    x[:, [7, 1, 0, 8, 9]])  # fmt: skip
    with pytest.raises(SkeletonMismatchError, match=r"skeleton=FILE\.toml"):
        quietly(lab, to="h36m17")


def mixamo(folder: Path) -> Path:
    """A rig of Mixamo's joints who stands still, in centimeters."""
    tree = ("Hips", (0, 95, 0), [
        ("Spine", (0, 20, 0), [("Neck", (0, 30, 0), [("Head", (0, 12, 0), [])]),
            ("LeftShoulder", (5, 25, 0), [("LeftArm", (13, 0, 0), [
                ("LeftForeArm", (28, 0, 0), [("LeftHand", (25, 0, 0), [])])])]),
            ("RightShoulder", (-5, 25, 0), [("RightArm", (-13, 0, 0), [
                ("RightForeArm", (-28, 0, 0), [("RightHand", (-25, 0, 0), [])])])])]),
        ("LeftUpLeg", (10, 0, 0), [("LeftLeg", (0, -43, 0), [("LeftFoot", (0, -42, 0), [])])]),
        ("RightUpLeg", (-10, 0, 0), [("RightLeg", (0, -43, 0), [("RightFoot", (0, -42, 0), [])])]),
    ])  # fmt: skip
    lines: list[str] = []
    n = 0

    def add(node, depth, word="JOINT"):
        nonlocal n
        name, offset, children = node
        n += 1
        lines.extend([f"{word} mixamorig:{name}", "{", "OFFSET {} {} {}".format(*offset)])
        lines.append("CHANNELS 3 Zrotation Xrotation Yrotation")
        for child in children:
            add(child, depth + 1)
        if not children:
            lines.extend(["End Site", "{", "OFFSET 0 5 0", "}"])
        lines.append("}")

    add(tree, 0, "ROOT")
    frames = ["Frames: 3", "Frame Time: 0.04", *([" ".join(["0"] * 3 * n)] * 3)]
    path = folder / "rig.bvh"
    path.write_text("\n".join(["HIERARCHY", *lines, "MOTION", *frames]))
    return path


def test_an_animation_rig(tmp_path):
    path = mixamo(tmp_path)
    own = quietly(path)["0"]
    assert "hips" in own.pose.skeleton.joint_names
    made = quietly(path, to="h36m17")["0"]
    assert made.keypoints.fps == 25
    places = (made.pose.joints + made.pose.root[:, None]).numpy()[0]
    knee, hip = (places[H36M.index(f"left_{j}")] for j in ("knee", "hip"))
    assert np.abs(hip - knee - [0, -0.43, 0]).max() < 1e-6
    assert hip[0] == pytest.approx(0.10, abs=1e-6)  # the person's left, seen from the front


def test_unknown_roots_are_stood_in_for_and_said(tmp_path):
    x = in_axes(walk(H36M), "y")
    x[4, 0] = np.nan
    made = quietly(write_trc(tmp_path / "a.trc", H36M, x))["0"]
    assert made.hypotheses.root.isfinite().all()
    assert torch.isnan(made.hypotheses.joints[0, 4, 0]).all()
    assert "pelvis is unknown in 1 frames" in made.notes[-1]


def test_what_needs_keypoints_says_so(tmp_path):
    made = quietly(write_trc(tmp_path / "a.trc", H36M, in_axes(walk(H36M), "y")))["0"]
    for action in (
        lambda: hypopose.refine(made),
        lambda: hypopose.aggregate(made.hypotheses, made.keypoints, "jpma"),
    ):
        with pytest.raises(OptionError, match="imported 3D motion has none"):
            action()
    empty = Keypoints2D(torch.full((3, 17, 2), torch.nan), get_skeleton("h36m17"))
    save_keypoints(tmp_path / "none.npz", empty)
    with pytest.raises(FormatError, match="holds no keypoints"):
        hypopose.load(tmp_path / "none.npz")

"""Results, keypoints and cameras on disk: what goes in comes out, and files appear whole."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from hypopose.errors import FormatError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.io import (
    Result,
    inspect,
    load,
    load_camera,
    load_hypotheses,
    save_camera,
    save_keypoints,
    save_result,
    write_atomically,
)
from hypopose.skeletons import get_skeleton
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

H36M = get_skeleton("h36m17")


def make_result(full=True):
    g = torch.Generator().manual_seed(0)
    joints, root = torch.randn(5, 4, 17, 3, generator=g), torch.randn(5, 4, 3, generator=g)
    xy = torch.randn(4, 17, 2, generator=g) * 100
    xy[2, 3] = torch.nan
    camera = Camera(
        focal=torch.tensor([900.5, 901.25]),
        center=torch.tensor([320.0, 240.0]),
        image_size=(640, 480),
        distortion=torch.tensor([0.1, -0.2, 0.001, 0.002, 0.03]),
        distortion_model="opencv",
        rotation=torch.eye(3),
        translation=torch.tensor([0.0, 1.0, 4.0]),
    )
    keypoints = Keypoints2D(
        xy=xy,
        skeleton=H36M,
        confidence=xy[..., 0].isfinite().float() if full else None,
        camera=camera if full else None,
        image_size=(640, 480) if full else None,
        fps=29.97 if full else None,
        approximate=("spine", "thorax"),
        notes=("gap of 3 frames – ü",),
    )
    return Result(
        hypotheses=Hypotheses(joints, H36M, root if full else None),
        pose=Poses3D(joints.mean(0), H36M, root.mean(0) if full else None, joints.std(0))
        if full
        else Poses3D(joints.mean(0), H36M),
        keypoints=keypoints,
        seed=7,
        sampler={"name": "d3dp", "n_steps": 5, "window": None},
        weights="d3dp-frame-small",
        aggregate="jpma",
        person="clip.mp4",
        source="walk.json",
        version="0.1.0",
        notes=("camera assumed",),
        calibrator={"kind": "chain", "file": "calibrator.json"} if full else {},
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a.nan_to_num(-9), b.nan_to_num(-9))
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, k), getattr(b, k)) for k in a.__dataclass_fields__)
    return a == b


@pytest.mark.parametrize("full", [True, False])
def test_npz_round_trip_without_pickles(tmp_path, full):
    result = make_result(full)
    save_result(tmp_path / "out.npz", result)
    assert same(load_hypotheses(tmp_path / "out.npz"), result)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        assert stored["hypotheses"].dtype == np.float32
        assert json.loads(stored["metadata"].item())["seed"] == 7
    assert (tmp_path / "out.npz").read_bytes() == rewritten(tmp_path, result)


def test_results_written_before_calibrators_were_kept_are_read(tmp_path):
    result = make_result()
    save_result(tmp_path / "out.npz", result)
    with np.load(tmp_path / "out.npz") as stored:
        arrays = dict(stored)
    metadata = json.loads(arrays["metadata"].item())
    del metadata["calibrator"]
    np.savez(tmp_path / "old.npz", **{**arrays, "metadata": json.dumps(metadata)})
    old = load_hypotheses(tmp_path / "old.npz")
    assert old.calibrator == {}
    assert "as sampled" in old.spread_words
    assert "calibrator.json" in result.spread_words


def rewritten(tmp_path, result):
    save_result(tmp_path / "again.npz", result)
    return (tmp_path / "again.npz").read_bytes()


def test_a_result_is_also_a_keypoint_file(tmp_path):
    result = make_result()
    save_result(tmp_path / "out.npz", result)
    assert same(load(tmp_path / "out.npz"), result.keypoints)
    info = inspect(tmp_path / "out.npz")
    assert (info.format, info.camera, info.fps) == ("hypopose", "given", 29.97)
    with pytest.raises(FormatError, match=r"9 frames|17 keypoints"):
        load(tmp_path / "out.npz", skeleton="body25")


def test_json_holds_the_same(tmp_path):
    result = make_result()
    save_result(tmp_path / "out.json", result)
    stored = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert np.array(stored["arrays"]["hypotheses"]).shape == (5, 4, 17, 3)
    assert stored["arrays"]["keypoints_xy"][2][3] == [None, None]
    assert stored["skeleton"]["joint_names"][0] == "pelvis"
    assert stored["sampler"]["name"] == "d3dp"


@pytest.mark.parametrize("full", [True, False])
def test_csv_is_tidy(tmp_path, full):
    result = make_result(full)
    save_result(tmp_path / "out.csv", result)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 17 * (5 + 1)
    row = next(
        r for r in rows if (r["frame"], r["joint"], r["hypothesis"]) == ("2", "left_knee", "3")
    )
    j = H36M.index("left_knee")
    length = np.linalg.norm([float(row[axis]) for axis in "xyz"])  # axes are those of the export
    assert length == pytest.approx(result.hypotheses.joints[3, 2, j].norm().item(), abs=1e-5)
    assert row["std_x"] == ""
    assert (row["root_z"] == "") is not full
    first = rows[0]
    assert first["hypothesis"] == "aggregate"
    assert (first["std_x"] == "") is not full


def test_results_that_contradict_themselves():
    result = make_result()
    batched = Hypotheses(result.hypotheses.joints[None], H36M)
    with pytest.raises(ShapeError, match=r"without batch axes"):
        replace(result, hypotheses=batched)
    with pytest.raises(ShapeError, match=r"the same frames"):
        replace(result, pose=Poses3D(torch.zeros(3, 17, 3), H36M))
    coco = Poses3D(torch.zeros(4, 17, 3), get_skeleton("coco17"))
    with pytest.raises(SkeletonMismatchError, match=r"the pose is coco17"):
        replace(result, pose=coco)


def test_what_cannot_be_stored(tmp_path):
    result = replace(make_result(), sampler={"name": object()})
    with pytest.raises(OptionError, match=r"plain values"):
        save_result(tmp_path / "out.npz", result)
    with pytest.raises(OptionError, match=r"written as \.npz, \.json, \.csv"):
        save_result(tmp_path / "out.xyz", make_result())
    batch = Keypoints2D(torch.zeros(2, 3, 17, 2), H36M)
    with pytest.raises(ShapeError, match=r"one person"):
        save_keypoints(tmp_path / "k.npz", batch)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_results(tmp_path):
    save_keypoints(tmp_path / "k.npz", make_result().keypoints)
    (tmp_path / "x.npz").write_text("hello")
    np.savez(tmp_path / "a.npz", hypotheses=np.zeros(3))
    for name, words in (("k", "holds keypoints"), ("x", "not a result"), ("a", "not a result")):
        with pytest.raises(FormatError, match=words):
            load_hypotheses(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "x"}, "seed: unexpected str"),
        ({"sampler": []}, "sampler: unexpected list"),
        ({"notes": "x"}, "notes: unexpected str"),
        ({"weights": None}, "weights: unexpected NoneType"),
        ({"keypoints": None}, "keypoints: unexpected NoneType"),
        ({"skeleton": {"name": "a"}}, "joint_names: unexpected NoneType"),
        ({"schema": 2}, "schema 2"),
    ],
)
def test_damaged_results(tmp_path, change, words):
    path = tmp_path / "out.npz"
    save_result(path, make_result())
    with np.load(path) as stored:
        arrays = dict(stored)
    metadata = {**json.loads(arrays.pop("metadata").item()), **change}
    np.savez(path, metadata=np.array(json.dumps(metadata)), **arrays)
    with pytest.raises(FormatError, match=words) as caught:
        load_hypotheses(path)
    assert "\n" not in str(caught.value)


def test_missing_and_misshapen_arrays(tmp_path):
    path = tmp_path / "out.npz"
    save_result(path, make_result())
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{k: v for k, v in arrays.items() if k != "pose"})
    with pytest.raises(FormatError, match=r"no array 'pose'"):
        load_hypotheses(path)
    short = {k: arrays[k][:, :5] for k in ("pose", "pose_std")}
    np.savez(path, **{**arrays, **short})
    with pytest.raises(FormatError, match=r"pose of the shape \(4, 5, 3\), not \(4, 17, 3\)"):
        load_hypotheses(path)


def test_cameras_round_trip(tmp_path):
    camera = make_result().keypoints.camera
    save_camera(tmp_path / "camera.json", camera)
    assert same(load_camera(tmp_path / "camera.json"), camera)
    with pytest.raises(ShapeError, match=r"one camera"):
        save_camera(tmp_path / "b.json", Camera(torch.ones(1, 2), torch.ones(1, 2), (9, 9)))


def test_a_short_camera_file(tmp_path):
    path = tmp_path / "camera.json"
    path.write_text('{"focal": 800, "center": [320, 240], "image_size": [640, 480]}')
    camera = load_camera(path)
    assert camera.focal.tolist() == [800, 800]
    assert not camera.assumed


GOOD = {"focal": [800, 800], "center": [320, 240], "image_size": [640, 480]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"focal": None}, "focal: expected 2 numbers"),
        ({"focal": [800]}, "focal: expected 2 numbers"),
        ({"focal": [-1, 800]}, "focal length must be positive"),
        ({"focal": [float("nan"), 800]}, "focal: expected 2 numbers"),
        ({"focal": ["800", 800]}, "focal: expected 2 numbers"),
        ({"center": None}, "center: expected 2 numbers"),
        ({"image_size": [0, 480]}, "image_size: expected width and height"),
        ({"image_size": [640.5, 480]}, "image_size: expected width and height"),
        ({"distortion": [0.1] * 5}, "Name the distortion model"),
        ({"distortion": [0.1] * 4, "distortion_model": "opencv"}, "distortion: expected 5"),
        ({"distortion_model": "panorama"}, "distortion_model: unknown; use none, opencv"),
        ({"distortion_model": "fisheye"}, "Name the distortion model"),
        ({"rotation": [[1, 0, 0]] * 3}, "rotation: not a rotation matrix"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "rotation: not a rotation"),
        ({"rotation": [1] * 9}, "rotation: expected 3 x 3 numbers"),
        ({"fov": 60}, "fov: unknown key"),
    ],
)
def test_bad_cameras(tmp_path, change, words):
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(FormatError, match=words) as caught:
        load_camera(path)
    assert "camera.json" in str(caught.value)
    path.write_text("[1]" if "focal" in change else "focal: 3")
    with pytest.raises(FormatError):
        load_camera(path)


def test_write_atomically_removes_and_keeps(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o640)

    def fail():
        with write_atomically(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"
    with write_atomically(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_write_atomically_writes_through_links_and_names_the_cure(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with write_atomically(tmp_path / "link.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "x"
    with (
        pytest.raises(OptionError, match=r"does not exist; make it"),
        write_atomically(tmp_path / "none" / "a.txt"),
    ):
        pass
    with pytest.raises(OptionError, match=r"is a folder"), write_atomically(tmp_path):
        pass


def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path):
    target = tmp_path / "out.npz"
    code = (
        "import os, signal, sys\n"
        "from hypopose.io.atomic import write_atomically\n"
        f"with write_atomically({str(target)!r}) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    here = str(__import__("pathlib").Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, check=False)
    assert done.returncode < 0
    assert not target.exists()


def test_stored_names_are_the_documented_ones(tmp_path):
    save_result(tmp_path / "out.npz", make_result())
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        names = {n.removesuffix(".npy") for n in archive.namelist()}
    assert names == {
        "metadata",
        "hypotheses",
        "hypotheses_root",
        "pose",
        "pose_root",
        "pose_std",
        "keypoints_xy",
        "keypoints_confidence",
    }
    assert math.isfinite(make_result().keypoints.fps or 0)


HOSTILE = {
    "no hypotheses": (lambda a: {"hypotheses": a["hypotheses"][:0]}, "hypotheses"),
    "no frames": (
        lambda a: {n: v[:, :0] if n.startswith("hypotheses") else v[:0] for n, v in a.items()
                   if n.startswith(("hypotheses", "pose", "keypoints_"))},
        "of the shape",
    ),
    "infinite": (lambda a: {"hypotheses": np.full_like(a["hypotheses"], np.inf)}, "beyond"),
    "far": (lambda a: {"pose_root": a["pose_root"] + 1e9}, "beyond 100000 m"),
    "wrong axes": (lambda a: {"hypotheses": a["hypotheses"][0]}, r"a\.npz: "),
    "frames that disagree": (lambda a: {"pose": a["pose"][:2]}, r"a\.npz: "),
    "text": (lambda a: {"pose": np.array("hello")}, "array 'pose' holds"),
    "focal": (lambda a: {"hypotheses_focal": np.full(5, -1.0)}, "not focal lengths"),
    "joints": (lambda a: {"hypotheses": a["hypotheses"][:, :, :5]}, r"a\.npz: "),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_results_are_refused_at_the_door(kind, tmp_path):
    save_result(tmp_path / "a.npz", make_result())
    with np.load(tmp_path / "a.npz") as stored:
        arrays = dict(stored)
    change, problem = HOSTILE[kind]
    np.savez(tmp_path / "a.npz", **{**arrays, **change(arrays)})
    with pytest.raises(FormatError, match=problem) as caught:
        load_hypotheses(tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


FORGED = {
    "a circle": (("skeleton", "parents"), [-1, 2, 1, *[0] * 14], "lead in a circle"),
    "no root": (("skeleton", "parents"), [1, 0, *[0] * 15], "no root"),
    "control characters": (("skeleton", "name"), "a\x1b[2J", "printable name"),
    "an empty joint": (("skeleton", "joint_names"), ["", *map(str, range(16))], "printable name"),
    "twelve joints": (("skeleton", "joint_names"), list(map(str, range(12))), "joint names"),
    "frame rate": (("keypoints", "fps"), -3.0, "frames per second"),
    "seed": (("seed",), "one", "seed"),
    "notes": (("notes",), [1], "notes"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_metadata_is_refused_at_the_door(kind, tmp_path):
    save_result(tmp_path / "a.npz", make_result())
    with np.load(tmp_path / "a.npz") as stored:
        arrays = dict(stored)
    metadata = json.loads(str(arrays["metadata"]))
    (*way, last), value, problem = FORGED[kind]
    table = metadata
    for key in way:
        table = table[key]
    table[last] = value
    arrays["metadata"] = np.array(json.dumps(metadata))
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(FormatError, match=problem) as caught:
        load_hypotheses(tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)

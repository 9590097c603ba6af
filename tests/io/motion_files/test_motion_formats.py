"""Every format of 3D motion gives the places that were written, in meters, y down."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from walker import POSE2SIM, in_axes, native, walk, write_trc, write_wide

from hypopose.errors import FormatError, OptionError
from hypopose.io.motion_files import MOTION_FORMATS, MotionOptions, load_motion
from hypopose.skeletons import AZURE32, get_skeleton

COCO = get_skeleton("coco17").joint_names
H36M = get_skeleton("h36m17").joint_names
MEDIAPIPE = get_skeleton("mediapipe33").joint_names


def quietly(path: Path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_motion(path, MotionOptions(**options))


def trc(path: Path) -> Path:
    x = in_axes(walk(COCO), "y")
    x[3, 0] = np.nan
    return write_trc(path / "walk.trc", COCO, 1000 * x, unit="mm")


def anipose(path: Path) -> Path:
    x = walk(COCO)
    x[3, 0] = np.nan
    return write_wide(path / "walk.csv", COCO, 1000 * x, {"fnum": list(range(5, 25))})


def numbered_with_a_gap(path: Path) -> Path:
    x = walk(COCO)
    x[3, 0] = np.nan
    frames = [f for f in range(20) if f not in (8, 9)]
    return write_wide(path / "walk.csv", COCO, x[frames], {"frame": frames})


def deeplabcut(path: Path) -> Path:
    x = walk(COCO)
    x[3, 0] = np.nan
    parts = [part for part in COCO for _ in "xyz"]
    heads = {"scorer": ["net"] * 51, "bodyparts": parts, "coords": ["x", "y", "z"] * 17}
    lines = [",".join([head, *cells]) for head, cells in heads.items()]
    for f, frame in enumerate(x):
        cells = ["" if np.isnan(v) else f"{v:.5f}" for v in frame.ravel()]
        lines.append(",".join([str(f), *cells]))
    (path / "walk_DLC_3D.csv").write_text("\n".join(lines))
    return path / "walk_DLC_3D.csv"


def tidy(path: Path) -> Path:
    x = walk(COCO)
    rows = [f"{f},{n},{x[f, j, 0]:.5f},{x[f, j, 1]:.5f},{x[f, j, 2]:.5f}"
            for f in range(20) for j, n in enumerate(COCO) if (f, j) != (3, 0)]  # fmt: skip
    (path / "walk.csv").write_text("frame,joint,x,y,z\n" + "\n".join(rows))
    return path / "walk.csv"


def npz(path: Path) -> Path:
    x = walk(COCO)
    x[3, 0] = np.nan
    np.savez(path / "walk.npz", joints=100 * x, skeleton="coco17", fps=60, unit="cm")
    return path / "walk.npz"


def with_confidence(path: Path) -> Path:
    x = np.concatenate([walk(COCO), np.ones((20, 17, 1))], -1)
    x[3, 0] = 0
    np.savez(path / "walk.npz", keypoints_3d=x, skeleton="coco17")
    return path / "walk.npz"


def easymocap(path: Path) -> Path:
    body25 = get_skeleton("body25").joint_names
    x = walk(body25)
    folder = path / "keypoints3d"
    folder.mkdir()
    for f, frame in enumerate(x):
        rows = [[*map(float, p), 0.9] for p in frame]
        if f == 3:
            rows[0][3] = 0.0
        text = json.dumps([{"id": 4, "keypoints3d": rows}])
        (folder / f"{f:06d}.json").write_text(text)
    return folder


def mmpose(path: Path) -> Path:
    x = walk(H36M)
    frames = [{"frame_id": f, "instances": [{"keypoints": p.tolist(), "keypoint_scores": [1] * 17}]}
              for f, p in enumerate(x)]  # fmt: skip
    (path / "walk.json").write_text(json.dumps(frames))
    return path / "walk.json"


def azure(path: Path) -> Path:
    x = 1000 * in_axes(azure_places(), "native")
    frames = [{"frame_id": f, "bodies": [{"body_id": 7, "joint_positions": p.tolist()}]}
              for f, p in enumerate(x)]  # fmt: skip
    top = {"k4abt_sdk_version": "1.0.1", "joint_names": ["PELVIS"], "frames": frames}
    (path / "walk.json").write_text(json.dumps(top))
    return path / "walk.json"


def azure_places() -> np.ndarray:
    known = {"spine_navel": "spine", "spine_chest": "thorax", "left_clavicle": "neck",
             "right_clavicle": "neck"}  # fmt: skip
    ends = {"hand": "wrist", "handtip": "index", "foot": "big_toe"}

    def word(name: str) -> str:
        side, _, part = name.partition("_")
        return f"{side}_{ends[part]}" if part in ends else known.get(name, name)

    return walk([word(name) for name in AZURE32.joint_names])


def mediapipe_world(path: Path) -> Path:
    x = in_axes(walk(MEDIAPIPE), "native")
    x -= x[:, [23, 24]].mean(1, keepdims=True)
    frames = [{"frame": f, "pose_world_landmarks": [[dict(zip("xyz", map(float, p), strict=True))
               for p in points]]} for f, points in enumerate(x)]  # fmt: skip
    (path / "walk.json").write_text(json.dumps(frames))
    return path / "walk.json"


def freemocap(path: Path) -> Path:
    x = np.zeros((20, 553, 3))
    x[:, :33] = 1000 * walk(MEDIAPIPE)
    x[:, 33:] = x[:, :1] + np.random.default_rng(0).normal(0, 40, (20, 520, 3))
    np.save(path / "mediaPipeSkel_3d_body_hands_face.npy", x)
    return path / "mediaPipeSkel_3d_body_hands_face.npy"


def videopose3d(path: Path) -> Path:
    clips = {"S1": {"Walking": walk(H36M).astype("float32")}}
    np.savez(path / "data_3d_h36m.npz", positions_3d=np.array(clips, dtype=object))
    return path / "data_3d_h36m.npz"


WRITERS: dict[Callable[[Path], Path], tuple[str, str, float | None, str]] = {
    trc: ("trc", "coco17", 60.0, "0"),
    anipose: ("wide-3d", "coco17", None, "0"),
    numbered_with_a_gap: ("wide-3d", "coco17", None, "0"),
    deeplabcut: ("deeplabcut-3d", "coco17", None, "0"),
    tidy: ("tidy-3d", "coco17", None, "0"),
    npz: ("arrays-3d", "coco17", 60.0, "0"),
    with_confidence: ("arrays-3d", "coco17", None, "0"),
    easymocap: ("easymocap-3d", "body25", None, "4"),
    mmpose: ("mmpose-3d", "h36m17", None, "0"),
    azure: ("azure-kinect-3d", "azure32", 30.0, "7"),
    freemocap: ("arrays-3d", "mediapipe33", None, "0"),
    videopose3d: ("arrays-3d", "h36m17", 50.0, "S1/Walking"),
}
"""Writer -> format, skeleton, frame rate and person that are read."""


@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.__name__)
def test_places_come_back_in_meters_y_down(writer, tmp_path):
    name, skeleton, fps, person = WRITERS[writer]
    (motion,) = (people := quietly(writer(tmp_path))).values()
    assert list(people) == [person]
    assert (motion.format, motion.skeleton.name, motion.fps) == (name, skeleton, fps)
    expected = native(azure_places() if writer is azure else walk(motion.skeleton.joint_names))
    known = np.isfinite(motion.places).all(-1)
    assert np.abs(motion.places - expected)[known].max() < 1e-4
    assert not known[3, 0] or writer in (mmpose, azure, freemocap, videopose3d)
    gap = [8, 9] if writer is numbered_with_a_gap else []
    assert sorted(set(np.argwhere(~known.any(-1)).ravel())) == gap
    assert motion.placed


def test_world_landmarks_have_no_place(tmp_path):
    motion = quietly(mediapipe_world(tmp_path))["0"]
    assert motion.skeleton.name == "mediapipe33"
    assert not motion.placed
    x = native(walk(MEDIAPIPE))
    assert np.abs(motion.places - (x - x[:, [23, 24]].mean(1, keepdims=True))).max() < 1e-5


def test_every_format_is_written_by_a_test():
    here = {name for name, *_ in WRITERS.values()} | {"mediapipe-world"}
    assert set(MOTION_FORMATS) - here == {
        "c3d",
        "bvh",
        "kinect-3d",
        "qualisys-tsv",
    }  # tests/api, test_depth_cameras, test_laboratory_files


def test_pose2sims_markers_are_halpes(tmp_path):
    x = in_axes(walk(list(POSE2SIM.values())), "y")
    path = write_trc(tmp_path / "walk.trc", list(POSE2SIM), x, unit="m")
    motion = quietly(path)["0"]
    assert motion.skeleton.name == "halpe26"
    lost = ~np.isfinite(motion.places).all((0, 2))
    names = np.array(motion.skeleton.joint_names)
    assert set(names[lost]) == {"left_eye", "right_eye", "left_ear", "right_ear"}
    assert np.abs(motion.places - native(walk(motion.skeleton.joint_names)))[:, ~lost].max() < 1e-5
    assert any("left_eye" in note for note in motion.notes)


def test_markers_of_a_laboratory_keep_their_names_and_their_unit(tmp_path):
    names = ["LASI", "RASI", "SACR", "LKNE", "LANK", "RKNE", "RANK", "C7"]
    joints = ["left_hip", "right_hip", "pelvis", "left_knee", "left_ankle", "right_knee",
              "right_ankle", "neck"]  # fmt: skip
    path = write_trc(tmp_path / "lab.trc", names, 1000 * in_axes(walk(joints), "z"), unit="mm")
    motion = quietly(path)["0"]
    assert motion.skeleton.joint_names[:3] == ("lasi", "rasi", "sacr")
    assert motion.up == "z"
    assert np.abs(motion.places - native(walk(joints))).max() < 1e-5
    told = tmp_path / "lab.toml"
    told.write_text('name = "lab2"\njoints = ["left_hip", "left_knee"]\n[names]\nleft_hip = "LASI"')
    named = quietly(path, skeleton=str(told))["0"]
    assert named.skeleton.joint_names == ("left_hip", "left_knee")
    assert np.abs(named.places - native(walk(["left_hip", "left_knee"]))).max() < 1e-5


def test_several_people(tmp_path):
    x = walk(COCO)
    np.save(tmp_path / "two.npy", np.stack([x, walk(COCO, aside=(0, 1.0, 0))], 1))
    people = quietly(tmp_path / "two.npy", skeleton="coco17")
    assert list(people) == ["0", "1"]
    assert np.abs(people["1"].places - native(walk(COCO, aside=(0, 1.0, 0)))).max() < 1e-6
    rows = [f"{f},{who},{n},{x[f, j, 0] + k},{x[f, j, 1]},{x[f, j, 2]}" for f in range(20)
            for k, who in enumerate(("ann", "bob")) for j, n in enumerate(COCO)]  # fmt: skip
    (tmp_path / "two.csv").write_text("frame,person,joint,x,y,z\n" + "\n".join(rows))
    people = quietly(tmp_path / "two.csv")
    assert np.abs(people["bob"].places - native(walk(COCO, aside=(1.0, 0, 0)))).max() < 1e-5


def test_times_give_rate_and_gaps(tmp_path):
    x = walk(COCO)
    frames = [f for f in range(20) if f != 6]
    path = write_wide(tmp_path / "t.csv", COCO, x[frames], {"time_s": [f / 50 for f in frames]})
    motion = quietly(path)["0"]
    assert motion.fps == 50
    assert len(motion.places) == 20
    assert np.isnan(motion.places[6]).all()
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.05, 20)).tolist()
    path = write_wide(tmp_path / "t.csv", COCO, x, {"time_s": times})
    with pytest.raises(FormatError, match="irregular times"):
        quietly(path)


ONE = "PathFileType\t4\na\nb\nFrame#\tTime\tA\n\n\n"
"""The header of a TRC file of one marker."""

BROKEN = {
    "a.trc": ("PathFileType\t4\n", "cut off in its header"),
    "b.trc": ("PathFileType\t4\na\nb\nFrame#\tTime\n\n\n1\t0\n", "no markers"),
    "c.trc": (ONE + "1\t0\t1\t2\tx\n", "line 7"),
    "d.trc": (ONE + "1\t0\t1\t2\t3\t4\n", "1 markers"),
    "e.trc": (ONE, "without rows"),
    "e2.trc": (ONE + "\t0\t1\t2\t3", "without a frame number"),
    "f.trc": (ONE + "1\t0\t1\t2\t3\n1\t0\t1\t2\t3", "twice"),
    "g.trc": (ONE + "1\t0\t\t\t\n2\t0\t\t\t", "no point is known"),
    "h.trc": (ONE + "1\t0\t1\t2\t3\n9e14\t0\t1\t2\t3", "one by one"),
    "a.bvh": ("HIERARCHY\nROOT a\n", "not a BVH file"),
    "b.bvh": ("HIERARCHY\nROOT a\n{\nMOTION\nFrames: 1\nFrame Time: 0.1\n", "cut short"),
    "a.csv": ("a_x,a_y,a_z,b_x,b_y,b_z,c_x,c_y,c_z,d_x,d_y,d_z\n1,2,3\n", "3 cells"),
    "b.csv": ("a_x,a_y,a_z,b_x,b_y,b_z,c_x,c_y,c_z,d_x,d_y,d_z\n", "without rows"),
    "c.csv": ("frame,joint,x,y,z\n", "without rows"),
    "d.csv": ("frame,joint,x,y,z\n0,a,1,2,3\n0,a,1,2,3\n", "twice"),
    "a.json": ('[{"pose_world_landmarks": [[{"x": 1}]]}]', "1 landmarks, not 33"),
    "b.json": ('{"k4abt_sdk_version": "1", "frames": []}', "no person in any frame"),
    "c.json": ('[{"frame_id": 0, "instances": [{"keypoints": [[1,2,3],[1,2]]}]}]', "x, y, z"),
    "d.json": ('[{"frame_id": 0, "instances": [{"keypoints": [[1,2,3]]}, 4]}]', "an object"),
    "e.json": ('{"k4abt_x": 1, "frames": [{"bodies": [{"joint_positions": 3}]}]}', "list"),
    "f.json": ('{"people": []}', "no format of 3D motion"),
    "x.txt": ("hello", "no format of 3D motion"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_a_line(name, tmp_path):
    text, expected = BROKEN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=expected) as caught:
        quietly(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 17, 3)), np.full((3, 17, 3), np.nan), np.ones((3, 17, 5)), np.array(["a"]),
     np.ones((2, 60, 17, 3)), np.ones((3, 17, 3), complex), np.full((3, 17, 3), 1e12)],
)  # fmt: skip
def test_impossible_arrays_are_refused(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(FormatError):
        quietly(tmp_path / "a.npy", skeleton="coco17")


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"up": "w"}, "up is one of"), ({"format": "obj"}, "no format 'obj'"), ({"fps": -1.0}, "fps")],
)
def test_options_that_are_none(options, expected):
    with pytest.raises(OptionError, match=expected):
        MotionOptions(**options)


@pytest.mark.parametrize("kind", MOTION_FORMATS)
@pytest.mark.parametrize(
    "content",
    [b"", b"1", b"[]", b"{}", b"null", b"a,b\n1,2\n", b"\x93NUMPY", b"PK\x03\x04", b"\x02P"],
)
def test_a_format_named_wrongly_is_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.dat"):
        quietly(tmp_path / "a.dat", format=kind)


def test_positions_beside_rotations(tmp_path: Path) -> None:
    x = in_axes(walk(H36M), "y")
    head = [f"{n}_{what}_{a}" for n in H36M for what in ("position", "rotation") for a in "xyz"]
    rows = [",".join(f"{v:.5f}" for p in frame for v in (*p, 90.0, 0.0, -45.0)) for frame in x]
    (tmp_path / "walk.csv").write_text("\n".join([",".join(head), *rows]))
    (motion,) = quietly(tmp_path / "walk.csv").values()
    truth = walk(H36M)
    found = np.asarray(motion.places)
    spans = np.linalg.norm(np.diff(truth[0], axis=0), axis=-1)
    assert np.linalg.norm(np.diff(found[0], axis=0), axis=-1) == pytest.approx(spans, abs=1e-4)


def test_parameters_of_a_body_model_are_no_points(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=np.zeros((4, 156)), trans=np.zeros((4, 3)))
    with pytest.raises(FormatError, match=r"parameters of a body model.*--body-model"):
        quietly(tmp_path / "a.npz")

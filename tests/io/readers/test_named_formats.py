"""Readers of formats that name their joints, and of fractions: what is written comes back."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from hypopose.errors import FormatError
from hypopose.io import detect_format, inspect, load, load_people
from hypopose.skeletons import get_skeleton

COCO = get_skeleton("coco17").joint_names
h5py = pytest.importorskip("h5py")


@pytest.fixture
def walk(figure):
    """Three frames of one person, (3, 17, 2)."""
    return np.stack([figure("coco17", (200 + 5 * f, 90)) for f in range(3)])


def columns(people=("",), names=COCO, coords=("x", "y", "likelihood")):
    return [("net", p, n, c) for p in people for n in names for c in coords]


def dlc_csv(path, table, names=COCO, people=("",), index=None, coords=("x", "y", "likelihood")):
    levels = list(zip(*columns(people, names, coords), strict=True))
    heads = ["scorer", "individuals", "bodyparts", "coords"]
    if people == ("",):
        del levels[1], heads[1]
    index = index or [[str(i)] for i in range(len(table))]
    pad = [""] * (len(index[0]) - 1)
    lines = [",".join([h, *pad, *level]) for h, level in zip(heads, levels, strict=True)]
    lines += [",".join([*i, *map(str, row)]) for i, row in zip(index, table, strict=True)]
    path.write_text("\n".join(lines))
    return path


def with_likelihood(walk, value=0.8):
    return np.concatenate([walk, np.full((*walk.shape[:2], 1), value)], -1).reshape(len(walk), -1)


def test_deeplabcut_csv(tmp_path, walk):
    path = dlc_csv(tmp_path / "a.csv", with_likelihood(walk))
    assert detect_format(path) == "deeplabcut"
    keypoints = load(path)
    assert keypoints.skeleton.name == "coco17"
    np.testing.assert_allclose(keypoints.xy.numpy(), walk)
    assert keypoints.confidence.min() == pytest.approx(0.8)


def test_deeplabcut_csv_of_several_animals_and_labeled_images(tmp_path, walk):
    both = np.concatenate([with_likelihood(walk), with_likelihood(walk + 300)], 1)
    path = dlc_csv(tmp_path / "multi.csv", both, people=("a", "b"))
    people = load_people(path)
    assert sorted(people) == ["a", "b"]
    np.testing.assert_allclose(people["b"].xy.numpy(), walk + 300)
    index = [["labeled-data", "v2", f"img{n:03}.png"] for n in (4, 6, 9)]
    labels = walk.reshape(3, -1)
    path = dlc_csv(tmp_path / "labels.csv", labels, index=index, coords=("x", "y"))
    keypoints = load(path)
    assert keypoints.confidence is None
    assert keypoints.detected.any(-1).tolist() == [True, False, True, False, False, True]


def test_body_parts_of_ones_own_need_a_map(tmp_path, walk):
    names = [f"part{i}" for i in range(16)] + ["nose"]
    path = dlc_csv(tmp_path / "a.csv", with_likelihood(walk), names=names)
    own = load(path)
    assert own.skeleton.name == "own17"
    assert any("no skeleton HypoPose knows" in note for note in own.notes)
    toml = tmp_path / "map.toml"
    toml.write_text('skeleton = "coco17"\n[names]\nleft_hip = "part3"\nright_hip = "part5"\n')
    keypoints = load(path, skeleton=str(toml), min_joints=2)
    np.testing.assert_allclose(keypoints.xy[:, COCO.index("left_hip")].numpy(), walk[:, 3])
    np.testing.assert_allclose(keypoints.xy[:, COCO.index("nose")].numpy(), walk[:, 16])
    assert int(keypoints.detected[0].sum()) == 3
    assert any("has no left_eye" in note for note in keypoints.notes)
    toml.write_text('skeleton = "coco17"\n[names]\nleft_hip = "hip"\n')
    with pytest.raises(FormatError, match=r"no joint 'hip', which is to be 'left_hip'; it has"):
        load(path, skeleton=str(toml))


def dlc_table(path, walk, kind=None):
    """pandas' ``to_hdf(format="table")``, byte for byte what matters of it."""
    keys = [(s, n, c) for s, _, n, c in columns()]
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        record = np.zeros(len(walk), dtype=[("index", "<i8"), ("values_block_0", "<f8", (51,))])
        record["index"], record["values_block_0"] = [42, 43, 45], with_likelihood(walk)
        group["table"] = record
        names = np.bytes_(pickle.dumps(keys, protocol=0) if kind is None else kind)
        group["table"].attrs["values_block_0_kind"] = names
    return path


def test_deeplabcut_table(tmp_path, walk):
    keypoints = load(dlc_table(tmp_path / "a.h5", walk))
    np.testing.assert_allclose(keypoints.xy[[0, 1, 3]].numpy(), walk)
    assert not keypoints.detected[2].any()
    assert any("number 42" in note for note in keypoints.notes)


def test_a_pickle_in_a_deeplabcut_table_is_not_run(tmp_path, walk):
    evil = pickle.dumps(Path, protocol=0)
    path = dlc_table(tmp_path / "a.h5", walk, kind=evil)
    with pytest.raises(FormatError, match=r"column names are refused \(it needs pathlib"):
        load(path)


def test_deeplabcut_fixed(tmp_path, walk):
    """pandas' ``to_hdf(format="fixed")``, as labeled data are saved."""
    levels = [["net"], list(COCO), ["x", "y"]]
    labels = [np.zeros(34, int), np.repeat(np.arange(17), 2), np.tile([0, 1], 17)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        for k, (names, codes) in enumerate(zip(levels, labels, strict=True)):
            group[f"block0_items_level{k}"] = np.array(names, dtype="S")
            group[f"block0_items_label{k}"] = codes
        group["block0_values"] = walk.reshape(3, -1)
        group["axis1"] = np.array([b"img1.png", b"img2.png", b"img3.png"])
    np.testing.assert_allclose(load(tmp_path / "a.h5").xy.numpy(), walk)


@pytest.mark.parametrize("turned", [False, True])
def test_sleap(tmp_path, walk, turned):
    tracks = np.stack([walk, walk + 300]).transpose(0, 3, 2, 1)  # track, 2, node, frame
    tracks[1, :, :, 1] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tracks"] = tracks.T if turned else tracks
        file["point_scores"] = np.full((2, 17, 3), 0.7).T if turned else np.full((2, 17, 3), 0.7)
        file["node_names"] = np.array(COCO, dtype="S")
        file["track_names"] = np.array([b"ann", b"bob"])
    people = load_people(tmp_path / "a.h5")
    assert list(people) == ["ann", "bob"]
    np.testing.assert_allclose(people["ann"].xy.numpy(), walk)
    assert people["bob"].detected.any(-1).tolist() == [True, False, True]


def test_a_sleap_project_is_refused_with_the_way_to_export_it(tmp_path):
    with h5py.File(tmp_path / "walk.slp", "w") as file:
        file["videos_json"] = np.array([b"{}"])
        file["instances"] = np.zeros(2, dtype=[("instance_id", "i8"), ("score", "f4")])
    with pytest.raises(FormatError, match=r"a project of SLEAP's.*sleap-convert --format analysis"):
        load(tmp_path / "walk.slp")


def test_mediapipe_needs_the_image_size(tmp_path):
    names = get_skeleton("mediapipe33").joint_names
    values = np.random.default_rng(0).uniform(0.1, 0.9, (4, 33, 4)).round(4)
    heads = {
        "numbered": [f"{c}{i}" for i in range(1, 34) for c in "xyzv"],
        "named": [f"{n.upper()}_{c}" for n in names for c in ("x", "y", "z", "visibility")],
        "landmark": [f"landmark_{i}_{c}" for i in range(33) for c in "xyzv"],
        "bare": None,
    }
    for name, head in heads.items():
        path = tmp_path / f"{name}.csv"
        rows = [",".join(map(str, row.ravel())) for row in values]
        path.write_text("\n".join(rows if head is None else [",".join(head), *rows]))
        assert detect_format(path) == "mediapipe", name
        keypoints = load(path, image_size=(1000, 500))
        np.testing.assert_allclose(keypoints.xy.numpy(), values[..., :2] * [1000, 500], rtol=1e-5)
        np.testing.assert_allclose(keypoints.confidence.numpy(), values[..., 3], rtol=1e-5)
        with pytest.raises(FormatError, match=r"fractions of the image.*image_size=\(W, H\)"):
            load(path)
    long = "frame,landmark,x,y,visibility\n" + "\n".join(
        f"{f},{j},{x},{y},{v}" for f, row in enumerate(values) for j, (x, y, _, v) in enumerate(row)
    )
    (tmp_path / "long.csv").write_text(long)
    keypoints = load(tmp_path / "long.csv", image_size=(1000, 500))
    assert keypoints.skeleton.name == "mediapipe33"
    np.testing.assert_allclose(keypoints.xy.numpy(), values[..., :2] * [1000, 500], rtol=1e-5)


def test_mediapipe_text_proto_leaves_zeros_out(tmp_path):
    points = ["landmark { y: 0.5 visibility: 0.9 }"] + ["landmark { x: 0.5 y: 0.25 }"] * 32
    (tmp_path / "a.pbtxt").write_text("# a comment {\nlandmarks {\n" + "\n".join(points) + "\n}\n")
    keypoints = load(tmp_path / "a.pbtxt", image_size=(100, 200), min_joints=0)
    assert keypoints.xy[0, 0].tolist() == [0, 100]
    assert keypoints.xy[0, 1].tolist() == [50, 50] or not keypoints.detected[0, 1]
    (tmp_path / "a.pbtxt").write_text("landmarks {" + "\n".join(points[:-1]) + "}")
    with pytest.raises(FormatError, match=r"32 landmarks, not 33"):
        load(tmp_path / "a.pbtxt", image_size=(100, 200))


def test_tidy_in_any_order_with_gaps(tmp_path, walk):
    rows = [
        f"{f + 5 * (f == 2)},p,{n},{walk[f, j, 0]},{walk[f, j, 1]}"
        for f in range(3)
        for j, n in enumerate(COCO)
        if (f, j) != (1, 4)
    ]
    np.random.default_rng(0).shuffle(rows)
    (tmp_path / "a.csv").write_text("\n".join(["Frame,Individual,bodypart,x,y", *rows]))
    keypoints = load(tmp_path / "a.csv")
    assert keypoints.n_frames == 8
    np.testing.assert_allclose(keypoints.xy[[0, 7]].numpy(), walk[[0, 2]], rtol=1e-6)
    assert keypoints.xy[1, 4].isnan().all()
    (tmp_path / "a.csv").write_text("\n".join(["frame,person,joint,x,y", rows[0], rows[0]]))
    with pytest.raises(FormatError, match=r"is there twice in frame"):
        load(tmp_path / "a.csv")


def annotations(walk, ids=(0, 1, 2), **image):
    return {
        "images": [{"id": i, "width": 640, "height": 480, **image} for i in ids],
        "annotations": [
            {"image_id": i, "category_id": 1, "keypoints":
             np.column_stack([xy, np.arange(17) % 3]).ravel().tolist()}
            for i, xy in zip(ids, walk, strict=True)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO)}],
    }  # fmt: skip


def test_coco_annotations_as_a_video(tmp_path, walk):
    (tmp_path / "a.json").write_text(json.dumps(annotations(walk)))
    keypoints = load(tmp_path / "a.json")
    assert keypoints.image_size == (640, 480)
    assert keypoints.confidence[0].tolist() == [float(i % 3 > 0) for i in range(17)]
    np.testing.assert_allclose(keypoints.xy[:, 1].numpy(), walk[:, 1])


def test_coco_annotations_as_images_of_their_own_size(tmp_path, walk):
    value = annotations(walk, (7, 7000, 9000))
    value["images"][1].update(width=900)
    value["annotations"].append({**value["annotations"][0], "iscrowd": 1})
    (tmp_path / "a.json").write_text(json.dumps(value))
    people = load_people(tmp_path / "a.json")
    assert {k: v.image_size for k, v in people.items()} == {
        "7/0": (640, 480), "7000/0": (900, 480), "9000/0": (640, 480),
    }  # fmt: skip
    assert any("1 annotations without keypoints" in n for n in inspect(tmp_path / "a.json").notes)


def test_keypoints_and_scores_apart(tmp_path, walk):
    """As rtmlib and YOLO users save them: per frame as many people as there are."""
    folder = tmp_path / "out"
    folder.mkdir()
    xy, scores = np.empty(3, dtype=object), np.empty(3, dtype=object)
    for f in range(3):
        people = [walk[f], walk[f] + 250][: f + 1] if f else []
        xy[f] = np.array(people).reshape(-1, 17, 2).astype("float32")
        scores[f] = np.full((len(people), 17), 0.6, dtype="float32")
    np.save(folder / "walk_keypoints.npy", xy, allow_pickle=True)
    np.save(folder / "walk_scores.npy", scores, allow_pickle=True)
    assert detect_format(folder) == "arrays"
    people = load_people(folder, skeleton="coco17")
    assert len(people) == 2
    np.testing.assert_allclose(people["0"].xy[1:].numpy(), walk[1:], rtol=1e-5)
    assert people["0"].confidence[1].min() == pytest.approx(0.6)
    assert not people["0"].detected[0].any()
    (folder / "walk_scores.npy").unlink()
    (folder / "walk_scores.npy").symlink_to(tmp_path / "elsewhere.npy")
    np.save(tmp_path / "elsewhere.npy", scores, allow_pickle=True)
    with pytest.raises(FormatError, match=r"a link out of the folder"):
        load(folder, skeleton="coco17")
    np.savez(tmp_path / "a.npz", keypoints=xy, scores=scores)
    assert len(load_people(tmp_path / "a.npz", skeleton="coco17")) == 2


EXPECTED = {
    "alphapose/converted_alphapose-results.json": ("alphapose", "coco17", 60, 1),
    "coco_results/mmpose_test_coco_annotations.json": ("coco-annotations", "coco17", 1, 12),
    "coco_results/person_keypoints_val2014_fakekeypoints100_results.json": (
        "coco-results", "coco17", 1, 125,
    ),
    "deeplabcut/reachingDEMO_2D.h5": ("deeplabcut", "own33", 800, 1),
    "deeplabcut/reachingDEMO_2D_first200.csv": ("deeplabcut", "own33", 200, 1),
    "mediapipe/pose_landmarks.pbtxt": ("mediapipe", "mediapipe33", 1, 1),
    "mmpose/converted_inferencer_video.json": ("mmpose", "coco17", 60, 1),
    "mmpose/converted_topdown_demo.json": ("mmpose", "coco17", 60, 1),
    "openpose/motionet_body25": ("openpose", "body25", 120, 1),
    "openpose/pose2sim_body25b_multi": ("openpose", "body25b", 10, 2),
    "openpose/pose2sim_body25b_single": ("openpose", "body25b", 30, 2),
    "sleap/converted_analysis.h5": ("sleap", "coco17", 60, 1),
    "videopose3d/converted_data_2d_custom_example.npz": ("videopose3d", "coco17", 120, 1),
}  # fmt: skip


@pytest.mark.shared
def test_every_real_file_is_read(shared):
    """Folders of frames count as one; licenses and readmes are no keypoint files."""
    root = shared / "data/keypoints"
    frames = [p for p in (root / "openpose").iterdir() if p.is_dir()]
    files = [
        p
        for p in root.rglob("*")
        if p.is_file() and not p.name.startswith(("LICENSE", "README")) and p.parent not in frames
    ]
    found = {}
    for path in (*files, *frames):
        info = inspect(path, image_size=(1000, 667))
        found[str(path.relative_to(root))] = (
            info.format, info.skeleton, info.n_frames, len(info.people),
        )  # fmt: skip
    assert found == EXPECTED


@pytest.mark.shared
def test_the_same_motion_in_other_formats_is_the_same(shared):
    root = shared / "data/keypoints"
    sleap = load(root / "sleap/converted_analysis.h5")
    alphapose = load(root / "alphapose/converted_alphapose-results.json")
    np.testing.assert_allclose(sleap.xy.numpy(), alphapose.xy.numpy(), atol=0.01)
    table = load(root / "deeplabcut/reachingDEMO_2D.h5")
    text = load(root / "deeplabcut/reachingDEMO_2D_first200.csv")
    np.testing.assert_allclose(table.xy[:200].numpy(), text.xy.numpy(), rtol=1e-6)
    with pytest.raises(FormatError, match=r"give it: image_size"):
        load(root / "mediapipe/pose_landmarks.pbtxt")

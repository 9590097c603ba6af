"""Every format gives back the pixels that were written; the real files read as their card says."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch

from hypopose.errors import FormatError, OptionError
from hypopose.io import (
    FORMATS,
    OtherPeopleWarning,
    SkeletonGuessWarning,
    detect_format,
    inspect,
    load,
    load_people,
    save_keypoints,
)
from hypopose.io.source import DoubtfulInputWarning
from hypopose.types import Camera

KINDS = (
    "openpose",
    "coco-results",
    "alphapose",
    "mmpose",
    "mmpose-topdown",
    "videopose3d",
    "arrays",
)


def skeleton_of(kind):
    return "body25" if kind == "openpose" else "coco17"


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_come_back(kind, write_as, figure):
    walk = [figure(skeleton_of(kind), (200 + 5 * f, 90)) for f in range(4)]
    path = write_as(kind, [[xy] for xy in walk])
    assert detect_format(path) == kind.removesuffix("-topdown")
    keypoints = load(path)
    assert keypoints.skeleton.name == skeleton_of(kind)
    np.testing.assert_allclose(keypoints.xy.numpy(), np.stack(walk), atol=1e-3)
    if keypoints.confidence is not None:
        assert torch.allclose(keypoints.confidence, torch.tensor(0.8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_joint_is_nan_and_not_interpolated(kind, write_as, figure):
    walk = [figure(skeleton_of(kind), (200 + 5 * f, 90)) for f in range(3)]
    walk[1][9] = 0
    keypoints = load(write_as(kind, [[xy] for xy in walk]))
    assert keypoints.xy[1, 9].isnan().all()
    assert int((~keypoints.detected).sum()) == 1
    if keypoints.confidence is not None:
        assert keypoints.confidence[1, 9] == 0


@pytest.mark.parametrize("kind", ["openpose", "mmpose", "mmpose-topdown"])
def test_frames_without_people_stay_missing(kind, write_as, figure):
    xy = figure(skeleton_of(kind))
    keypoints = load(write_as(kind, [[xy], [], [xy], []]))
    assert keypoints.detected.all(-1).tolist() == [True, False, True, False]
    assert keypoints.confidence[1].sum() == 0
    assert any("2 of 4 frames" in note for note in keypoints.notes)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("videopose3d", "arrays")])
def test_people_are_not_mixed(kind, write_as, figure):
    name = skeleton_of(kind)
    left = [figure(name, (200 + 3 * f, 100)) for f in range(6)]
    right = [figure(name, (500 - 3 * f, 120), 0.9) for f in range(6)]
    frames = [[a, b] if f % 2 else [b, a] for f, (a, b) in enumerate(zip(left, right, strict=True))]
    frames[4] = [left[4]]
    path = write_as(kind, frames)
    people = load_people(path)
    assert list(people) == ["0", "1"]
    np.testing.assert_allclose(people["0"].xy.numpy(), np.stack(left), atol=1e-3)
    assert people["1"].xy[4].isnan().all()
    with pytest.warns(OtherPeopleWarning, match=r"'1' \(5\)"):
        main = load(path)
    assert torch.equal(main.xy, people["0"].xy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(path, person=1).xy[4].isnan().all()
    with pytest.raises(OptionError, match=r"No person '7'.*'0' \(6\)"):
        load(path, person=7)


def test_own_npz_is_exact(tmp_path, figure):
    keypoints = load_reference(tmp_path, figure)
    save_keypoints(tmp_path / "own.npz", keypoints)
    again = load(tmp_path / "own.npz")
    assert detect_format(tmp_path / "own.npz") == "hypopose"
    assert torch.equal(again.xy.nan_to_num(-1), keypoints.xy.nan_to_num(-1))
    assert torch.equal(again.confidence, keypoints.confidence)
    assert again.covariance.shape == (3, 17, 2, 2)
    for name in ("skeleton", "fps", "image_size", "approximate", "notes"):
        assert getattr(again, name) == getattr(keypoints, name)
    assert torch.equal(again.camera.focal, keypoints.camera.focal)
    assert again.camera.assumed


def load_reference(tmp_path, figure):
    values = np.stack([figure("coco17")] * 3)
    values[1, 3] = np.nan
    np.save(tmp_path / "a.npy", values)
    keypoints = load(
        tmp_path / "a.npy", skeleton="coco17", camera=Camera.from_fov((640, 480)), fps=30
    )
    return type(keypoints)(
        xy=keypoints.xy,
        skeleton=keypoints.skeleton,
        confidence=keypoints.detected.float(),
        covariance=torch.eye(2).expand(3, 17, 2, 2),
        camera=keypoints.camera,
        image_size=keypoints.image_size,
        fps=keypoints.fps,
        approximate=("nose",),
        notes=("made by hand",),
    )


def test_numbered_files_with_gaps_stay_missing_frames(write_as, figure):
    folder = write_as("openpose", [[figure("body25")] for _ in range(6)])
    (folder / "walk_000000000000_keypoints.json").unlink()
    (folder / "walk_000000000003_keypoints.json").unlink()
    keypoints = load(folder)
    assert keypoints.detected.any(-1).tolist() == [True, True, False, True, True]
    assert any("number 1 in the file" in note for note in keypoints.notes)
    info = inspect(folder)
    assert (info.n_frames, info.first_frame, info.frames_without_people) == (5, 1, 1)
    assert info.people[0].gaps == 1


def test_single_openpose_file_is_one_frame(write_as, figure):
    folder = write_as("openpose", [[figure("coco18")]])
    keypoints = load(folder / "walk_000000000000_keypoints.json")
    assert keypoints.n_frames == 1
    assert keypoints.skeleton.name == "coco18"


def test_halpe26_from_alphapose_and_one_image_from_mmpose(write_as, figure, tmp_path):
    path = write_as("alphapose", [[figure("halpe26")]] * 2)
    assert load(path).skeleton.name == "halpe26"
    xy = figure("coco17")
    path = tmp_path / "image.json"
    path.write_text(json.dumps([{"keypoints": xy.tolist(), "keypoint_scores": [1] * 17}]))
    assert detect_format(path) == "mmpose"
    assert load(path).n_frames == 1


def test_given_identities_are_respected(write_as, figure):
    xy = figure("coco17")
    path = write_as("alphapose", [[xy, xy + 200]] * 3)
    entries = json.loads(path.read_text())
    for i, entry in enumerate(entries):
        entry["idx"] = [7, 3][(i + i // 2) % 2]  # identities jump
    path.write_text(json.dumps(entries))
    people = load_people(path, keep_identities=True)
    assert set(people) == {"7", "3"}
    assert people["7"].xy[0, 0, 0] == 300
    assert people["7"].xy[1, 0, 0] == 500


def test_confidences_beyond_0_and_1(write_as, figure):
    path = write_as("alphapose", [[figure("coco17")]] * 2)
    entries = json.loads(path.read_text())
    entries[0]["keypoints"][2] = 1.7
    entries[0]["keypoints"][5] = -0.2
    entries[0]["keypoints"][8] = float("nan")
    entries[0]["keypoints"][9] = float("inf")
    path.write_text(json.dumps(entries))
    with pytest.warns(DoubtfulInputWarning, match=r"1 confidences above 1 \(up to 1.7\)"):
        keypoints = load(path)
    assert keypoints.confidence[0, :4].tolist() == [1, 0, 0, 0]
    assert keypoints.xy[0, 1:4].isnan().all()
    assert any("above 1" in note for note in keypoints.notes)
    assert any("negative" in note for note in keypoints.notes)


def test_image_size_and_camera(write_as, figure):
    path = write_as("videopose3d", [[figure("coco17")]] * 2)
    assert (load(path).image_size, load(path).fps) == ((640, 480), 25)
    with (
        pytest.warns(DoubtfulInputWarning, match="says 25 frames a second.*given rate is 10"),
        pytest.warns(DoubtfulInputWarning, match="outside the 320 x 240 image"),
    ):
        assert load(path, image_size=(320, 240), fps=10).image_size == (320, 240)
    with pytest.warns(DoubtfulInputWarning, match="outside"):
        assert any("outside" in n for n in load(path, image_size=(290, 240)).notes)
    with pytest.warns(DoubtfulInputWarning):  # the camera believed, and points outside it
        seen = load(path, camera=Camera.from_fov((64, 48)))
    assert seen.image_size == (64, 48)
    assert any("the file says 640 x 480 pixels, the camera 64 x 48" in n for n in seen.notes)
    assert not any(
        "the file says" in n for n in load(path, camera=Camera.from_fov((640, 480))).notes
    )
    with pytest.warns(DoubtfulInputWarning, match="outside"):
        named = load(path, camera=Camera.from_fov((64, 48)), image_size=(64, 48))
    assert not any("the file says" in n for n in named.notes)
    with pytest.raises(OptionError, match=r"contradicts"):
        load(path, camera=Camera.from_fov((64, 48)), image_size=(1, 2))
    with pytest.raises(OptionError, match=r"width and height"):
        load(path, image_size=(-5, 2))


def test_arrays_need_a_named_skeleton_and_take_people(tmp_path, figure):
    xy = figure("coco17")
    np.save(tmp_path / "a.npy", np.stack([xy, xy + 1]))
    with pytest.raises(FormatError, match=r"skeleton=coco17 or"):
        load(tmp_path / "a.npy")
    with pytest.raises(FormatError, match=r"body25 has 25"):
        load(tmp_path / "a.npy", skeleton="body25")
    with pytest.warns(DoubtfulInputWarning, match="look like coco17"):
        assert load(tmp_path / "a.npy", skeleton="h36m17").skeleton.name == "h36m17"
    np.save(tmp_path / "b.npy", np.stack([[xy, xy + 250], [xy + 251, xy + 1]]))
    people = load_people(tmp_path / "b.npy", skeleton="coco17")
    assert [float(p.xy[1, 0, 0]) for p in people.values()] == [301, 551]
    np.save(tmp_path / "c.npy", xy.astype(">f4"))
    assert load(tmp_path / "c.npy", skeleton="coco17").n_frames == 1


def test_several_videopose3d_clips_are_people_of_their_own_length(tmp_path, figure):
    walk = np.stack([figure("h36m17")] * 5).astype("float32")
    positions = {"S9": {"Walking 1": [walk, walk[:3] + 1]}}
    path = tmp_path / "data_2d_h36m_gt.npz"
    np.savez(path, positions_2d=np.array(positions), metadata=np.array({"num_joints": 17}))
    with pytest.raises(FormatError, match=r"name it: skeleton="):
        load(path)
    people = load_people(path, skeleton="h36m17")
    assert {k: v.n_frames for k, v in people.items()} == {"S9/Walking 1/0": 5, "S9/Walking 1/1": 3}


def test_scattered_coco_images_are_not_a_video(write_as, figure):
    path = write_as("coco-results", [[figure("coco17")]] * 3)
    entries = json.loads(path.read_text())
    entries[2]["image_id"] = 90_000
    path.write_text(json.dumps(entries))
    people = load_people(path)
    assert list(people) == ["0/0", "1/0", "90000/0"]
    assert {p.n_frames for p in people.values()} == {1}


def test_forced_format_and_unknown_format(write_as, figure):
    path = write_as("coco-results", [[figure("coco17")]])
    assert load(path, format="alphapose").n_frames == 1
    with pytest.raises(OptionError, match=r"no format 'bvh'; choose one of openpose"):
        load(path, format="bvh")
    with pytest.raises(FormatError):
        load(path, format="openpose")
    assert all(f.description and f.name == name for name, f in FORMATS.items())


REAL = [
    ("openpose/motionet_body25", "openpose", "body25", 120, 1),
    ("openpose/pose2sim_body25b_single", "openpose", "body25b", 30, 2),
    ("openpose/pose2sim_body25b_multi", "openpose", "body25b", 10, 2),
    ("alphapose/converted_alphapose-results.json", "alphapose", "coco17", 60, 1),
    ("mmpose/converted_inferencer_video.json", "mmpose", "coco17", 60, 1),
    ("mmpose/converted_topdown_demo.json", "mmpose", "coco17", 60, 1),
    ("videopose3d/converted_data_2d_custom_example.npz", "videopose3d", "coco17", 120, 1),
]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "kind", "skeleton", "n_frames", "n_people"), REAL)
def test_real_files(shared, name, kind, skeleton, n_frames, n_people):
    info = inspect(shared / "data/keypoints" / name)
    assert (info.format, info.skeleton, info.n_frames) == (kind, skeleton, n_frames)
    assert [p.n_frames for p in info.people] == [n_frames] * n_people
    assert info.notes


@pytest.mark.shared
def test_real_people_move_smoothly(shared):
    """Frame to frame, no tracked joint of the two people jumps by a good part of the body."""
    for name in ("single", "multi"):
        folder = shared / f"data/keypoints/openpose/pose2sim_body25b_{name}"
        with pytest.warns(SkeletonGuessWarning, match=r"taken as body25b"):
            people = load_people(folder)
        for keypoints in people.values():
            xy = keypoints.xy[..., :2].numpy()
            center = np.nanmedian(xy, axis=1)
            step = np.linalg.norm(np.diff(center, axis=0), axis=-1)
            height = np.nanmax(xy[..., 1]) - np.nanmin(xy[..., 1])
            assert step.max() < 0.15 * height


@pytest.mark.parametrize("at", [(300, 200), (1, 1)])
def test_a_lone_keypoint_is_a_person_if_asked(tmp_path, at):
    """In a corner too: whole numbers are pixels, however small."""
    values = [*at, 2, *[0] * 48]
    entry = {"image_id": 3, "category_id": 1, "keypoints": values, "score": 1.0}
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    keypoints = load(tmp_path / "a.json", min_joints=0)
    assert keypoints.xy[0, 0].tolist() == list(at)
    assert int(keypoints.detected.sum()) == 1


def test_a_person_of_one_point_is_refused_for_what_is_missing(tmp_path):
    entry = {"image_id": 3, "category_id": 1, "keypoints": [300, 200, 1], "score": 1.0}
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    with pytest.raises(FormatError, match=r"1 keypoint per person.*no known skeleton has "
                       r"1 joint: give all keypoints, or describe the skeleton"):  # fmt: skip
        load(tmp_path / "a.json")

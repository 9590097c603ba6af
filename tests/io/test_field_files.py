"""Files as people bring them: each gives the right value, or one line with a cure that works."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from hypopose.errors import FormatError, OptionError
from hypopose.io import inspect, load, load_people
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import get_skeleton

SHARED = Path(__file__).parents[2].parent / "shared" / "cases"
shared = pytest.mark.shared
COCO = get_skeleton("coco17").joint_names
MEDIAPIPE = get_skeleton("mediapipe33").joint_names
SIZE = (1280, 720)


def case(name: str) -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared/cases is absent")
    return SHARED / name


def quietly(path: Path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_people(path, **options)


def walking(figure, n=30, start=200.0, step=8.0, skeleton="coco17", scale=1.0):
    """One person who walks to the right, legs and arms swinging: (n, J, 2) px."""
    joints = get_skeleton(skeleton).joint_names
    frames = []
    for f in range(n):
        xy = figure(skeleton, at=(start + step * f, 150), scale=scale)
        for j, name in enumerate(joints):
            if name.endswith(("wrist", "knee", "ankle", "elbow")):
                xy[j, 0] += 12 * np.sin(f / 4 + (np.pi if name.startswith("left") else 0))
        frames.append(xy)
    return np.array(frames)


def alphapose(path: Path, people: list[tuple[int | None, np.ndarray]], n: int) -> Path:
    entries = []
    for f in range(n):
        for idx, clip in people:
            flat = np.column_stack([clip[f], np.full(len(clip[f]), 0.8)]).ravel().tolist()
            entry = {"image_id": f"{f}.jpg", "category_id": 1, "keypoints": flat, "score": 2.0}
            entries.append({**entry, "box": [0, 0, 9, 9], **({} if idx is None else {"idx": idx})})
    path.write_text(json.dumps(entries))
    return path


def wide_csv(path: Path, xyz: np.ndarray, fields="xyzv", first: dict | None = None) -> Path:
    """Rows of 33 landmarks; ``first`` holds further columns before them."""
    first = first or {}
    names = {"x": "x", "y": "y", "z": "z", "v": "visibility"}
    header = [*first, *(f"{j}_{names[f]}" for j in MEDIAPIPE for f in fields)]
    lines = [",".join(header)]
    for i, row in enumerate(xyz):
        cells = [str(column[i]) for column in first.values()]
        for point in row:
            values = dict(zip("xyz", point, strict=True)) | {"v": 0.9 if point.any() else 0.0}
            cells += [f"{values[f]:.6f}" for f in fields]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines))
    return path


def landmarks(figure, n=40) -> np.ndarray:
    """Image landmarks, fractions of 1280 x 720, with a z of MediaPipe's kind."""
    xy = np.array([mediapipe_figure(figure, 200 + 6 * f) for f in range(n)]) / SIZE
    z = 0.02 * np.random.default_rng(0).standard_normal((n, 33, 1))
    return np.concatenate([xy, z], -1)


def mediapipe_figure(figure, x: float) -> np.ndarray:
    body = dict(zip(COCO, figure("coco17", at=(x, 150)), strict=True))
    near = {"mouth": "nose", "pinky": "wrist", "index": "wrist", "thumb": "wrist"}
    near |= {"heel": "ankle", "foot_index": "ankle", "eye_inner": "eye", "eye_outer": "eye"}

    def place(name: str) -> np.ndarray:
        side, _, part = name.partition("_")
        if side == "mouth":
            return body["nose"] + np.array([0, 6])
        known = body.get(name, body.get(f"{side}_{near.get(part, part)}", body["nose"]))
        return known + np.array([1, 2])

    return np.array([place(name) for name in MEDIAPIPE])


# --- the cases of ../shared/cases ---------------------------------------------------------------


@shared
@pytest.mark.parametrize("name", ["alphapose-results-zero.json", "alphapose-results-nested.json"])
def test_two_people_who_walk_smoothly(name):
    people = quietly(case("alphapose-idx-zero") / name)
    assert len(people) == 2
    for keypoints in people.values():
        assert keypoints.detected.all()
        step = keypoints.xy.diff(dim=0).norm(dim=-1).mean(-1)
        assert step.max() < 4 * step.median() + 10


@shared
@pytest.mark.parametrize(
    ("name", "skeleton", "n"),
    [
        ("alphapose-results_136.json", "halpe136", 136),
        ("inferencer_133.json", "coco133", 133),
        ("results_133.json", "coco133", 133),
    ],
)
def test_whole_bodies_are_read(name, skeleton, n):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a body among hands and faces is a body
        (keypoints,) = load_people(case("wholebody-133-136") / name).values()
    assert keypoints.skeleton.name == skeleton
    assert keypoints.xy.shape == (30, n, 2)
    told = case("wholebody-133-136") / "wb.toml"
    if n == 133:
        assert load(case("wholebody-133-136") / name, skeleton=str(told)).xy.shape == (30, n, 2)


@shared
@pytest.mark.parametrize("name", ["time.csv", "timestamps.csv", "zeros.csv", "zeros_xyz.csv"])
def test_dropped_frames_are_gaps(name):
    (keypoints,) = quietly(case("mediapipe-dropped-frames") / name, image_size=SIZE).values()
    seen = keypoints.detected.any(-1)
    assert len(seen) == 40
    assert not seen[12:26].any()
    assert seen[:12].all()
    assert seen[26:].all()
    if name.startswith("time"):
        assert keypoints.fps == 30


@shared
def test_a_time_column_numbers_the_frames_of_a_tidy_table():
    (keypoints,) = quietly(case("mediapipe-dropped-frames") / "tidy_time.csv").values()
    assert keypoints.n_frames == 40
    assert not keypoints.detected[12:26].any()
    assert keypoints.fps == 30


@shared
def test_world_landmarks_are_refused_and_image_landmarks_read():
    folder = case("mediapipe-world-landmarks")
    with pytest.raises(FormatError, match=r"world landmarks.*2D keypoints"):
        load(folder / "world.csv", image_size=SIZE)
    assert load(folder / "image.csv", image_size=SIZE).n_frames == 40
    assert load(folder / "landmarks.json", image_size=SIZE).n_frames == 30


@shared
@pytest.mark.parametrize("name", ["h36m_mm_camera.npy", "mediapipe_body_3d_xyz.csv"])
@pytest.mark.parametrize("skeleton", [None, "h36m17"])
def test_3d_files_are_refused_as_3d(name, skeleton):
    if name.endswith("csv") and skeleton is not None:
        skeleton = "mediapipe33"
    with pytest.raises(FormatError, match="3D joints"):
        load(case("3d-file-as-2d") / name, skeleton=skeleton, image_size=(1920, 1080))


@shared
def test_apple_vision_is_upright_when_told_and_doubted_when_not():
    folder = case("apple-vision-y-up")
    with pytest.warns(DoubtfulInputWarning, match="upside down.*y_up=True"):
        load(folder / "vision_y_up.npz")
    with pytest.raises(FormatError, match="fractions=True"):
        load(folder / "vision.csv")
    for path, options in (
        (folder / "vision_y_up.npz", {}),
        (folder / "vision.csv", {"fractions": True, "image_size": SIZE}),
    ):
        keypoints = load(path, y_up=True, **options)
        nose, ankle = (keypoints.skeleton.index(n) for n in ("nose", "left_ankle"))
        assert (keypoints.xy[:, nose, 1] < keypoints.xy[:, ankle, 1]).all()


@shared
@pytest.mark.parametrize("name", ["predictions", "predictions_stems", "every25th"])
def test_one_person_of_many_frames(name):
    (keypoints,) = quietly(case("coco-results-category-0") / f"{name}.json").values()
    assert keypoints.n_frames == 30
    assert keypoints.detected.all()


@shared
def test_objects_are_not_people():
    people = quietly(case("dlc-superanimal-two-people") / "walkDLC_el.csv")
    assert list(people) == ["animal0", "animal1"]
    assert {k.skeleton.name for k in people.values()} == {"coco17"}


@shared
@pytest.mark.parametrize("place", ["annots", "annots/01"])
def test_annotations_of_easymocap_are_one_clip(place):
    (keypoints,) = quietly(case("easymocap-cameras") / place).values()
    assert (keypoints.n_frames, keypoints.image_size) == (20, SIZE)
    at = keypoints.skeleton.index
    xy = keypoints.xy
    assert (xy[:, at("head_top"), 1] < xy[:, at("neck"), 1]).all()
    assert (xy[:, at("left_big_toe"), 1] > xy[:, at("left_ankle"), 1] - 5).all()


@shared
@pytest.mark.parametrize("place", ["mmpose-json-per-image", "mmpose-json-per-image/predictions"])
def test_a_folder_of_images_is_one_clip(place):
    (keypoints,) = quietly(case(place)).values()
    assert keypoints.n_frames == 30


# --- further files of the same kinds ------------------------------------------------------------


def test_swapped_identities_are_tracked_anew(tmp_path, figure):
    one, two = walking(figure, start=150, step=2), walking(figure, start=700, step=-2)
    a, b = one.copy(), two.copy()
    a[15:], b[15:] = two[15:], one[15:]
    path = alphapose(tmp_path / "swap.json", [(1, a), (2, b)], 30)
    with pytest.warns(DoubtfulInputWarning, match="1, 2 ignored"):
        people = load_people(path)
    found = sorted(float(k.xy[-1, 0, 0]) for k in people.values())
    assert len(people) == 2
    assert found == pytest.approx(sorted([one[-1, 0, 0], two[-1, 0, 0]]), abs=1e-2)


def test_two_people_who_alternate_in_one_track_are_two(tmp_path, figure):
    one, two = walking(figure, start=150, step=2), walking(figure, start=800, step=-2)
    mixed = np.where((np.arange(30) % 2 == 0)[:, None, None], one, two)
    np.savez(tmp_path / "mixed.npz", xy=mixed, skeleton="coco17", fps=30)
    with pytest.warns(DoubtfulInputWarning, match="jumps across the image"):
        people = load_people(tmp_path / "mixed.npz")
    assert sorted(int(k.detected.any(-1).sum()) for k in people.values()) == [15, 15]


def test_good_identities_are_believed(tmp_path, figure):
    clips = [(4, walking(figure, start=150)), (9, walking(figure, start=600, step=-5))]
    people = load_people(alphapose(tmp_path / "good.json", clips, 30))
    assert set(people) == {"4", "9"}


def test_identities_can_be_ignored(tmp_path, figure):
    clips = [(4, walking(figure, start=150)), (9, walking(figure, start=600, step=-5))]
    path = alphapose(tmp_path / "good.json", clips, 30)
    assert set(load_people(path, ignore_identities=True)) == {"0", "1"}


def test_fast_people_at_a_low_rate_are_believed(tmp_path, figure):
    # 6 m/s at 5 frames a second: 1.2 m, two thirds of the body, from frame to frame.
    runner = walking(figure, n=8, start=100, step=150)
    np.savez(tmp_path / "run.npz", xy=runner, skeleton="coco17", fps=5)
    assert len(load_people(tmp_path / "run.npz")) == 1


@pytest.mark.parametrize("factor", [1.0, 0.001])
def test_arrays_with_depth_are_refused(tmp_path, figure, factor):
    xy = walking(figure, skeleton="h36m17")
    rng = np.random.default_rng(0)
    xyz = np.concatenate([xy * 3 - 800, 4000 + 300 * rng.standard_normal((30, 17, 1))], -1)
    np.save(tmp_path / "joints.npy", factor * xyz)
    with pytest.raises(FormatError, match="3D joints"):
        load(tmp_path / "joints.npy", skeleton="h36m17")


def test_centered_joints_in_meters_are_refused_as_3d(tmp_path, figure):
    xy = walking(figure, skeleton="h36m17", step=0)
    np.save(tmp_path / "joints.npy", (xy - xy[:, :1]) / 130)
    with pytest.raises(FormatError, match="3D joints in meters"):
        load(tmp_path / "joints.npy", skeleton="h36m17")


def test_flags_beside_coordinates_are_no_depth(tmp_path, figure):
    xy = walking(figure)
    flags = np.random.default_rng(0).integers(1, 3, (30, 17, 1))
    np.save(tmp_path / "flags.npy", np.concatenate([xy, flags], -1))
    keypoints = load(tmp_path / "flags.npy", skeleton="coco17")
    assert keypoints.confidence is not None
    assert keypoints.confidence.max() == 1


@pytest.mark.parametrize("writer", ["alphapose", "coco-results"])
def test_depth_in_place_of_a_confidence_is_refused(write_as, figure, writer):
    path = write_as(writer, [[xy] for xy in walking(figure, 10)], confidence=3400.0)
    with pytest.raises(FormatError, match=r"after each x and y.*not a confidence"):
        load(path)


def test_confidences_a_little_above_one_are_clipped_and_said(write_as, figure):
    path = write_as("alphapose", [[xy] for xy in walking(figure, 10)], confidence=1.04)
    with pytest.warns(DoubtfulInputWarning, match="confidences above 1"):
        load(path)


@pytest.mark.parametrize("unit", [1.0, 1000.0, 100.0])
def test_landmarks_in_space_are_refused_in_any_unit(tmp_path, figure, unit):
    xy = np.array([mediapipe_figure(figure, 300) for _ in range(20)]) / 130
    phase = np.linspace(0, 6, 20)
    xyz = np.concatenate([xy, 0.3 * np.sin(phase)[:, None, None] * np.ones((20, 33, 1))], -1)
    hips = [MEDIAPIPE.index("left_hip"), MEDIAPIPE.index("right_hip")]
    xyz = (xyz - xyz[:, hips].mean(1, keepdims=True)) * unit
    with pytest.raises(FormatError, match="3D joints"):
        load(wide_csv(tmp_path / "points.csv", xyz), image_size=SIZE)


def test_a_limb_that_is_rigid_only_in_space_tells_3d(tmp_path, figure):
    base = np.array([mediapipe_figure(figure, 300) for _ in range(40)])
    turn = np.linspace(0, np.pi / 2.2, 40)
    x = base[..., 0] - 300
    turned = np.stack(
        [300 + x * np.cos(turn)[:, None], base[..., 1], x * np.sin(turn)[:, None]], -1
    )
    # The body leans towards the camera and back, so that its limbs shorten in the image.
    angle = 0.9 * np.sin(np.linspace(0, 3, 40))[:, None]
    up, deep = turned[..., 1] - 256, turned[..., 2].copy()
    turned[..., 1] = 256 + up * np.cos(angle) - deep * np.sin(angle)
    turned[..., 2] = up * np.sin(angle) + deep * np.cos(angle)
    with pytest.raises(FormatError, match="limbs have constant lengths only with the third"):
        load(wide_csv(tmp_path / "pixels.csv", turned, fields="xyz"), image_size=SIZE)


def test_image_landmarks_saved_in_pixels_are_read(tmp_path, figure):
    fractions = landmarks(figure)
    pixels = fractions * np.array([*SIZE, SIZE[0]])
    keypoints = load(wide_csv(tmp_path / "px.csv", pixels), image_size=SIZE)
    assert keypoints.xy[0, 0, 0].item() == pytest.approx(pixels[0, 0, 0], abs=1e-3)


def test_a_tidy_table_with_z_is_refused(tmp_path):
    rows = [f"{f},{j},{10 * i},{20 * i},{0.1 * i}" for f in range(5) for i, j in enumerate(COCO)]
    (tmp_path / "t.csv").write_text("\n".join(["frame,joint,x,y,z", *rows]))
    with pytest.raises(FormatError, match="column z"):
        load(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "scale", "fps"),
    [
        ("time", 1 / 30, 30), ("timestamp", 1000 / 25, 25), ("Time (s)", 1 / 60, 60),
        ("time_ms", 1000 / 240, 240), ("timestamp_us", 1e6 / 30, 30), ("t", 1e9 / 50, 50),
    ],
)  # fmt: skip
def test_times_give_rate_and_gaps(tmp_path, figure, name, scale, fps):
    frames = [f for f in range(40) if not 12 <= f < 26]
    stamps = [f"{7 * scale + f * scale:.6f}" for f in frames]
    path = wide_csv(tmp_path / "t.csv", landmarks(figure)[frames], first={name: stamps})
    keypoints = load(path, image_size=SIZE)
    assert keypoints.fps == pytest.approx(fps, rel=2e-3)
    assert keypoints.n_frames == 40
    assert not keypoints.detected[12:26].any()


def test_dates_are_times(tmp_path, figure):
    stamps = [f"2026-03-01T10:00:00.{40 * f:03d}000+00:00" for f in range(20)]
    path = wide_csv(tmp_path / "t.csv", landmarks(figure, 20), first={"timestamp": stamps})
    assert load(path, image_size=SIZE).fps == 25


def irregular_csv(tmp_path, figure):
    rng = np.random.default_rng(1)
    stamps = np.cumsum(rng.uniform(0.02, 0.06, 60))
    x = np.linspace(0.2, 0.6, 60)
    points = landmarks(figure, 60)
    points[..., 0] += (x - points[:, :1, 0].mean(-1))[:, None]
    rows = {"time": [f"{s:.6f}" for s in stamps]}
    return wide_csv(tmp_path / "t.csv", points, first=rows), stamps, points


def test_irregular_times_are_refused_with_numbers_and_the_cure_works(tmp_path, figure):
    path, stamps, points = irregular_csv(tmp_path, figure)
    with pytest.raises(FormatError, match=r"steps of .* ms.*resample=24"):
        load(path, image_size=SIZE)
    keypoints = load(path, image_size=SIZE, resample=24)
    assert keypoints.fps == 24
    at = stamps[0] + np.arange(keypoints.n_frames) / 24
    wanted = np.interp(at, stamps, points[:, 0, 0] * SIZE[0])
    np.testing.assert_allclose(keypoints.xy[:, 0, 0], wanted, atol=0.02)


def test_a_rate_that_contradicts_the_times_is_doubted(tmp_path, figure):
    rows = {"time": [f"{f / 30:.5f}" for f in range(20)]}
    path = wide_csv(tmp_path / "t.csv", landmarks(figure, 20), first=rows)
    with pytest.warns(DoubtfulInputWarning, match="time stamps give 30"):
        assert load(path, image_size=SIZE, fps=240).fps == 240


def test_resampling_without_a_rate_is_refused(tmp_path, figure):
    np.savez(tmp_path / "a.npz", xy=walking(figure), skeleton="coco17")
    with pytest.raises(OptionError, match="fps="):
        load(tmp_path / "a.npz", resample=50)
    assert load(tmp_path / "a.npz", resample=50, fps=25).n_frames == 59


def test_a_skeleton_that_fits_badly_is_doubted_and_the_better_one_named(tmp_path, figure):
    np.savez(tmp_path / "a.npz", xy=walking(figure, skeleton="h36m17"))
    with pytest.warns(DoubtfulInputWarning, match="look like h36m17"):
        load(tmp_path / "a.npz", skeleton="coco17")
    with pytest.raises(FormatError, match="skeleton=h36m17 or"):
        load(tmp_path / "a.npz")


def test_a_face_is_not_a_body_unless_asked(tmp_path, figure):
    clip = walking(figure)
    face = clip.copy()
    face[:, 5:] = 0
    face[..., 0] = np.where(face[..., 0] > 0, face[..., 0] + 500, 0)
    path = alphapose(tmp_path / "face.json", [(0, clip), (1, face)], 30)
    with pytest.warns(DoubtfulInputWarning, match="left out, too little seen: 1 .at most 0 of 12"):
        assert set(load_people(path)) == {"0"}
    assert set(load_people(path, min_joints=0)) == {"0", "1"}
    assert len(inspect(path).people) == 2


def test_nobody_to_draw_is_an_error_with_a_cure(tmp_path, figure):
    clip = walking(figure)
    clip[:, 5:] = 0
    np.savez(tmp_path / "face.npz", xy=clip, skeleton="coco17")
    with pytest.raises(FormatError, match="min_joints=0"):
        load_people(tmp_path / "face.npz")
    assert len(load_people(tmp_path / "face.npz", min_joints=0)) == 1


def test_an_upper_body_is_a_body(tmp_path, figure):
    clip = walking(figure)
    clip[:, 11:] = 0
    np.savez(tmp_path / "upper.npz", xy=clip, skeleton="coco17")
    assert len(load_people(tmp_path / "upper.npz")) == 1


@pytest.mark.parametrize("step", [2, 10, 25])
def test_evenly_spaced_images_are_one_clip(tmp_path, figure, step):
    clip = walking(figure, 12)
    entries = [
        {"image_id": 3 + step * f, "category_id": 1, "score": 0.9,
         "keypoints": np.column_stack([xy, np.full(17, 0.8)]).ravel().tolist()}
        for f, xy in enumerate(clip)
    ]  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(entries))
    with pytest.warns(DoubtfulInputWarning, match=f"step by {step}"):
        (keypoints,) = load_people(tmp_path / "r.json").values()
    assert keypoints.n_frames == 12


def test_categories_without_people_are_named(tmp_path, figure):
    entry = {"image_id": 0, "category_id": 7, "keypoints": [1.0] * 51}
    (tmp_path / "r.json").write_text(json.dumps([entry]))
    with pytest.raises(FormatError, match="only of 7"):
        load(tmp_path / "r.json")


def per_image(folder: Path, figure, kind: str) -> Path:
    folder.mkdir()
    for f, xy in enumerate(walking(figure, 8)):
        flat = np.column_stack([xy, np.full(17, 0.8)]).ravel().tolist()
        value = {
            "mmpose": [{"keypoints": xy.tolist(), "keypoint_scores": [0.8] * 17}],
            "coco": [{"image_id": 40 + f, "category_id": 1, "keypoints": flat, "score": 1.0}],
            "alphapose": [{"image_id": f"{f}.jpg", "keypoints": flat, "box": [0, 0, 1, 1]}],
        }[kind]
        (folder / f"img_{f + 3:05d}.json").write_text(json.dumps(value if f != 4 else []))
    return folder


@pytest.mark.parametrize("kind", ["mmpose", "coco", "alphapose"])
def test_one_file_per_image_is_one_clip(tmp_path, figure, kind):
    (keypoints,) = load_people(per_image(tmp_path / kind, figure, kind)).values()
    assert keypoints.n_frames == 8
    assert keypoints.detected.any(-1).tolist() == [True] * 4 + [False] + [True] * 3
    assert "frame 0 is number 3 in the file" in keypoints.notes


def test_a_file_of_another_kind_among_the_images_is_named(tmp_path, figure):
    folder = per_image(tmp_path / "mmpose", figure, "mmpose")
    (folder / "img_00006.json").write_text('{"nothing": 1}')
    with pytest.raises(FormatError, match=r"img_00006\.json: is not one image"):
        load(folder)


def test_clips_in_a_folder_stay_clips(tmp_path, figure):
    from hypopose.io.readers import is_recording

    for k in range(3):
        frames = [
            {"frame_id": f, "instances": [{"keypoints": xy.tolist(), "keypoint_scores": [1] * 17}]}
            for f, xy in enumerate(walking(figure, 5))
        ]
        (tmp_path / f"trial_{k}.json").write_text(json.dumps(frames))
    assert not is_recording(tmp_path)


def test_doubts_are_shown_by_inspect(tmp_path, figure):
    xy = walking(figure)
    xy[..., 1] = 700 - xy[..., 1]
    np.savez(tmp_path / "up.npz", xy=xy, skeleton="coco17", image_size=SIZE)
    info = inspect(tmp_path / "up.npz")
    assert any("upside down" in doubt for doubt in info.doubts)
    assert "doubt" in str(info)


def test_points_outside_the_image_are_doubted(tmp_path, figure):
    np.savez(tmp_path / "a.npz", xy=2 * walking(figure), skeleton="coco17", image_size=(640, 480))
    with pytest.warns(DoubtfulInputWarning, match=r"outside the 640 x 480 image"):
        load(tmp_path / "a.npz")


# --- formats of further tools -------------------------------------------------------------------


def ultralytics_frames(clips, **more):
    return [
        [
            {
                "name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 0.0}, **more,
                "keypoints": {"x": xy[:, 0].tolist(), "y": xy[:, 1].tolist(),
                              "visible": [0.9] * len(xy)},
            }
            for xy in frame
        ]
        for frame in clips
    ]  # fmt: skip


def test_ultralytics_json_of_many_frames(tmp_path, figure):
    clip = walking(figure, 12)
    frames = ultralytics_frames([[xy] for xy in clip], track_id=5)
    frames[3] = []
    frames[4].append({"name": "dog", "class": 16, "confidence": 0.5, "keypoints": {}})
    (tmp_path / "r.json").write_text(json.dumps(frames))
    (keypoints,) = load_people(tmp_path / "r.json").values()
    np.testing.assert_allclose(keypoints.xy[5].numpy(), clip[5], atol=1e-3)
    assert not keypoints.detected[3].any()
    assert "detections of dog are left out" in keypoints.notes


def test_ultralytics_fractions_need_the_size(tmp_path, figure):
    frames = ultralytics_frames([[xy / SIZE] for xy in walking(figure, 5)])
    (tmp_path / "r.json").write_text(json.dumps(frames))
    with pytest.raises(FormatError, match="image_size"):
        load(tmp_path / "r.json")
    keypoints = load(tmp_path / "r.json", image_size=SIZE)
    np.testing.assert_allclose(keypoints.xy[2].numpy(), walking(figure, 5)[2], atol=1e-3)


@pytest.mark.parametrize("framed", [True, False])
def test_ultralytics_csv(tmp_path, figure, framed):
    clip = walking(figure, 5 if framed else 1)
    lines = ["name,class,confidence,box,keypoints" + ",frame" * framed]
    for f, frame in enumerate(ultralytics_frames([[xy] for xy in clip])):
        cells = f'person,0,0.9,"{frame[0]["box"]}","{frame[0]["keypoints"]}"'
        lines.append(cells + f",{f}" * framed)
    (tmp_path / "r.csv").write_text("\n".join(lines))
    (keypoints,) = load_people(tmp_path / "r.csv").values()
    np.testing.assert_allclose(keypoints.xy.numpy(), clip, atol=1e-3)


@pytest.mark.parametrize("form", ["cmu", "open", "poseflow"])
def test_alphapose_by_image(tmp_path, figure, form):
    skeleton = "coco17" if form == "poseflow" else "coco18"
    clip = walking(figure, 6, skeleton=skeleton)
    images = {}
    for f, xy in enumerate(clip):
        flat = np.column_stack([xy, np.full(len(xy), 0.8)]).ravel().tolist()
        images[f"{f}.jpg"] = {
            "cmu": {"version": 0.1, "bodies": [{"joints": flat}]},
            "open": {"version": 0.1, "people": [{"pose_keypoints_2d": flat}]},
            "poseflow": [{"keypoints": flat, "scores": 2.0, "idx": 7}],
        }[form]
    (tmp_path / "r.json").write_text(json.dumps(images))
    (keypoints,) = load_people(tmp_path / "r.json").values()
    assert keypoints.skeleton.name == skeleton
    np.testing.assert_allclose(keypoints.xy.numpy(), clip, atol=1e-3)


def test_vitpose_has_y_first(tmp_path, figure):
    clip = walking(figure, 6)
    frames = [{"2": [[y, x, 0.9] for x, y in xy.tolist()]} for xy in clip]
    names = {str(i): name for i, name in enumerate(COCO)}
    (tmp_path / "r.json").write_text(json.dumps({"keypoints": frames, "skeleton": names}))
    people = load_people(tmp_path / "r.json")
    assert list(people) == ["2"]
    np.testing.assert_allclose(people["2"].xy.numpy(), clip, atol=1e-3)

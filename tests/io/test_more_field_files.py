"""Further inputs of the kinds that people bring, each with the value it should give.

The kinds are those of the field report: 1 units of cameras, 2 3D given as 2D, 3 identities, 4 keys
that change the geometry, 5 time, 6 doubts, 7 a body from nothing, 8 advice that works, 9 one clip.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from walker import in_axes, seen, tidy, walk, write_trc, write_wide

from hypopose.errors import FormatError, OptionError
from hypopose.io import inspect, load, load_camera, load_cameras, load_people
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import get_skeleton

COCO = get_skeleton("coco17").joint_names
SIZE = (1280, 720)


def quietly(path: Path, **options: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_people(path, **options)


def doubts(path: Path, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_people(path, **options)
    return [str(w.message) for w in caught if w.category is DoubtfulInputWarning]


def coco(path: Path, rows: list[tuple[Any, np.ndarray]], **more: Any) -> Path:
    entries = []
    for image, xy in rows:
        flat = np.column_stack([xy, np.full(len(xy), 0.9)]).ravel().tolist()
        entry = {"image_id": image, "category_id": 1, "keypoints": flat, "score": 0.9}
        entries.append({**entry, **more})
    path.write_text(json.dumps(entries))
    return path


def smooth(people: dict[str, Any], n: int) -> None:
    """Everybody is there in all frames and never jumps."""
    assert len(people) == n
    for keypoints in people.values():
        assert keypoints.detected.any(-1).all()
        assert keypoints.xy.nanmean(1).diff(dim=0).norm(dim=-1).max() < 40


INPUTS: list[Callable[[Path], None]] = []


def field_input(function: Callable[[Path], None]) -> Callable[[Path], None]:
    INPUTS.append(function)
    return function


# --- 1: units of cameras ------------------------------------------------------------------------


def rig(path: Path, distance: float, n: int = 2, **more: Any) -> Path:
    lines = []
    for i in range(n):
        angle = 1.1 * i
        stated = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
        lines.append(
            f'[cam{i}]\nname = "cam{i}"\nsize = [1280, 720]\nrotation = [0, {angle}, 0]\n'
            "matrix = [[1000, 0, 640], [0, 1000, 360], [0, 0, 1]]\n"
            f"translation = [0, 0, {distance}]\n{stated}"
        )
    path.write_text("".join(lines))
    return path


def distance_of(camera: Any) -> float:
    return float(camera.translation.norm())


@field_input
def a_rig_in_millimeters(folder):
    with pytest.warns(UserWarning, match="unit is taken as millimeters"):
        cameras = load_cameras(rig(folder / "a.toml", 4200))
    assert distance_of(cameras["cam1"]) == pytest.approx(4.2)


@field_input
def a_rig_in_centimeters_is_refused_and_told(folder):
    path = rig(folder / "a.toml", 420)
    with pytest.raises(FormatError, match="unit=mm"):
        load_cameras(path)
    assert distance_of(load_cameras(path, unit="cm")["cam0"]) == pytest.approx(4.2)


@field_input
def a_rig_in_squares_of_a_board(folder):
    path = rig(folder / "a.toml", 168)
    with pytest.raises(FormatError, match=r"meters per unit such as 0\.025"):
        load_cameras(path)
    assert distance_of(load_cameras(path, unit="0.025")["cam0"]) == pytest.approx(4.2)


@field_input
def a_rig_in_meters_is_silent(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distance_of(load_cameras(rig(folder / "a.toml", 4.2))["cam0"]) == pytest.approx(4.2)


@field_input
def a_single_camera_in_millimeters(folder):
    with pytest.warns(UserWarning, match="unit is taken as millimeters"):
        camera = load_camera(rig(folder / "a.toml", 3500, n=1))
    assert distance_of(camera) == pytest.approx(3.5)


# --- 2: 3D given as 2D --------------------------------------------------------------------------


@field_input
def an_array_with_depth_in_meters(folder):
    depth = 4 + 0.2 * np.random.default_rng(0).normal(0, 1, (30, 17, 1))
    np.save(folder / "a.npy", np.concatenate([seen(), depth], -1))
    with pytest.raises(FormatError, match=r"not a confidence but a depth.*hypopose import"):
        quietly(folder / "a.npy", skeleton="coco17")


@field_input
def an_array_with_confidences(folder):
    sure = np.random.default_rng(0).uniform(0.2, 1, (30, 17, 1))
    np.save(folder / "a.npy", np.concatenate([seen(), sure], -1))
    (keypoints,) = quietly(folder / "a.npy", skeleton="coco17").values()
    assert np.allclose(keypoints.confidence.numpy(), sure[..., 0], atol=1e-6)


@field_input
def anipose_3d(folder):
    path = write_wide(folder / "a.csv", COCO, 1000 * walk(COCO), {"fnum": range(20)})
    with pytest.raises(FormatError, match=r"3D motion \(wide-3d\).*hypopose import"):
        quietly(path)


@field_input
def markers(folder):
    path = write_trc(folder / "a.trc", COCO, in_axes(walk(COCO), "y"))
    with pytest.raises(FormatError, match=r"3D motion \(trc\).*hypopose import"):
        quietly(path)


@field_input
def an_animation(folder):
    (folder / "a.bvh").write_text("HIERARCHY\nROOT Hips\n{\n}\nMOTION\n")
    with pytest.raises(FormatError, match=r"3D motion \(bvh\).*hypopose import"):
        quietly(folder / "a.bvh")


@field_input
def deeplabcuts_3d_table(folder):
    head = {"scorer": ["net"] * 9, "bodyparts": list("aaabbbccc"), "coords": list("xyz") * 3}
    rows = [",".join([k, *v]) for k, v in head.items()]
    (folder / "a.csv").write_text("\n".join([*rows, *(f"{f}," + ",".join("123456789")
                                                      for f in range(4))]))  # fmt: skip
    with pytest.raises(FormatError, match=r"a 3D table.*hypopose import"):
        quietly(folder / "a.csv")


@field_input
def predictions_of_a_3d_model(folder):
    frames = [{"frame_id": f, "instances": [{"keypoints": x.tolist(), "keypoint_scores": [1] * 17}]}
              for f, x in enumerate(walk(COCO))]  # fmt: skip
    (folder / "a.json").write_text(json.dumps(frames))
    with pytest.raises(FormatError, match=r"x, y\] pairs in pixels, got 3"):
        quietly(folder / "a.json")


# --- 3: identities ------------------------------------------------------------------------------


def three() -> dict[str, np.ndarray]:
    return {"1": seen(x=200, step=4), "2": seen(x=550, step=4), "3": seen(x=900, step=4)}


@field_input
def three_people_whose_numbers_rotate(folder):
    true = three()
    rows = []
    for f in range(30):
        turn = f // 10
        for k, xy in enumerate(true.values()):
            rows.append((f, xy[f], str((k + turn) % 3)))
    entries = [{"image_id": f"{f}.jpg", "category_id": 1, "score": 2.0, "idx": int(who),
                "box": [0, 0, 9, 9],
                "keypoints": np.column_stack([xy, np.full(17, 0.9)]).ravel().tolist()}
               for f, xy, who in rows]  # fmt: skip
    (folder / "a.json").write_text(json.dumps(entries))
    smooth(quietly(folder / "a.json"), 3)
    assert any("ignored" in d for d in doubts(folder / "a.json"))


@field_input
def numbers_swapped_for_one_frame(folder):
    a, b = seen(x=200, step=4), seen(x=700, step=4)
    one, two = a.copy(), b.copy()
    one[15], two[15] = b[15], a[15]
    smooth(quietly(tidy(folder / "a.csv", {"1": one, "2": two})), 2)


@field_input
def good_numbers_are_kept(folder):
    people = quietly(tidy(folder / "a.csv", {"ann": seen(x=200), "bob": seen(x=700)}))
    assert set(people) == {"ann", "bob"}
    assert torch.allclose(people["bob"].xy, torch.from_numpy(seen(x=700)).float(), atol=0.01)


@field_input
def a_sprinter_filmed_at_high_speed(folder):
    path = tidy(folder / "a.csv", {"ann": seen(60, x=100, step=9)})
    people = quietly(path, fps=240)
    assert list(people) == ["ann"]
    assert doubts(path, fps=240) == []


@field_input
def one_name_for_everybody(folder):
    rows = tidy(folder / "a.csv", {"p": seen(x=200)}).read_text().splitlines()
    more = tidy(folder / "b.csv", {"p": seen(x=700)}).read_text().splitlines()[1:]
    (folder / "a.csv").write_text("\n".join([*rows, *more]))
    with pytest.raises(FormatError, match="give every person a name of their own"):
        quietly(folder / "a.csv")


# --- 4: keys that change the geometry -----------------------------------------------------------


@field_input
def a_fisheye_is_read_as_one(folder):
    camera = load_camera(rig(folder / "a.toml", 4, n=1, fisheye=True, distortions=[0.02, 0, 0, 0]))
    assert camera.distortion_model == "fisheye"


@field_input
def a_fisheye_with_five_coefficients_is_refused(folder):
    path = rig(folder / "a.toml", 4, n=1, fisheye=True, distortions=[0.02, 0, 0, 0, 0])
    with pytest.raises(FormatError, match="fisheye lens: expected 4"):
        load_camera(path)


@field_input
def a_calibration_of_cropped_pictures(folder):
    with pytest.raises(FormatError, match="cropped"):
        load_camera(rig(folder / "a.toml", 4, n=1, crop=[0, 0, 640, 360]))


@field_input
def an_unknown_key_is_named(folder):
    with pytest.warns(UserWarning, match="not read: rolling_shutter"):
        load_camera(rig(folder / "a.toml", 4, n=1, rolling_shutter=True))


@field_input
def keypoints_of_half_the_resolution(folder):
    camera = load_camera(rig(folder / "a.toml", 4, n=1), image_size=(640, 360))
    assert camera.focal.tolist() == [500, 500]
    with pytest.raises(OptionError, match="another aspect"):
        load_camera(folder / "a.toml", image_size=(720, 1280))


# --- 5: time ------------------------------------------------------------------------------------


@field_input
def frames_that_begin_anywhere(folder):
    (keypoints,) = quietly(tidy(folder / "a.csv", {"p": seen(10)}, range(1000, 1010))).values()
    assert keypoints.n_frames == 10
    assert inspect(folder / "a.csv").first_frame == 1000


@field_input
def rows_in_any_order(folder):
    rows = tidy(folder / "a.csv", {"p": seen(10)}).read_text().splitlines()
    (folder / "a.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]))
    (keypoints,) = quietly(folder / "a.csv").values()
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen(10)).float(), atol=0.01)


@field_input
def times_in_nanoseconds_with_a_gap(folder):
    frames = [f for f in range(30) if f not in (11, 12, 13)]
    xy = seen(30)[frames]
    rows = tidy(folder / "a.csv", {"p": xy}, [int(1e9 * f / 60) for f in frames]).read_text()
    (folder / "a.csv").write_text(rows.replace("frame,", "timestamp_ns,", 1))
    (keypoints,) = quietly(folder / "a.csv").values()
    assert keypoints.fps == 60
    assert keypoints.n_frames == 30
    assert not keypoints.detected[11:14].any()


@field_input
def a_television_rate(folder):
    times = [f"{f * 1001 / 30000:.5f}" for f in range(30)]
    rows = tidy(folder / "a.csv", {"p": seen(30)}, times).read_text()
    (folder / "a.csv").write_text(rows.replace("frame,", "time_s,", 1))
    (keypoints,) = quietly(folder / "a.csv").values()
    assert keypoints.fps == pytest.approx(30000 / 1001)


@field_input
def frames_and_times_together(folder):
    times = [f / 50 for f in range(30)]
    path = tidy(folder / "a.csv", {"p": seen(30)}, range(7, 37), time_s=times)
    (keypoints,) = quietly(path).values()
    assert keypoints.fps == 50
    assert keypoints.n_frames == 30


@field_input
def irregular_times_are_resampled(folder):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.02, 0.06, 30))
    clock = (times - times[0]) * 25
    xy = seen(1)[0][None] + np.stack([6 * clock, 0 * clock], -1)[:, None]
    rows = tidy(folder / "a.csv", {"p": xy}, [f"{t:.5f}" for t in times]).read_text()
    (folder / "a.csv").write_text(rows.replace("frame,", "time_s,", 1))
    with pytest.raises(FormatError, match="irregular times"):
        quietly(folder / "a.csv")
    (keypoints,) = quietly(folder / "a.csv", resample=25).values()
    step = keypoints.xy.diff(dim=0).mean(1)
    assert keypoints.fps == 25
    assert torch.allclose(step[:, 0], torch.full_like(step[:, 0], 6.0), atol=0.2)


# --- 6: doubts ----------------------------------------------------------------------------------


@field_input
def people_upside_down(folder):
    xy = seen()
    xy[..., 1] = 720 - xy[..., 1]
    (found,) = doubts(tidy(folder / "a.csv", {"p": xy}))
    assert "upside down" in found
    assert "y_up=True" in found
    (keypoints,) = quietly(folder / "a.csv", y_up=True, image_size=SIZE).values()
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen()).float(), atol=0.01)


@field_input
def points_outside_the_image(folder):
    path = tidy(folder / "a.csv", {"p": seen()})
    (found,) = doubts(path, image_size=(640, 360))
    assert "outside the 640 x 360 image" in found
    assert doubts(path, image_size=SIZE) == []


@field_input
def points_in_no_order_of_a_body(folder):
    rng = np.random.default_rng(0)
    xy = rng.uniform(100, 600, (30, 17, 2))
    path = coco(folder / "a.json", list(enumerate(xy)))
    assert any("do not look like a body" in d for d in doubts(path))
    ordered = coco(folder / "b.json", list(enumerate(seen())))
    assert not any("do not look like" in d for d in doubts(ordered))


@field_input
def a_skeleton_named_wrongly(folder):
    np.save(folder / "a.npy", seen())
    (found,) = doubts(folder / "a.npy", skeleton="h36m17")
    assert "look like coco17" in found


# --- 7: a body from nothing ---------------------------------------------------------------------


@field_input
def hands_without_a_body(folder):
    xy = seen()
    xy[:, [j for j, name in enumerate(COCO) if not name.endswith("wrist")]] = np.nan
    path = tidy(folder / "a.csv", {"hands": xy, "ann": seen(x=700)})
    assert list(quietly(path)) == ["ann"]
    assert any("left out, too little seen: hands" in d for d in doubts(path))
    assert set(quietly(path, min_joints=0)) == {"ann", "hands"}


@field_input
def somebody_in_two_frames_of_a_long_clip(folder):
    xy = np.full((60, 17, 2), np.nan)
    xy[20:22] = seen(2, x=900)
    path = tidy(folder / "a.csv", {"ann": seen(60, step=2), "ghost": xy})
    assert list(quietly(path)) == ["ann"]


@field_input
def an_upper_body_is_somebody(folder):
    xy = seen()
    xy[:, 11:] = np.nan
    assert len(quietly(tidy(folder / "a.csv", {"ann": xy}))) == 1


# --- 9: one clip stays one clip -----------------------------------------------------------------


@field_input
def every_fifth_image(folder):
    path = coco(folder / "a.json", [(5 * f, xy) for f, xy in enumerate(seen(12))])
    (keypoints,) = quietly(path).values()
    assert keypoints.n_frames == 12
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen(12)).float(), atol=0.01)


@field_input
def one_result_per_image_with_one_missing(folder):
    for f, xy in enumerate(seen(12)):
        if f != 5:
            coco(folder / f"img_{f:05}.json", [(0, xy)])
    (keypoints,) = quietly(folder).values()
    assert keypoints.n_frames == 12
    assert not keypoints.detected[5].any()


@field_input
def labels_of_a_video_in_two_parts(folder):
    for f, xy in enumerate(seen(6) / SIZE):
        flat = " ".join(f"{v:.5f}" for v in np.column_stack([xy, np.ones(17)]).ravel())
        (folder / f"walk_{f + 7}.txt").write_text(f"0 .5 .5 .5 .9 {flat}")
    (keypoints,) = quietly(folder, image_size=SIZE).values()
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen(6)).float(), atol=0.05)


@field_input
def named_images_in_one_file(folder):
    path = coco(folder / "a.json", [(f"walk_{f:04}.png", xy) for f, xy in enumerate(seen(12))],
                box=[0, 0, 9, 9])  # fmt: skip
    (keypoints,) = quietly(path).values()
    assert keypoints.n_frames == 12


def easymocap(folder: Path, points: np.ndarray, empty: int = -1) -> Path:
    place = folder / "annots" / "01"
    place.mkdir(parents=True)
    for f, xy in enumerate(points):
        sure = np.column_stack([xy, np.full(len(xy), 0.9)]).tolist()
        people = [] if f == empty else [{"personID": 3, "bbox": [0, 0, 9, 9, 1], "keypoints": sure}]
        image = {"filename": f"{f:06}.jpg", "height": 720, "width": 1280, "annots": people}
        (place / f"{f:06}.json").write_text(json.dumps(image))
    return place


@field_input
def annotations_of_easymocap(folder):
    for i, name in enumerate(("coco17", "body25", "halpe26")):
        joints = get_skeleton(name).joint_names
        x = walk(joints, 9) - [0, 2.0, 0]
        xy = np.stack([300 - 220 * x[..., 1], 600 - 220 * x[..., 2]], -1)
        place = easymocap(folder / str(i), xy, empty=4)
        (keypoints,) = quietly(place).values()
        assert (keypoints.skeleton.name, keypoints.image_size) == (name, SIZE)
        assert keypoints.n_frames == 9
        assert not keypoints.detected[4].any()
        assert torch.allclose(keypoints.xy[5], torch.from_numpy(xy[5]).float())
        other = easymocap(folder / f"{i} short", xy[:, :25])
        (keypoints,) = quietly(other).values()
        assert keypoints.skeleton.name == name
        assert torch.allclose(keypoints.xy[5, :25], torch.from_numpy(xy[5, :25]).float())


# --- tables, arrays and labels that scripts write -----------------------------------------------


def wide(path: Path, xy: np.ndarray, head: str = "{}_{}", **columns: Any) -> Path:
    header = [*columns, *(head.format(name, axis) for name in COCO for axis in "xy")]
    rows = [[*(c[f] for c in columns.values()), *frame.ravel()] for f, frame in enumerate(xy)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]))
    return path


@field_input
def a_row_per_frame(folder):
    (keypoints,) = quietly(wide(folder / "a.csv", seen(12))).values()
    assert keypoints.skeleton.name == "coco17"
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen(12)).float())


@field_input
def a_row_per_frame_with_times_and_size(folder):
    frames = [f for f in range(30) if not 10 <= f < 15]
    n = len(frames)
    path = wide(folder / "a.csv", seen(30)[frames], time=[f / 25 for f in frames],
                image_width=[1280] * n, image_height=[720] * n)  # fmt: skip
    (keypoints,) = quietly(path).values()
    assert (keypoints.n_frames, keypoints.fps, keypoints.image_size) == (30, 25.0, SIZE)
    assert keypoints.detected.any(-1).sum() == n


@field_input
def a_row_per_frame_and_person(folder):
    both = np.stack([seen(12), seen(12, x=800)], 1).reshape(24, 17, 2)
    path = wide(folder / "a.csv", both, frame=np.repeat(range(12), 2), person=["ann", "bob"] * 12)
    people = quietly(path)
    assert set(people) == {"ann", "bob"}
    assert torch.allclose(people["bob"].xy, torch.from_numpy(seen(12, x=800)).float())


@field_input
def a_row_per_frame_with_depths_is_refused(folder):
    path = wide(folder / "a.csv", seen(12), nose_depth=[3.0] * 12)
    with pytest.raises(FormatError, match="columns of depth"):
        load_people(path)


@field_input
def a_row_per_frame_of_two_takes_is_refused(folder):
    path = wide(folder / "a.csv", seen(30), time=[f % 15 / 25 for f in range(30)])
    with pytest.raises(FormatError, match="start again in row 16"):
        load_people(path)
    path = wide(folder / "b.csv", seen(30), frame=[0] * 30)
    with pytest.raises(FormatError, match="all 30 rows are of one frame"):
        load_people(path)


@field_input
def a_row_per_frame_with_an_index_and_missing_cells(folder):
    frames = [f for f in range(20) if f not in (5, 6)]
    path = wide(folder / "a.csv", seen(20)[frames], **{"": frames})
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, ",".join(["0", "NA", "NA", *first.split(",")[3:]]), *rest]))
    (keypoints,) = quietly(path).values()
    assert keypoints.n_frames == 20
    assert not keypoints.detected[0, 0]
    assert not keypoints.detected[5:7].any()


@field_input
def a_row_per_frame_of_numbered_joints(folder):
    for head in ("{1}{0}", "kpt_{0}_{1}"):
        path = folder / "a.csv"
        header = [head.format(j, axis) for j in range(17) for axis in "xy"]
        rows = [frame.ravel() for frame in seen(9)]
        path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]))
        (keypoints,) = quietly(path, skeleton="coco17").values()
        assert torch.allclose(keypoints.xy, torch.from_numpy(seen(9)).float())


@field_input
def abbreviated_names_of_joints(folder):
    short = [n.replace("left_", "L").replace("right_", "R") for n in COCO]
    rows = [f"{f},{name},{x},{y}" for f, xy in enumerate(seen(9))
            for name, (x, y) in zip(short, xy, strict=True)]  # fmt: skip
    path = folder / "a.csv"
    path.write_text("\n".join(["frame,joint,x,y", *rows]))
    (keypoints,) = quietly(path).values()
    assert keypoints.skeleton.name == "coco17"
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen(9)).float())


@field_input
def legs_alone(folder):
    path = tidy(folder / "a.csv", {"p": seen(9)})
    kept = [r for r in path.read_text().splitlines()
            if "joint" in r or any(part in r for part in ("hip", "knee", "ankle"))]  # fmt: skip
    path.write_text("\n".join(kept))
    (keypoints,) = quietly(path).values()
    assert keypoints.skeleton.name == "coco17"
    assert keypoints.detected[0].sum() == 6


@field_input
def joints_by_number(folder):
    rows = [f"{f},{j},{x},{y}" for f, xy in enumerate(seen(9)) for j, (x, y) in enumerate(xy)]
    path = folder / "a.csv"
    path.write_text("\n".join(["frame,joint,x,y", *rows]))
    (keypoints,) = quietly(path, skeleton="coco17").values()
    assert torch.allclose(keypoints.xy, torch.from_numpy(seen(9)).float())


@field_input
def columns_of_rate_and_size(folder):
    n = 17 * 9
    path = tidy(folder / "a.csv", {"p": seen(9)}, fps=[50] * n, image_width=[1280] * n,
                image_height=[720] * n)  # fmt: skip
    (keypoints,) = quietly(path).values()
    assert (keypoints.fps, keypoints.image_size) == (50.0, SIZE)


@field_input
def a_column_of_depth(folder):
    path = tidy(folder / "a.csv", {"p": seen(9)}, depth=[3.0] * 17 * 9)
    with pytest.raises(FormatError, match="column depth"):
        load_people(path)


@field_input
def two_cameras_in_one_table(folder):
    path = tidy(folder / "a.csv", {"p": seen(9)}, camera=["one"] * 17 * 9)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *(r.replace("one", "two") for r in lines[1:])]))
    with pytest.raises(FormatError, match="split the table by its column 'camera'"):
        load_people(path)


@field_input
def rows_that_are_repeated(folder):
    path = tidy(folder / "a.csv", {"p": seen(9)})
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *lines[1:]]))
    with pytest.raises(FormatError, match="remove the rows that are repeated"):
        load_people(path)


@field_input
def an_archive_with_time_stamps(folder):
    frames = np.array([f for f in range(30) if not 10 <= f < 15])
    np.savez(folder / "a.npz", xy=seen(30)[frames], skeleton="coco17", timestamps=frames / 50)
    (keypoints,) = quietly(folder / "a.npz").values()
    assert (keypoints.n_frames, keypoints.fps) == (30, 50.0)


@field_input
def an_archive_with_frame_numbers(folder):
    frames = np.array([f for f in range(30) if not 10 <= f < 15])
    np.savez(folder / "a.npz", xy=seen(30)[frames], skeleton="coco17", frames=frames + 100)
    (keypoints,) = quietly(folder / "a.npz").values()
    assert keypoints.n_frames == 30
    assert not keypoints.detected[10:15].any()


@field_input
def minus_one_is_missing(folder):
    xy = seen(20)
    xy[5:8], xy[:, 9] = -1, -1
    np.savez(folder / "a.npz", xy=xy, skeleton="coco17")
    (keypoints,) = quietly(folder / "a.npz").values()
    assert not keypoints.detected[5:8].any()
    assert not keypoints.detected[:, 9].any()


@field_input
def confidences_that_are_all_zero(folder):
    np.savez(folder / "a.npz", xy=seen(9), confidence=np.zeros((9, 17)), skeleton="coco17")
    with pytest.raises(FormatError, match="leave the confidences out"):
        load_people(folder / "a.npz")


@field_input
def labels_of_26_joints_are_not_17_with_confidence(folder):
    names = get_skeleton("halpe26").joint_names
    x = walk(names, 6) - [0, 2.0, 0]
    xy = np.stack([300 - 220 * x[..., 1], 600 - 220 * x[..., 2]], -1) / SIZE
    low, high = xy.min(1), xy.max(1)
    for f in range(6):
        box = [*(low[f] + high[f]) / 2, *(high[f] - low[f])]
        (folder / f"a_{f}.txt").write_text(" ".join(f"{v:.6f}" for v in [0, *box, *xy[f].ravel()]))
    with pytest.raises(FormatError, match=r"26 points of x and y.*skeleton=halpe26"):
        load_people(folder, image_size=SIZE)
    (keypoints,) = quietly(folder, image_size=SIZE, skeleton="halpe26").values()
    assert torch.allclose(keypoints.xy, torch.from_numpy(xy * SIZE).float(), atol=0.01)


@field_input
def images_of_two_cameras_in_one_file(folder):
    names = [f"cam{c}/{f:04}.jpg" for c in "AB" for f in range(9)]
    flat = [np.column_stack([xy, np.full(17, 2)]).ravel().tolist() for xy in seen(9)]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    people = [{"image_id": i, "category_id": 1, "keypoints": flat[i % 9]} for i in range(18)]
    path = folder / "a.json"
    path.write_text(json.dumps({"images": images, "annotations": people}))
    with pytest.raises(FormatError, match="a file for each"):
        load_people(path)


@field_input
def four_numbers_per_joint(folder):
    flat = np.column_stack([seen(1)[0], np.full(17, 3.0), np.full(17, 0.9)]).ravel().tolist()
    entries = [{"image_id": f, "category_id": 1, "keypoints": flat, "score": 1} for f in range(9)]
    path = folder / "a.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(FormatError, match=r"perhaps x, y, z, confidence.*hypopose import"):
        load_people(path)


@field_input
def people_who_lie_across_the_image(folder):
    np.savez(folder / "a.npz", xy=seen(20)[..., ::-1], skeleton="coco17")
    (found,) = doubts(folder / "a.npz")
    assert "y before x" in found
    assert "rotate=90" in found


@field_input
def a_rate_that_makes_people_too_fast(folder):
    path = tidy(folder / "a.csv", {"p": seen(30)})
    (found,) = doubts(path, fps=2500)
    assert "too fast for anyone" in found
    assert not doubts(path, fps=25)


@field_input
def a_lens_that_folds(folder):
    text = (
        "image_width: 1280\nimage_height: 720\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
        "  data: [1100, 0, 640, 0, 1100, 360, 0, 0, 1]\ndistortion_coefficients:\n  rows: 1\n"
        "  cols: 5\n  data: [{}]\n"
    )
    path = folder / "a.yml"
    path.write_text(text.format("25.0, -300, 0.1, 0.1, 900"))
    with pytest.warns(UserWarning, match="fold over 66% of the way"):
        load_camera(path)
    path.write_text(text.format("-10.0, 0, 0, 0, 0"))
    with pytest.raises(FormatError, match="fold over"):
        load_camera(path)
    path.write_text(text.format("-0.3, 0.1, 0.001, 0.001, 0"))
    assert load_camera(path).distortion is not None


@pytest.mark.parametrize("check", INPUTS, ids=lambda f: f.__name__)
def test_input(check: Callable[[Path], None], tmp_path: Path) -> None:
    check(tmp_path)


def test_there_are_more_than_thirty() -> None:
    assert len(INPUTS) > 30


def test_one_person_can_be_asked_for(tmp_path: Path) -> None:
    path = tidy(tmp_path / "a.csv", {"ann": seen(x=200), "bob": seen(x=700)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.allclose(load(path, person="bob").xy, torch.from_numpy(seen(x=700)).float(),
                              atol=0.01)  # fmt: skip

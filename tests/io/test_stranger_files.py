"""Files of many tools, each with the true points: read rightly, or refused with the reason.

A case is a function that writes a file and gives it with the options to read it and what it holds:
the points of its people, or what the refusal says.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from walker import in_axes, seen, walk, write_trc

import hypopose
from hypopose.errors import FormatError
from hypopose.io import inspect, load_cameras, load_people
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import get_skeleton

N = 12
SIZE = (1280, 720)
COCO = get_skeleton("coco17").joint_names
MEDIAPIPE = get_skeleton("mediapipe33").joint_names
Case = tuple[Path, dict[str, Any], Any]
CASES: list[Callable[[Path], Case]] = []


def case(function: Callable[[Path], Case]) -> Callable[[Path], Case]:
    CASES.append(function)
    return function


def body(skeleton: str, x: float = 300.0) -> np.ndarray:
    """Somebody who walks to the right, (N, J, 2) pixels; points of hands and face near them."""
    joints = []
    for name in get_skeleton(skeleton).joint_names:
        known = name
        if "hand" in name:
            known = f"{name.split('_')[0]}_wrist"
        elif "face" in name or "mouth" in name:
            known = "nose"
        joints.append(walk([known], N)[:, 0])
    at = np.stack(joints, 1) - [0, 2.0, 0]
    xy = np.stack([x - 220 * at[..., 1], 600 - 220 * at[..., 2]], -1)
    middle = walk(["left_hip", "right_hip"], N)[..., 0].mean(1)
    xy[..., 0] += 66 * (at[..., 0] - middle[:, None]) + 6 * np.arange(N)[:, None]
    return xy.round(3)


ANN, BOB = seen(N).round(3), seen(N, x=800.0).round(3)
SMALL = body("mediapipe33") / SIZE
WORLD = walk(MEDIAPIPE, N) - walk(["left_hip", "right_hip"], N).mean(1, keepdims=True)


def write(folder: Path, value: Any, name: str = "a.json") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def lines(folder: Path, values: Sequence[Any], name: str = "a.jsonl") -> Path:
    return write(folder, "\n".join(json.dumps(v) for v in values), name)


def triples(xy: np.ndarray, sure: float = 0.9) -> list[float]:
    return np.column_stack([xy, np.full(len(xy), sure)]).ravel().tolist()


def rows(xy: np.ndarray, *more: float) -> list[list[float]]:
    return [[*point, *more] for point in xy.tolist()]


def named(xy: np.ndarray, names: Sequence[str] = COCO, **more: Any) -> list[dict[str, Any]]:
    return [{"x": x, "y": y, "score": 0.9, "name": n, **more}
            for n, (x, y) in zip(names, xy.tolist(), strict=True)]  # fmt: skip


def openpose(folder: Path, xy: np.ndarray, key: str = "pose_keypoints_2d") -> Path:
    for f, frame in enumerate(xy):
        person = {"person_id": [-1], key: triples(frame), "face_keypoints_2d": []}
        write(folder / "json", {"version": 1.3, "people": [person]}, f"v_{f:012}_keypoints.json")
    return folder / "json"


def table(folder: Path, head: Sequence[str], cells: Sequence[Sequence[Any]], comma: str = ",",
          name: str = "a.csv") -> Path:  # fmt: skip
    text = "\n".join(comma.join(map(str, row)) for row in [head, *cells])
    return write(folder, text, name)


def long_rows(xy: np.ndarray = ANN) -> list[tuple[int, str, float, float]]:
    return [(f, n, *p) for f, frame in enumerate(xy.tolist())
            for n, p in zip(COCO, frame, strict=True)]  # fmt: skip


# --- OpenPose, and what writes its files -----------------------------------------------------


def openpose_of(skeleton: str) -> None:
    def files(folder: Path) -> Case:
        xy = body(skeleton)
        return openpose(folder, xy), {}, xy

    files.__name__ = f"openpose_files_of_{skeleton}"
    case(files)


for _name in ("body25", "body25b", "coco18", "body135", "halpe26", "coco17", "coco133", "halpe136"):
    openpose_of(_name)


@case
def openpose_of_2017(folder):
    return openpose(folder, body("coco18"), "pose_keypoints"), {}, body("coco18")


@case
def openpose_with_another_number_of_points(folder):
    return openpose(folder, body("mpii16")), {}, "skeleton=mpii16"


@case
def openpose_with_fractions(folder):
    return openpose(folder, body("body25") / SIZE), {}, "fractions=True"


@case
def openpose_with_fractions_told(folder):
    told = {"fractions": True, "image_size": SIZE}
    return openpose(folder, body("body25") / SIZE), told, body("body25")


@case
def openpose_with_fractions_about_the_middle(folder):
    return openpose(folder, body("body25") / SIZE * 2 - 1), {}, "fractions from -1 to 1"


@case
def openpose_with_fractions_about_the_middle_told_otherwise(folder):
    path = openpose(folder, body("body25") / SIZE * 2 - 1)
    return path, {"fractions": True, "image_size": SIZE}, "--keypoint_scale 0"


@case
def openpose_with_meters(folder):
    x = walk(get_skeleton("body25").joint_names, N)
    for f, frame in enumerate(x):
        person = {"pose_keypoints_2d": frame.ravel().tolist()}
        write(folder / "json", {"people": [person]}, f"{f}_keypoints.json")
    return folder / "json", {}, "no pixels but 3D joints"


@case
def openpose_frames_in_one_list(folder):
    xy = body("body25")
    frames = [{"version": 1.3, "people": [{"pose_keypoints_2d": triples(p)}]} for p in xy]
    return write(folder, frames), {}, xy


@case
def openpose_frames_by_number(folder):
    xy = body("body25")
    frames = {str(f): {"people": [{"pose_keypoints_2d": triples(p)}]} for f, p in enumerate(xy)}
    return write(folder, frames), {}, xy


# --- AlphaPose -------------------------------------------------------------------------------


def alphapose(folder: Path, points: Callable[[np.ndarray], Any], number: Callable[[int, int], Any]):
    entries = [{"image_id": f"{f}.jpg", "category_id": 1, "score": 2.5, "box": [0, 0, 9, 9],
                "keypoints": points(who[f]), "idx": number(f, k)}
               for f in range(N) for k, who in enumerate((ANN, BOB))]  # fmt: skip
    return write(folder, entries)


@case
def alphapose_with_nested_numbers_of_people(folder):
    return alphapose(folder, triples, lambda f, k: [[k + 1.0]]), {}, [ANN, BOB]


@case
def alphapose_with_a_number_per_detection(folder):
    return alphapose(folder, triples, lambda f, k: 2 * f + k), {}, [ANN, BOB]


@case
def alphapose_with_points_in_lists(folder):
    return alphapose(folder, lambda xy: rows(xy, 0.9), lambda f, k: k), {}, [ANN, BOB]


# --- MMPose ----------------------------------------------------------------------------------


def instance(xy: np.ndarray, scores: str = "keypoint_scores", **more: Any) -> dict[str, Any]:
    return {"keypoints": xy.tolist(), scores: [0.9] * len(xy), "bbox": [[0, 0, 9, 9]], **more}


@case
def mmpose_0_results_per_frame(folder):
    frames = [[{"bbox": [0, 0, 9, 9, 0.9], "keypoints": rows(who[f], 0.9)} for who in (ANN, BOB)]
              for f in range(N)]  # fmt: skip
    return write(folder, frames), {}, [ANN, BOB]


@case
def mmpose_0_tracked(folder):
    frames = {str(f): [{"track_id": k, "area": 9.0, "keypoints": rows(who[f], 0.9)}
                       for k, who in enumerate((ANN, BOB))] for f in range(N)}  # fmt: skip
    return write(folder, frames), {}, [ANN, BOB]


@case
def mmpose_without_frame_ids(folder):
    return write(folder, [{"instances": [instance(xy)]} for xy in ANN]), {}, ANN


@case
def mmpose_with_visibilities(folder):
    frames = [{"frame_id": f, "instances": [instance(xy, "keypoints_visible")]}
              for f, xy in enumerate(ANN)]  # fmt: skip
    return write(folder, frames), {}, ANN


@case
def mmpose_predictions_of_the_inferencer(folder):
    return write(folder, {"predictions": [[instance(xy)] for xy in ANN]}), {}, ANN


@case
def mmpose_body8(folder):
    xy = body("halpe26")
    frames = [{"frame_id": f + 1, "instances": [instance(p)]} for f, p in enumerate(xy)]
    top = {"meta_info": {"dataset_name": "body8-halpe26"}, "instance_info": frames}
    return write(folder, top), {}, xy


@case
def sapiens_files_with_an_empty_image(folder):
    for f, xy in enumerate(ANN):
        people = [] if f == 5 else [instance(xy)]
        write(folder / "out", {"instance_info": people}, f"frame{f}.json")
    return folder / "out", {}, np.where(np.arange(N)[:, None, None] == 5, np.nan, ANN)


@case
def mmpose_in_3d(folder):
    frames = [{"frame_id": f, "instances": [instance(x)]} for f, x in enumerate(walk(COCO, N))]
    return write(folder, frames), {}, "hypopose import"


# --- MediaPipe -------------------------------------------------------------------------------


def landmarks(f: int, places: np.ndarray = SMALL) -> list[dict[str, float]]:
    return [{"x": x, "y": y, "z": 0.01 * ((f + j) % 5 - 2), "visibility": 0.9}
            for j, (x, y) in enumerate(places[f].tolist())]  # fmt: skip


SIZED = {"image_size": SIZE}
LANDMARKS = body("mediapipe33")


@case
def mediapipe_message_to_dict(folder):
    return write(folder, [{"landmark": landmarks(f)} for f in range(N)]), SIZED, LANDMARKS


@case
def mediapipe_lists(folder):
    frames = [[[*p.values()] for p in landmarks(f)] for f in range(N)]
    return write(folder, frames), SIZED, LANDMARKS


@case
def mediapipe_by_name(folder):
    frames = [dict(zip(MEDIAPIPE, landmarks(f), strict=True)) for f in range(N)]
    return write(folder, frames), SIZED, LANDMARKS


@case
def mediapipe_by_name_of_the_enumeration(folder):
    frames = [{f"PoseLandmark.{name.upper()}": [*p.values()]
               for name, p in zip(MEDIAPIPE, landmarks(f), strict=True)}
              for f in range(N)]  # fmt: skip
    return write(folder, frames), SIZED, LANDMARKS


@case
def mediapipe_with_size_and_rate_in_the_file(folder):
    frames = [{"frame": f, "landmarks": landmarks(f)} for f in range(N)]
    return write(folder, {"fps": 25, "width": 1280, "height": 720, "frames": frames}), {}, LANDMARKS


@case
def mediapipe_lines(folder):
    return lines(folder, [{"pose": landmarks(f)} for f in range(N)]), SIZED, LANDMARKS


@case
def mediapipe_array_with_visibility(folder):
    points = [[[*p.values()] for p in landmarks(f)] for f in range(N)]
    np.save(folder / "a.npy", points)
    return folder / "a.npy", {**SIZED, "skeleton": "mediapipe33", "fractions": True}, LANDMARKS


@case
def mediapipe_rows_of_an_array(folder):
    np.save(folder / "a.npy", SMALL.reshape(N, -1))
    return folder / "a.npy", {**SIZED, "skeleton": "mediapipe33", "fractions": True}, LANDMARKS


@case
def mediapipe_long_table_of_the_enumeration(folder):
    cells = [(f, f"PoseLandmark.{MEDIAPIPE[j].upper()}", p["x"], p["y"], 0.9)
             for f in range(N) for j, p in enumerate(landmarks(f))]  # fmt: skip
    head = ("frame", "landmark", "x", "y", "visibility")
    return table(folder, head, cells), SIZED, LANDMARKS


@case
def mediapipe_world_landmarks(folder):
    frames = [[dict(zip("xyz", p, strict=True)) for p in x] for x in WORLD.tolist()]
    return write(folder, frames), SIZED, "hypopose import"


@case
def mediapipe_world_landmarks_by_name(folder):
    frames = [{n: dict(zip("xyz", p, strict=True)) for n, p in zip(MEDIAPIPE, x, strict=True)}
              for x in WORLD.tolist()]  # fmt: skip
    return write(folder, frames), SIZED, "holds 3D joints"


@case
def mediapipe_world_array(folder):
    np.save(folder / "a.npy", np.concatenate([WORLD, np.ones((N, 33, 1))], -1))
    return folder / "a.npy", {"skeleton": "mediapipe33"}, "holds 3D joints"


# --- pose models of the browser, and other libraries -----------------------------------------


def posenet(xy: np.ndarray) -> list[dict[str, Any]]:
    camel = [COCO[j].split("_") for j in range(17)]
    return [{"score": 0.9, "part": first + "".join(w.title() for w in rest),
             "position": {"x": x, "y": y}}
            for (first, *rest), (x, y) in zip(camel, xy.tolist(), strict=True)]  # fmt: skip


@case
def posenet_poses_of_one_person(folder):
    return write(folder, [{"score": 0.9, "keypoints": posenet(xy)} for xy in ANN]), {}, ANN


@case
def posenet_people_of_one_image(folder):
    poses = [{"keypoints": posenet(who[0])} for who in (ANN, BOB)]
    return write(folder, poses), {}, [ANN[:1], BOB[:1]]


@case
def posenet_frames(folder):
    frames = [[{"keypoints": posenet(who[f])} for who in (ANN, BOB)] for f in range(N)]
    return write(folder, frames), {}, [ANN, BOB]


@case
def movenet_tracked(folder):
    frames = [[{"id": k, "keypoints": named(who[f])} for k, who in enumerate((ANN, BOB))]
              for f in range(N)]  # fmt: skip
    return write(folder, frames), {}, [ANN, BOB]


@case
def movenet_with_fractions(folder):
    frames = [[{"keypoints": named(xy / SIZE)}] for xy in ANN]
    return write(folder, frames), {}, "fractions=True"


@case
def ml5_of_old(folder):
    frames = [[{"pose": {"score": 0.9, "keypoints": posenet(xy), "nose": {"x": 1, "y": 2}},
                "skeleton": []}] for xy in ANN]  # fmt: skip
    return write(folder, frames), {}, ANN


@case
def blazepose_beside_3d(folder):
    space = [{"x": 0.1, "y": 0.1, "z": 0.1}] * 33
    frames = [[{"keypoints": named(xy, MEDIAPIPE, z=-0.1), "keypoints3D": space}]
              for xy in LANDMARKS]  # fmt: skip
    return write(folder, frames), {}, LANDMARKS


@case
def points_with_a_depth(folder):
    frames = [[{"keypoints": named(xy, z=3.1)}] for xy in ANN]
    return write(folder, frames), {}, "its points have a z"


@case
def openpifpaf_lines(folder):
    frames = [{"frame": f, "predictions": [{"keypoints": triples(who[f]), "category_id": 1}
                                           for who in (ANN, BOB)]} for f in range(N)]  # fmt: skip
    return lines(folder, frames), {}, [ANN, BOB]


@case
def openpifpaf_files(folder):
    for f, xy in enumerate(ANN):
        people = [{"keypoints": triples(xy), "bbox": [0, 0, 9, 9], "category_id": 1}]
        write(folder / "out", people, f"img_{f}.jpg.predictions.json")
    return folder / "out", {}, ANN


@case
def torchvision_outputs(folder):
    frames = [{"boxes": [[0, 0, 9, 9]] * 2, "labels": [1, 1],
               "keypoints": [rows(who[f], 1) for who in (ANN, BOB)]} for f in range(N)]  # fmt: skip
    return write(folder, frames), {"skeleton": "coco17"}, [ANN, BOB]


@case
def transformers_vitpose(folder):
    frames = [[{"keypoints": who[f].tolist(), "scores": [0.9] * 17, "bbox": [0, 0, 9, 9]}
               for who in (ANN, BOB)] for f in range(N)]  # fmt: skip
    return write(folder, frames), {}, [ANN, BOB]


@case
def detectron2_instances(folder):
    frames = [{"frame": f, "pred_keypoints": [rows(who[f], 0.9) for who in (ANN, BOB)]}
              for f in range(N)]  # fmt: skip
    return write(folder, frames), {}, [ANN, BOB]


@case
def ultralytics_texts_per_image(folder):
    frames = [json.dumps([{"name": "person", "keypoints": {
        "x": xy[:, 0].tolist(), "y": xy[:, 1].tolist(), "visible": [0.9] * 17}}])
        for xy in ANN]  # fmt: skip
    return write(folder, frames), {}, ANN


@case
def ultralytics_tensors(folder):
    frames = [[rows(who[f], 0.9) for who in (ANN, BOB)] for f in range(N)]
    return write(folder, frames), {}, [ANN, BOB]


@case
def ultralytics_fractions(folder):
    frames = [
        [
            {
                "name": "person",
                "keypoints": {"x": (xy[:, 0] / 1280).tolist(), "y": (xy[:, 1] / 720).tolist()},
            }
        ]
        for xy in ANN
    ]
    told = {"fractions": True, "image_size": SIZE}  # fmt: skip
    return write(folder, frames), told, ANN


_APPLE = {
    "nose": "head_joint", "neck": "neck_1_joint", "pelvis": "root", "shoulder": "shoulder_1_joint",
    "elbow": "forearm_joint", "wrist": "hand_joint", "hip": "upLeg_joint", "knee": "leg_joint",
    "ankle": "foot_joint", "eye": "eye_joint", "ear": "ear_joint",
}  # fmt: skip


@case
def apple_vision(folder):
    names = get_skeleton("halpe26").joint_names
    xy = body("halpe26")
    frames, known = [], []
    for place in np.stack([xy[..., 0] / 1280, 1 - xy[..., 1] / 720], -1).tolist():
        joints = {}
        for j, (name, (x, y)) in enumerate(zip(names, place, strict=True)):
            side, _, part = name.rpartition("_")
            if part in _APPLE and side in ("", "left", "right"):
                called = f"{side}_{_APPLE[part]}".lstrip("_")
                joints[called] = {"x": x, "y": y, "confidence": 0.9}
                known.append(j)
        frames.append({"frame": len(frames), "joints": joints})
    missing = [j not in known for j in range(26)]
    told = {"y_up": True, "fractions": True, "image_size": SIZE}
    return write(folder, frames), told, np.where(np.array(missing)[:, None], np.nan, xy)


@case
def body_by_name_with_a_time(folder):
    frames = [{"t": f / 25, "person": 1, "pose": dict(zip(COCO, xy.tolist(), strict=True))}
              for f, xy in enumerate(ANN) if f not in (4, 5)]  # fmt: skip
    gap = np.isin(np.arange(N), (4, 5))[:, None, None]
    return lines(folder, frames), {}, np.where(gap, np.nan, ANN)


@case
def people_of_different_counts_of_points(folder):
    return write(folder, [[rows(ANN[0])], [rows(ANN[1][:9])]]), {}, "the same keypoints"


@case
def numbered_and_other_entries(folder):
    frames = [{"frame": 0, "pose": rows(ANN[0])}, {"pose": rows(ANN[1])}]
    return write(folder, frames), {}, "number all of them"


@case
def labels_of_an_annotation_tool(folder):
    return write(folder, {"shapes": [{"label": "nose", "points": [[1, 2]]}]}), {}, "write a table"


# --- tables ----------------------------------------------------------------------------------


@case
def decimal_commas(folder):
    cells = [(f, n, str(x).replace(".", ","), str(y).replace(".", ",")) for f, n, x, y in
             long_rows()]  # fmt: skip
    return table(folder, ("frame", "joint", "x", "y"), cells, ";"), {}, ANN


@case
def columns_of_other_names(folder):
    return table(folder, ("Frame", "Joint Name", "X", "Y"), long_rows()), {}, ANN


@case
def images_for_frames(folder):
    cells = [(f"img_{f:04}.png", n, x, y) for f, n, x, y in long_rows()]
    return table(folder, ("image", "keypoint_name", "x", "y"), cells), {}, ANN


@case
def clock_times(folder):
    cells = [(f"00:00:{f / 25:06.3f}", n, x, y) for f, n, x, y in long_rows()]
    return table(folder, ("time", "joint", "x", "y"), cells), {}, ANN


@case
def wide_columns_in_brackets(folder):
    head = ["frame", *(f"{n} ({a})" for n in COCO for a in "xy")]
    return table(folder, head, [[f, *xy.ravel()] for f, xy in enumerate(ANN)]), {}, ANN


@case
def wide_columns_u_and_v(folder):
    head = ["frame", *(f"{n}_{a}" for n in COCO for a in "uv")]
    return table(folder, head, [[f, *xy.ravel()] for f, xy in enumerate(ANN)]), {}, ANN


@case
def wide_columns_in_camel_case(folder):
    head = ["frame", *(f"{n.title().replace('_', '')}{a}" for n in COCO for a in "XY")]
    return table(folder, head, [[f, *xy.ravel()] for f, xy in enumerate(ANN)]), {}, ANN


@case
def two_takes(folder):
    cells = [(f % 6 / 25, n, x, y) for f, n, x, y in long_rows()]
    head = ("time", "joint", "x", "y")
    return table(folder, head, cells), {}, "split a table of several recordings"


@case
def text_that_is_not_utf8(folder):
    path = folder / "a.csv"
    path.write_bytes("frame,person,joint,x,y\n0,José,nose,1,2\n".encode("latin-1"))
    return path, {}, "save it as UTF-8"


@case
def columns_that_are_no_keypoints(folder):
    path = table(folder, ("Time", "Trajectory 1 X", "Trajectory 1 Y"), [(0, 1, 2)])
    return path, {}, "with the columns Time,Trajectory 1 X"


@case
def all_limbs_among_other_points(folder):
    names = [f"m{j}" for j in range(3)] + list(COCO[5:])
    cells = [[f, *np.concatenate([np.full(6, 9.0), xy[5:].ravel()])] for f, xy in enumerate(ANN)]
    head = ["frame", *(f"{n}_{a}" for n in names for a in "xy")]
    hidden = np.where(np.arange(17)[:, None] < 5, np.nan, ANN)
    return table(folder, head, cells), {}, hidden


# --- calibrations ----------------------------------------------------------------------------

MATRIX = [[1000, 0, 640], [0, 1000, 360], [0, 0, 1]]
SINGLE = {"fx": 1000, "fy": 1000, "cx": 640, "cy": 360}
BENT = [0.1, 0.0, 0.0, 0.0, 0.0]
CALIBRATIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lens of a script": ({"camera_matrix": MATRIX, "dist_coeff": [BENT], "w": 1280, "h": 720}, {}),
    "Azure Kinect": ({"color_camera": {**SINGLE, "k1": 0.1, "p1": 0, "width": 1280, "height": 720}},
                     {}),
    "nerfstudio": ({"fl_x": 1000, "fl_y": 1000, "cx": 640, "cy": 360, "w": 1280, "h": 720,
                    "k1": 0.1, "k2": 0, "camera_model": "OPENCV"}, {}),
    "Panoptic": ({"cameras": [{"name": "00_00", "resolution": [1280, 720], "K": MATRIX,
                               "distCoef": BENT, "R": np.eye(3).tolist(), "t": [[0], [0], [400]]}]},
                 {"unit": "cm"}),
    "height and width": ({"one": {"K": MATRIX, "dist": [BENT], "H": 720, "W": 1280}}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.filterwarnings("ignore::hypopose.io.camera_files.refusals.CameraFileWarning")
def test_calibration(name: str, tmp_path: Path) -> None:
    values, told = CALIBRATIONS[name]
    (camera,) = load_cameras(write(tmp_path, values), **told).values()
    assert camera.focal.tolist() == [1000, 1000]
    assert camera.center.tolist() == [640, 360]
    assert camera.image_size == SIZE
    assert camera.distortion is not None
    assert camera.distortion.tolist() == pytest.approx(BENT)
    if camera.translation is not None:
        assert camera.translation.tolist() == [0, 0, 4]


def test_an_archive_of_opencv_is_read_without_the_places_of_its_board(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mtx=np.array(MATRIX, float), dist=np.array([BENT]),
             rvecs=np.ones((3, 3)), tvecs=np.ones((3, 3)))  # fmt: skip
    (camera,) = load_cameras(tmp_path / "a.npz", SIZE).values()
    assert camera.rotation is None
    assert camera.distortion is not None


REFUSED_CALIBRATIONS = {
    "a lens under another key": ({"K": MATRIX, "size": [*SIZE], "distCoeffsLeft": BENT}, "a lens"),
    "one coefficient": ({"K": MATRIX, "size": [*SIZE], "k1": 0.1}, "distortions = "),
    "degrees": ({"K": MATRIX, "size": [*SIZE], "rvec": [90, 0, 0]}, "degrees perhaps"),
    "a lens the other way round": ({"K": MATRIX, "size": [*SIZE], "coeffs": BENT,
                                    "distortion_model": "inverse_brown_conrady"}, "does not know"),
    "no camera": ({"intrinsics": 3}, "matrix (3 x 3)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_CALIBRATIONS)
def test_calibration_is_refused(name: str, tmp_path: Path) -> None:
    values, why = REFUSED_CALIBRATIONS[name]
    with pytest.raises(FormatError) as refused:
        load_cameras(write(tmp_path, values))
    assert why in str(refused.value)


# --- what is no keypoint file ----------------------------------------------------------------


@case
def a_pickle(folder):
    (folder / "a.pkl").write_bytes(b"\x80\x04K\x01.")
    return folder / "a.pkl", {}, "could run code"


@case
def a_file_of_pytorch(folder):
    import torch

    torch.save(torch.from_numpy(ANN), folder / "a.pt")
    return folder / "a.pt", {}, "a PyTorch file"


@case
def a_workbook(folder):
    import zipfile

    with zipfile.ZipFile(folder / "a.xlsx", "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
    return folder / "a.xlsx", {}, "as CSV"


@case
def parameters_of_a_body_model(folder):
    np.savez(folder / "a.npz", poses=np.zeros((3, 156)), trans=np.zeros((3, 3)))
    return folder / "a.npz", {}, "parameters of a body model"


@case
def missing_marks_in_an_array(folder):
    lost = (np.arange(17) + np.arange(N)[:, None]) % 6 == 0
    values = np.dstack([ANN, np.full(ANN.shape[:2], 0.9)])
    np.save(folder / "a.npy", np.where(lost[..., None], -1.0, values))
    return folder / "a.npy", {"skeleton": "coco17"}, np.where(lost[..., None], np.nan, ANN)


@case
def missing_marks_in_json(folder):
    lost = (np.arange(17) + np.arange(N)[:, None]) % 6 == 0
    values = np.dstack([ANN, np.full(ANN.shape[:2], 0.9)])
    points = np.where(lost[..., None], -1.0, values).tolist()
    frames = {f"frame_{f:04d}.jpg": points[f] for f in range(N)}
    return write(folder, frames), {"skeleton": "coco17"}, np.where(lost[..., None], np.nan, ANN)


@case
def a_line_of_units(folder):
    head = ",".join(f"{n}_x,{n}_y" for n in COCO)
    units = ",".join(["px"] * 34)
    body = [",".join(map(str, frame.ravel())) for frame in ANN]
    return write(folder, "\n".join([head, units, *body]), "a.csv"), {}, "holds units"


@pytest.mark.parametrize("make", CASES, ids=lambda f: f.__name__)
def test_file(make: Callable[[Path], Case], tmp_path: Path) -> None:
    path, options, expected = make(tmp_path)
    if isinstance(expected, str):
        with pytest.raises(FormatError) as refused:
            load_people(path, **options)
        assert expected in str(refused.value)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        people = load_people(path, **options)
    truths = expected if isinstance(expected, list) else [expected]
    assert len(people) == len(truths)
    for truth in truths:
        errors = [_error(keypoints.xy.numpy(), truth) for keypoints in people.values()]
        assert min(errors) < 0.01


def _error(xy: np.ndarray, truth: np.ndarray) -> float:
    if xy.shape != truth.shape or (np.isnan(xy) != np.isnan(truth)).any():
        return np.inf
    return float(np.nanmax(np.abs(xy - truth)))


def test_markers_beside_a_body_are_left_out(tmp_path: Path) -> None:
    opencap = ("Neck", "midHip", *(f"{s}{p}" for s in "RL" for p in (
        "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")))  # fmt: skip
    ours = ("neck", "pelvis", *(f"{s}_{p}" for s in ("right", "left") for p in (
        "shoulder", "elbow", "wrist", "hip", "knee", "ankle")))  # fmt: skip
    places = in_axes(walk(ours, N), "y")
    extra = places[:, :2] + 0.1
    path = write_trc(tmp_path / "a.trc", (*opencap, "r_shoulder_study", "C7_study"),
                     np.concatenate([places, extra], 1))  # fmt: skip
    made = hypopose.import_motion(path)["0"].hypotheses
    assert not made.skeleton.name.startswith("own")
    at = made.skeleton.index("left_knee"), made.skeleton.index("left_hip")
    limb = (made.joints[0, :, at[0]] - made.joints[0, :, at[1]]).norm(dim=-1)
    true = np.linalg.norm(np.diff(walk(("left_hip", "left_knee"), N), axis=1)[:, 0], axis=-1)
    assert np.allclose(limb.numpy(), true, atol=1e-4)


def doubts(path: Path, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_people(path, **options)
    return [str(w.message) for w in caught if w.category is DoubtfulInputWarning]


def test_numbered_frames_with_times_have_a_rate(tmp_path: Path) -> None:
    frames = [{"frame": f, "timestamp_ms": 40 * f, "landmarks": landmarks(f)} for f in range(N)]
    (keypoints,) = load_people(write(tmp_path, frames), image_size=SIZE).values()
    assert keypoints.fps == 25.0


def test_times_of_a_script_make_gaps_and_a_rate(tmp_path: Path) -> None:
    path, _, _ = body_by_name_with_a_time(tmp_path)
    (keypoints,) = load_people(path).values()
    assert (keypoints.n_frames, keypoints.fps) == (N, 25.0)


def test_identities_of_one_frame_each_are_said_to_be_none(tmp_path: Path) -> None:
    path, _, _ = alphapose_with_a_number_per_detection(tmp_path)
    (found,) = doubts(path)
    assert "24 identities ignored" in found


def test_rows_of_several_frames_without_numbers_are_doubted(tmp_path: Path) -> None:
    cells = [["person", 0, 0.9, "{}", json.dumps(
        {"x": xy[:, 0].tolist(), "y": xy[:, 1].tolist()}).replace('"', "'")]
        for xy in ANN]  # fmt: skip
    quoted = [[f'"{c}"' if isinstance(c, str) else c for c in row] for row in cells]
    path = table(tmp_path, ("name", "class", "confidence", "box", "keypoints"), quoted)
    assert any("stand on one spot" in doubt for doubt in doubts(path))


def test_percent_and_a_corner_of_the_image_are_doubted(tmp_path: Path) -> None:
    percent = 100 * ANN / SIZE
    path = table(tmp_path, ("frame", "joint", "x", "y"), long_rows(percent))
    assert any("percent" in doubt for doubt in doubts(path, image_size=SIZE))
    assert any("percent" in doubt for doubt in inspect(path, image_size=SIZE).doubts)
    path = table(tmp_path, ("frame", "joint", "x", "y"), long_rows(ANN / 3))
    assert any("upper left quarter" in doubt for doubt in doubts(path, image_size=SIZE))
    path = table(tmp_path, ("frame", "joint", "x", "y"), long_rows())
    assert not doubts(path, image_size=SIZE)


def test_confidences_called_c_are_read(tmp_path: Path) -> None:
    joints = [{n: {"x": x, "y": y, "c": 0.7} for n, (x, y) in zip(COCO, frame, strict=True)}
              for frame in ANN.tolist()]  # fmt: skip
    (keypoints,) = load_people(write(tmp_path, {"frames": joints})).values()
    assert keypoints.confidence is not None
    assert keypoints.confidence.flatten().tolist() == pytest.approx([0.7] * 17 * N)


def test_people_of_a_few_pixels_are_doubted(tmp_path: Path) -> None:
    small = 600 + 0.05 * ANN
    np.save(tmp_path / "a.npy", small)
    doubts = inspect(tmp_path / "a.npy", skeleton="coco17", image_size=SIZE).doubts
    tall = np.median((small.max(1) - small.min(1)).max(-1))
    assert f"people are {tall:.0f} px tall" in " ".join(doubts)
    np.save(tmp_path / "b.npy", ANN)
    assert not inspect(tmp_path / "b.npy", skeleton="coco17", image_size=SIZE).doubts


def test_people_seen_in_part_are_not_doubted_for_their_size(tmp_path: Path) -> None:
    parts = np.where(np.arange(17)[:, None] < 12, np.nan, ANN)
    np.save(tmp_path / "a.npy", parts)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        info = inspect(tmp_path / "a.npy", skeleton="coco17", min_joints=1)
    assert not any("px tall" in doubt for doubt in info.doubts)

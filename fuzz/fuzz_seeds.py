"""Small valid files of every format, from which the fuzzer starts."""

from __future__ import annotations

import functools
import io
import json
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.io.untrusted import containers, reading_process
from hypopose.skeletons import get_skeleton
from hypopose.skeletons.depth_cameras import KINECT_WORDS

XY = np.random.default_rng(0).uniform(50, 400, (3, 17, 2)).round(1)
NAMES = get_skeleton("coco17").joint_names


def _triples(xy: np.ndarray) -> list[float]:
    return np.column_stack([xy, np.full(len(xy), 0.5)]).ravel().tolist()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _openpose() -> list[bytes]:
    xy = np.random.default_rng(1).uniform(50, 400, (25, 2)).round(1)
    frame = _json({"people": [{"pose_keypoints_2d": _triples(xy)}]})
    small = _json({"people": [{"person_id": [3], "pose_keypoints_2d": _triples(xy[:18])}]})
    return [frame, small, frame + b"\n%%\n" + _json({"people": []}) + b"\n%%\n" + frame]


def _entries(**more: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": f, "category_id": 1, "keypoints": _triples(xy), "score": 0.9, **more}
        for f, xy in enumerate(XY)
    ]


def _annotations() -> list[bytes]:
    images = [{"id": f, "width": 640, "height": 480} for f in range(3)]
    listed = [{**e, "id": i, "keypoints": [1 + (v % 2) if k % 3 == 2 else v for k, v in
               enumerate(e["keypoints"])]} for i, e in enumerate(_entries())]  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(NAMES)}
    full = {"images": images, "annotations": listed, "categories": [category]}
    scattered = {"images": [{"id": 9}, {"id": 90_000, "width": 5, "height": 5}], "annotations": [
        {"image_id": 90_000, "keypoints": _triples(XY[0])}]}  # fmt: skip
    return [_json(full), _json(scattered)]


def _alphapose() -> list[bytes]:
    entries = _entries(box=[0, 0, 5, 5], idx=4)
    return [_json([{**e, "image_id": f"{e['image_id']}.jpg"} for e in entries])]


def _mmpose() -> list[bytes]:
    frames = [
        {"frame_id": f, "instances": [{"keypoints": xy.tolist(), "keypoint_scores": [0.5] * 17}]}
        for f, xy in enumerate(XY)
    ]
    meta = {"dataset_name": "coco", "keypoint_id2name": {str(i): n for i, n in enumerate(NAMES)}}
    return [_json(frames), _json({"meta_info": meta, "instance_info": frames}),
            _json(frames[0]["instances"])]  # fmt: skip


def _detectron2() -> list[bytes]:
    people = [np.column_stack([xy, np.full(17, 0.5)]).tolist() for xy in XY]
    inner = [{"pred_keypoints": [p], "scores": [0.9], "image_size": [480, 640]} for p in people]
    return [_json([{"frame_id": f, "instances": i} for f, i in enumerate(inner)]),
            _json({"instances": {"fields": inner[0]}})]  # fmt: skip


def _detectron2_npz() -> list[bytes]:
    frames = np.empty(3, object)
    for f, xy in enumerate(XY):
        frames[f] = [[], np.stack([*xy.T, np.ones(17), np.full(17, 0.9)])[None]]
    return [_npz(boxes=frames, keypoints=frames, metadata={"w": 640, "h": 480})]


def _mediapipe() -> list[bytes]:
    rng = np.random.default_rng(2)
    values = rng.uniform(0, 1, (2, 33, 4)).round(3)
    header = ["frame", *(f"{c}{i}" for i in range(33) for c in ("x", "y", "z", "v"))]
    names = get_skeleton("mediapipe33").joint_names
    named = [f"{n.upper()}_{c}" for n in names for c in ("x", "y", "z", "visibility")]
    rows = [",".join(map(str, row.ravel())) for row in values]
    proto = "landmarks {\n" + "".join(
        f"  landmark {{ x: {x} y: {y} z: {z} visibility: {v} }}\n" for x, y, z, v in values[0]
    ) + "}\n"  # fmt: skip
    numbered = "\n".join([",".join(header), *(f"{i},{row}" for i, row in enumerate(rows))])
    return [proto.encode(), numbered.encode(), "\n".join([",".join(named), *rows]).encode(),
            "\n".join(rows).encode()]  # fmt: skip


def _columns() -> list[tuple[str, str, str]]:
    return [("net", n, c) for n in NAMES for c in ("x", "y", "likelihood")]


def _table() -> np.ndarray:
    return np.concatenate([XY, np.full((3, 17, 1), 0.5)], -1).reshape(3, -1)


def _deeplabcut() -> list[bytes]:
    def text(levels: list[list[str]], index: list[str]) -> bytes:
        lines = [",".join(level) for level in levels]
        lines += [f"{i},{','.join(map(str, row))}" for i, row in zip(index, _table(), strict=True)]
        return "\n".join(lines).encode()

    scorer, parts, coords = zip(*_columns(), strict=True)
    single = [["scorer", *scorer], ["bodyparts", *parts], ["coords", *coords]]
    multi = [single[0], ["individuals", *(["a"] * 24), *(["b"] * 27)], *single[1:]]
    labeled = ["labeled-data/v/img01.png", "labeled-data/v/img07.png", "labeled-data/v/img9.png"]
    return [text(single, list("012")), text(multi, labeled), _hdf5("deeplabcut")]


def _fill_hdf5(name: str, file: Any) -> None:
    import h5py

    if name == "deeplabcut":
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        record = np.zeros(3, dtype=[("index", "<i8"), ("values_block_0", "<f8", (51,))])
        record["index"], record["values_block_0"] = np.arange(3), _table()
        group["table"] = record
        kind = pickle.dumps(_columns(), protocol=0)
        group["table"].attrs["values_block_0_kind"] = np.bytes_(kind)
    elif name == "sleap":
        file["tracks"] = XY.transpose(2, 1, 0)[None]
        file["point_scores"] = np.full((1, 17, 3), 0.5)
        file["node_names"] = np.array(NAMES, dtype="S")
        file["track_names"] = np.array([b"track_0"])
    else:
        file["position"] = XY.transpose(0, 2, 1)[..., None]
        file["confidence"] = np.full((3, 17, 1), 0.5)
        file["time"] = np.arange(3) / 30
        for axis, labels in (("keypoints", NAMES), ("individuals", ["one"]), ("space", "xy")):
            file.create_dataset(axis, data=list(labels), dtype=h5py.string_dtype())
        file.attrs["fps"] = 30.0


def _hdf5(name: str) -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        _fill_hdf5(name, file)
    return stream.getvalue()


def _netcdf3() -> bytes:
    from scipy.io import netcdf_file

    stream = io.BytesIO()
    file = netcdf_file(stream, "w")
    sizes = {"time": 3, "space": 2, "keypoints": 17, "individuals": 1, "word": 16}
    for axis, n in sizes.items():
        file.createDimension(axis, n)
    file.createVariable("position", "f4", ("time", "space", "keypoints", "individuals"))[:] = (
        XY.transpose(0, 2, 1)[..., None]
    )
    words = np.array(NAMES, dtype="S16").view("S1").reshape(17, 16)
    file.createVariable("keypoints", "c", ("keypoints", "word"))[:] = words
    file.fps = 30.0
    file.flush()
    return stream.getvalue()


def _easymocap_2d() -> list[bytes]:
    person = {"personID": 0, "bbox": [0, 0, 9, 9, 0.9]}
    points = np.column_stack([XY[0], np.full(len(XY[0]), 0.9)]).tolist()
    image = {"filename": "images/01/000000.jpg", "height": 480, "width": 640}
    whole = {**image, "annots": [{**person, "keypoints": points}]}
    return [json.dumps(whole).encode()]


def _wide_2d() -> list[bytes]:
    joints = ("nose", "left_hip", "right_hip", "left_knee", "right_knee")
    plain = ",".join(f"{j}_{a}" for j in joints for a in "xy")
    timed = ",".join(f"x_{j},y_{j},{j}_conf" for j in joints)
    rows = "".join(",".join(str(100 + 7 * f + 9 * i) for i in range(10)) + "\n" for f in range(4))
    sure = "".join(
        f"{f / 25},ann,25," + ",".join(f"{90 + f + 5 * i},{80 + i},.9" for i in range(5)) + "\n"
        for f in range(4)
    )
    return [f"{plain}\n{rows}".encode(), f"time,person,fps,{timed}\n{sure}".encode()]


def _tidy() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(f, "a", n, *XY[f, j], 0.5) for f in range(3) for j, n in enumerate(NAMES)]
    header = ("frame", "person", "joint", "x", "y", "confidence")
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    text = "# skeleton: coco17\n# image_size: 640 480\n# fps: 30\n" + "\n".join(lines)
    stream = io.BytesIO()
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), stream)
    landmarks = "frame;landmark;x;y\n" + "\n".join(f"0;{i};0.5;0.{i + 10}" for i in range(33))
    return [text.encode(), landmarks.encode(), stream.getvalue()]


def _yolo() -> list[bytes]:
    def row(xy: np.ndarray, *more: object) -> str:
        values = np.column_stack([xy / 640, np.full(len(xy), 0.5)]).ravel().round(4)
        return " ".join(map(str, (0, 0.5, 0.5, 0.4, 0.6, *values, *more)))

    tracked = "\n".join((row(XY[0], 0.9, 3), row(XY[1], 0.8, 4)))
    flat = " ".join(map(str, (0, 0.5, 0.5, 0.4, 0.6, *(XY[2] / 640).ravel().round(4))))
    folder = "\n%%\n".join((tracked, "", row(XY[2], 0.7)))
    return [tracked.encode(), flat.encode(), folder.encode()]


def _own_json() -> list[bytes]:
    import torch

    from hypopose.io.writers.keypoint_json import to_json
    from hypopose.types import Keypoints2D

    xy = torch.from_numpy(XY).float()
    xy[1] = torch.nan
    keypoints = Keypoints2D(xy, get_skeleton("coco17"), confidence=xy[..., 0].nan_to_num() / 400)
    return [to_json({"ann": keypoints, "bob": keypoints}).encode()]


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _videopose3d() -> list[bytes]:
    metadata = {"layout_name": "coco", "video_metadata": {"a.mp4": {"w": 640, "h": 480}}}
    positions = {"a.mp4": {"custom": [XY.astype("f4")]}}
    return [_npz(positions_2d=np.array(positions, dtype=object), metadata=np.array(metadata))]


def _arrays() -> list[bytes]:
    ragged = np.empty(3, dtype=object)
    for f in range(3):
        ragged[f] = np.stack([XY[f]] * f) if f else np.zeros((0, 17, 2))
    streams = [io.BytesIO(), io.BytesIO()]
    np.save(streams[0], XY)
    np.save(streams[1], ragged, allow_pickle=True)
    return [*(s.getvalue() for s in streams), _npz(xy=XY, scores=XY[..., 0] / 400, fps=30)]


def _own() -> list[bytes]:
    import torch

    from hypopose.io import save_keypoints
    from hypopose.types import Camera, Keypoints2D

    xy = torch.from_numpy(XY).float()
    camera = Camera.from_fov((640, 480))
    keypoints = Keypoints2D(xy, get_skeleton("coco17"), confidence=xy[..., 0] / 400, camera=camera)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.npz"
        save_keypoints(path, keypoints)
        return [path.read_bytes()]


def _mediapipe_json() -> list[bytes]:
    points = np.random.default_rng(2).uniform(0.2, 0.8, (3, 33, 3)).round(4)
    people = [
        [{"x": x, "y": y, "z": z - 0.5, "visibility": 0.9} for x, y, z in person]
        for person in points.tolist()
    ]
    frames = [{"frame": i, "pose_landmarks": [person]} for i, person in enumerate(people)]
    timed = [{"timestamp_ms": 40 * i, "landmarks": [p]} for i, p in enumerate(people)]
    return [_json(frames), _json(timed), _json(people[0])]


def _ultralytics() -> list[bytes]:
    def detection(xy: np.ndarray, **more: Any) -> dict[str, Any]:
        points = {"x": xy[:, 0].tolist(), "y": xy[:, 1].tolist(), "visible": [0.9] * len(xy)}
        box = {"x1": 1, "y1": 2, "x2": 3, "y2": 4}
        entry = {"name": "person", "class": 0, "confidence": 0.9, "box": box, **more}
        return {**entry, "keypoints": points}

    frames = [[detection(xy, track_id=3)] for xy in XY]
    rows = ["name,class,confidence,box,keypoints,frame"]
    for f, xy in enumerate(XY):
        entry = detection(xy)
        cells = [str(entry["box"]), str(entry["keypoints"])]
        rows.append(f'person,0,0.9,"{cells[0]}","{cells[1]}",{f}')
    return [_json(frames), _json([detection(XY[0])]), "\n".join(rows).encode()]


def _alphapose_frames() -> list[bytes]:
    people = [{"joints": _triples(xy)} for xy in XY]
    cmu = {f"{f}.jpg": {"version": 0.1, "bodies": [p]} for f, p in enumerate(people)}
    flow = {f"{f}.jpg": [{"keypoints": p["joints"], "idx": 1}] for f, p in enumerate(people)}
    return [_json(cmu), _json(flow)]


def _vitpose() -> list[bytes]:
    frames = [{"0": [[y, x, 0.9] for x, y in xy.tolist()]} for xy in XY]
    names = {str(i): name for i, name in enumerate(NAMES)}
    return [_json({"keypoints": frames, "skeleton": names})]


def _kinect() -> list[bytes]:
    bodies = [
        {"trackingId": 7, "tracked": True, "joints": [
            {"colorX": x, "colorY": y, "cameraX": x, "cameraY": y, "cameraZ": 2, "trackingState": 2}
            for x, y in np.random.default_rng(f).uniform(0, 1, (25, 2)).round(3).tolist()]}
        for f in range(2)
    ]  # fmt: skip
    by_name = dict(zip(KINECT_WORDS, bodies[0]["joints"], strict=True))
    named = {"frames": [{"bodies": [{**bodies[0], "joints": by_name}]}]}
    return [_json([{"bodies": [body]} for body in bodies]), _json(named)]


def _script_json() -> list[bytes]:
    def points(xy: np.ndarray) -> list[dict[str, Any]]:
        return [
            {"x": x, "y": y, "score": 0.9, "name": name}
            for name, (x, y) in zip(NAMES, xy.tolist(), strict=True)
        ]

    named = [[{"id": 1, "keypoints": points(xy)}] for xy in XY]
    timed = {"fps": 25, "frames": [{"t": f / 25, "people": [points(xy)]}
                                   for f, xy in enumerate(XY)]}  # fmt: skip
    lines = b"\n".join(_json({"frame": f, "pose": _triples(xy)}) for f, xy in enumerate(XY))
    by_image = {f"a_{f}.jpg": dict(zip(NAMES, xy.tolist(), strict=True))
                for f, xy in enumerate(XY)}  # fmt: skip
    return [_json(named), _json(timed), lines, _json(by_image)]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "kinect": _kinect,
    "openpose": _openpose,
    "coco-results": lambda: [_json(_entries())],
    "coco-annotations": _annotations,
    "alphapose": _alphapose,
    "alphapose-frames": _alphapose_frames,
    "ultralytics": _ultralytics,
    "easy-vitpose": _vitpose,
    "mmpose": _mmpose,
    "detectron2": _detectron2,
    "detectron2-npz": _detectron2_npz,
    "mediapipe": _mediapipe,
    "mediapipe-json": _mediapipe_json,
    "deeplabcut": _deeplabcut,
    "sleap": lambda: [_hdf5("sleap")],
    "movement": lambda: [_hdf5("movement"), _netcdf3()],
    "tidy": _tidy,
    "wide": _wide_2d,
    "easymocap": _easymocap_2d,
    "videopose3d": _videopose3d,
    "arrays": _arrays,
    "hypopose": _own,
    "hypopose-json": _own_json,
    "yolo": _yolo,
    "script-json": _script_json,
}


def files(name: str) -> list[bytes]:
    """Valid files of a format."""
    return SEEDS[name]()


@functools.cache
def tree(name: str, kind: str) -> containers.Tree:
    """A valid container's contents."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed"
        if kind == "parquet":
            path.write_bytes(_tidy()[2])
        elif name == "movement" and kind == "netcdf3":
            path.write_bytes(_netcdf3())
        else:
            path.write_bytes(_hdf5(name))
            kind = "hdf5"
        arrays, attributes = reading_process.READERS[kind](str(path), containers.FREE_BYTES)
    given = {p: {k: containers.with_bytes(v) for k, v in a.items()} for p, a in attributes.items()}
    return containers.Tree(kind, arrays, given)


def _numbers(rows: np.ndarray, separator: str) -> str:
    return "\n".join(separator.join(f"{v:.3f}" for v in row) for row in rows)


def _body(n: int = 3) -> np.ndarray:
    """A standing person in the order of COCO's joints, meters with y up."""
    heights = [1.6, 1.63, 1.63, 1.61, 1.61, 1.4, 1.4, 1.12, 1.12, 0.88, 0.88, 0.93, 0.93, 0.5, 0.5,
               0.08, 0.08]  # fmt: skip
    aside = [0, 0.03, -0.03, 0.07, -0.07, *[0.2, -0.2] * 3, *[0.1, -0.1] * 3]
    body = np.stack([np.array(aside), np.array(heights), np.full(17, 0.1)], -1)
    return body[None] + np.arange(n)[:, None, None] * [0.0, 0.0, 0.05]


def _trc() -> bytes:
    x = _body()
    index = np.stack([np.arange(1, 4), np.arange(3) / 60], -1)
    head = ["PathFileType\t4\t(X/Y/Z)\ta.trc", "DataRate\tUnits", "60\tm",
            "Frame#\tTime\t" + "\t\t\t".join(NAMES), "\t\tX1", ""]  # fmt: skip
    return "\n".join([*head, _numbers(np.concatenate([index, x.reshape(3, -1)], 1), "\t")]).encode()


def _bvh() -> bytes:
    joint = "CHANNELS 3 Zrotation Xrotation Yrotation"
    return (
        f"HIERARCHY\nROOT Hips\n{{\nOFFSET 0 90 0\n{joint}\nJOINT LeftUpLeg\n{{\nOFFSET 10 0 0\n"
        f"{joint}\nJOINT LeftLeg\n{{\nOFFSET 0 -43 0\n{joint}\nEnd Site\n{{\n"
        "OFFSET 0 -42 0\n}\n}\n"
        f"}}\n}}\nMOTION\nFrames: 2\nFrame Time: 0.04\n{'1 ' * 9}\n{'2 ' * 9}\n"
    ).encode()


def _npy(x: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, x)
    return stream.getvalue()


def _wide_3d() -> bytes:
    head = ",".join(f"{name}_{axis}" for name in NAMES for axis in "xyz")
    return f"{head}\n{_numbers(_body().reshape(3, -1), ',')}".encode()


def _tidy_3d() -> bytes:
    rows = [f"{f},{name},{x:.3f},{y:.3f},{z:.3f}" for f, body in enumerate(_body())
            for name, (x, y, z) in zip(NAMES, body.tolist(), strict=True)]  # fmt: skip
    return "\n".join(["frame,joint,x,y,z", *rows]).encode()


def _deeplabcut_3d() -> bytes:
    parts = [name for name in NAMES for _ in "xyz"]
    heads = [["scorer", *["net"] * 51], ["bodyparts", *parts], ["coords", *"xyz" * 17]]
    rows = [f"{f},{','.join(f'{v:.3f}' for v in body.ravel())}" for f, body in enumerate(_body())]
    return "\n".join([*(",".join(head) for head in heads), *rows]).encode()


def _poses() -> list[dict[str, Any]]:
    return [
        {"frame_id": f, "instances": [{"keypoints": x.tolist()}]} for f, x in enumerate(_body())
    ]


def _qualisys_tsv() -> bytes:
    """The table of QTM: a header, then a frame a row."""
    head = f"NO_OF_FRAMES\t3\nFREQUENCY\t50\nDATA_INCLUDED\t3D\nMARKER_NAMES\t{chr(9).join(NAMES)}"
    rows = [f"{f + 1}\t{f / 50}\t" + "\t".join(f"{1000 * v:.2f}" for v in x.ravel())
            for f, x in enumerate(_body())]  # fmt: skip
    return "\n".join([head, *rows]).encode()


MOTION: dict[str, list[bytes]] = {
    "qualisys-tsv": [_qualisys_tsv()],
    "trc": [_trc()],
    "bvh": [_bvh()],
    "wide-3d": [_wide_3d()],
    "tidy-3d": [_tidy_3d()],
    "deeplabcut-3d": [_deeplabcut_3d()],
    "mediapipe-world": [
        _json([{"pose_world_landmarks": [[{"x": 0.1, "y": 0.2, "z": 0.3}] * 33]}]),
    ],
    "mmpose-3d": [_json({
        "meta_info": {"keypoint_id2name": {str(i): name for i, name in enumerate(NAMES)}},
        "instance_info": _poses()})],
    "azure-kinect-3d": [_json({"k4abt_x": 1, "frames": [
        {"frame_id": 0, "bodies": [{"body_id": 1, "joint_positions": [[1, 2, 3]] * 32}]}]})],
    "kinect-3d": _kinect(),
    "arrays-3d": [_npy(_body())],
}  # fmt: skip
"""Small valid files of 3D motion."""

_CAMERA = ('name = "a"\nsize = [640, 480]\nmatrix = [[600, 0, 320], [0, 600, 240], [0, 0, 1]]\n'
           "distortions = [0.1, 0, 0, 0]\nrotation = [0, 0.1, 0]\n"
           "translation = [0, 0, 4]\n")  # fmt: skip


def _opencap() -> bytes:
    values = {"intrinsicMat": np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]),
              "distortion": np.zeros((1, 5)), "imageSize": np.array([[480.0], [640.0]]),
              "rotation": np.eye(3), "translation": np.array([[0.0], [0], [4000]])}  # fmt: skip
    return pickle.dumps(values)


_QCA = (
    b'<calibration><cameras><camera active="1" serial="24" model="x"><fov_video left="0" top="0" '
    b'right="639" bottom="479"/><transform x="1000" y="2000" z="1500" r11="1" r12="0" r13="0" '
    b'r21="0" r22="0" r23="-1" r31="0" r32="1" r33="0"/><intrinsic focallength="10" '
    b'sensorMinU="0" sensorMaxU="40960" sensorMinV="0" sensorMaxV="30720" focalLengthU="38400" '
    b'focalLengthV="38400" centerPointU="20480" centerPointV="15360" skew="0" '
    b'radialDistortion1="0" radialDistortion2="0" radialDistortion3="0" '
    b'tangentalDistortion1="0" tangentalDistortion2="0"/></camera></cameras></calibration>'
)

_CAMCHAIN = (
    b"cam0:\n  camera_model: pinhole\n  intrinsics: [600, 600, 320, 240]\n"
    b"  distortion_model: radtan\n  distortion_coeffs: [0, 0, 0, 0]\n"
    b"  resolution: [640, 480]\ncam1:\n  camera_model: pinhole\n"
    b"  intrinsics: [600, 600, 320, 240]\n  distortion_model: equidistant\n"
    b"  distortion_coeffs: [0, 0, 0, 0]\n  resolution: [640, 480]\n  T_cn_cnm1:\n"
    b"  - [1, 0, 0, 2]\n  - [0, 1, 0, 0]\n  - [0, 0, 1, 1]\n  - [0, 0, 0, 1]\n"
)
CAMERAS: dict[str, list[bytes]] = {
    "toml": [f"[a]\n{_CAMERA}".encode(), f"[a]\n{_CAMERA}fisheye = true\n".encode()],
    "yml": [b"%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\ncamera_matrix:\n   rows: 3\n"
            b"   cols: 3\n   data: [600, 0, 320, 0, 600, 240, 0, 0, 1]\n"
            b"distortion_model: equidistant\n"
            b"distortion_coefficients:\n   rows: 1\n   cols: 4\n   data: [0.1, 0, 0, 0]\n"],
    "json": [_json({"focal": [600, 600], "center": [320, 240], "image_size": [640, 480],
                    "distortion": [0.1, 0, 0, 0, 0], "distortion_model": "fisheye"}),
             _json({"w": 640, "h": 480, "K": [600, 0, 0, 0, 600, 0, 320, 240, 1]}),
             _json({"intrinsics": {"fx": 600, "fy": 600, "cx": 320, "cy": 240},
                    "imageResolution": [640, 480]})],
    "txt": [b"1 OPENCV_FISHEYE 640 480 600 600 320 240 0.1 0 0 0\n"
            b"2 PINHOLE 640 480 600 600 320 240\n", b"600 0 320\n0 600 240\n0 0 1\n"],
    "xml": [b"<calibration><projection>frame</projection><width>640</width><height>480</height>"
            b"<f>600</f><cx>1</cx><cy>2</cy><k1>0.1</k1></calibration>"],
    "xcp": [b'<Cameras><Camera SENSOR_SIZE="640 480"><KeyFrames><KeyFrame FOCAL_LENGTH="600" '
            b'PRINCIPAL_POINT="320 240" ORIENTATION="0 0 0 1" POSITION="0 0 4000"/>'
            b"</KeyFrames></Camera></Cameras>"],
    "qca.txt": [_QCA],
    "kalibr.yaml": [_CAMCHAIN],
    "pickle": [_opencap()],
    "npz": [_npz(mtx=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), dist=np.zeros(5))],
}  # fmt: skip
"""Small valid calibration files."""

_INTRI = (
    b'%YAML:1.0\n---\nnames:\n  - "01"\nK_01: !!opencv-matrix\n  rows: 3\n  cols: 3\n  dt: d\n'
    b"  data: [600, 0, 320, 0, 600, 240, 0, 0, 1]\ndist_01: !!opencv-matrix\n  rows: 1\n"
    b"  cols: 5\n  dt: d\n  data: [0, 0, 0, 0, 0]\n"
)
_EXTRI = (
    b'%YAML:1.0\n---\nnames:\n  - "01"\nR_01: !!opencv-matrix\n  rows: 3\n  cols: 1\n  dt: d\n'
    b"  data: [0, 0.1, 0]\nT_01: !!opencv-matrix\n  rows: 3\n  cols: 1\n  dt: d\n"
    b"  data: [0, 0, 4]\n"
)
BETWEEN = b"\n%%\n"
"""Between the files of a folder."""
FOLDERS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "motion:easymocap-3d": (
        ("000000.json", "000001.json", "000002.json"),
        BETWEEN.join(
            _json([{"id": 0, "keypoints3d": np.column_stack([x, np.ones(17)]).tolist()}])
            for x in _body()
        ),
    ),
    "camera:easymocap": (("intri.yml", "extri.yml"), BETWEEN.join((_INTRI, _EXTRI))),
}
"""Formats that are folders: names of the files, and valid ones of these."""


def c3d() -> bytes:
    """A small valid C3D file."""
    import ezc3d

    file = ezc3d.c3d()
    file["parameters"]["POINT"]["UNITS"]["value"] = ["m"]
    file["parameters"]["POINT"]["RATE"]["value"] = [50.0]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(NAMES)
    file["data"]["points"] = np.concatenate([_body(), np.ones((3, 17, 1))], -1).transpose(2, 1, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.c3d"
        file.write(str(path))
        return path.read_bytes()

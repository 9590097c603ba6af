"""A person who walks in the world, and how programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hypopose.cameras import look_at, project, world_to_cam
from hypopose.io.motion_files.motion_axes import TURNS
from hypopose.skeletons import get_skeleton
from hypopose.types import Camera, Keypoints2D

POSE2SIM = {
    "Hip": "pelvis", "RHip": "right_hip", "RKnee": "right_knee", "RAnkle": "right_ankle",
    "RBigToe": "right_big_toe", "RSmallToe": "right_small_toe", "RHeel": "right_heel",
    "LHip": "left_hip", "LKnee": "left_knee", "LAnkle": "left_ankle", "LBigToe": "left_big_toe",
    "LSmallToe": "left_small_toe", "LHeel": "left_heel", "Neck": "neck", "Head": "head_top",
    "Nose": "nose", "RShoulder": "right_shoulder", "RElbow": "right_elbow",
    "RWrist": "right_wrist", "LShoulder": "left_shoulder", "LElbow": "left_elbow",
    "LWrist": "left_wrist",
}  # fmt: skip
"""Marker -> joint of Halpe-26, as Pose2Sim writes them."""

_PLACES = {
    "pelvis": (0, 0.0, 0.95), "neck": (0, 0.0, 1.45), "head_top": (0.02, 0.0, 1.75),
    "nose": (0.12, 0.0, 1.6), "eye": (0.11, 0.03, 1.63), "ear": (0.02, 0.07, 1.61),
    "shoulder": (0, 0.18, 1.4), "elbow": (-0.03, 0.22, 1.12), "wrist": (0.05, 0.23, 0.88),
    "hip": (0, 0.1, 0.93), "knee": (0.03, 0.1, 0.5), "ankle": (0, 0.1, 0.08),
    "heel": (-0.05, 0.1, 0.02), "big_toe": (0.17, 0.08, 0.02), "small_toe": (0.14, 0.14, 0.02),
    "thorax": (0, 0.0, 1.4), "spine": (0, 0.0, 1.18), "head": (0.02, 0.0, 1.7),
    "foot_index": (0.17, 0.1, 0.02), "pinky": (0.06, 0.25, 0.8), "index": (0.08, 0.23, 0.79),
    "thumb": (0.09, 0.21, 0.83), "eye_inner": (0.115, 0.02, 1.63), "eye_outer": (0.1, 0.045, 1.63),
    "mouth": (0.11, 0.02, 1.55),
}  # fmt: skip
"""Meters; x ahead, y to the person's left, z up."""


def walk(
    joints: Sequence[str], n_frames: int = 20, aside: Sequence[float] = (0.0, 0.0, 0.0)
) -> np.ndarray:
    """A person who walks along x, (F, J, 3) meters with z up; right-handed."""
    frames = np.arange(n_frames)
    x = np.zeros((n_frames, len(joints), 3))
    for j, name in enumerate(joints):
        side, _, part = name.partition("_")
        if name.startswith("mouth_"):
            side, part = name.removeprefix("mouth_"), "mouth"
        sign = {"left": 1, "right": -1}.get(side, 0)
        px, py, pz = _PLACES[part] if sign else _PLACES[name]
        swing = 0.12 * np.sin(frames / 3) * sign * max(0.0, 0.95 - pz)
        x[:, j] = np.stack([px + 0.03 * frames + swing, np.full(n_frames, py * (sign or 1)),
                            np.full(n_frames, pz)], -1)  # fmt: skip
    return x + np.array([1.0, 2.0, 0.0]) + np.array(aside)


def in_axes(x: np.ndarray, up: str) -> np.ndarray:
    """Places with z up, turned so that another axis is up."""
    native = x @ np.array(TURNS["z"], dtype=float).T
    return native @ np.array(TURNS[up], dtype=float)


def native(x: np.ndarray) -> np.ndarray:
    """Places with z up as HypoPose holds them."""
    return x @ np.array(TURNS["z"], dtype=float).T


def write_trc(path: Path, names: Sequence[str], x: np.ndarray, unit="m", rate=60.0) -> Path:
    n = len(x)
    head = [
        "PathFileType\t4\t(X/Y/Z)\twalk.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t"
        "OrigNumFrames",
        f"{rate}\t{rate}\t{n}\t{len(names)}\t{unit}\t{rate}\t1\t{n}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(names) + 1)),
        "",
    ]
    rows = []
    for f, frame in enumerate(x):
        cells = ["" if np.isnan(v) else f"{v:.6f}" for v in frame.ravel()]
        rows.append("\t".join([str(f + 1), f"{f / rate:.6f}", *cells]))
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path


def write_wide(path: Path, names: Sequence[str], x: np.ndarray, extra: dict | None = None) -> Path:
    """anipose's table; ``extra`` holds further columns."""
    extra = extra or {}
    head = [f"{n}_{a}" for n in names for a in "xyz"] + [f"{n}_error" for n in names]
    lines = [",".join([*head, *extra])]
    for f, frame in enumerate(x):
        cells = ["" if np.isnan(v) else f"{v:.6f}" for v in frame.ravel()]
        more = [str(column[f]) for column in extra.values()]
        lines.append(",".join([*cells, *["1.5"] * len(names), *more]))
    path.write_text("\n".join(lines))
    return path


PLACES = ((-3.0, -2.0, 1.2), (4.0, -1.0, 1.5), (1.0, -3.5, 1.0))
"""Where three cameras stand, meters in the walker's world."""


def rig(unit: float = 1.0) -> list[Keypoints2D]:
    """The walker, seen by three cameras whose calibrations are in another unit, in meters."""
    skeleton = get_skeleton("coco17")
    x = torch.from_numpy(walk(skeleton.joint_names)).float()
    views = []
    for eye in PLACES:
        place = torch.tensor(eye)
        rotation = look_at(torch.tensor([1.3, 2.0, 1.0]) - place)
        true = replace(
            Camera.from_fov((1280, 720), 70.0),
            rotation=rotation,
            translation=-(rotation @ place),
            assumed=False,
        )
        xy = project(world_to_cam(x, true), true)
        stated = replace(true, translation=-(rotation @ place) / unit)
        views.append(
            Keypoints2D(xy, skeleton, camera=stated, image_size=stated.image_size, fps=25.0)
        )
    return views


_COCO = get_skeleton("coco17").joint_names


def seen(n: int = 30, x: float = 300.0, step: float = 6.0, scale: float = 220.0) -> np.ndarray:
    """Somebody who walks to the right in a picture of 1280 x 720, (n, 17, 2) pixels."""
    body = walk(_COCO, n) - [0, 2.0, 0]
    xy = np.stack([x - scale * body[..., 1], 600 - scale * body[..., 2]], -1)
    xy[..., 0] += scale * 0.3 * (body[..., 0] - body[:, [11, 12], 0].mean(1, keepdims=True))
    xy[..., 0] += step * np.arange(n)[:, None]
    return xy


def tidy(path: Path, people: dict[str, np.ndarray], frames: Any = None, **columns: Any) -> Path:
    """A table; ``columns`` are further ones with a value per frame."""
    n = len(next(iter(people.values())))
    frames = range(n) if frames is None else frames
    head = ["frame", "person", "joint", "x", "y", *columns]
    rows = []
    for i, frame in enumerate(frames):
        more = [str(values[i]) for values in columns.values()]
        for who, xy in people.items():
            for name, (x, y) in zip(_COCO, xy[i], strict=True):
                cells = [str(frame), who, name, f"{x:.2f}", f"{y:.2f}", *more]
                rows += [",".join(cells)] if np.isfinite(x) else []
    path.write_text("\n".join([",".join(head), *rows]))
    return path

"""A stick figure in any skeleton, and how each format writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hypopose.skeletons import get_skeleton

PLACES = {
    "nose": (0, 0), "neck": (0, 25), "head_top": (0, -25), "head": (0, -25), "thorax": (0, 35),
    "spine": (0, 70), "pelvis": (0, 105),
    "eye": (6, -6), "ear": (14, -4), "shoulder": (28, 32), "elbow": (38, 68), "wrist": (44, 100),
    "hip": (16, 106), "knee": (18, 160), "ankle": (20, 215),
    "big_toe": (26, 232), "small_toe": (31, 229), "heel": (17, 226),
}  # fmt: skip


def _figure(skeleton: str, at: tuple[float, float] = (300, 100), scale: float = 1.0) -> np.ndarray:
    """A person facing the camera, (J, 2) px; their left is on the right of the image."""
    rows = []
    for name in get_skeleton(skeleton).joint_names:
        side, _, part = name.partition("_")
        sign = {"left": 1, "right": -1}.get(side, 0)
        x, y = PLACES[part] if sign else PLACES[name]
        rows.append(((sign or 1) * x * scale + at[0], y * scale + at[1]))
    return np.array(rows)


@pytest.fixture
def figure() -> Callable[..., np.ndarray]:
    return _figure


def _triples(xy: np.ndarray, confidence: float) -> list[float]:
    return np.column_stack([xy, np.full(len(xy), confidence)]).ravel().tolist()


def _openpose(folder: Path, people: list[list[np.ndarray]], confidence: float) -> Path:
    folder = folder / "openpose"
    folder.mkdir()
    for frame, group in enumerate(people):
        values = [{"pose_keypoints_2d": _triples(xy, confidence)} for xy in group]
        text = json.dumps({"version": 1.3, "people": values})
        (folder / f"walk_{frame:012}_keypoints.json").write_text(text)
    return folder


def _entries(people: list[list[np.ndarray]], c: float, **more: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": f, "category_id": 1, "keypoints": _triples(xy, c), "score": 0.9, **more}
        for f, group in enumerate(people)
        for xy in group
    ]


def _json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def _alphapose(folder: Path, people: list[list[np.ndarray]], confidence: float) -> Path:
    entries = _entries(people, confidence, box=[0, 0, 10, 10])
    for entry in entries:
        entry["image_id"] = f"{entry['image_id']}.jpg"
    return _json(folder / "alphapose.json", entries)


def _frames(people: list[list[np.ndarray]], confidence: float) -> list[dict[str, Any]]:
    return [
        {
            "frame_id": f,
            "instances": [
                {"keypoints": xy.tolist(), "keypoint_scores": [confidence] * len(xy)}
                for xy in group
            ],
        }
        for f, group in enumerate(people)
    ]


def _topdown(folder: Path, people: list[list[np.ndarray]], confidence: float) -> Path:
    meta = {"dataset_name": "coco"}
    value = {"meta_info": meta, "instance_info": _frames(people, confidence)}
    return _json(folder / "topdown.json", value)


def _videopose3d(folder: Path, people: list[list[np.ndarray]], confidence: float) -> Path:
    del confidence
    clip = np.stack([group[0] for group in people]).astype("float32")
    path = folder / "data_2d_custom_walk.npz"
    metadata = {
        "layout_name": "coco",
        "video_metadata": {"walk.mp4": {"w": 640, "h": 480, "fps": 25}},
    }
    np.savez_compressed(
        path,
        positions_2d=np.array({"walk.mp4": {"custom": [clip]}}, dtype=object),
        metadata=np.array(metadata, dtype=object),
    )
    return path


def _arrays(folder: Path, people: list[list[np.ndarray]], confidence: float) -> Path:
    xy = np.stack([group[0] for group in people])
    values = np.concatenate([xy, np.full((*xy.shape[:2], 1), confidence)], -1)
    np.savez(
        folder / "walk.npz", keypoints=values, skeleton="coco17", fps=50, image_size=(640, 480)
    )
    return folder / "walk.npz"


WRITERS: dict[str, Callable[[Path, list[list[np.ndarray]], float], Path]] = {
    "openpose": _openpose,
    "coco-results": lambda d, p, c: _json(d / "coco.json", _entries(p, c)),
    "alphapose": _alphapose,
    "mmpose": lambda d, p, c: _json(d / "mmpose.json", _frames(p, c)),
    "mmpose-topdown": _topdown,
    "videopose3d": _videopose3d,
    "arrays": _arrays,
}


@pytest.fixture
def write_as(tmp_path: Path) -> Callable[..., Path]:
    """``write_as("alphapose", frames_of_people)`` writes a file and returns its path."""

    def write(kind: str, people: list[list[np.ndarray]], confidence: float = 0.8) -> Path:
        return WRITERS[kind](tmp_path, people, confidence)

    return write

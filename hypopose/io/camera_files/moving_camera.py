"""A camera that moves: one pose a frame, from a file.

| file | poses |
| --- | --- |
| csv with the header ``frame,qw,qx,qy,qz,tx,ty,tz`` | world to camera, ``x_cam = R x_world + t`` |
| COLMAP's ``images.txt`` | world to camera |
| TUM trajectory, lines ``time tx ty tz qx qy qz qw`` | camera to world, one line a frame |
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.camera_files import colmap
from hypopose.io.source import Source
from hypopose.types import Camera

COLUMNS = ("frame", "qw", "qx", "qy", "qz", "tx", "ty", "tz")

MAX_BYTES = 1 << 28
"""A file larger than this is refused."""


def load_camera_motion(path: str | Path, camera: Camera, n_frames: int) -> Camera:
    """Let a camera move as a file says.

    Args:
        path: See the module. Frame numbers count from 0; the lowest number in COLMAP's image names
            is frame 0. Frames between two poses are interpolated; none is invented before the first
            or after the last.
        camera: Its focal length, center and lens are kept.
        n_frames: Frames of the keypoints.

    Returns:
        The camera with rotation ``(F, 3, 3)`` and translation ``(F, 3)``.

    Raises:
        FormatError: If the file is none of these.
        OptionError: If it does not cover the frames.
    """
    from scipy.spatial.transform import Rotation, Slerp

    source = Source(path)
    if source.is_folder or source.path.stat().st_size > MAX_BYTES:
        raise source.error("not a file of camera poses", "name a csv, images.txt or a trajectory")
    text = source.read_bytes().decode("utf-8", "replace")
    quaternions, places, frames = _poses(source, text)
    _check_poses(source, quaternions, places, frames)
    if frames[0] > 0 or frames[-1] < n_frames - 1:
        raise OptionError(
            f"{path} has poses for frames {frames[0]} to {frames[-1]}, the keypoints have 0 to "
            f"{n_frames - 1}; give a pose for the first and the last frame at least."
        )

    wanted = np.arange(n_frames)
    turns = Rotation.from_quat(quaternions[:, [1, 2, 3, 0]])
    at = Slerp(frames, turns)(wanted) if len(frames) > 1 else turns
    between = np.stack([np.interp(wanted, frames, places[:, c]) for c in range(3)], -1)
    return replace(
        camera,
        rotation=torch.from_numpy(at.as_matrix()).float(),
        translation=torch.from_numpy(between).float(),
    )


def _check_poses(
    source: Source,
    quaternions: NDArray[np.float64],
    places: NDArray[np.float64],
    frames: NDArray[np.int64],
) -> None:
    if len(frames) == 0 or not np.isfinite(quaternions).all() or not np.isfinite(places).all():
        raise source.error("holds no finite poses", f"write a csv with {','.join(COLUMNS)}")
    if (np.linalg.norm(quaternions, axis=1) < 1e-6).any() or len(set(frames)) < len(frames):
        raise source.error("a quaternion of length zero, or a frame twice", "write it again")


def _poses(
    source: Source, text: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """World-to-camera quaternions (scalar first), translations and frame numbers, in order."""
    from scipy.spatial.transform import Rotation

    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    if not lines:
        raise source.error("is empty", "write it again")
    if lines[0].replace(" ", "").lower().startswith("frame,"):
        table = _table(source, list(csv.DictReader(lines)))
        frames = table[:, 0].round().astype(np.int64)
        order = np.argsort(frames, kind="stable")
        return table[order, 1:5], table[order, 5:], frames[order]
    if len(lines[0].split()) >= 10:
        quaternions, places, numbers = colmap.poses_from_images_txt(text, str(source.path))
        return quaternions, places, np.array(numbers) - min(numbers, default=0)
    rows = [dict(zip(COLUMNS, line.replace(",", " ").split(), strict=False)) for line in lines]
    trajectory = _table(source, rows)
    order = np.argsort(trajectory[:, 0], kind="stable")
    tx, qx = trajectory[order, 1:4], trajectory[order, 4:]
    if (np.linalg.norm(qx, axis=1) < 1e-6).any():
        raise source.error("a quaternion of length zero", "write it again")

    inverse = Rotation.from_quat(qx).inv()
    return inverse.as_quat()[:, [3, 0, 1, 2]], -inverse.apply(tx), np.arange(len(trajectory))


def _table(source: Source, rows: list[dict[str, str]]) -> NDArray[np.float64]:
    try:
        return np.array([[float(row[key]) for key in COLUMNS] for row in rows], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        raise source.error(
            "no table of camera poses", f"write a csv with the header {','.join(COLUMNS)}"
        ) from None

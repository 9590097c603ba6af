"""Human3.6M and MPI-INF-3DHP in the archives that 2D-to-3D lifters read.

Both are pickled dictionaries; :mod:`hypopose.io.untrusted.pickles` reads them and runs nothing.
The motion has its own licenses: weights trained on it may not be distributed freely.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.datasets.capture.recorded_clip import RecordedClip
from hypopose.errors import FormatError
from hypopose.io.parsing.finite_numbers import check_numeric
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive

H36M_KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Human3.6M's 32 joints -> 17."""

FROM_3DHP = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
"""3DHP's 17 joints -> Human3.6M's; spine, thorax and neck differ anatomically."""

H36M_LICENSE = "Human3.6M: academic use only"
DHP_LICENSE = "MPI-INF-3DHP: non-commercial research only"


def read_h36m(path: str | Path) -> list[RecordedClip]:
    """Read ``data_3d_h36m.npz``: world coordinates in meters, z up, 50 Hz.

    Raises:
        FormatError: If it is not such a file.
    """
    subjects = _dictionary(path, "positions_3d")
    clips = []
    for subject, actions in subjects.items():
        for action, positions in _items(path, actions, subject):
            x = _motion(path, positions, f"{subject}/{action}")
            if x.shape[1] not in (17, 32):
                raise FormatError(f"{path}: {subject}/{action} has {x.shape[1]} joints, not 32.")
            x = x[:, list(H36M_KEPT)] if x.shape[1] == 32 else x
            name = f"h36m_{subject}_{re.sub(r'[^A-Za-z0-9]+', '_', action)}"
            clips.append(
                RecordedClip(
                    x, 50.0, name, subject, action.split(" ")[0], Path(path).name, H36M_LICENSE
                )
            )
    return clips


def read_3dhp(path: str | Path, fps: float | None = None) -> list[RecordedClip]:
    """Read ``data_train_3dhp.npz`` or ``data_test_3dhp.npz``: one camera's view of each sequence.

    Positions are in the camera's frame. The cameras at chest height stand level, so that theirs
    (camera 0) is taken and its downward axis for gravity; every clip is flagged
    ``gravity_from_camera``. Frames that are not valid are missing.

    Args:
        path: The archive.
        fps: Where the archive does not say (the test sequences); 25 if None.

    Raises:
        FormatError: If it is not such a file.
    """
    clips = []
    for sequence, entry in _dictionary(path, "data").items():
        view, rate = _view(path, sequence, entry)
        x = _motion(path, view.get("data_3d"), sequence) / 1000
        if x.shape[1] != 17:
            raise FormatError(f"{path}: {sequence} has {x.shape[1]} joints, not 17.")
        marks = view.get("valid", np.ones(len(x)))
        valid = _array(path, marks, f"valid of {sequence}", None).reshape(-1) > 0
        if len(valid) != len(x):
            raise FormatError(f"{path}: {sequence} has {len(valid)} valid marks, {len(x)} frames.")
        x[~valid] = np.nan
        world = np.stack([x[..., 0], x[..., 2], -x[..., 1]], -1)[:, list(FROM_3DHP)]
        subject = sequence.split(" ")[0]
        name = f"3dhp_{sequence.replace(' ', '_')}"
        clips.append(
            RecordedClip(
                world,
                rate or fps or 25.0,
                name,
                subject,
                "",
                Path(path).name,
                DHP_LICENSE,
                flags="gravity_from_camera",
            )
        )
    return clips


def _view(path: str | Path, sequence: str, entry: Any) -> tuple[dict[str, Any], float | None]:
    """The first camera of a training sequence with its frame rate, or a test sequence."""
    rate = None
    if isinstance(entry, list | tuple | np.ndarray) and len(entry) == 2:
        entry, rate = entry[0], _rate(path, sequence, entry[1])
        if isinstance(entry, dict) and entry:
            entry = entry[min(entry, key=lambda camera: (len(str(camera)), str(camera)))]
    if not isinstance(entry, dict) or "data_3d" not in entry:
        raise FormatError(f"{path}: {sequence} has no data_3d; is this a 3DHP archive?")
    return entry, rate


def _dictionary(path: str | Path, name: str) -> dict[str, Any]:
    archive = NpzArchive(Source(Path(path)))
    if name not in archive.names:
        raise FormatError(f"{path} has no array {name!r}; it has {', '.join(archive.names)}.")
    value = archive.pickled(name)
    return dict(_items(path, value, name))


def _items(path: str | Path, value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise FormatError(f"{path}: {place} is not a dictionary.")
    for key, item in value.items():
        yield str(key), item


def _motion(path: str | Path, value: Any, place: str) -> np.ndarray:
    x = _array(path, value, place, 3)
    if x.shape[-1] != 3 or len(x) == 0:
        raise FormatError(f"{path}: {place} is {x.shape}, not (frames, joints, 3).")
    return x


def _array(path: str | Path, value: Any, place: str, ndim: int | None) -> np.ndarray:
    """A numeric array; NaN is what is missing."""
    if not isinstance(value, np.ndarray):
        raise FormatError(f"{path}: {place} is not an array of numbers.")
    value = value.astype(np.float64) if value.dtype.kind == "b" else value
    return check_numeric(value, place, Path(path), ndim=ndim, gaps=True)


def _rate(path: str | Path, sequence: str, value: Any) -> float:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size != 1:
        raise FormatError(f"{path}: the frame rate of {sequence} is not a number.")
    return float(array.reshape(()))

"""What scripts around OpenCV save with ``numpy.savez``: ``mtx`` and ``dist`` in an npz.

``rvecs`` and ``tvecs`` beside them are places of the board in every picture and are not read.
"""

from __future__ import annotations

from typing import Any

from hypopose.io.camera_files.calibration_tables import LENS, MATRIX, SIZE, is_camera_table
from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive


def suits(source: Source) -> bool:
    """An npz archive."""
    return source.is_npz


def read(source: Source) -> Tables:
    """The camera, if there is one."""
    archive = NpzArchive(source)
    values: dict[str, Any] = {
        name: archive.array(name).tolist()
        for name in archive.names
        if name in (*MATRIX, *LENS, *SIZE)
    }
    return {source.path.stem: values} if is_camera_table(values) else {}


FORMAT = CameraFormat("npz of OpenCV's matrix and lens", suits, read)

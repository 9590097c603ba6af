"""OpenCap's ``cameraIntrinsicsExtrinsics.pickle``: one camera, world to camera in millimeters.

A dict with ``intrinsicMat``, ``distortion``, ``imageSize`` (height, then width), ``rotation`` and
``translation``. It is read without running anything, see :mod:`hypopose.io.untrusted.pickles`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hypopose.files import read_bounded
from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.source import Source
from hypopose.io.untrusted.pickles import PickleRefusedError, read_pickled

MAX_BYTES = 1 << 20
_NAMES = {"intrinsicMat": "matrix", "distortion": "distortions", "rotation": "rotation",
          "translation": "translation"}  # fmt: skip


def suits(source: Source) -> bool:
    """A pickle by its ending."""
    return source.path.suffix.lower() in (".pickle", ".pkl")


def read(source: Source) -> Tables:
    """The camera of the file."""
    try:
        values = read_pickled(read_bounded(source.path, MAX_BYTES, "OpenCap's camera pickle"))
    except PickleRefusedError as error:
        raise source.error(f"its pickle is refused ({error})", "give OpenCap's own file") from None
    if not isinstance(values, Mapping) or not {"intrinsicMat", "imageSize"} <= values.keys():
        raise source.error("a pickle without intrinsicMat and imageSize", "give OpenCap's own file")
    table = {ours: _listed(values[theirs]) for theirs, ours in _NAMES.items() if theirs in values}
    size = _listed(values["imageSize"])
    return {source.path.stem: {**table, "size": size[::-1] if isinstance(size, list) else size}}


def _listed(value: Any) -> Any:
    return np.asarray(value).ravel().tolist() if isinstance(value, (np.ndarray, list)) else value


FORMAT = CameraFormat("OpenCap pickle", suits, read, unit="mm")

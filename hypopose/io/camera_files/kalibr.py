"""Kalibr's camchain YAML: ``cam0``, ``cam1``, ... with a lens and the way from the camera before.

``intrinsics`` are fx, fy, cx, cy of the pinhole model, ``distortion_model`` is ``radtan`` (k1, k2,
p1, p2) or ``equidistant`` (OpenCV's fisheye); ``T_cn_cnm1`` leads from the camera before to this
one, in meters. The world is the frame of the first camera; the inertial sensor is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io.camera_files.calibration_tables import check_rotation, numbers
from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.camera_files.yaml_text import MAX_BYTES, parse_yaml
from hypopose.io.source import Source

CHAIN = "T_cn_cnm1"
LENSES = {"radtan": False, "equidistant": True, "none": False}
"""Distortion model -> whether it is a fisheye lens."""


def suits(source: Source) -> bool:
    """YAML that begins with ``cam0`` and names a camera model or intrinsics."""
    if source.is_folder or source.path.suffix.lower() not in (".yml", ".yaml"):
        return False
    lines = [line.strip() for line in source.opening]
    named = any(line.startswith(("camera_model:", "intrinsics:")) for line in lines)
    return named and any(line.startswith("cam0:") for line in lines)


def read(source: Source) -> Tables:
    """Every camera of the chain."""
    values = parse_yaml(source.read_text(MAX_BYTES, "a camera file"), str(source.path))
    chain = values if isinstance(values, Mapping) else {}
    names = sorted((k for k in map(str, chain) if k.startswith("cam") and k[3:].isdigit()),
                   key=lambda name: int(name[3:]))  # fmt: skip
    placed = any(CHAIN in _camera(chain, name, source) for name in names)
    from_first, tables = np.eye(4), {}
    for i, name in enumerate(names):
        camera, place = _camera(chain, name, source), f"{source.path}: {name}"
        if i and placed:
            from_first = _step(camera, place) @ from_first
        tables[name] = _lens(camera, place)
        if placed:
            tables[name] |= {
                "rotation": from_first[:3, :3].tolist(),
                "translation": from_first[:3, 3].tolist(),
            }
    return tables


def _camera(chain: Mapping[str, Any], name: str, source: Source) -> Mapping[str, Any]:
    camera = chain[name]
    if not isinstance(camera, Mapping):
        raise source.error(f"{name} is not a table", "give the camchain that Kalibr wrote")
    return camera


def _lens(camera: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Matrix, lens and size as a table."""
    model, lens = camera.get("camera_model", "pinhole"), camera.get("distortion_model", "none")
    if model != "pinhole" or lens not in LENSES:
        raise camera_error(
            place, "model", f"{str(model)[:20]}-{str(lens)[:20]} is not read",
            "calibrate with Kalibr's pinhole-radtan or pinhole-equi",
        )  # fmt: skip
    fx, fy, cx, cy = numbers(camera.get("intrinsics"), place, "intrinsics", (4,)).tolist()
    coefficients = camera.get("distortion_coeffs") if lens != "none" else None
    table = {
        "matrix": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]],
        "distortions": coefficients,
        "fisheye": LENSES[lens],
        "size": camera.get("resolution"),
    }
    return {key: value for key, value in table.items() if value is not None}


def _step(camera: Mapping[str, Any], place: str) -> NDArray[np.float64]:
    """The way from the camera before, 4 x 4."""
    if CHAIN not in camera:
        raise camera_error(
            place, CHAIN, "absent, and the other cameras have it",
            "calibrate all cameras in one run of Kalibr",
        )  # fmt: skip
    step = numbers(camera[CHAIN], place, CHAIN, (16,)).reshape(4, 4)
    if np.abs(step[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise camera_error(place, CHAIN, "its last row is not 0, 0, 0, 1", "write it again")
    check_rotation(step[:3, :3], place)
    return step


FORMAT = CameraFormat("Kalibr camchain YAML", suits, read, unit="m")

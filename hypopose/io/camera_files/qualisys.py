"""Qualisys' ``.qca.txt`` and Theia's calibration: XML with a ``camera`` for each, in millimeters.

``transform`` holds x, y, z and r11 to r33; ``intrinsic`` the focal lengths, center, sensor bounds
and lens, in pixels (Theia) or in 64ths of pixels (QTM): the sensor's bounds against the field of
view say which. ``fov_video`` is the part of the sensor that was recorded. Cameras without
``fov_video`` or marked inactive (``active="0"``) are left out.

Source: Theia3D documentation, "Calibration files": ``p_cam = R p_global + t`` in millimeters.
Whether a file holds that or its inverse is decided by the rig itself, see
:mod:`hypopose.io.camera_files.conventions`.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.conventions import placed
from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.camera_files.xml_text import is_xml, parse_xml, value_of
from hypopose.io.source import Source

_LENS = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2",
         "radialDistortion3")  # fmt: skip


def suits(source: Source) -> bool:
    """XML that begins with ``calibration`` and has cameras with an ``intrinsic``."""
    return is_xml(source, "calibration") and any("<camera" in line for line in source.opening)


def read(source: Source) -> Tables:
    """Every camera that recorded video."""
    root = parse_xml(source)
    cameras = [c for c in root.iter("camera") if _recorded(c)]
    if not cameras:
        raise source.error("no camera with intrinsic and transform", "export it from QTM again")
    tables: dict[str, dict[str, Any]] = {}
    for i, camera in enumerate(cameras):
        name = camera.get("serial") or str(i)
        tables[name if name not in tables else str(i)] = _table(camera, f"{source.path}: {name}")
    poses = [_pose(c, f"{source.path}: {n}") for n, c in zip(tables, cameras, strict=True)]
    rotations, vectors = zip(*poses, strict=True)
    turned = placed(rotations, vectors, str(source.path), (True, False, False))
    for table, (R, t) in zip(tables.values(), turned, strict=True):
        table.update(rotation=R.tolist(), translation=t.tolist())
    return tables


def _recorded(camera: Element) -> bool:
    return camera.get("active") != "0" and None not in (
        camera.find("intrinsic"), camera.find("transform")
    )  # fmt: skip


def _table(camera: Element, place: str) -> dict[str, Any]:
    intrinsic = camera.find("intrinsic")
    assert intrinsic is not None
    values = intrinsic.attrib
    if abs(float(values.get("skew", "0") or 0)) > 1e-3:
        raise camera_error(place, "skew", values["skew"][:20], "calibrate without skew")
    left, top, width, height = _field_of_view(camera, place)
    per_px = _per_pixel(camera, place)
    fx, fy = (value_of(values, place, f"focalLength{c}") / per_px for c in "UV")
    cx, cy = (value_of(values, place, f"centerPoint{c}") / per_px for c in "UV")
    lens = [float(values.get(key, values.get(key.replace("tang", "teng"), "0"))) for key in _LENS]
    return {
        "matrix": [[fx, 0.0, cx - left], [0.0, fy, cy - top], [0.0, 0.0, 1.0]],
        "distortions": lens,
        "size": [width, height],
    }


def _field_of_view(camera: Element, place: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of what was recorded, in pixels of the sensor."""
    fov = camera.find("fov_video")
    if fov is None:
        fov = camera.find("fov")
    if fov is None:
        width, height = _sensor(camera, place)
        return 0.0, 0.0, width, height
    left, top, right, bottom = (value_of(fov.attrib, place, k)
                                for k in ("left", "top", "right", "bottom"))  # fmt: skip
    return left, top, right - left + 1, bottom - top + 1


def _sensor(camera: Element, place: str) -> tuple[float, float]:
    intrinsic = camera.find("intrinsic")
    assert intrinsic is not None
    low = [value_of(intrinsic.attrib, place, f"sensorMin{c}") for c in "UV"]
    high = [value_of(intrinsic.attrib, place, f"sensorMax{c}") for c in "UV"]
    return high[0] - low[0] + 1, high[1] - low[1] + 1


def _per_pixel(camera: Element, place: str) -> float:
    """Units of the intrinsics in a pixel: 64, or 1."""
    fov = camera.find("fov_video_max")
    _, _, width, _ = _field_of_view(camera, place)
    if fov is not None:
        width = value_of(fov.attrib, place, "right") - value_of(fov.attrib, place, "left") + 1
    ratio = _sensor(camera, place)[0] / max(width, 1.0)
    return 64.0 if ratio > 16 else 1.0


def _pose(camera: Element, place: str) -> tuple[np.ndarray, np.ndarray]:
    transform = camera.find("transform")
    assert transform is not None
    rows = [[value_of(transform.attrib, place, f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)]
    return np.array(rows), np.array([value_of(transform.attrib, place, k) for k in "xyz"])


FORMAT = CameraFormat("Qualisys and Theia XML", suits, read, unit="mm")

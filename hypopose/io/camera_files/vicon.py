"""Vicon's ``.xcp``: XML with a ``Camera`` for each, its pose in millimeters.

The first ``KeyFrame`` counts: ``FOCAL_LENGTH`` in pixels, ``PRINCIPAL_POINT``, ``ORIENTATION`` (a
quaternion x, y, z, w from the world to the camera) and ``POSITION`` (of the camera in the world);
``PIXEL_ASPECT_RATIO`` and ``SENSOR_SIZE`` belong to the camera. ``VICON_RADIAL2`` undistorts:
``p' = c + (p - c)(1 + k1 r² + k2 r⁴ + k3 r⁶)`` with r in pixels from the center c, so five
coefficients of OpenCV's model, which distorts, are fitted to its inverse over the picture.

Source: Vicon, "About calibration data (XCP) files". The rig itself decides about directions, see
:mod:`hypopose.io.camera_files.conventions`.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.conventions import placed
from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.camera_files.xml_text import is_xml, parse_xml, value_of, values_of
from hypopose.io.source import Source


def suits(source: Source) -> bool:
    """XML that begins with ``Cameras``."""
    return is_xml(source, "Cameras")


def read(source: Source) -> Tables:
    """Every camera that is calibrated."""
    cameras = [c for c in parse_xml(source).iter("Camera") if _key_frame(c) is not None]
    if not cameras:
        raise source.error("no Camera with a KeyFrame", "export the calibration again")
    tables: dict[str, dict[str, Any]] = {}
    for i, camera in enumerate(cameras):
        name = camera.get("USERID") or camera.get("DEVICEID") or str(i)
        tables[name if name not in tables else str(i)] = _table(camera, f"{source.path}: {name}")
    poses = [_pose(c, f"{source.path}: {n}") for n, c in zip(tables, cameras, strict=True)]
    rotations, vectors = zip(*poses, strict=True)
    turned = placed(rotations, vectors, str(source.path), (True, True, False))
    for table, (R, t) in zip(tables.values(), turned, strict=True):
        table.update(rotation=R.tolist(), translation=t.tolist())
    return tables


def _key_frame(camera: Element) -> Element | None:
    found = camera.find("KeyFrames/KeyFrame")
    return found if found is not None and found.get("FOCAL_LENGTH") else None


def _table(camera: Element, place: str) -> dict[str, Any]:
    frame = _key_frame(camera)
    assert frame is not None
    fx = value_of(frame.attrib, place, "FOCAL_LENGTH")
    aspect = value_of({"a": camera.get("PIXEL_ASPECT_RATIO", "1")}, place, "a")
    if abs(value_of({"s": camera.get("SKEW", "0")}, place, "s")) > 1e-6 or aspect <= 0 or fx <= 0:
        raise camera_error(place, "SKEW, PIXEL_ASPECT_RATIO", "a skewed or impossible picture",
                           "calibrate again")  # fmt: skip
    cx, cy = values_of(frame.attrib, place, "PRINCIPAL_POINT", 2)
    size = values_of(camera.attrib, place, "SENSOR_SIZE", 2)
    return {
        "matrix": [[fx, 0.0, cx], [0.0, fx / aspect, cy], [0.0, 0.0, 1.0]],
        "distortions": _lens(_radial(frame, place), fx, (cx, cy), size),
        "size": size,
    }


def _radial(frame: Element, place: str) -> list[float]:
    """k1, k2, k3 that undistort, per pixel of radius."""
    words = frame.get("VICON_RADIAL2", "").split()
    if words[:1] == ["ViconRadial2"]:
        return values_of({"VICON_RADIAL2": " ".join(words[1:])}, place, "VICON_RADIAL2")[-3:]
    if frame.get("VICON_RADIAL"):
        return [*values_of(frame.attrib, place, "VICON_RADIAL", 2), 0.0]
    return [0.0, 0.0, 0.0]


def _lens(
    radial: list[float], focal: float, center: tuple[float, float], size: list[float]
) -> list[float]:
    """OpenCV's k1, k2, 0, 0, k3 closest to the inverse of Vicon's polynomial over the picture."""
    k = np.array([*radial, 0.0, 0.0, 0.0])[:3]
    if not k.any():
        return [0.0] * 5
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size], dtype=np.float64)
    bent = np.linspace(0, np.linalg.norm(corners - np.array(center), axis=-1).max(), 200)[1:]
    straight = bent * (1 + bent[:, None] ** np.array([2, 4, 6]) @ k) / focal
    bent = bent / focal
    powers = straight[:, None] ** np.array([3, 5, 7])
    k1, k2, k3 = np.linalg.lstsq(powers, bent - straight, rcond=None)[0].tolist()
    return [k1, k2, 0.0, 0.0, k3]


def _pose(camera: Element, place: str) -> tuple[np.ndarray, np.ndarray]:
    from scipy.spatial.transform import Rotation

    frame = _key_frame(camera)
    assert frame is not None
    quaternion = np.array(values_of(frame.attrib, place, "ORIENTATION", 4))
    if np.linalg.norm(quaternion) < 1e-6:
        raise camera_error(place, "ORIENTATION", "a quaternion of length zero", "calibrate again")
    position = np.array(values_of(frame.attrib, place, "POSITION", 3))
    return Rotation.from_quat(quaternion).as_matrix(), position


FORMAT = CameraFormat("Vicon XCP", suits, read, unit="mm")

"""calib.io's Camera Calibrator JSON: ``{"Calibration": {"cameras": [...]}}``.

A camera's parameters are ``{"val": number}``: focal length ``f``, aspect ratio ``ar`` (``fy = f
ar``), ``cx``, ``cy`` and OpenCV's lens; ``transform`` leads from the world to the camera, as a
rotation vector ``rx, ry, rz`` and a translation in the unit of the board.

Source: calib.io's example ``readCalibParameters`` (public domain).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.source import Source

LENS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tauX", "tauY")
FISHEYE = ("k1", "k2", "k3", "k4")
_OTHER = ("Division", "Omni", "Unified", "Spline", "Halcon")


def suits(source: Source) -> bool:
    """JSON with ``Calibration`` at the top."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    return isinstance(source.json.get("Calibration"), dict)


def read(source: Source) -> Tables:
    """Every camera."""
    listed = source.json["Calibration"].get("cameras")
    if not isinstance(listed, list) or not listed:
        raise source.error("no list Calibration.cameras", "export it from calib.io again")
    tables: dict[str, dict[str, Any]] = {}
    for i, camera in enumerate(listed):
        name = str(_at(camera, "name") or _at(camera, "serial") or i)
        tables[name if name not in tables else str(i)] = _table(
            camera, f"{source.path}: camera {i}"
        )
    return tables


def _table(camera: Any, place: str) -> dict[str, Any]:
    model = str(_at(camera, "model", "polymorphic_name") or "")
    data = _at(camera, "model", "ptr_wrapper", "data")
    base = _at(data, "CameraModelCRT", "CameraModelBase") or _at(data, "CameraModelBase")
    fisheye = "Fisheye" in model or "Kannala" in model
    if any(word in model for word in _OTHER):
        raise camera_error(place, "model", model[:60], "calibrate with the OpenCV model")
    f, ar, cx, cy = (_parameter(data, key, place) for key in ("f", "ar", "cx", "cy"))
    lens = [_parameter(data, key, place, 0.0) for key in (FISHEYE if fisheye else LENS)]
    return {
        "matrix": [[f, 0.0, cx], [0.0, f * ar, cy], [0.0, 0.0, 1.0]],
        "distortions": lens,
        "fisheye": fisheye,
        "size": _size(base),
        **_pose(camera),
    }


def _size(base: Any) -> list[Any]:
    width = _at(base, "imageSize", "width") or _at(base, "imageWidth")
    return [width, _at(base, "imageSize", "height") or _at(base, "imageHeight")]


def _pose(camera: Any) -> dict[str, Any]:
    rotation, translation = (
        _at(camera, "transform", "rotation"),
        _at(camera, "transform", "translation"),
    )
    if rotation is None or translation is None:
        return {}
    return {
        "rotation": [_at(rotation, key) for key in ("rx", "ry", "rz")],
        "translation": [_at(translation, key) for key in ("x", "y", "z")],
    }


def _parameter(data: Any, key: str, place: str, default: Any = None) -> float:
    value: Any = _at(data, "parameters", key, "val")
    value = default if value is None else value
    if type(value) not in (int, float) or not abs(value) < 1e9:
        raise camera_error(place, key, "expected a number", "export it from calib.io again")
    return float(value)


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


FORMAT = CameraFormat("calib.io JSON", suits, read)

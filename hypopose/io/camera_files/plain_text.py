"""JSON, YAML and TOML with one camera at the top, or a table for each.

OpenCV's and ROS' YAML, Pose2Sim's, anipose's, FreeMoCap's and Caliscope's TOML, JSON of scripts
around OpenCV, and HypoPose's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.io.camera_files.calibration_tables import is_camera_table
from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.camera_json import KEYS, camera_from_dict
from hypopose.io.camera_files.geometry import check_picture
from hypopose.io.camera_files.yaml_text import MAX_BYTES, parse_yaml
from hypopose.io.source import Source
from hypopose.skeletons.toml_text import parse_toml
from hypopose.types import Camera


def suits_toml(source: Source) -> bool:
    """By its ending."""
    return source.path.suffix.lower() == ".toml"


def read_toml(source: Source) -> Tables:
    """Every camera of the file."""
    try:
        values = parse_toml(source.read_text(MAX_BYTES, "a camera file"))
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise source.error(f"not valid TOML ({str(error)[:80]})", "write it again") from None
    return tables_of(values, source)


def suits_json(source: Source) -> bool:
    """By its first character."""
    return source.is_json


def read_json(source: Source) -> Tables:
    """Every camera of the file."""
    return tables_of(source.json, source)


def suits_yaml(source: Source) -> bool:
    """By its ending, or OpenCV's first line."""
    return source.path.suffix.lower() in (".yaml", ".yml") or source.head.startswith(b"%YAML")


def read_yaml(source: Source) -> Tables:
    """Every camera of the file."""
    return tables_of(
        parse_yaml(source.read_text(MAX_BYTES, "a camera file"), str(source.path)), source
    )


def tables_of(values: Any, source: Source) -> Tables:
    """Cameras of parsed text: one at the top, or one in each table."""
    if not isinstance(values, Mapping):
        return {}
    stem = source.path.stem
    if is_camera_table(values):
        return {str(values.get("camera_name", values.get("name", stem))): values}
    if any(key in values for key in KEYS):
        return {stem: _own_camera(values, str(source.path))}
    if isinstance(values.get("cameras"), (Mapping, list)):
        values = _by_name(values["cameras"])
    found: dict[str, Any] = {}
    for key, table in values.items():
        if is_camera_table(table):
            name = str(table.get("name", key))
            found[str(key) if name in found else name] = table
        elif _is_own(table):
            found[str(key)] = _own_camera(table, f"{source.path}: {str(key)[:40]}")
    return found


def _by_name(cameras: Mapping[str, Any] | list[Any]) -> Mapping[str, Any]:
    """Cameras by name, or by their place in a list."""
    if isinstance(cameras, Mapping):
        return cameras
    return {str(i): table for i, table in enumerate(cameras)}


def _own_camera(table: Mapping[str, Any], place: str) -> Camera:
    camera = camera_from_dict(dict(table), place)
    K = np.eye(3)
    K[[0, 1], [0, 1]], K[:2, 2] = camera.focal.numpy(), camera.center.numpy()
    check_picture(K, camera.image_size, place)
    return camera


def _is_own(table: Any) -> bool:
    return isinstance(table, Mapping) and "focal" in table


TOML = CameraFormat("TOML of Pose2Sim, anipose, FreeMoCap or Caliscope", suits_toml, read_toml)
JSON = CameraFormat("JSON", suits_json, read_json)
YAML = CameraFormat("YAML of OpenCV or ROS", suits_yaml, read_yaml)

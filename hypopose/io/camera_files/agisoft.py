"""Agisoft's XML: a calibration of one camera, or the cameras of a Metashape chunk.

Metashape writes ``f``, and ``cx``, ``cy`` from the middle of the picture; Agisoft Lens writes
``fx``, ``fy`` and a center in pixels. Radial coefficients are OpenCV's; Metashape's ``p1, p2`` are
OpenCV's ``p2, p1``, and ``b1`` is added to the focal length along x. In ``cameras.xml`` a sensor
has the calibration and every camera a 4 x 4 matrix from the camera to the chunk, x right, y down,
z forward; the chunk's own transform, if there is one, leads to meters.

Source: Agisoft Metashape user manual, "Appendix C: Camera models".
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.camera_files.xml_text import is_xml, parse_xml, value_of, values_of
from hypopose.io.source import Source


def suits(source: Source) -> bool:
    """XML that begins with ``calibration`` and has a ``projection``, or with ``document``."""
    if is_xml(source, "document"):
        return any("<chunk" in line for line in source.opening)
    return is_xml(source, "calibration") and not any("<camera" in line for line in source.opening)


def read(source: Source) -> Tables:
    """The camera, or every camera of the chunk that is placed."""
    root = parse_xml(source)
    if root.tag == "calibration":
        return {source.path.stem: _table(root, str(source.path))}
    chunk = root.find("chunk")
    if chunk is None:
        raise source.error("no chunk", "export the cameras from Metashape again")
    sensors = {sensor.get("id", ""): sensor for sensor in chunk.iter("sensor")}
    world = _chunk_transform(chunk, str(source.path))
    tables: dict[str, dict[str, Any]] = {}
    for i, camera in enumerate(chunk.iter("camera")):
        sensor = sensors.get(camera.get("sensor_id", ""))
        name = camera.get("label") or str(i)
        place = f"{source.path}: {name[:40]}"
        if sensor is None or camera.find("transform") is None:
            continue
        table = _table(_calibration(sensor, place), place)
        tables[name if name not in tables else str(i)] = {**table, **_pose(camera, world, place)}
    if not tables:
        raise source.error("no camera that is placed", "align the cameras and export them again")
    return tables


def _calibration(sensor: Element, place: str) -> Element:
    listed = sensor.findall("calibration")
    if not listed:
        raise camera_error(place, "sensor", "no calibration", "export the cameras again")
    return next((c for c in listed if c.get("class") == "adjusted"), listed[0])


def _table(element: Element, place: str) -> dict[str, Any]:
    kind = _kind(element)
    if kind != "frame":
        raise camera_error(place, "projection", f"a {kind[:20]} camera",
                           "undistort the pictures to a frame camera first")  # fmt: skip
    values = {child.tag: child.text or "" for child in element}
    width, height = _size(element, values, place)
    number = _Numbers(values, place)
    if any(map(number, ("b2", "skew", "k4", "p3", "p4"))):
        raise camera_error(place, "b2, skew, k4, p3 or p4", "more than a frame camera of OpenCV's",
                           "adjust the cameras without them")  # fmt: skip
    if "f" in values:
        fx, fy = number("f") + number("b1"), number("f")
        cx, cy = width / 2 + number("cx"), height / 2 + number("cy")
        p1, p2 = number("p2"), number("p1")
    else:
        fx, fy, cx, cy, p1, p2 = map(number, ("fx", "fy", "cx", "cy", "p1", "p2"))
    return {
        "matrix": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]],
        "distortions": [number("k1"), number("k2"), p1, p2, number("k3")],
        "size": [width, height],
    }


def _kind(element: Element) -> str:
    return (element.findtext("projection") or element.get("type") or "frame").strip()


class _Numbers:
    """Numbers of child elements; 0 where there is none."""

    def __init__(self, values: dict[str, str], place: str) -> None:
        self.values, self.place = values, place

    def __call__(self, key: str) -> float:
        return value_of(self.values, self.place, key) if key in self.values else 0.0


def _size(element: Element, values: dict[str, str], place: str) -> tuple[float, float]:
    resolution = element.find("resolution")
    found = values if resolution is None else resolution.attrib
    return value_of(found, place, "width"), value_of(found, place, "height")


def _chunk_transform(chunk: Element, place: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation, translation and scale from the chunk to its world."""
    transform = chunk.find("transform")
    texts = {} if transform is None else {c.tag: c.text or "" for c in transform}
    R = values_of(texts, place, "rotation", 9) if "rotation" in texts else list(np.eye(3).ravel())
    t = values_of(texts, place, "translation", 3) if "translation" in texts else [0.0] * 3
    scale = value_of(texts, place, "scale") if "scale" in texts else 1.0
    return np.array(R).reshape(3, 3), np.array(t), scale


def _pose(
    camera: Element, world: tuple[np.ndarray, np.ndarray, float], place: str
) -> dict[str, Any]:
    text = {"transform": camera.findtext("transform") or ""}
    M = np.array(values_of(text, place, "transform", 16)).reshape(4, 4)
    R_world, t_world, scale = world
    R = R_world @ M[:3, :3]
    center = scale * R_world @ M[:3, 3] + t_world
    return {"rotation": R.T.tolist(), "translation": (-R.T @ center).tolist()}


FORMAT = CameraFormat("Agisoft XML", suits, read)

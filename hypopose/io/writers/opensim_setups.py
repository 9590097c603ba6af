"""Set-up files of OpenSim beside a TRC: markers of the model, Scale, and Inverse Kinematics.

======================  ==========================================================================
file                    contents
======================  ==========================================================================
``WALK_markers.xml``    a marker set for OpenSim's full-body model, markers at its joint centers
``WALK_scale.xml``      Scale: segments by the distances of markers; model in ``WALK_scaled.osim``
``WALK_ik.xml``         Inverse Kinematics of the TRC on the scaled model; result in
                        ``WALK_ik.mot``. Weights are the inverse variances of the hypotheses, so
                        joints that are known well decide; the trunk is pulled to lie straight
                        on the pelvis, whose tilt markers at joint centers hardly tell
======================  ==========================================================================

The generic model is ``Rajagopal2016.osim`` (Rajagopal et al., 2016), in the same folder; its joint
centers are those of its bodies' frames, the shoulder's and the hip's are places in torso and
pelvis. Skeletons without its joints get tasks for those they have. Formats: OpenSim 4, documents
40000.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from hypopose.io.writers.scene import ExportScene

MODEL = "Rajagopal2016.osim"
"""The generic model, which OpenSim brings."""

_HIP, _SHOULDER = (-0.0563, -0.0785, 0.0773), (0.0032, 0.3715, 0.17)
_ORIGIN = (0.0, 0.0, 0.0)
_HEEL, _TOE = (-0.005, -0.01, 0.0), (0.235, -0.01, -0.02)
_PLACES: dict[str, tuple[str, tuple[float, float, float]]] = {
    "pelvis": ("pelvis", (*_HIP[:2], 0.0)),
    "thorax": ("torso", (*_SHOULDER[:2], 0.0)),
    **{
        f"{side}_{joint}": (f"{body}_{side[0]}" if limb else body, (*at[:2], sign * at[2]))
        for side, sign in (("right", 1.0), ("left", -1.0))
        for joint, body, limb, at in (
            ("hip", "pelvis", False, _HIP),
            ("knee", "tibia", True, _ORIGIN),
            ("ankle", "talus", True, _ORIGIN),
            ("heel", "calcn", True, _HEEL),
            ("big_toe", "calcn", True, _TOE),
            ("shoulder", "torso", False, _SHOULDER),
            ("elbow", "ulna", True, _ORIGIN),
            ("wrist", "hand", True, _ORIGIN),
        )
    },
}
"""Marker -> body of the model and place in its frame, meters."""

_MEASUREMENTS = (
    ("trunk", (("pelvis", "thorax"),), ("pelvis", "torso"), False),
    ("thigh", (("{}_hip", "{}_knee"),), ("femur", "patella"), True),
    ("shank", (("{}_knee", "{}_ankle"),), ("tibia", "talus", "calcn", "toes"), True),
    ("upper_arm", (("{}_shoulder", "{}_elbow"),), ("humerus",), True),
    ("forearm", (("{}_elbow", "{}_wrist"),), ("ulna", "radius", "hand"), True),
)
"""Name, pairs of markers, bodies they scale, and whether there are two sides."""

_RESTING = (("lumbar_extension", 0.01),)
"""Coordinates that markers hardly tell, and the weight with which they are drawn to 0."""

GREATEST_WEIGHT = 10.0
"""Of the best known marker against one of median variance; the worst has its inverse."""


def setup_files(path: Path, scene: ExportScene) -> dict[Path, bytes]:
    """The three files of a TRC.

    Args:
        path: The TRC.
        scene: What is in it.

    Returns:
        Contents by path: the folder and stem of the TRC, see the module.
    """
    names = [name for name in scene.skeleton.joint_names if name in _PLACES]
    end = (scene.n_frames - 1) / scene.rate
    trees = (
        _document(_marker_set(names)),
        _document(_scale(path, names, end)),
        _document(_inverse_kinematics(path, names, end, _weights(scene))),
    )
    return dict(zip(setup_paths(path), (_text(tree) for tree in trees), strict=True))


def setup_paths(path: Path) -> tuple[Path, ...]:
    """Where they go.

    Example:
        >>> [p.name for p in setup_paths(Path("walk.trc"))]
        ['walk_markers.xml', 'walk_scale.xml', 'walk_ik.xml']
    """
    return tuple(path.with_name(f"{path.stem}_{kind}.xml") for kind in ("markers", "scale", "ik"))


def _document(tool: Element) -> Element:
    document = Element("OpenSimDocument", Version="40000")
    document.append(tool)
    return document


def _text(tree: Element) -> bytes:
    ElementTree.indent(tree, "\t")
    return ElementTree.tostring(tree, encoding="utf-8", xml_declaration=True) + b"\n"


def _add(parent: Element, tag: str, text: object = None, name: str = "") -> Element:
    child = ElementTree.SubElement(parent, tag, {"name": name} if name else {})
    if text is not None:
        child.text = os.fsencode(str(text)).decode("utf-8", "backslashreplace")
    return child


def _marker_set(names: list[str]) -> Element:
    markers = Element("MarkerSet", name="hypopose")
    objects = _add(markers, "objects")
    for name in names:
        body, place = _PLACES[name]
        marker = _add(objects, "Marker", name=name)
        _add(marker, "socket_parent_frame", f"/bodyset/{body}")
        _add(marker, "location", " ".join(f"{x:g}" for x in place))
        _add(marker, "fixed", "true")
    return markers


def _scale(path: Path, names: list[str], end: float) -> Element:
    tool = Element("ScaleTool", name="scaled")
    _add(tool, "mass", -1)
    _add(tool, "height", -1)
    _add(tool, "age", -1)
    _add(tool, "notes", "The mass is the generic model's; give the subject's in kg.")
    maker = _add(tool, "GenericModelMaker")
    _add(maker, "model_file", MODEL)
    _add(maker, "marker_set_file", setup_paths(path)[0].name)
    scaler = _add(tool, "ModelScaler")
    _add(scaler, "apply", "true")
    _add(scaler, "scaling_order", "measurements")
    objects = _add(_add(scaler, "MeasurementSet"), "objects")
    for measurement in _MEASUREMENTS:
        _measurement(objects, names, *measurement)
    _add(scaler, "marker_file", path.name)
    _add(scaler, "time_range", f"0 {end:.6f}")
    _add(scaler, "preserve_mass_distribution", "true")
    _add(scaler, "output_model_file", f"{path.stem}_scaled.osim")
    return tool


def _measurement(
    objects: Element,
    names: list[str],
    name: str,
    pairs: tuple[tuple[str, str], ...],
    bodies: tuple[str, ...],
    limb: bool,
) -> None:
    """One measurement; limbs take the mean of both sides."""
    sides = ("right", "left") if limb else ("",)
    found = [(a.format(s), b.format(s)) for s in sides for a, b in pairs]
    found = [pair for pair in found if set(pair) <= set(names)]
    if not found:
        return
    measurement = _add(objects, "Measurement", name=name)
    _add(measurement, "apply", "true")
    markers = _add(_add(measurement, "MarkerPairSet"), "objects")
    for pair in found:
        _add(_add(markers, "MarkerPair"), "markers", " ".join(pair))
    scales = _add(_add(measurement, "BodyScaleSet"), "objects")
    for body in bodies:
        for side in sides:
            own = f"{body}_{side[0]}" if side else body
            _add(_add(scales, "BodyScale", name=own), "axes", "X Y Z")


def _inverse_kinematics(
    path: Path, names: list[str], end: float, weights: Mapping[str, float]
) -> Element:
    tool = Element("InverseKinematicsTool", name="hypopose")
    _add(tool, "model_file", f"{path.stem}_scaled.osim")
    _add(tool, "constraint_weight", "Inf")
    _add(tool, "accuracy", "1e-05")
    _add(tool, "time_range", f"0 {end:.6f}")
    _add(tool, "marker_file", path.name)
    _add(tool, "output_motion_file", f"{path.stem}_ik.mot")
    _add(tool, "report_errors", "true")
    objects = _add(_add(tool, "IKTaskSet"), "objects")
    for name in names:
        task = _add(objects, "IKMarkerTask", name=name)
        _add(task, "apply", "true")
        _add(task, "weight", f"{weights[name]:.3g}")
    for name, weight in _RESTING:
        task = _add(objects, "IKCoordinateTask", name=name)
        _add(task, "apply", "true")
        _add(task, "weight", f"{weight:g}")
        _add(task, "value_type", "manual_value")
        _add(task, "value", 0)
    return tool


def _weights(scene: ExportScene) -> dict[str, float]:
    """Inverse variances over their median; 1 for all where the spread is not known."""
    names, sigma = scene.skeleton.joint_names, scene.takes[0].sigma
    if sigma is None or not np.isfinite(sigma).any():
        return dict.fromkeys(names, 1.0)
    known = np.isfinite(sigma)
    variance = np.square(np.where(known, sigma, 0.0)).sum(0) / np.maximum(known.sum(0), 1)
    typical = np.median(variance[variance > 0]) if (variance > 0).any() else 1.0
    ratio = typical / np.where(variance > 0, variance, typical / GREATEST_WEIGHT)
    weights = np.clip(ratio, 1 / GREATEST_WEIGHT, GREATEST_WEIGHT)
    return dict(zip(names, weights.tolist(), strict=True))

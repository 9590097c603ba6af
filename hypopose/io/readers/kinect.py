"""Kinect v2's bodies as JSON, the joints in the color picture; Azure Kinect's are 3D.

Programs that pass on what the SDK gives (Kinectron and others) write frames with ``bodies``, each
with 25 ``joints`` in the SDK's order: ``colorX`` and ``colorY`` are fractions of the color picture
of 1920 x 1080 pixels (``depthX``, ``depthY`` of the depth picture of 512 x 424), ``cameraX`` to
``cameraZ`` meters. ``trackingState`` 0 is a joint that is not tracked, 1 one that is inferred.
Files with 3D joints alone are refused with the cure, ``hypopose import``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.kinect_json import is_azure, kinect_bodies, kinect_frames, kinect_joints
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.source import Source
from hypopose.skeletons import KINECT25

PICTURES = {"color": (1920, 1080), "depth": (512, 424)}
"""Pictures of the camera, and their sizes in pixels."""
CURE = "read it with hypopose import FILE -o OUT.npz; sample takes 2D keypoints"
_SURE = {0: 0.0, 1: 0.5, 2: 1.0}


def sniff(source: Source) -> bool:
    """Frames with bodies."""
    return bool(kinect_frames(source)) or is_azure(source)


def one_image(source: Source) -> bool:
    """Whether the file is one frame."""
    return isinstance(source.json, dict) and "bodies" in source.json


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    if is_azure(source):
        raise source.error("holds 3D joints of Azure Kinect", CURE)
    if options.skeleton is not None:
        check_joints(source, options.skeleton, KINECT25.n_joints)
    found = json_values.DetectionList(source)
    for number in range(len(kinect_frames(source))):
        found.saw(number)
    picture = ""
    for number, who, body, place in kinect_bodies(source):
        joints = kinect_joints(source, body, place)
        picture = picture or _picture(source, joints, place)
        found.add(number, _values(joints, picture), place, who)
    found.require_people()
    size = PICTURES[picture]
    note = f"joints of the {picture} picture, {size[0]} x {size[1]} pixels"
    detections = found.build(options.skeleton or KINECT25, (note,))
    return _in_pixels(source, detections, size)


def _picture(source: Source, joints: list[dict[str, Any]], place: str) -> str:
    for picture in PICTURES:
        if f"{picture}X" in joints[0]:
            return picture
    raise source.error("joints without colorX and colorY, 3D alone", CURE, place)


def _values(joints: list[dict[str, Any]], picture: str) -> Float[np.ndarray, "25 3"]:
    rows = []
    for joint in joints:
        x, y = (json_values.scalar(joint.get(f"{picture}{axis}")) for axis in "XY")
        state = joint.get("trackingState", 2)
        rows.append([x, y, _SURE.get(state, 1.0) if isinstance(state, int) else 1.0])
    return np.array(rows)


def _in_pixels(source: Source, detections: Detections, size: tuple[int, int]) -> Detections:
    """Fractions of the picture as pixels; what is farther from 0 is in pixels already."""
    known = detections.xy[np.isfinite(detections.xy).all(-1)]
    if not len(known):
        raise source.error("no joint has numbers", "write it again")
    if np.median(np.abs(known)) > 2:
        return replace(detections, image_size=size)
    return replace(detections, xy=detections.xy * np.array(size), image_size=size)


FORMAT = Format(
    name="kinect",
    description="Kinect v2 bodies as JSON, joints in the color picture",
    sniff=sniff,
    read=read,
    one_image=one_image,
)

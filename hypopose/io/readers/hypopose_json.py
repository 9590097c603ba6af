"""Our JSON of 2D keypoints: everybody, with skeleton, image size and rate, for any language.

``{"hypopose": "keypoints", "schema": 1, "skeleton": {...}, "image_size": [w, h], "fps": 60,
"approximate": [], "keypoints": {"ann": {"xy": [...], "confidence": [...]}}}``. ``xy`` is a list of
frames, a frame a list of joints, a joint ``[x, y]`` in pixels; ``null`` stands for a joint that was
not detected, and for a frame without a person. ``confidence``, if it is known, has the same
shape with a number for a joint. Covariances and the camera stay in the npz.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import MAX_FRAMES, Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.native import SCHEMA, skeleton_from_dict
from hypopose.io.parsing import json_values
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.parsing.stated_facts import stated_facts
from hypopose.io.source import Source


def sniff(source: Source) -> bool:
    """A JSON object of ours."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    return source.json.get("hypopose") == "keypoints" and "keypoints" in source.json


def read(source: Source, options: ReadOptions) -> Detections:
    """Read everybody."""
    top = json_values.record(source, source.json, "top level")
    if top.get("hypopose") != "keypoints":
        raise source.error('no "hypopose": "keypoints"', "this is not a file of HypoPose")
    if top.get("schema") != SCHEMA:
        raise source.error(
            f"schema {str(top.get('schema'))[:20]}, this version reads {SCHEMA}", "update HypoPose"
        )
    skeleton = skeleton_from_dict(source, top.get("skeleton"))
    people = json_values.record(source, top.get("keypoints"), "keypoints")
    found, n_frames, confident = json_values.DetectionList(source), 0, False
    for name, value in people.items():
        place = f"person {name[:40]!r}"
        person = json_values.record(source, value, place)
        confident |= "confidence" in person
        n_frames = max(n_frames, _add(source, person, place, name, skeleton.n_joints, found))
    found.saw(max(n_frames - 1, 0))
    found.require_people()
    if options.skeleton is not None:
        check_joints(source, options.skeleton, skeleton.n_joints)
    facts = stated_facts(source, {k: top.get(k) for k in ("image_size", "fps")})
    detections = found.build(options.skeleton or skeleton, ())
    return replace(
        detections,
        confidence=detections.confidence if confident else None,
        first_frame=0,
        image_size=facts["image_size"],
        fps=facts["fps"],
        approximate=_formed(top.get("approximate"), detections.skeleton.joint_names),
    )


def _formed(value: Any, joints: tuple[str, ...]) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(joint for joint in joints if joint in listed)


def _add(
    source: Source,
    person: dict[str, Any],
    place: str,
    name: str,
    n_joints: int,
    found: json_values.DetectionList,
) -> int:
    """Add a person's frames; how many the clip has."""
    frames = json_values.entries(source, person.get("xy"), f"{place}, xy")
    sure = json_values.entries(source, person.get("confidence", [None] * len(frames)), place)
    if len(frames) > MAX_FRAMES or len(sure) != len(frames):
        raise source.error(
            f"{len(frames)} frames of xy and {len(sure)} of confidence", "write as many", place
        )
    identity = json_values.person_id(name)
    for f, (xy, confidence) in enumerate(zip(frames, sure, strict=True)):
        if xy is not None:
            values = _frame(source, xy, confidence, f"{place}, frame {f}", n_joints)
            found.add(f, values, f"{place}, frame {f}", identity)
    return len(frames)


def _frame(
    source: Source, xy: Any, confidence: Any, place: str, n_joints: int
) -> Float[np.ndarray, "J 3"]:
    listed = json_values.entries(source, xy, place)
    if len(listed) != n_joints:
        raise source.error(f"{len(listed)} joints, the skeleton has {n_joints}", "write all", place)
    values = np.ones((n_joints, 3))
    values[:, :2] = json_values.points(source, [p or [None, None] for p in listed], place)
    if confidence is not None:
        numbers = json_values.numbers(source, confidence, place)
        if len(numbers) != n_joints:
            raise source.error(f"{len(numbers)} confidences", "write one per joint", place)
        values[:, 2] = numbers
    return values


FORMAT = Format(
    name="hypopose-json",
    description="HypoPose's own .json of keypoints: everybody",
    sniff=sniff,
    read=read,
)

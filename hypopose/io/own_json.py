"""Our JSON of 2D keypoints: everybody, with skeleton, image size and rate, for any language.

``{"hypopose": "keypoints", "schema": 1, "skeleton": {...}, "image_size": [w, h], "fps": 60,
"approximate": [], "keypoints": {"ann": {"xy": [...], "confidence": [...]}}}``. ``xy`` is a list of
frames, a frame a list of joints, a joint ``[x, y]`` in pixels; ``null`` stands for a joint that was
not detected, and for a frame in which nobody was. ``confidence``, if it is known, has the same
shape with a number for a joint. Covariances and the camera stay in the npz.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hypopose.io import records
from hypopose.io.base import Format, ReadOptions
from hypopose.io.detections import MAX_FRAMES, Detections
from hypopose.io.evidence import check_joints
from hypopose.io.own_npz import SCHEMA, skeleton_from_dict, skeleton_to_dict
from hypopose.io.source import Source
from hypopose.io.tidy import stated_facts
from hypopose.types import Keypoints2D


def to_json(people: Mapping[str, Keypoints2D]) -> str:
    """The text of a file.

    Args:
        people: By identity, in one skeleton, without batch axes. Image size and rate are those of
            the first.
    """
    first = next(iter(people.values()))
    value = {
        "hypopose": "keypoints",
        "schema": SCHEMA,
        "skeleton": skeleton_to_dict(first.skeleton),
        "image_size": None if first.image_size is None else list(first.image_size),
        "fps": first.fps,
        "approximate": list(first.approximate),
        "keypoints": {name: _person(k) for name, k in people.items()},
    }
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def write_json(path: Path, people: Mapping[str, Keypoints2D]) -> None:
    """Write :func:`to_json`."""
    path.write_text(to_json(people), encoding="utf-8")


def _person(keypoints: Keypoints2D) -> dict[str, Any]:
    xy = keypoints.xy.detach().cpu().numpy().astype(np.float64).round(4)
    seen = np.isfinite(xy.sum(-1))
    person = {"xy": _listed(xy, seen)}
    if keypoints.confidence is not None:
        confidence = keypoints.confidence.detach().cpu().numpy().astype(np.float64).round(6)
        person["confidence"] = _listed(confidence, seen)
    return person


def _listed(values: Float[np.ndarray, "F J *d"], seen: Bool[np.ndarray, "F J"]) -> list[Any]:
    """Frames of joints; None for what was not seen."""
    return [
        [v if s else None for v, s in zip(frame.tolist(), there, strict=True)]
        if any(there)
        else None
        for frame, there in zip(values, seen.tolist(), strict=True)
    ]


def sniff(source: Source) -> bool:
    """A JSON object of ours."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    return source.json.get("hypopose") == "keypoints" and "keypoints" in source.json


def read(source: Source, options: ReadOptions) -> Detections:
    """Read everybody."""
    top = records.record(source, source.json, "top level")
    if top.get("hypopose") != "keypoints":
        raise source.error('no "hypopose": "keypoints"', "this is no file of HypoPose's")
    if top.get("schema") != SCHEMA:
        raise source.error(
            f"schema {str(top.get('schema'))[:20]}, this version reads {SCHEMA}", "update HypoPose"
        )
    skeleton = skeleton_from_dict(source, top.get("skeleton"))
    people = records.record(source, top.get("keypoints"), "keypoints")
    found, n_frames, confident = records.DetectionList(source), 0, False
    for name, value in people.items():
        place = f"person {name[:40]!r}"
        person = records.record(source, value, place)
        confident |= "confidence" in person
        n_frames = max(n_frames, _add(source, person, place, name, skeleton.n_joints, found))
    found.saw(max(n_frames - 1, 0))
    found.require_people()
    if options.skeleton is not None:
        check_joints(source, options.skeleton, skeleton.n_joints)
    facts = stated_facts(source, {k: top.get(k) for k in ("image_size", "fps")})
    detections = found.build(options.skeleton or skeleton, ())
    formed = top.get("approximate")
    known = detections.skeleton.joint_names
    return Detections(
        **{
            **vars(detections),
            "confidence": detections.confidence if confident else None,
            "first_frame": 0,
            "image_size": facts["image_size"],
            "fps": facts["fps"],
            "approximate": tuple(j for j in known if isinstance(formed, list) and j in formed),
        }
    )


def _add(
    source: Source,
    person: dict[str, Any],
    place: str,
    name: str,
    n_joints: int,
    found: records.DetectionList,
) -> int:
    """Add a person's frames; how many the clip has."""
    frames = records.entries(source, person.get("xy"), f"{place}, xy")
    sure = records.entries(source, person.get("confidence", [None] * len(frames)), place)
    if len(frames) > MAX_FRAMES or len(sure) != len(frames):
        raise source.error(
            f"{len(frames)} frames of xy and {len(sure)} of confidence", "write as many", place
        )
    identity = records.person_id(name)
    for f, (xy, confidence) in enumerate(zip(frames, sure, strict=True)):
        if xy is not None:
            values = _frame(source, xy, confidence, f"{place}, frame {f}", n_joints)
            found.add(f, values, f"{place}, frame {f}", identity)
    return len(frames)


def _frame(
    source: Source, xy: Any, confidence: Any, place: str, n_joints: int
) -> Float[np.ndarray, "J 3"]:
    listed = records.entries(source, xy, place)
    if len(listed) != n_joints:
        raise source.error(f"{len(listed)} joints, the skeleton has {n_joints}", "write all", place)
    values = np.ones((n_joints, 3))
    values[:, :2] = records.points(source, [p or [None, None] for p in listed], place)
    if confidence is not None:
        numbers = records.numbers(source, confidence, place)
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

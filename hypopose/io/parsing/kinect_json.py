"""Bodies in the JSON of Microsoft's depth cameras."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypopose.io.parsing import json_values
from hypopose.io.source import Source
from hypopose.skeletons.depth_cameras import KINECT_WORDS

Body = tuple[int, str, dict[str, Any], str]
"""Frame number, identity, the body, and where it is in the file."""


def is_azure(source: Source) -> bool:
    """The layout of Azure Kinect's offline processor: frames of bodies with joint positions."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    top = source.json
    named = any(str(key).startswith("k4abt") for key in top) or "joint_names" in top
    return named and isinstance(top.get("frames"), list)


def azure_bodies(source: Source) -> Iterator[Body]:
    """Every body of Azure Kinect's layout."""
    yield from _bodies(source, json_values.entries(source, source.json["frames"], "frames"))


def kinect_frames(source: Source) -> list[Any]:
    """The frames of Kinect v2's layout, objects with ``bodies``; empty if it is another."""
    if not source.is_json:
        return []
    top = source.json
    if isinstance(top, dict) and "bodies" in top:
        return [top]
    frames = top.get("frames") if isinstance(top, dict) else top
    if not isinstance(frames, list) or is_azure(source):
        return []
    some = [f for f in frames[:1000] if isinstance(f, dict) and f.get("bodies")]
    return frames if some else []


def kinect_bodies(source: Source) -> Iterator[Body]:
    """Every tracked body of Kinect v2's layout."""
    for body in _bodies(source, kinect_frames(source)):
        if body[2].get("tracked", True):
            yield body


def kinect_joints(source: Source, body: dict[str, Any], place: str) -> list[dict[str, Any]]:
    """The 25 joints of a body in the SDK's order; named ones in any order.

    Raises:
        FormatError: If there are others.
    """
    listed = body.get("joints")
    if isinstance(listed, dict):
        listed = [{"name": name, **json_values.record(source, joint, f"{place}, {name[:40]}")}
                  for name, joint in listed.items()]  # fmt: skip
    given = json_values.entries(source, listed, f"{place}, joints")
    joints = [json_values.record(source, v, f"{place}, joint {j}") for j, v in enumerate(given)]
    named = {_word(joint.get("name", joint.get("jointType"))): joint for joint in joints}
    if set(named) >= {word.lower() for word in KINECT_WORDS}:
        joints = [named[word.lower()] for word in KINECT_WORDS]
    if len(joints) != len(KINECT_WORDS):
        raise source.error(
            f"{len(joints)} joints, not the {len(KINECT_WORDS)} of Kinect v2", "write all", place
        )
    return joints


def _word(name: Any) -> str:
    return name.replace("_", "").replace(" ", "").lower() if isinstance(name, str) else ""


def _bodies(source: Source, frames: list[Any]) -> Iterator[Body]:
    for i, value in enumerate(frames):
        frame = json_values.record(source, value, f"frame entry {i}")
        number = i
        for key in ("frame_id", "frame", "frameNumber"):
            if key in frame:
                number = json_values.whole_number(source, frame[key], f"frame entry {i}")
                break
        bodies = json_values.entries(source, frame.get("bodies", []), f"frame {number}")
        for k, one in enumerate(bodies):
            place = f"frame {number}, body {k}"
            body = json_values.record(source, one, place)
            given = next((body[n] for n in ("body_id", "trackingId", "id") if n in body), None)
            yield number, json_values.person_id(given) or str(k), body, place

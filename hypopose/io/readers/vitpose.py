"""easy_ViTPose: ``{"keypoints": [{"0": [[y, x, score], ...]}, ...], "skeleton": {"0": "nose"}}``.

One object per frame, people by identity; **y comes first**. The skeleton names the joints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.named_joints import find_joints, pick
from hypopose.io.source import Source


def sniff(source: Source) -> bool:
    """An object with a list of keypoints by identity and a skeleton of names by number."""
    if not source.is_json or not isinstance(source.json, dict):
        return False
    top = source.json
    return isinstance(top.get("keypoints"), list) and isinstance(top.get("skeleton"), dict)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    top = json_values.record(source, source.json, "top level")
    if not {"keypoints", "skeleton"} <= top.keys():
        raise source.error("no keys 'keypoints' and 'skeleton'", "write both")
    names = _names(source, json_values.record(source, top["skeleton"], "skeleton"))
    skeleton, order, notes = find_joints(source, options, names)
    found = json_values.DetectionList(source)
    for f, value in enumerate(json_values.entries(source, top["keypoints"], "keypoints")):
        found.saw(f)
        for name, points in json_values.record(source, value, f"frame {f}").items():
            place = f"frame {f}, person {name[:40]}"
            values = _points(source, points, len(names), place)
            found.add(f, pick(values.T, order).T, place, json_values.person_id(name))
    found.require_people()
    return found.build(skeleton, (*notes, "y comes first in this format"))


def _names(source: Source, value: dict[str, Any]) -> list[str]:
    names = [value.get(str(i)) for i in range(len(value))]
    if not names or not all(isinstance(name, str) for name in names):
        raise source.error("its skeleton is not names numbered from 0", "write it again")
    return [str(name) for name in names]


def _points(source: Source, value: Any, n: int, place: str) -> Float[np.ndarray, "J 3"]:
    rows = json_values.entries(source, value, place)
    points = [json_values.numbers(source, row, f"{place}, point {j}") for j, row in enumerate(rows)]
    if len(points) != n or any(len(point) != 3 for point in points):
        raise source.error(f"expected {n} points [y, x, score]", "write it again", place)
    return np.stack(points)[:, [1, 0, 2]]


FORMAT = Format(
    name="easy-vitpose",
    description="easy_ViTPose JSON: a frame per entry, people by identity, y first",
    sniff=sniff,
    read=read,
)

"""Keypoints as HypoPose's JSON, the layout of :mod:`hypopose.io.readers.hypopose_json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hypopose.io.native import SCHEMA, skeleton_to_dict
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

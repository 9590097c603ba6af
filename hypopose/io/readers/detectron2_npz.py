"""Detectron's npz by VideoPose3D's inference scripts: ``boxes``, ``keypoints``, ``metadata``.

``keypoints`` is an object array of frames; a frame has a list of classes, the last of people, each
empty or (N, 4, 17): rows x, y, heatmap value, probability. It is read by
:mod:`hypopose.io.untrusted.pickles`; nothing in it is run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hypopose.io.detections import MAX_FRAMES, Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing import json_values
from hypopose.io.parsing.skeleton_detection import choose_skeleton
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive

NAMES = {"boxes", "keypoints", "metadata"}
LAYOUTS = {17: ("coco17",)}
ROWS = 4
MAX_SIDE = 100_000


def sniff(source: Source) -> bool:
    """An archive with boxes, keypoints and metadata of objects."""
    if not source.is_npz:
        return False
    archive = NpzArchive(source)
    return set(archive.names) >= NAMES and archive.is_pickled("keypoints")


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all frames."""
    archive = NpzArchive(source)
    frames = archive.pickled("keypoints")
    if not isinstance(frames, (list, np.ndarray)) or not 0 < len(frames) <= MAX_FRAMES:
        raise source.error("keypoints are no list of frames", "run the inference script again")
    found = json_values.DetectionList(source)
    for f, frame in enumerate(frames):
        found.saw(f)
        for k, person in enumerate(_people(source, frame, f)):
            found.add(f, person, f"frame {f}, person {k}")
    found.require_people()
    skeleton, notes = choose_skeleton(source, options, found.values, LAYOUTS, "Detectron")
    return replace(found.build(skeleton, notes), image_size=_size(archive.pickled("metadata")))


def _people(source: Source, frame: Any, f: int) -> list[np.ndarray]:
    """x, y and probability of everybody in a frame, (17, 3) each."""
    classes = list(frame) if isinstance(frame, (list, tuple, np.ndarray)) else []
    people = next((c for c in reversed(classes) if isinstance(c, np.ndarray) and c.size), None)
    if people is None:
        return []
    if people.ndim != 3 or people.shape[1] != ROWS or people.dtype.kind not in "iuf":
        raise source.error(
            f"people of {people.dtype} {people.shape}, not (N, 4, 17)",
            "run the inference script again",
            f"frame {f}",
        )
    points = people.astype(np.float64).transpose(0, 2, 1)[..., [0, 1, 3]]
    points[..., 2] = np.clip(points[..., 2], 0.0, 1.0)
    return list(points)


def _size(metadata: Any) -> tuple[int, int] | None:
    if not isinstance(metadata, dict):
        return None
    w, h = metadata.get("w"), metadata.get("h")
    if isinstance(w, int) and isinstance(h, int) and 0 < w < MAX_SIDE and 0 < h < MAX_SIDE:
        return w, h
    return None


FORMAT = Format(
    name="detectron2-npz",
    description="Detectron's npz of boxes, keypoints and metadata, read without unpickling",
    sniff=sniff,
    read=read,
)

"""RTMPose with feet through rtmlib: Halpe-26 keypoints of everybody in the frame.

Jiang et al., "RTMPose: real-time multi-person pose estimation based on MMPose", 2023. A person
detector (YOLOX) finds boxes, RTMPose finds 26 keypoints in each. rtmlib fetches both models at
first use; without network they are read from a folder. Models are pinned by name; the SHA-256 of
each file, fetched or given, is recorded with the results, and must match a ``SHA256SUMS`` that lies
beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hypopose.errors import BackendError, CheckpointError
from hypopose.skeletons import HALPE26
from hypopose.types import Skeleton
from hypopose.video.detectors.protocol import Seen, nobody
from hypopose.video.extra import import_extra

INSTALL = "pip install 'hypopose[rtmpose]'"

_BASE = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk/"


@dataclass(frozen=True)
class Model:
    """A pinned model file.

    Args:
        file: Name of the archive at its publisher, without ending.
        size: Width and height the model reads.
    """

    file: str
    size: tuple[int, int]

    @property
    def url(self) -> str:
        """Where it is published."""
        return f"{_BASE}{self.file}.zip"


PEOPLE = Model("yolox_m_8xb8-300e_humanart-c2c7a14a", (640, 640))
KEYPOINTS = Model(
    "rtmpose-m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605", (192, 256)
)


class RTMPose:
    """YOLOX-m and RTMPose-m (body with feet).

    Args:
        models: Folder with the two ``.onnx`` files (named as published, or ``people.onnx`` and
            ``keypoints.onnx``); None lets rtmlib fetch them.

    Raises:
        BackendError: If rtmlib is not installed, or models can be neither found nor fetched.
        CheckpointError: If a model is not the one that ``SHA256SUMS`` names.
    """

    name = "rtmpose"
    skeleton: Skeleton = HALPE26
    max_people: int | None = None

    def __init__(self, models: Path | None = None) -> None:
        rtmlib = import_extra("rtmlib", "This detector is RTMPose", INSTALL)
        self._hashes: dict[str, str] = {}
        people = self._path(PEOPLE, "people.onnx", models)
        keypoints = self._path(KEYPOINTS, "keypoints.onnx", models)
        self._people: Callable[..., Any] = self._started(rtmlib.YOLOX, people, PEOPLE)
        self._keypoints: Callable[..., Any] = self._started(rtmlib.RTMPose, keypoints, KEYPOINTS)

    def detect(self, rgb: UInt8[np.ndarray, "height width 3"]) -> Seen:
        """Everybody in the frame."""
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        boxes = np.asarray(self._people(bgr), dtype=np.float64).reshape(-1, 4)
        if not len(boxes):
            return nobody(self.skeleton.n_joints)
        xy, scores = self._keypoints(bgr, bboxes=boxes)
        xy = np.asarray(xy, dtype=np.float64)
        confidence = np.clip(np.nan_to_num(np.asarray(scores, dtype=np.float64)), 0.0, 1.0)
        lost = confidence <= 0
        return Seen(np.where(lost[..., None], np.nan, xy), confidence, boxes)

    def reset(self) -> None:
        """Every frame is processed separately."""

    def describe(self) -> dict[str, Any]:
        """Models with their hashes."""
        return {"name": self.name, "people": PEOPLE.file, "keypoints": KEYPOINTS.file,
                "sha256": dict(self._hashes)}  # fmt: skip

    def close(self) -> None:
        """Nothing stays open."""

    def _path(self, model: Model, short: str, folder: Path | None) -> str:
        """A local file if there is a folder, else the address rtmlib fetches from."""
        if folder is None:
            return model.url
        choices = (folder / f"{model.file}.onnx", folder / short)
        path = next((p for p in choices if p.is_file()), None)
        if path is None:
            raise BackendError(
                f"{folder}: there is neither {choices[0].name} nor {short}; unpack {model.url} "
                "there, on a machine with network."
            )
        return str(path)

    def _started(self, make: Callable[..., Any], path: str, model: Model) -> Callable[..., Any]:
        """A model as rtmlib runs it, its digest kept; a file of ours is checked before it runs."""
        if not path.startswith("http"):
            self._hashes[Path(path).name] = check_digest(Path(path))
        started = _started(make, path, model)
        fetched = Path(str(getattr(started, "onnx_model", path)))
        if path.startswith("http") and fetched.is_file():
            self._hashes[fetched.name] = check_digest(fetched)
        return started


def check_digest(path: Path) -> str:
    """The SHA-256 of a model, compared with the ``SHA256SUMS`` beside it if there is one.

    Raises:
        CheckpointError: If they differ.
    """
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    listed = path.with_name("SHA256SUMS")
    if listed.is_file():
        lines = (line.split() for line in listed.read_text().splitlines())
        known = {parts[-1].lstrip("*"): parts[0].lower() for parts in lines if len(parts) == 2}
        if known.get(path.name, found) != found:
            raise CheckpointError(
                f"{path}: SHA-256 {found[:12]}..., SHA256SUMS says {known[path.name][:12]}...; "
                "fetch the model again."
            )
    return found


def _started(make: Callable[..., Any], path: str, model: Model) -> Callable[..., Any]:
    """A model as rtmlib runs it; whatever fails on the way to it becomes one line."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it tells of downloads; ours may be data
            return make(path, model_input_size=model.size)
    except Exception as error:  # rtmlib lets through what urllib, zipfile and ONNX Runtime raise
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        where = "fetched" if path.startswith("http") else "loaded"
        raise BackendError(
            f"{model.file} could not be {where} ({reason}). Without network, unpack {model.url} "
            "into a folder and give it with --detector-models; or use --detector mediapipe."
        ) from None

"""MediaPipe Pose: 33 landmarks of one person, from models inside its wheel.

Bazarevsky et al., "BlazePose: on-device real-time body pose tracking", 2020. The 0.10 series up to
0.10.21 carries the detector and the full landmark model in its wheel, so it works without network;
later releases bring no models. Between the first frame and the next reset it follows the person it
found, which is quicker than detecting again. MediaPipe's own smoothing over time is off: it lags,
and the samplers expect independent errors of frames.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hypopose.errors import BackendError
from hypopose.skeletons import MEDIAPIPE33
from hypopose.types import Skeleton
from hypopose.video.detectors.protocol import Seen, boxes_of, nobody
from hypopose.video.extra import import_extra


class MediaPipe:
    """The full BlazePose model.

    Args:
        follow: Follow the person from frame to frame; False detects people again in every frame.
        min_confidence: How sure the detector must be that there is a person.

    Raises:
        BackendError: If MediaPipe is not installed, or in a version without models.
    """

    name = "mediapipe"
    skeleton: Skeleton = MEDIAPIPE33
    max_people: int | None = 1

    def __init__(self, *, follow: bool = True, min_confidence: float = 0.5) -> None:
        module = import_extra("mediapipe", "This detector is MediaPipe")
        solutions = getattr(module, "solutions", None)
        if solutions is None:
            raise BackendError(
                f"MediaPipe {module.__version__} carries no models; HypoPose uses 0.10.14: "
                "pip install 'hypopose[video]'."
            )
        self._version = str(module.__version__)
        self._follow, self._min = follow, min_confidence
        self._make = solutions.pose.Pose
        self._pose: Any = None

    def detect(self, rgb: UInt8[np.ndarray, "height width 3"]) -> Seen:
        """The person of one frame, or none."""
        if self._pose is None:
            self._start()
        height, width = rgb.shape[:2]
        with _quiet():
            found = self._pose.process(np.ascontiguousarray(rgb)).pose_landmarks
        if found is None:
            return nobody(self.skeleton.n_joints)
        points = np.array([[p.x * width, p.y * height, p.visibility] for p in found.landmark])
        xy, confidence = points[:, :2], np.clip(points[:, 2], 0.0, 1.0)
        # The model guesses where limbs outside the picture are; those are no detections.
        outside = (xy < 0).any(-1) | (xy[:, 0] > width) | (xy[:, 1] > height)
        xy, confidence = np.where(outside[:, None], np.nan, xy), np.where(outside, 0.0, confidence)
        return Seen(xy[None], confidence[None], boxes_of(xy[None]))

    def reset(self) -> None:
        """Look for a person anew."""
        if self._pose is not None and self._follow:
            self.close()

    def describe(self) -> dict[str, Any]:
        """Version and options."""
        return {
            "name": self.name,
            "version": self._version,
            "model": "pose_landmark_full",
            "follow": self._follow,
            "min_confidence": self._min,
        }

    def close(self) -> None:
        """Release the graph."""
        if self._pose is not None:
            self._pose.close()
            self._pose = None

    def _start(self) -> None:
        with _quiet():
            self._pose = self._make(
                static_image_mode=not self._follow,
                model_complexity=1,
                smooth_landmarks=False,
                min_detection_confidence=self._min,
                min_tracking_confidence=self._min,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the C++ library's messages and its Python's warnings off standard error."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protobuf's former names
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)

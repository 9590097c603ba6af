"""The protocol of detectors: frames in, people with keypoints, confidences and boxes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from hypopose.errors import ShapeError
from hypopose.types import Skeleton


@dataclass(frozen=True, eq=False)
class Seen:
    """The people of one frame.

    Args:
        xy: Pixels of the frame that was given; NaN where undetected.
        confidence: 0 to 1, as the detector gives it; 0 where undetected.
        boxes: Left, top, right, bottom of each person, in pixels.

    Raises:
        ShapeError: If the three disagree.
    """

    xy: Float[np.ndarray, "P J 2"]
    confidence: Float[np.ndarray, "P J"]
    boxes: Float[np.ndarray, "P 4"]

    def __post_init__(self) -> None:
        if self.xy.shape[:2] != self.confidence.shape or len(self.boxes) != len(self.xy):
            raise ShapeError(
                f"A detector gave keypoints {self.xy.shape}, confidences {self.confidence.shape} "
                f"and boxes {self.boxes.shape}; they are (P, J, 2), (P, J) and (P, 4)."
            )

    def __len__(self) -> int:
        return len(self.xy)


def nobody(n_joints: int) -> Seen:
    """A frame without people."""
    return Seen(np.empty((0, n_joints, 2)), np.empty((0, n_joints)), np.empty((0, 4)))


def boxes_of(xy: Float[np.ndarray, "P J 2"]) -> Float[np.ndarray, "P 4"]:
    """The boxes around detected keypoints; a person without any has an empty box at 0.

    Example:
        >>> boxes_of(np.array([[[1.0, 2.0], [5.0, 3.0], [np.nan, np.nan]]])).tolist()
        [[1.0, 2.0, 5.0, 3.0]]
    """
    seen = np.isfinite(xy)
    low = np.where(seen, xy, np.inf).min(1, initial=np.inf)
    high = np.where(seen, xy, -np.inf).max(1, initial=-np.inf)
    boxes = np.concatenate([low, high], -1)
    return np.where(np.isfinite(boxes), boxes, 0.0)


@runtime_checkable
class Detector(Protocol):
    """Finds people in frames. Frames of one scene are shown in order."""

    name: str
    skeleton: Skeleton
    max_people: int | None
    """People a frame it can find; None for no limit."""

    def detect(self, rgb: UInt8[np.ndarray, "height width 3"]) -> Seen:
        """The people of one frame."""
        ...

    def reset(self) -> None:
        """Forget the frames before: a new scene begins."""
        ...

    def describe(self) -> dict[str, Any]:
        """Name, versions and models as plain values, for records."""
        ...

    def close(self) -> None:
        """Release models."""
        ...

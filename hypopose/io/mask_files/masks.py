"""Masks of people as files hold them: which frames there are, and what one of them shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """What is known of one frame.

    Args:
        people: A mask of each person.
        unknown: Pixels of which nothing is known: objects, crowds, void; None for none.
        labels: Classes of a parsing map (:data:`hypopose.rendering.LABELS`), or None.
    """

    people: tuple[Bool[np.ndarray, "h w"], ...]
    unknown: Bool[np.ndarray, "h w"] | None = None
    labels: Int[np.ndarray, "h w"] | None = None


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of a clip; frames are read when they are asked for.

    Args:
        name: Of the file or folder.
        size: Width and height in pixels, as they are read.
        numbers: Of the frames there are, ascending.
        read: What a frame shows, by its number.
        start: Number of the first frame of the keypoints.
        notes: What was assumed.
    """

    name: str
    size: tuple[int, int]
    numbers: tuple[int, ...]
    read: Callable[[int], FrameMasks]
    start: int = 0
    notes: tuple[str, ...] = field(default=())

    @staticmethod
    def of(masks: Bool[np.ndarray, "F h w"], start: int = 0) -> Masks:
        """Masks of one person that are in memory, one for each frame.

        Args:
            masks: True inside.
            start: First frame of them that belongs to the keypoints.

        Example:
            >>> Masks.of(np.zeros((3, 4, 6), bool)).size
            (6, 4)
        """
        h, w = masks.shape[1:]
        whole = masks.astype(bool)
        return Masks(
            "masks in memory", (w, h), tuple(range(len(whole))),
            lambda number: FrameMasks((whole[number],)), start,
        )  # fmt: skip

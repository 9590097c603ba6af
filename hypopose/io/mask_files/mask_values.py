"""What the numbers of a picture of labels mean."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int, Shaped

from hypopose.io.mask_files.masks import FrameMasks
from hypopose.io.source import Source

Values = Literal["person", "people", "parts"]
"""``person``: every number but 0 is the person; ``people``: a number for each person, 255 is
unknown; ``parts``: the 20 classes of :data:`hypopose.rendering.LABELS`, 255 is unknown."""

UNKNOWN = 255
MAX_PEOPLE = 100
N_CLASSES = 20
SOFT_LEVELS = 24
"""More different grays than this are soft edges, and half of 255 is the edge."""


def frame_of(
    source: Source, values: Shaped[np.ndarray, "h w"], kind: Values | None, place: str
) -> FrameMasks:
    """The people of a picture of labels.

    Args:
        source: The file, for messages.
        values: Whole numbers or booleans.
        kind: What they mean; None if there are only two numbers, or soft edges.
        place: Which picture.

    Raises:
        FormatError: If the meaning is not clear, or a number has none.
    """
    there = np.unique(values)
    if kind == "parts":
        return _parts(source, values.astype(np.int64), place)
    if kind == "people":
        return _people(source, values, place)
    if len(there) > SOFT_LEVELS and there[-1] > UNKNOWN // 2:
        return FrameMasks((values > there[-1] // 2,))
    if kind is None and (len(there) > 2 or (len(there) == 2 and there[0] != 0)):
        shown = ", ".join(str(v) for v in there[:8].tolist())
        raise source.error(
            f"holds the numbers {shown}",
            "say what they are: mask_values=person (all but 0), mask_values=people (a number each) "
            "or mask_values=parts (Graphonomy's 20 classes)",
            place,
        )
    return FrameMasks((values != 0,))


def _people(source: Source, values: Shaped[np.ndarray, "h w"], place: str) -> FrameMasks:
    there = np.unique(values).tolist()
    labels = [v for v in there if v not in (0, UNKNOWN)]
    if len(labels) > MAX_PEOPLE:
        raise source.error(f"{len(labels)} different numbers", "number people from 1", place)
    people = tuple(values == v for v in labels)
    return FrameMasks(people, (values == UNKNOWN) if UNKNOWN in there else None)


def _parts(source: Source, labels: Int[np.ndarray, "h w"], place: str) -> FrameMasks:
    unknown = labels == UNKNOWN
    wrong = (labels >= N_CLASSES) & ~unknown | (labels < 0)
    if wrong.any():
        raise source.error(
            f"{int(labels[wrong][0])} is none of the {N_CLASSES} classes",
            "write Graphonomy's classes, or mask_values=person for the person alone",
            place,
        )
    labels = np.where(unknown, 0, labels)
    return FrameMasks((labels > 0,), unknown if unknown.any() else None, labels)

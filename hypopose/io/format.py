"""What a format is: a name, a cheap test of a file, and a reader. One file per format, one table.

A new format is one module with a :class:`Format` and one line in :mod:`hypopose.io.readers`.
Readers report what the file says as :class:`~hypopose.io.detections.Detections`; cleaning, tracking
and assembling are the front door's work and the same for every format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hypopose.io.detections import Detections
from hypopose.io.source import Source
from hypopose.types import Skeleton


@dataclass(frozen=True)
class ReadOptions:
    """What a reader may be told.

    Args:
        skeleton: The skeleton the caller named; it overrides every guess.
        joint_names: Joint of that skeleton to the file's name for it, where they differ.
        image_size: Width and height the caller gave, for formats that write fractions of them.
    """

    skeleton: Skeleton | None = None
    joint_names: Mapping[str, str] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Format:
    """One kind of keypoint file.

    Args:
        name: What ``format=`` calls it.
        description: One line for users.
        sniff: Cheap and certain: is this source in the format? Never raises but FormatError.
        read: Reads all detections.
        exact: The values are ours and need no cleaning.
        folders: Are the files of this folder, which the format fits, one recording? None if a
            recording in this format is one file.
    """

    name: str
    description: str
    sniff: Callable[[Source], bool]
    read: Callable[[Source, ReadOptions], Detections]
    exact: bool = False
    folders: Callable[[Source], bool] | None = None

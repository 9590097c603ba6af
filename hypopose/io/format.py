"""What a format is: a name, a cheap test of a file, and a reader. One file per format, one table.

A new format is one module with a :class:`Format` and one line in :mod:`hypopose.io.readers`.
Readers report what the file says as :class:`~hypopose.io.detections.Detections`; cleaning, tracking
and assembling are the same for every format (:mod:`hypopose.io.recording`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from hypopose.io.detections import Detections
from hypopose.io.source import Source
from hypopose.types import Skeleton


class Reading(TypedDict, total=False):
    """How an unusual file is to be read.

    Args:
        y_up: y grows upwards, as Apple Vision writes it.
        fractions: Coordinates are fractions of the image, whose size is known.
        resample: Frames per second to bring irregular time stamps to.
        ignore_identities: People are tracked by position, whatever identities the file gives.
        keep_identities: Identities are kept even if they cannot be one person each.
        min_joints: Body joints a frame must have; people who never have as many are left out.
    """

    y_up: bool
    fractions: bool
    resample: float | int | None
    ignore_identities: bool
    keep_identities: bool
    min_joints: int


@dataclass(frozen=True)
class ReadOptions:
    """Options of a reader.

    Args:
        skeleton: The skeleton the caller named; it overrides every guess.
        joint_names: Joint of that skeleton to the file's name for it, where they differ.
        image_size: Width and height the caller gave, for formats that write fractions of them.
        resample: Frames per second to bring irregular time stamps to, or None to refuse them.
    """

    skeleton: Skeleton | None = None
    joint_names: Mapping[str, str] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    resample: float | int | None = None


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
        one_image: Does this file, which the format fits, hold a single image? None if files never
            do. Folders of such files are clips, see :mod:`hypopose.io.readers.frame_files`.
        loose: The test is no certain one: it is asked only where no other format fits.
    """

    name: str
    description: str
    sniff: Callable[[Source], bool]
    read: Callable[[Source, ReadOptions], Detections]
    exact: bool = False
    folders: Callable[[Source], bool] | None = None
    one_image: Callable[[Source], bool] | None = None
    loose: bool = False

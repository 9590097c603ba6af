"""What a format of camera files is: a name, a cheap test of a file, and a reader of tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypopose.io.source import Source
from hypopose.types import Camera

Tables = Mapping[str, Camera | Mapping[str, Any]]
"""Cameras by name: ready, or as a table for
:func:`~hypopose.io.camera_files.calibration_tables.camera_from_table`."""


@dataclass(frozen=True)
class CameraFormat:
    """One kind of camera file.

    Args:
        name: For messages and documentation.
        suits: Cheap: is this source in the format? Never raises but FormatError.
        read: Its cameras.
        unit: The unit of its translations, where the format has one.
    """

    name: str
    suits: Callable[[Source], bool]
    read: Callable[[Source], Tables]
    unit: str | None = None

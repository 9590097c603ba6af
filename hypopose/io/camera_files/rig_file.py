"""Rigs on disk: cameras by name, and how far each one's recording is behind the first one's.

A rig is JSON that every reader of camera files takes (``--camera rig.json:front``):

.. code-block:: json

    {"hypopose": "rig", "schema": 1,
     "cameras": {"front": {"focal": [1500, 1500], "...": "as a camera file"}},
     "clocks": {"front": {"offset": 0.0, "rate": 1.0, "source": "front.csv", "n_frames": 300}},
     "scale": {"source": "the stature of 1.78 m", "relative_std": 0.03},
     "rms_px": {"front": 4.1}}

Frame f of the first camera's recording shows the moment of frame ``rate * f + offset`` of another.
Other tools' calibrations are read too; they hold no clocks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypopose.errors import FormatError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.io.camera_files.camera_json import camera_to_dict
from hypopose.io.camera_files.loading import load_cameras
from hypopose.io.source import Source
from hypopose.types import Camera

MARK, SCHEMA = "rig", 1


@dataclass(frozen=True)
class RigClock:
    """How a recording's frames belong to those of the first camera.

    Args:
        offset: Frame that shows frame 0 of the first camera's recording; need not be whole.
        rate: Frames per frame of the first camera's recording.
        source: File that this was found from; empty if it holds for any.
        n_frames: How many frames that has; 0 if unknown.
    """

    offset: float = 0.0
    rate: float = 1.0
    source: str = ""
    n_frames: int = 0

    def belongs_to(self, path: Path, n_frames: int) -> bool:
        """Whether this was found from a recording of that name and length."""
        return not self.source or (self.source == path.name and self.n_frames == n_frames)


@dataclass(frozen=True, eq=False)
class CameraRig:
    """Cameras in one world.

    Args:
        cameras: By name.
        clocks: Of their recordings, by name, as far as known.
        scale: Where the size comes from: ``source`` and ``relative_std``; empty if unknown.
        rms_px: Residuals by name; empty if unknown.
    """

    cameras: Mapping[str, Camera]
    clocks: Mapping[str, RigClock] = field(default_factory=dict)
    scale: Mapping[str, Any] = field(default_factory=dict)
    rms_px: Mapping[str, float] = field(default_factory=dict)

    @property
    def scale_std(self) -> float:
        """Standard deviation of the size over it; 0 if nothing is said."""
        value = self.scale.get("relative_std", 0.0)
        good = isinstance(value, int | float) and math.isfinite(value) and 0 <= value < 1
        return float(value) if good else 0.0


def save_rig(path: str | Path, rig: CameraRig) -> None:
    """Write a rig as JSON.

    Args:
        path: Where to; written whole or not at all.
        rig: Cameras without batch axes.

    Raises:
        ShapeError: If a camera has batch axes.
    """
    values = {
        "hypopose": MARK,
        "schema": SCHEMA,
        "cameras": {name: camera_to_dict(camera) for name, camera in rig.cameras.items()},
        "clocks": {
            name: {"offset": c.offset, "rate": c.rate, "source": c.source, "n_frames": c.n_frames}
            for name, c in rig.clocks.items()
        },
        "scale": dict(rig.scale),
        "rms_px": dict(rig.rms_px),
    }
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def load_rig(
    path: str | Path,
    image_size: tuple[int, int] | None = None,
    *,
    unit: str | float | None = None,
) -> CameraRig:
    """Read a rig, or all cameras of another tool's calibration.

    Args:
        path: A file of :func:`save_rig`, or any calibration.
        image_size: See :func:`hypopose.io.load_cameras`.
        unit: See :func:`hypopose.io.load_cameras`.

    Returns:
        The rig.

    Raises:
        FormatError: If it is no calibration, or its clocks are impossible.
        OptionError: If a camera is not placed in a world.
    """
    source = Source(path)
    cameras = load_cameras(path, image_size, unit=unit)
    apart = [n for n, c in cameras.items() if c.rotation is None or c.translation is None]
    if apart and len(cameras) > 1:
        raise OptionError(
            f"{path}: {apart[0]} has no rotation and translation, so the views cannot be combined; "
            "give a calibration with extrinsics, or find one with hypopose cameras."
        )
    values = source.json if source.path.suffix.lower() == ".json" else {}
    if not isinstance(values, dict) or values.get("hypopose") != MARK:
        return CameraRig(cameras)
    clocks = _objects(source, values, "clocks")
    return CameraRig(
        cameras,
        {name: _clock(source, name, clock) for name, clock in clocks.items()},
        _object(source, values, "scale"),
        _object(source, values, "rms_px"),
    )


def _object(source: Source, values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, dict):
        raise source.error(f"{key} is not an object", "write the rig again with hypopose cameras")
    return found


def _objects(source: Source, values: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    found = _object(source, values, key)
    if not all(isinstance(value, dict) for value in found.values()):
        raise source.error(f"{key} hold no objects", "write the rig again with hypopose cameras")
    return found


def _clock(source: Source, name: str, values: Mapping[str, Any]) -> RigClock:
    offset, rate = values.get("offset", 0.0), values.get("rate", 1.0)
    numbers = all(type(x) in (int, float) and math.isfinite(x) for x in (offset, rate))
    if not numbers or not (abs(offset) < 1e7 and 1e-3 < rate < 1e3):
        raise _bad_clock(source, name)
    origin, length = values.get("source", ""), values.get("n_frames", 0)
    if not isinstance(origin, str) or type(length) is not int or length < 0:
        raise _bad_clock(source, name)
    return RigClock(float(offset), float(rate), origin, length)


def _bad_clock(source: Source, name: str) -> FormatError:
    return source.error(
        f"the clock of {name[:40]!r} needs offset and rate as numbers, source as text and n_frames "
        "as a whole number",
        "write the rig again with hypopose cameras",
    )

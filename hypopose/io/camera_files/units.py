"""Units of camera files: meters, or the unit that gives cameras plausible distances.

Few calibration files name their unit: Pose2Sim and EasyMocap write meters, OpenCap, Qualisys and
Vicon millimeters, anipose and Caliscope whatever the board was measured in. A wrong unit puts
people kilometers away, so the distances are looked at: from the cameras to the place they look at
together, or of a single camera to the origin of its world.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.camera_files.refusals import camera_error, camera_note
from hypopose.types import Camera

METERS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Units by name that are inferred, in meters."""

INCH = 0.0254
"""Meters; where inches are plausible too, no other unit is inferred."""

_WORDS = {"m": "meters", "cm": "centimeters", "mm": "millimeters"}

BELIEVED = (0.2, 60.0)
"""Meters within which the unit that a format documents is accepted."""

TYPICAL = (0.4, 15.0)
"""Meters within which another unit is inferred."""


def parse_unit(unit: str | float) -> float:
    """Meters per unit, from ``"m"``, ``"cm"``, ``"mm"``, ``"in"`` or a number of meters.

    Raises:
        OptionError: If it is none of these.

    Example:
        >>> parse_unit("mm"), parse_unit("0.025")
        (0.001, 0.025)
    """
    if isinstance(unit, str) and unit in METERS:
        return METERS[unit]
    if unit == "in":
        return INCH
    try:
        meters = float(unit)
    except ValueError:
        meters = math.nan
    if not 1e-6 <= meters <= 1e4:
        raise OptionError(
            f"A unit is m, cm, mm, in or a number of meters, such as 0.025 for a board of 25 mm "
            f"squares; got {unit!r}."
        )
    return meters


def in_meters(
    cameras: Mapping[str, Camera],
    file: str,
    unit: str | float | None = None,
    documented: str | None = None,
) -> dict[str, Camera]:
    """The cameras with translations in meters.

    Args:
        cameras: As the file has them.
        file: Its name, for messages.
        unit: The file's unit as the caller names it, or None.
        documented: The unit that the format always has; None if it has none.

    Returns:
        The cameras, scaled; a warning says where a unit was inferred.

    Raises:
        FormatError: If no unit or several put the cameras where cameras stand.
        OptionError: If the unit named is none.
    """
    if unit is not None:
        return _scaled(cameras, parse_unit(unit))
    distance = viewing_distance(list(cameras.values()))
    usual = documented or "m"
    if distance is None or BELIEVED[0] <= distance * METERS[usual] <= BELIEVED[1]:
        return _scaled(cameras, METERS[usual])
    fitting = [u for u, m in METERS.items() if TYPICAL[0] <= distance * m <= TYPICAL[1]]
    measured = f"the cameras stand {distance:.4g} units from what they look at"
    inches = TYPICAL[0] <= distance * INCH <= TYPICAL[1]
    told = len(fitting) == 1 and not (inches and fitting != ["m"])
    if not told or (usual == "m" and distance < 10 * BELIEVED[1]):
        raise camera_error(
            file,
            "translation",
            f"{measured}, which is not plausible in {_WORDS[usual]}"
            + ("" if fitting or inches else ", nor in another unit"),
            "name the unit: unit=mm (or cm, m, in, or meters per unit such as 0.025)",
        )
    camera_note(
        file,
        f"{measured}: the unit is taken as {_WORDS[fitting[0]]}; unit= says otherwise",
    )
    return _scaled(cameras, METERS[fitting[0]])


def viewing_distance(cameras: list[Camera]) -> float | None:
    """Median distance of placed cameras to what they look at, in the file's unit.

    Args:
        cameras: Of one world.

    Returns:
        The distance to the point nearest to all optical axes; of cameras side by side their
        greatest distance from each other or from the origin; of a single camera that to the
        origin. None if no camera is placed anywhere.
    """
    placed = [c for c in cameras if c.translation is not None and c.translation.dim() == 1]
    if not placed:
        return None
    centers, axes = map(np.stack, zip(*map(_center_and_axis, placed), strict=True))
    together = meeting_point(centers, axes)
    if together is not None:
        return float(np.median(np.linalg.norm(centers - together, axis=-1)))
    spread = np.linalg.norm(centers[:, None] - centers[None], axis=-1).max()
    farthest = max(float(spread), float(np.linalg.norm(centers, axis=-1).max()))
    return farthest if farthest > 0 else None


def _center_and_axis(camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert camera.translation is not None
    t = camera.translation.double().numpy()
    R = np.eye(3) if camera.rotation is None else camera.rotation.double().reshape(3, 3).numpy()
    return -R.T @ t, R[2]


def meeting_point(
    centers: NDArray[np.float64], axes: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The point nearest to all optical axes, if there is one that every camera has before it.

    Args:
        centers: ``(n, 3)``.
        axes: ``(n, 3)`` of length 1.
    """
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    total = across.sum(0)
    if len(centers) < 2 or np.linalg.eigvalsh(total)[0] < 1e-3 * len(centers):
        return None
    point = np.linalg.solve(total, (across @ centers[:, :, None]).sum(0)[:, 0])
    ahead = ((point - centers) * axes).sum(-1)
    return point if (ahead > 0).all() else None


def _scaled(cameras: Mapping[str, Camera], meters: float) -> dict[str, Camera]:
    if meters == 1.0:
        return dict(cameras)
    return {
        name: camera
        if camera.translation is None
        else replace(camera, translation=camera.translation * meters)
        for name, camera in cameras.items()
    }

"""Read the cameras of a calibration file, whatever wrote it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import torch

from hypopose.errors import OptionError
from hypopose.io.camera_files import (
    agisoft,
    calibio,
    colmap,
    easymocap,
    kalibr,
    matrix_text,
    numpy_archive,
    opencap,
    photo,
    plain_text,
    qualisys,
    vicon,
)
from hypopose.io.camera_files.calibration_tables import camera_from_table
from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.refusals import CameraFileWarning
from hypopose.io.camera_files.units import in_meters
from hypopose.io.source import Source
from hypopose.types import Camera

CAMERA_FORMATS: tuple[CameraFormat, ...] = (
    photo.FORMAT,
    plain_text.TOML,
    opencap.FORMAT,
    qualisys.FORMAT,
    vicon.FORMAT,
    agisoft.FORMAT,
    easymocap.FORMAT,
    calibio.FORMAT,
    kalibr.FORMAT,
    plain_text.JSON,
    plain_text.YAML,
    colmap.FORMAT,
    matrix_text.FORMAT,
    numpy_archive.FORMAT,
)
"""Formats of camera files; the first that suits a file reads it. A new one is a module and a
line."""


def load_camera(
    path: str | Path,
    name: str | None = None,
    image_size: tuple[int, int] | None = None,
    *,
    unit: str | float | None = None,
) -> Camera:
    """Read one camera of a file.

    Args:
        path: A calibration file, or a photo; see the module.
        name: Which camera, where the file holds several.
        image_size: The size keypoints were found in. Taken where the file names none; a camera of
            another size and the same aspect is resized to it.
        unit: See :func:`load_cameras`.

    Returns:
        The camera.

    Raises:
        FormatError: If a value is absent or impossible; the message names it.
        OptionError: If the name is missing or unknown, or the aspects differ.
    """
    source = Source(path)
    found, format = _found(source)
    if name is None and len(found) > 1:
        raise OptionError(
            f"{path} holds {len(found)} cameras: {_listed(found)}. Say which, for example "
            f"{path}:{next(iter(found))}."
        )
    if name is not None and name not in found:
        raise OptionError(f"{path} has no camera {name!r}; it has {_listed(found)}.")
    chosen = next(iter(found)) if name is None else name
    cameras = {chosen: _camera(found, chosen, source, image_size)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CameraFileWarning)  # their warnings concern other cameras
        cameras |= {
            other: _camera(found, other, source, image_size) for other in found if other != chosen
        }
    camera = in_meters(cameras, str(source.path), unit, format.unit)[chosen]
    return camera if image_size is None else resized(camera, image_size)


def load_cameras(
    path: str | Path,
    image_size: tuple[int, int] | None = None,
    *,
    unit: str | float | None = None,
) -> dict[str, Camera]:
    """Read every camera of a file.

    Args:
        path: A calibration file, or a photo; see :mod:`hypopose.io.camera_files`.
        image_size: The size keypoints were found in. Taken for cameras whose size the file does
            not name, and to tell whether pictures were turned.
        unit: The unit of the file's translations: ``"m"``, ``"cm"``, ``"mm"`` or meters per unit.
            If None the format's own; a unit that puts cameras where none stand is replaced, with a
            warning, if one other is plausible, and else refused.

    Returns:
        Name -> camera, in meters; a file of one nameless camera gives it the file's name.

    Raises:
        FormatError: If the file is none of the kinds, holds no camera, or an impossible one.
        OptionError: If the unit named is none.
    """
    source = Source(path)
    found, format = _found(source)
    cameras = {name: _camera(found, name, source, image_size) for name in found}
    return in_meters(cameras, str(source.path), unit, format.unit)


def _found(source: Source) -> tuple[Tables, CameraFormat]:
    """The tables of a file, and the format that read them."""
    format = next((f for f in CAMERA_FORMATS if f.suits(source)), None)
    found = {} if format is None else format.read(source)
    if not found or format is None:
        raise source.error(
            "a folder, not a camera file" if source.is_folder else "holds no camera",
            "give one of the formats of docs/reference/cameras.md, such as JSON with matrix "
            "(3 x 3), distortions and size",
        )
    return found, format


def _camera(found: Tables, name: str, source: Source, image_size: tuple[int, int] | None) -> Camera:
    value = found[name]
    if isinstance(value, Camera):
        return value
    place = str(source.path) if len(found) == 1 else f"{source.path}: {name[:40]}"
    return camera_from_table(value, place, image_size)


def split_camera_name(text: str) -> tuple[Path, str | None]:
    """``FILE[:NAME]`` of the command line; a file that is there keeps its colons.

    Example:
        >>> split_camera_name("calibration.toml:cam_02")
        (PosixPath('calibration.toml'), 'cam_02')
    """
    path, colon, name = text.rpartition(":")
    if Path(text).exists() or not colon or not Path(path).suffix:
        return Path(text), None
    return Path(path), name


def resized(camera: Camera, image_size: tuple[int, int]) -> Camera:
    """The camera of the same recording in another resolution.

    Args:
        camera: As calibrated.
        image_size: Width and height of the images that keypoints were found in.

    Returns:
        Focal length and center scaled; the lens stays.

    Raises:
        OptionError: If the aspects differ: then something was cropped, and where is not known.

    Example:
        >>> resized(Camera.from_fov((3840, 2160)), (1920, 1080)).center.tolist()
        [960.0, 540.0]
    """
    (w, h), (new_w, new_h) = camera.image_size, image_size
    if (w, h) == (new_w, new_h):
        return camera
    if abs(w * new_h - h * new_w) > 0.01 * w * new_h:
        turned = abs(w * new_w - h * new_h) <= 0.01 * w * new_w
        cure = (
            "A picture was turned: write rotation_count 1 beside matrix and size if clockwise, 3 "
            "if counterclockwise."
            if turned
            else "Crop the calibration the way the video was cropped."
        )
        raise OptionError(
            f"The camera was calibrated at {w} x {h}, the keypoints come from {new_w} x {new_h}: "
            f"another aspect. {cure}"
        )
    scale = torch.tensor([new_w / w, new_h / h])
    return replace(
        camera,
        focal=camera.focal * scale,
        center=camera.center * scale,
        image_size=(new_w, new_h),
    )


def _listed(cameras: Tables, most: int = 12) -> str:
    names = ", ".join(list(cameras)[:most])
    return names + (f" and {len(cameras) - most} more" if len(cameras) > most else "")

"""Read the cameras of a calibration file, whatever wrote it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hypopose.errors import OptionError
from hypopose.io.camera_files import colmap, photo
from hypopose.io.camera_files.calibration_tables import camera_from_table, is_camera_table
from hypopose.io.camera_files.camera_json import KEYS, camera_from_dict
from hypopose.io.camera_files.yaml_text import MAX_BYTES, parse_yaml
from hypopose.io.source import Source
from hypopose.types import Camera


def load_camera(
    path: str | Path, name: str | None = None, image_size: tuple[int, int] | None = None
) -> Camera:
    """Read one camera of a file.

    Args:
        path: A calibration file, or a photo; see the module.
        name: Which camera, where the file holds several.
        image_size: The size keypoints were found in. Taken where the file names none; a camera of
            another size and the same aspect is resized to it.

    Returns:
        The camera.

    Raises:
        FormatError: If a value is absent or impossible; the message names it.
        OptionError: If the name is missing or unknown, or the aspects differ.
    """
    cameras = load_cameras(path, image_size)
    if name is None and len(cameras) > 1:
        raise OptionError(
            f"{path} holds {len(cameras)} cameras: {_listed(cameras)}. Say which, for example "
            f"{path}:{next(iter(cameras))}."
        )
    if name is not None and name not in cameras:
        raise OptionError(f"{path} has no camera {name!r}; it has {_listed(cameras)}.")
    camera = cameras[name] if name is not None else next(iter(cameras.values()))
    return camera if image_size is None else resized(camera, image_size)


def load_cameras(path: str | Path, image_size: tuple[int, int] | None = None) -> dict[str, Camera]:
    """Read every camera of a file.

    Args:
        path: A calibration file, or a photo; see the module.
        image_size: Taken for cameras whose size the file does not name.

    Returns:
        Name -> camera; a file of one nameless camera gives it the file's name.

    Raises:
        FormatError: If the file is none of the kinds, or holds no camera.
    """
    source = Source(path)
    if source.path.suffix.lower() in photo.SUFFIXES:
        return {source.path.stem: photo.camera_from_photo(source.path)}
    if source.is_folder:
        raise source.error("a folder, not a camera file", "name the file")
    is_json = source.is_json and source.path.suffix.lower() != ".toml"
    values = source.json if is_json else _parsed(source)
    if isinstance(values, dict) and all(isinstance(v, Camera) for v in values.values()) and values:
        return values
    cameras = _from_tables(values, str(source.path), source.path.stem, image_size)
    if not cameras:
        raise source.error(
            "holds no camera",
            "give JSON with focal, center and image_size, OpenCV YAML with camera_matrix, TOML of "
            "Pose2Sim or anipose, COLMAP's cameras.txt, or a photo",
        )
    return cameras


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
        raise OptionError(
            f"The camera was calibrated at {w} x {h}, the keypoints come from {new_w} x {new_h}: "
            "another aspect. Crop the calibration the way the video was cropped."
        )
    scale = torch.tensor([new_w / w, new_h / h])
    return replace(
        camera,
        focal=camera.focal * scale,
        center=camera.center * scale,
        image_size=(new_w, new_h),
    )


def _parsed(source: Source) -> Any:
    """What a text file says; COLMAP's lines become cameras at once."""
    file, suffix = str(source.path), source.path.suffix.lower()
    if source.path.stat().st_size > MAX_BYTES:
        raise source.error("larger than a mebibyte", "this is no camera file")
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise source.error("not text", "give a calibration file", f"byte {error.start}") from None
    if suffix == ".toml":
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise source.error(f"not valid TOML ({str(error)[:80]})", "write it again") from None
    if colmap.is_cameras_txt(text):
        return colmap.cameras_from_txt(text, file)
    if suffix in (".yaml", ".yml") or text.startswith("%YAML"):
        return parse_yaml(text, file)
    return None


def _from_tables(
    values: Any, file: str, stem: str, size: tuple[int, int] | None
) -> dict[str, Camera]:
    """Cameras of parsed text: one at the top, or one in each table."""
    if not isinstance(values, Mapping):
        return {}
    if is_camera_table(values):
        return {str(values.get("camera_name", stem)): camera_from_table(values, file, size)}
    if "focal" in values or any(key in values for key in KEYS):
        return {stem: camera_from_dict(dict(values), file)}
    cameras: dict[str, Camera] = {}
    for key, table in values.items():
        place = f"{file}: {str(key)[:40]}"
        if is_camera_table(table):
            name = str(table.get("name", key))
            cameras[key if name in cameras else name] = camera_from_table(table, place, size)
        elif isinstance(table, Mapping) and "focal" in table:
            cameras[str(key)] = camera_from_dict(dict(table), place)
    return cameras


def _listed(cameras: Mapping[str, Camera], most: int = 12) -> str:
    names = ", ".join(list(cameras)[:most])
    return names + (f" and {len(cameras) - most} more" if len(cameras) > most else "")

"""Cameras on disk: our JSON, and the calibration files of other tools.

| file | tools |
| --- | --- |
| JSON with ``focal``, ``center``, ``image_size`` | HypoPose |
| JSON with ``camera_matrix``, ... or one such object a camera | scripts around OpenCV |
| YAML with ``camera_matrix`` | OpenCV's FileStorage, ROS |
| TOML with a table a camera | Pose2Sim, anipose |
| ``cameras.txt`` | COLMAP |
| a photo | its EXIF focal length |

Our JSON: pixels and meters; ``x_cam = R x_world + t``. ``focal`` is one number or two,
``distortion`` is ``[k1, k2, p1, p2, k3]`` and comes with its model (``opencv``, ``h36m`` or
``vp3d``). A camera that moves has one rotation and translation a frame.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hypopose.errors import FormatError, HypoPoseError, OptionError, ShapeError
from hypopose.io import colmap, photo
from hypopose.io.atomic import write_atomically
from hypopose.io.camera_tables import camera_from_table, check_rotation, is_camera_table
from hypopose.io.small_yaml import MAX_BYTES, parse_small_yaml
from hypopose.io.source import Source
from hypopose.types import Camera

KEYS = (
    "focal",
    "center",
    "image_size",
    "distortion",
    "distortion_model",
    "rotation",
    "translation",
    "assumed",
)
_MODELS = ("none", "opencv", "h36m", "vp3d")


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
        return parse_small_yaml(text, file)
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


def save_camera(path: str | Path, camera: Camera) -> None:
    """Write a camera file.

    Args:
        path: Where to; written whole or not at all.
        camera: One camera, without batch axes.

    Raises:
        ShapeError: If the camera has batch axes.
    """
    text = json.dumps(camera_to_dict(camera), indent=2) + "\n"
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def camera_to_dict(camera: Camera) -> dict[str, Any]:
    """The camera as plain numbers, keys as in the file.

    Raises:
        ShapeError: If the camera has batch axes.

    Example:
        >>> camera_to_dict(Camera.from_fov((640, 480)))["image_size"]
        [640, 480]
    """
    if camera.focal.dim() != 1:
        raise ShapeError("A camera file holds one camera; write one file per camera.")
    optional = {
        name: None if value is None else value.tolist()
        for name, value in (
            ("distortion", camera.distortion),
            ("rotation", camera.rotation),
            ("translation", camera.translation),
        )
    }
    return {
        "focal": camera.focal.tolist(),
        "center": camera.center.tolist(),
        "image_size": list(camera.image_size),
        "distortion": optional["distortion"],
        "distortion_model": camera.distortion_model,
        "rotation": optional["rotation"],
        "translation": optional["translation"],
        "assumed": camera.assumed,
    }


def camera_from_dict(values: Any, file: str) -> Camera:
    """A camera from plain numbers, checked.

    Args:
        values: An object with the keys of the file.
        file: Its name, for messages.

    Raises:
        FormatError: If a value is absent or impossible.
    """
    if not isinstance(values, dict):
        raise _error(file, "camera", "expected an object", "with focal, center and image_size")
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise _error(file, str(unknown[0])[:40], "unknown key", f"use {', '.join(KEYS)}")
    focal = values.get("focal")
    focal = [focal, focal] if isinstance(focal, (int, float)) else focal
    size = _numbers(file, "image_size", values.get("image_size"), (2,))
    if any(n != int(n) or not 0 < n < 100_000 for n in size):
        raise _error(file, "image_size", "expected width and height in pixels", "give both")
    model = values.get("distortion_model", "none")
    if model not in _MODELS:
        raise _error(file, "distortion_model", "unknown", f"use {', '.join(_MODELS)}")
    optional = {
        "distortion": _optional(file, "distortion", values, (5,)),
        "rotation": _per_frame(file, "rotation", values, (3, 3)),
        "translation": _per_frame(file, "translation", values, (3,)),
    }
    _check_motion(file, optional["rotation"], optional["translation"])
    try:
        return Camera(
            focal=_tensor(file, "focal", focal, (2,)),
            center=_tensor(file, "center", values.get("center"), (2,)),
            image_size=(int(size[0]), int(size[1])),
            distortion_model=model,
            assumed=values.get("assumed") is True,
            **optional,
        )
    except FormatError:
        raise
    except HypoPoseError as error:
        raise FormatError(f"{file}: {error}") from None


def _optional(
    file: str, key: str, values: dict[str, Any], shape: tuple[int, ...]
) -> torch.Tensor | None:
    return None if values.get(key) is None else _tensor(file, key, values[key], shape)


def _per_frame(
    file: str, key: str, values: dict[str, Any], shape: tuple[int, ...]
) -> torch.Tensor | None:
    """One value, or a list of one a frame."""
    value: Any = values.get(key)
    if _depth(value) <= len(shape):
        return _optional(file, key, values, shape)
    return torch.stack([_tensor(file, key, frame, shape) for frame in value])


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list) and value and depth < 4:
        value, depth = value[0], depth + 1
    return depth


def _check_motion(
    file: str, rotation: torch.Tensor | None, translation: torch.Tensor | None
) -> None:
    if rotation is not None:
        for frame in rotation.double().reshape(-1, 3, 3).numpy():
            check_rotation(np.asarray(frame), file)
    counts = {
        len(x) for x, n in ((rotation, 3), (translation, 2)) if x is not None and x.dim() == n
    }
    if len(counts) > 1:
        raise _error(file, "translation", "another number of frames than rotation", "give one each")


def _tensor(file: str, key: str, value: Any, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(_numbers(file, key, value, shape), dtype=torch.float32).reshape(shape)


def _numbers(file: str, key: str, value: Any, shape: tuple[int, ...]) -> list[float]:
    rows = value if len(shape) == 2 else [value]
    wanted = (shape[0] if len(shape) == 2 else 1, shape[-1])
    ok = (
        isinstance(rows, list)
        and len(rows) == wanted[0]
        and all(isinstance(row, list) and len(row) == wanted[1] for row in rows)
    )
    flat = [x for row in rows for x in row] if ok else []
    if not ok or not all(type(x) in (int, float) and abs(x) < 1e9 for x in flat):
        wording = " x ".join(map(str, shape))
        raise _error(file, key, f"expected {wording} numbers", "write them as JSON lists")
    return [float(x) for x in flat]


def _error(file: str, key: str, problem: str, cure: str) -> FormatError:
    return FormatError(" ".join(f"{file}: {key}: {problem}; {cure}.".split()))

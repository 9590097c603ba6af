"""HypoPose's camera JSON: pixels and meters, ``x_cam = R x_world + t``.

``focal`` is one number or two, ``distortion`` is ``[k1, k2, p1, p2, k3]`` and comes with its model
(``opencv``, ``h36m`` or ``vp3d``). A camera that moves has one rotation and translation a frame.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hypopose.errors import FormatError, HypoPoseError, ShapeError
from hypopose.io.atomic import write_atomically
from hypopose.io.camera_files.calibration_tables import check_rotation, checked_size
from hypopose.io.camera_files.refusals import camera_error
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
_MODELS = ("none", "opencv", "h36m", "vp3d", "fisheye")


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
        raise camera_error(
            file, "camera", "expected an object", "with focal, center and image_size"
        )
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise camera_error(file, str(unknown[0])[:40], "unknown key", f"use {', '.join(KEYS)}")
    focal = values.get("focal")
    focal = [focal, focal] if isinstance(focal, (int, float)) else focal
    size = _numbers(file, "image_size", values.get("image_size"), (2,))
    width, height = checked_size(size, file, "image_size")
    model = values.get("distortion_model", "none")
    if model not in _MODELS:
        raise camera_error(file, "distortion_model", "unknown", f"use {', '.join(_MODELS)}")
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
            image_size=(width, height),
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
        raise camera_error(
            file, "translation", "another number of frames than rotation", "give one each"
        )


def _tensor(file: str, key: str, value: Any, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(_numbers(file, key, value, shape), dtype=torch.float32).reshape(shape)


def _flat(value: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """What nested lists of this shape hold; None if they have another shape."""
    if not shape:
        return [value]
    if not isinstance(value, list) or len(value) != shape[0]:
        return None
    parts = [_flat(part, shape[1:]) for part in value]
    return None if None in parts else [x for part in parts for x in part or ()]


def _numbers(file: str, key: str, value: Any, shape: tuple[int, ...]) -> list[float]:
    flat = _flat(value, shape)
    if flat is None or not all(type(x) in (int, float) and abs(x) < 1e9 for x in flat):
        wording = " x ".join(map(str, shape))
        raise camera_error(file, key, f"expected {wording} numbers", "write them as JSON lists")
    return [float(x) for x in flat]

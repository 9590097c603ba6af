"""Cameras as JSON: focal, center, image_size, distortion, distortion_model, rotation, translation.

Pixels and metres; ``x_cam = R x_world + t``. ``focal`` is one number or two, ``distortion`` is
``[k1, k2, p1, p2, k3]`` and comes with its model (``opencv``, ``h36m`` or ``vp3d``).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from hypopose.errors import FormatError, HypoPoseError, ShapeError
from hypopose.io.atomic import write_atomically
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


def load_camera(path: str | Path) -> Camera:
    """Read a camera file.

    Args:
        path: A JSON file as :func:`save_camera` writes it.

    Returns:
        The camera.

    Raises:
        FormatError: If a value is absent or impossible; the message names it.
    """
    source = Source(path)
    if not source.is_json:
        raise source.error("not a JSON file", "write the camera as JSON with focal, center, ...")
    return camera_from_dict(source.json, str(source.path))


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
        key: None if values.get(key) is None else _tensor(file, key, values[key], shape)
        for key, shape in (("distortion", (5,)), ("rotation", (3, 3)), ("translation", (3,)))
    }
    _check_rotation(file, optional["rotation"])
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


def _check_rotation(file: str, rotation: torch.Tensor | None) -> None:
    if rotation is None:
        return
    r = rotation.double()
    off = (r @ r.T - torch.eye(3, dtype=torch.float64)).abs().max().item()
    if not off < 1e-3 or not math.isclose(float(torch.linalg.det(r)), 1.0, abs_tol=1e-2):
        raise _error(file, "rotation", "not a rotation matrix", "give R with R R^T = I, det R = 1")


def _error(file: str, key: str, problem: str, cure: str) -> FormatError:
    return FormatError(" ".join(f"{file}: {key}: {problem}; {cure}.".split()))

"""COLMAP's text models: ``cameras.txt`` for lenses, ``images.txt`` for a camera that moves.

COLMAP's world has no unit and no up; ``images.txt`` is given in whatever unit it was solved in.
"""

from __future__ import annotations

import re
from pathlib import PurePath

import numpy as np
import torch
from numpy.typing import NDArray

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.geometry import check_picture
from hypopose.io.camera_files.lens import fisheye_coefficients, five_coefficients
from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.source import Source
from hypopose.types import Camera, DistortionModel

MODELS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k1"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
"""Models that OpenCV's lenses describe, with their parameters in order."""

MAX_BYTES = 1 << 20
"""A larger cameras.txt is refused."""

_LENS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_FISHEYE = ("k1", "k2", "k3", "k4")


def is_cameras_txt(text: str) -> bool:
    """Whether the first line that says something looks like ``1 PINHOLE 640 480 ...``."""
    first = next(iter(_rows(text)), (0, []))[1]
    return len(first) >= 5 and first[0].isdigit() and re.fullmatch(r"[A-Z_]+", first[1]) is not None


def cameras_from_txt(text: str, file: str) -> dict[str, Camera]:
    """Every camera of a ``cameras.txt``, named by its id.

    Args:
        text: The file's text.
        file: Its name, for messages.

    Returns:
        Id -> camera.

    Raises:
        FormatError: If a line is not a camera, or its model is another lens than OpenCV's.

    Example:
        >>> cameras_from_txt("1 SIMPLE_PINHOLE 640 480 500 320 240", "cameras.txt")["1"].focal
        tensor([500., 500.])
    """
    cameras = {}
    for number, words in _rows(text):
        place = f"{file}: line {number}"
        if len(words) < 5 or words[1] not in MODELS:
            raise camera_error(place, "model", f"{' '.join(words[:2])[:60]!r} is not supported",
                        f"use one of {', '.join(MODELS)}")  # fmt: skip
        names = MODELS[words[1]]
        numbers = _floats(words[2:], place)
        if len(numbers) != 2 + len(names):
            raise camera_error(place, words[1], f"expected size and {len(names)} parameters",
                        "export the model again")  # fmt: skip
        values = dict(zip(names, numbers[2:], strict=True))
        if words[1].endswith("FISHEYE"):
            values["fisheye"] = 1.0
        cameras[words[0]] = _camera(numbers[:2], values, place)
    return cameras


def poses_from_images_txt(
    text: str, file: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """World-to-camera poses of an ``images.txt``, in the order of the frame numbers.

    Args:
        text: Two lines an image; the second, of image points, may be empty.
        file: Its name, for messages.

    Returns:
        Quaternions ``(n, 4)`` scalar first, translations ``(n, 3)``, and the last number in each
        image's name.

    Raises:
        FormatError: If a line is not an image.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    while lines and not lines[0].strip():
        lines.pop(0)
    rows = []
    for number, line in enumerate(lines[::2]):
        words = line.split()
        if words:
            place = f"{file}: image {number + 1}"
            rows.append((_frame_number(words, place), _floats(words[1:8], place)))
    rows.sort(key=lambda row: row[0])
    table = np.array([row[1] for row in rows]).reshape(-1, 7)
    return table[:, :4], table[:, 4:], [row[0] for row in rows]


def _frame_number(words: list[str], place: str) -> int:
    """The last number in an image's name."""
    digits = re.findall(r"\d+", PurePath(words[-1]).stem)
    if len(words) < 10 or not digits or len(digits[-1]) > 12:
        raise camera_error(
            place,
            "line",
            "expected ID QW QX QY QZ TX TY TZ CAMERA NAME with a frame number in the name",
            "export the model again",
        )
    return int(digits[-1])


def _camera(size: list[float], values: dict[str, float], place: str) -> Camera:
    fx, fy = values.get("fx", values.get("f", 0.0)), values.get("fy", values.get("f", 0.0))
    if not (fx > 0 and fy > 0 and all(0 < n < 100_000 and n == int(n) for n in size)):
        raise camera_error(
            place, "camera", "focal lengths and size must be positive", "export it again"
        )
    K = np.array([[fx, 0.0, values["cx"]], [0.0, fy, values["cy"]], [0.0, 0.0, 1.0]])
    width, height = int(size[0]), int(size[1])
    check_picture(K, (width, height), place)
    fisheye = "fisheye" in values
    coefficients = np.array([values.get(name, 0.0) for name in (_FISHEYE if fisheye else _LENS)])
    read_lens = fisheye_coefficients if fisheye else five_coefficients
    lens = read_lens(coefficients, K, (width, height), place)
    model: DistortionModel = "fisheye" if fisheye else "opencv"
    return Camera(
        focal=torch.tensor([fx, fy]),
        center=torch.tensor([values["cx"], values["cy"]]),
        image_size=(width, height),
        distortion=None if lens is None else torch.from_numpy(lens).float(),
        distortion_model="none" if lens is None else model,
    )


def _rows(text: str) -> list[tuple[int, list[str]]]:
    lines = enumerate(text.splitlines(), 1)
    return [(i, line.split()) for i, line in lines if line.strip() and line.lstrip()[0] != "#"]


def _floats(words: list[str], place: str) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = [float("nan")]
    if not all(abs(x) < 1e9 for x in numbers):
        raise camera_error(place, "line", "expected finite numbers", "export the model again")
    return numbers


def suits(source: Source) -> bool:
    """A first line with an id, a model, size and parameters."""
    return is_cameras_txt("\n".join(source.opening))


def read(source: Source) -> Tables:
    """Every camera of the file."""
    return cameras_from_txt(source.read_text(MAX_BYTES, "a camera file"), str(source.path))


FORMAT = CameraFormat("COLMAP cameras.txt", suits, read)

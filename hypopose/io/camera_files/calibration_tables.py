"""Cameras from tables of numbers, under the names that calibration tools give them.

| quantity | names |
| --- | --- |
| matrix | ``matrix``, ``camera_matrix``, ``intrinsic_matrix``, ``K``, ``mtx`` |
| lens | ``distortions``, ``distortion_coefficients``, ``dist_coeffs``, ``dist``, ``D`` |
| size | ``size``, ``image_size``, ``resolution``, or ``image_width`` and ``image_height`` |
| rotation | ``rotation``, ``R``, ``rvec``: 3 x 3, or a rotation vector |
| translation | ``translation``, ``t``, ``T``, ``tvec``, in meters |

Rotation and translation go from the world to the camera. Lenses are OpenCV's; coefficients beyond
the fifth, and fisheye lenses, are other models and are refused unless they are zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hypopose.errors import FormatError
from hypopose.types import Camera

MATRIX = ("matrix", "camera_matrix", "intrinsic_matrix", "K", "mtx")
LENS = ("distortions", "distortion_coefficients", "dist_coeffs", "dist", "D")
SIZE = ("size", "image_size", "resolution")
ROTATION = ("rotation", "R", "rvec")
TRANSLATION = ("translation", "t", "T", "tvec")


def is_camera_table(values: Any) -> bool:
    """Whether this is an object with a camera matrix under one of its names."""
    return isinstance(values, Mapping) and any(name in values for name in MATRIX)


def camera_from_table(
    values: Mapping[str, Any], place: str, image_size: tuple[int, int] | None = None
) -> Camera:
    """A camera from a table.

    Args:
        values: Keys as in the module's table; values are numbers, lists of them, or OpenCV's
            ``{"rows", "cols", "data"}``.
        place: File and camera, for messages.
        image_size: Taken where the table names none.

    Returns:
        The camera, with OpenCV's lens if it has coefficients.

    Raises:
        FormatError: If something is absent or impossible; the message names it.

    Example:
        >>> K = [[900.0, 0, 320], [0, 900, 240], [0, 0, 1]]
        >>> camera_from_table({"matrix": K, "size": [640, 480]}, "a.toml").focal.tolist()
        [900.0, 900.0]
    """
    _, matrix = _find(values, MATRIX)
    K = _numbers(matrix, place, "camera matrix", (9,)).reshape(3, 3)
    if K[0, 0] <= 0 or K[1, 1] <= 0 or abs(K[2, 2] - 1) > 1e-6:
        raise camera_error(place, "camera matrix", "expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]",
                    "focal lengths are positive pixels")  # fmt: skip
    if abs(K[0, 1]) > 1e-3 * K[0, 0]:
        raise camera_error(place, "camera matrix", f"skew {K[0, 1]:.3g}", "calibrate without skew")
    lens = _lens(values, place)
    rotation, translation = _pose(values, place)
    return Camera(
        focal=_float(K[[0, 1], [0, 1]]),
        center=_float(K[:2, 2]),
        image_size=_size(values, place, image_size),
        distortion=None if lens is None else _float(lens),
        distortion_model="none" if lens is None else "opencv",
        rotation=None if rotation is None else _float(rotation),
        translation=None if translation is None else _float(translation),
    )


def opencv_lens(coefficients: NDArray[np.float64], place: str) -> NDArray[np.float64] | None:
    """k1, k2, p1, p2, k3 of OpenCV's four to fourteen coefficients; None if all are zero.

    Raises:
        FormatError: If coefficients beyond the fifth are not zero.
    """
    if not coefficients.any():
        return None
    if coefficients[5:].any():
        raise camera_error(
            place,
            "distortion",
            "a rational, thin-prism or tilted lens (more than five coefficients)",
            "calibrate with five coefficients",
        )
    return np.pad(coefficients[:5], (0, max(0, 5 - len(coefficients))))


def camera_error(place: str, key: str, problem: str, cure: str) -> FormatError:
    """One line: file, key, problem; cure."""
    return FormatError(" ".join(f"{place}: {key}: {problem}; {cure}.".split()))


def _lens(values: Mapping[str, Any], place: str) -> NDArray[np.float64] | None:
    model = str(values.get("distortion_model", "plumb_bob")).lower()
    if values.get("fisheye") is True or model in ("equidistant", "fisheye", "kannala_brandt"):
        raise camera_error(place, "lens", "a fisheye lens, which no model here describes",
                    "undistort the keypoints first and give the camera without lens")  # fmt: skip
    name, raw = _find(values, LENS)
    if raw is None:
        return None
    return opencv_lens(_numbers(raw, place, name, (4, 5, 8, 12, 14)), place)


def _pose(
    values: Mapping[str, Any], place: str
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    name, raw = _find(values, ROTATION)
    rotation = None
    if raw is not None:
        numbers = _numbers(raw, place, name, (3, 9))
        rotation = numbers.reshape(3, 3) if len(numbers) == 9 else _turned(numbers)
        check_rotation(rotation, place)
    name, raw = _find(values, TRANSLATION)
    return rotation, None if raw is None else _numbers(raw, place, name, (3,))


def _turned(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vector).as_matrix(), dtype=np.float64)


def check_rotation(rotation: NDArray[np.float64], place: str) -> None:
    """Refuse what is no rotation.

    Raises:
        FormatError: If ``R Rᵀ`` is not the identity, or R mirrors.
    """
    off = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if not off < 1e-3 or not math.isclose(float(np.linalg.det(rotation)), 1.0, abs_tol=1e-2):
        raise camera_error(
            place, "rotation", "not a rotation matrix", "give R with R R^T = I, det R = 1"
        )


def _size(
    values: Mapping[str, Any], place: str, fallback: tuple[int, int] | None
) -> tuple[int, int]:
    name, raw = _find(values, SIZE)
    if raw is None and "image_width" in values and "image_height" in values:
        name, raw = "image_width", [values["image_width"], values["image_height"]]
    if raw is None:
        if fallback is None:
            raise camera_error(place, "image size", "not in the file", "give it: --image-size W H")
        return fallback
    return checked_size(_numbers(raw, place, name, (2,)).tolist(), place, name)


def checked_size(size: Sequence[float], place: str, key: str) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        FormatError: If they are not whole numbers from 1 to 99,999.
    """
    if any(n != int(n) or not 0 < n < 100_000 for n in size):
        raise camera_error(place, key, "expected width and height in pixels", "give both")
    w, h = size
    return int(w), int(h)


def _find(values: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    """The first of the names that is there, and its value; None if none is."""
    return next(((n, values[n]) for n in names if values.get(n) is not None), (names[0], None))


def _numbers(value: Any, place: str, key: str, counts: tuple[int, ...]) -> NDArray[np.float64]:
    """All numbers of a value in reading order, if there are as many as there should be."""
    if isinstance(value, Mapping):
        value = value.get("data")
    flat = list(_flat(value, 3))
    if len(flat) not in counts or not all(type(x) in (int, float) and abs(x) < 1e9 for x in flat):
        wanted = " or ".join(map(str, counts))
        raise camera_error(place, key, f"expected {wanted} numbers", "write the calibration again")
    return np.array(flat, dtype=np.float64)


def _flat(value: Any, depth: int) -> list[Any]:
    if not isinstance(value, list) or depth == 0:
        return [value]
    return [x for part in value[:64] for x in _flat(part, depth - 1)]


def _float(array: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()

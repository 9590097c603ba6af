"""Cameras from tables of numbers, under the names that calibration tools give them.

| quantity | names |
| --- | --- |
| matrix | ``matrix``, ``camera_matrix``, ``intrinsic_matrix``, ``K``, ``mtx``; or fx, fy, cx, cy |
| either | in ``intrinsics``, ``cameraIntrinsics`` (ARKit) |
| lens | ``distortions``, ``distortion_coefficients``, ``dist_coeffs``, ``dist``; or k1, k2, ... |
| size | ``size``, ``image_size``, ``imageResolution``; or ``image_width`` and ``image_height`` |
| rotation | ``rotation``, ``R``, ``rvec``: 3 x 3, or a rotation vector |
| translation | ``translation``, ``t``, ``T``, ``tvec`` |
| the picture was turned | ``rotation_count``: clockwise quarter turns (Caliscope) |

Rotation and translation go from the world to the camera. Lenses are OpenCV's, see
:mod:`hypopose.io.camera_files.lens`; keys that change the picture are read or refused, see
:mod:`hypopose.io.camera_files.geometry`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hypopose.cameras.quarter_turns import turn_camera, turn_size
from hypopose.io.camera_files import geometry
from hypopose.io.camera_files.lens import COUNTS, fisheye_coefficients, five_coefficients
from hypopose.io.camera_files.refusals import NoImageSizeError, camera_error, camera_note
from hypopose.types import Camera, DistortionModel

MATRIX = ("matrix", "camera_matrix", "intrinsic_matrix", "K", "mtx")
LENS = ("distortions", "distortion_coefficients", "dist_coeffs", "dist", "D", "dist_coeff",
        "distortion", "distCoeffs", "distCoef", "distortion_coeffs", "coeffs")  # fmt: skip
INTRINSICS = ("intrinsics", "cameraIntrinsics")
SIZE = ("size", "image_size", "resolution", "imageResolution")
WIDTH_HEIGHT = (("image_width", "image_height"), ("width", "height"), ("w", "h"), ("W", "H"))
SINGLE = (("fx", "fy", "cx", "cy"), ("fl_x", "fl_y", "cx", "cy"), ("fx", "fy", "ppx", "ppy"))
"""Keys of the matrix' numbers, where they stand alone."""
SINGLE_LENS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
ROTATION = ("rotation", "R", "rvec")
TRANSLATION = ("translation", "t", "T", "tvec")
MAX_ANGLE = 2 * math.pi + 0.01
"""Radians of the longest rotation vector."""
_KNOWN = (
    *MATRIX, *LENS, *SIZE, *ROTATION, *TRANSLATION, "rotation_count", "fisheye", "camera_model",
    "distortion_model", *(key for pair in WIDTH_HEIGHT for key in pair),
)  # fmt: skip


def is_camera_table(values: Any) -> bool:
    """Whether this is an object with a camera matrix under one of its names."""
    if not isinstance(values, Mapping):
        return False
    values = _outside(values)
    return any(name in values for name in MATRIX) or _single(values) is not None


def _outside(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table with its ``intrinsics`` moved out: nine numbers, or a table of their own."""
    name, inner = find(values, INTRINSICS)
    if inner is None or any(key in values for key in MATRIX):
        return values
    rest = {key: value for key, value in values.items() if key != name}
    if isinstance(inner, Mapping):
        return {**inner, **rest}
    return {**rest, "matrix": inner} if len(_flat(inner, 2)) == 9 else values


def _single(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    return next((keys for keys in SINGLE if all(key in values for key in keys)), None)


def _gathered(values: Mapping[str, Any]) -> dict[str, Any]:
    """The table with single numbers gathered under the names of what they are part of."""
    keys = _single(values)
    if keys is None or any(name in values for name in MATRIX):
        return dict(values)
    fx, fy, cx, cy = (values[key] for key in keys)
    rest = {key: value for key, value in values.items() if key not in (*keys, *SINGLE_LENS)}
    rest["matrix"] = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
    if any(key in values for key in SINGLE_LENS) and find(values, LENS)[1] is None:
        fisheye = geometry.lens_model(values, "") == "fisheye"
        lens = (*SINGLE_LENS[:2], "k3", "k4") if fisheye else SINGLE_LENS
        rest["distortions"] = [values.get(key, 0.0) for key in lens]
    return rest


def camera_from_table(
    values: Mapping[str, Any], place: str, image_size: tuple[int, int] | None = None
) -> Camera:
    """A camera from a table, in the unit of the file.

    Args:
        values: Keys as in the module's table; values are numbers, lists of them, or OpenCV's
            ``{"rows", "cols", "data"}``.
        place: File and camera, for messages.
        image_size: Size of the pictures that keypoints were found in; taken where the table names
            none. A table that says its pictures were turned gives the turned camera, unless this
            size is that of the unturned ones.

    Returns:
        The camera, with OpenCV's lens if it has coefficients.

    Raises:
        FormatError: If something is absent or impossible; the message names it.

    Example:
        >>> K = [[900.0, 0, 320], [0, 900, 240], [0, 0, 1]]
        >>> camera_from_table({"matrix": K, "size": [640, 480]}, "a.toml").focal.tolist()
        [900.0, 900.0]
    """
    values = _gathered(_outside(values))
    geometry.check_keys(values, _KNOWN, place)
    turns = geometry.quarter_turns(values, place)
    K = _matrix(values, place)
    fallback = None if image_size is None else turn_size(image_size, turns)
    size = _size(values, place, fallback)
    geometry.check_picture(K, size, place)
    lens, model = _lens(values, K, size, place)
    rotation, translation = _pose(values, place)
    camera = Camera(
        focal=_float(K[[0, 1], [0, 1]]),
        center=_float(K[:2, 2]),
        image_size=size,
        distortion=None if lens is None else _float(lens),
        distortion_model=model,
        rotation=None if rotation is None else _float(rotation),
        translation=None if translation is None else _float(translation),
    )
    return _turned(camera, turns, image_size, place)


def _turned(camera: Camera, turns: int, image_size: tuple[int, int] | None, place: str) -> Camera:
    """The camera of the turned picture, if keypoints were found in that."""
    if turns == 0:
        return camera
    w, h = camera.image_size
    if image_size is not None and turns % 2 and (w > h) == (image_size[0] > image_size[1]):
        camera_note(place, f"rotation_count {turns} is left out: keypoints of {image_size[0]} x "
                    f"{image_size[1]} come from pictures that were not turned")  # fmt: skip
        return camera
    camera_note(place, f"rotation_count {turns}: the camera is turned by {90 * turns} degrees "
                "clockwise, as its pictures were")  # fmt: skip
    return turn_camera(camera, turns)


def _matrix(values: Mapping[str, Any], place: str) -> NDArray[np.float64]:
    _, matrix = find(values, MATRIX)
    K = numbers(matrix, place, "camera matrix", (9,)).reshape(3, 3)
    if K[2, 0] > 0 and K[2, 1] > 0 and not K[:2, 2].any():
        camera_note(place, "the camera matrix is read by columns, as ARKit writes it")
        K = K.T.copy()
    if (
        K[0, 0] <= 0
        or K[1, 1] <= 0
        or abs(K[2, 2] - 1) > 1e-6
        or abs(K[[1, 2, 2], [0, 0, 1]]).any()
    ):
        raise camera_error(
            place,
            "camera matrix",
            "expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]",
            "focal lengths are positive pixels",
        )
    if abs(K[0, 1]) > 1e-3 * K[0, 0]:
        raise camera_error(place, "camera matrix", f"skew {K[0, 1]:.3g}", "calibrate without skew")
    return K


def _lens(
    values: Mapping[str, Any], K: NDArray[np.float64], size: tuple[int, int], place: str
) -> tuple[NDArray[np.float64] | None, DistortionModel]:
    name, raw = find(values, LENS)
    if geometry.lens_model(values, place) == "fisheye":
        coefficients = numbers(raw, place, f"{name} of a fisheye lens", (4,))
        return fisheye_coefficients(coefficients, K, size, place), "fisheye"
    if raw is None or raw == []:
        return None, "none"
    lens = five_coefficients(numbers(raw, place, name, COUNTS), K, size, place)
    return lens, "none" if lens is None else "opencv"


def _pose(
    values: Mapping[str, Any], place: str
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    name, raw = find(values, ROTATION)
    rotation = None
    if raw is not None:
        flat = numbers(raw, place, name, (3, 9))
        rotation = flat.reshape(3, 3) if len(flat) == 9 else _from_vector(flat, place)
        check_rotation(rotation, place)
    name, raw = find(values, TRANSLATION)
    return rotation, None if raw is None else numbers(raw, place, name, (3,))


def _from_vector(vector: NDArray[np.float64], place: str) -> NDArray[np.float64]:
    angle = float(np.linalg.norm(vector))
    if angle > MAX_ANGLE:
        raise camera_error(
            place, "rotation", f"a rotation vector of {angle:.3g} radians, degrees perhaps",
            "write radians, or the 3 x 3 matrix",
        )  # fmt: skip
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vector).as_matrix(), dtype=np.float64)


def check_rotation(rotation: NDArray[np.float64], place: str) -> None:
    """Refuse what is not a rotation.

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
    name, raw = find(values, SIZE)
    pair = next((p for p in WIDTH_HEIGHT if p[0] in values and p[1] in values), None)
    if raw is None and pair is not None:
        name, raw = pair[0], [values[pair[0]], values[pair[1]]]
    if raw is None:
        if fallback is None:
            raise NoImageSizeError(
                f"{place}: image size: not in the file; give it: image_size=(W, H)."
            )
        return fallback
    if isinstance(raw, Mapping) and {"width", "height"} <= raw.keys():
        raw = [raw["width"], raw["height"]]
    return checked_size(numbers(raw, place, name, (2,)).tolist(), place, name)


def checked_size(size: Sequence[float], place: str, key: str) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        FormatError: If they are not whole numbers from 1 to 99,999.
    """
    if any(n != int(n) or not 0 < n < 100_000 for n in size):
        raise camera_error(place, key, "expected width and height in pixels", "give both")
    w, h = size
    return int(w), int(h)


def find(values: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    """The first of the names that is there, and its value; None if none is."""
    return next(((n, values[n]) for n in names if values.get(n) is not None), (names[0], None))


def numbers(value: Any, place: str, key: str, counts: tuple[int, ...]) -> NDArray[np.float64]:
    """All numbers of a value in reading order, if there are as many as there should be.

    Raises:
        FormatError: If there are others.
    """
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

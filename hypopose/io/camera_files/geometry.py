"""Checks that a calibration is physically possible and consistent with its picture size.

Keys that change the geometry of a picture are read or refused; a principal point outside the
picture, a focal length that no lens has and a matrix for another picture size are refused; unknown
keys are reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io.camera_files.refusals import camera_error, camera_note

FOCAL_RANGE = (0.15, 25.0)
"""Focal lengths in longer sides of the picture: 147 degrees of view to 2.3."""

FAR_OFF = 0.15
"""A principal point this far from the middle, in sides of the picture, is doubted."""

SQUARE = 1.1
"""Pixels that are this many times as wide as high, or as high as wide, are doubted."""

SAME = 0.02
"""Shares of width and height that differ less are the same: the picture was scaled."""

CHANGES = (
    "crop", "roi", "region_of_interest", "offset", "offset_x", "offset_y", "binning", "binning_x",
    "binning_y", "scale", "resize", "rotate", "flip", "mirror", "mirrored", "xi", "zoom",
)  # fmt: skip
"""Keys that change the picture; refused unless their values change nothing."""

MODELS = {
    "": "opencv", "none": "opencv", "pinhole": "opencv", "plumb_bob": "opencv", "opencv": "opencv",
    "brown_conrady": "opencv", "brown": "opencv", "radtan": "opencv", "perspective": "opencv",
    "standard": "opencv", "rational_polynomial": "opencv", "equidistant": "fisheye",
    "fisheye": "fisheye", "kannala_brandt": "fisheye", "opencv_fisheye": "fisheye",
}  # fmt: skip
"""What tools call a lens model, and which of OpenCV's it is."""

_LENS_KEY = re.compile(r"[kp][1-6]|.*(?:distortion|dist_?coef).*", re.IGNORECASE)
_OTHER = (
    "inverse",
    "fisheye",
    "equi",
    "omni",
    "mei",
    "kannala",
    "spherical",
    "division",
    "unified",
)

HARMLESS = frozenset((
    "name", "camera_name", "id", "port", "serial", "error", "rmse", "rms", "exposure", "grid_count",
    "ignore", "verified_resolutions", "fps", "flags", "calibration_time", "nframes", "nr_of_frames",
    "board_width", "board_height", "square_size", "avg_reprojection_error", "reprojection_error",
    "reprojectionError", "per_view_reprojection_errors", "per_view_errors", "image_points",
    "extrinsic_parameters", "aspectRatio", "fixed_aspect_ratio", "rectification_matrix",
    "projection_matrix", "rotation_EulerAngles", "metadata", "adjusted", "extrinsics",
    "world_position", "world_orientation", "date", "device", "model", "H", "W", "P", "Q", "R1",
    "R2", "P1", "P2", "E", "F", "calibration_flags", "grid_points", "img_points", "type_id",
))  # fmt: skip
"""Keys that say nothing about the geometry of a picture."""


def lens_model(values: Mapping[str, Any], place: str) -> str:
    """``"opencv"`` or ``"fisheye"``.

    Raises:
        FormatError: If the table names another model, such as an omnidirectional one.
    """
    named = values.get("distortion_model", values.get("camera_model", ""))
    word = _plain(named)
    if not word and any(part in _plain(values.get("model")) for part in _OTHER):
        named = values["model"]
        word = _plain(named)
    if word not in MODELS:
        raise camera_error(
            place, "lens", f"the model {str(named)[:40]!r}, which HypoPose does not know",
            "undistort the keypoints first and give the camera without lens",
        )  # fmt: skip
    return "fisheye" if values.get("fisheye") in (True, 1) else MODELS[word]


def _plain(value: Any) -> str:
    return str(value or "").strip().lower().replace("-", "_").replace(" ", "_")


def quarter_turns(values: Mapping[str, Any], place: str) -> int:
    """How often the recorded picture was turned clockwise by 90 degrees (Caliscope).

    Raises:
        FormatError: If it is not a whole number.
    """
    turns = values.get("rotation_count", 0)
    if type(turns) is not int or abs(turns) > 1000:
        raise camera_error(place, "rotation_count", f"{str(turns)[:20]!r}, not a whole number",
                           "write 0 to 3 quarter turns")  # fmt: skip
    return int(turns % 4)


def check_keys(values: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    """Refuse keys that change the picture, and name those that are not known.

    Raises:
        FormatError: If a key changes the geometry.
    """
    for key in CHANGES:
        if key in values and not _changes_nothing(values[key]):
            raise camera_error(
                place, key, "the picture was cropped, scaled or turned, which is not read",
                "calibrate the pictures that the keypoints were found in, or bring the camera "
                "matrix and size to them and leave the key out",
            )  # fmt: skip
    lens = next((key for key in values if key not in known and _is_lens(str(key))), None)
    if lens is not None:
        raise camera_error(
            place, str(lens)[:40], "a coefficient of a lens that is not read",
            "write distortions = [k1, k2, p1, p2, k3]",
        )  # fmt: skip
    unknown = [str(key)[:40] for key in values
               if key not in known and key not in HARMLESS and key not in CHANGES]  # fmt: skip
    if unknown:
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        camera_note(place, f"not read: {', '.join(unknown[:8])}{more}")


def _is_lens(key: str) -> bool:
    """Whether an unknown key is one of a lens, such as ``distCoeffsRight`` or ``k1``."""
    return bool(_LENS_KEY.fullmatch(key)) and key not in HARMLESS


def _changes_nothing(value: Any) -> bool:
    """Zeros, ones and nothing; ROS writes a region of interest of zeros for the whole picture."""
    if isinstance(value, Mapping):
        return all(_changes_nothing(v) for v in value.values())
    if isinstance(value, list):
        return all(_changes_nothing(v) for v in value)
    return value in (None, False, 0, 1, "", "none")


def check_picture(K: NDArray[np.float64], size: tuple[int, int], place: str) -> None:
    """Refuse a camera matrix that does not belong to a picture of this size.

    Args:
        K: Camera matrix.
        size: Width and height in pixels.
        place: File and camera, for messages.

    Raises:
        FormatError: If the principal point is outside, the focal length impossible, or the matrix
            suits another size.
    """
    w, h = size
    (fx, _, cx), (_, fy, cy) = K[:2].tolist()
    low, high = FOCAL_RANGE
    if not (0 <= cx <= w and 0 <= cy <= h):
        raise camera_error(
            place, "principal point", f"({cx:g}, {cy:g}) lies outside the picture of {w} x {h}",
            _suggestion(cx, cy, size),
        )  # fmt: skip
    if not all(low <= f / max(size) <= high for f in (fx, fy)) or not 0.5 <= fx / fy <= 2:
        degrees = 2 * math.degrees(math.atan(max(size) / 2 / min(fx, fy)))
        raise camera_error(
            place, "focal length", f"({fx:g}, {fy:g}) px give {degrees:.3g} degrees of view of a "
            f"picture of {w} x {h}", "give focal length and size in pixels of the same picture",
        )  # fmt: skip
    if not 1 / SQUARE <= fx / fy <= SQUARE:
        camera_note(
            place,
            f"the focal lengths {fx:g} and {fy:g} px make pixels {fx / fy:.2f} times as high as "
            "wide, which few cameras have: check the camera matrix",
        )
    _check_middle(cx, cy, size, place)


def _check_middle(cx: float, cy: float, size: tuple[int, int], place: str) -> None:
    """Refuse a principal point at the middle of another picture size, and warn of one far off."""
    w, h = size
    if max(abs(cx / w - 0.5), abs(cy / h - 0.5)) <= FAR_OFF:
        return
    scaled = abs(cx / w - cy / h) < SAME
    if scaled or (w != h and _suits(cx, cy, (h, w))):
        raise camera_error(
            place,
            "size",
            f"the principal point ({cx:g}, {cy:g}) is the middle of a picture of {2 * cx:.0f} x "
            f"{2 * cy:.0f}, but the size is {w} x {h}",
            _suggestion(cx, cy, size),
        )
    camera_note(
        place,
        f"the principal point ({cx:g}, {cy:g}) is far from the middle of the picture of {w} x "
        f"{h}: was it cropped?",
    )


def _suits(cx: float, cy: float, size: tuple[int, int]) -> bool:
    return max(abs(cx / size[0] - 0.5), abs(cy / size[1] - 0.5)) < 0.1


def _suggestion(cx: float, cy: float, size: tuple[int, int]) -> str:
    if _suits(cx, cy, (size[1], size[0])):
        return f"if the picture is {size[1]} x {size[0]}, give that size"
    return "give matrix and size of the same picture"

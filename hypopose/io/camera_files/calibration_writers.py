"""Cameras for other tools: TOML of Pose2Sim and anipose, YAML of OpenCV.

Both tools of the TOML read the same tables: name, size, matrix, distortions, a rotation vector and
a translation from the world, in meters. OpenCV's YAML has one map a camera.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically
from hypopose.io.camera_files.rig_file import CameraRig, save_rig
from hypopose.types import Camera


def save_calibration(path: str | Path, rig: CameraRig) -> str:
    """Write a rig in the format of the ending.

    Args:
        path: ``.json`` for HypoPose, ``.toml`` for Pose2Sim and anipose, ``.yml`` or ``.yaml`` for
            OpenCV.
        rig: Cameras; what the format has no place for is left out.

    Returns:
        The format in words.

    Raises:
        OptionError: If the ending is another one, or a lens has no place in the format.

    Example:
        >>> import tempfile, torch
        >>> camera = Camera.from_fov((640, 480))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_calibration(Path(folder) / "calib.toml", CameraRig({"front": camera}))
        'TOML of Pose2Sim and anipose'
    """
    ending = check_calibration_ending(path)
    if ending == ".json":
        save_rig(path, rig)
        return "rig of HypoPose"
    words, render = TEXTS[ending]
    for name, camera in rig.cameras.items():
        _check(name, camera)
    text = render(rig.cameras)
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return words


def check_calibration_ending(path: str | Path) -> str:
    """The ending of a calibration file, before any work is done.

    Raises:
        OptionError: If no format has it.

    Example:
        >>> check_calibration_ending("Calib.TOML")
        '.toml'
    """
    ending = Path(path).suffix.lower()
    if ending not in (".json", *TEXTS):
        raise OptionError(
            f"Cameras are written as .json (HypoPose), .toml (Pose2Sim, anipose) or .yml (OpenCV), "
            f"not as {str(path)!r}."
        )
    return ending


def _check(name: str, camera: Camera) -> None:
    if camera.distortion_model not in ("none", "opencv"):
        raise OptionError(
            f"The lens of {name} follows {camera.distortion_model!r}, which other tools do not "
            "know; write .json."
        )


def matrix_of(camera: Camera) -> Float[np.ndarray, "3 3"]:
    """The camera matrix in pixels."""
    K = np.eye(3)
    K[[0, 1], [0, 1]] = camera.focal.double().numpy()
    K[:2, 2] = camera.center.double().numpy()
    return K


def _parts(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lens = np.zeros(5) if camera.distortion is None else camera.distortion.double().numpy()
    R = np.eye(3) if camera.rotation is None else camera.rotation.double().numpy()
    t = np.zeros(3) if camera.translation is None else camera.translation.double().numpy()
    return lens, R, t


def _toml(cameras: Mapping[str, Camera]) -> str:
    from scipy.spatial.transform import Rotation

    tables = []
    for name, camera in cameras.items():
        lens, R, t = _parts(camera)
        rows = (
            ("name", json.dumps(name)),
            ("size", _numbers(map(float, camera.image_size))),
            ("matrix", f"[ {', '.join(_numbers(row) for row in matrix_of(camera))},]"),
            ("distortions", _numbers(lens)),
            ("rotation", _numbers(Rotation.from_matrix(R).as_rotvec())),
            ("translation", _numbers(t)),
            ("fisheye", "false"),
        )
        lines = "\n".join(f"{key} = {value}" for key, value in rows)
        tables.append(f"[{json.dumps(name)}]\n{lines}\n")
    return "\n".join([*tables, "[metadata]\nadjusted = false\nerror = 0.0\n"])


def _numbers(values: object) -> str:
    return f"[ {', '.join(repr(float(v)) for v in values)},]"  # type: ignore[attr-defined]


def _opencv(cameras: Mapping[str, Camera]) -> str:
    blocks = ["%YAML:1.0\n---"]
    for name, camera in cameras.items():
        lens, R, t = _parts(camera)
        blocks.append(
            "\n".join(
                [
                    f"{json.dumps(name)}:",
                    f"   camera_name: {json.dumps(name)}",
                    f"   image_width: {camera.image_size[0]}",
                    f"   image_height: {camera.image_size[1]}",
                    _matrix("camera_matrix", matrix_of(camera)),
                    _matrix("distortion_coefficients", lens[None]),
                    _matrix("R", R),
                    _matrix("T", t[:, None]),
                ]
            )
        )
    return "\n".join(blocks) + "\n"


def _matrix(key: str, values: np.ndarray) -> str:
    data = ", ".join(repr(float(v)) for v in values.ravel())
    rows, columns = values.shape
    return (
        f"   {key}: !!opencv-matrix\n      rows: {rows}\n      cols: {columns}\n      dt: d\n"
        f"      data: [ {data} ]"
    )


TEXTS: dict[str, tuple[str, Callable[[Mapping[str, Camera]], str]]] = {
    ".toml": ("TOML of Pose2Sim and anipose", _toml),
    ".yml": ("YAML of OpenCV", _opencv),
    ".yaml": ("YAML of OpenCV", _opencv),
}
"""Ending -> the format in words, and what writes it."""

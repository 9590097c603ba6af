"""From the camera frame to the axes of a file, and how a file says what its axes are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.cameras import CAMERA_UP, cam_to_world, turn_up, up_axis
from hypopose.errors import MissingCameraError
from hypopose.io.results import Result
from hypopose.types import Camera


@dataclass(frozen=True, eq=False)
class Turn:
    """From the camera frame to the file's axes: perhaps into the world, then a rotation.

    Args:
        camera: Whose world the file is in; None: the file is in the camera frame.
        matrix: The rotation that follows.
        up_axis: Number and sign of the axis that points up before the rotation.
    """

    camera: Camera | None
    matrix: Float[np.ndarray, "3 3"]
    up_axis: tuple[int, int]

    def directions(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vectors, which do not depend on where the camera stands."""
        if self.camera is not None:
            x = _to_world(x, replace(self.camera, translation=None))
        return np.asarray(x @ self.matrix.T)

    def places(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points."""
        if self.camera is not None:
            x = _to_world(x, self.camera)
        return np.asarray(x @ self.matrix.T)


def find_turn(result: Result, frame: str, up: str) -> Turn:
    """How the motions of a result are turned.

    Args:
        result: Whose camera tells the world.
        frame: ``"camera"`` or ``"world"``.
        up: ``"native"``, ``"y"`` or ``"z"``.

    Raises:
        MissingCameraError: If the world frame is wanted of a camera without extrinsics.
    """
    if frame == "camera":
        return Turn(None, turn_up(CAMERA_UP, up), CAMERA_UP)
    camera = result.keypoints.camera
    if camera is None:
        raise MissingCameraError(
            "The world frame needs a camera, but this result has none; sample with --camera."
        )
    signed = up_axis(camera)
    return Turn(camera, turn_up(signed, up), signed)


def frame_words(result: Result) -> str:
    """Whose frame "camera" is: the camera's, or that of the file a motion was imported from."""
    imported = str(result.sampler.get("frame", "camera")) != "camera"
    return "frame of the imported file" if imported else "camera frame"


def axes_words(turn: Turn, up: str, unit: str, root: str, frame: str) -> str:
    """Frame, axes and unit in one line without commas, for headers and tables."""
    unit = {"m": "meters", "cm": "centimeters", "mm": "millimeters"}[unit]
    root = {
        "placed": "joints at their places",
        "apart": "joints relative to the root; root apart",
        "none": "joints relative to the root",
    }[root]
    axis, sign = turn.up_axis
    if turn.camera is not None:
        world = f"{'-' if sign < 0 else ''}{'xyz'[axis]} up"
        axes = f"axes of the camera file ({world})" if up == "native" else f"{up} up"
        return f"world frame; {axes}; {unit}; {root}"
    axes = {
        "native": "x right; y down; z forward",
        "y": "x right; y up; z backward",
        "z": "x right; y forward; z up",
    }[up]
    return f"{frame}; {axes}; {unit}; {root}"


def _to_world(x: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    double = replace(
        camera,
        rotation=None if camera.rotation is None else camera.rotation.double(),
        translation=None if camera.translation is None else camera.translation.double(),
    )
    world: NDArray[np.float64] = cam_to_world(torch.from_numpy(x), double).numpy()
    return world

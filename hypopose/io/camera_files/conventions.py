"""Camera placement in formats whose tools disagree about directions: inferred from geometry.

A rotation may lead from the world to the camera or back, a translation may be the camera's place or
the world's origin in the camera, and the camera may look along +z with y down or along -z with y
up. Cameras of a rig look at one place, which lies in front of all of them, so the right convention
is the one in which their optical axes meet. The documented one is taken if it is the best of the
eight, another one only if it is clearly better.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hypopose.io.camera_files.refusals import camera_error, camera_note
from hypopose.io.camera_files.units import meeting_point

Array = NDArray[np.float64]

MISS = 0.4
"""How far optical axes may pass the common place, in viewing distances."""

CLEAR = 2.0
"""Another convention than the documented one must miss by this factor less than the next."""


def placed(
    rotations: Sequence[Array],
    vectors: Sequence[Array],
    place: str,
    documented: tuple[bool, bool, bool],
) -> list[tuple[Array, Array]]:
    """World-to-camera rotations and translations of a rig, z forward and y down.

    Args:
        rotations: As the file has them.
        vectors: As the file has them.
        place: The file, for messages.
        documented: The format's convention: the rotation leads to the camera, the vector is the
            camera's place, y points up.

    Returns:
        Rotation and translation of every camera.

    Raises:
        FormatError: If there are several cameras and no convention, or more than one beside the
            documented, makes them look at one place.
    """
    found = {
        convention: _applied(rotations, vectors, convention)
        for convention in product((True, False), repeat=3)
    }
    if len(rotations) == 1:
        camera_note(place, "a single camera: whether its directions are read rightly cannot be "
                    "checked, as it could with a rig")  # fmt: skip
        return found[documented]
    misses = {convention: _miss(poses) for convention, poses in found.items()}
    best, second = sorted(misses, key=lambda convention: misses[convention])[:2]
    clear = best == documented or misses[second] > CLEAR * misses[best]
    if misses[best] > MISS or not clear:
        raise camera_error(
            place,
            "rotation",
            "the cameras look at no common place, or it is open which, however their directions "
            "are read",
            "export the calibration again, or convert it to TOML with Pose2Sim",
        )
    return found[best]


def _applied(
    rotations: Sequence[Array], vectors: Sequence[Array], convention: tuple[bool, ...]
) -> list[tuple[Array, Array]]:
    to_camera, is_place, y_up = convention
    flip = np.diag([1.0, -1.0, -1.0]) if y_up else np.eye(3)
    poses = []
    for rotation, vector in zip(rotations, vectors, strict=True):
        R = rotation if to_camera else rotation.T
        t = -R @ vector if is_place else vector
        poses.append((flip @ R, flip @ t))
    return poses


def _miss(poses: Sequence[tuple[Array, Array]]) -> float:
    """How far the worst optical axis passes the common place, in viewing distances."""
    centers = np.stack([-R.T @ t for R, t in poses])
    axes = np.stack([R[2] for R, _ in poses])
    point = meeting_point(centers, axes)
    if point is None:
        return np.inf
    to_point = point - centers
    along = (to_point * axes).sum(-1)
    return float((np.linalg.norm(to_point - along[:, None] * axes, axis=-1) / along).max())

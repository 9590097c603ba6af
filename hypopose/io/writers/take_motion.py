"""A motion of an export scene as quantities read it: meters, z up."""

from __future__ import annotations

import torch

from hypopose.io.writers.scene import PER_METER, ExportScene, Take
from hypopose.quantities import BodyMotion


def body_motion_of(scene: ExportScene, take: Take) -> BodyMotion:
    """The joints of a take, whatever axes and unit the file has.

    Args:
        scene: Axes, unit, skeleton and frame rate.
        take: One of its motions.

    Returns:
        A motion with z up; placed if the file's joints are.
    """
    meters = take.joints @ scene.to_z_up.T / PER_METER[scene.unit]
    return BodyMotion(
        torch.from_numpy(meters.copy()), scene.skeleton, scene.fps, placed=scene.root == "placed"
    )

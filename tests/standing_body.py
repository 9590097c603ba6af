"""A standing body, z up, whose joints can be moved."""

from __future__ import annotations

import torch

from hypopose.quantities import BodyMotion
from hypopose.skeletons import H36M17

# z up, facing +x, so that the person's left is at +y.
STANDING = {
    "pelvis": (0, 0, 0.9), "right_hip": (0, -0.1, 0.9), "right_knee": (0, -0.1, 0.5),
    "right_ankle": (0, -0.1, 0.08), "left_hip": (0, 0.1, 0.9), "left_knee": (0, 0.1, 0.5),
    "left_ankle": (0, 0.1, 0.08), "spine": (0, 0, 1.15), "thorax": (0, 0, 1.4),
    "neck": (0, 0, 1.5), "head": (0, 0, 1.7), "left_shoulder": (0, 0.2, 1.4),
    "left_elbow": (0, 0.2, 1.1), "left_wrist": (0, 0.2, 0.85), "right_shoulder": (0, -0.2, 1.4),
    "right_elbow": (0, -0.2, 1.1), "right_wrist": (0, -0.2, 0.85),
}  # fmt: skip


def posed(n_frames: int = 1, **moved: tuple[float, float, float]) -> BodyMotion:
    """The standing body with some joints elsewhere."""
    place = {**STANDING, **moved}
    joints = torch.tensor([place[name] for name in H36M17.joint_names], dtype=torch.float64)
    return BodyMotion(joints.expand(n_frames, 17, 3).clone(), H36M17, 50.0)

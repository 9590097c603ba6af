"""COCO-17 points of a Human3.6M-17 pose: the face is placed by rule on a head of average size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.simulation.random_draws import Draws

COCO_FROM_H36M = (11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3)
"""Human3.6M-17 joints of COCO's shoulders, elbows, wrists, hips, knees, ankles."""

FACE = (0.03, 0.10, 0.035, 0.02, 0.032, 0.05, 0.075)
"""A head of average size, in meters: how far the nose lies above the neck and before it, the eyes
above the nose, behind it and to the side, and the ears above the neck and to the side."""


def coco_joints(
    joints: Float[Tensor, "*batch 17 3"],
    face: Float[Tensor, "*face 7"] | None = None,
    turn: Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch 17 3"]:
    """COCO-17 points of a Human3.6M-17 pose, the face by rule.

    Args:
        joints: Meters, any right-handed frame.
        face: Measures as in :data:`FACE`, which they are where None; they broadcast over poses.
        turn: Radians by which heads look to their left of where the shoulders point.

    Returns:
        Nose, eyes, ears, then the limbs, in COCO's order.

    Example:
        >>> coco_joints(torch.randn(2, 5, 17, 3), turn=torch.zeros(2, 5)).shape
        torch.Size([2, 5, 17, 3])
    """
    neck, head = joints[..., 9, :], joints[..., 10, :]
    up = torch.nn.functional.normalize(head - neck, dim=-1)
    across = joints[..., 11, :] - joints[..., 14, :]
    across = across - (across * up).sum(-1, keepdim=True) * up
    left = torch.nn.functional.normalize(across, dim=-1)
    front = torch.linalg.cross(left, up)
    if turn is not None:
        cos, sin = turn.cos()[..., None], turn.sin()[..., None]
        left, front = cos * left - sin * front, cos * front + sin * left
    sizes = joints.new_tensor(FACE) if face is None else face
    nose_up, nose_front, eye_up, eye_back, eye_side, ear_up, ear_side = sizes[..., None].unbind(-2)
    nose = neck + nose_up * up + nose_front * front
    eye = nose + eye_up * up - eye_back * front
    ear = neck + ear_up * up
    sides = [eye + eye_side * left, eye - eye_side * left]
    sides += [ear + ear_side * left, ear - ear_side * left]
    return torch.cat((torch.stack([nose, *sides], -2), joints[..., list(COCO_FROM_H36M), :]), -2)


def draw_coco_points(joints: Float[Tensor, "B F 17 3"], draws: Draws) -> Float[Tensor, "B F 17 3"]:
    """COCO-17 points of bodies whose faces differ in size and look around.

    Args:
        joints: Meters, any right-handed frame.
        draws: Random numbers.
    """
    B, F = joints.shape[:2]
    size = 1 + 0.12 * draws.normal(B, 1, 1)
    face = joints.new_tensor(FACE) * size + 0.008 * draws.normal(B, 1, len(FACE))
    wave = draws.wave(B, F, 1)[..., 0, 0]
    return coco_joints(joints, face, 0.35 * draws.normal(B, 1) + 0.2 * wave)

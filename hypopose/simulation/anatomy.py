"""Bones of the simulated bodies: lengths, pairs, parts that move together, plausible poses."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from hypopose.bodies.proportions import BONE_PAIRS
from hypopose.skeletons import H36M17

BONES = H36M17.bones
PARTS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2, 3, 4, 5),  # pelvis and legs
    (6, 7, 8, 9, 10, 13),  # trunk, head, both shoulders
    (11, 12),  # left arm
    (14, 15),  # right arm
)
"""Bones, in the order of ``BONES``, that stay together when bodies are recombined."""

MEANINGS = {
    0: (0.01, 0.02, 0.015),
    7: (0.01, 0.035, 0.025),
    8: (0.01, 0.02, 0.015),
    9: (0.01, 0.03, 0.035),
    10: (0.015, 0.04, 0.04),
}
"""Standard deviations in meters (sideways, up, forward) of where detectors place a joint."""

PAIR_FREEDOM = (2.0, 1.0, 1.0, 1.2, 1.2, 1.5, 1.5, 1.7, 1.0, 1.0)
"""Spread of each pair's length relative to a thigh's, in the order of ``BONE_PAIRS``: definitions
of hip, neck and shoulder differ between data sets by more than people do."""

LEG = 0.897
"""Thigh and shin of the mean body in meters."""


def plausible(directions: Float[Tensor, "B F 16 3"]) -> Bool[Tensor, " B"]:
    """Whether hips and waist stay within what bodies do, in every frame.

    Thighs may point at most 45 degrees behind the trunk (less if they also point up along it), and
    the trunk may lean at most 40 degrees sideways from the pelvis.
    """
    side = functional.normalize(directions[:, :, 3] - directions[:, :, 0], dim=-1)
    trunk = functional.normalize(directions[:, :, 6] + directions[:, :, 7], dim=-1)
    front = functional.normalize(torch.linalg.cross(side, trunk), dim=-1)
    thigh = functional.normalize(directions[:, :, 1] + directions[:, :, 4], dim=-1)
    ahead, folded = (thigh * front).sum(-1), (thigh * trunk).sum(-1)
    upright = (side * trunk).sum(-1).abs() < 0.65
    return ((ahead > -0.7) & ((ahead > -0.3) | (folded < 0)) & upright).all(1)


def trunk_axes(body: Float[Tensor, "B F J 3"]) -> Float[Tensor, "B F 3 3"]:
    """Unit vectors towards the left, up along the trunk, and forward."""
    up = functional.normalize(body[:, :, 8], dim=-1)
    side = functional.normalize(body[:, :, 11] - body[:, :, 14], dim=-1)
    forward = functional.normalize(torch.linalg.cross(side, up), dim=-1)
    return torch.stack([side, up, forward], -2)


def bone_chain() -> Float[Tensor, "17 16"]:
    """Matrix from bone vectors to root-relative joints."""
    matrix = torch.zeros(len(BONES) + 1, len(BONES))
    for bone, (parent, child) in enumerate(BONES):
        matrix[child] = matrix[parent]
        matrix[child, bone] = 1
    return matrix


def mean_lengths(
    lengths: Float[Tensor, "N 16"], start: Int[Tensor, " clips"], length: Int[Tensor, " clips"]
) -> Float[Tensor, "clips 16"]:
    """Mean length of every bone in each clip, left as right.

    Args:
        lengths: Of all frames of all clips, end to end.
        start: First frame of each clip.
        length: Frames of each clip.
    """
    ends = torch.cat([lengths.new_zeros(1, len(BONES)).double(), lengths.double().cumsum(0)])
    mean = ((ends[start + length] - ends[start]) / length[:, None]).float()
    same = torch.tensor([[p == q for q in BONE_PAIRS] for p in BONE_PAIRS], device=mean.device)
    return mean @ (same / same.sum(0)).to(mean.dtype)

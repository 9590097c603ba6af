"""The vertical of a camera of unknown tilt: along the legs of a standing person.

The poses are the mean of a few draws of the default weights. Over a clip, the axis from between the
ankles to between the hips is vertical within 4 degrees on people whom no weights were trained on
(SD of pitch and of roll, 24 clips of ``val-people-clean``), where a level camera is off by 11.
Sitting and lying people bias it: an axis more than :data:`MOST_DEG` from the picture's vertical
is rejected.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.diffusion import seeded_noise
from hypopose.networks.load import load_network
from hypopose.samplers.distributional import DistributionalDiffusion
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D

WEIGHTS = "distributional-frame-small"
"""Weights whose poses are looked at."""

N_DRAWS = 6
"""Draws that are averaged."""

MOST_DEG = 35.0
"""No camera is believed to be tilted further."""

HIPS, ANKLES = (1, 4), (3, 6)


@lru_cache(maxsize=1)
def _lifter() -> DistributionalDiffusion:
    network = load_network(WEIGHTS)
    return DistributionalDiffusion(network, n_steps=1, frame_noise_scale=0.0)


def standing_rotation(keypoints: Keypoints2D) -> Float[Tensor, "3 3"] | None:
    """World (z up, y away from the camera) to camera, from the legs of a standing person.

    Args:
        keypoints: One clip of Human3.6M-17 keypoints with a camera.

    Returns:
        A rotation; None for another skeleton, or if no one stands.
    """
    if keypoints.skeleton.name != H36M17.name or not bool(keypoints.detected.any()):
        return None
    poses = _lifter().sample(keypoints, N_DRAWS, seeded_noise(0)).joints.double()
    up = (poses[..., HIPS, :] - poses[..., ANKLES, :]).mean((0, 1, 2))
    up = functional.normalize(up, dim=0)
    if not float(-up[1]) > math.cos(math.radians(MOST_DEG)):
        return None
    return upright(up)


def upright(up: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """The world whose z axis is ``up`` in the camera frame and whose y axis points away from it.

    Example:
        >>> upright(torch.tensor([0.0, -1.0, 0.0])).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    """
    ahead = torch.tensor([0.0, 0.0, 1.0]).to(up)
    away = functional.normalize(ahead - (ahead @ up) * up, dim=0)
    return torch.stack([torch.linalg.cross(away, up), away, up], 1) + 0.0

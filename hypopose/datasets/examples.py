"""A tiny built-in clip: a walker made of sine waves, seen by a known camera. No data needed.

The motion is synthetic: joint angles are sines with anatomical amplitudes (hips ±25°, knees 5 to
60°, arms against legs), bone lengths are round numbers. It looks like a walk, and its joints are
the exact truth of its keypoints, for examples and tests.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import project
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D, Poses3D

FPS = 25.0
_STRIDE_S = 1.1
_SPEED = 1.2  # meters a second
_TRUNK = ((0.02, 0.0, 0.24), (0.04, 0.0, 0.48), (0.08, 0.0, 0.58), (0.09, 0.0, 0.70))


def _swing(origin: Tensor, angle: Tensor, length: float) -> Tensor:
    """A point hanging ``length`` below ``origin``, turned forwards by ``angle``."""
    step = torch.stack((angle.sin(), torch.zeros_like(angle), -angle.cos()), -1)
    return origin + length * step


def _limb(origin: Tensor, angles: tuple[Tensor, Tensor], lengths: tuple[float, float]) -> Tensor:
    middle = _swing(origin, angles[0], lengths[0])
    return torch.stack((origin, middle, _swing(middle, angles[1], lengths[1])), -2)


def example_motion(n_frames: int = 50) -> Float[Tensor, "F 17 3"]:
    """A synthetic walk along +x in the world (meters, z up, left is +y).

    Args:
        n_frames: Length at 25 frames per second.

    Returns:
        Human3.6M-17 joints.

    Example:
        >>> example_motion(10).shape
        torch.Size([10, 17, 3])
    """
    t = torch.arange(n_frames) / FPS
    phase = 2 * math.pi * t / _STRIDE_S
    rise = 0.93 + 0.02 * (2 * phase).cos()
    pelvis = torch.stack((_SPEED * (t - t.mean()), 0.02 * phase.sin(), rise), -1)
    twist = 0.10 * phase.sin()  # the pelvis turns with the leading leg, the chest against it
    limbs = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip_angle = 0.05 + sign * 0.44 * phase.sin()
        knee = 0.35 - sign * 0.30 * (phase - 0.9).cos() + 0.20 * (2 * phase).cos().clamp(min=0)
        hip = pelvis + _across(0.12 * sign, twist)
        limbs[f"{side}_leg"] = _limb(hip, (hip_angle, hip_angle - knee), (0.44, 0.43))
        shoulder = pelvis + _across(0.17 * sign, -twist) + torch.tensor([0.04, 0.0, 0.48])
        arm = 0.02 - sign * 0.35 * phase.sin()
        limbs[f"{side}_arm"] = _limb(shoulder, (arm, arm + 0.45), (0.29, 0.26))
    trunk = [pelvis + torch.tensor(offset) for offset in _TRUNK]
    parts = [pelvis[:, None], limbs["right_leg"], limbs["left_leg"], torch.stack(trunk, -2)]
    return torch.cat([*parts, limbs["left_arm"], limbs["right_arm"]], -2)


def _across(half_width: float, twist: Tensor) -> Tensor:
    """A point beside the midline after turning about the vertical."""
    return half_width * torch.stack((-twist.sin(), twist.cos(), torch.zeros_like(twist)), -1)


def example_pair(n_frames: int = 50) -> tuple[Keypoints2D, Poses3D]:
    """The synthetic walk: exact keypoints, and the camera-frame truth they come from.

    The camera (1000 × 1000 px, focal length 1145 px) stands 4.5 m away, 1.6 m high, sees the
    walker obliquely from the front, and looks 8 degrees down.

    Args:
        n_frames: Length at 25 frames per second.

    Returns:
        Keypoints with their camera, and the truth with its root.

    Example:
        >>> keypoints, truth = example_pair()
        >>> keypoints.xy.shape, truth.joints.shape
        (torch.Size([50, 17, 2]), torch.Size([50, 17, 3]))
    """
    yaw, pitch = math.radians(35.0), math.radians(8.0)
    forward = torch.tensor(
        [-math.cos(yaw) * math.cos(pitch), -math.sin(yaw) * math.cos(pitch), -math.sin(pitch)]
    )
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0]))
    right = right / right.norm()
    rotation = torch.stack((right, torch.linalg.cross(forward, right), forward))
    center = torch.tensor([0.0, 0.0, 0.95]) - 4.5 * forward
    joints = (example_motion(n_frames) - center) @ rotation.T
    camera = Camera(torch.tensor([1145.0, 1145.0]), torch.tensor([500.0, 500.0]), (1000, 1000))
    keypoints = Keypoints2D(
        project(joints, camera),
        H36M17,
        confidence=torch.ones(joints.shape[:-1]),
        camera=camera,
        image_size=camera.image_size,
        fps=FPS,
    )
    root = joints[:, 0]
    return keypoints, Poses3D(joints - root[:, None], H36M17, root=root)

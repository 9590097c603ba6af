"""Hypothesis strategies: cameras, poses, keypoints, skeletons. All float64, on the CPU.

Tensors are drawn through a seed, so that examples are ordinary people in front of ordinary cameras
rather than arrays of extreme floats.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from hypopose.cameras import project, rotation_from_quaternion
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Camera, DistortionModel, Keypoints2D, Skeleton

DISTORTION_MODELS: tuple[DistortionModel, ...] = ("none", "opencv", "h36m", "vp3d")

seeds = st.integers(0, 2**31)
skeletons = st.sampled_from(list(SKELETONS.values()))

_BONES_M = {
    "right_hip": 0.12, "left_hip": 0.12, "right_knee": 0.44, "left_knee": 0.44,
    "right_ankle": 0.44, "left_ankle": 0.44, "spine": 0.23, "thorax": 0.25, "neck": 0.12,
    "head": 0.11, "left_shoulder": 0.15, "right_shoulder": 0.15, "left_elbow": 0.28,
    "right_elbow": 0.28, "left_wrist": 0.25, "right_wrist": 0.25,
}  # fmt: skip


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def uniforms(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def random_camera(
    seed: int, model: DistortionModel = "none", batch: tuple[int, ...] = ()
) -> Camera:
    """A lens of moderate distortion, anywhere in the world; 43 to 90 degrees wide."""
    x = torch.rand((*batch, 20), generator=generator(seed), dtype=torch.float64) * 2 - 1
    size = (1920, 1080)
    lens = x[..., :5] * torch.tensor([0.1, 0.02, 0.003, 0.003, 0.003], dtype=torch.float64)
    rotation = rotation_from_quaternion(x[..., 5:9])
    return Camera(
        focal=1700 + 700 * x[..., 9:11],
        center=torch.tensor([960.0, 540.0], dtype=torch.float64) + 40 * x[..., 11:13],
        image_size=size,
        distortion=None if model == "none" else lens,
        distortion_model=model,
        rotation=rotation,
        translation=5 * x[..., 13:16],
    )


def random_pose(seed: int, *batch: int) -> Tensor:
    """Root-relative joints of :data:`H36M17` with human bone lengths and any bone directions."""
    directions = normals(seed, *batch, 17, 3)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    joints = [torch.zeros((*batch, 3), dtype=torch.float64)]
    for j, parent in enumerate(H36M17.parents[1:], start=1):
        bone = _BONES_M[H36M17.joint_names[j]]
        joints.append(joints[parent] + bone * directions[..., j, :])
    return torch.stack(joints, -2)


def random_root(seed: int, *batch: int) -> Tensor:
    """Places 3 to 7 m in front of the camera, within its view."""
    x = torch.rand((*batch, 3), generator=generator(seed), dtype=torch.float64) * 2 - 1
    z = 5 + 2 * x[..., 2:]
    return torch.cat((0.25 * x[..., :2] * z, z), -1)


def random_keypoints(seed: int, skeleton: Skeleton, *batch: int) -> Keypoints2D:
    """Scattered pixels and confidences; ``batch`` ends with the number of frames."""
    xy = 500 + 100 * normals(seed, *batch, skeleton.n_joints, 2)
    confidence = torch.rand(xy.shape[:-1], generator=generator(seed + 1), dtype=torch.float64)
    return Keypoints2D(xy, skeleton, confidence=confidence)


def seen_by(camera: Camera, joints: Tensor, root: Tensor) -> Keypoints2D:
    """Exact keypoints of a motion."""
    return Keypoints2D(project(joints + root[..., None, :], camera), H36M17, camera=camera)


cameras = st.builds(random_camera, seeds, st.sampled_from(DISTORTION_MODELS))
poses = st.builds(random_pose, seeds, st.integers(1, 5))
keypoints = st.builds(random_keypoints, seeds, skeletons, st.integers(1, 5))

"""A body whose left arm points at the camera, so that a mirror image would show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hypopose.io import Result
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

# Camera frame (x right, y down, z forward): facing the camera, so the person's left is at x > 0.
STANDING = {
    "pelvis": (0, 0, 0), "right_hip": (-0.1, 0, 0), "right_knee": (-0.1, 0.45, 0),
    "right_ankle": (-0.1, 0.9, 0.02), "left_hip": (0.1, 0, 0), "left_knee": (0.1, 0.45, -0.02),
    "left_ankle": (0.1, 0.9, 0), "spine": (0, -0.25, 0.02), "thorax": (0, -0.5, 0),
    "neck": (0, -0.6, -0.05), "head": (0, -0.75, 0), "left_shoulder": (0.2, -0.5, 0),
    "left_elbow": (0.45, -0.5, 0), "left_wrist": (0.45, -0.5, -0.25),
    "right_shoulder": (-0.2, -0.5, 0), "right_elbow": (-0.2, -0.2, 0),
    "right_wrist": (-0.2, 0.05, 0),
}  # fmt: skip

N_FRAMES, N_HYPOTHESES = 12, 3


# A world with z up, as laboratories have it, seen by a camera that is tilted a little.
_TILT = np.radians(10)
_LEVEL = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_NOD = np.array([[1, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT)], [0, np.sin(_TILT), np.cos(_TILT)]])
WORLD_TO_CAMERA = torch.tensor(_NOD @ _LEVEL, dtype=torch.float32)


def make_result() -> Result:
    """Turning on the spot while walking away, hypotheses around it, a calibrated camera."""
    g = torch.Generator().manual_seed(0)
    body = torch.tensor([STANDING[name] for name in H36M17.joint_names], dtype=torch.float32)
    angle = torch.linspace(0, 2.5, N_FRAMES)
    cos, sin, zero, one = angle.cos(), angle.sin(), 0 * angle, 1 + 0 * angle
    turn = torch.stack((cos, zero, sin, zero, one, zero, -sin, zero, cos), -1).view(-1, 3, 3)
    motion = torch.einsum("fab,jb->fja", turn, body)
    noise = 0.03 * torch.randn(N_HYPOTHESES, N_FRAMES, 17, 3, generator=g)
    joints = motion + noise
    joints = joints - joints[:, :, :1]
    path = torch.stack((0.3 + 0.02 * angle, 0.1 * one, 4 + 0.3 * angle), -1)
    roots = path + 0.02 * torch.randn(N_HYPOTHESES, N_FRAMES, 3, generator=g)
    camera = replace(
        Camera.from_fov((640, 480)),
        rotation=WORLD_TO_CAMERA,
        translation=torch.tensor([0.1, 1.2, 3.0]),
        assumed=False,
    )
    keypoints = Keypoints2D(
        torch.rand(N_FRAMES, 17, 2, generator=g) * 400,
        H36M17,
        confidence=torch.rand(N_FRAMES, 17, generator=g),
        camera=camera,
        image_size=(640, 480),
        fps=25.0,
    )
    return Result(
        hypotheses=Hypotheses(joints, H36M17, roots),
        pose=Poses3D(joints.mean(0), H36M17, roots.mean(0), joints.std(0)),
        keypoints=keypoints,
        seed=3,
        sampler={"name": "boneflips"},
        aggregate="mean",
        source="walk.json",
        version="1.2.3",
    )


def placed(result: Result, hypothesis: int | None = None) -> np.ndarray:
    """Camera-frame meters with the root added."""
    if hypothesis is None:
        joints, root = result.pose.joints, result.pose.root
    else:
        joints, root = result.hypotheses.joints[hypothesis], result.hypotheses.root[hypothesis]
    return (joints + root[:, None]).double().numpy()


def y_up(x: np.ndarray) -> np.ndarray:
    """Half a turn about x, written out."""
    return np.stack((x[..., 0], -x[..., 1], -x[..., 2]), -1)


def z_up(x: np.ndarray) -> np.ndarray:
    """A quarter turn about x, written out."""
    return np.stack((x[..., 0], x[..., 2], -x[..., 1]), -1)


def handedness(x: np.ndarray) -> np.ndarray:
    """The sign of left x (up x forward): a rotation keeps it, a mirror turns it round."""
    at = dict(zip(H36M17.joint_names, np.moveaxis(x, -2, 0), strict=True))
    left = at["left_hip"] - at["right_hip"]
    up = at["head"] - at["pelvis"]
    forward = at["left_wrist"] - at["left_elbow"]
    return np.sign((left * np.cross(up, forward)).sum(-1))


def constant_bones(x: np.ndarray) -> np.ndarray:
    """Every bone at its trimmed mean length and its own direction; written anew, joint by joint."""
    out = np.empty_like(x)
    for j, parent in enumerate(H36M17.parents):
        if parent < 0:
            out[:, j] = x[:, j]
            continue
        bone = x[:, j] - x[:, parent]
        length = np.linalg.norm(bone, axis=-1)
        kept = np.sort(length)[int(0.1 * len(length)) : len(length) - int(0.1 * len(length))]
        out[:, j] = out[:, parent] + kept.mean() * bone / length[:, None]
    return out

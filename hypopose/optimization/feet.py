"""Heels and big toes from their 2D points, given ankles: a small prior, no network.

A foot is assumed rigid: heel and toe have fixed positions relative to the ankle, and the foot
flexes and turns against the shank (:mod:`hypopose.optimization.foot_angles`). Each hypothesis draws
a path of both that explains the points:

=======================  =========================================================================
prior                    value
=======================  =========================================================================
foot                     heel 0.030 of stature behind and 0.033 below the ankle, toe 0.115 ahead and
                         0.030 below: between Winter (2009, figure 4.1) and points of detectors
size of the foot         each hypothesis its own, ± 8 %, and each point ± 0.006 of stature
ankle flexion            -5 ± 17 degrees about the foot square to the shank
turn                     ± 12 degrees about where knee and body face
=======================  =========================================================================

2D points are taken relative to the 2D ankle, whose distance to the hypothesis' ankle is a median
over 0.5 s, since a hypothesis' ankle need not lie on its ray and detected ankles jump. A foot whose
points are not seen follows the prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import hypothesis_camera, rays
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.optimization.foot_angles import Foot, draw_angles
from hypopose.skeletons import H36M17, H36M21
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, NoiseSource

FOOT = (("heel",), ("big_toe", "foot_index", "toe"))
"""Words for heel and toe in skeletons of detectors."""

ALONG, BELOW = (-0.030, 0.115), (0.033, 0.030)
"""Heel and toe ahead of the ankle and below it, over stature."""

SIZE_STD, POINT_STD = 0.08, 0.006
"""Of the foot's size, and of each point's place over stature."""

FLEXION_DEG = -5.0
"""Mean ankle flexion."""

SHIFT_S = 0.5
"""Seconds of the median of how far a hypothesis' ankle is from the detected one."""


def foot_points(keypoints: Keypoints2D) -> list[tuple[int, int]] | None:
    """Columns of heel and toe, left then right; None if the skeleton has no feet.

    Example:
        >>> from hypopose.skeletons import BODY25
        >>> foot_points(Keypoints2D(torch.zeros(1, 25, 2), BODY25))
        [(21, 19), (24, 22)]
    """
    names = keypoints.skeleton.joint_names
    found = []
    for side in ("left", "right"):
        heel, toe = (
            next((names.index(n) for n in (f"{side}_{w}" for w in words) if n in names), None)
            for words in FOOT
        )
        if heel is None or toe is None:
            return None
        found.append((heel, toe))
    return found


def lift_feet(
    hypotheses: Hypotheses, keypoints: Keypoints2D, height: Tensor, noise: NoiseSource
) -> Hypotheses:
    """Hypotheses with heels and big toes.

    Args:
        hypotheses: ``h36m17`` with roots, one person ``(H, F, 17, 3)``.
        keypoints: As detected, with heels and toes and the camera of the hypotheses.
        height: Stature of each hypothesis in meters, ``(H)``.
        noise: Of sizes, offsets and paths.

    Returns:
        The same joints and four more, ``h36m21``.

    Raises:
        SkeletonMismatchError: If the hypotheses are in another skeleton.
        OptionError: If the keypoints have no feet or ankles, or there are no roots.
        MissingCameraError: If the keypoints have no camera.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.skeletons import BODY25
        >>> keypoints, truth = example_pair(5)
        >>> feet = replace(keypoints, xy=torch.full((5, 25, 2), torch.nan), skeleton=BODY25,
        ...                confidence=None)
        >>> x = Hypotheses(truth.joints.expand(3, 5, 17, 3), H36M17, truth.root.expand(3, 5, 3))
        >>> lift_feet(x, feet, torch.full((3,), 1.7), seeded_noise(0)).joints.shape
        torch.Size([3, 5, 21, 3])
    """
    columns = _checked(hypotheses, keypoints)
    assert hypotheses.root is not None
    H, F = hypotheses.joints.shape[:2]
    drawn = noise((H, F, 2, 11)).double()
    placed = (hypotheses.joints + hypotheses.root[..., None, :]).double()
    parts = [
        _lift_one(placed, hypotheses, keypoints, side, pair, height.double(), own)
        for side, pair, own in zip(("left", "right"), columns, drawn.unbind(2), strict=True)
    ]
    root = hypotheses.root[..., None, :].double()
    feet = torch.cat([part - root for part in parts], -2).to(hypotheses.joints)
    return replace(hypotheses, joints=torch.cat((hypotheses.joints, feet), -2), skeleton=H36M21)


def _checked(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Sequence[tuple[int, int]]:
    if hypotheses.skeleton != H36M17 or hypotheses.joints.dim() != 4:
        raise SkeletonMismatchError(
            f"Feet are added to one person's 'h36m17', not to {hypotheses.skeleton.name!r}; sample "
            "with a sampler of Human3.6M's joints."
        )
    if keypoints.camera is None:
        raise MissingCameraError(
            "Feet are lifted along the rays of their points, but these keypoints carry no camera. "
            "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    columns = foot_points(keypoints)
    ankles = {"left_ankle", "right_ankle"} <= set(keypoints.skeleton.joint_names)
    if columns is None or not ankles or hypotheses.root is None:
        raise OptionError(
            f"The keypoints ({keypoints.skeleton.name}) have no heels and toes, or there is no "
            "root; feet need BODY_25, Halpe-26, COCO-WholeBody or MediaPipe. Leave out feet."
        )
    return columns


def _lift_one(
    placed: Float[Tensor, "H F 17 3"],
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    side: str,
    pair: tuple[int, int],
    height: Float[Tensor, " H"],
    drawn: Float[Tensor, "H F 11"],
) -> Float[Tensor, "H F 2 3"]:
    """Heel and toe of one foot."""
    ankle = placed[..., H36M17.index(f"{side}_ankle"), :]
    fps = keypoints.fps or ASSUMED_FPS
    slope, seen = _against_ankle(hypotheses, keypoints, side, pair, ankle, fps)
    size = (height * (SIZE_STD * drawn[:, 0, 6]).exp())[:, None]
    along, below = (
        size * (torch.tensor(mean).double() + POINT_STD * own)
        for mean, own in zip((ALONG, BELOW), drawn[:, 0, 7:].chunk(2, -1), strict=True)
    )
    axes = _shank_axes(placed, side)
    foot = Foot(axes, _array(along), _array(below), slope, _array(ankle[..., 2]))
    angles = draw_angles(
        foot,
        seen,
        _trust(keypoints, pair),
        np.array([np.radians(FLEXION_DEG), 0.0]),
        _array(height),
        _array(drawn[..., :6]),
        1 / fps,
    )
    return torch.from_numpy(foot.points(angles)) + ankle[..., None, :]


def _array(x: Tensor) -> NDArray[np.float64]:
    return np.ascontiguousarray(x.detach().cpu().double().numpy())


def _shank_axes(placed: Float[Tensor, "H F 17 3"], side: str) -> Float[np.ndarray, "H F 3 3"]:
    """Ahead, to the side and down the shank; a bent knee says where ahead is, and the body."""
    hip, knee, ankle, left, right, pelvis, thorax = (
        placed[..., H36M17.index(name), :]
        for name in (
            *(f"{side}_{joint}" for joint in ("hip", "knee", "ankle")),
            "left_hip", "right_hip", "pelvis", "thorax",
        )
    )  # fmt: skip
    down = functional.normalize(ankle - knee, dim=-1)
    forward = functional.normalize(torch.linalg.cross(left - right, thorax - pelvis), dim=-1)
    ahead = forward + functional.normalize(knee - hip, dim=-1)
    ahead = functional.normalize(ahead - (ahead * down).sum(-1, keepdim=True) * down, dim=-1)
    return _array(torch.stack((ahead, torch.linalg.cross(ahead, down), down), -2))


def _against_ankle(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    side: str,
    pair: tuple[int, int],
    ankle: Float[Tensor, "H F 3"],
    fps: float,
) -> tuple[Float[np.ndarray, "H F 2"], Float[np.ndarray, "H F 2 2"]]:
    """Slope of each hypothesis' ankle; heel and toe against it in meters at its depth."""
    assert keypoints.camera is not None
    camera = hypothesis_camera(hypotheses, keypoints.camera)
    camera = replace(camera, rotation=None, translation=None)
    columns = [*pair, keypoints.skeleton.index(f"{side}_ankle")]
    H, F = ankle.shape[:2]
    px = keypoints.xy[:, columns].expand(H, F, 3, 2)
    lines = _array(rays(px, camera))[..., :2]
    slope = _array(ankle[..., :2] / ankle[..., 2:])
    shift = _running_median(slope - lines[:, :, 2], 1 + 2 * round(SHIFT_S * fps / 2))
    seen = lines[:, :, :2] + (shift - slope)[:, :, None]
    return slope, seen * _array(ankle[..., 2])[..., None, None]


def _running_median(x: Float[np.ndarray, "H F 2"], width: int) -> Float[np.ndarray, "H F 2"]:
    """Median over an odd number of frames; over all frames where it is unknown, 0 if all are."""
    import warnings

    half, found = width // 2, np.empty_like(x)
    for own, into in zip(x, found, strict=True):  # one at a time, for long recordings
        padded = np.pad(own, ((half, half), (0, 0)), constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nothing observed
            near, over_all = np.nanmedian(windows, -1), np.nanmedian(own, 0)
        into[:] = np.where(np.isfinite(near), near, over_all)
    return np.where(np.isfinite(found), found, 0.0)


def _trust(keypoints: Keypoints2D, pair: tuple[int, int]) -> Float[np.ndarray, "F 2"]:
    """Confidence of heel and toe, 1 where there is none."""
    if keypoints.confidence is None:
        return np.ones((keypoints.n_frames, 2))
    return np.nan_to_num(_array(keypoints.confidence[:, list(pair)])).clip(0, 1)

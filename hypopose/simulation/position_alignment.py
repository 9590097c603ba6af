"""Global position alignment: put source motions where target keypoints say people stand.

Chai, Jiang, Hwang and Wang, "Global Adaptation meets Local Generalization: Unsupervised Domain
Adaptation for 3D Human Pose Estimation", ICCV 2023 (PoseDA), section 3.2. Networks trained on one
data set's places in the image fail on another's. A pose of the source is paired with keypoints of
the target at random and moved to where it would look as large and stand where they do; seen by the
target's camera it becomes training data for it. Nothing is learned.

| paper, released function | here |
| --- | --- |
| X, source 3D | ``joints`` |
| Y, target 2D | ``keypoints`` |
| s = (w + h) / 2 of the 2D box | ``_box`` of the keypoints |
| z = (fx dx + fy dy) / (2 s) | ``depth`` |

Departures from the published function: every pair uses its own camera for the depth too (it takes
the first one's for all); pixels and any lens instead of screen coordinates; joints that are missing
are left out of the box; pairs without a box, or which end closer than a meter, are dropped instead
of divided by zero. The depth is orthographic: all joints count as if at the root's depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.cameras import project, rays
from hypopose.cameras.distortion import lead
from hypopose.errors import ShapeError
from hypopose.types import Camera, Skeleton

NEAREST = 1.0
"""Meters: closer pairs are dropped."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Source poses in the places of target keypoints.

    Args:
        joints: Camera frame, meters, placed.
        xy: The same, as the target's camera sees them, in pixels.
        kept: Which pairs can be used; the others hold NaN.
    """

    joints: Float[Tensor, "*any J 3"]
    xy: Float[Tensor, "*any J 2"]
    kept: Bool[Tensor, "*any"]


def global_position_alignment(
    joints: Float[Tensor, "*any J 3"],
    keypoints: Float[Tensor, "*any J 2"],
    camera: Camera,
    skeleton: Skeleton,
    nearest: float = NEAREST,
) -> Placed:
    """Move poses to where keypoints stand, and look at them there.

    Args:
        joints: Source poses in meters, in axes of a camera; where they stand does not matter.
        keypoints: Target keypoints in pixels, already paired; NaN where
            undetected. A pair whose root is undetected is dropped.
        camera: The target's; its batch axes lead.
        skeleton: Of both.
        nearest: Pairs whose root ends up closer than this, in meters, are dropped.

    Returns:
        Placed poses, their projections, and which pairs are usable.

    Raises:
        ShapeError: If joints and keypoints do not belong together or to the skeleton.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> camera = Camera.from_fov((1000, 1000))
        >>> pose = torch.randn(2, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.3
        >>> seen = torch.tensor([400.0, 600.0]) + 100 * torch.rand(2, 17, 2)
        >>> placed = global_position_alignment(pose, seen, camera, H36M17)
        >>> torch.allclose(placed.xy[:, 0], seen[:, 0], atol=1e-2)
        True
    """
    if joints.shape[:-1] != keypoints.shape[:-1] or joints.shape[-2] != skeleton.n_joints:
        raise ShapeError(
            f"Joints {tuple(joints.shape)} and keypoints {tuple(keypoints.shape)} must agree and "
            f"have the {skeleton.n_joints} joints of {skeleton.name!r}."
        )
    (dx, dy), (w, h) = _box(joints).unbind(-1), _box(keypoints).unbind(-1)
    fx, fy = lead(camera.focal, dx[..., None]).expand(*dx.shape, 2).unbind(-1)
    depth = (fx * dx + fy * dy) / (w + h)
    ray = rays(keypoints, camera)[..., skeleton.root, :]
    root = ray * depth[..., None]
    placed = joints - joints[..., [skeleton.root], :] + root[..., None, :]
    kept = torch.isfinite(root).all(-1) & (depth >= nearest)
    kept = kept & (placed[..., 2] > 0).all(-1) & torch.isfinite(placed).all(-1).all(-1)
    placed = torch.where(kept[..., None, None], placed, torch.nan)
    return Placed(placed, project(placed, camera), kept)


def _box(points: Tensor) -> Tensor:
    """Width and height of the box around the joints; NaN without size."""
    xy = points[..., :2]
    seen = torch.isfinite(xy).all(-1, keepdim=True)
    low = torch.where(seen, xy, torch.inf).amin(-2)
    high = torch.where(seen, xy, -torch.inf).amax(-2)
    size = high - low
    return torch.where(torch.isfinite(size) & (size > 0), size, torch.nan)

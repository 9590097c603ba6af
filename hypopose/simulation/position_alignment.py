"""Global position alignment: move source motions to the positions of people in the target.

Chai, Jiang, Hwang and Wang, "Global Adaptation meets Local Generalization: Unsupervised Domain
Adaptation for 3D Human Pose Estimation", ICCV 2023 (PoseDA), section 3.2. Networks trained on one
data set's image positions fail on another's. A pose of the source is paired with keypoints of the
target at random and moved to where it would look as large and stand where they do; seen by the
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

PoSynDA's target-specific source augmentation (Liu et al., ACM MM 2023) is the same step with the
pairing inside: :func:`redistribute`. Its paper also decouples people's size from their position;
the released code leaves sizes alone. Here ``sizes`` draws a factor for every body: the larger ones
are placed farther away and look as large as the keypoints, with less perspective. Departures from
the released code: every row of the larger side can be chosen, where it always took the first ones;
keypoints and camera are both in pixels, where its script mixes screen coordinates with pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hypopose.cameras import project, rays
from hypopose.cameras.distortion import lead
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Camera, Skeleton

Pairs = tuple[Int[Tensor, " n"], Int[Tensor, " n"]]
"""Rows of the source and the rows of the target they are paired with."""

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
        joints: Source poses in meters, in a camera's axes; their position is not used.
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
    ray = rays(keypoints, camera)[..., skeleton.root, :]
    # Pairs that cannot be placed get harmless numbers first: NaN would reach the others' gradients.
    usable = torch.isfinite(ray).all(-1) & torch.isfinite(w + h)
    depth = (fx * dx + fy * dy) / torch.where(usable, w + h, 1.0)
    root = torch.where(usable[..., None], ray, 0.0) * depth[..., None]
    placed = joints - joints[..., [skeleton.root], :] + root[..., None, :]
    kept = usable & torch.isfinite(depth) & (depth >= nearest)
    kept = kept & (placed[..., 2] > 0).all(-1) & torch.isfinite(placed).all(-1).all(-1)
    placed = torch.where(kept[..., None, None], placed, torch.nan)
    return Placed(placed, project(placed, camera), kept)


def random_pairs(n_source: int, n_target: int, generator: torch.Generator) -> Pairs:
    """Pair rows at random: every row of the smaller side once, some of the larger.

    Args:
        n_source: Rows of the source.
        n_target: Rows of the target.
        generator: Source of the pairing.

    Returns:
        Indices of the source and of the target.

    Example:
        >>> source, target = random_pairs(3, 5, torch.Generator().manual_seed(0))
        >>> source.tolist(), len(set(target.tolist()))
        ([0, 1, 2], 3)
    """
    n = min(n_source, n_target)
    order = torch.randperm(max(n_source, n_target), generator=generator, device=generator.device)
    straight = torch.arange(n, device=generator.device)
    return (straight, order[:n]) if n_source <= n_target else (order[:n], straight)


def redistribute(
    joints: Float[Tensor, "N J 3"],
    keypoints: Float[Tensor, "M J 2"],
    camera: Camera,
    skeleton: Skeleton,
    generator: torch.Generator | None = None,
    *,
    pairs: Pairs | None = None,
    sizes: tuple[float, float] = (1.0, 1.0),
    nearest: float = NEAREST,
) -> Placed:
    """Pair source poses with target keypoints, draw their sizes, and place them there.

    Args:
        joints: Source poses in meters, in axes of a camera.
        keypoints: Target keypoints in pixels; NaN where undetected.
        camera: The target's, one for all.
        skeleton: Of both.
        generator: Source of pairs and sizes.
        pairs: Rows to pair; drawn if None.
        sizes: Least and greatest factor of a body's size, drawn evenly in the logarithm.
        nearest: Pairs whose root ends up closer than this, in meters, are dropped.

    Returns:
        A placed pose for each pair.

    Raises:
        OptionError: If sizes are not positive and in order, or there is nothing to draw from.
        ShapeError: If the camera has batch axes, or joints are not the skeleton's.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> generator = torch.Generator().manual_seed(0)
        >>> camera = Camera.from_fov((1000, 1000))
        >>> poses = torch.randn(2, 17, 3, generator=generator) * 0.3
        >>> seen = torch.tensor([400.0, 600.0]) + 60 * torch.rand(9, 17, 2, generator=generator)
        >>> redistribute(poses, seen, camera, H36M17, generator, sizes=(0.8, 1.1)).xy.shape
        torch.Size([2, 17, 2])
    """
    if not 0 < sizes[0] <= sizes[1]:
        raise OptionError(f"sizes are positive, the least first, got {sizes}.")
    if generator is None and (pairs is None or sizes[0] < sizes[1]):
        raise OptionError("Pairs and sizes are drawn; give generator=torch.Generator().")
    if camera.focal.dim() > 1:
        raise ShapeError("redistribute takes one camera for all targets, without batch axes.")
    drawn = generator if generator is not None else torch.Generator(joints.device)
    source, target = pairs or random_pairs(len(joints), len(keypoints), drawn)
    own = joints[source] - joints[source][:, [skeleton.root]]
    if sizes != (1.0, 1.0):
        share = torch.rand(len(own), generator=drawn, device=drawn.device)
        factor = sizes[0] * (share * math.log(sizes[1] / sizes[0])).exp()
        own = own * factor[:, None, None].to(own)
    return global_position_alignment(own, keypoints[target], camera, skeleton, nearest)


def align_clips(
    joints: Float[Tensor, "B F J 3"],
    keypoints: Float[Tensor, "B J 2"],
    camera: Camera,
    skeleton: Skeleton,
    nearest: float = NEAREST,
) -> Placed:
    """Move whole clips so that their middle frame stands where keypoints do.

    Ours: the published function places single poses, and a clip of them would jump.

    Args:
        joints: Source motions in meters, in axes of a camera, with the path of the root.
        keypoints: Target keypoints in pixels, one frame for each clip; NaN where undetected.
        camera: The target's; its batch axes lead.
        skeleton: Of both.
        nearest: Clips with a root closer than this in a frame, in meters, are dropped.

    Returns:
        Placed clips, their projections, and for each frame whether its clip is usable.

    Raises:
        ShapeError: If joints and keypoints do not belong together or to the skeleton.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> camera = Camera.from_fov((1000, 1000))
        >>> clips = torch.randn(2, 5, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.1
        >>> seen = torch.tensor([400.0, 600.0]) + 60 * torch.rand(2, 17, 2)
        >>> placed = align_clips(clips, seen, camera, H36M17)
        >>> torch.allclose(placed.xy[:, 2, 0], seen[:, 0], atol=1e-2)
        True
    """
    middle = joints[:, joints.shape[1] // 2]
    one = global_position_alignment(middle, keypoints, camera, skeleton, nearest)
    moved = one.joints[:, skeleton.root] - middle[:, skeleton.root]
    placed = joints + moved[:, None, None]
    far = placed[..., skeleton.root, 2] >= nearest
    kept = (one.kept[:, None] & far & (placed[..., 2] > 0).all(-1)).all(1)
    placed = torch.where(kept[:, None, None, None], placed, torch.nan)
    return Placed(placed, project(placed, camera), kept[:, None].expand(far.shape))


def _box(points: Tensor) -> Tensor:
    """Width and height of the box around the joints; NaN without size."""
    xy = points[..., :2]
    seen = torch.isfinite(xy).all(-1, keepdim=True)
    low = torch.where(seen, xy, torch.inf).amin(-2)
    high = torch.where(seen, xy, -torch.inf).amax(-2)
    size = high - low
    return torch.where(torch.isfinite(size) & (size > 0), size, torch.nan)

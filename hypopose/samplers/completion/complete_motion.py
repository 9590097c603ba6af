"""3D motions without gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.cameras import project
from hypopose.checks import check_positive
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.networks.mpm import MPM
from hypopose.samplers.completion.keypoint_bridging import (
    MEMORY_S,
    between,
    bridged,
    bridged_gaps,
    deviation,
)
from hypopose.samplers.completion.masked_windows import halves, reconstructed, root_everywhere
from hypopose.skeletons import get_skeleton
from hypopose.types import ASSUMED_FPS, Camera, Keypoints2D, NoiseSource, Poses3D, Sampler, Skeleton


@dataclass(frozen=True, eq=False)
class CompletedMotion:
    """A 3D motion without gaps.

    Args:
        poses: Complete, with the standard deviation of what was filled (0 for what was seen).
        filled: Which joints were filled.
    """

    poses: Poses3D
    filled: Bool[Tensor, "F J"]

    @property
    def joints(self) -> Float[Tensor, "F J 3"]:
        """Where the joints are, in the frame of the motion that came."""
        root = self.poses.root
        return self.poses.joints if root is None else self.poses.joints + root[:, None]


@torch.no_grad()
def complete_motion(
    poses: Poses3D,
    sampler: Sampler,
    n_hypotheses: int,
    noise: NoiseSource,
    *,
    fps: float | None = None,
    memory_s: float = MEMORY_S,
) -> CompletedMotion:
    """Fill missing joints of a 3D motion.

    Args:
        poses: Meters, y down (camera frame); NaN where missing. With a root, joints are relative
            to it and both may have gaps.
        sampler: Draws motions in the skeleton of the poses; half of them for each made-up camera.
        n_hypotheses: How many motions are drawn, at least 2; their mean is taken.
        noise: Source of randomness.
        fps: Frames per second; 30 if unknown.
        memory_s: Seconds after which an error at a seen frame counts for 37 %.

    Returns:
        What was known unchanged, the rest filled.

    Raises:
        SkeletonMismatchError: If the sampler draws another skeleton.
        OptionError: If nothing is known, or sizes are not those of a person in meters.
    """
    _check_skeleton(poses.skeleton, sampler.skeleton.name, "3D motions")
    points = poses.joints if poses.root is None else poses.joints + poses.root[:, None]
    seen = _known(points)
    middle = points[seen].median(0).values
    distance = 4.0 + float((points - middle)[seen].norm(dim=-1).amax())
    shift = torch.tensor([0.0, 0.0, distance])
    camera = replace(Camera.from_fov((1000, 1000)), assumed=False)
    sets = []
    for half, longest_s in halves(n_hypotheses):
        parts, plain = [], bridged_gaps(points, fps, longest_s) - middle
        for turn, n in ((_turn(0.0), (half + 1) // 2), (_turn(90.0), half // 2)):
            if n:
                xy = project(plain @ turn.mT + shift, camera)
                view = Keypoints2D(xy, poses.skeleton, camera=camera, fps=fps)
                drawn = sampler.sample(view, n, noise)
                root = root_everywhere(drawn, seen)
                parts.append((drawn.joints + root[..., None, :] - shift) @ turn + middle)
        sets.append(torch.cat(parts))
    return _completed(poses, points, sets[0], fps, memory_s, sets[1])


def complete_motion_by_network(
    poses: Poses3D, network: MPM, *, fps: float | None = None, memory_s: float = MEMORY_S
) -> CompletedMotion:
    """Fill missing joints of a 3D motion with a network of masked poses.

    Args:
        poses: See :func:`complete_motion`.
        network: Trained to complete, in eval mode.
        fps: Frames per second; 30 if unknown.
        memory_s: Seconds after which an error at a seen frame counts for 37 %.

    Raises:
        SkeletonMismatchError: If the network has another skeleton.
        OptionError: If nothing is known, or sizes are not those of a person in meters.
    """
    _check_skeleton(poses.skeleton, network.info.skeleton, "3D motions")
    points = poses.joints if poses.root is None else poses.joints + poses.root[:, None]
    seen, r = _known(points), poses.skeleton.root
    near = torch.where(seen[..., None], points, torch.nan).nanmedian(1).values
    root = between(torch.where(seen[:, r, None], points[:, r], torch.nan))
    root = between(near) if not bool(torch.isfinite(root).all()) else root
    said = reconstructed(network, points - root[:, None], ~seen)
    return _completed(poses, points, (said + root[:, None])[None], fps, memory_s)


def _completed(
    poses: Poses3D,
    points: Float[Tensor, "F J 3"],
    values: Float[Tensor, "H F J 3"],
    fps: float | None,
    memory_s: float,
    others: Float[Tensor, "I F J 3"] | None = None,
) -> CompletedMotion:
    check_positive(memory_s=memory_s)
    seen = torch.isfinite(points).all(-1)
    memory = memory_s * (fps or ASSUMED_FPS)
    moved = bridged(values.to(points), points, seen, poses.skeleton, memory)
    whole = torch.where(seen[..., None], points, moved.mean(0))
    std = torch.full_like(whole, torch.nan)
    if others is not None:
        wide = bridged(others.to(points), points, seen, poses.skeleton, memory)
        std = deviation(torch.cat([moved, wide]), moved.mean(0))
    std = torch.where(seen[..., None], 0.0, std)
    root = whole[:, poses.skeleton.root]
    if poses.root is None:
        return CompletedMotion(Poses3D(whole, poses.skeleton, std=std), ~seen)
    relative = torch.where(
        torch.isfinite(poses.joints).all(-1, keepdim=True) & torch.isfinite(poses.root)[:, None],
        poses.joints,
        whole - root[:, None],
    )
    return CompletedMotion(Poses3D(relative, poses.skeleton, root=root, std=std), ~seen)


def _check_skeleton(given: Skeleton, read: str, what: str) -> None:
    if given.name != read:
        raise SkeletonMismatchError(
            f"This completes {what} in {get_skeleton(read).name!r}, got {given.name!r}; convert "
            "them with hypopose.skeletons.convert."
        )


def _known(points: Float[Tensor, "F J 3"]) -> Bool[Tensor, "F J"]:
    """Where joints are known, and the sizes of a person."""
    seen = torch.isfinite(points).all(-1)
    if not bool(seen.any()):
        raise OptionError("No joint of this motion is known; there is nothing to go by.")
    centered = points - torch.where(seen[..., None], points, torch.nan).nanmedian(1, True).values
    size = float(centered.norm(dim=-1)[seen].quantile(0.95))
    if not 0.1 < size < 3.0:
        raise OptionError(
            f"Joints lie {size:.3g} from the middle of the body: no person in meters. Give meters."
        )
    return seen


def _turn(degrees: float) -> Float[Tensor, "3 3"]:
    """About the vertical."""
    angle = torch.tensor(degrees).deg2rad()
    c, s, zero, one = angle.cos(), angle.sin(), torch.tensor(0.0), torch.tensor(1.0)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c]).reshape(3, 3)

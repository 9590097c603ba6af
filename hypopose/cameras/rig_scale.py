"""Check a rig of cameras against its keypoints: triangulated limbs must have plausible lengths.

Keypoints of several placed cameras are triangulated: the point that is nearest to the rays, in
least squares over ``(I - d dᵀ)(x - c)`` with centers ``c`` and directions ``d``. A unit that is
wrong makes limbs kilometers long; cameras that belong to other files, or frames out of step, make
rays that do not meet.

Reference: Hartley and Sturm, "Triangulation", CVIU 68(2), 1997 (the midpoint method, for n rays).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.projection import rays
from hypopose.types import Keypoints2D

LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
LIMB_RANGE = (0.1, 1.0)
"""Meters that a limb of a person may be long."""
MISS = 0.03
"""How far rays to one joint may pass each other, in distances from the cameras."""
MIN_ANGLE_DEG = 2.0
"""Rays that are closer to parallel meet nowhere in particular."""


@dataclass(frozen=True)
class RigScale:
    """Consistency of cameras and keypoints.

    Args:
        limb: Median length of upper arms, forearms, thighs and shins, in the rig's unit; NaN if no
            limb could be triangulated.
        miss: Median distance of rays from the joint they should meet in, in distances from the
            cameras; NaN if there is none.
    """

    limb: float
    miss: float

    @property
    def plausible(self) -> bool:
        """Whether limbs have a person's length; True if nothing can be told."""
        return not (self.limb < LIMB_RANGE[0] or self.limb > LIMB_RANGE[1])

    @property
    def meets(self) -> bool:
        """Whether rays meet; True if nothing can be told."""
        return not self.miss > MISS

    def unit_words(self) -> str:
        """The unit that would make limbs plausible: ``"mm"``; empty if none or several would."""
        units = {"m": 1.0, "cm": 0.01, "mm": 0.001}
        low, high = LIMB_RANGE
        fitting = [name for name, meters in units.items() if low <= self.limb * meters <= high]
        return fitting[0] if len(fitting) == 1 else ""


def rig_scale(views: Sequence[Keypoints2D]) -> RigScale:
    """Triangulate a person and measure them.

    Args:
        views: One person's keypoints in one skeleton, with placed cameras; frame by frame the same
            moment. Frames beyond the shortest are left out.

    Returns:
        Length of limbs and how well rays meet.
    """
    n_frames = min(view.n_frames for view in views)
    centers, directions = zip(*(_world_rays(view, n_frames) for view in views), strict=True)
    points, miss = nearest_points(torch.stack(centers), torch.stack(directions))
    names = views[0].skeleton.joint_names
    lengths = []
    for side in ("left", "right"):
        for upper, lower in LIMBS:
            ends = (f"{side}_{upper}", f"{side}_{lower}")
            if set(ends) <= set(names):
                a, b = (points[:, names.index(end)] for end in ends)
                lengths.append((a - b).norm(dim=-1))
    limbs = torch.cat(lengths) if lengths else points.new_zeros(0)
    return RigScale(_median(limbs), _median(miss.flatten()))


def nearest_points(
    centers: Float[Tensor, "V 3"], directions: Float[Tensor, "V F J 3"]
) -> tuple[Float[Tensor, "F J 3"], Float[Tensor, "F J"]]:
    """The points nearest to the rays of several cameras.

    Args:
        centers: Of the cameras, in one world.
        directions: Of the rays, any length; NaN where a camera saw nothing.

    Returns:
        Points, NaN where fewer than two cameras saw one or rays are almost parallel; and how far
        the farthest of the rays passes, in distances from its camera.

    Example:
        >>> centers = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
        >>> directions = torch.tensor([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]])[:, None, None]
        >>> nearest_points(centers, directions)[0].round(decimals=3).tolist()
        [[[1.0, 0.0, 1.0]]]
    """
    d = directions.double() / directions.double().norm(dim=-1, keepdim=True)
    c = centers.double()[:, None, None]
    seen = d.isfinite().all(-1)
    d = torch.where(seen[..., None], d, 0.0)
    across = torch.eye(3, dtype=torch.float64) - d[..., :, None] * d[..., None, :]
    across = across * seen[..., None, None]
    total = across.sum(0)
    wanted = (across @ c[..., None]).sum(0)
    # The smallest eigenvalue is about V sin² of half the angle between the rays.
    spread = torch.linalg.eigvalsh(total + 1e-12 * torch.eye(3, dtype=torch.float64))[..., 0]
    known = (seen.sum(0) >= 2) & (
        spread > torch.deg2rad(torch.tensor(MIN_ANGLE_DEG)).sin() ** 2 / 2
    )
    safe = torch.where(known[..., None, None], total, torch.eye(3, dtype=torch.float64))
    points = torch.linalg.solve(safe, wanted)[..., 0]
    points = torch.where(known[..., None], points, torch.nan)
    away = points - c
    along = (away * d).sum(-1, keepdim=True)
    passed = (away - along * d).norm(dim=-1) / along[..., 0].abs().clamp(min=1e-9)
    return points, torch.where(seen, passed, 0.0).amax(0)


def _world_rays(view: Keypoints2D, n_frames: int) -> tuple[Tensor, Tensor]:
    """A camera's place, and directions of its rays in the world."""
    camera = view.camera
    assert camera is not None
    R = torch.eye(3) if camera.rotation is None else camera.rotation
    t = torch.zeros(3) if camera.translation is None else camera.translation
    directions = rays(view.xy[:n_frames], camera) @ R.to(view.xy)
    return -(R.T @ t), directions


def _median(values: Tensor) -> float:
    known = values[values.isfinite()]
    return float(known.median()) if len(known) else float("nan")

"""Which way is up, and where is the floor: a world frame from feet.

A camera's tilt is not in its calibration file. But resting feet are on the floor, and people who
walk, stand and turn are upright on average. So the floor's normal n is estimated near the mean body
axis (ankles to head), close to a plane through the resting feet:

    minimize ``Σ w_i (n · (p_i - c))² / σ_p² + |n - axis|² / σ_a²``

with p_i the lower ankle where it rests, Huber's weights against steps and jumps, σ_p = 5 cm and
σ_a = 8 degrees. Feet that rest in one place leave the axis unchanged; feet that rest in many places
determine it. Near the axis this is linear least squares in three unknowns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.errors import OptionError
from hypopose.types import Camera, Hypotheses, Skeleton

FOOT_STD = 0.05
"""Meters by which resting ankles miss their plane."""

AXIS_STD_DEG = 8.0
"""Degrees by which the mean body axis misses the vertical."""

RESTING = 0.3
"""Share of frames, those with the slowest lower foot, in which it counts as resting."""

N_ROUNDS = 10
"""Rounds of reweighting."""

ANKLE_HEIGHT = 0.08
"""Meters of the ankle joint above the floor."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A world with z up and the floor at z = 0, as the camera sees it.

    Args:
        rotation: World to camera.
        translation: World to camera, meters.
        tilt_std_deg: Standard deviation of the tilt, from the fit and between hypotheses.
        n_resting: Frames whose resting foot decided.
    """

    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]
    tilt_std_deg: float
    n_resting: int

    @property
    def up(self) -> Float[Tensor, "3"]:
        """The vertical in the camera frame."""
        return self.rotation[:, 2]

    def place(self, camera: Camera) -> Camera:
        """The camera, standing in this world.

        Args:
            camera: Without rotation and translation, or with others that are replaced.

        Returns:
            A camera for :func:`hypopose.cameras.cam_to_world`.
        """
        return replace(camera, rotation=self.rotation, translation=self.translation)

    def describe(self) -> str:
        """One line for reports."""
        down = math.degrees(math.asin(max(-1.0, min(1.0, -float(self.up[2])))))
        way = "down" if down >= 0 else "up"
        return (
            f"world frame estimated from feet: camera looks {abs(down):.1f} degrees {way}, "
            f"standard deviation {self.tilt_std_deg:.1f} degrees"
        )


def estimate_ground(hypotheses: Hypotheses) -> Ground:
    """Find up and the floor from where feet rest.

    Args:
        hypotheses: One person, with roots, ``(H, F, J, 3)``; no gaps in time.

    Returns:
        The world: z up, the floor at z = 0, the origin below the first root, x to the camera's
        right.

    Raises:
        OptionError: If there are no roots, batch axes, or fewer than two frames.
        SkeletonMismatchError: If the skeleton has no ankles or no head.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.types import Hypotheses
        >>> _, truth = example_pair()
        >>> one = Hypotheses(truth.joints[None], truth.skeleton, truth.root[None])
        >>> bool(estimate_ground(one).up[1] < -0.7)  # up is against the image's y
        True
    """
    if hypotheses.root is None or hypotheses.joints.dim() != 4 or hypotheses.joints.shape[1] < 2:
        raise OptionError(
            "The floor is found from one person's hypotheses with roots (H, F, J, 3) of two or "
            "more frames; give a camera when sampling."
        )
    placed = (hypotheses.joints + hypotheses.root[..., None, :]).double()
    placed = placed[:, torch.isfinite(placed).all(-1).all(-1).all(0)]
    if placed.shape[1] < 2:
        raise OptionError("No two frames have roots in every hypothesis; the floor is not found.")
    fits = [_fit(motion, hypotheses.skeleton) for motion in placed]
    ups = torch.stack([up for up, *_ in fits])
    up = functional.normalize(ups.mean(0), dim=0)
    within = sum(variance for *_, variance in fits) / len(fits)
    between = float((ups - up).square().sum(-1).mean()) / 2
    floor = torch.stack([height for _, height, _ in fits]).mean()
    rotation, translation = _world(up, floor, placed[:, 0, hypotheses.skeleton.root].mean(0))
    return Ground(
        rotation.float(),
        translation.float(),
        math.degrees(math.sqrt(within + between)),
        _n_resting(placed.shape[1]),
    )


def _fit(
    motion: Float[Tensor, "F J 3"], skeleton: Skeleton
) -> tuple[Float[Tensor, "3"], Float[Tensor, ""], float]:
    """Up, the floor's coordinate along it, and the tilt's variance about one axis in radians²."""
    ankles = motion[:, [skeleton.index("left_ankle"), skeleton.index("right_ankle")]]
    body = motion[:, skeleton.index("head")] - ankles.mean(1)
    axis = functional.normalize(functional.normalize(body, dim=-1).sum(0), dim=0)
    e1 = functional.normalize(torch.linalg.cross(axis, axis.new_tensor([0.0, 0.0, 1.0])), dim=0)
    e2 = torch.linalg.cross(axis, e1)
    foot = _resting(ankles, axis)
    center = foot.mean(0)
    rows = torch.stack([(foot - center) @ e1, (foot - center) @ e2, -torch.ones(len(foot))], -1)
    height = (foot - center) @ axis
    prior = torch.diag(rows.new_tensor([1, 1, 0])) / math.radians(AXIS_STD_DEG) ** 2
    # A resting stretch is one observation however many frames it lasts: two steps a second.
    information = min(1.0, 12 / len(foot)) / FOOT_STD**2
    weights = torch.ones_like(height)
    for _ in range(N_ROUNDS):
        normal = information * (rows * weights[:, None]).mT @ rows + prior
        found = -torch.linalg.solve(normal, information * (rows * weights[:, None]).mT @ height)
        miss = (height + rows @ found).abs()
        weights = FOOT_STD / miss.clamp(min=FOOT_STD)
    up = functional.normalize(axis + found[0] * e1 + found[1] * e2, dim=0)
    variance = torch.linalg.inv(normal)[:2, :2].diagonal().mean()
    return up, up @ center + found[2] - ANKLE_HEIGHT, float(variance)


def _n_resting(n_frames: int) -> int:
    return max(2, round(RESTING * (n_frames - 1)))


def _resting(ankles: Float[Tensor, "F 2 3"], axis: Float[Tensor, "3"]) -> Float[Tensor, "n 3"]:
    """The lower ankle in the frames where it moves least."""
    lower = (ankles @ axis).argmin(-1)
    at = torch.arange(len(ankles))
    foot = ankles[at, lower]
    speed = (ankles[1:] - ankles[:-1]).norm(dim=-1)[at[:-1], lower[:-1]]
    return foot[:-1][speed.argsort(stable=True)[: _n_resting(len(ankles))]]


def _world(
    up: Float[Tensor, "3"], floor: Float[Tensor, ""], root: Float[Tensor, "3"]
) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """World-to-camera rotation and translation; columns of R are the world's axes."""
    right = up.new_tensor([1.0, 0.0, 0.0])
    x = functional.normalize(right - (right @ up) * up, dim=0)
    rotation = torch.stack((x, torch.linalg.cross(up, x), up), -1)
    return rotation, root - (root @ up - floor) * up

"""The argument of quantities: a motion with a known vertical."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.errors import OptionError, ShapeError
from hypopose.types import Skeleton

SIDES = ("left", "right")


@dataclass(frozen=True, eq=False)
class BodyMotion:
    """Joints of one or many motions, z up, as quantities read them.

    Convention:
        Meters; x and y are level, z points up, right-handed. To an observer who looks along the
        person's forward direction, left is left: ``forward = left × up``.

    Args:
        joints: Joint positions; leading axes, such as hypotheses, are measured alike.
        skeleton: The joint set.
        fps: Frames per second; None if unknown.
        placed: Whether the joints are at their places in one frame of reference. False: they are
            relative to the root of their own frame.

    Raises:
        ShapeError: If the joints are not ``(*batch, F, J, 3)`` of the skeleton.
        OptionError: If fps is not positive.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(25), H36M17, fps=25.0)
        >>> walk.at("left_knee").shape
        torch.Size([25, 3])
    """

    joints: Float[Tensor, "*batch F J 3"]
    skeleton: Skeleton
    fps: float | None = None
    placed: bool = True

    def __post_init__(self) -> None:
        x = self.joints
        if x.dim() < 3 or x.shape[-1] != 3 or x.shape[-2] != self.skeleton.n_joints:
            raise ShapeError(
                f"BodyMotion.joints must be (*batch, F, {self.skeleton.n_joints}, 3) for skeleton "
                f"{self.skeleton.name!r}, got {tuple(x.shape)}."
            )
        if self.fps is not None and not 0 < self.fps < 100_000:
            raise OptionError(f"fps must be positive and below 100,000, got {self.fps:g}.")

    @property
    def n_frames(self) -> int:
        """Number of frames F."""
        return self.joints.shape[-3]

    @property
    def rate(self) -> float:
        """Frames per second, for quantities that need it.

        Raises:
            OptionError: If it is unknown.
        """
        if self.fps is None:
            raise OptionError(
                "Times and speeds need the frame rate, which the keypoints' file does not say; "
                "give it: fps=30."
            )
        return self.fps

    def has(self, *joints: str) -> bool:
        """Whether the skeleton has all of these joints."""
        return all(joint in self.skeleton.joint_names for joint in joints)

    def at(self, joint: str) -> Float[Tensor, "*batch F 3"]:
        """A joint by name, float64.

        Raises:
            SkeletonMismatchError: If the skeleton has no such joint.
        """
        return self.joints[..., self.skeleton.index(joint), :].double()

    def path(self, joint: str) -> Float[Tensor, "*batch F 3"]:
        """A joint by name, for quantities about its way through space.

        Raises:
            OptionError: If the joints are not placed.
            SkeletonMismatchError: If the skeleton has no such joint.
        """
        self.check_placed()
        return self.at(joint)

    def check_placed(self) -> None:
        """Refuse joints that are relative to their root.

        Raises:
            OptionError: If they are.
        """
        if not self.placed:
            raise OptionError(
                "Speeds through space and heights need the root's place, which these hypotheses "
                "do not have; sample with a camera (--camera, or --image-size W H)."
            )

    def middle(self, joint: str) -> Float[Tensor, "*batch F 3"]:
        """The point between the left and the right joint of a kind.

        Example:
            >>> from hypopose.datasets import example_motion
            >>> from hypopose.skeletons import H36M17
            >>> walk = BodyMotion(example_motion(5), H36M17)
            >>> bool((walk.middle("hip") - walk.at("pelvis")).abs().max() < 0.01)
            True
        """
        return (self.at(f"left_{joint}") + self.at(f"right_{joint}")) / 2


def unit(x: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3"]:
    """Vectors of length 1; NaN where there is no direction."""
    length = x.norm(dim=-1, keepdim=True)
    return torch.where(length > 1e-9, x / length.clamp(min=1e-9), torch.nan)


def level(x: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3"]:
    """Vectors without their vertical part.

    Example:
        >>> level(torch.tensor([1.0, 2.0, 3.0])).tolist()
        [1.0, 2.0, 0.0]
    """
    return x * x.new_tensor([1.0, 1.0, 0.0])


def heading(motion: BodyMotion, window: float = 1.0) -> Float[Tensor, "*batch F 3"]:
    """Where the body faces: level, across the mean of the lines through hips and shoulders.

    Args:
        motion: With hips and shoulders.
        window: Seconds over which the direction is averaged, because a walking pelvis turns with
            every step; without a frame rate it is not averaged.

    Returns:
        Unit vectors; NaN where a frame is unknown or its lines are vertical.

    Raises:
        SkeletonMismatchError: If the skeleton has no hips or shoulders.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(25), H36M17, fps=25.0)
        >>> bool(heading(walk)[12, 0] > 0.99)  # it walks along x
        True
    """
    across = unit(motion.at("left_hip") - motion.at("right_hip"))
    across = level(across + unit(motion.at("left_shoulder") - motion.at("right_shoulder")))
    if motion.fps is not None:
        across = moving_mean(across, round(window * motion.fps))
    up = across.new_tensor([0.0, 0.0, 1.0])
    return unit(torch.linalg.cross(across, up.expand_as(across)))


def moving_mean(x: Float[Tensor, "*batch F C"], n_frames: int) -> Float[Tensor, "*batch F C"]:
    """Mean over a window around each frame; it is shorter at the ends, and gaps do not count.

    Args:
        x: Values over time; NaN where unknown.
        n_frames: Length of the window, made odd.

    Returns:
        As many values; NaN only where the whole window is unknown.

    Example:
        >>> moving_mean(torch.tensor([[0.0], [3.0], [torch.nan]]), 3).flatten().tolist()
        [1.5, 1.5, 3.0]
    """
    half = max(0, n_frames // 2)
    known = torch.isfinite(x).all(-1, keepdim=True)
    both = torch.cat((torch.where(known, x, 0.0), known.to(x)), -1)
    total = functional.pad(both.cumsum(-2), (0, 0, 1, 0))
    at = torch.arange(x.shape[-2], device=x.device)
    low, high = (at - half).clamp(min=0), (at + half + 1).clamp(max=x.shape[-2])
    part = total[..., high, :] - total[..., low, :]
    n = part[..., -1:]
    return torch.where(n > 0.5, part[..., :-1] / n.clamp(min=1), torch.nan)

"""Speeds and accelerations: of joints through space, of angles, and of segments' directions.

Derivatives are those of a parabola fitted by least squares to about 0.2 s around each frame
(Savitzky and Golay, "Smoothing and differentiation of data by simplified least squares procedures",
Analytical Chemistry 36, 1964), five frames at least. Gaps in time are bridged before and left
unknown after.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.quantities.angles import ANGLES
from hypopose.quantities.body_motion import BodyMotion, unit
from hypopose.quantities.bridging import bridge, unwrapped
from hypopose.quantities.quantity import Compute, Quantity, sided

WINDOW_S = 0.2
"""Seconds that a derivative looks at."""

SHORTEST = 5
"""Frames that a derivative looks at, at least."""


def derivative(
    x: Float[Tensor, "*batch F C"], fps: float, order: int = 1
) -> Float[Tensor, "*batch F C"]:
    """First or second derivative in time, see the module.

    Args:
        x: Values over time; NaN where unknown.
        fps: Frames per second.
        order: 1 or 2.

    Returns:
        Per second, or per second squared; NaN where x is, and everywhere in clips of fewer frames
        than ``order + 1``.

    Example:
        >>> t = torch.arange(20.0)[:, None] / 10
        >>> derivative(3 * t**2, 10.0, order=2)[10].round(decimals=4).tolist()
        [6.0]
    """
    from scipy.signal import savgol_filter

    *batch, F, C = x.shape
    if order + 1 > F:
        return torch.full_like(x, torch.nan)
    window = max(SHORTEST, 2 * round(WINDOW_S * fps / 2) + 1)
    window = min(window, F if F % 2 else F - 1)
    columns = x.reshape(-1, F, C).movedim(1, 0).reshape(F, -1)
    filled = np.nan_to_num(bridge(columns.detach().cpu().double().numpy()))
    if window > order:
        degree = min(2, window - 1)
        d = savgol_filter(filled, window, degree, deriv=order, delta=1 / fps, axis=0)
    else:
        d = np.gradient(filled, 1 / fps, axis=0)
    found = torch.from_numpy(np.ascontiguousarray(d)).to(x)
    found = found.reshape(F, -1, C).movedim(0, 1).reshape(*batch, F, C)
    return torch.where(torch.isfinite(x), found, torch.nan)


def joint_speed(motion: BodyMotion, joint: str) -> Tensor:
    """Speed of a joint through space.

    Args:
        motion: Placed, with a frame rate.
        joint: By name.

    Returns:
        m/s per frame.

    Raises:
        OptionError: If there is no frame rate, or the joints are not placed.
        SkeletonMismatchError: If the skeleton has no such joint.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(50), H36M17, fps=25.0)
        >>> round(joint_speed(walk, "pelvis").mean().item(), 1)
        1.2
    """
    return derivative(motion.path(joint), motion.rate).norm(dim=-1)


def joint_acceleration(motion: BodyMotion, joint: str) -> Tensor:
    """Length of a joint's acceleration through space, m/s² per frame; see :func:`joint_speed`."""
    return derivative(motion.path(joint), motion.rate, order=2).norm(dim=-1)


def direction_speed(motion: BodyMotion, start: str, end: str) -> Tensor:
    """How fast the direction from one joint to another turns.

    Args:
        motion: With a frame rate.
        start: Joint where the segment begins.
        end: Joint where it ends.

    Returns:
        Degrees per second, not negative.
    """
    turning = derivative(unit(motion.at(end) - motion.at(start)), motion.rate)
    return torch.rad2deg(turning.norm(dim=-1))


def velocity_of(compute: Compute) -> Compute:
    """The velocity of an angle.

    Args:
        compute: Of an angle per frame, in degrees.

    Returns:
        From a motion to degrees per second, signed as the angle.
    """

    def compute_velocity(motion: BodyMotion) -> Tensor:
        return derivative(unwrapped(compute(motion))[..., None], motion.rate)[..., 0]

    return compute_velocity


_TURNING = ("knee_flexion", "hip_flexion", "ankle_flexion", "elbow_flexion", "trunk_rotation")
_SEGMENTS = (
    ("thigh", "hip", "knee"), ("shank", "knee", "ankle"),
    ("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"),
)  # fmt: skip
_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def _of_limb(motion: BodyMotion, side: str, joint: str, accelerated: bool = False) -> Tensor:
    name = f"{side}_{joint}"
    return joint_acceleration(motion, name) if accelerated else joint_speed(motion, name)


def _limb(joint: str) -> tuple[Quantity, ...]:
    return (
        *sided(
            f"{joint}_speed", "m/s", "frame", f"Speed of the {joint} through space.",
            partial(_of_limb, joint=joint), group="speeds", scale=True, placed=True, timed=True,
        ),
        *sided(
            f"{joint}_acceleration", "m/s²", "frame",
            f"Length of the acceleration of the {joint} through space.",
            partial(_of_limb, joint=joint, accelerated=True), group="accelerations", scale=True,
            placed=True, timed=True,
        ),
    )  # fmt: skip


def _middle(joint: str) -> tuple[Quantity, ...]:
    return (
        Quantity(
            f"{joint}_speed", "m/s", "frame", f"Speed of the {joint} through space.",
            lambda motion: joint_speed(motion, joint), group="speeds", scale=True, placed=True,
            timed=True,
        ),
        Quantity(
            f"{joint}_acceleration", "m/s²", "frame",
            f"Length of the acceleration of the {joint} through space.",
            lambda motion: joint_acceleration(motion, joint), group="accelerations", scale=True,
            placed=True, timed=True,
        ),
    )  # fmt: skip


def _turning(angle: Quantity) -> Quantity:
    return Quantity(
        f"{angle.family}_velocity", "deg/s", "frame", f"How fast {angle.family} grows.",
        velocity_of(angle.compute), group="angular speeds", side=angle.side, timed=True,
        positive=angle.positive, limits=angle.limits,
    )  # fmt: skip


def _segment(name: str, start: str, end: str) -> tuple[Quantity, ...]:
    def compute(motion: BodyMotion, side: str) -> Tensor:
        return direction_speed(motion, f"{side}_{start}", f"{side}_{end}")

    return sided(
        f"{name}_angular_speed", "deg/s", "frame",
        f"How fast the direction from {start} to {end} turns.", compute, group="angular speeds",
        timed=True, limits="turning about itself is not seen",
    )  # fmt: skip


SPEEDS: tuple[Quantity, ...] = (
    *(q for joint in ("pelvis", "head") for q in _middle(joint)),
    *(q for joint in _LIMBS for q in _limb(joint)),
    *(_turning(angle) for angle in ANGLES if angle.family in _TURNING),
    *(q for segment in _SEGMENTS for q in _segment(*segment)),
)
"""Per frame; those of joints depend on scale, those of angles do not."""

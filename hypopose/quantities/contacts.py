"""Feet on the ground, flight, jumps and squats.

A foot is on the ground where it is low and slow: lower than 0.12 leg lengths (about 10 cm) above
its level at rest, and slower than one leg length per second. Where heels and big toes are known,
the lower of the two is watched, and the level at rest is what 20 % of the heights of the lower foot
lie below: heels and toes that were lifted from 2D are a few centimeters off. Otherwise the ankle is
watched, which rises as much while its toe still stands, and the share is 5 %.
A jump is a flight: both ankles higher than that for 0.1 to 1.2 s. Its height follows from its time,
``g t² / 8``, as on a contact mat (Bosco, Luhtanen and Komi, "A simple method for measurement of
mechanical power in jumping", European Journal of Applied Physiology 50, 1983).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hypopose.quantities.angles import knee_flexion
from hypopose.quantities.body_motion import SIDES, BodyMotion
from hypopose.quantities.bridging import bridge
from hypopose.quantities.quantity import Quantity, sided
from hypopose.quantities.segments import leg_length
from hypopose.quantities.speeds import joint_speed

GRAVITY = 9.81
"""m/s²."""

RISE = 0.12
"""Leg lengths above its level at rest up to which an ankle, heel or toe is on the ground."""

REST = 0.05
"""Share of frames whose lower ankle is below the level at rest."""

SOLE_REST = 0.2
"""Share of frames whose lowest heel or toe is below the level at rest."""

SLOW = 1.0
"""Leg lengths per second up to which an ankle, a heel or a toe rests."""

FLIGHT_S = (0.1, 1.2)
"""Seconds that a flight may take."""

SQUAT_DEG = 60.0
"""Degrees that both knees bend in a squat; in walking, one of them stays straighter."""

SQUAT_CHANGE_DEG = 40.0
"""Degrees by which they straighten between squats."""

BETWEEN_S = 0.5
"""Seconds between squats."""


def _heights(motion: BodyMotion) -> dict[str, Tensor]:
    """Ankles above the level at rest, in leg lengths."""
    left, right = motion.path("left_ankle")[..., 2], motion.path("right_ankle")[..., 2]
    return _above_rest(motion, left, right, REST)


def _above_rest(motion: BodyMotion, left: Tensor, right: Tensor, share: float) -> dict[str, Tensor]:
    """Heights of both feet above the level at rest, in leg lengths."""
    rest = torch.nanquantile(torch.minimum(left, right), share, dim=-1, keepdim=True)
    leg = leg_length(motion)[..., None]
    return {"left": (left - rest) / leg, "right": (right - rest) / leg}


def has_soles(motion: BodyMotion) -> bool:
    """Whether contact is judged by heels and big toes: the skeleton has both of both feet."""
    return motion.has(*(f"{side}_{point}" for side in SIDES for point in ("heel", "big_toe")))


def foot_contact(motion: BodyMotion, side: str) -> Tensor:
    """1 where a foot is on the ground, 0 where not, NaN where unknown; see the module.

    Args:
        motion: Placed, with a frame rate.
        side: The foot.

    Returns:
        One number a frame; the mean over hypotheses is a probability.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(50), H36M17, fps=25.0)
        >>> foot_contact(walk, "left").shape
        torch.Size([50])
    """
    return _sole_contact(motion, side) if has_soles(motion) else ankle_contact(motion, side)


def ankle_contact(motion: BodyMotion, side: str) -> Tensor:
    """:func:`foot_contact` by the ankle, whether or not heels and toes are known."""
    height = _heights(motion)[side]
    speed = joint_speed(motion, f"{side}_ankle") / leg_length(motion)[..., None]
    return _resting(height, speed)


def _sole_contact(motion: BodyMotion, side: str) -> Tensor:
    """By the lower of heel and big toe."""
    heights = {
        (s, point): motion.path(f"{s}_{point}")[..., 2]
        for s in SIDES
        for point in ("heel", "big_toe")
    }
    lower = {s: torch.minimum(heights[s, "heel"], heights[s, "big_toe"]) for s in SIDES}
    height = _above_rest(motion, lower["left"], lower["right"], SOLE_REST)[side]
    on_toe = heights[side, "big_toe"] < heights[side, "heel"]
    heel, toe = (joint_speed(motion, f"{side}_{point}") for point in ("heel", "big_toe"))
    speed = torch.where(on_toe, toe, heel) / leg_length(motion)[..., None]
    return _resting(height, speed)


def _resting(height: Tensor, speed: Tensor) -> Tensor:
    """1 where low and slow, NaN where unknown; in leg lengths, and per second."""
    down = ((height < RISE) & (speed < SLOW)).double()
    return torch.where(torch.isfinite(height) & torch.isfinite(speed), down, torch.nan)


def flights(height: Float[np.ndarray, " F"], fps: float) -> NDArray[np.float64]:
    """Stretches of time in which a height is above the limit.

    Args:
        height: Of the lower ankle above its rest, in leg lengths.
        fps: Frames per second.

    Returns:
        ``(n, 2)``: seconds of beginning and end, interpolated between frames; flights that the clip
        cuts, and those shorter or longer than jumps, are left out.

    Example:
        >>> t = np.arange(50) / 50
        >>> flights(0.5 - 20 * (t - 0.5) ** 2, 50.0).round(2).tolist()
        [[0.36, 0.64]]
    """
    up = height > RISE
    change = np.flatnonzero(np.diff(up.astype(int)))
    fraction = (RISE - height[change]) / (height[change + 1] - height[change])
    times = (change + fraction) / fps
    rises = up[change + 1]
    pairs = [
        (times[i], times[i + 1])
        for i in range(len(times) - 1)
        if rises[i] and FLIGHT_S[0] <= times[i + 1] - times[i] <= FLIGHT_S[1]
    ]
    return np.array(pairs).reshape(-1, 2)


def _per_motion(values: Tensor, number: Callable[[NDArray[np.float64]], float]) -> Tensor:
    """A number from each motion's values over time."""
    rows = bridge(np.ascontiguousarray(values.reshape(-1, values.shape[-1]).numpy().T)).T
    found = [number(row) if np.isfinite(row).all() else float("nan") for row in rows]
    return torch.tensor(found, dtype=torch.float64).reshape(values.shape[:-1])


def _lower(motion: BodyMotion) -> Tensor:
    height = _heights(motion)
    return torch.minimum(height["left"], height["right"])


def jump_count(motion: BodyMotion) -> Tensor:
    """Flights of both feet, see the module."""
    fps = motion.rate
    return _per_motion(_lower(motion), lambda row: float(len(flights(row, fps))))


def flight_time(motion: BodyMotion) -> Tensor:
    """Seconds in the air, mean over jumps; NaN without one."""
    fps = motion.rate

    def mean(row: NDArray[np.float64]) -> float:
        found = flights(row, fps)
        return float((found[:, 1] - found[:, 0]).mean()) if len(found) else float("nan")

    return _per_motion(_lower(motion), mean)


def jump_height(motion: BodyMotion) -> Tensor:
    """``g t² / 8`` of the flight time, meters."""
    return GRAVITY * flight_time(motion) ** 2 / 8


def squats(flexion: Float[np.ndarray, " F"], fps: float) -> NDArray[np.int64]:
    """Frames of the deepest points of squats.

    Args:
        flexion: Degrees of the straighter knee.
        fps: Frames per second.

    Returns:
        Frames; bends below 60 degrees, and those that the clip cuts, are left out.

    Example:
        >>> t = np.arange(100) / 25
        >>> squats(45 - 45 * np.cos(2 * np.pi * t / 2), 25.0).tolist()
        [25, 75]
    """
    from scipy.signal import find_peaks

    apart = max(1.0, BETWEEN_S * fps)
    peaks, _ = find_peaks(flexion, height=SQUAT_DEG, prominence=SQUAT_CHANGE_DEG, distance=apart)
    return np.asarray(peaks, dtype=np.int64)


def _straighter(motion: BodyMotion) -> Tensor:
    return torch.minimum(knee_flexion(motion, "left"), knee_flexion(motion, "right"))


def squat_count(motion: BodyMotion) -> Tensor:
    """Bends of both knees to 60 degrees or more."""
    fps = motion.rate
    return _per_motion(_straighter(motion), lambda row: float(len(squats(row, fps))))


def squat_depth(motion: BodyMotion) -> Tensor:
    """Knee flexion at the deepest point, degrees, mean over squats; NaN without one."""
    fps = motion.rate

    def mean(row: NDArray[np.float64]) -> float:
        found = row[squats(row, fps)]
        return float(found.mean()) if len(found) else float("nan")

    return _per_motion(_straighter(motion), mean)


def squat_drop(motion: BodyMotion) -> Tensor:
    """How far the pelvis sinks towards the ankles, meters, mean over squats; NaN without one."""
    height = motion.at("pelvis")[..., 2] - motion.middle("ankle")[..., 2]
    tallest = torch.nanquantile(height, 0.98, dim=-1, keepdim=True)
    bend = _straighter(motion)
    fps, n = motion.rate, motion.n_frames
    rows = zip(bend.reshape(-1, n).numpy(), (tallest - height).reshape(-1, n).numpy(), strict=True)
    found = []
    for flexion, drop in rows:
        known = np.isfinite(flexion).all() and np.isfinite(drop).all()
        own = drop[squats(flexion, fps)] if known else np.zeros(0)
        found.append(float(own.mean()) if len(own) else float("nan"))
    return torch.tensor(found, dtype=torch.float64).reshape(bend.shape[:-1])


_PLACED: dict[str, Any] = {"placed": True, "vertical": True, "timed": True}

CONTACTS: tuple[Quantity, ...] = (
    *sided(
        "foot_contact", "probability", "frame",
        "Whether the lower of heel and big toe (without them, the ankle) is lower than 0.12 leg "
        "lengths above its level at rest and slower than a leg length per second; the mean over "
        "hypotheses is a probability.",
        foot_contact, group="contacts", **_PLACED,
    ),
    Quantity(
        "jump_count", "count", "clip", "Flights: both ankles up for 0.1 to 1.2 s.", jump_count,
        group="repetitions", **_PLACED,
    ),
    Quantity(
        "flight_time", "s", "clip", "Time in the air, mean over jumps.", flight_time,
        group="repetitions", limits="ankles, not toes, are watched", **_PLACED,
    ),
    Quantity(
        "jump_height", "m", "clip",
        "g t² / 8 of the flight time: from a time, so it needs no scale.", jump_height,
        group="repetitions", limits="of flight_time's kind", **_PLACED,
    ),
    Quantity(
        "squat_count", "count", "clip", "Bends of both knees to 60° or more.", squat_count,
        group="repetitions", timed=True, limits="sitting down and getting up counts too",
    ),
    Quantity(
        "squat_depth", "deg", "clip",
        "Flexion of the straighter knee at the deepest point, mean over squats.", squat_depth,
        group="repetitions", timed=True,
    ),
    Quantity(
        "squat_drop", "m", "clip",
        "How far the pelvis sinks towards the ankles, mean over squats.", squat_drop,
        group="repetitions", timed=True, vertical=True, scale=True,
    ),
)  # fmt: skip
"""Contacts per frame, repetitions per clip."""

"""Spatial and temporal gait parameters from strikes and lifts of the feet.

Definitions follow Whittle, "Gait Analysis", 4th edition, 2007. A step's length is the distance
along the heading from the other foot's contact to this foot's contact, each ankle
0.1 s after its strike; it needs the root's path. Its reach, the distance of the ankles
in the moment of the strike, and its width do not; the reach is about a tenth shorter than the
length, because the rear heel has already risen. Where fewer steps are found than a value needs,
it is NaN.

Symmetry: Robinson, Herzog and Nigg, "Use of force platform variables to quantify the effects of
chiropractic manipulation on gait symmetry", JMPT 10, 1987:
``100 (left - right) / ((left + right) / 2)`` percent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hypopose.quantities.body_motion import BodyMotion
from hypopose.quantities.foot_events import Feet, find_feet
from hypopose.quantities.quantity import Quantity, sided
from hypopose.quantities.segments import leg_length

STEP_S = (0.2, 1.5)
"""Seconds that a step may take."""

FLAT_S = 0.1
"""Seconds from a strike until the foot is flat and its ankle stands."""

Array = NDArray[np.float64]


def steps(feet: Feet, motion: int, side: str) -> Array:
    """Steps that end with a strike of one foot.

    Args:
        feet: Events.
        motion: Which of the motions, in flattened order.
        side: The foot that strikes at the end.

    Returns:
        ``(n, 5)``: second of the strike, seconds since the other foot's strike, reach, width and
        length in meters; the length is NaN if the motion is not placed.
    """
    other = "right" if side == "left" else "left"
    own, others = feet.strikes[side][motion], feet.strikes[other][motion]
    rows = []
    for i, time in enumerate(own):
        since = others[others < time]
        if not len(since) or (i and own[i - 1] > since[-1]):
            continue
        if STEP_S[0] <= time - since[-1] <= STEP_S[1]:
            length = _length(feet, motion, side, since[-1], time)
            rows.append((time, time - since[-1], *_distances(feet, motion, side, time), length))
    return np.array(rows).reshape(-1, 5)


def strides(feet: Feet, motion: int, side: str) -> Array:
    """From one strike of a foot to its next.

    Args:
        feet: Events.
        motion: Which of the motions, in flattened order.
        side: The foot.

    Returns:
        ``(n, 4)``: seconds of the strike, of the next, of the foot's lift between (NaN if there is
        none), and seconds on both feet (NaN if an event is missing).
    """
    own = feet.strikes[side][motion]
    rows = []
    for start, end in itertools.pairwise(own):
        if not 2 * STEP_S[0] <= end - start <= 2 * STEP_S[1]:
            continue
        lift = _first(feet.lifts[side][motion], start, end)
        rows.append((start, end, lift, _double(feet, motion, side, (start, end, lift))))
    return np.array(rows).reshape(-1, 4)


def walking_share(feet: Feet, side: str) -> float:
    """Share of the motions with a whole gait cycle of one foot.

    Args:
        feet: Events.
        side: The foot; the left one if empty.
    """
    n = sum(len(strides(feet, i, side or "left")) > 0 for i in range(feet.n_motions))
    return n / max(1, feet.n_motions)


def _first(times: Array, low: float, high: float) -> float:
    inside = times[(times > low) & (times < high)]
    return float(inside[0]) if len(inside) else float("nan")


def _double(feet: Feet, motion: int, side: str, stride: tuple[float, float, float]) -> float:
    """Seconds with both feet on the ground within a stride."""
    start, end, lift = stride
    other = "right" if side == "left" else "left"
    other_lift = _first(feet.lifts[other][motion], start, end)
    other_strike = _first(feet.strikes[other][motion], start, end)
    return float(np.maximum(0, other_lift - start) + np.maximum(0, lift - other_strike))


def _distances(feet: Feet, motion: int, side: str, time: float) -> tuple[float, float]:
    """Reach and width of the step that ends at a time."""
    at = time * feet.fps
    frames = np.arange(feet.ahead.shape[1])
    ahead = float(np.interp(at, frames, feet.ahead[motion]))
    aside = float(np.interp(at, frames, feet.aside[motion]))
    return (ahead if side == "left" else -ahead), aside


def _length(feet: Feet, motion: int, side: str, before: float, time: float) -> float:
    """From where the other foot stands since ``before`` to where this one stands after ``time``."""
    if feet.places is None:
        return float("nan")
    other = "right" if side == "left" else "left"
    start = _at(feet.places[other][motion], (before + FLAT_S) * feet.fps)
    end = _at(feet.places[side][motion], (time + FLAT_S) * feet.fps)
    return float((end - start) @ _at(feet.forward[motion], time * feet.fps))


def _at(path: Array, frame: float) -> Array:
    """A path between its frames."""
    frames = np.arange(len(path))
    return np.array([np.interp(frame, frames, column) for column in path.T])


def _each(motion: BodyMotion, value: Callable[[Feet, int], float]) -> Tensor:
    """A number for every motion."""
    feet = find_feet(motion)
    values = torch.tensor([value(feet, i) for i in range(feet.n_motions)], dtype=torch.float64)
    return values.reshape(feet.shape)


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _step_value(motion: BodyMotion, side: str, column: int) -> Tensor:
    return _each(motion, lambda feet, i: _mean(steps(feet, i, side)[:, column]))


def _both(motion: BodyMotion, column: int) -> Tensor:
    """Mean over the steps of both feet."""

    def value(feet: Feet, i: int) -> float:
        every = [steps(feet, i, side)[:, column] for side in ("left", "right")]
        return _mean(np.concatenate(every))

    return _each(motion, value)


def stance_share(motion: BodyMotion, side: str) -> Tensor:
    """Time from strike to lift over the stride, percent."""

    def value(feet: Feet, i: int) -> float:
        start, end, lift, _ = strides(feet, i, side).T
        return 100 * _mean((lift - start) / (end - start))

    return _each(motion, value)


def double_support_share(motion: BodyMotion) -> Tensor:
    """Time on both feet over the stride, percent; mean of left and right strides."""

    def value(feet: Feet, i: int) -> float:
        rows = np.concatenate([strides(feet, i, side) for side in ("left", "right")])
        return 100 * _mean(rows[:, 3] / (rows[:, 1] - rows[:, 0]))

    return _each(motion, value)


def stride_time(motion: BodyMotion) -> Tensor:
    """Seconds from a strike to the next of the same foot; mean over both feet."""

    def value(feet: Feet, i: int) -> float:
        rows = np.concatenate([strides(feet, i, side) for side in ("left", "right")])
        return _mean(rows[:, 1] - rows[:, 0])

    return _each(motion, value)


def step_count(motion: BodyMotion) -> Tensor:
    """Steps of both feet."""
    return _each(motion, lambda feet, i: sum(len(steps(feet, i, s)) for s in ("left", "right")))


def cadence(motion: BodyMotion) -> Tensor:
    """Steps per minute."""
    return 60 / _both(motion, 1)


def walking_speed(motion: BodyMotion) -> Tensor:
    """Mean step length over mean step time, m/s."""
    motion.check_placed()
    return _both(motion, 4) / _both(motion, 1)


def symmetry(left: Tensor, right: Tensor) -> Tensor:
    """Robinson's index in percent; 0 is symmetric, positive if left is greater.

    Example:
        >>> symmetry(torch.tensor(1.1), torch.tensor(0.9)).round().item()
        20.0
    """
    return 200 * (left - right) / (left + right)


def _symmetry_of(motion: BodyMotion, compute: Callable[[BodyMotion, str], Tensor]) -> Tensor:
    return symmetry(compute(motion, "left"), compute(motion, "right"))


step_time = partial(_step_value, column=1)
step_reach = partial(_step_value, column=2)
step_width = partial(_step_value, column=3)


def step_length(motion: BodyMotion, side: str) -> Tensor:
    """Meters from the other foot's place to this foot's; mean over the clip.

    Args:
        motion: Placed, with a frame rate.
        side: The foot that strikes at the end.

    Returns:
        One number a motion; NaN without a step.

    Raises:
        OptionError: If the motion is not placed, or its frame rate is unknown.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(75), H36M17, fps=25.0)
        >>> 0.5 < step_length(walk, "left").item() < 0.8
        True
    """
    motion.check_placed()
    return _step_value(motion, side, 4)


def _relative(motion: BodyMotion, side: str) -> Tensor:
    return 100 * step_reach(motion, side=side) / leg_length(motion)


_TIMED: dict[str, Any] = {"group": "gait", "timed": True, "vertical": True}
_SCALED: dict[str, Any] = {**_TIMED, "scale": True}

GAIT: tuple[Quantity, ...] = (
    Quantity("step_count", "count", "clip", "Steps of both feet.", step_count, **_TIMED),
    Quantity(
        "cadence", "1/min", "clip", "Steps per minute: 60 over the mean step time.", cadence,
        **_TIMED,
    ),
    *sided(
        "step_time", "s", "clip", "Time from the other foot's strike to this foot's; mean.",
        lambda motion, side: step_time(motion, side=side), **_TIMED,
    ),
    Quantity(
        "stride_time", "s", "clip", "Time from a strike to the next of the same foot; mean.",
        stride_time, **_TIMED,
    ),
    *sided(
        "stance_share", "%", "clip", "Time from strike to lift over stride time; mean.",
        stance_share,
        limits="the ankle stands for the foot: lifts come a little before the toe's", **_TIMED,
    ),
    Quantity(
        "double_support_share", "%", "clip", "Time on both feet over stride time; mean.",
        double_support_share, limits="of stance_share's kind", **_TIMED,
    ),
    *sided(
        "step_length", "m", "clip",
        "Distance along the heading from the other foot's place to this foot's, ankles 0.1 s after "
        "their strikes; mean.",
        step_length, placed=True, **_SCALED,
    ),
    *sided(
        "step_reach", "m", "clip",
        "Distance of the ankles along the heading in the moment this foot strikes; mean.",
        lambda motion, side: step_reach(motion, side=side),
        limits="about a tenth shorter than step_length; needs no place of the root", **_SCALED,
    ),
    *sided(
        "relative_step_reach", "%", "clip", "Step reach over leg length (thigh and shank).",
        _relative, **_TIMED,
    ),
    *sided(
        "step_width", "m", "clip",
        "Distance of the ankles across the heading when this foot strikes; mean.",
        lambda motion, side: step_width(motion, side=side),
        positive="feet uncrossed", **_SCALED,
    ),
    Quantity(
        "walking_speed", "m/s", "clip", "Mean step length over mean step time.", walking_speed,
        placed=True, **_SCALED,
    ),
    *(
        Quantity(
            f"{family}_symmetry", "%", "clip",
            f"100 (left - right) / mean of {family}.", partial(_symmetry_of, compute=compute),
            positive="left greater", neutral="left and right alike", **_TIMED,
        )
        for family, compute in (
            ("step_time", step_time), ("step_reach", step_reach), ("stance_share", stance_share),
        )
    ),
)  # fmt: skip
"""Per clip."""

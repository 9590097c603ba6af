"""When feet strike and leave the ground in walking and running.

Zeni, Richards and Higginson, "Two simple methods for determining gait events during treadmill and
overground walking using kinematic data", Gait & Posture 27, 2008: a foot strikes when it is
farthest in front of the pelvis, and leaves when it is farthest behind. The method needs neither the
root's path nor the scale, which one camera does not show; here the foot is the ankle.

symbol in the paper                here
=================================  =================================================================
``x_heel - x_sacrum``, ``x_toe -``  ``forward · (ankle - pelvis)``, low-passed at 6 Hz
maximum, minimum                   strike, lift; refined between frames by a parabola

Departures: "forward" is the body's heading (:func:`heading`), so people may turn. A maximum counts
if it stands out by a fifth of the leg's length and the foot is then ahead of the other by a tenth;
squats and shifts of weight, which move both feet against the pelvis alike, are no steps. The ankle
is farthest behind slightly before the toe leaves the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.quantities.body_motion import SIDES, BodyMotion, heading, unit
from hypopose.quantities.bridging import bridge
from hypopose.quantities.segments import leg_length

CUTOFF_HZ = 6.0
"""Of the low-pass filter (Winter, 2009, chapter 2.2.4)."""

PROMINENCE = 0.2
"""Leg lengths by which an extreme stands out."""

AHEAD = 0.1
"""Leg lengths by which a striking foot is ahead of the other one."""

SHORTEST_STRIDE_S = 0.4
"""Seconds between two strikes of a foot."""

_KNOWN: WeakKeyDictionary[BodyMotion, Feet] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Feet:
    """Strikes and lifts of both feet, for each motion apart.

    Args:
        shape: Leading axes of the motions.
        strikes: Seconds by side, an array a motion, motions in flattened order.
        lifts: The same for when a foot leaves the ground.
        ahead: Place of the left ankle before the right one, meters along the heading.
        aside: Place of the left ankle to the left of the right one, meters.
        forward: The heading.
        places: Where each ankle is, by side; None if the motion is not placed.
        fps: Frames per second.
    """

    shape: tuple[int, ...]
    strikes: dict[str, tuple[NDArray[np.float64], ...]]
    lifts: dict[str, tuple[NDArray[np.float64], ...]]
    ahead: Float[np.ndarray, "n F"]
    aside: Float[np.ndarray, "n F"]
    forward: Float[np.ndarray, "n F 3"]
    places: dict[str, Float[np.ndarray, "n F 3"]] | None
    fps: float

    @property
    def n_motions(self) -> int:
        """How many motions."""
        return len(self.ahead)


def find_feet(motion: BodyMotion) -> Feet:
    """Find strikes and lifts, see the module.

    Args:
        motion: With a frame rate, hips, knees, ankles and shoulders; need not be placed.

    Returns:
        Events by side; kept as long as the motion is.

    Raises:
        OptionError: If the frame rate is unknown.
        SkeletonMismatchError: If the skeleton lacks a joint.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(50), H36M17, fps=25.0)
        >>> feet = find_feet(walk)
        >>> [len(feet.strikes[side][0]) for side in ("left", "right")]
        [2, 1]
    """
    if motion not in _KNOWN:
        _KNOWN[motion] = _find(motion)
    return _KNOWN[motion]


def _find(motion: BodyMotion) -> Feet:
    fps, shape = motion.rate, tuple(motion.joints.shape[:-3])
    forward = heading(motion)
    left = unit(forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward).cross(forward, dim=-1))
    pelvis = motion.at("pelvis")
    before = {s: ((motion.at(f"{s}_ankle") - pelvis) * forward).sum(-1) for s in SIDES}
    apart = motion.at("left_ankle") - motion.at("right_ankle")
    leg = leg_length(motion).reshape(-1).numpy()
    track = {s: low_passed(before[s].reshape(-1, motion.n_frames).numpy(), fps) for s in SIDES}
    aside = low_passed((apart * left).sum(-1).reshape(-1, motion.n_frames).numpy(), fps)
    ahead = track["left"] - track["right"]
    strikes: dict[str, tuple[NDArray[np.float64], ...]] = {}
    lifts: dict[str, tuple[NDArray[np.float64], ...]] = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rows = list(zip(track[side], sign * ahead, leg, strict=True))
        strikes[side] = tuple(_extremes(x, lead, size, fps) for x, lead, size in rows)
        lifts[side] = tuple(_extremes(-x, -lead, size, fps) for x, lead, size in rows)
    n = motion.n_frames
    places = {s: motion.at(f"{s}_ankle").reshape(-1, n, 3).numpy() for s in SIDES}
    ways = forward.reshape(-1, n, 3).numpy()
    return Feet(shape, strikes, lifts, ahead, aside, ways, places if motion.placed else None, fps)


def low_passed(x: Float[np.ndarray, "n F"], fps: float) -> Float[np.ndarray, "n F"]:
    """Values over time below 6 Hz, without delay; gaps are bridged.

    Args:
        x: A row each.
        fps: Frames per second; slow rates and clips of fewer than four frames are not filtered.

    Example:
        >>> t = np.arange(100) / 50
        >>> both = np.sin(2 * np.pi * 1 * t) + np.sin(2 * np.pi * 20 * t)
        >>> kept = low_passed(both[None], 50.0)[0]
        >>> bool(np.abs(kept - np.sin(2 * np.pi * 1 * t))[20:80].max() < 0.02)
        True
    """
    from scipy.signal import sosfiltfilt

    filled = bridge(np.ascontiguousarray(x.T)).T
    n_frames = filled.shape[1]
    if fps <= 2.2 * CUTOFF_HZ or n_frames < 4:
        return filled
    return np.asarray(sosfiltfilt(_filter(fps), filled, axis=1, padlen=min(12, n_frames - 1)))


@cache
def _filter(fps: float) -> Any:
    from scipy.signal import butter

    return butter(2, CUTOFF_HZ, fs=fps, output="sos")


def _extremes(
    x: Float[np.ndarray, " F"], lead: Float[np.ndarray, " F"], leg: float, fps: float
) -> NDArray[np.float64]:
    """Seconds of the maxima that stand out and where the foot leads."""
    from scipy.signal import find_peaks

    if not (np.isfinite(x).all() and np.isfinite(lead).all() and leg > 0):
        return np.zeros(0)
    apart = max(1.0, SHORTEST_STRIDE_S * fps)
    peaks, _ = find_peaks(x, prominence=PROMINENCE * leg, distance=apart)
    peaks = peaks[lead[peaks] > AHEAD * leg]
    before, at, after = x[peaks - 1], x[peaks], x[peaks + 1]
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.asarray((peaks + shift) / fps)


@dataclass(frozen=True)
class EventEstimate:
    """A strike or lift that some of the hypotheses agree on.

    Args:
        side: ``"left"`` or ``"right"``.
        kind: ``"strike"`` or ``"lift"``.
        probability: Share of the hypotheses that have it.
        times: Seconds, of each hypothesis that has it.
    """

    side: str
    kind: str
    probability: float
    times: tuple[float, ...]

    @property
    def time(self) -> float:
        """Mean over the hypotheses that have it, in seconds."""
        return float(np.mean(self.times))

    @property
    def std(self) -> float:
        """Standard deviation of the time in seconds; NaN if one hypothesis has it."""
        return float(np.std(self.times, ddof=1)) if len(self.times) > 1 else float("nan")


NEAR_S = 0.2
"""Seconds within which events of different hypotheses are one."""


def foot_events(motion: BodyMotion) -> list[EventEstimate]:
    """Events with the share of hypotheses that have them, in the order of their times.

    Events of all hypotheses are pooled; each hump of their density (normal kernels of 50 ms) is one
    event, and a hypothesis has it if one of its own lies within 0.2 s.

    Args:
        motion: Hypotheses ``(H, F, J, 3)``, or one motion.

    Returns:
        Events; those that fewer than a tenth of the hypotheses have are left out.

    Raises:
        OptionError: If the frame rate is unknown.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(50).expand(5, 50, 17, 3), H36M17, fps=25.0)
        >>> [(e.side, e.kind) for e in foot_events(walk)][:2]
        [('left', 'strike'), ('right', 'lift')]
    """
    feet = find_feet(motion)
    length = motion.n_frames / feet.fps
    found = [
        event
        for kind, times in (("strike", feet.strikes), ("lift", feet.lifts))
        for side in SIDES
        for event in _agreed(side, kind, times[side], length)
    ]
    return sorted(found, key=lambda event: event.time)


def _agreed(
    side: str, kind: str, times: tuple[NDArray[np.float64], ...], length: float
) -> list[EventEstimate]:
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    pooled = np.concatenate(times) if times else np.zeros(0)
    step, width = 0.01, 0.05
    counts, edges = np.histogram(pooled, bins=np.arange(-0.5, length + 0.5, step))
    density = gaussian_filter1d(counts.astype(float), width / step)
    peaks, _ = find_peaks(density, distance=1.5 * NEAR_S / step)
    events = []
    for center in (edges[:-1] + step / 2)[peaks]:
        nearest = [t[np.abs(t - center).argmin()] for t in times if len(t)]
        own = tuple(float(t) for t in nearest if abs(t - center) <= NEAR_S)
        if len(own) >= 0.1 * len(times):
            events.append(EventEstimate(side, kind, len(own) / len(times), own))
    return events

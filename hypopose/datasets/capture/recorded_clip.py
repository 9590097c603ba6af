"""A recorded clip, and what is done to every one of them before training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from hypopose.errors import FormatError
from hypopose.io.motion_files.file_motion import CapturedRig

FASTEST = 15.0
"""No joint of a person is faster, in m/s: frames where one is are cut out."""

SHORTEST_SECONDS = 0.5
"""Pieces that are shorter are dropped."""

ANKLE_HEIGHT = 0.08
"""Height of an ankle that stands on the floor, in meters."""

__all__ = ["CapturedRig", "RecordedClip", "cleaned", "leg_length"]

_RIGHT_LEG, _LEFT_LEG, _ANKLES = (1, 2, 3), (4, 5, 6), (3, 6)


@dataclass(frozen=True, eq=False)
class RecordedClip:
    """A motion of the 17 joints in the world.

    Args:
        joints: Human3.6M-17, meters, z up.
        fps: Frames per second.
        name: Unique in a shard.
        subject: Who moves.
        action: What is shown.
        source: Where it comes from.
        license: Under which terms.
        description: Free text.
        flags: Words for what is odd about it.
    """

    joints: Float[np.ndarray, "F 17 3"]
    fps: float
    name: str
    subject: str = ""
    action: str = ""
    source: str = ""
    license: str = ""
    description: str = ""
    flags: str = ""


def cleaned(clip: RecordedClip, fps: float = 50.0) -> list[RecordedClip]:
    """Resample, cut out jumps, set on the floor, and center a clip.

    Frames with missing joints or with joints faster than 15 m/s are cut out, and the clip is split
    there; pieces under half a second are dropped. The floor lies 8 cm below the lower ankle at its
    lowest (5th percentile); the middle of the pelvis track becomes the origin.

    Args:
        clip: As read.
        fps: Wanted frame rate.

    Returns:
        The pieces, named ``..._part1`` and so on where there are several; ``floor_penetration``
        among their flags where a joint is more than 10 cm below the floor.

    Raises:
        FormatError: If the clip has no plausible frame rate.
    """
    if not 1 <= clip.fps <= 2000:
        raise FormatError(f"{clip.name} has a frame rate of {clip.fps} Hz; pass the true one.")
    shortest = max(2.0, SHORTEST_SECONDS * clip.fps)
    pieces = [piece for piece in _whole_pieces(clip) if len(piece) >= shortest]
    resampled = [_placed(_resampled(piece, clip.fps, fps)) for piece in pieces]
    names = [clip.name] if len(pieces) == 1 else [f"{clip.name}_part{i + 1}" for i in range(99999)]
    return [
        replace(clip, joints=x, fps=fps, name=name, flags=_flags(clip.flags, x))
        for x, name in zip(resampled, names, strict=False)
    ]


def _whole_pieces(clip: RecordedClip) -> list[Float[np.ndarray, "F 17 3"]]:
    good = np.isfinite(clip.joints).all((1, 2))
    speed = np.linalg.norm(np.diff(clip.joints, axis=0), axis=-1).max(-1) * clip.fps
    jump = ~(speed <= FASTEST)  # also where a joint is missing
    # A piece ends before a missing frame and at a jump.
    edges = np.flatnonzero(np.concatenate([[True], jump | ~good[1:] | ~good[:-1]]))
    pieces = np.split(clip.joints, edges[1:])
    return [piece for piece in pieces if np.isfinite(piece).all()]


def _resampled(
    x: Float[np.ndarray, "F 17 3"], source: float, target: float
) -> Float[np.ndarray, "G 17 3"]:
    """Zero-phase low-pass where the rate falls, then a cubic spline on positions."""
    from scipy.interpolate import CubicSpline
    from scipy.signal import butter, sosfiltfilt

    if source == target:
        return x
    if source > target and len(x) > 30:
        x = sosfiltfilt(butter(4, 0.45 * target, fs=source, output="sos"), x, axis=0)
    duration = (len(x) - 1) / source
    times = np.arange(int(duration * target + 1e-6) + 1) / target
    return CubicSpline(np.arange(len(x)) / source, x, axis=0)(times)


def _placed(x: Float[np.ndarray, "F 17 3"]) -> Float[np.ndarray, "F 17 3"]:
    low = np.percentile(x[:, _ANKLES, 2].min(1), 5) - ANKLE_HEIGHT
    middle = (x[:, 0, :2].min(0) + x[:, 0, :2].max(0)) / 2
    return x - np.array([*middle, low])


def _flags(flags: str, x: Float[np.ndarray, "F 17 3"]) -> str:
    below = ["floor_penetration"] if x[..., 2].min() < -0.1 else []
    return " ".join(dict.fromkeys([*flags.split(), *below]))


def leg_length(x: Float[np.ndarray, "F 17 3"]) -> float:
    """Median length of thigh and shin, both sides averaged, in the unit of the input."""
    total = 0.0
    for leg in (_RIGHT_LEG, _LEFT_LEG):
        bones = np.linalg.norm(np.diff(x[:, leg], axis=1), axis=-1).sum(1)
        total += float(np.nanmedian(bones)) / 2
    return total

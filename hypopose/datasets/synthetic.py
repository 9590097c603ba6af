"""Motion made of sine waves, for a benchmark without data: figures of several sizes that move.

The motion is synthetic. Each action states joint angles as ``offset + amplitude * sin(2 pi (n t +
phase))`` over its own cycle; forward kinematics turns them into joints, and the lower ankle stands
on the floor in every frame. Tempo, size of movement, bone lengths and heading are drawn from a
fixed seed. Real motion is harder: the benchmark tells whether a method works, not how good it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies.proportions import BONE_LENGTHS
from hypopose.simulation import Draws, Motion

NAME = "synthetic"
"""Stands for these motions where a benchmark names its shards."""

FPS = 50.0
N_FRAMES = 162
ANKLE = 0.08
"""Height of a standing ankle, meters."""

Wave = tuple[float, float, float, float]
"""Offset and amplitude in degrees, cycles per cycle of the action, phase in cycles."""


@dataclass(frozen=True)
class Action:
    """A periodic movement.

    Args:
        seconds: Of one cycle.
        speed: Meters per second along the heading.
        turn: Degrees per second of the heading.
        angles: Of joints: hips and knees flex, shoulders flex and abduct, elbows flex, the trunk
            leans forward and twists. ``left_`` and ``right_`` name one side, other names both.
    """

    seconds: float
    angles: dict[str, Wave]
    speed: float = 0.0
    turn: float = 0.0


ACTIONS = {
    "walk": Action(
        1.1,
        {
            "left_hip": (2.0, 24.0, 1.0, 0.0),
            "right_hip": (2.0, 24.0, 1.0, 0.5),
            "left_knee": (24.0, 22.0, 1.0, 0.3),
            "right_knee": (24.0, 22.0, 1.0, 0.8),
            "left_arm": (0.0, 20.0, 1.0, 0.5),
            "right_arm": (0.0, 20.0, 1.0, 0.0),
            "elbow": (22.0, 6.0, 1.0, 0.0),
            "twist": (0.0, 6.0, 1.0, 0.5),
            "lean": (3.0, 1.0, 2.0, 0.0),
        },
        speed=1.3,
    ),
    "run": Action(
        0.7,
        {
            "left_hip": (10.0, 38.0, 1.0, 0.0),
            "right_hip": (10.0, 38.0, 1.0, 0.5),
            "left_knee": (55.0, 40.0, 1.0, 0.3),
            "right_knee": (55.0, 40.0, 1.0, 0.8),
            "left_arm": (5.0, 35.0, 1.0, 0.5),
            "right_arm": (5.0, 35.0, 1.0, 0.0),
            "elbow": (90.0, 8.0, 1.0, 0.0),
            "twist": (0.0, 10.0, 1.0, 0.5),
            "lean": (9.0, 2.0, 2.0, 0.0),
        },
        speed=3.0,
        turn=25.0,
    ),
    "squat": Action(
        2.6,
        {
            "hip": (48.0, 48.0, 1.0, -0.25),
            "knee": (52.0, 50.0, 1.0, -0.25),
            "spread": (8.0, 4.0, 1.0, 0.0),
            "arm": (45.0, 42.0, 1.0, -0.25),
            "elbow": (8.0, 4.0, 1.0, 0.0),
            "lean": (22.0, 20.0, 1.0, -0.25),
        },
    ),
    "sit": Action(
        3.0,
        {
            "hip": (84.0, 5.0, 1.0, 0.0),
            "knee": (86.0, 7.0, 1.0, 0.25),
            "spread": (10.0, 3.0, 1.0, 0.4),
            "left_arm": (25.0, 18.0, 1.0, 0.0),
            "right_arm": (32.0, 20.0, 2.0, 0.3),
            "elbow": (62.0, 22.0, 1.0, 0.6),
            "lean": (2.0, 9.0, 1.0, 0.1),
            "twist": (0.0, 16.0, 1.0, 0.0),
        },
    ),
    "wave": Action(
        1.6,
        {
            "hip": (2.0, 2.0, 1.0, 0.0),
            "knee": (4.0, 3.0, 1.0, 0.0),
            "right_raise": (80.0, 24.0, 1.0, 0.0),
            "right_elbow": (70.0, 38.0, 2.0, 0.1),
            "left_elbow": (18.0, 8.0, 1.0, 0.0),
            "twist": (4.0, 9.0, 1.0, 0.0),
        },
    ),
    "bend": Action(
        2.8,
        {
            "hip": (30.0, 28.0, 1.0, -0.25),
            "knee": (14.0, 12.0, 1.0, -0.25),
            "arm": (40.0, 38.0, 1.0, -0.25),
            "elbow": (12.0, 8.0, 1.0, 0.0),
            "lean": (36.0, 34.0, 1.0, -0.25),
            "twist": (0.0, 12.0, 1.0, 0.3),
        },
    ),
    "jack": Action(
        1.2,
        {
            "knee": (12.0, 8.0, 2.0, 0.0),
            "hip": (8.0, 5.0, 2.0, 0.0),
            "spread": (16.0, 14.0, 1.0, -0.25),
            "raise": (88.0, 76.0, 1.0, -0.25),
            "elbow": (10.0, 6.0, 1.0, 0.0),
        },
    ),
    "lunge": Action(
        2.4,
        {
            "left_hip": (36.0, 34.0, 1.0, -0.25),
            "right_hip": (-8.0, 8.0, 1.0, -0.25),
            "left_knee": (40.0, 38.0, 1.0, -0.25),
            "right_knee": (36.0, 34.0, 1.0, -0.25),
            "arm": (30.0, 25.0, 1.0, 0.0),
            "elbow": (60.0, 30.0, 1.0, 0.25),
            "lean": (6.0, 5.0, 1.0, 0.0),
        },
        turn=10.0,
    ),
}
"""Name -> what is done."""

FIGURES = {"train": (2, 3), "val": (4,), "test": (0, 1)}
"""Split -> figures, each of which does everything."""


def synthetic_motion(split: str = "test") -> Motion:
    """Clips of all actions by the figures of a split.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``; figures differ.

    Returns:
        Motion of 162 frames at 50 Hz each, the same on every call.

    Example:
        >>> synthetic_motion("test").n_clips
        16
    """
    pairs = [(person, name) for person in FIGURES[split] for name in ACTIONS]
    clips = [_clip(ACTIONS[name], Draws(_generator(person, name))) for person, name in pairs]
    length = torch.full((len(clips),), N_FRAMES)
    return Motion(
        torch.cat(clips),
        length.cumsum(0) - length,
        length,
        FPS,
        tuple(f"synthetic_{person}_{name}" for person, name in pairs),
        tuple(name for _, name in pairs),
        (NAME,) * len(clips),
        tuple(f"figure_{person}" for person, _ in pairs),
    )


def _generator(person: int, action: str) -> torch.Generator:
    seed = 1000 * person + sorted(ACTIONS).index(action)
    return torch.Generator().manual_seed(seed)


def _clip(action: Action, draws: Draws) -> Float[Tensor, "F 17 3"]:
    tempo, size, height, heading = draws.uniform(4, low=-1.0).tolist()
    t = torch.arange(N_FRAMES) / FPS
    phase = t / (action.seconds * (1 + 0.12 * tempo))
    angles = {
        name: math.pi / 180 * (mean + (1 + 0.12 * size) * sd * _sine(n * phase + shift))
        for name, (mean, sd, n, shift) in action.angles.items()
    }
    lengths = torch.tensor(BONE_LENGTHS) * (1 + 0.08 * height) * (1 + 0.03 * draws.normal(1))
    yaw = math.pi * heading + math.radians(action.turn) * t
    body = _figure(angles, lengths.tolist(), yaw)
    step = action.speed / FPS * torch.stack([yaw.cos(), yaw.sin()], -1)
    path = step.cumsum(0) - step.cumsum(0).mean(0)
    floor = ANKLE - body[:, [3, 6], 2].amin(1)
    return body + torch.cat([path, floor[:, None]], -1)[:, None]


def _sine(cycles: Tensor) -> Tensor:
    return (2 * math.pi * cycles).sin()


def _figure(angles: dict[str, Tensor], bones: list[float], yaw: Tensor) -> Tensor:
    """Joints about the pelvis, z up."""
    zero = torch.zeros_like(yaw)
    up = torch.stack([zero, zero, zero + 1], -1)
    ahead = torch.stack([yaw.cos(), yaw.sin(), zero], -1)
    left = torch.stack([-yaw.sin(), yaw.cos(), zero], -1)
    lean, twist = angles.get("lean", zero), angles.get("twist", zero)

    def of(name: str, side: str) -> Tensor:
        return angles.get(f"{side}_{name}", angles.get(name, zero))

    def hanging(flex: Tensor, aside: Tensor, outwards: Tensor) -> Tensor:
        """Unit vectors downwards, flexed forward, then moved outwards."""
        a, b = flex[:, None], aside[:, None]
        return b.cos() * (a.sin() * ahead - a.cos() * up) + b.sin() * outwards

    joints = torch.zeros(len(yaw), 17, 3)
    low, high = (f * lean[:, None] for f in (0.8, 1.2))
    trunk = [angle.cos() * up + angle.sin() * ahead for angle in (low, high)]
    joints[:, 7] = bones[6] * trunk[0]
    joints[:, 8] = joints[:, 7] + bones[7] * trunk[1]
    joints[:, 9] = joints[:, 8] + bones[8] * (trunk[1] + 0.15 * ahead)
    joints[:, 10] = joints[:, 9] + bones[9] * up
    across = twist[:, None].cos() * left - twist[:, None].sin() * ahead
    for side, hip, shoulder, sign in (("right", 1, 14, -1.0), ("left", 4, 11, 1.0)):
        outwards = sign * left
        flex, spread = of("hip", side), of("spread", side)
        joints[:, hip] = bones[0] * sign * (left + 0.3 * (left - across))
        joints[:, hip + 1] = joints[:, hip] + bones[1] * hanging(flex, spread, outwards)
        shin = hanging(flex - of("knee", side), spread, outwards)
        joints[:, hip + 2] = joints[:, hip + 1] + bones[2] * shin
        arm, raised = of("arm", side), of("raise", side) + 0.12
        joints[:, shoulder] = joints[:, 8] + bones[10] * sign * across
        upper = joints[:, shoulder] + bones[11] * hanging(arm, raised, outwards)
        lower = hanging(arm + of("elbow", side), raised, outwards)
        joints[:, shoulder + 1], joints[:, shoulder + 2] = upper, upper + bones[12] * lower
    return joints

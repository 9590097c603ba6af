"""Angles of poses made for them: sign, neutral pose, size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from standing_body import STANDING, posed

from hypopose.quantities import QUANTITIES, BodyMotion
from hypopose.quantities.angles import angle_between
from hypopose.types import Skeleton

A = math.radians(30)


def moved(joint: str, *offset: float) -> tuple[float, float, float]:
    x, y, z = STANDING[joint]
    return x + offset[0], y + offset[1], z + offset[2]


def value(name: str, motion: BodyMotion) -> float:
    return float(QUANTITIES[name].compute(motion).flatten()[0])


@pytest.mark.parametrize("name", [
    "left_knee_flexion", "right_hip_flexion", "left_hip_adduction", "right_elbow_flexion",
    "left_shoulder_elevation", "trunk_lean", "trunk_lean_forward", "trunk_lean_left",
    "trunk_rotation", "pelvis_obliquity",
])  # fmt: skip
def test_standing_is_neutral(name: str) -> None:
    assert value(name, posed()) == pytest.approx(0, abs=1e-5)


CASES = {
    # the shank swings backwards by 30 degrees
    "left_knee_flexion": (
        {"left_ankle": moved("left_knee", -0.42 * math.sin(A), 0, -0.42 * math.cos(A))}, 30,
    ),
    # the thigh swings forward, then back
    "left_hip_flexion": (
        {"left_knee": moved("left_hip", 0.4 * math.sin(A), 0, -0.4 * math.cos(A))}, 30,
    ),
    "right_hip_flexion": (
        {"right_knee": moved("right_hip", -0.4 * math.sin(A), 0, -0.4 * math.cos(A))}, -30,
    ),
    # both knees move to the person's left: the left leg opens, the right one closes
    "left_hip_adduction": (
        {"left_knee": moved("left_hip", 0, 0.4 * math.sin(A), -0.4 * math.cos(A))}, -30,
    ),
    "right_hip_adduction": (
        {"right_knee": moved("right_hip", 0, 0.4 * math.sin(A), -0.4 * math.cos(A))}, 30,
    ),
    "left_elbow_flexion": ({"left_wrist": moved("left_elbow", 0.25, 0, 0)}, 90),
    "right_shoulder_elevation": ({"right_elbow": moved("right_shoulder", 0, -0.3, 0)}, 90),
    "trunk_lean_forward": (
        {"thorax": moved("pelvis", 0.5 * math.sin(A), 0, 0.5 * math.cos(A))}, 30,
    ),
    "trunk_lean_left": (
        {"thorax": moved("pelvis", 0, 0.5 * math.sin(A), 0.5 * math.cos(A))}, 30,
    ),
    "trunk_lean": ({"thorax": moved("pelvis", -0.5 * math.sin(A), 0, 0.5 * math.cos(A))}, 30),
    # the right shoulder comes forward: turned to the left
    "trunk_rotation": (
        {
            "left_shoulder": (-0.2 * math.sin(A), 0.2 * math.cos(A), 1.4),
            "right_shoulder": (0.2 * math.sin(A), -0.2 * math.cos(A), 1.4),
        }, 30,
    ),
    "pelvis_obliquity": (
        {
            "left_hip": (0, 0.1 * math.cos(A), 0.9 + 0.1 * math.sin(A)),
            "right_hip": (0, -0.1 * math.cos(A), 0.9 - 0.1 * math.sin(A)),
        }, 30,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_thirty_degrees_are_thirty(name: str) -> None:
    joints, expected = CASES[name]
    assert value(name, posed(**joints)) == pytest.approx(expected, abs=1e-6)


def test_the_ankle_flexes_towards_the_shin() -> None:
    skeleton = Skeleton(
        "leg", ("left_knee", "left_ankle", "left_heel", "left_big_toe"), (-1, 0, 1, 1)
    )
    for raised, expected in ((0.0, 0), (0.2 * math.sin(A), 30), (-0.2 * math.sin(A), -30)):
        ahead = math.sqrt(0.2**2 - raised**2)
        joints = torch.tensor([[[0, 0, 0.5], [0, 0, 0.08], [0, 0, 0], [ahead, 0, raised]]])
        motion = BodyMotion(joints, skeleton)
        assert value("left_ankle_flexion", motion) == pytest.approx(expected, abs=1e-4)


def test_angles_agree_with_the_arc_cosine_and_are_exact_where_it_is_not() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    found = angle_between(torch.tensor(a), torch.tensor(b)).numpy()
    assert np.allclose(found, np.degrees(np.arccos(cosine)))
    tiny = torch.tensor([1.0, 1e-7, 0.0], dtype=torch.float64)
    along = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    assert float(angle_between(along, tiny)) == pytest.approx(math.degrees(1e-7), rel=1e-3)


def test_unknown_joints_make_unknown_angles() -> None:
    motion = posed(3)
    motion.joints[1, 5] = torch.nan
    flexion = QUANTITIES["left_knee_flexion"].compute(motion)
    assert torch.isnan(flexion).tolist() == [False, True, False]

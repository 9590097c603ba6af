"""Masses, speeds, jumps, squats and sway of bodies made for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from standing_body import posed

from hypopose.errors import OptionError, ShapeError
from hypopose.optimization.stature import stature as stature_by_bones
from hypopose.quantities import QUANTITIES, BodyMotion, Measurement, center_of_mass, heading
from hypopose.quantities.body_motion import moving_mean
from hypopose.quantities.segments import HEAD_MASS, LIMBS, TRUNK
from hypopose.quantities.speeds import derivative
from hypopose.skeletons import H36M17

T = torch.arange(100, dtype=torch.float64) / 50


def value(name: str, motion: BodyMotion) -> torch.Tensor:
    return QUANTITIES[name].compute(motion)


def test_the_segments_weigh_one_body() -> None:
    assert HEAD_MASS + TRUNK.mass + 2 * sum(part.mass for part in LIMBS) == pytest.approx(1)


def test_the_center_of_mass_is_the_weighted_mean_of_segments() -> None:
    motion = posed()
    at = {name: motion.at(name)[0].numpy() for name in H36M17.joint_names}
    total = HEAD_MASS * (at["neck"] + at["head"]) / 2
    hips, shoulders = (
        (at[f"left_{j}"] + at[f"right_{j}"]) / 2 for j in ("hip", "shoulder")
    )  # fmt: skip
    total = total + TRUNK.mass * (hips + shoulders) / 2
    for part in LIMBS:
        for side in ("left", "right"):
            a, b = at[f"{side}_{part.start}"], at[f"{side}_{part.end}"]
            total = total + part.mass * (a + part.center * (b - a))
    assert center_of_mass(motion)[0].numpy() == pytest.approx(total)
    # A standing adult's is at 55 to 57 % of stature.
    assert 0.5 < total[2] / 1.78 < 0.6


def test_stature_is_what_scaling_to_a_height_means(walk: BodyMotion) -> None:
    by_bones = stature_by_bones(walk.joints, H36M17)
    assert value("stature", walk).numpy() == pytest.approx(by_bones.numpy(), rel=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_a_sine(order: int) -> None:
    t = torch.arange(400, dtype=torch.float64) / 100
    x = (3 * t).sin()[:, None]
    expected = 3 * (3 * t).cos() if order == 1 else -9 * (3 * t).sin()
    found = derivative(x, 100.0, order)[:, 0]
    assert (found - expected)[20:-20].abs().max() < 0.03 * 3**order


def test_derivatives_of_short_clips_and_gaps() -> None:
    line = torch.arange(4.0)[:, None]
    assert derivative(line, 10.0)[:, 0].tolist() == pytest.approx([10.0] * 4)
    assert derivative(line[:2], 10.0)[:, 0].tolist() == pytest.approx([10.0] * 2)
    assert derivative(line[:1], 10.0).isnan().all()
    gap = torch.arange(20.0)[:, None]
    gap[7] = torch.nan
    found = derivative(gap, 10.0)[:, 0]
    assert found.isnan().nonzero().flatten().tolist() == [7]
    assert found[torch.isfinite(found)].tolist() == pytest.approx([10.0] * 19, rel=1e-5)


@pytest.mark.parametrize("height", [0.2, 0.35])
def test_a_jump_is_as_high_as_it_is(height: float) -> None:
    """The ankles are watched from 0.12 leg lengths up, so a little of the flight is missed."""
    up = math.sqrt(2 * 9.81 * height)
    lift = (up * (T - 0.5) - 9.81 * (T - 0.5) ** 2 / 2).clamp(min=0)
    lift = torch.where(T < 0.5, 0.0, lift)
    reach = 0.12 * 0.82
    x = posed(100).joints
    x[..., 2] += (lift + torch.where(lift > 0, reach, 0.0))[:, None]  # toes point down in the air
    motion = BodyMotion(x, H36M17, 50.0)
    assert value("jump_count", motion) == 1
    assert value("flight_time", motion).item() == pytest.approx(2 * up / 9.81, abs=0.03)
    assert value("jump_height", motion).item() == pytest.approx(height, rel=0.1)
    assert value("left_foot_contact", motion)[:20].min() == 1
    assert value("left_foot_contact", motion)[(lift > 0.1)].max() == 0


def test_squats_are_counted_and_deep() -> None:
    bend = torch.deg2rad(45 * (1 - (2 * math.pi * T).cos()))  # two squats to 90 degrees
    x = posed(100).joints
    for side, y in (("left", 0.1), ("right", -0.1)):
        ankle = x[0, H36M17.index(f"{side}_ankle")]
        knee = ankle + torch.stack((0.42 * (bend / 2).sin(), 0 * T, 0.42 * (bend / 2).cos()), -1)
        hip = knee + torch.stack((-0.4 * (bend / 2).sin(), 0 * T, 0.4 * (bend / 2).cos()), -1)
        x[:, H36M17.index(f"{side}_knee")], x[:, H36M17.index(f"{side}_hip")] = knee, hip
        assert hip[0, 1] == pytest.approx(y)
    x[:, 0] = (x[:, 1] + x[:, 4]) / 2
    motion = BodyMotion(x, H36M17, 50.0)
    assert value("squat_count", motion) == 2
    assert value("squat_depth", motion).item() == pytest.approx(90, abs=0.1)
    assert value("squat_drop", motion).item() == pytest.approx(0.82 * (1 - math.cos(math.pi / 4)),
                                                               rel=0.01)  # fmt: skip


def test_sway_of_a_known_ellipse() -> None:
    x = posed(100).joints
    upper = [j for j in range(17) if j not in (3, 6)]
    phase = 2 * math.pi * T
    x[:, upper, 0] += 0.02 * phase.sin()[:, None]
    x[:, upper, 1] += 0.01 * phase.cos()[:, None]
    motion = BodyMotion(x, H36M17, 50.0)
    ankles = 2 * 0.061 * (1 - 0.606)  # the shank's center moves less than the rest
    part = 1 - 2 * 0.061 + ankles
    forward, left = 20 * part / math.sqrt(2), 10 * part / math.sqrt(2)
    assert value("sway_forward", motion).item() == pytest.approx(forward, rel=0.01)
    assert value("sway_left", motion).item() == pytest.approx(left, rel=0.01)
    area = math.pi * 5.991 * forward * left / 100
    assert value("sway_area", motion).item() == pytest.approx(area, rel=0.03)


def test_the_heading_is_level_and_turns_with_the_body() -> None:
    x = posed(60).joints
    angle = torch.linspace(0, 1, 60, dtype=torch.float64)
    cos, sin = angle.cos(), angle.sin()
    zero, one = 0 * cos, 1 + 0 * cos
    turn = torch.stack((cos, -sin, zero, sin, cos, zero, zero, zero, one), -1).view(-1, 3, 3)
    turned = torch.einsum("fab,fjb->fja", turn, x)
    found = heading(BodyMotion(turned, H36M17, 50.0), window=0.2)
    assert torch.allclose(found[10:-10], torch.stack((cos, sin, 0 * cos), -1)[10:-10], atol=1e-3)


def test_a_moving_mean_is_numpys_convolution() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    found = moving_mean(torch.tensor(x), 5).numpy()
    wanted = np.stack([np.convolve(c, np.ones(5) / 5, "valid") for c in x.T], -1)
    assert np.allclose(found[2:-2], wanted)


def test_shapes_and_rates_that_cannot_be() -> None:
    with pytest.raises(ShapeError, match=r"17, 3\)"):
        BodyMotion(torch.zeros(4, 16, 3), H36M17)
    with pytest.raises(OptionError, match="fps must be positive"):
        BodyMotion(torch.zeros(4, 17, 3), H36M17, fps=0.0)


def test_angles_wrap_without_jumps() -> None:
    """A trunk that turns over: range and velocity are those of the turn."""
    angle = torch.linspace(math.radians(150), math.radians(230), 50, dtype=torch.float64)
    x = posed(50).joints
    trunk = 0.5 * torch.stack((angle.sin(), 0 * angle, angle.cos()), -1)
    x[:, H36M17.index("thorax")] = x[:, 0] + trunk
    motion = BodyMotion(x[None], H36M17, 50.0)
    assert value("trunk_lean_forward_range", motion).item() == pytest.approx(80 * 0.96, abs=0.5)
    samples = torch.tensor([[179.0], [-179.0], [178.0]])
    lean = Measurement(QUANTITIES["trunk_lean_forward"], samples)
    assert lean.mean.item() == pytest.approx(179.333, abs=1e-3)
    low, high = lean.interval(0.5)
    assert high - low == pytest.approx(3.0)

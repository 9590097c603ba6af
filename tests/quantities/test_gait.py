"""Steps of a walk made by code, whose rhythm and speed are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from standing_body import posed

from hypopose.datasets import example_motion
from hypopose.quantities import (
    QUANTITIES,
    BodyMotion,
    Measurement,
    find_feet,
    foot_events,
    gait_cycles,
)
from hypopose.skeletons import H36M17

PERIOD_S, SPEED = 1.1, 1.2  # of example_motion


def value(name: str, motion: BodyMotion) -> torch.Tensor:
    return QUANTITIES[name].compute(motion)


def test_rhythm_and_speed_are_those_of_the_walk(walk: BodyMotion) -> None:
    assert value("stride_time", walk).mean().item() == pytest.approx(PERIOD_S, abs=0.01)
    assert value("cadence", walk).mean().item() == pytest.approx(120 / PERIOD_S, rel=0.02)
    assert value("walking_speed", walk).mean().item() == pytest.approx(SPEED, rel=0.04)
    assert value("pelvis_speed", walk).mean().item() == pytest.approx(SPEED, rel=0.02)
    assert value("left_step_length", walk).mean().item() == pytest.approx(SPEED * PERIOD_S / 2,
                                                                          rel=0.06)  # fmt: skip
    assert value("step_time_symmetry", walk).abs().max() < 5


@pytest.mark.parametrize("fps", [25.0, 50.0])
def test_strikes_come_when_the_ankle_is_farthest_ahead(fps: float) -> None:
    t = np.arange(int(6 * fps)) / fps
    x = posed(len(t)).joints
    for side, phase in (("left", 0.0), ("right", np.pi)):
        swing = 0.3 * np.cos(2 * np.pi * (t - 0.21) / 1.3 + phase)
        x[:, H36M17.index(f"{side}_ankle"), 0] += torch.tensor(swing)
    feet = find_feet(BodyMotion(x, H36M17, fps))
    expected = 0.21 + 1.3 * np.arange(5)
    for found, wanted in (
        (feet.strikes["left"][0], expected),
        (feet.lifts["left"][0], expected[:-1] + 0.65),
        (feet.strikes["right"][0], expected[:-1] + 0.65),
    ):
        assert len(found) >= len(wanted) - 1
        for time in found:  # the filter's ends are worse than its middle
            assert np.abs(wanted - time).min() < 0.012


def test_squats_and_still_feet_are_no_steps() -> None:
    t = torch.arange(200, dtype=torch.float64) / 50
    x = posed(200).joints
    upper = [j for j in range(17) if j not in (3, 6)]
    x[:, upper, 0] -= 0.3 * (1 - (2 * t).cos())[:, None]
    motion = BodyMotion(x, H36M17, 50.0)
    assert value("step_count", motion) == 0
    assert torch.isnan(value("cadence", motion))


def test_events_carry_the_share_of_hypotheses(walk: BodyMotion) -> None:
    still = walk.joints[:1, :1].expand(1, 100, 17, 3)
    mixed = replace(walk, joints=torch.cat((walk.joints, still)))
    events = foot_events(mixed)
    strikes = [e for e in events if e.kind == "strike" and e.side == "left"]
    assert [e.probability for e in strikes] == [0.75] * len(strikes)
    assert np.diff([e.time for e in strikes]) == pytest.approx(PERIOD_S, abs=0.03)
    assert all(e.std < 0.05 for e in events)
    assert [e.time for e in events] == sorted(e.time for e in events)


def test_gait_cycles_are_one_period(walk: BodyMotion) -> None:
    quantity = QUANTITIES["right_knee_flexion"]
    cycles = gait_cycles(Measurement(quantity, quantity.compute(walk), 25.0), find_feet(walk))
    assert cycles.shape[1] == 101
    assert len(cycles) >= 6
    assert np.abs(cycles[:, 0] - cycles[:, -1]).max() < 4
    assert np.abs(cycles[::2] - cycles[1::2]).max() < 2  # of one hypothesis


def test_gaps_are_bridged() -> None:
    x = example_motion(100).double()[None].clone()
    x[0, 40:43] = torch.nan
    motion = BodyMotion(x, H36M17, 25.0)
    assert value("stride_time", motion).item() == pytest.approx(PERIOD_S, abs=0.03)


def test_short_clips_have_no_gait() -> None:
    motion = BodyMotion(example_motion(3).double()[None], H36M17, 25.0)
    assert value("step_count", motion).item() == 0
    assert foot_events(motion) == []
    assert torch.isnan(value("left_stance_share", motion)).all()

"""Figures of quantities: what is drawn is what was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hypopose.datasets import example_motion
from hypopose.quantities import BodyMotion, Measurement, Measurements, choose_quantities, find_feet
from hypopose.report.quantity_figures import quantity_figure
from hypopose.skeletons import H36M17


def measured(*names: str) -> Measurements:
    g = torch.Generator().manual_seed(0)
    x = example_motion(75).double() + 0.02 * torch.randn(6, 1, 17, 3, generator=g)
    motion = BodyMotion(x, H36M17, 25.0)
    found = {
        q.name: Measurement(q, q.compute(motion), 25.0) for q in choose_quantities(list(names))
    }
    return Measurements(found, n_frames=75, fps=25.0, feet=find_feet(motion))


def test_both_sides_and_the_gait_cycle() -> None:
    one = measured("knee_flexion")
    figure = quantity_figure("knee_flexion", [one])
    time, cycle = figure.axes
    left, right = time.get_lines()
    assert np.allclose(left.get_ydata(), one["left_knee_flexion"].median)
    assert np.allclose(right.get_xdata(), np.arange(75) / 25)
    assert [t.get_text() for t in time.get_legend().get_texts()] == ["left", "right"]
    assert len(time.collections) == 6  # three bands a side
    assert cycle.get_lines()[0].get_xdata()[[0, -1]].tolist() == [0, 100]
    assert "deg" in time.get_ylabel()


def test_a_probability_is_the_share_of_the_hypotheses() -> None:
    one = measured("foot_contact")
    contact = one["left_foot_contact"]
    mixed = contact.samples.clone()
    mixed[:2] = 1 - mixed[:2]
    one = replace(one, measured={"left_foot_contact": replace(contact, samples=mixed)})
    time, cycle = quantity_figure("foot_contact", [one]).axes
    share = time.get_lines()[0].get_ydata()
    assert np.allclose(share, mixed.mean(0))
    assert 0 < share.min() < share.max() < 1
    drawn = cycle.get_lines()[0].get_ydata()
    assert 0.1 < drawn.min() < drawn.max() < 0.9
    assert not cycle.collections


def test_people_are_rows_and_standing_has_no_cycle() -> None:
    one = measured("trunk_lean")
    two = quantity_figure("trunk_lean", [one, replace(one, person="ann")])
    assert len(two.axes) == 4
    assert "person ann" in two.axes[2].get_title()
    still = quantity_figure("trunk_lean", [replace(one, feet=None)])
    assert len(still.axes) == 1


def test_the_title_states_the_evidence() -> None:
    one = measured("knee_flexion")
    plain = quantity_figure("knee_flexion", [one]).axes[0].get_title()
    assert "bands as sampled" in plain
    stretch = dict.fromkeys((0.5, 0.8, 0.95), 1.5)
    told = {name: replace(m, stretch=stretch, evidence={0.8: 0.913}) for name, m in one.items()}
    title = quantity_figure("knee_flexion", [replace(one, measured=told)]).axes[0].get_title()
    assert "recalibrated; in tests 80 % bands held 91 %" in title

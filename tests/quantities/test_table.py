"""Laws of every quantity: what its row in the table says of it is so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from standing_body import posed

from hypopose.cameras import axis_angle
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.quantities import (
    FAMILIES,
    QUANTITIES,
    BodyMotion,
    Quantity,
    choose_quantities,
    sample_quantity,
)
from hypopose.quantities.table import NOT_SHOWN
from hypopose.skeletons import H36M16, H36M17

BODY = [q for q in QUANTITIES.values() if not q.family.startswith("ankle_flexion")]
NAMES = [q.name for q in BODY]


def motions(quantity: Quantity, walk: BodyMotion) -> BodyMotion:
    """A motion in which the quantity has a value."""
    n, t = 120, torch.arange(120, dtype=torch.float64) / 50
    still = posed(n).joints
    if quantity.group == "balance":
        lean = torch.stack((0.02 * (5 * t).sin(), 0.01 * (3 * t).cos(), 0 * t), -1)
        upper = torch.tensor([j not in (2, 3, 5, 6) for j in range(17)])
        return BodyMotion((still + lean[:, None] * upper[:, None])[None], H36M17, 50.0)
    if quantity.group == "repetitions":
        sink = 0.15 * (1 - (2 * torch.pi * t / 1.2).cos())
        jump = (0.3 - 4.9 * (t - 0.6) ** 2).clamp(min=0)
        down = torch.tensor([0.0 if j in (3, 6) else 0.5 if j in (2, 5) else 1 for j in range(17)])
        x = still.clone()
        x[..., 2] += jump[:, None] - down * sink[:, None]
        x[:, [2, 5], 0] += 2 * sink[:, None] ** 0.5 * 0.4
        return BodyMotion(x[None], H36M17, 50.0)
    return walk


def values(quantity: Quantity, motion: BodyMotion) -> torch.Tensor:
    found = sample_quantity(quantity, motion)[1]
    assert torch.isfinite(found).any()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_rows_say_what_quantities_depend_on(name: str, walk: BodyMotion) -> None:
    quantity = QUANTITIES[name]
    motion = motions(quantity, walk)
    H, F = motion.joints.shape[:2]
    before = values(quantity, motion)
    assert before.shape == ((H, F) if quantity.per == "frame" else (H,))

    def same(other: BodyMotion, factor: float = 1.0) -> bool:
        now = sample_quantity(quantity, other)[1]
        return torch.allclose(now, factor * before, rtol=1e-5, atol=1e-5, equal_nan=True)

    area = 2 if quantity.unit == "cm²" else 1
    grown = replace(motion, joints=1.25 * motion.joints)
    assert same(grown, 1.25**area if quantity.scale else 1.0)
    turn = axis_angle(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.7)).double()
    assert same(replace(motion, joints=motion.joints @ turn.T + torch.tensor([3.0, -2.0, 0.5])))
    g = torch.Generator().manual_seed(1)
    path = torch.randn(H, F, 1, 3, generator=g, dtype=torch.float64)
    adrift = replace(motion, joints=motion.joints + path, placed=False)
    if quantity.placed:
        with pytest.raises(OptionError, match="sample with a camera"):
            quantity.compute(adrift)
    else:
        assert same(adrift)
    if not quantity.vertical:
        tilt = axis_angle(torch.tensor([1.0, 0.0, 0.0]), torch.tensor(0.4)).double()
        assert same(replace(motion, joints=motion.joints @ tilt.T))
    unclocked = replace(motion, fps=None)
    if quantity.timed:
        with pytest.raises(OptionError, match="fps=30"):
            quantity.compute(unclocked)
    else:
        assert same(unclocked)


@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.startswith("ankle_flexion")])
def test_a_mirror_swaps_the_sides(family: str, walk: BodyMotion) -> None:
    motion = motions(FAMILIES[family][0], walk)
    x = motion.joints[..., list(H36M17.flip_order), :] * torch.tensor([1.0, -1.0, 1.0])
    mirrored = replace(motion, joints=x)
    if len(FAMILIES[family]) == 2:
        left, right = FAMILIES[family]
        pairs = [(left, right), (right, left)]
    else:
        pairs = [(FAMILIES[family][0],) * 2]
    signed = "left" in pairs[0][0].positive and len(pairs) == 1
    for a, b in pairs:
        before, after = a.compute(motion), b.compute(mirrored)
        expected = -before if signed else before
        if family == "trunk_rotation_velocity":
            expected = -before
        assert torch.allclose(after, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=lambda q: q.name)
def test_rows_are_complete(quantity: Quantity) -> None:
    assert quantity.definition.endswith(".")
    assert quantity.unit in {
        "deg", "deg/s", "m", "m/s", "m/s²", "mm", "mm/s", "cm²", "s", "1/min", "%", "count",
        "probability",
    }  # fmt: skip
    if quantity.unit == "deg" and quantity.per == "frame":
        assert quantity.positive
        assert quantity.neutral


def test_families_groups_and_single_names() -> None:
    assert [q.name for q in choose_quantities(["step_time"])] == ["left_step_time",
                                                                   "right_step_time"]  # fmt: skip
    assert {q.group for q in choose_quantities(["balance"])} == {"balance"}
    assert len(choose_quantities(["angles", "left_knee_flexion"])) == 17


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("knee_flexon", "Did you mean knee_flexion"),
        ("angle:left_hip/left_knee", "angle:left_hip/left_knee/left_ankle"),
        ("./nowhere.py:f", "there is no such file"),
        ("math:pi", "not a function of a motion"),
    ],
)
def test_names_that_are_none(name: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        choose_quantities([name])


def test_a_function_of_your_own_from_a_file(tmp_path, walk: BodyMotion) -> None:
    (tmp_path / "mine.py").write_text(
        "def wide_m(motion):\n    '''How wide.'''\n"
        "    return (motion.at('left_ankle') - motion.at('right_ankle')).norm(dim=-1)\n"
        "def bad(motion):\n    return motion.joints\n"
    )
    (wide,) = choose_quantities([f"{tmp_path}/mine.py:wide_m"])
    assert (wide.name, wide.unit, wide.scale, wide.definition) == ("wide_m", "m", True, "How wide.")
    found, samples = sample_quantity(wide, walk)
    apart = walk.at("left_ankle") - walk.at("right_ankle")
    assert found.per == "frame"
    assert torch.allclose(samples, apart.norm(dim=-1))
    (bad,) = choose_quantities([f"{tmp_path}/mine.py:bad"])
    with pytest.raises(OptionError, match="one number, or one per frame"):
        sample_quantity(bad, walk)


def test_three_joints_of_ones_own(walk: BodyMotion) -> None:
    (angle,) = choose_quantities(["angle:left_hip/left_knee/left_ankle"])
    knee = QUANTITIES["left_knee_flexion"].compute(walk)
    assert torch.allclose(sample_quantity(angle, walk)[1], 180 - knee)


def test_a_skeleton_without_the_joint_is_told() -> None:
    motion = BodyMotion(torch.zeros(4, 16, 3), H36M16)
    with pytest.raises(SkeletonMismatchError, match="no joint 'neck'"):
        QUANTITIES["com_height"].compute(motion)


def test_the_page_shows_the_table() -> None:
    """benchmarks/quantities_table.py prints what docs/reference/quantities.md holds."""
    import runpy
    from pathlib import Path

    root = Path(__file__).parents[2]
    lines = runpy.run_path(str(root / "benchmarks" / "quantities_table.py"))["lines"]()
    page = (root / "docs" / "reference" / "quantities.md").read_text()
    missing = [line for line in lines if line and line not in page]
    assert not missing


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Knee flexion", "left_knee_flexion"),
        ("knee_flexion_right", "right_knee_flexion"),
        ("Ranges-of-motion", "left_knee_flexion_range"),
        ("all", "sway_speed"),
    ],
)
def test_names_as_people_write_them(word: str, name: str) -> None:
    assert name in [quantity.name for quantity in choose_quantities([word])]


def test_what_joint_centers_do_not_show_is_said() -> None:
    with pytest.raises(OptionError, match=r"left_hip_rotation is not measured: .*hip_adduction"):
        choose_quantities(["hip rotation left"])
    assert set(NOT_SHOWN.values()) <= set(FAMILIES)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hypopose.bodies.proportions import BONE_LENGTHS, BONE_PAIRS
from hypopose.datasets import coco_joints, example_motion
from hypopose.errors import FormatError
from hypopose.simulation import BodyMaker, BodyOptions, Draws, Motion
from hypopose.simulation.anatomy import BONES
from hypopose.simulation.people import TABLE, coco_points, load_people
from hypopose.skeletons import COCO17, H36M17


def test_the_table_is_small_and_holds_people_of_every_size() -> None:
    people = load_people()
    assert TABLE.stat().st_size < 1_000_000
    adult = people.age >= 18
    assert 0.7 < adult.float().mean() < 0.85
    assert 1.6 < people.stature[adult].mean() < 1.8
    assert people.stature.min() < 1.0  # children
    grown = people.lengths[adult].mean(0)
    usual = torch.tensor(BONE_LENGTHS)[[BONE_PAIRS.index(i) for i in range(10)]]
    assert ((grown / usual - 1).abs() < 0.2).all()
    leg = people.lengths[:, 1] + people.lengths[:, 2]
    assert torch.corrcoef(torch.stack([leg, people.stature]))[0, 1] > 0.9


def test_points_lie_where_detectors_see_them() -> None:
    x = example_motion(20)[None]
    people = load_people()
    mean = {name: values.mean(0, keepdim=True) for name, values in people.points.items()}
    found, rule = coco_points(x, mean), coco_joints(x)
    off = (found - rule).norm(dim=-1).mean((0, 1))
    assert (off[:5] < 0.07).all()  # the rule's heads lie 4 cm lower
    assert (off[5:] < 0.035).all()
    up = x[:, :, 10] - x[:, :, 9]
    assert ((found[:, :, 1] - found[:, :, 0]) * up).sum(-1).min() > 0  # eyes above the nose
    left = x[:, :, 11] - x[:, :, 14]
    assert ((found[:, :, 3] - found[:, :, 4]) * left).sum(-1).min() > 0


def test_mirrored_people_have_mirrored_points() -> None:
    x = example_motion(5)[None].expand(2, -1, -1, -1)
    some = load_people().pick(torch.tensor([3, 4000]))
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    turn = torch.full((2, 5), 0.4)
    a = coco_points(x[:, :, list(H36M17.flip_order)] * mirror, some.points, -turn)
    b = coco_points(x, some.points, turn)[:, :, list(COCO17.flip_order)] * mirror
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_bodies_are_somebody_of_the_table(motion: Motion) -> None:
    maker = BodyMaker(motion, torch.device("cpu"), BodyOptions(as_people=1.0))
    bodies = maker(6, 4, Draws(torch.Generator().manual_seed(0)))
    assert bodies.people is not None
    bones = [(bodies.joints[:, :, c] - bodies.joints[:, :, p]).norm(dim=-1) for p, c in BONES]
    found = torch.stack(bones, -1)
    expected = bodies.people.lengths[:, list(BONE_PAIRS)]
    torch.testing.assert_close(found, expected[:, None].expand_as(found), atol=1e-5, rtol=0)


def test_without_the_table_draws_are_as_before(motion: Motion) -> None:
    with_options, without = (
        BodyMaker(motion, torch.device("cpu"), options)(
            3, 4, Draws(torch.Generator().manual_seed(0))
        )
        for options in (BodyOptions(as_people=0.0), None)
    )
    assert torch.equal(with_options.joints, without.joints)
    assert without.people is None


def test_another_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(FormatError, match="not a table of people"):
        load_people(tmp_path / "other.npz")

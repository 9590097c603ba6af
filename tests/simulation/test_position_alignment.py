from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.errors import OptionError, ShapeError
from hypopose.simulation import global_position_alignment, random_pairs, redistribute
from hypopose.skeletons import H36M17
from hypopose.types import Camera

CAMERA = Camera.from_fov((1000, 800))


def flat_pose() -> torch.Tensor:
    """All joints at the root's depth: there the orthographic depth is exact."""
    pose = 0.4 * torch.randn(6, 17, 3, generator=torch.Generator().manual_seed(0))
    pose[..., 2] = 0
    return pose - pose[:, :1]


def test_poses_seen_by_the_camera_come_back_to_their_place() -> None:
    pose = flat_pose()
    place = torch.tensor([0.3, -0.2, 5.0])
    seen = project(pose + place, CAMERA)
    found = global_position_alignment(pose + torch.randn(3), seen, CAMERA, H36M17)
    torch.testing.assert_close(found.joints, pose + place, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.xy, seen, atol=1e-2, rtol=1e-4)
    assert bool(found.kept.all())


def test_twice_the_person_half_as_large_stands_four_times_as_far() -> None:
    pose = flat_pose()
    seen = project(pose + torch.tensor([0.0, 0.0, 3.0]), CAMERA)
    middle = seen.mean(-2, keepdim=True)
    far = global_position_alignment(2 * pose, middle + (seen - middle) / 2, CAMERA, H36M17)
    torch.testing.assert_close(far.joints[:, 0, 2], torch.full((6,), 12.0), atol=1e-3, rtol=1e-3)


def test_real_poses_of_another_clip_stand_on_the_target_root() -> None:
    keypoints, truth = example_pair()
    assert keypoints.camera is not None
    order = torch.randperm(len(truth.joints), generator=torch.Generator().manual_seed(1))
    seen = keypoints.xy[order]
    found = global_position_alignment(truth.joints, seen, keypoints.camera, H36M17)
    assert bool(found.kept.all())
    torch.testing.assert_close(found.xy[:, 0], seen[:, 0], atol=1e-2, rtol=1e-4)
    sizes = [x.amax(-2) - x.amin(-2) for x in (found.xy, seen)]
    ratio = sizes[0].sum(-1) / sizes[1].sum(-1)
    assert 0.75 < float(ratio.median()) < 1.33


def test_pairs_that_say_nothing_are_dropped() -> None:
    pose = flat_pose()
    seen = project(pose + torch.tensor([0.0, 0.0, 5.0]), CAMERA)
    seen[0] = torch.nan  # nobody
    seen[1] = 400.0  # no size
    seen[2, 0] = torch.nan  # no root
    seen[3, 5] = torch.nan  # one joint missing is fine
    pose[4, :] *= 0.1  # ends at half a meter
    found = global_position_alignment(pose, seen, CAMERA, H36M17)
    assert found.kept.tolist() == [False, False, False, True, False, True]
    assert bool(torch.isnan(found.joints[~found.kept]).all())
    assert bool(torch.isfinite(found.xy[found.kept]).all())


def test_shapes_must_agree() -> None:
    sixteen = torch.zeros(2, 16, 3)
    with pytest.raises(ShapeError, match="must agree"):
        global_position_alignment(sixteen, sixteen[..., :2], CAMERA, H36M17)


def test_redistribution_pairs_every_row_of_the_smaller_side_once() -> None:
    for n_source, n_target in ((3, 7), (7, 3), (4, 4)):
        chosen = [set(), set()]
        for seed in range(30):
            source, target = random_pairs(n_source, n_target, torch.Generator().manual_seed(seed))
            assert len(source) == len(target) == min(n_source, n_target)
            assert len(set(source.tolist())) == len(source)
            assert len(set(target.tolist())) == len(target)
            for found, side in zip(chosen, (source, target), strict=True):
                found |= set(side.tolist())
        assert chosen == [set(range(n_source)), set(range(n_target))]


def test_bodies_of_other_sizes_look_as_large_and_stand_as_much_farther_away() -> None:
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(6, 17, 3, generator=generator).double() * 0.3
    seen = 500 + 60 * torch.rand(6, 17, 2, generator=generator).double()
    n = torch.arange(6)
    one = redistribute(pose, seen, CAMERA, H36M17, pairs=(n, n))
    other = redistribute(pose, seen, CAMERA, H36M17, generator, pairs=(n, n), sizes=(0.6, 1.15))
    factor = other.joints[:, 0, 2] / one.joints[:, 0, 2]
    assert bool(((factor > 0.6) & (factor < 1.15)).all())
    assert factor.unique().numel() == 6
    limbs = [x.joints - x.joints[:, :1] for x in (one, other)]
    torch.testing.assert_close(limbs[1], limbs[0] * factor[:, None, None])
    torch.testing.assert_close(other.xy[:, 0], seen[:, 0])
    torch.testing.assert_close(other.xy, one.xy, rtol=0, atol=60)


def test_redistribution_repeats_with_its_generator_and_refuses_what_it_cannot_draw() -> None:
    pose, seen = torch.randn(4, 17, 3) * 0.3, 500 + 60 * torch.rand(9, 17, 2)
    draws = [
        redistribute(pose, seen, CAMERA, H36M17, torch.Generator().manual_seed(s)).xy
        for s in (0, 0, 1)
    ]
    assert torch.equal(draws[0].nan_to_num(), draws[1].nan_to_num())
    assert not torch.equal(draws[0].nan_to_num(), draws[2].nan_to_num())
    with pytest.raises(OptionError, match="give generator="):
        redistribute(pose, seen, CAMERA, H36M17)
    with pytest.raises(OptionError, match="the least first"):
        redistribute(pose, seen, CAMERA, H36M17, torch.Generator(), sizes=(1.1, 0.9))
    many = replace(CAMERA, focal=CAMERA.focal.expand(4, 2), center=CAMERA.center.expand(4, 2))
    with pytest.raises(ShapeError, match="one camera"):
        redistribute(pose, seen, many, H36M17, torch.Generator())

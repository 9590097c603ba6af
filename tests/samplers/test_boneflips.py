"""BoneFlips: exact where geometry allows it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from hypopose.aggregation import reprojection_distances
from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.diffusion import recorded_noise, seeded_noise
from hypopose.errors import (
    MissingCameraError,
    OptionError,
    ShapeError,
    SkeletonMismatchError,
)
from hypopose.metrics import bone_lengths
from hypopose.samplers.boneflips import BoneFlips, default_bone_lengths
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, Sampler, Skeleton

CHAIN = Skeleton("chain", ("base", "middle", "tip"), (-1, 0, 1))
CAMERA = Camera(torch.tensor([1000.0, 1000.0]), torch.tensor([500.0, 500.0]), (1000, 1000))


def true_lengths(scale: float = 1.0) -> tuple[float, ...]:
    _, truth = example_pair()
    return tuple((scale * bone_lengths(truth.joints, H36M17).median(0).values).tolist())


def arm(angles_deg: tuple[float, ...], n_frames: int = 1) -> tuple[Keypoints2D, torch.Tensor]:
    """A two-bone arm (0.3 and 0.25 m) at 4 m; angles to the image, positive = away."""
    tip = torch.zeros(3, dtype=torch.float64)
    points = [tip]
    for length, angle in zip((0.3, 0.25), angles_deg, strict=True):
        a = math.radians(angle)
        tip = tip + length * torch.tensor([math.cos(a), 0.2 * math.cos(a), 0.0]).double() / (
            1.04**0.5
        )
        tip = tip + length * torch.tensor([0.0, 0.0, math.sin(a)]).double()
        points.append(tip)
    joints = torch.stack(points) + torch.tensor([0.1, -0.2, 4.0])
    xy = project(joints, CAMERA).expand(n_frames, 3, 2).contiguous()
    return Keypoints2D(xy, CHAIN, camera=CAMERA), joints


def test_it_is_a_sampler_and_repeats_by_seed() -> None:
    keypoints, _ = example_pair(10)
    sampler = BoneFlips()
    assert isinstance(sampler, Sampler)
    a = sampler.sample(keypoints, 4, seeded_noise(3))
    b = sampler.sample(keypoints, 9, seeded_noise(3))
    assert torch.equal(a.joints, b.joints[:4])
    c = sampler.sample(keypoints, 4, seeded_noise(4))
    assert not torch.equal(a.joints, c.joints)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_every_hypothesis_reprojects_onto_the_keypoints_whatever_the_lengths(scale: float) -> None:
    keypoints, _ = example_pair()
    hypotheses = BoneFlips(scale=scale).sample(keypoints, 16, seeded_noise(0))
    distances = reprojection_distances(hypotheses, keypoints, hypotheses.root)
    assert distances.max() < 1e-2  # px; joints are stored in float32


def test_reprojection_is_exact_through_a_distorted_lens_too() -> None:
    keypoints, truth = example_pair(10)
    camera = replace(
        keypoints.camera,
        distortion=torch.tensor([-0.2, 0.24, 0.001, -0.001, 0.0]),
        distortion_model="opencv",
    )
    xy = project(truth.joints + truth.root[:, None], camera)
    seen = replace(keypoints, xy=xy, camera=camera)
    hypotheses = BoneFlips().sample(seen, 4, seeded_noise(0))
    assert reprojection_distances(hypotheses, seen, hypotheses.root).max() < 1e-2


def test_bone_lengths_are_exact_where_every_bone_reaches_its_ray() -> None:
    keypoints, _ = example_pair()
    sampler = BoneFlips(bone_lengths=true_lengths(), root_depth=2.5)  # near: all bones reach
    hypotheses = sampler.sample(keypoints, 8, seeded_noise(0))
    lengths = bone_lengths(hypotheses.joints.double(), H36M17)
    torch.testing.assert_close(lengths, sampler.lengths.expand_as(lengths), rtol=0, atol=1e-5)


def test_a_bone_that_cannot_reach_is_as_short_as_its_ray_allows() -> None:
    keypoints, joints = arm((0.0, 0.0))
    sampler = BoneFlips(CHAIN, bone_lengths=(0.1, 0.1), root_depth=float(joints[0, 2]))
    got = bone_lengths(sampler.sample(keypoints, 2, seeded_noise(0)).joints, CHAIN)
    assert (got > 0.1).all()
    direction = joints / joints[:, 2:]
    parent = joints[0]
    ray = direction[1] / direction[1].norm()
    nearest = (parent - (parent @ ray) * ray).norm()
    torch.testing.assert_close(got[..., 0].double(), nearest.expand(2, 1), rtol=0, atol=1e-5)


def all_modes(sampler: BoneFlips, keypoints: Keypoints2D) -> Hypotheses:
    """Both coins of both bones of the chain, the last bone's changing fastest."""
    coins = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 2)
    thrown = torch.ones(4, keypoints.n_frames, 3, 1)
    thrown[:, :, 1:, 0] = coins[:, None]
    return sampler.sample(keypoints, 4, recorded_noise([thrown]))


def test_enumeration_holds_all_modes_and_the_truth_is_one_of_them() -> None:
    keypoints, joints = arm((40.0, -25.0))
    depth = float(joints[0, 2])
    sampler = BoneFlips(CHAIN, bone_lengths=(0.3, 0.25), root_depth=depth)
    hypotheses = all_modes(sampler, keypoints)
    assert len(hypotheses) == 4
    flat = hypotheses.joints.flatten(1)
    assert torch.cdist(flat, flat).add(torch.eye(4)).min() > 0.05  # four distinct modes
    truth = (joints - joints[0]).float()
    errors = (hypotheses.joints[:, 0] - truth).norm(dim=-1).amax(-1)
    assert errors.argmin() == 2  # away, towards: coins +1, -1
    assert errors.min() < 1e-5
    assert (errors > 0.05).sum() == 3


def test_draws_are_the_enumerated_modes_in_equal_shares() -> None:
    keypoints, joints = arm((40.0, -25.0))
    sampler = BoneFlips(CHAIN, bone_lengths=(0.3, 0.25), root_depth=float(joints[0, 2]))
    modes = all_modes(sampler, keypoints).joints.flatten(1)
    draws = sampler.sample(keypoints, 400, seeded_noise(0)).joints.flatten(1)
    nearest = torch.cdist(draws, modes)
    assert nearest.amin(1).max() < 1e-5
    shares = nearest.argmin(1).bincount(minlength=4) / 400
    assert (shares - 0.25).abs().max() < 0.08  # 3.7 standard deviations


def test_opposite_bones_take_opposite_coins() -> None:
    keypoints, _ = example_pair(1)
    hypotheses = BoneFlips(root_depth=2.5).sample(keypoints, 16, seeded_noise(0))
    x = hypotheses.joints[:, 0].double() + hypotheses.root[:, 0, None].double()
    for right, left in ((1, 4), (14, 11)):
        parent = H36M17.parents[left]
        # which of the two places on its ray: compare with the nearest point to the parent
        sides = []
        for joint in (right, left):
            ray = x[:, joint] / x[:, joint].norm(dim=-1, keepdim=True)
            foot = (x[:, parent] * ray).sum(-1)
            sides.append((x[:, joint].norm(dim=-1) - foot).sign())
        assert torch.equal(sides[0], -sides[1])
    free = BoneFlips(root_depth=2.5, opposite=()).sample(keypoints, 16, seeded_noise(0))
    assert not torch.equal(free.joints, hypotheses.joints)


def test_coins_hold_over_time_and_new_ones_cost_a_small_jump() -> None:
    keypoints, truth = example_pair(100)
    sampler = BoneFlips(bone_lengths=true_lengths())
    x = sampler.sample(keypoints, 20, seeded_noise(0)).joints
    step = (x[:, 1:] - x[:, :-1]).norm(dim=-1)
    true_step = (truth.joints[1:] - truth.joints[:-1]).norm(dim=-1)
    assert step.mean() < 1.5 * true_step.mean()
    # one throw moves a joint by 2 plane L at most; a chain of three bones adds up
    assert step.max() < 3 * 2 * sampler.plane * max(true_lengths()) + true_step.max()


def swinging_arm() -> tuple[Keypoints2D, torch.Tensor]:
    """One bone swings from 40 degrees towards the camera to 40 degrees away."""
    stick = Skeleton("stick", ("base", "tip"), (-1, 0))
    angle = torch.linspace(-0.7, 0.7, 41, dtype=torch.float64)
    tip = 0.4 * torch.stack((angle.cos(), 0 * angle, angle.sin()), -1)
    joints = torch.stack((torch.zeros_like(tip), tip), 1) + torch.tensor([0.0, 0.0, 4.0])
    return Keypoints2D(project(joints, CAMERA), stick, camera=CAMERA), joints


def test_a_bone_may_pass_the_image_plane_or_turn_back() -> None:
    keypoints, joints = swinging_arm()
    sampler = BoneFlips(keypoints.skeleton, bone_lengths=(0.4,), root_depth=4.0)
    x = sampler.sample(keypoints, 64, seeded_noise(0)).joints[:, :, 1, 2]
    start, end = x[:, 0].sign(), x[:, -1].sign()
    kinds = {(int(a), int(b)) for a, b in zip(start, end, strict=True)}
    assert kinds == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    truth = (joints[:, 1, 2] - 4.0).float()
    assert (x - truth).abs().amax(1).min() < 0.05  # the true swing is among them
    never = replace(sampler, plane=0.0).sample(keypoints, 64, seeded_noise(0)).joints[:, :, 1, 2]
    sides = never[:, [5, -5]].sign()
    assert torch.equal(sides[:, 0], sides[:, 1])


def test_missing_joints_are_nan_and_so_is_what_hangs_on_them() -> None:
    keypoints, _ = example_pair(10)
    xy = keypoints.xy.clone()
    xy[4, 12] = math.nan  # left elbow
    xy[6, 0] = math.nan  # root: the whole frame
    hypotheses = BoneFlips().sample(replace(keypoints, xy=xy), 3, seeded_noise(0))
    missing = hypotheses.joints.isnan().any(-1)
    expected = torch.zeros(10, 17, dtype=torch.bool)
    expected[4, [12, 13]] = True
    expected[6] = True
    assert torch.equal(missing, expected.expand(3, 10, 17))


def test_a_clip_without_keypoints_is_all_nan() -> None:
    keypoints, _ = example_pair(5)
    blind = replace(keypoints, xy=torch.full_like(keypoints.xy, math.nan))
    assert BoneFlips().sample(blind, 2, seeded_noise(0)).joints.isnan().all()


def test_the_root_depth_follows_a_walker() -> None:
    keypoints, truth = example_pair(100)
    root = BoneFlips(bone_lengths=true_lengths()).sample(keypoints, 1, seeded_noise(0)).root[0]
    ratio = root[:, 2] / truth.root[:, 2]
    assert 0.85 < ratio.min() < ratio.max() < 1.15
    taller = BoneFlips(bone_lengths=true_lengths(1.2)).sample(keypoints, 1, seeded_noise(0)).root
    torch.testing.assert_close(taller[0, :, 2], 1.2 * root[:, 2])  # size and depth trade off


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_short_clips(n_frames: int) -> None:
    keypoints, _ = example_pair(n_frames)
    assert BoneFlips().sample(keypoints, 2, seeded_noise(0)).joints.isfinite().all()


def test_a_batch_with_a_camera_each_equals_its_clips() -> None:
    a, _ = example_pair(12)
    camera = replace(a.camera, focal=0.8 * a.camera.focal)
    b = replace(a, xy=a.xy * 0.9 + 20, camera=camera)
    both = replace(
        a,
        xy=torch.stack((a.xy, b.xy)),
        confidence=None,
        camera=replace(
            a.camera,
            focal=torch.stack((a.camera.focal, camera.focal)),
            center=torch.stack((a.camera.center, camera.center)),
        ),
    )
    together = BoneFlips().sample(both, 3, seeded_noise(0, ["a", "b"])).joints
    for i, (name, clip) in enumerate((("a", a), ("b", b))):
        alone = BoneFlips().sample(clip, 3, seeded_noise(0, [name])).joints
        torch.testing.assert_close(together[i], alone)


def test_noise_is_asked_once_and_its_signs_are_the_coins() -> None:
    keypoints, joints = arm((40.0, -25.0))
    sampler = BoneFlips(CHAIN, bone_lengths=(0.3, 0.25), root_depth=float(joints[0, 2]))
    draw = torch.tensor([-1.0, 0.3, -2.0]).view(1, 1, 3, 1)  # middle away, tip towards
    x = sampler.sample(keypoints, 1, recorded_noise([draw])).joints[0, 0]
    torch.testing.assert_close(x, joints - joints[0], rtol=0, atol=1e-6)


def test_what_it_refuses() -> None:
    keypoints, _ = example_pair(3)
    noise = seeded_noise(0)
    with pytest.raises(MissingCameraError, match="with_camera"):
        BoneFlips().sample(replace(keypoints, camera=None), 2, noise)
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="convert"):
        BoneFlips().sample(replace(keypoints, skeleton=other), 2, noise)
    with pytest.raises(OptionError, match="at least 1"):
        BoneFlips().sample(keypoints, 0, noise)
    with pytest.raises(SkeletonMismatchError, match="no length"):
        default_bone_lengths(CHAIN)
    with pytest.raises(ShapeError, match="16 bones"):
        BoneFlips(bone_lengths=(0.1,))
    for bad in ({"scale": 0.0}, {"plane": 2.0}, {"root_depth": -1.0}):
        with pytest.raises(OptionError):
            BoneFlips(**bad)
    forest = Skeleton("forest", ("a", "b", "c"), (-1, 0, -1))
    two_roots = Keypoints2D(torch.rand(2, 3, 2) * 900, forest, camera=CAMERA)
    with pytest.raises(SkeletonMismatchError, match="one tree"):
        BoneFlips(forest, bone_lengths=(0.3,)).sample(two_roots, 1, noise)

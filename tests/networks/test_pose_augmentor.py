"""What the augmentation leaves alone, and what critics cannot see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import ShapeError
from hypopose.metrics import bone_lengths
from hypopose.networks import Augmented, ImageCritic, PoseAugmentor, StructureCritic
from hypopose.networks.pose_augmentor import length_groups, rotation_of
from hypopose.networks.pose_critics import part_products
from hypopose.skeletons import H36M16, H36M17, SKELETONS

WALK = example_pair()[1].joints.double()


def augmentor(**options: object) -> PoseAugmentor:
    torch.manual_seed(0)
    return PoseAugmentor(width=32, n_noise=8, **options).double().eval()


@torch.no_grad()
def augmented(joints: Tensor, **options: object) -> Augmented:
    return augmentor(**options)(joints, seeded_noise(0))


def test_bends_keep_lengths_and_the_trunk() -> None:
    poses = WALK[:6, None] + torch.tensor([0.3, 0.1, 4.0])
    out = augmented(poses)
    torch.testing.assert_close(bone_lengths(out.bent, H36M17), bone_lengths(poses, H36M17))
    trunk = [H36M17.joint_names.index(name) for name in ("pelvis", "spine", "thorax")]
    torch.testing.assert_close(out.bent[..., trunk, :], poses[..., trunk, :])
    assert (out.bend.mean((0, 1)) > 1e-4).sum() == 14
    assert (out.bent - poses).norm(dim=-1).max() > 0.02


def test_lengths_change_by_their_ratio_left_as_right_and_never_beyond_the_limit() -> None:
    poses = WALK[:6, None]
    out = augmented(poses, largest_ratio=0.3)
    change = bone_lengths(out.stretched, H36M17) / bone_lengths(poses, H36M17) - 1
    torch.testing.assert_close(change[:, 0], out.ratio[:, length_groups(H36M17)])
    names = [H36M17.joint_names[child] for _, child in H36M17.bones]
    assert change[:, 0, names.index("thorax")].abs().max() < 1e-12
    for side, other in zip(H36M17.left, H36M17.right, strict=True):
        torch.testing.assert_close(change[..., side - 1], change[..., other - 1])
    assert 0.001 < out.ratio.abs().max() < 0.3


def test_turning_is_rigid_about_the_root() -> None:
    out = augmented(WALK[:6, None] + torch.tensor([0.0, 0.0, 3.0]))
    assert out.shift is None
    assert not out.joints[..., 0, :].any()
    back = out.joints @ rotation_of(out.turn)[:, None]
    torch.testing.assert_close(back, out.stretched - out.stretched[..., :1, :])


def test_a_clip_keeps_its_bones_its_path_and_its_smoothness() -> None:
    path = torch.linspace(0, 1, 8).double()[:, None] * torch.tensor([0.5, 0.0, 0.2])
    clip = (WALK[:8] + path[:, None])[None]
    out = augmented(clip)
    lengths = bone_lengths(out.joints, H36M17)
    torch.testing.assert_close(
        lengths, (bone_lengths(clip, H36M17)) * (1 + out.ratio[:, None, length_groups(H36M17)])
    )
    step = out.joints[0].diff(dim=0)[:, 0]
    torch.testing.assert_close(step, path.diff(dim=0) @ rotation_of(out.turn)[0].T)
    assert out.joints.diff(dim=1).norm(dim=-1).max() < 3 * clip.diff(dim=1).norm(dim=-1).max()


def test_poses_do_not_depend_on_their_batch() -> None:
    poses, network = WALK[:5, None], augmentor()
    with torch.no_grad():
        together = network(poses, seeded_noise(3)).joints
        alone = network(poses[:2], seeded_noise(3)).joints
    torch.testing.assert_close(together[:2], alone)


@pytest.mark.parametrize("name", ["h36m16", "h36m17", "h36m21", "humaneva15"])
def test_groups_pair_left_and_right(name: str) -> None:
    body = SKELETONS[name]
    groups, children = length_groups(body), [child for _, child in body.bones]
    for left, right in zip(body.left, body.right, strict=True):
        assert groups[children.index(left)] == groups[children.index(right)]
    assert sorted(set(groups)) == list(range(len(children) - len(body.left)))


def test_parts_see_directions_of_their_own_bones_alone() -> None:
    pose = WALK[:3]
    products = part_products(pose, H36M17)
    torch.testing.assert_close(part_products(2.5 * pose - 1, H36M17), products)
    moved = pose.clone()
    moved[:, H36M17.joint_names.index("left_wrist")] += 0.2
    changed = (part_products(moved, H36M17) - products).abs().amax((0, 2, 3)) > 1e-6
    assert changed.tolist() == [True, False, False, False, False]
    turn = rotation_of(torch.tensor([0.3, -0.2, 0.5]).double())
    torch.testing.assert_close(part_products(pose @ turn.T, H36M17), products)


def test_parts_of_sixteen_joints_are_the_released_ones() -> None:
    products = part_products(torch.randn(1, 16, 3, dtype=torch.float64), H36M16)[0]
    bones = [set(torch.nonzero(p.diagonal()).flatten().tolist()) for p in products]
    assert bones == [
        {7, 9, 10, 11},
        {7, 12, 13, 14},
        {0, 1, 2, 3, 6},
        {0, 3, 4, 5, 6},
        {0, 3, 6, 7, 8, 9, 12},
    ]


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="17 joints of h36m17"):
        augmented(WALK[:2, None, :16])
    with pytest.raises(ShapeError, match="ImageCritic reads 17"):
        ImageCritic(width=8)(torch.zeros(2, 16, 2))
    assert StructureCritic(8, 8)(WALK[:2].float()).shape == (2, 5)

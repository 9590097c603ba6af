"""PoseDA's published function, and the generators and critics of its parent PoseAug."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hypopose.cameras import project, to_screen
from hypopose.diffusion import recorded_noise
from hypopose.networks import ImageCritic, PoseAugmentor, StructureCritic
from hypopose.networks.constant_bones import bone_vectors
from hypopose.networks.pose_augmentor import name_from_official as augmentor_name
from hypopose.networks.pose_critics import name_from_official as critic_name
from hypopose.networks.pretrained import load_strictly
from hypopose.simulation import global_position_alignment
from hypopose.skeletons import H36M16
from hypopose.training.local_augmentation import bend_loss, ratio_loss
from hypopose.types import Camera, Skeleton

SIZE = (2, 2)
"""In an image two pixels wide, pixels are screen coordinates plus one."""


def chain(n: int) -> Skeleton:
    """Any skeleton will do whose root is joint 0."""
    return Skeleton("chain", tuple(f"j{i}" for i in range(n)), tuple(range(-1, n - 1)))


def cameras(columns: Tensor) -> Camera:
    return Camera(focal=columns[:, :2], center=columns[:, 2:] + 1, image_size=SIZE)


def test_global_position_alignment(golden: Callable[[str], Any]) -> None:
    """The reference takes the first camera's focal length for every depth; so do we here."""
    io = golden("poseda/gpa").io
    columns = io["camera"].double()
    target = io["target_2d"].double()[io["permutation"]] + 1
    first = columns.clone()
    first[:, :2] = columns[0, :2]
    source = io["source_3d"].double()
    skeleton = chain(source.shape[1])
    ours = global_position_alignment(source, target, cameras(first), skeleton, nearest=0.0)
    # Rays use every row's own focal length, as the reference does.
    own = cameras(columns)
    depth = ours.joints[:, 0, 2]
    torch.testing.assert_close(depth.float(), io["depth"], atol=1e-5, rtol=1e-5)
    ray = (target[:, 0] - own.center) / own.focal
    root = torch.cat((ray, torch.ones_like(ray[:, :1])), -1) * depth[:, None]
    torch.testing.assert_close(root.float(), io["root_position"], atol=1e-5, rtol=1e-5)
    same = bool((columns[:, :2] == columns[0, :2]).all())
    placed = ours.joints - ours.joints[:, :1] + root[:, None]
    torch.testing.assert_close(placed.float(), io["aligned_3d"], atol=1e-5, rtol=1e-5)
    seen = to_screen(project(placed, own), SIZE)
    torch.testing.assert_close(seen.float(), io["projected_2d"], atol=1e-5, rtol=1e-5)
    if same:
        torch.testing.assert_close(ours.joints, placed)
        torch.testing.assert_close(to_screen(ours.xy, SIZE), seen)


def augmentor_of(case: Any) -> PoseAugmentor:
    config = case.meta["config"]
    network = PoseAugmentor(
        width=config["linear_size"],
        n_noise=config["noise_dim"],
        n_stages=config["num_stage"],
        largest_ratio=config["blr_tanhlimit"],
        translation=True,
        skeleton="h36m16",
    )
    state = {augmentor_name(name): x for name, x in case.weights.items()}
    load_strictly(network, state, "the case")
    return network.eval()


@torch.no_grad()
def test_augmentor(golden: Callable[[str], Any]) -> None:
    case = golden("poseda/augmentor")
    io = case.io
    drawn = [io[f"noise_{name}"][:, None, None] for name in ("ba", "bl", "rot", "trans")]
    out = augmentor_of(case)(io["pose"][:, None], recorded_noise(drawn))
    assert out.shift is not None
    bones = bone_vectors(io["pose"], H36M16)
    for ours, name in (
        (-bones, "bone_vec"),
        (bones.norm(dim=-1, keepdim=True), "bone_len"),
        (out.bent[:, 0], "pose_ba"),
        (out.bend[:, 0], "ba_diff"),
        (out.stretched[:, 0], "pose_bl"),
        (out.ratio, "blr"),
        (out.joints[:, 0], "pose_rt"),
        (out.turn, "axis_angle"),
        (out.shift[:, None], "translation"),
        (bend_loss(out.bend), "loss_ba"),
        (ratio_loss(out.ratio), "loss_bl"),
    ):
        torch.testing.assert_close(ours, io[name], rtol=1e-5, atol=1e-5, msg=name)


@torch.no_grad()
def test_critics(golden: Callable[[str], Any]) -> None:
    case = golden("poseda/discriminators")
    io, config = case.io, case.meta["config"]
    structure = StructureCritic(config["kcs_channel"], config["channel_mid"], "h36m16")
    image = ImageCritic(n_joints=io["pose2d"].shape[1])
    for critic, prefix in ((structure, "d3d."), (image, "d2d.")):
        own = {k.removeprefix(prefix): v for k, v in case.weights.items() if k.startswith(prefix)}
        load_strictly(critic, {critic_name(k): v for k, v in own.items()}, "the case")
    for critic, name, ours in ((structure, "pose", "score3d"), (image, "pose2d", "score2d")):
        torch.testing.assert_close(critic(io[name]), io[ours], rtol=1e-5, atol=1e-5)

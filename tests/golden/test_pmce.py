"""PMCE beside the published code: parts, the first stage, a block, losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hypopose.networks.pmce.blocks import AdaLayerNorm
from hypopose.networks.pmce.coevolution import CoevoBlock
from hypopose.networks.pmce.pose_stage import PoseStage
from hypopose.training.surface_losses import coordinate_loss, edge_loss, normal_loss


@torch.no_grad()
def test_adaptive_norm(golden: Callable[[str], Any]) -> None:
    case = golden("pmce/adaln")
    io, config = case.io, case.meta["config"]
    norm = AdaLayerNorm(config["num_features"], config["cond_dim"])
    norm.load_state_dict(case.weights)
    assert (norm(io["x"], io["img_feat"]) - io["y"]).abs().max() < 1e-5


@torch.no_grad()
def test_pose_stage(golden: Callable[[str], Any]) -> None:
    case = golden("pmce/pose_stage")
    io, config = case.io, case.meta["config"]
    stage = PoseStage(
        config["num_frames"],
        config["num_joints"],
        config["embed_dim"],
        config["depth"],
        config["num_heads"],
        config["mlp_ratio"],
    ).eval()
    stage.load_state_dict(case.weights)
    seen: list[torch.Tensor] = []
    stage.norm_t.register_forward_hook(lambda _, x, y: seen.append(y))
    pose = stage(io["pose2d"], io["img_feature"])
    assert (seen[0] - io["after_head"]).abs().max() < 1e-5
    assert (pose - io["pose3d"]).abs().max() < 1e-5


@torch.no_grad()
def test_coevolution_block(golden: Callable[[str], Any]) -> None:
    case = golden("pmce/coevo_block")
    io, config = case.io, case.meta["config"]
    block = CoevoBlock(
        config["num_joint"],
        config["num_vertx"],
        config["joint_dim"],
        config["vertx_dim"],
        config["cond_dim"],
        config["joint_num_heads"],
        config["vertx_num_heads"],
        config["mlp_ratio"],
    ).eval()
    block.load_state_dict(case.weights)
    assert (io["joints"][:, io["vj_relation"]] - io["verts"]).abs().max() < 1e-6
    joints, vertices = io["joints"], io["verts"]
    for suffix in ("", "_twice"):
        joints, vertices = block(joints, vertices, io["img_feat"])
        assert (joints - io[f"out_joints{suffix}"]).abs().max() < 1e-5
        assert (vertices - io[f"out_verts{suffix}"]).abs().max() < 1e-5


def test_mesh_losses(golden: Callable[[str], Any]) -> None:
    io = golden("pmce/mesh_losses").io
    pred, gt, faces = io["pred"], io["gt"], io["faces"]
    found = {
        "coord_l1": coordinate_loss(pred, gt, io["valid"]),
        "normal": normal_loss(pred, gt, faces),
        "edge": edge_loss(pred, gt, faces),
    }
    for name, loss in found.items():
        assert loss.item() == pytest.approx(io[name].item(), abs=1e-6), name

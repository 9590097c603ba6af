"""MotionAGFormer beside the published code: same weights, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.networks.layouts import motionagformer_from_official
from hypopose.networks.motionagformer import MotionAGFormer, nearest
from hypopose.networks.staged import Tokens
from hypopose.skeletons import SKELETONS
from hypopose.training.lifting import motionagformer_loss

CASES = ["small", "tcn_hierarchical", "chain_graphonly"]
H36M = SKELETONS["h36m17"]


def recorded_network(case: Any) -> MotionAGFormer:
    c = case.meta["config"]
    network = motionagformer_from_official(
        case.weights,
        n_heads=c["num_heads"],
        n_neighbors=c["neighbour_num"],
        graph="similarity" if c["use_temporal_similarity"] else "chain",
    )
    assert isinstance(network, MotionAGFormer)
    ours = network.config
    assert (ours.n_layers, ours.n_channels, ours.hierarchical, ours.convolutions) == (
        c["n_layers"],
        c["dim_in"],
        c["hierarchical"],
        c["use_tcn"],
    )
    return network


def lift(network: MotionAGFormer, channels: Tensor) -> tuple[list[Tensor], Tensor]:
    """Tokens before each stage and after the last, and the poses; channels as recorded."""
    tokens = [Tokens(network.joints_embed(channels) + network.pos_embed)]
    for i in range(network.n_stages):
        tokens.append(network.stage(i, tokens[-1]))
    return [x.x for x in tokens], network.leave(tokens[-1])


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_lifter(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"motionagformer/{name}")
    io, tolerance, network = case.io, case.meta["tolerance"], recorded_network(case)
    counted = sum(p.numel() for p in network.parameters())
    assert counted == case.meta["params"]
    blocks, out = lift(network, io["x"])
    names = ["embed", *(f"block{i}" for i in range(network.n_stages - 1)), "norm"]
    for recorded, x in zip(names, blocks, strict=True):
        assert (x - io[recorded]).abs().max() < tolerance, recorded
    assert (out - io["out"]).abs().max() < tolerance
    if network.config.n_channels == 3:
        through_contract = network(None, io["x"][..., :2], confidence=io["x"][..., 2])
        assert torch.allclose(through_contract[:, 0], out, atol=1e-6)
    order, mirror = list(H36M.flip_order), torch.ones(network.config.n_channels)
    mirror[0] = -1.0  # the released code leaves the velocity's sign
    flipped = lift(network, io["x"][:, :, order] * mirror)[1][:, :, order] * mirror[:3]
    both = (out + flipped) / 2
    assert (both - io["out_flip_tta"]).abs().max() < tolerance
    both[:, :, 0] = 0.0
    assert (both - io["out_flip_tta_root0"]).abs().max() < tolerance


@torch.no_grad()
@pytest.mark.parametrize("name", ["small", "chain_graphonly"])
def test_inside_a_block(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"motionagformer/{name}")
    io, network, tolerance = case.io, recorded_network(case), case.meta["tolerance"]
    block, seen = network.layers[0], {}
    for part in ("att_spatial", "att_temporal", "graph_spatial", "graph_temporal", "fusion"):
        block.get_submodule(part).register_forward_hook(
            lambda _, x, y, part=part: seen.update({part: (x[0], y)})
        )
    block(io["embed"], None, None)
    for part in ("att_spatial", "graph_spatial"):
        assert (seen[part][1] - io[f"l0.{part}"]).abs().max() < tolerance, part
    for part in ("att_temporal", "graph_temporal"):
        assert (seen[part][1].transpose(1, 2) - io[f"l0.{part}"]).abs().max() < tolerance, part
    assert (seen["fusion"][1].softmax(-1) - io["l0.alpha"]).abs().max() < tolerance
    if "l0.graph_temporal.sim" in io:
        z = block.graph_temporal.norm1(seen["graph_temporal"][0]).flatten(0, 1)
        assert torch.allclose(z @ z.mT, io["l0.graph_temporal.sim"], atol=1e-4)
        graph = nearest(z @ z.mT, network.config.n_neighbors)
        assert torch.equal(graph, io["l0.graph_temporal.adj"])


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_recorded_losses(golden: Callable[[str], Any], name: str) -> None:
    """MPJPE + 0.5 N-MPJPE + 20 velocity, as released."""
    io = golden(f"motionagformer/{name}").io
    p, y = io["out"], io["y"] - io["y"][:, :, :1]
    scale = (y * p).sum(-1).mean(-1) / (p * p).sum(-1).mean(-1)
    losses = {
        "mpjpe": (p - y).norm(dim=-1).mean(),
        "n_mpjpe": (scale[..., None, None] * p - y).norm(dim=-1).mean(),
        "velocity": (p.diff(dim=1) - y.diff(dim=1)).norm(dim=-1).mean(),
    }
    losses["total"] = motionagformer_loss(p, y)
    parts = losses["mpjpe"] + 0.5 * losses["n_mpjpe"] + 20 * losses["velocity"]
    assert losses["total"].item() == pytest.approx(parts.item(), rel=1e-5)
    for key, loss in losses.items():
        assert loss.item() == pytest.approx(io[f"loss.{key}"].item(), abs=1e-5), key

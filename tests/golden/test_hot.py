"""The Hourglass Tokenizer beside the published code: chosen frames exactly, poses within 1e-5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hypopose.networks.hot import Choice, Hourglass, choose_frames
from hypopose.networks.layouts import hot_from_official
from hypopose.networks.mixste import MixSTE2
from hypopose.skeletons import SKELETONS

H36M = SKELETONS["h36m17"]
ORDER, MIRROR = list(H36M.flip_order), torch.tensor([-1.0, 1.0, 1.0])


def flip(x: Tensor) -> Tensor:
    n = min(x.shape[-1], 3)
    mirror = MIRROR[:n] if n == 2 else MIRROR
    return x[..., ORDER, :] * mirror


def recorded_network(case: Any) -> Any:
    config = case.meta["config"]
    tpc = case.meta["model"].endswith("_tpc")
    plain = case.meta["model"] == "mixste"
    network = hot_from_official(
        case.weights,
        at=config.get("layer_index"),
        keep=config["token_num"] if tpc else None,
    )
    assert isinstance(network, MixSTE2 if plain else Hourglass)
    assert sum(p.numel() for p in network.parameters()) == case.meta["params"]
    return network


def watch(modules: dict[str, nn.Module]) -> dict[str, tuple[Any, Any]]:
    """The first call's inputs and output of each module, to be filled."""
    seen: dict[str, tuple[Any, Any]] = {}
    for name, module in modules.items():
        module.register_forward_hook(
            lambda _, x, y, name=name: seen.setdefault(name, (x, y)) and None
        )
    return seen


def test_clustering(golden: Callable[[str], Any]) -> None:
    case = golden("hot/cluster")
    io, config, tolerance = case.io, case.meta["config"], case.meta["tolerance"]
    x, noise, usable = io["x"], io["density_noise"], io["token_mask"] > 0
    common = {"n_nearest": config["k"], "noise": noise}
    farthest = io["plain.dist_matrix"].max().item() + 1
    choices: dict[str, Choice] = {
        "plain": choose_frames(x, config["cluster_num"], **common),
        "masked": choose_frames(
            x, config["cluster_num"], usable=usable, farthest=farthest, **common
        ),
        "center": choose_frames(x, config["cluster_num"], forced=config["center"], **common),
    }
    for name, choice in choices.items():
        assert torch.equal(choice.ranked, io[f"{name}.index_down"]), name
        for ours, recorded in (("density", "density"), ("distance", "dist"), ("score", "score")):
            if f"{name}.{recorded}" in io:
                expected = io[f"{name}.{recorded}"]
                assert torch.allclose(getattr(choice, ours).float(), expected, atol=tolerance)
    assert (choices["center"].index == config["center"]).any(-1).all()
    # Ours, per clip instead of per batch, chooses the same frames.
    own = choose_frames(x, config["cluster_num"], usable=usable, **common)
    assert torch.equal(own.index, choices["masked"].index)


@torch.no_grad()
def test_plain_mixste(golden: Callable[[str], Any]) -> None:
    case = golden("hot/mixste")
    out = recorded_network(case)(None, case.io["x"])[:, 0]
    assert (out - case.io["out"]).abs().max() < case.meta["tolerance"]


INNER = {
    "mixste_hot": {
        "STEblocks.0": "network.spatial.0",
        "TTEblocks.0": "network.temporal.0",
        "TTEblocks.7": "network.temporal.7",
        "cross_attention": "cross_attention",
    },
    "mixste_tpc": {
        "STEblocks.0": "network.spatial.0",
        "TTEblocks.0": "network.temporal.0",
        "TTEblocks.7": "network.temporal.7",
    },
    "mhformer_tpc": {
        "Transformer_hypothesis.SHR_blocks.0": "network.Transformer_hypothesis.SHR_blocks.0",
        "Transformer_hypothesis.norm": "network.Transformer_hypothesis.norm",
    },
    "motionagformer_hot": {
        "layers.0": "network.layers.0",
        "norm": "network.norm",
        "cross_attention": "cross_attention",
    },
    "motionbert_hot": {
        "blocks_st.0": "network.blocks_st.0",
        "blocks_ts.0": "network.blocks_ts.0",
        "norm": "network.norm",
        "cross_attention": "cross_attention",
    },
}


@torch.no_grad()
@pytest.mark.parametrize("name", list(INNER))
def test_pruned_networks(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"hot/{name}")
    io, tolerance, network = case.io, case.meta["tolerance"], recorded_network(case)
    modules = {r: network.get_submodule(ours) for r, ours in INNER[name].items()}
    assert {f"mid.{r}" for r in modules} == {k for k in io if k.startswith("mid.")}
    seen = watch(modules)
    x = io["x"]
    confidence = x[..., 2] if x.shape[-1] == 3 else None
    given = {"confidence": confidence, "noise": io["density_noise"]}
    out, index = network.lift_kept(x[..., :2], **given)
    assert torch.equal(index, io["index"])
    assert (out - io["out"]).abs().max() < tolerance
    for recorded, (_, y) in seen.items():
        expected = io[f"mid.{recorded}"]
        first = y[..., : expected.shape[-1]]  # MHFormer's recording holds one stream of three
        assert (first.reshape(expected.shape) - expected).abs().max() < tolerance, recorded
    forced = (x.shape[1] - 1) // 2 if name.endswith("tpc") else None
    keep = case.meta["config"]["token_num"]
    choice = choose_frames(io["x_knn"], keep, noise=io["density_noise"], forced=forced)
    assert torch.equal(choice.ranked, io["index_down"])
    for ours, recorded in (("density", "density"), ("distance", "dist"), ("score", "score")):
        expected = io[f"dpc.{recorded}"]
        assert torch.allclose(getattr(choice, ours).float(), expected, atol=tolerance), ours
    if "out_flip_tta" in io:
        mirrored, same = network.lift_kept(flip(x), index=index)
        assert torch.equal(same, index)
        assert ((out + flip(mirrored)) / 2 - io["out_flip_tta"]).abs().max() < tolerance

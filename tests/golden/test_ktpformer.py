"""KTPFormer beside the published code: same weights, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.networks.ktpformer import (
    KTPFormer,
    kinematic_topology,
    ktpformer_name,
    trajectory_topology,
)
from hypopose.networks.layouts import ktpformer_from_official
from hypopose.skeletons import SKELETONS
from hypopose.training.lifting import MIXSTE_WEIGHTS, mixste_loss

TOLERANCE = 1e-5
H36M = SKELETONS["h36m17"]


def recorded_network(case: Any) -> KTPFormer:
    network = ktpformer_from_official(case.weights, n_heads=case.meta["config"]["num_heads"])
    assert isinstance(network, KTPFormer)
    assert network.config.depth == case.meta["config"]["depth"]
    return network


def test_topologies(golden: Callable[[str], Any]) -> None:
    case = golden("ktpformer/topology")
    io, meta = case.io, case.meta
    assert torch.equal(kinematic_topology(meta["parents_h36m"]), io["spatial_h36m"])
    assert torch.equal(kinematic_topology(meta["parents_3dhp_used_here"]), io["spatial_3dhp_order"])
    assert meta["parents_h36m"] == list(H36M.parents)
    for name, recorded in io.items():
        if name.startswith("temporal_"):
            assert torch.equal(trajectory_topology(len(recorded)), recorded)


@torch.no_grad()
def test_lifter(golden: Callable[[str], Any]) -> None:
    case = golden("ktpformer/lifter")
    io, network = case.io, recorded_network(case)
    assert torch.equal(network.kinematics.graph.fixed, io["adj_spatial"])
    assert torch.equal(network.trajectory[0].graph.fixed, io["adj_temporal"])
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    watched = {
        "kpa_gconv": network.kinematics.graph,
        "kpa": network.kinematics,
        "kpattention_attn": network.prior_spatial.norm_mlp,
        "kpattention_block": network.prior_spatial,
        "tpa_gconv1": network.trajectory[0].graph,
        "tpa": network.prior_temporal,
        "tpattention_attn": network.prior_temporal.norm_mlp,
        "tpattention_block": network.prior_temporal,
    }
    for i, (spatial, temporal) in enumerate(zip(network.spatial, network.temporal, strict=True)):
        watched |= {f"ste_block_{i}": spatial, f"tte_block_{i}": temporal}
    for name, module in watched.items():
        module.register_forward_hook(lambda _, x, y, name=name: seen.update({name: (x[0], y)}))
    out = network(None, io["x_2d"])[:, 0]
    outputs = {n: x if n.endswith("_attn") else y for n, (x, y) in seen.items()}
    outputs["tpa"] = seen["tpa"][0] - network.frame_position
    assert outputs.keys() | {"x_2d", "adj_spatial", "adj_temporal", "out", "out_flip_tta"} == set(
        io
    )
    for name, x in outputs.items():
        assert (x - io[name]).abs().max() < TOLERANCE, name
    order, mirror = list(H36M.flip_order), torch.tensor([-1.0, 1.0, 1.0])
    flipped = network(None, io["x_2d"][:, :, order] * mirror[:2])[:, 0][:, :, order] * mirror
    assert (out - io["out"]).abs().max() < TOLERANCE
    assert ((out + flipped) / 2 - io["out_flip_tta"]).abs().max() < TOLERANCE


def test_training_loss_and_gradients(golden: Callable[[str], Any]) -> None:
    case = golden("ktpformer/training_loss")
    io, network = case.io, recorded_network(case).train()
    for block in [*network.spatial, *network.temporal]:
        block.drop = 0.0
    predicted, target, w = network(None, io["x_2d"])[:, 0], io["target_3d"], io["joint_weights"]
    assert (predicted - io["pred"]).abs().max() < TOLERANCE
    velocity, true_velocity = predicted.diff(dim=1), target.diff(dim=1)
    losses = {
        "wmpjpe": ((predicted - target).norm(dim=-1) * w).mean(),
        "tc": (velocity**2 * w[:, None]).mean(),
        "mpjve": (velocity - true_velocity).norm(dim=-1).mean(),
    }
    total = losses["wmpjpe"] + 0.5 * losses["tc"] + 2.0 * losses["mpjve"]
    for name, loss in {**losses, "total": total}.items():
        assert loss.item() == pytest.approx(io[f"loss_{name}"].item(), abs=1e-6), name
    assert w.tolist() == list(MIXSTE_WEIGHTS)
    assert mixste_loss(predicted, target).item() == pytest.approx(io["loss_total"].item(), abs=1e-6)
    total.backward(total.detach())
    parameters = dict(network.named_parameters())
    gradients = {k.removeprefix("grad."): v for k, v in io.items() if k.startswith("grad.")}
    assert gradients
    for name, recorded in gradients.items():
        ours = parameters[ktpformer_name(name)].grad
        assert (ours - recorded).abs().max() < TOLERANCE, name
    statistics = network.kinematics.norm
    assert (statistics.running_mean - io["bn_running_mean_after"]).abs().max() < TOLERANCE
    assert (statistics.running_var - io["bn_running_var_after"]).abs().max() < TOLERANCE

"""UAO beside the published code: lifter, training loss, and every step of the optimization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.cameras import camera_from_screen
from hypopose.networks import uncertainty_loss
from hypopose.networks.gumlp import GUMLP, partitioned_joints
from hypopose.networks.layouts import uao_from_official
from hypopose.optimization.uao import UAO, Iteration
from hypopose.skeletons import H36M17

ORDER = list(H36M17.flip_order)


def lifter(case: Any) -> GUMLP:
    network = uao_from_official(case.weights)
    assert isinstance(network, GUMLP)
    config = case.meta["config"]
    assert (network.config.width, network.config.n_layers) == (config["channel"], config["layers"])
    return network


@torch.no_grad()
def test_lifter(golden: Callable[[str], Any]) -> None:
    case = golden("uao/lifter")
    io, tolerance = case.io, float(case.meta["suggested_tolerance"])
    network, seen = lifter(case), {}
    parts: dict[str, Any] = {"after_encoder": network.encoder}
    for i, block in enumerate(network.GCN_MLP.blocks):
        parts |= {
            f"gcn_branch_{i}": block.get_submodule("gcn1"),
            f"channel_branch_{i}": block.get_submodule("channel_mlp"),
            f"spatial_branch_{i}": block.get_submodule("spatial_mlp"),
            f"after_block_{i}": block,
        }
    for name, part in parts.items():
        # Joints come first here, second there, and last where the recording mixes them.
        axes = (1, 2, 0) if name.startswith("spatial") else (1, 0, 2)
        part.register_forward_hook(
            lambda _, x, y, name=name, axes=axes: seen.update({name: y.permute(axes)})
        )
    assert (partitioned_joints() - io["graph"]).abs().max() < 1e-7
    flipped, flipped_s = network.with_scale(io["in_2d_flipped"])
    mu, s = network.with_scale(io["in_2d"])
    for name in parts:
        assert (seen[name] - io[name]).abs().max() < tolerance, name
    assert (mu - io["mu"]).abs().max() < tolerance
    assert (s - io["s"][..., 0]).abs().max() < tolerance
    assert (flipped - io["mu_flipped_input"]).abs().max() < tolerance
    assert (flipped_s - io["s_flipped_input"][..., 0]).abs().max() < tolerance
    mean = (mu + flipped[..., ORDER, :] * torch.tensor([-1.0, 1.0, 1.0])) / 2
    mean[..., 0, :] = 0.0
    assert (mean - io["mu_flip_tta"]).abs().max() < tolerance


def test_training_loss(golden: Callable[[str], Any]) -> None:
    case = golden("uao/training_loss")
    io, network = case.io, lifter(case)
    mu, s = network.with_scale(io["in_2d"])
    assert torch.allclose(mu, io["mu"], atol=1e-5)
    loss = uncertainty_loss(mu, s, io["target"])
    assert loss.item() == pytest.approx(io["loss"].item(), rel=1e-5)
    torch.autograd.backward(loss)
    parameters = dict(network.named_parameters())
    for key in [k for k in io if k.startswith("grad.")]:
        assert close(parameters[key.removeprefix("grad.")].grad, io[key], 1e-4), key
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, amsgrad=True)
    optimizer.step()
    for key in [k for k in io if k.startswith("after_step.")]:
        assert close(parameters[key.removeprefix("after_step.")], io[key], 1e-5), key


def test_a_distance_of_zero_has_no_slope(golden: Callable[[str], Any]) -> None:
    io = golden("uao/training_loss").io
    mu, s = io["edge.mu"].requires_grad_(), io["edge.s"].requires_grad_()
    loss = uncertainty_loss(mu, s[..., 0], io["edge.target"])
    assert loss.item() == pytest.approx(io["edge.loss"].item(), rel=1e-5)
    torch.autograd.backward(loss)
    assert close(mu.grad, io["edge.grad_mu"], 1e-5)
    assert close(s.grad, io["edge.grad_s"], 1e-5)


def close(a: Tensor | None, b: Tensor, rtol: float) -> bool:
    """Within a share of the largest entry."""
    return a is not None and float((a.detach() - b).abs().max()) <= rtol * float(b.abs().max())


@pytest.mark.parametrize("part", ["", "b1."])
def test_every_step_of_the_optimization(golden: Callable[[str], Any], part: str) -> None:
    case = golden("uao/optimize")
    io, config, network = case.io, case.meta["config"], lifter(case)
    n = 1 if part else len(io["cam"])
    camera = camera_from_screen(io["cam"][:n], (1000, 1000))
    seen: list[Iteration] = []
    method = replace(
        UAO.published(config["iterations"]),
        learning_rate=config["lr"],
        weight_projection=float(config["weight_projection"]),
        weight_prior=config["weight_uncertainty"],
    )
    keypoints, root = io["in_2d"][:n, 0], io["gt_3d"][:n, :, 0]
    pose = method.optimize(network, keypoints, camera, root, seen.append)
    assert (pose - io[f"{part}final_mu"]).abs().max() < 2e-5
    weights = torch.tensor([config["weight_uncertainty"], config["weight_projection"]])
    for i, step in enumerate(seen):
        assert (step.latents.transpose(0, 1) - io[f"{part}z_trajectory"][i]).abs().max() < 1e-5
        terms = torch.stack([step.prior.mean(0), step.projection.mean(0)])
        total = (weights @ terms).sum()
        assert total.item() == pytest.approx(io[f"{part}loss_total"][i].item(), abs=1e-5)
        if not part:
            _compare(step, terms, {name: x[i] for name, x in io.items() if name in PER_STEP})
    assert len(seen) == config["iterations"]


PER_STEP = ("grad", "loss_uncertainty", "loss_projection", "s", "mu_iter", "projected")


def _compare(step: Iteration, terms: Tensor, io: dict[str, Tensor]) -> None:
    assert (terms[0] - io["loss_uncertainty"]).abs().max() < 1e-5
    assert (terms[1] - io["loss_projection"]).abs().max() < 1e-5
    for name, ours in (
        ("grad", step.gradients),
        ("s", step.log_scale[..., None]),
        ("mu_iter", step.pose),
        ("projected", step.projected),
    ):
        assert (ours.transpose(0, 1) - io[name]).abs().max() < 2e-5, name


def test_four_steps_and_none(golden: Callable[[str], Any]) -> None:
    case = golden("uao/optimize")
    io, network = case.io, lifter(case)
    camera = camera_from_screen(io["cam"], (1000, 1000))
    given = (network, io["in_2d"][:, 0], camera, io["gt_3d"][:, :, 0])
    four = UAO.published().optimize(*given)
    assert (four - io["final_mu_4_iterations"]).abs().max() < 2e-5
    assert (UAO(n_steps=0).optimize(*given) - io["mu_before"]).abs().max() < 1e-5
    assert all(p.requires_grad and p.grad is None for p in network.parameters())

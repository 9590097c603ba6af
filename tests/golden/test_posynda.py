"""PoSynDA beside the released code's isolated parts: same weights, same noise, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.cameras import project
from hypopose.diffusion import recorded_noise
from hypopose.networks import RefinementTransformer, add_low_rank, merge_low_rank
from hypopose.networks.checkpoint_conversion import mixste_config
from hypopose.networks.mixste import MixSTE2, name_from_official
from hypopose.networks.pretrained import load_strictly
from hypopose.networks.refinement_transformer import position_code
from hypopose.samplers import D3DP, Step
from hypopose.simulation import redistribute
from hypopose.skeletons import H36M17
from hypopose.training.reprojection_labels import (
    label_loss,
    labels_by_reprojection,
    source_loss,
)
from hypopose.types import Camera, Hypotheses, Keypoints2D

TOLERANCE = 1e-5


def adapted_network(case: Any) -> MixSTE2:
    """The recorded denoiser with its adapters, and what may be trained of it."""
    prefix, config = "module.pose_estimator.", case.meta["config"]
    state = {k.removeprefix(prefix): v for k, v in case.weights.items() if k.startswith(prefix)}
    network = MixSTE2(**mixste_config(state), n_heads=config["num_heads"])
    options = [config[f"lora_{name}"] for name in ("rank", "scale", "dropout")]
    assert len(add_low_rank(network, *options)) == case.meta["n_injected"]
    load_strictly(network, {name_from_official(k): v for k, v in state.items()}, "the case")
    return network.eval()


@torch.no_grad()
def test_adapted_denoiser(golden: Callable[[str], Any]) -> None:
    case = golden("posynda/lora_denoiser")
    io, network = case.io, adapted_network(case)
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    prefix = "pose_estimator."
    assert trained == {name_from_official(n.removeprefix(prefix)) for n in case.meta["trainable"]}
    call = (io["x_3d"], io["x_2d"], io["t"].float())
    assert (network(*call) - io["denoiser_out"]).abs().max() < TOLERANCE
    merged = merge_low_rank(network)
    assert not any("lora" in name for name in merged.state_dict())
    assert (merged(*call) - io["denoiser_out"]).abs().max() < TOLERANCE


def test_adapted_sampler(golden: Callable[[str], Any]) -> None:
    case = golden("posynda/lora_denoiser")
    io, config = case.io, case.meta["config"]
    assert (list(H36M17.left), list(H36M17.right)) == (
        config["joints_left"],
        config["joints_right"],
    )
    sampler = D3DP(
        adapted_network(case),
        n_steps=config["sampling_timesteps"],
        n_timesteps=config["timesteps"],
        scale=config["scale"],
    )
    keypoints = Keypoints2D(io["x_2d"] + 1, H36M17, image_size=(2, 2))
    steps: list[Step] = []
    noise = recorded_noise([io["noise_init"], *io["noise_steps"]])
    sampler.sample(keypoints, config["num_proposals"], noise, steps.append)
    found = torch.stack([step.x0 for step in steps], 1)
    assert (found - io["sampler_out_mm"] / 1000).abs().max() < TOLERANCE


def camera_of(nine: Tensor) -> Camera:
    """fx fy cx cy and a lens that is not there; pixels of an image of that size."""
    assert not nine[4:].any()
    size = (2048, 2048)
    return Camera(nine[:2].double(), nine[2:4].double(), size)


@torch.no_grad()
def test_refinement_transformer(golden: Callable[[str], Any]) -> None:
    case = golden("posynda/refine_transformer")
    io, config = case.io, case.meta["config"]
    network = RefinementTransformer(
        width=config["ninp"],
        n_layers=config["nlayers"],
        n_heads=config["nhead"],
        hidden=config["nhid"],
        position="row",
        residual=False,
    ).eval()
    state = {name.removeprefix("module."): x for name, x in case.weights.items()}
    load_strictly(network, state, "the case")
    code = position_code(len(io["x"]), config["ninp"])
    assert (code - io["pe_first_rows"].reshape(code.shape)).abs().max() < TOLERANCE
    out = network(io["x"])
    # The recording is of the network alone; the script sets the root to 0 behind it.
    assert (out - io["out"])[:, 1:].abs().max() < TOLERANCE
    assert not out[:, H36M17.root].any()


@pytest.mark.parametrize("case", ["fewer_source", "more_source"])
def test_source_augmentation(golden: Callable[[str], Any], case: str) -> None:
    io = golden("posynda/source_augmentation").io
    io = {name.removeprefix(f"{case}."): x for name, x in io.items() if name.startswith(case)}
    source, target = io["source_3d"].double(), io["target_2d"].double()
    # The released code shuffles the first rows of the larger side.
    n = torch.arange(min(len(source), len(target)))
    pairs = (n, io["perm"]) if len(source) <= len(target) else (io["perm"], n)
    camera = camera_of(io["camera"][0])
    placed = redistribute(source, target, camera, H36M17, pairs=pairs, nearest=0.0)
    assert bool(placed.kept.all())
    torch.testing.assert_close(placed.joints.float(), io["out_3d"], rtol=1e-5, atol=1e-5)
    # The published projection clamps what is seen beyond 45 degrees.
    seen = project(placed.joints, camera, clamp=1.0)
    off = (seen - io["out_2d_linear"]) / camera.focal
    assert off.abs().max() < TOLERANCE  # of a focal length; pixels are recorded in single precision
    flat = (placed.joints[..., :2] / placed.joints[..., 2:]).abs().amax(-1) <= 1
    torch.testing.assert_close(placed.xy[flat], seen[flat])


def test_losses_and_gradients(golden: Callable[[str], Any]) -> None:
    """In meters and double precision; recorded pixels are good to about 1e-4 in single."""
    io = golden("posynda/losses").io
    joints = (io["hypotheses_mm"].double() / 1000).requires_grad_()
    K = joints.shape[1]
    root = io["trajectory_mm"].double().squeeze(-2)[:, None].expand(-1, K, -1, -1) / 1000
    seen = io["target_2d_px"].double()[:, None].expand(-1, K, -1, -1, -1)
    keypoints = Keypoints2D(seen, H36M17, camera=camera_of(io["camera_px"]))
    hypotheses = Hypotheses(joints, H36M17)
    labels = labels_by_reprojection(hypotheses, keypoints, root=root)
    assert labels.root == "given"
    assert torch.equal(labels.index, io["best_index"])
    torch.testing.assert_close(1000 * labels.joints.float(), io["best_pose"], rtol=1e-6, atol=0)
    least = io["err_px"].amin(2)
    torch.testing.assert_close(labels.error_px.float(), least, rtol=1e-5, atol=3e-4)

    loss = label_loss(hypotheses, keypoints, root=root, stop_gradient=False)
    truth = io["source_label_mm"].double()[:, None].expand(-1, K, -1, -1, -1) / 1000
    beside = source_loss(hypotheses, keypoints, truth, root=root)
    for ours, name in ((loss, "target"), (beside, "source")):
        for value, recorded in (
            (ours.reprojection_px, "loss_2d"),
            (ours.distance_mm, f"loss_3d_{name}"),
            (ours.total, f"loss_{name}_total"),
        ):
            torch.testing.assert_close(value.float()[None], io[recorded], rtol=1e-5, atol=0)
        (gradient,) = torch.autograd.grad(ours.total, joints)
        recorded = io[f"grad_{name}"]
        torch.testing.assert_close(gradient.float() / 1000, recorded, rtol=0, atol=1e-5)

"""PoSynDA beside the released code's isolated parts: same weights, same noise, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hypopose.diffusion import recorded_noise
from hypopose.networks import add_low_rank, merge_low_rank
from hypopose.networks.checkpoint_conversion import mixste_config
from hypopose.networks.mixste import MixSTE2, name_from_official
from hypopose.networks.pretrained import load_strictly
from hypopose.samplers import D3DP, Step
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D

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

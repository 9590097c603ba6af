"""D3DP beside the published code: same weights, same noise, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import (
    cosine_schedule,
    ddim_coefficients,
    implied_eps,
    q_sample,
    recorded_noise,
    timestep_pairs,
)
from hypopose.networks.checkpoint_conversion import mixste_config, schedule_buffers
from hypopose.networks.mixste import MixSTE2, name_from_official
from hypopose.networks.pretrained import load_strictly
from hypopose.samplers import D3DP, Step
from hypopose.samplers.windows import (
    published_training_windows,
    published_windows,
    take_frames,
)
from hypopose.skeletons import SKELETONS
from hypopose.types import Keypoints2D

TOLERANCE = 1e-5
H36M = SKELETONS["h36m17"]


def recorded_network(weights: dict[str, Tensor], n_heads: int) -> MixSTE2:
    prefix = "module.pose_estimator."
    state = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    network = MixSTE2(**mixste_config(state), n_heads=n_heads)
    load_strictly(network, {name_from_official(k): v for k, v in state.items()}, "the case")
    return network.eval()


def test_schedule(golden: Callable[[str], Any]) -> None:
    case = golden("d3dp/schedule")
    recorded = case.io
    for n_timesteps, lists in case.meta["times_descending"].items():
        buffers = schedule_buffers(cosine_schedule(int(n_timesteps)))
        for name, values in buffers.items():
            expected = recorded[f"T{n_timesteps}.{name}"]
            assert torch.allclose(values, expected, rtol=1e-11, atol=1e-14), name
        for n_steps, times in lists.items():
            pairs = timestep_pairs(int(n_steps), int(n_timesteps))
            assert [t for t, _ in pairs] + [pairs[-1][1]] == times


@torch.no_grad()
def test_denoiser(golden: Callable[[str], Any]) -> None:
    case = golden("d3dp/denoiser")
    network = recorded_network(case.weights, case.meta["config"]["num_heads"])
    seen: dict[str, Tensor] = {}
    watched = {"time_embed": network.time_out, "head_in": network.norm}
    for i, (spatial, temporal) in enumerate(zip(network.spatial, network.temporal, strict=True)):
        watched |= {f"ste_block_{i}": spatial, f"tte_block_{i}": temporal}
    for name, module in watched.items():
        module.register_forward_hook(lambda _, x, y, name=name: seen.update({name: (x[0], y)}))
    io = case.io
    out = network(io["x_3d"], io["x_2d"], io["t"].float())
    outputs = {name: x if name == "head_in" else y for name, (x, y) in seen.items()}
    outputs |= {"out": out, "embed_in": seen["ste_block_0"][0], "tte0_in": seen["tte_block_0"][0]}
    assert {n for n in io if n.startswith(("ste", "tte"))} <= outputs.keys()
    for name, x in outputs.items():
        assert (x.reshape(io[name].shape) - io[name]).abs().max() < TOLERANCE, name


def test_training_loss_and_gradients(golden: Callable[[str], Any]) -> None:
    case = golden("d3dp/training_loss")
    io, config = case.io, case.meta["config"]
    network = recorded_network(case.weights, config["num_heads"])
    schedule, scale = cosine_schedule(config["timesteps"]), config["scale"]
    t = io["t"].flatten()
    x_t = q_sample(io["target_3d"].double() * scale, t, io["noise"].double(), schedule)
    x_t = x_t.clamp(-1.1 * scale, 1.1 * scale) / scale
    assert (x_t - io["x_t64"]).abs().max() < 1e-12
    predicted = network(x_t.float()[:, None], io["x_2d"], t.float())[:, 0]
    assert (predicted - io["pred"]).abs().max() < TOLERANCE
    loss = (predicted - io["target_3d"]).norm(dim=-1).mean()
    assert loss.item() == pytest.approx(io["loss"].item(), abs=1e-6)
    # The released loop starts back-propagation from the loss itself: loss times the gradient.
    loss.backward(loss.detach())
    gradients = {k: v for k, v in io.items() if k.startswith("grad.")}
    parameters = dict(network.named_parameters())
    assert gradients
    for name, recorded in gradients.items():
        ours = parameters[name_from_official(name.removeprefix("grad.pose_estimator."))].grad
        assert (ours - recorded).abs().max() < TOLERANCE, name


@pytest.mark.parametrize("name", ["sampler_flip", "sampler_noflip"])
@pytest.mark.parametrize("chunk", [1, 10**6])
def test_sampler(golden: Callable[[str], Any], name: str, chunk: int) -> None:
    case = golden(f"d3dp/{name}")
    io, config = case.io, case.meta["config"]
    assert (list(H36M.left), list(H36M.right)) == (config["joints_left"], config["joints_right"])
    sampler = D3DP(
        recorded_network(case.weights, config["num_heads"]),
        n_steps=config["sampling_timesteps"],
        n_timesteps=config["timesteps"],
        scale=config["scale"],
        eta=config["eta"],
        flip=config["flip"],
        chunk=chunk,
    )
    # An image 2 pixels wide and high has screen coordinates px - 1.
    keypoints = Keypoints2D(io["x_2d"] + 1, H36M, image_size=(2, 2))
    steps: list[Step] = []
    noise = recorded_noise([io["noise_init"], *io["noise_steps"]])
    hypotheses = sampler.sample(keypoints, config["num_proposals"], noise, steps.append)
    schedule = cosine_schedule(config["timesteps"])
    for i, step in enumerate(steps):
        t, t_next = case.meta["time_pairs"][i]
        assert step.t == t
        assert (step.x_t - io["x_t"][i]).abs().max() < TOLERANCE
        assert (step.x0 - io["x_start_all"][:, i]).abs().max() < TOLERANCE
        eps = implied_eps(step.x_t, step.x0, t, schedule)
        assert (eps - io["pred_noise"][i]).abs().max() < TOLERANCE
        sigma, c = ddim_coefficients(t, t_next, schedule, config["eta"])
        recorded = [case.meta[key][i] for key in ("sigma_per_step", "c_per_step")]
        assert [sigma, c] == pytest.approx(recorded, abs=1e-9)
    assert len(steps) == len(case.meta["time_pairs"])
    last = io["x_start_all"][:, -1].clone()
    last[..., H36M.root, :] = 0.0
    assert (hypotheses.joints - last).abs().max() < TOLERANCE


def test_chunking(golden: Callable[[str], Any]) -> None:
    case = golden("d3dp/chunking")
    io, length = case.io, case.meta["config"]["receptive_field"]
    for n in case.meta["config"]["lengths"]:
        for axis in ("2d", "3d"):
            x = io[f"n{n}.x_{axis}"]
            clips = [take_frames(x, start, length) for start, _ in published_windows(n, length)]
            assert torch.equal(torch.stack(clips), io[f"n{n}.chunks_{axis}"])
        windows = published_training_windows(n, length)
        recorded = [pair[1:3] for pair in case.meta["train_pairs"][str(n)] if not pair[3]]
        assert [list(window) for window in windows] == recorded
        for axis in ("2d", "3d"):
            straight = io[f"n{n}.train_{axis}"][: len(windows)]
            x = io[f"n{n}.x_{axis}"].double()
            clips = [take_frames(x, start, length) for start, _ in windows]
            assert torch.allclose(torch.stack(clips), straight.double(), atol=1e-7)

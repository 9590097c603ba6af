"""Platypose beside the released code: same weights, same noise, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import cosine_schedule, named_betas, q_sample, recorded_noise
from hypopose.diffusion.respacing import RespacedSchedule, respace, respaced_timesteps
from hypopose.networks.layouts import platypose_from_official
from hypopose.networks.motion_prior import MotionPrior
from hypopose.samplers import ReleasedPlatypose
from hypopose.samplers.platypose.released import (
    MultiView,
    ReleasedCamera,
    ReleasedStep,
    guide,
    released_chain,
)
from hypopose.skeletons import H36M17
from hypopose.training.prior import centered, released_loss, slots_from_joints
from hypopose.types import Camera, Keypoints2D

SINGLE = 1e-5


def close(ours: Tensor, recorded: Tensor, tolerance: float = SINGLE) -> bool:
    return torch.allclose(
        ours.double(), recorded.double().reshape(ours.shape), rtol=tolerance, atol=tolerance
    )


def network_of(case: Any) -> MotionPrior:
    network = platypose_from_official(case.weights, n_heads=case.meta["config"]["num_heads"])
    assert isinstance(network, MotionPrior)
    return network


def cameras_of(io: dict[str, Tensor]) -> tuple[ReleasedCamera, ...]:
    names = ("cam_K_transposed", "cam_R", "cam_T", "cam_k", "cam_p")
    return tuple(ReleasedCamera(*parts) for parts in zip(*(io[n] for n in names), strict=True))


def shortened() -> RespacedSchedule:
    return respace(cosine_schedule(50), "ddim20")


def energy_of(io: dict[str, Tensor], n_cameras: int | None = None) -> MultiView:
    cameras = cameras_of(io)[:n_cameras]
    weights = io["scale"][:, 0] if "scale" in io else None
    return MultiView(cameras, io["x_2d"][:, 0], io["x_3d"][0, :, 0], weights)


def test_prior(golden: Callable[[str], Any]) -> None:
    case = golden("platypose/prior")
    network, io = network_of(case), case.io
    x, t = io["x"].unflatten(-1, (-1, 3)), io["timesteps"]
    with torch.no_grad():
        tokens = network.tokens(x, t)
        assert close(tokens, io["sequence_in"].transpose(0, 1))
        for i, block in enumerate(network.blocks):
            tokens = block(tokens)
            assert close(tokens, io[f"layer{i}_out"].transpose(0, 1))
        assert close(network(x, t).flatten(-2), io["output"])


def test_schedule(golden: Callable[[str], Any]) -> None:
    io = golden("platypose/schedule").io
    chain = shortened()
    assert chain.timesteps == tuple(io["timestep_map"].tolist())
    assert close(cosine_schedule(50).betas, io["betas_50_cosine"], 1e-12)
    assert close(chain.schedule.betas, io["betas"], 1e-12)
    assert close(chain.schedule.alpha_bar, io["alphas_cumprod"], 1e-12)
    linear = named_betas("linear", 50, 1000 / 50 * 1e-4, 1000 / 50 * 0.02)
    assert close(linear, io["betas_50_linear"], 1e-12)
    variance, of_x0, of_xt = chain.posterior
    assert close(variance, io["posterior_variance"], 1e-10)
    assert close(of_x0, io["posterior_mean_coef1"], 1e-10)
    assert close(of_xt, io["posterior_mean_coef2"], 1e-10)
    noised = q_sample(io["q_x0"], io["q_t"], io["q_noise"], chain.schedule)
    assert close(noised, io["q_xt"])
    for name in (k for k in io if k.startswith("map_")):
        _, n, *spec = name.split("_")
        assert respaced_timesteps(int(n), ",".join(spec)) == tuple(io[name].tolist()), name


def test_training_loss_and_its_slope(golden: Callable[[str], Any]) -> None:
    case = golden("platypose/train_loss")
    network, io = network_of(case), case.io
    x0, eps = (io[k].unflatten(-1, (-1, 3)) for k in ("x0", "noise"))
    loss = released_loss(network, x0, io["t"], eps, shortened())
    assert close(loss, io["loss"])
    assert close(loss.mean(), io["final"])
    torch.autograd.backward(loss.mean())
    pairs = {
        "input_process.poseEmbedding.weight": network.from_pose.weight,
        "embed_timestep.time_embed.0.weight": network.from_time[0].weight,
        "output_process.poseFinal.bias": network.to_pose.bias,
    }
    for name, parameter in pairs.items():
        assert parameter.grad is not None
        assert close(parameter.grad, io[f"grad.{name}"])


def test_camera(golden: Callable[[str], Any]) -> None:
    io = golden("platypose/camera").io
    for c, camera in enumerate(cameras_of(io)):
        assert close(camera.project(io["points"]), io["proj"][c])
        assert close(camera.project(io["points"], lens=False), io["proj_nodistort"][c])
        assert close(camera.unproject(io["proj"][c], io["center"]), io["unproj"][c])


def test_slots(golden: Callable[[str], Any]) -> None:
    io = golden("platypose/dataset").io
    assert close(slots_from_joints(io["absolute"]), io["centered"])
    assert bool((centered(io["centered"])[:, 3, 0, :2] == 0).all())


def test_energies(golden: Callable[[str], Any]) -> None:
    io = golden("platypose/energy").io
    cameras, x = cameras_of(io), io["x"]
    one, two = energy_of(io, 1), replace(energy_of(io, 2), weights=None)
    absolute = MultiView(
        cameras[:1], io["x256_2d"][:, 0], torch.zeros(x.new_empty(256, 3).shape), root_on="none"
    )
    cases: dict[str, tuple[Any, Tensor]] = {
        "multi_view_1cam": (one, x),
        "multi_view_1cam_unit": (replace(one, weights=None), x),
        "multi_view_3cam": (energy_of(io), x),
        "multi_view_mpii": (replace(one, weights=None, drop_neck=True), x),
        "multi_view_old_2cam": (replace(two, root_on="relative"), x),
        "monocular_256": (absolute, io["x256"]),
        "monocular_256_mpii": (replace(absolute, drop_neck=True), io["x256"]),
        "two_cams_256": (replace(absolute, cameras=cameras[:2]), io["x256"]),
    }
    for name, (energy, at) in cases.items():
        leaf = at.clone().requires_grad_()
        value = energy(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        assert close(value.detach(), io[f"E.{name}"]), name
        assert close(slope, io[f"G.{name}"], SINGLE), name


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_guidance_step(golden: Callable[[str], Any], name: str) -> None:
    case = golden("platypose/guidance_step")
    io = case.io
    before, scale = io[f"{name}.x0_before"], float(io[f"{name}.energy_scale"])
    with torch.no_grad():
        told = torch.tensor(shortened().timesteps)[io["t"]]
        x0 = network_of(case)(io["x_t"].unflatten(-1, (-1, 3)), told).flatten(-2)
    assert close(x0, before)
    guided = guide(before, energy_of(io), scale, case.meta["num_substeps"])
    tolerance = SINGLE * max(1.0, float(io[f"{name}.x0_after"].abs().max()) / 10)
    assert close(guided.x0, io[f"{name}.x0_after"], tolerance)
    assert close(guided.energy, io[f"{name}.energy"], 1e-4)
    assert torch.allclose(guided.step_size[:, 0], io[f"{name}.lr"])
    variance, of_x0, of_xt = (v[io["t"]].float()[:, None, None] for v in shortened().posterior)
    assert close(of_x0 * guided.x0 + of_xt * io["x_t"], io[f"{name}.mean"], tolerance)
    assert close(variance.log(), io[f"{name}.log_variance"], 1e-4)


@pytest.mark.parametrize("name", ["sampler", "sampler_full", "multicam", "ancestral"])
def test_chains(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"platypose/{name}")
    io, options = case.io, case.meta["sampler"]
    steps: list[ReleasedStep] = []
    x0 = released_chain(
        network_of(case),
        energy_of(io),
        shortened(),
        io["noise"],
        energy_scale=options["energy_scale"],
        n_substeps=options["num_substeps"],
        skip=options["skip_timesteps"],
        step_noise=recorded_noise(io["step_noise"]) if "step_noise" in io else None,
        callback=steps.append,
    )
    recorded = {
        "x_t": [s.x_t for s in steps],
        "x0_before": [s.x0 for s in steps],
        "x0_after": [s.guided.x0 for s in steps],
        "sample": [s.x_next for s in steps],
        "energy": [s.guided.energy for s in steps],
        "lr": [s.guided.step_size[:, 0] for s in steps],
    }
    for key in recorded.keys() & io.keys():
        assert close(torch.stack(recorded[key]), io[key]), key
    if "x0_last" in io:
        assert close(x0, io["x0_last"])
    if "final_hypotheses" in io:
        assert close(x0.unflatten(-1, (-1, 3))[:, :, 1:], io["final_hypotheses"][:, :, 1:])


def test_the_released_sampler(golden: Callable[[str], Any]) -> None:
    case = golden("platypose/sampler")
    io, options = case.io, case.meta["sampler"]
    k, lens = io["cam_K_transposed"][0], torch.cat([io["cam_k"][0, :2], io["cam_p"][0]])
    camera = Camera(
        focal=k[[0, 1], [0, 1]].float() * 500,
        center=(k[2, :2].float() + 1) * 500,
        image_size=(1000, 1000),
        distortion=torch.cat([lens, io["cam_k"][0, 2:]]),
        distortion_model="opencv",
        rotation=io["cam_R"][0],
        translation=-io["cam_R"][0] @ io["cam_T"][0],
    )
    keypoints = Keypoints2D((io["x_2d"][0, 0].float() + 1) * 500, H36M17, camera=camera)
    sampler = ReleasedPlatypose(
        network_of(case),
        eta=0.0,
        skip=options["skip_timesteps"],
        n_substeps=options["num_substeps"],
        energy_scale=options["energy_scale"],
        root_world=io["x_3d"][0, :, 0],
    )
    noise = io["noise"].unflatten(-1, (-1, 3))
    drawn = sampler.sample(keypoints, len(noise), recorded_noise([noise]))
    energy = replace(energy_of(io), weights=None)
    x0 = released_chain(
        network_of(case),
        energy,
        shortened(),
        io["noise"],
        energy_scale=options["energy_scale"],
        n_substeps=options["num_substeps"],
        skip=options["skip_timesteps"],
    ).unflatten(-1, (-1, 3))
    world = (drawn.joints @ io["cam_R"][0])[:, :, 1:]
    assert torch.allclose(world, x0[:, :, 1:], atol=1e-4)

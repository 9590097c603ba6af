"""DiffPose beside the published equations and code: same weights, same noise, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import (
    AffineGaussian,
    GaussianMixture,
    Schedule,
    fit_mixture,
    named_betas,
    recorded_noise,
)
from hypopose.networks.chebyshev import chebyshev_basis, graph_laplacian
from hypopose.networks.gcndiff import DiffPosePair, GCNdiff
from hypopose.networks.gcnpose import GCNpose, graph_state_from_official
from hypopose.networks.pretrained import load_strictly
from hypopose.networks.staged import sinusoid
from hypopose.samplers import Step
from hypopose.samplers.released_diffpose import ReleasedDiffPose, released_pairs
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D

EXACT = 1e-10
SINGLE = 1e-5
DOUBLE = 2e-5  # our coefficients are double, the recorded ones single


def schedule_of(alpha_bar: Tensor) -> Schedule:
    """From ᾱ at k = 0 .. K, the first of which is 1; our t is k - 1."""
    return Schedule(1 - alpha_bar[1:] / alpha_bar[:-1])


def close(ours: Tensor, recorded: Tensor, tolerance: float = EXACT) -> bool:
    return torch.allclose(ours, recorded.reshape(ours.shape), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["joint", "joint_weak", "pose"])
def test_mixture_process(golden: Callable[[str], Any], name: str) -> None:
    case = golden("diffpose/gmm")
    io = {k.removeprefix(f"{name}."): x for k, x in case.io.items() if k.startswith(f"{name}.")}
    mixture = GaussianMixture.from_covariances(io["pi"], io["mu"], io["cov"])
    schedule = schedule_of(io["alpha_bar"])
    process = mixture.process(io["component"], schedule)
    assert close(process.color(io["z"]), io["eps_G"])
    for i, k in enumerate(io["ks"].tolist()):
        h_k = process.noised(io["h0"], k - 1, io["z"])
        assert close(h_k, io["h_k"][i])
        if k == 0:
            continue
        marginal = mixture.diffused(io["h0"], k - 1, schedule)
        at = h_k[:, None]
        assert close(marginal.mean, io["marginal_mean"][i])
        assert close(marginal.covariance, io["marginal_cov"][i])
        assert close(marginal.log_prob(at), io["marginal_logpdf_at_h_k"][i])
        assert close(marginal.responsibilities(at), io["responsibilities_at_h_k"][i])
        assert close(marginal.score(at), io["score_at_h_k"][i], 1e-9)
    h = io["h0"]
    for k, z in enumerate(io["walk_z"], start=1):
        h = process.forward_step(h, k - 2, k - 1, z)
        assert close(h, io["walk"][k])
    start, end = (k - 1 for k in io["jump_from_to"].tolist())
    h_k = process.noised(io["h0"], start, io["z"])
    assert close(process.implied_eps(h_k, io["jump_h0_hat"], start), io["jump_eps_hat"])
    for eta, key in ((0.0, "jump_eta0"), (0.6, "jump_eta06"), (1.0, "jump_eta1")):
        noise = recorded_noise([io["jump_z"]])
        jumped = process.step(h_k, io["jump_h0_hat"], start, end, eta=eta, noise=noise)
        assert close(jumped, io[key])


def test_released_process_is_a_special_case(golden: Callable[[str], Any]) -> None:
    io = golden("diffpose/gmm").io
    process = AffineGaussian(schedule_of(io["released.alpha_bar"]), scale=io["released.scale"])
    k = int(io["released.k"])
    assert close(process.noised(io["released.h0"], k - 1, io["released.z"]), io["released.h_k"])


@pytest.mark.parametrize("name", ["em", "em_point_mass", "em_weighted"])
def test_expectation_maximization(golden: Callable[[str], Any], name: str) -> None:
    case = golden("diffpose/gmm")
    io = {k.removeprefix(f"{name}."): x for k, x in case.io.items() if k.startswith(f"{name}.")}
    start = GaussianMixture.from_covariances(io["pi_init"], io["mu_init"], io["cov_init"])
    recorded = io["loglik"] if "loglik" in io else io["mean_loglik"]
    options = {"regularization": 1e-5 if name == "em_weighted" else 1e-6, "start": start}
    fit = fit_mixture(io["X"], weights=io.get("w"), n_iterations=len(recorded) - 1, **options)
    assert close(fit.log_likelihood, recorded)
    fits = {"": fit}
    if "mu_after1" in io:
        fits["_after1"] = fit_mixture(io["X"], n_iterations=1, **options)
    for suffix, found in fits.items():
        assert close(found.mixture.weights, io[f"pi{suffix}"])
        assert close(found.mixture.means, io[f"mu{suffix}"])
        assert close(found.mixture.covariances, io[f"cov{suffix}"])


def test_named_schedules(golden: Callable[[str], Any]) -> None:
    io = golden("diffpose/sampler").io
    kinds = [k.removeprefix("betas_") for k in io if k.startswith("betas_")]
    assert len(kinds) == 5
    for kind in kinds:
        recorded = io[f"betas_{kind}"]
        assert torch.allclose(named_betas(kind, len(recorded)), recorded, rtol=1e-12, atol=1e-15)
    schedule = Schedule(named_betas("linear", len(recorded)))
    alpha_bar = torch.tensor([schedule.at(t) for t in range(-1, len(recorded))])
    assert torch.allclose(alpha_bar, io["alpha_bar_linear_f32"], atol=1e-6)


def sizes_of(config: dict[str, Any]) -> dict[str, int]:
    return {
        "width": config["hid_dim"],
        "n_layers": config["num_layer"],
        "n_heads": config["n_head"],
    }


def recorded_pair(weights: dict[str, Tensor], config: dict[str, Any]) -> DiffPosePair:
    network = DiffPosePair(**sizes_of(config))
    fill(network.lifter, {k[6:]: x for k, x in weights.items() if k.startswith("pose::")})
    fill(network.refiner, {k[6:]: x for k, x in weights.items() if k.startswith("diff::")})
    return network.eval()


def fill(network: GCNpose | GCNdiff, weights: dict[str, Tensor]) -> Any:
    if isinstance(network, GCNpose):
        weights = {k: x for k, x in weights.items() if "temb." not in k}
    load_strictly(network, graph_state_from_official(weights), "the case")
    return network.eval()


@pytest.mark.parametrize("name", ["gcnpose", "gcndiff"])
@torch.no_grad()
def test_graph_networks(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"diffpose/{name}")
    io, config = case.io, case.meta["config"]
    kind = {"gcnpose": GCNpose, "gcndiff": GCNdiff}[name]
    network = fill(kind(**sizes_of(config), order=config["K"]), case.weights)
    laplacian = graph_laplacian(H36M17.parents)
    assert close(torch.eye(len(laplacian)) - laplacian, io["adjacency"], 1e-6)
    seen: dict[str, Tensor] = {}
    watched: dict[str, torch.nn.Module] = {"after_gconv_input": network.enter}
    for i in range(config["num_layer"]):
        watched[f"after_atten_{i}"] = network.attention_blocks[i]
        watched[f"after_gconv_{i}"] = network.graph_blocks[i]
    for key, module in watched.items():
        module.register_forward_hook(lambda _, x, y, key=key: seen.update({key: y}))
    masks = {"": io["mask_all"].bool()[:, 0], "_mask_some": io["mask_some"].bool()[:, 0]}
    if name == "gcnpose":
        assert close(chebyshev_basis(laplacian, config["K"]), io["cheb_basis"], 1e-6)
        outputs = {f"out_xyz{k}": network.lift(io["in_uv"], m) for k, m in masks.items()}
        outputs["out_xyz"] = network(None, io["in_uv"][:, None])[:, 0, 0]
    else:
        state, t = io["in_uvxyz"], io["t"]
        assert close(sinusoid(t, config["hid_dim"]), io["sinusoid"], 1e-6)
        assert (network.embed_time(t) - io["time_embedding"]).abs().max() < SINGLE
        outputs = {f"out_eps{k}": network(state, t, m) for k, m in masks.items()}
        outputs["out_eps"] = network(state, t)
    outputs |= seen  # of the last call, in which every joint is seen
    assert {k for k in io if k.startswith(("after_g", "after_a", "out"))} == outputs.keys()
    for key, x in outputs.items():
        assert (x - io[key]).abs().max() < SINGLE, key


def test_training_step(golden: Callable[[str], Any]) -> None:
    case = golden("diffpose/training_loss")
    io, config = case.io, case.meta["config"]
    network = fill(GCNdiff(**sizes_of(config)), case.weights)  # eval mode: no dropout
    schedule = Schedule(named_betas("linear", 51))
    x0, t = io["x0_uvxyz"], io["t"]
    assert torch.equal(t[len(io["t_half_draw"]) :], schedule.n_timesteps - 1 - t[: len(t) // 2])
    kernels = io["gmm"][io["order"]]
    chosen = kernels.gather(2, io["kernel_index"][..., None, None].expand(-1, -1, 1, 5))[:, :, 0]
    assert close(x0[..., :2].double(), chosen[..., 1:3], 1e-6)
    assert close(io["noise_scale"][..., :2].double(), chosen[..., 3:], 1e-6)
    process = AffineGaussian(schedule, scale=io["noise_scale"])
    x_t = process.noised_at(x0, t.long(), io["eps_unit"])
    assert (x_t - io["x_t"]).abs().max() < SINGLE
    predicted = network(io["x_t"], t)
    assert (predicted - io["out_eps"]).abs().max() < SINGLE
    loss = (process.color(io["eps_unit"]) - predicted).square().sum((1, 2)).mean()
    assert loss.item() == pytest.approx(io["loss"].item(), rel=1e-5)
    loss.backward()
    parameters = dict(network.named_parameters())
    for name, recorded in graph_state_from_official(starting(io, "grad.")).items():
        gradient = parameters[name].grad
        assert gradient is not None
        assert (gradient - recorded).norm() < 1e-5 * recorded.norm(), name
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config["grad_clip_norm"])
    assert norm.item() == pytest.approx(io["grad_norm"].item(), rel=1e-5)
    before = {name: x.detach().clone() for name, x in parameters.items()}
    optimizer = torch.optim.Adam(
        network.parameters(), config["lr"], tuple(config["betas"]), config["eps"]
    )
    optimizer.step()
    rate = config["ema_rate"]
    for name, recorded in graph_state_from_official(starting(io, "after_step.")).items():
        assert (parameters[name] - recorded).abs().max() < SINGLE, name
    for name, recorded in graph_state_from_official(starting(io, "ema_after_step.")).items():
        ours = rate * before[name] + (1 - rate) * parameters[name]
        assert (ours - recorded).abs().max() < SINGLE, name


def starting(io: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): x for k, x in io.items() if k.startswith(prefix)}


def drawn(noise: Tensor, n_hypotheses: int) -> Callable[[tuple[int, ...]], Tensor]:
    """Recorded noise, hypotheses outermost, as clips of one frame."""
    rows = noise.unflatten(1, (n_hypotheses, -1)).transpose(1, 2)
    return recorded_noise([*rows[:, :, :, None]])


@pytest.mark.parametrize("name", ["cpn", "gt", "ddim5", "eta", "quad_eta1", "full"])
@torch.no_grad()
def test_reverse_walk(golden: Callable[[str], Any], name: str) -> None:
    case = golden("diffpose/sampler")
    options = case.meta["cases"][name]
    io = starting(case.io, f"{name}.")
    network = fill(GCNdiff(**sizes_of(case.meta["config"])), case.weights)
    betas = named_betas(
        options["schedule"], options["T"], options["beta_start"], options["beta_end"]
    )
    process = AffineGaussian(Schedule(betas))
    n = len(options["seq"])
    spacing = "quad" if name.startswith("quad") else "uniform"
    n_test = {"cpn": 24, "gt": 12, "quad_eta1": options["T"]}.get(name, options["seq"][1] * n)
    pairs = released_pairs(n, n_test, spacing)
    assert [t for t, _ in pairs] == options["seq"][::-1]
    x = io["x_init"]
    for i, (t, t_next) in enumerate(pairs):
        x0 = process.x0_from(network(x, torch.tensor([float(t)])), x, t, "eps")
        assert (x0 - io["x0_preds"][i]).abs().max() < DOUBLE
        noise = recorded_noise([io["noise"][i]])
        x = process.step(x, x0, t, t_next, eta=options["eta"], noise=noise)
        assert (x - io["xs"][i + 1]).abs().max() < DOUBLE


@pytest.mark.parametrize("name", ["cpn", "multi"])
@pytest.mark.parametrize("literal", [False, True])
def test_pipeline(golden: Callable[[str], Any], name: str, literal: bool) -> None:
    case = golden("diffpose/pipeline")
    options, io = case.meta["cases"][name], starting(case.io, f"{name}.")
    n = options["hypotheses"]
    sampler = ReleasedDiffPose(
        recorded_pair(case.weights, case.meta["config"]),
        n_steps=options["test_timesteps"],
        n_test_timesteps=options["test_num_diffusion_timesteps"],
        eta=options["eta"],
        quirks=("unscaled_noise", "aliased_centering") if literal else ("unscaled_noise",),
        chunk=4,
    )
    assert [t for t, _ in sampler.pairs] == io["seq"].flip(0).tolist()
    # An image 2 pixels wide and high has screen coordinates px - 1.
    keypoints = Keypoints2D(io["input_2d"][:, None] + 1, H36M17, image_size=(2, 2))
    steps: list[Step] = []
    hypotheses = sampler.sample(keypoints, n, drawn(io["noise"], n), steps.append)
    prefix = "literal_cpu." if literal else ""
    start = io[f"{prefix}x_init"].unflatten(0, (n, -1)).transpose(0, 1)[..., 2:]
    assert (steps[0].x_t[:, :, 0] - start).abs().max() < DOUBLE
    samples = io[f"{prefix}samples"].unflatten(0, (n, -1)).transpose(0, 1)[..., 2:]
    assert (steps[-1].x0[:, :, 0] - samples).abs().max() < DOUBLE
    mean = hypotheses.joints.mean(1)[:, 0]
    assert (mean - io[f"{prefix}out_xyz"]).abs().max() < DOUBLE
    error = (mean - io["target_xyz"]).norm(dim=-1).mean().item() * 1000
    expected = options["mpjpe_mm_literal_cpu" if literal else "mpjpe_mm"]
    assert error == pytest.approx(expected, abs=0.02)

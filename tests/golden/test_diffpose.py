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

EXACT = 1e-10


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

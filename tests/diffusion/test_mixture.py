"""Mixtures and EM: known fits, a reference written by others, point masses, weights, batches."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from hypopose.diffusion import GaussianMixture, cosine_schedule, fit_mixture, seeded_noise
from hypopose.errors import OptionError, ShapeError

GENERATOR = torch.Generator().manual_seed(8)


def normals(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def mixture(*batch: int, m: int = 3, d: int = 3) -> GaussianMixture:
    x = normals(*batch, m, d, d)
    covariances = 0.1 * x @ x.mT + 0.05 * torch.eye(d, dtype=x.dtype)
    weights = torch.rand((*batch, m), generator=GENERATOR, dtype=torch.float64) + 0.2
    return GaussianMixture.from_covariances(
        weights / weights.sum(-1, keepdim=True), 2 * normals(*batch, m, d), covariances
    )


def test_density_responsibilities_and_score_are_those_of_torch() -> None:
    ours, x = mixture(4), normals(4, 7, 3).requires_grad_()
    log_prob = ours.log_prob(x)
    normal = torch.distributions.MultivariateNormal(
        ours.means[:, None], scale_tril=ours.cholesky[:, None]
    )
    joint = normal.log_prob(x[:, :, None]) + ours.weights.log()[:, None]
    assert torch.allclose(log_prob, joint.logsumexp(-1), atol=1e-10)
    assert torch.allclose(ours.responsibilities(x), joint.softmax(-1), atol=1e-10)
    (gradient,) = torch.autograd.grad(log_prob.sum(), x)
    assert torch.allclose(ours.score(x), gradient, atol=1e-9)


def test_draws_have_the_moments_of_the_mixture() -> None:
    ours = mixture(2)
    component = ours.choose(normals(40000, 2))
    x = ours.process(component, cosine_schedule()).prior(normals(40000, 2, 3))
    shares = torch.nn.functional.one_hot(component, 3).double().mean(0)
    assert torch.allclose(shares, ours.weights, atol=0.015)
    assert torch.allclose(x.mean(0), ours.mean, atol=0.05)
    for i in range(2):
        assert torch.allclose(x[:, i].T.cov(), ours.covariance[i], atol=0.1)


def test_a_component_of_weight_0_is_never_drawn_and_changes_nothing() -> None:
    two = mixture(m=2)
    three = GaussianMixture(
        torch.cat([two.weights, torch.zeros(1)]).double(),
        torch.cat([two.means, torch.full((1, 3), 50.0)]).double(),
        torch.cat([two.cholesky, two.cholesky[:1]]),
    )
    x = normals(6, 3)
    assert torch.allclose(two.log_prob(x), three.log_prob(x))
    assert torch.allclose(two.score(x), three.score(x))
    z = torch.tensor([-40.0, 0.0, 40.0], dtype=torch.float64)
    assert three.choose(z).tolist() == two.choose(z).tolist()
    assert int(three.choose(z).max()) == 1
    fitted = fit_mixture(x, start=three, n_iterations=3).mixture
    assert fitted.weights[2] == 0
    assert torch.equal(fitted.means[2], three.means[2])


@pytest.mark.parametrize("n_iterations", [1, 12])
def test_em_is_scikit_learns(n_iterations: int) -> None:
    reference = pytest.importorskip("sklearn.mixture", reason="scikit-learn is in hypopose[dev]")
    start, truth = mixture(m=4), mixture(m=4)
    component = truth.choose(normals(400))
    points = truth.process(component, cosine_schedule()).prior(normals(400, 3))
    theirs = reference.GaussianMixture(
        4,
        tol=0.0,
        reg_covar=1e-5,
        max_iter=n_iterations,
        weights_init=start.weights.numpy(),
        means_init=start.means.numpy(),
        precisions_init=torch.cholesky_inverse(start.cholesky).numpy(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it did not converge
        theirs.fit(points.numpy())
    fit = fit_mixture(points, start=start, regularization=1e-5, n_iterations=n_iterations)
    ours = fit.mixture
    for mine, his in (
        (ours.weights, theirs.weights_),
        (ours.means, theirs.means_),
        (ours.covariances, theirs.covariances_),
        (ours.log_prob(points), theirs.score_samples(points.numpy())),
    ):
        assert torch.allclose(mine, torch.as_tensor(his), atol=1e-8)


@pytest.mark.parametrize("random", [False, True])
def test_em_finds_separate_clouds_and_never_gets_less_likely(random: bool) -> None:
    centers = torch.tensor([[-4.0, 0, 0], [0, 3, 0], [5, 5, 5.0]], dtype=torch.float64)
    points = (centers[:, None] + 0.3 * normals(3, 200, 3)).flatten(0, 1)
    noise = seeded_noise(1) if random else None
    fit = fit_mixture(points, 3, n_iterations=30, noise=noise)
    order = fit.mixture.means[:, 0].argsort()
    assert torch.allclose(fit.mixture.means[order], centers, atol=0.1)
    assert torch.allclose(fit.mixture.weights, torch.full((3,), 1 / 3).double(), atol=0.01)
    assert torch.allclose(
        fit.mixture.covariances.diagonal(dim1=1, dim2=2).sqrt().mean(), torch.tensor(0.3).double(),
        atol=0.03,
    )  # fmt: skip
    assert bool((fit.log_likelihood.diff() > -1e-4).all())


def test_weights_are_counts() -> None:
    points = normals(12, 2)
    counts = torch.tensor([1, 2, 3, 1, 1, 4, 1, 2, 1, 1, 0, 5])
    start = mixture(m=2, d=2)
    weighted = fit_mixture(points, weights=counts.double(), start=start, n_iterations=8)
    repeated = fit_mixture(points.repeat_interleave(counts, 0), start=start, n_iterations=8)
    assert torch.allclose(weighted.log_likelihood, repeated.log_likelihood, atol=1e-10)
    assert torch.allclose(weighted.mixture.means, repeated.mixture.means, atol=1e-9)


def test_a_batch_is_fitted_item_by_item() -> None:
    points, weights = normals(2, 3, 40, 2), normals(2, 3, 40).abs()
    together = fit_mixture(points, 2, weights, n_iterations=5).mixture
    for i in range(2):
        for j in range(3):
            alone = fit_mixture(points[i, j], 2, weights[i, j], n_iterations=5).mixture
            assert torch.allclose(alone.means, together.means[i, j])
            assert torch.allclose(alone.cholesky, together.cholesky[i, j])


@pytest.mark.parametrize("n_components", [1, 4])
def test_point_masses_collapse_to_the_regularization(n_components: int) -> None:
    points = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64).expand(2, 30, 3)
    one_hot = torch.zeros(2, 30).index_fill(1, torch.tensor([7]), 1.0)
    for weights in (None, one_hot):
        fit = fit_mixture(points, n_components, weights, regularization=1e-4)
        assert torch.allclose(fit.mixture.mean, points[:, 0], atol=1e-9)
        expected = 1e-4 * torch.eye(3, dtype=torch.float64)
        assert torch.allclose(fit.mixture.covariance, expected, atol=1e-9)
        assert bool(torch.isfinite(fit.log_likelihood).all())


def test_a_heat_map_of_one_bright_and_one_faint_spot() -> None:
    axis = torch.linspace(-1, 1, 41, dtype=torch.float64)
    pixels = torch.cartesian_prod(axis, axis)
    spots = torch.tensor([[-0.5, -0.5], [0.5, 0.4]], dtype=torch.float64)
    apart = (pixels[:, None] - spots).square().sum(-1)
    heat = ((-apart / (2 * 0.1**2)).exp() * torch.tensor([0.8, 0.2])).sum(-1)
    fitted = fit_mixture(pixels, 2, heat, regularization=1e-8).mixture
    order = fitted.means[:, 0].argsort()
    assert torch.allclose(fitted.means[order], spots, atol=0.01)
    assert torch.allclose(fitted.weights[order], torch.tensor([0.8, 0.2]).double(), atol=0.01)
    assert torch.allclose(fitted.covariances[order[0]], 0.01 * torch.eye(2).double(), atol=1e-4)


def test_impossible_mixtures_and_fits_are_refused() -> None:
    eye = torch.eye(2)[None]
    with pytest.raises(OptionError, match="sum to 1"):
        GaussianMixture.from_covariances(torch.tensor([0.5]), torch.zeros(1, 2), eye)
    with pytest.raises(OptionError, match="positive definite"):
        GaussianMixture.from_covariances(torch.ones(1), torch.zeros(1, 2), -eye)
    with pytest.raises(ShapeError, match="cholesky"):
        GaussianMixture(
            torch.ones(1).double(), torch.zeros(1, 2).double(), torch.eye(3)[None].double()
        )
    points = normals(5, 2)
    with pytest.raises(OptionError, match="finite"):
        fit_mixture(points.log(), 2)
    with pytest.raises(OptionError, match="not negative"):
        fit_mixture(points, 2, torch.zeros(5))
    with pytest.raises(OptionError, match="regularization"):
        fit_mixture(points, 2, regularization=0.0)

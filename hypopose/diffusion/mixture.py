"""Gaussian mixtures: densities, EM, and the diffusion of poses into them.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023, section 3: the
distribution of a pose before denoising is a mixture, fitted by EM. The forward process ends in it:
one component is drawn per trajectory, and noise of its covariance is added around its mean.

| paper | code |
| --- | --- |
| M, π_m, μ_m, Σ_m | ``n_components``, ``weights``, ``means``, ``cholesky`` (lower, Σ = L Lᵀ) |
| 1_m | ``component`` |
| q(h_k given h_0) | :meth:`GaussianMixture.diffused` |
| h^i, i = 1 .. N_GMM | ``points``; ours may carry weights, so a heat map is fitted as it is |

Everything has batch axes in front: one mixture per joint (events of 3), per pose (events of 3 J),
per frame. Densities go through Cholesky factors and log-sum-exp; no inverse is formed. A component
of weight 0 has log weight -∞ and stays where it is. Computation is in double precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from hypopose.diffusion.affine import AffineGaussian
from hypopose.diffusion.schedule import Schedule
from hypopose.errors import OptionError, ShapeError
from hypopose.types import NoiseSource

MASS_FLOOR = 10 * torch.finfo(torch.float64).eps
"""Added to every component's mass, and the mass (of 1) below which a component is dropped."""


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Mixtures of M Gaussians over D-vectors.

    Args:
        weights: Sum to 1 over M.
        means: One per component.
        cholesky: Lower-triangular D x D factors of the covariances.

    Raises:
        ShapeError: If the axes disagree.
        OptionError: If weights are negative or do not sum to 1.
    """

    weights: Float64[Tensor, "*batch M"]
    means: Float64[Tensor, "*batch M D"]
    cholesky: Float64[Tensor, "*batch M _D _D"]

    def __post_init__(self) -> None:
        d = self.means.shape[-1]
        if self.means.shape[:-1] != self.weights.shape or self.cholesky.shape != (
            *self.means.shape,
            d,
        ):
            raise ShapeError(
                f"A mixture has weights (..., M), means (..., M, D), cholesky (..., M, D, D); got "
                f"{tuple(self.weights.shape)}, {tuple(self.means.shape)}, "
                f"{tuple(self.cholesky.shape)}."
            )
        total = self.weights.sum(-1)
        if bool((self.weights < 0).any()) or not torch.allclose(total, torch.ones_like(total)):
            raise OptionError("A mixture's weights are not negative and sum to 1.")

    @staticmethod
    def from_covariances(
        weights: Float[Tensor, "*batch M"],
        means: Float[Tensor, "*batch M D"],
        covariances: Float[Tensor, "*batch M D D"],
    ) -> GaussianMixture:
        """A mixture from covariance matrices.

        Raises:
            OptionError: If a covariance is not positive definite.

        Example:
            >>> one, mean = torch.ones(1), torch.zeros(1, 3)
            >>> GaussianMixture.from_covariances(one, mean, torch.eye(3)[None]).covariance.trace()
            tensor(3., dtype=torch.float64)
        """
        factor, info = torch.linalg.cholesky_ex(covariances.double())
        if bool(info.any()):
            raise OptionError(
                "A covariance is not positive definite; add a small multiple of the identity."
            )
        return GaussianMixture(weights.double(), means.double(), factor)

    @property
    def n_components(self) -> int:
        """M."""
        return self.weights.shape[-1]

    @property
    def covariances(self) -> Float64[Tensor, "*batch M D D"]:
        """Σ_m."""
        return self.cholesky @ self.cholesky.mT

    @property
    def mean(self) -> Float64[Tensor, "*batch D"]:
        """Mean of the whole."""
        return (self.weights[..., None] * self.means).sum(-2)

    @property
    def covariance(self) -> Float64[Tensor, "*batch D D"]:
        """Covariance of the whole: within components, and between their means."""
        apart = self.means - self.mean[..., None, :]
        between = apart[..., :, None] * apart[..., None, :]
        return (self.weights[..., None, None] * (self.covariances + between)).sum(-3)

    def log_joint(self, x: Float64[Tensor, "*batch N D"]) -> Float64[Tensor, "*batch N M"]:
        """Joint log density of component and point, log π_m + log N(x; μ_m, Σ_m)."""
        apart = (x[..., None, :, :] - self.means[..., :, None, :]).mT
        z = torch.linalg.solve_triangular(self.cholesky, apart, upper=False)
        volume = self.cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        d = x.shape[-1]
        log_pdf = -0.5 * (z * z).sum(-2) - volume[..., None] - 0.5 * d * math.log(2 * math.pi)
        return (self.weights.log()[..., None] + log_pdf).mT

    def log_prob(self, x: Float64[Tensor, "*batch N D"]) -> Float64[Tensor, "*batch N"]:
        """Log density of N points.

        Example:
            >>> one, mean = torch.ones(1), torch.zeros(1, 1)
            >>> normal = GaussianMixture.from_covariances(one, mean, torch.ones(1, 1, 1))
            >>> round(normal.log_prob(torch.zeros(1, 1, dtype=torch.float64)).item(), 4)
            -0.9189
        """
        return self.log_joint(x).logsumexp(-1)

    def responsibilities(self, x: Float64[Tensor, "*batch N D"]) -> Float64[Tensor, "*batch N M"]:
        """Which component a point is from: probabilities."""
        return self.log_joint(x).softmax(-1)

    def score(self, x: Float64[Tensor, "*batch N D"]) -> Float64[Tensor, "*batch N D"]:
        """Gradient of :meth:`log_prob`."""
        apart = (x[..., None, :, :] - self.means[..., :, None, :]).mT
        pull = torch.cholesky_solve(apart, self.cholesky)  # (..., M, D, N)
        return -(self.responsibilities(x).mT[..., None, :] * pull).sum(-3).mT

    def diffused(
        self, x0: Float[Tensor, "*batch D"], t: int, schedule: Schedule
    ) -> GaussianMixture:
        """Where a clean pose is at timestep t >= 0, whichever component its trajectory has.

        Args:
            x0: One per mixture.
            t: Timestep; t = k - 1 for the paper's k.
            schedule: Gives ᾱ.

        Returns:
            The marginal of the forward process.
        """
        bar = schedule.at(t)
        means = self.means + math.sqrt(bar) * (x0.double()[..., None, :] - self.means)
        return GaussianMixture(self.weights, means, math.sqrt(1.0 - bar) * self.cholesky)

    def choose(self, z: Float[Tensor, "*draws"]) -> Int[Tensor, "*draws"]:
        """Components from standard normals, by inverting the cumulative weights.

        Close weights give close choices, and neighbors in the order of components are neighbors in
        z: with components in a fixed order, one z keeps its component from frame to frame.

        Args:
            z: Ends with the mixture's batch axes.
        """
        u = torch.special.ndtr(z.double())[..., None]
        last = (self.weights > 0).long().cumsum(-1).argmax(-1)  # never one of weight 0
        below = (u >= self.weights.cumsum(-1)).sum(-1)
        return torch.minimum(below, last.expand(below.shape))

    def process(self, component: Int[Tensor, "*draws"], schedule: Schedule) -> AffineGaussian:
        """The process that ends in one component per draw.

        Args:
            component: Ends with the mixture's batch axes, see :meth:`choose`.
            schedule: Gives ᾱ.
        """
        d = self.means.shape[-1]
        shape = component.shape
        means = self.means.expand(*shape, *self.means.shape[-2:])
        factors = self.cholesky.expand(*shape, *self.cholesky.shape[-3:])
        rows = component[..., None, None].expand(*shape, 1, d)
        return AffineGaussian(
            schedule,
            location=means.gather(-2, rows)[..., 0, :],
            scale=factors.gather(-3, rows[..., None].expand(*shape, 1, d, d))[..., 0, :, :],
            triangular=True,
        )


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """What EM found.

    Args:
        mixture: After the last M-step.
        log_likelihood: Mean (or weighted mean) log density of the points: entry i after i M-steps.
    """

    mixture: GaussianMixture
    log_likelihood: Float64[Tensor, "iterations *batch"]


def fit_mixture(
    points: Float[Tensor, "*batch N D"],
    n_components: int = 5,
    weights: Float[Tensor, "*batch N"] | None = None,
    *,
    regularization: float = 1e-6,
    n_iterations: int = 50,
    start: GaussianMixture | None = None,
    noise: NoiseSource | None = None,
) -> MixtureFit:
    """Fit mixtures by expectation-maximization.

    Args:
        points: What to fit, in meters or any unit.
        n_components: M.
        weights: One per point, not negative; equal where None. A heat map is its pixels' places
            as points and its probabilities as weights.
        regularization: Added to every covariance's diagonal, in squared units of the points. Point
            masses collapse to it.
        n_iterations: M-steps.
        start: Where to begin; else :func:`spread_start`.
        noise: Randomness of the start, see there.

    Returns:
        The fit, in double precision.

    Raises:
        OptionError: If weights are negative or all 0, or an option is out of range.

    Example:
        >>> two = torch.tensor([[-1.0], [-1.1], [-0.9], [2.0], [2.1]])
        >>> fitted = fit_mixture(two, 2).mixture
        >>> sorted(round(m, 2) for m in fitted.means.flatten().tolist())
        [-1.0, 2.05]
    """
    if regularization <= 0 or n_components < 1 or n_iterations < 0:
        raise OptionError(
            "EM needs regularization > 0, n_components >= 1 and n_iterations >= 0, got "
            f"{regularization}, {n_components}, {n_iterations}."
        )
    points = points.double()
    if not bool(torch.isfinite(points).all()):
        raise OptionError("EM needs finite points; leave missing ones out, or give them weight 0.")
    share = _shares(points, weights)
    mixture = start or spread_start(points, n_components, share, regularization, noise)
    history = []
    for i in range(n_iterations + 1):
        joint = mixture.log_joint(points)
        history.append((share * joint.logsumexp(-1)).sum(-1))
        if i < n_iterations:
            mixture = maximized(
                points, share[..., None] * joint.softmax(-1), mixture, regularization
            )
    return MixtureFit(mixture, torch.stack(history))


def spread_start(
    points: Float64[Tensor, "*batch N D"],
    n_components: int,
    weights: Float64[Tensor, "*batch N"],
    regularization: float = 1e-6,
    noise: NoiseSource | None = None,
) -> GaussianMixture:
    """Means far from one another, as k-means++ chooses them; covariances of the whole over M².

    Args:
        points: In double precision.
        n_components: M.
        weights: One per point.
        regularization: Added to the covariances.
        noise: Asked once for ``(*batch, 1, M, 1, 1)``: each mean is drawn in proportion to weight
            times squared distance from those before. Without it, the largest is taken.

    Returns:
        Where EM begins.
    """
    *batch, _, d = points.shape
    z = None if noise is None else noise((*batch, 1, n_components, 1, 1))[..., 0, :, 0, 0].double()
    center = (weights[..., None] * points).sum(-2, keepdim=True) / weights.sum(-1)[..., None, None]
    apart = points - center
    spread = (weights[..., None] * apart).mT @ apart / weights.sum(-1)[..., None, None]
    nearest = apart.square().sum(-1)
    chosen: list[Tensor] = []
    for m in range(n_components):
        mass = weights * nearest
        mass = torch.where(mass.sum(-1, keepdim=True) > 0, mass, weights)
        if z is None:
            index = mass.argmax(-1)
        else:
            u = torch.special.ndtr(z[..., m : m + 1]) * mass.sum(-1, keepdim=True)
            index = (mass.cumsum(-1) <= u).sum(-1).clamp(max=points.shape[-2] - 1)
        rows = index[..., None, None].expand(*batch, 1, d)
        chosen.append(points.gather(-2, rows))
        away = (points - chosen[-1]).square().sum(-1)
        nearest = away if m == 0 else torch.minimum(nearest, away)
    eye = regularization * torch.eye(d, dtype=points.dtype, device=points.device)
    covariance = (spread / n_components**2 + eye)[..., None, :, :]
    return GaussianMixture(
        torch.full((*batch, n_components), 1.0 / n_components).to(points),
        torch.cat(chosen, -2),
        torch.linalg.cholesky(covariance).expand(*batch, n_components, d, d).clone(),
    )


def _shares(points: Tensor, weights: Tensor | None) -> Tensor:
    """Weights that sum to 1."""
    n = points.shape[-2]
    if weights is None:
        return points.new_full(points.shape[:-1], 1.0 / n)
    weights = weights.double()
    total = weights.sum(-1, keepdim=True)
    if bool((weights < 0).any()) or not bool((total > 0).all()):
        raise OptionError("EM's weights are not negative, and some of them are positive.")
    return weights / total


def maximized(
    points: Tensor, share: Tensor, before: GaussianMixture, regularization: float
) -> GaussianMixture:
    """The M-step: weighted moments; a component without mass keeps its place, with weight 0."""
    mass = share.sum(-2)
    kept = mass > MASS_FLOOR
    n = torch.where(kept, mass + MASS_FLOOR / points.shape[-2], 1.0)
    means = share.mT @ points / n[..., None]
    means = torch.where(kept[..., None], means, before.means)
    apart = points[..., None, :, :] - means[..., :, None, :]
    covariance = (share.mT[..., None] * apart).mT @ apart / n[..., None, None]
    eye = regularization * torch.eye(points.shape[-1], dtype=points.dtype, device=points.device)
    factor = torch.linalg.cholesky(covariance + eye)
    mass = torch.where(kept, mass, 0.0)
    return GaussianMixture(
        mass / mass.sum(-1, keepdim=True),
        means,
        torch.where(kept[..., None, None], factor, before.cholesky),
    )

"""One process for every sampler: Gaussian noise of scale L around a location μ.

x_t = μ + √ᾱ_t (x0 - μ) + √(1 - ᾱ_t) L z, with z standard normal. In the coordinates L⁻¹(x - μ)
this is the process of :mod:`hypopose.diffusion.gaussian`, whose steps are used as they are.

| method | μ | L |
| --- | --- | --- |
| D3DP (Shan et al., ICCV 2023) | 0 | s I |
| DiffPose as released (Gong et al., CVPR 2023) | 0 | diagonal: keypoint scales, 1 m |
| DiffPose as in the paper | μ_m of a mixture's component | Cholesky factor of Σ_m |

| paper | code |
| --- | --- |
| h_k, a_k, k | ``x_t``, ``schedule.at(t)``, t = k - 1 (clean: k = 0) |
| μ^G, ε^G | ``location``, ``color(z)`` |
| ε, in the units of poses | ``eps`` = L z |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.diffusion.gaussian import ddim_step, implied_eps, q_sample
from hypopose.diffusion.schedule import Schedule
from hypopose.errors import OptionError
from hypopose.types import NoiseSource

OUTPUTS = ("x0", "eps", "v")
"""What a network predicts: the clean pose, the noise, or v = √ᾱ ε - √(1 - ᾱ)(x0 - μ)."""


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class AffineGaussian:
    """The process around ``location`` with ``scale``; both broadcast against poses.

    Args:
        schedule: Gives ᾱ.
        location: μ.
        scale: L: standard deviations per coordinate or, if ``triangular``, a lower-triangular
            factor of the covariance of the last axis.
        triangular: What ``scale`` is.

    Example:
        >>> from hypopose.diffusion import cosine_schedule
        >>> process = AffineGaussian(cosine_schedule(), torch.tensor(2.0), torch.tensor(0.5))
        >>> process.prior(torch.tensor([0.0, 1.0])).tolist()
        [2.0, 2.5]
    """

    schedule: Schedule
    location: Float[Tensor, "..."] = field(default_factory=lambda: _number(0.0))
    scale: Float[Tensor, "..."] = field(default_factory=lambda: _number(1.0))
    triangular: bool = False

    def __post_init__(self) -> None:
        spread = self.scale.diagonal(dim1=-2, dim2=-1) if self.triangular else self.scale
        if not bool((spread > 0).all()):
            raise OptionError("The scale of a process must be positive (and its factor regular).")

    def to(self, like: Tensor) -> AffineGaussian:
        """The same in the precision and on the device of ``like``."""
        place = self.location.to(like), self.scale.to(like)
        return AffineGaussian(self.schedule, *place, self.triangular)

    def color(self, z: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes D"]:
        """Standard normals to noise: L z."""
        if not self.triangular:
            return self.scale * z
        return (self.scale @ z[..., None])[..., 0]

    def whiten(self, eps: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes D"]:
        """Noise to standard normals: L⁻¹ ε."""
        if not self.triangular:
            return eps / self.scale
        factor = self.scale.expand(*eps.shape, eps.shape[-1])
        return torch.linalg.solve_triangular(factor, eps[..., None], upper=False)[..., 0]

    def prior(self, z: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes D"]:
        """What the process ends in: μ + L z."""
        return self.location + self.color(z)

    def noised(
        self, x0: Float[Tensor, "*axes D"], t: int, z: Float[Tensor, "*axes D"]
    ) -> Float[Tensor, "*axes D"]:
        """Poses at t, from clean ones; x0 itself for t = -1."""
        if t < 0:
            return x0
        keep, add = math.sqrt(self.schedule.at(t)), math.sqrt(1.0 - self.schedule.at(t))
        return self.location + keep * (x0 - self.location) + add * self.color(z)

    def noised_at(
        self,
        x0: Float[Tensor, "B *axes D"],
        t: Int[Tensor, " B"],
        z: Float[Tensor, "B *axes D"],
    ) -> Float[Tensor, "B *axes D"]:
        """Poses at one timestep per item, 0 .. T - 1, as training needs them."""
        return self.location + q_sample(x0 - self.location, t, self.color(z), self.schedule)

    def forward_step(
        self, x: Float[Tensor, "*axes D"], t_before: int, t: int, z: Float[Tensor, "*axes D"]
    ) -> Float[Tensor, "*axes D"]:
        """One Markov step up, from t_before to t; it has the same marginals as :meth:`noised`."""
        q = self.schedule.at(t) / self.schedule.at(t_before)
        return (
            self.location + math.sqrt(q) * (x - self.location) + math.sqrt(1.0 - q) * self.color(z)
        )

    def step(
        self,
        x_t: Float[Tensor, "*axes D"],
        x0: Float[Tensor, "*axes D"],
        t: int,
        t_next: int,
        *,
        eta: float = 1.0,
        noise: NoiseSource | None = None,
    ) -> Float[Tensor, "*axes D"]:
        """One DDIM step down, given the predicted clean pose.

        Args:
            x_t: Poses at t.
            x0: Clean poses.
            t: Current timestep.
            t_next: Next timestep; -1 returns ``x0``.
            eta: Share of new noise, 0 to 1.
            noise: Asked once for standard normals of the shape of ``x_t``, if there is new noise.

        Returns:
            Poses at t_next.

        Raises:
            OptionError: If the step needs noise and none is given, or goes up.
        """
        centered = ddim_step(
            x_t - self.location,
            x0 - self.location,
            t,
            t_next,
            self.schedule,
            eta=eta,
            noise=None if noise is None else lambda shape: self.color(noise(shape).to(x_t)),
        )
        return self.location + centered

    def implied_eps(
        self, x_t: Float[Tensor, "*axes D"], x0: Float[Tensor, "*axes D"], t: int
    ) -> Float[Tensor, "*axes D"]:
        """The noise L z that leads from x0 to x_t."""
        return implied_eps(x_t - self.location, x0 - self.location, t, self.schedule)

    def log_prob(
        self, x_t: Float[Tensor, "*axes D"], x0: Float[Tensor, "*axes D"], t: int
    ) -> Float[Tensor, "*axes"]:
        """Log density of x_t given x0, over the last axis."""
        spread = math.sqrt(1.0 - self.schedule.at(t))
        z = self.whiten(self.implied_eps(x_t, x0, t))
        size = self.scale.diagonal(dim1=-2, dim2=-1) if self.triangular else self.scale
        volume = (size * spread).log().expand(z.shape).sum(-1)
        return -0.5 * (z * z).sum(-1) - volume - 0.5 * z.shape[-1] * math.log(2 * math.pi)

    def score(
        self, x_t: Float[Tensor, "*axes D"], x0: Float[Tensor, "*axes D"], t: int
    ) -> Float[Tensor, "*axes D"]:
        """Gradient of :meth:`log_prob` in x_t: -L⁻ᵀ z / √(1 - ᾱ_t)."""
        z = self.whiten(self.implied_eps(x_t, x0, t))
        spread = math.sqrt(1.0 - self.schedule.at(t))
        if not self.triangular:
            return -z / (self.scale * spread)
        factor = self.scale.mT.expand(*z.shape, z.shape[-1])
        return -torch.linalg.solve_triangular(factor, z[..., None], upper=True)[..., 0] / spread

    def x0_from(
        self, output: Float[Tensor, "*axes D"], x_t: Float[Tensor, "*axes D"], t: int, kind: str
    ) -> Float[Tensor, "*axes D"]:
        """The clean pose a network's output stands for.

        Args:
            output: What the network predicted.
            x_t: Poses it saw.
            t: Their timestep.
            kind: One of :data:`OUTPUTS`; noise is in the units of poses (L z).

        Raises:
            OptionError: If the kind is unknown.

        Example:
            >>> from hypopose.diffusion import cosine_schedule
            >>> process = AffineGaussian(cosine_schedule())
            >>> x0, eps = torch.tensor([1.0]), torch.tensor([-1.0])
            >>> x_t = process.noised(x0, 500, eps)
            >>> round(process.x0_from(eps, x_t, 500, "eps").item(), 5)
            1.0
        """
        if kind == "x0":
            return output
        bar = self.schedule.at(t)
        keep, add = math.sqrt(bar), math.sqrt(1.0 - bar)
        if kind == "eps":
            return self.location + (x_t - self.location - add * output) / keep
        if kind == "v":
            return self.location + keep * (x_t - self.location) - add * output
        raise OptionError(f"A network predicts {', '.join(OUTPUTS)}, not {kind!r}.")

    def output_from(
        self, x0: Float[Tensor, "*axes D"], x_t: Float[Tensor, "*axes D"], t: int, kind: str
    ) -> Float[Tensor, "*axes D"]:
        """The output that stands for a clean pose: the inverse of :meth:`x0_from`.

        Args:
            x0: Clean poses.
            x_t: Noisy ones.
            t: Their timestep.
            kind: One of :data:`OUTPUTS`.

        Raises:
            OptionError: If the kind is unknown.
        """
        if kind == "x0":
            return x0
        if kind not in OUTPUTS:
            raise OptionError(f"A network predicts {', '.join(OUTPUTS)}, not {kind!r}.")
        eps = self.implied_eps(x_t, x0, t)
        if kind == "eps":
            return eps
        bar = self.schedule.at(t)
        return math.sqrt(bar) * eps - math.sqrt(1.0 - bar) * (x0 - self.location)

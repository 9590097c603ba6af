"""The Gaussian process x_t = √ᾱ_t x0 + √(1 - ᾱ_t) ε, and DDIM steps back along it.

Song et al., "Denoising Diffusion Implicit Models", ICLR 2021, eq. 12 and 16.

The process is affine in (x0, ε), so a process around a location μ with a scale L is this one for
z = L⁻¹(x - μ): callers shift and scale, and the steps stay as they are.

| paper | code |
| --- | --- |
| x0, x_t, ε | ``x0``, ``x_t``, ``eps`` |
| η | ``eta``: 0 is deterministic, 1 as noisy as DDPM |
| σ_t | ``sigma`` |

Scalars are formed on the host in double precision; tensors keep their own.
"""

from __future__ import annotations

import math

from jaxtyping import Float, Int
from torch import Tensor

from hypopose.checks import check_between
from hypopose.diffusion.schedule import Schedule
from hypopose.errors import OptionError
from hypopose.types import NoiseSource


def q_sample(
    x0: Float[Tensor, "B *axes"],
    t: Int[Tensor, " B"],
    eps: Float[Tensor, "B *axes"],
    schedule: Schedule,
) -> Float[Tensor, "B *axes"]:
    """Noise clean poses: √ᾱ_t x0 + √(1 - ᾱ_t) ε, in the precision of ``x0``.

    Args:
        x0: Clean poses.
        t: One timestep per item, 0 .. T - 1.
        eps: Standard normals.
        schedule: Gives ᾱ_t.

    Returns:
        Noisy poses; pass ``x0`` in double precision to get double precision.

    Example:
        >>> import torch
        >>> from hypopose.diffusion import cosine_schedule
        >>> x0, eps = torch.ones(1, 3), torch.zeros(1, 3)
        >>> x_t = q_sample(x0, torch.tensor([999]), eps, cosine_schedule())
        >>> bool((x_t < 1e-4).all())
        True
    """
    alpha_bar = schedule.alpha_bar.to(t.device)[t].reshape(-1, *[1] * (x0.dim() - 1))
    keep, add = alpha_bar.sqrt().to(x0), (1 - alpha_bar).sqrt().to(x0)
    return keep * x0 + add * eps


def implied_eps(
    x_t: Float[Tensor, "*axes"], x0: Float[Tensor, "*axes"], t: int, schedule: Schedule
) -> Float[Tensor, "*axes"]:
    """The ε that leads from x0 to x_t: (x_t - √ᾱ_t x0) / √(1 - ᾱ_t)."""
    alpha_bar = schedule.at(t)
    return (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)


def ddim_coefficients(
    t: int, t_next: int, schedule: Schedule, eta: float = 1.0
) -> tuple[float, float]:
    """(σ, c): weights of new noise and of the implied ε in a DDIM step.

    Args:
        t: Where the step starts.
        t_next: Where it ends; at -1 both weights are 0.
        schedule: Gives ᾱ.
        eta: Share of new noise, 0 to 1.

    Returns:
        sigma and c, with σ² + c² = 1 - ᾱ_next.

    Example:
        >>> from hypopose.diffusion import cosine_schedule
        >>> [round(x, 3) for x in ddim_coefficients(749, 499, cosine_schedule())]
        [0.647, 0.296]
    """
    check_between(0, 1, eta=eta)
    if not -1 <= t_next < t < schedule.n_timesteps:
        raise OptionError(f"A step goes down from t to t_next, got {t} to {t_next}.")
    now, then = schedule.at(t), schedule.at(t_next)
    sigma = eta * math.sqrt((1 - now / then) * (1 - then) / (1 - now))
    return sigma, math.sqrt(max(1 - then - sigma**2, 0.0))


def ddim_step(
    x_t: Float[Tensor, "*axes"],
    x0: Float[Tensor, "*axes"],
    t: int,
    t_next: int,
    schedule: Schedule,
    *,
    eta: float = 1.0,
    noise: NoiseSource | None = None,
) -> Float[Tensor, "*axes"]:
    """One step from t to t_next, given the predicted clean pose.

    Args:
        x_t: Noisy poses at t.
        x0: The network's clean poses.
        t: Current timestep.
        t_next: Next timestep; -1 returns ``x0``.
        schedule: Gives ᾱ.
        eta: Share of new noise, 0 to 1.
        noise: Asked once, for the shape of ``x_t``, if the step has new noise.

    Returns:
        Poses at t_next.

    Raises:
        OptionError: If the step needs noise and none is given, or goes up.

    Example:
        >>> import torch
        >>> from hypopose.diffusion import cosine_schedule
        >>> x0 = torch.zeros(2, 3)
        >>> ddim_step(torch.ones(2, 3), x0, 999, -1, cosine_schedule()).abs().max().item()
        0.0
    """
    sigma, c = ddim_coefficients(t, t_next, schedule, eta)
    if t_next < 0:
        return x0
    x_next = math.sqrt(schedule.at(t_next)) * x0 + c * implied_eps(x_t, x0, t, schedule)
    if sigma == 0.0:
        return x_next
    if noise is None:
        raise OptionError(f"A step with eta={eta} needs a noise source; pass noise=.")
    return x_next + sigma * noise(tuple(x_t.shape)).to(x_t)

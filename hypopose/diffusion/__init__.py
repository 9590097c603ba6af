"""Schedules, forward processes, steps over ``(t, t_next)`` pairs, and the source of noise."""

from hypopose.diffusion.affine import AffineGaussian
from hypopose.diffusion.betas import named_betas
from hypopose.diffusion.gaussian import ddim_coefficients, ddim_step, implied_eps, q_sample
from hypopose.diffusion.latent import latent_noise
from hypopose.diffusion.mixture import GaussianMixture, MixtureFit, fit_mixture
from hypopose.diffusion.noise import recorded_noise, seeded_noise
from hypopose.diffusion.rolling import RollingNoise
from hypopose.diffusion.schedule import Schedule, cosine_schedule, timestep_pairs

__all__ = [
    "AffineGaussian",
    "GaussianMixture",
    "MixtureFit",
    "RollingNoise",
    "Schedule",
    "cosine_schedule",
    "ddim_coefficients",
    "ddim_step",
    "fit_mixture",
    "implied_eps",
    "latent_noise",
    "named_betas",
    "q_sample",
    "recorded_noise",
    "seeded_noise",
    "timestep_pairs",
]

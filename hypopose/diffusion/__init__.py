"""Schedules, forward processes, steps over ``(t, t_next)`` pairs, and the source of noise."""

from hypopose.diffusion.gaussian import ddim_coefficients, ddim_step, implied_eps, q_sample
from hypopose.diffusion.noise import recorded_noise, seeded_noise
from hypopose.diffusion.schedule import Schedule, cosine_schedule, timestep_pairs

__all__ = [
    "Schedule",
    "cosine_schedule",
    "ddim_coefficients",
    "ddim_step",
    "implied_eps",
    "q_sample",
    "recorded_noise",
    "seeded_noise",
    "timestep_pairs",
]

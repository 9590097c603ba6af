"""Schedules, forward processes, steps over ``(t, t_next)`` pairs, and the source of noise."""

from hypopose.diffusion.noise import recorded_noise, seeded_noise

__all__ = ["recorded_noise", "seeded_noise"]

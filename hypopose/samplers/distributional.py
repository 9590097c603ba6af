"""Distributional diffusion: a generator trained with a proper score draws motions in one step.

Ours, for poses; put together from De Bortoli et al., "Distributional diffusion models with scoring
rules" (2025), Shen and Meinshausen, "Engression" (JRSS-B 2024), and Gneiting and Raftery, "Strictly
proper scoring rules" (JASA 2007).

A denoiser trained by regression answers a noisy motion with *one* clean motion, the average of all
that fit. Many small steps through averages approximate the posterior only in the limit; for pose
lifting the hypotheses come out far too narrow. Here the network is a *generator*

    x0 = G(x_t, t, keypoints, z),        z standard normal,

whose answers, over z, are to be distributed as p(x0 | x_t, keypoints). For a distance d of motions
that makes the energy score proper, the expectation of

    d(G(z), y) / 2 + d(G(z'), y) / 2 − d(G(z), G(z')) / 2

over pairs z, z' and truths y is least exactly there. At t = T − 1 the noisy motion is pure noise,
and one evaluation draws from p(x0 | keypoints) itself. With more steps each answer is noised again
to the next level, x_s ~ q(x_s | x_t, x0): exact for any number of steps if every answer's
distribution is. So more steps cost time and correct errors of one answer; they do not widen or
narrow the spread by themselves.

| symbol | here |
| --- | --- |
| G | ``network``, a network with ``info.n_latent`` channels of latent noise |
| z | :func:`hypopose.diffusion.latent_noise`: constant, slow and per-frame parts |
| d | :func:`hypopose.training.motion_distance` |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import latent_noise
from hypopose.errors import OptionError
from hypopose.samplers.diffusion_sampler import DiffusionSampler
from hypopose.types import ASSUMED_FPS, Keypoints2D, NoiseSource


@dataclass(frozen=True)
class DistributionalDiffusion(DiffusionSampler):
    """Draw motions from a generator, in one step or a few.

    Videos of any length, windows, cameras and solvers are as in
    :class:`~.diffusion_sampler.DiffusionSampler`: the latent noise
    belongs to frames of the video, so that a hypothesis is one motion across windows.

    Args:
        n_steps: Network evaluations per draw; 1 draws directly.
        eta: 1 adds new noise to each output, as the derivation asks; used with two steps or more.
        flip: Must stay False: the average of two draws is not a draw.
        mirror: As there; on, because it improves the mean and the energy score.
        frame_noise_scale: Scale of the noise that is new in every frame, 1 as in training. Some
            generators jitter with it; 0 keeps the constant and the slow noise alone. Noise that
            several steps put in between is never scaled.

    Raises:
        OptionError: If an option is out of range.
    """

    n_steps: int = 1
    flip: bool = False
    mirror: bool = True
    frame_noise_scale: float = 1.0

    reads_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flip:
            raise OptionError(
                "flip averages two draws, and an average is not a draw; leave flip=False."
            )
        if self.n_steps > 1 and self.network.info.one_step:
            raise OptionError(
                f"These weights draw in one evaluation; leave n_steps=1, got {self.n_steps}."
            )
        scale, latent = self.frame_noise_scale, self.network.info.n_latent
        if scale < 0 or (scale == 0 and not latent):
            raise OptionError(
                "frame_noise_scale is 0 or more, and above 0 for networks without latent noise: "
                "nothing else distinguishes their hypotheses."
            )

    def _entering(
        self,
        x: Float[Tensor, "*batch H F J 3"],
        keypoints: Keypoints2D,
        noise: NoiseSource,
        t: int,
    ) -> Float[Tensor, "*batch H F rows 3"]:
        """The noisy poses, and new latent noise in further rows of three.

        At the first step the noisy poses are pure noise, white over time, and carry no information.
        """
        if t == self.n_timesteps - 1:
            x = x * self.frame_noise_scale
        n_latent = self.network.info.n_latent
        if not n_latent:
            return x
        seconds = torch.arange(x.shape[-3], device=x.device) / (keypoints.fps or ASSUMED_FPS)
        z = latent_noise(seconds.expand(*x.shape[:-4], -1), x.shape[-4], n_latent, noise)
        z[..., -n_latent // 4 :] *= self.frame_noise_scale
        return torch.cat([x, z.reshape(*z.shape[:-1], -1, 3)], -2)

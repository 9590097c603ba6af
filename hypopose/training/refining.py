"""The objective of DiffPose as released: a lifter and a refiner of single frames, side by side.

Gong et al., CVPR 2023, the released code. The refiner learns to predict the noise in (u, v, x, y,
z) of true poses, so it is independent of the lifter, and both are trained in one run: the lifter
for the mean distance, the refiner for the squared error of noise at the timesteps and scales that
:class:`hypopose.samplers.ReleasedDiffPose` has by default.

| released code | here |
| --- | --- |
| e = z · scale | ``process.color(z)`` |
| t, T - 1 - t | :func:`antithetic_timesteps` |
| sum over joints and channels | their mean: a constant factor, which AdamW takes out |

Departures: u and v of the clean state are the keypoints the detector found, since there are no
tables of its kernels; how the released lifter was trained is not known.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hypopose.diffusion import AffineGaussian, seeded_noise
from hypopose.metrics import mpjpe
from hypopose.networks import DiffPosePair
from hypopose.networks.base import Network
from hypopose.networks.gcndiff import CHANNELS
from hypopose.samplers import ReleasedDiffPose
from hypopose.training.batches import Batch
from hypopose.training.losses import joint_distance
from hypopose.training.validation import HeldOut


def antithetic_timesteps(n: int, n_timesteps: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Half of them drawn, the other half their mirror image, so that every batch has both ends.

    Args:
        n: How many.
        n_timesteps: T.
        generator: Their source.

    Example:
        >>> t = antithetic_timesteps(6, 51, torch.Generator().manual_seed(0))
        >>> (t[:2] + t[4:]).tolist()
        [50, 50]
    """
    device = generator.device
    t = torch.randint(n_timesteps, (n // 2 + 1,), generator=generator, device=device)
    return torch.cat([t, n_timesteps - 1 - t])[:n]


def pair_loss(network: Network, batch: Batch, generator: torch.Generator) -> Float[Tensor, ""]:
    """Mean distance of lifted poses (m) plus mean squared error of the refiner's noise.

    Args:
        network: A :class:`~hypopose.networks.DiffPosePair`.
        batch: Windows in screen coordinates, without gaps; their frames are independent.
        generator: Source of timesteps and noise.

    Raises:
        OptionError: If the network is no pair.
    """
    method, pair = ReleasedDiffPose(network), cast(DiffPosePair, network)
    uv, target = batch.encoded.xy.flatten(0, 1), batch.target.flatten(0, 1)
    x0 = torch.cat([uv, target], -1)
    scale = x0.new_tensor([method.uv_std] * 2 + [1.0] * (len(CHANNELS) - 2))
    process = AffineGaussian(method.schedule, x0.new_zeros(()), scale)
    t = antithetic_timesteps(len(x0), method.n_timesteps, generator)
    z = torch.randn(x0.shape, generator=generator, device=x0.device)
    x_t = process.noised_at(x0, t, z).to(x0)
    wrong = pair.refiner(x_t, t.to(x0)) - process.color(z)
    return joint_distance(pair.lifter.lift(uv), target) + wrong.square().mean()


@torch.no_grad()
def validate_pair(network: nn.Module, held_out: HeldOut) -> dict[str, float]:
    """Mean error (mm) of poses as lifted, and as refined the released way.

    Args:
        network: Lifter and refiner.
        held_out: What it has not seen.
    """
    first: list[Tensor] = []
    sampler = ReleasedDiffPose(cast(Network, network))
    refined = sampler.sample(
        held_out.keypoints,
        1,
        seeded_noise(0),
        lambda step: first.append(step.x_t) if step.index == 0 else None,
    )
    lifted, truth = first[0].cpu().float(), held_out.truth.joints
    return {
        "lift_mpjpe_mm": 1000 * float(mpjpe(lifted[:, 0], truth)),
        "refined_mpjpe_mm": 1000 * float(mpjpe(refined.joints[:, 0].float(), truth)),
    }

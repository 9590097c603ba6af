"""The objective of DiffPose as in the paper, for networks that read their components.

Gong et al., CVPR 2023, section 3. Noise comes from the mixture that is fitted to each window's
keypoints (:mod:`hypopose.samplers.depth_prior`), one component per joint and window. The poses that
depths are looked up from are drawn from the training motion as the batches are, once per run; they
go with the weights.

Departures: the network predicts the clean motion. Its squared error is divided by how much variance
is left at that timestep, so that every noise level has an influence (Hang et al., "Efficient
diffusion training via min-SNR weighting", ICCV 2023, have a like weight). A squared error asks for
the mean, which is what the reverse walk needs; D3DP's distance asks for something like the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.calibration import ece, energy_score
from hypopose.diffusion import GaussianMixture, Schedule, seeded_noise
from hypopose.metrics import mpjpe
from hypopose.networks.base import Network
from hypopose.networks.inputs import REFERENCE_SIZE, Encoded
from hypopose.samplers.depth_prior import MIN_JOINTS, DepthPrior, InitialDistribution
from hypopose.samplers.diffpose import INITIAL_FILE, DiffPose, told_rows
from hypopose.simulation import Motion
from hypopose.skeletons import H36M17
from hypopose.training.batches import Batch, BatchMaker, motion_of
from hypopose.training.config import TrainConfig
from hypopose.training.validation import HeldOut
from hypopose.types import MIN_CONFIDENCE

N_POSES = 2048
"""Poses that depths are looked up from."""

INITIAL = {"n_components": 2, "n_iterations": 4, "stride": 13}
N_NEIGHBORS = 16
SETTLED = 0.15
"""Meters a joint is uncertain by when its keypoints are all that is known."""


@dataclass(frozen=True, eq=False)
class MixtureBatch:
    """A batch, and where its forward process ends.

    Args:
        batch: Keypoints and clean motions.
        location: μ of every joint's component, meters in the network's frame.
        factor: L, lower triangular.
    """

    batch: Batch
    location: Float[Tensor, "B F J 3"]
    factor: Float[Tensor, "B F J 3 3"]


class MixtureBatchMaker:
    """Draws training windows and fits their mixtures.

    Args:
        batches: Draws windows.
        initial: Fits mixtures.
    """

    def __init__(self, batches: BatchMaker, initial: InitialDistribution) -> None:
        self.batches, self.initial = batches, initial

    def __call__(self, B: int, F: int, generator: torch.Generator) -> MixtureBatch:
        """Draw ``B`` windows of ``F`` frames, and a component for each joint of each window."""
        batch = self.batches(B, F, generator)
        mixture = window_mixtures(batch.encoded, self.initial, generator)
        z = torch.randn((B, 1, H36M17.n_joints), generator=generator, device=generator.device)
        component = mixture.choose(z.expand(B, F, -1))
        rows = component[..., None, None]
        location = mixture.means.gather(-2, rows.expand(*rows.shape[:-1], 3))[..., 0, :]
        factor = mixture.cholesky.gather(-3, rows[..., None].expand(*rows.shape[:-1], 3, 3))
        return MixtureBatch(batch, location.float(), factor[..., 0, :, :].float())


def window_mixtures(
    encoded: Encoded, initial: InitialDistribution, generator: torch.Generator
) -> GaussianMixture:
    """The initial distributions of training windows, in the network's frame.

    The detector's deviation is drawn per window, 0.5 to 2 times that of ``initial``, since focal
    lengths and detectors differ. A window that shows nothing takes another's keypoints.

    Args:
        encoded: Keypoints as the network reads them.
        initial: What they start from.
        generator: Source of the deviations.
    """
    assert encoded.context is not None
    B, device = len(encoded.xy), encoded.xy.device
    size = REFERENCE_SIZE * encoded.context[:, 0].exp()
    detected = encoded.confidence > 0
    plane = torch.where(detected[..., None], encoded.xy * size[:, None, None, None], torch.nan)
    enough = (detected.sum(-1) >= MIN_JOINTS).any(-1)
    plane = plane[torch.where(enough, torch.arange(B, device=device), enough.int().argmax())]
    u = torch.rand((B, 1, 1), generator=generator, device=device)
    variance = (initial.detector_std * 0.5 * 4.0**u) ** 2
    variance = variance / encoded.confidence.clamp(MIN_CONFIDENCE, 1.0)
    return initial.in_plane(plane, variance[..., None, None] * torch.eye(2, device=device))


def mixture_batches(motion: Motion, device: torch.device, config: TrainConfig) -> MixtureBatchMaker:
    """Batches of :class:`BatchMaker` with the mixtures they start from, in single precision."""
    with torch.autocast(device.type, enabled=False):
        batches = BatchMaker(motion, device, config.bodies, config.noise, config.cameras.pitched)
        return MixtureBatchMaker(batches, initial_distribution(batches, device))


def initial_distribution(batches: BatchMaker, device: torch.device) -> InitialDistribution:
    """Depths from poses drawn as batches are; the same ones for the same motion."""
    poses = batches(N_POSES, 1, torch.Generator(device).manual_seed(0)).target[:, 0]
    depths = DepthPrior(poses.half().double(), H36M17, N_NEIGHBORS)
    return InitialDistribution(depths, **INITIAL)


def write_initial(target: Path, config: TrainConfig) -> None:
    """Put the initial distribution next to exported weights."""
    motion = motion_of(config, "train")
    mixture_batches(motion, torch.device("cpu"), config).initial.save(target / INITIAL_FILE)


def mixture_loss(
    network: Network,
    drawn: MixtureBatch,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    scale: float,
    clamp: float,
) -> Float[Tensor, ""]:
    """Predict the clean motion from one on its way to its components.

    Args:
        network: Denoiser that reads ``12 n_joints`` latent channels.
        drawn: Windows and components.
        schedule: How much noise each timestep means.
        generator: Source of timesteps and noise.
        scale: Factor of the components, as of noisy poses.
        clamp: Bound of noisy coordinates in meters.

    Returns:
        Squared error over the variance left, times 0.1 m: about the error in meters.
    """
    encoded, target = drawn.batch.encoded, drawn.batch.target
    factor, device = drawn.factor, target.device
    t = torch.randint(schedule.n_timesteps, target.shape[:1], generator=generator, device=device)
    z = torch.randn(target.shape, generator=generator, device=device)
    bar = schedule.alpha_bar.to(device)[t].reshape(-1, 1, 1, 1)
    keep, add = bar.sqrt().to(z), (1 - bar).sqrt().to(z)
    # Less its share of μ, the noisy motion of any component is D3DP's with another noise.
    noisy = keep * target + add * (factor @ z[..., None])[..., 0]
    rows = told_rows(scale * drawn.location, scale * factor)
    x_t = torch.cat([noisy.clamp(-clamp, clamp), rows], -2)
    x0 = network(
        x_t[:, None],
        encoded.xy,
        t.to(z.dtype),
        confidence=encoded.confidence,
        context=encoded.context,
    )[:, 0]
    noise = (1 - bar) / bar * factor.square().sum((-2, -1)).mean((1, 2)).reshape(-1, 1, 1, 1) / 3
    left = 1 / (1 / SETTLED**2 + 1 / noise)
    return 0.1 * ((x0 - target).square() / left.to(z).clamp(min=0.02**2)).mean()


@torch.no_grad()
def validate_mixture(
    network: nn.Module, held_out: HeldOut, config: TrainConfig
) -> dict[str, float]:
    """Scores of 10 hypotheses after 5 evaluations.

    Args:
        network: A denoiser that reads its components.
        held_out: What it has not seen.
        config: The run's options.

    Returns:
        Error of the mean in mm, fair energy score per joint in mm, ECE and spread, by name.
    """
    motion = motion_of(config, "train")
    sampler = DiffPose(
        cast(Network, network),
        n_steps=5,
        scale=config.objective.scale,
        clamp=config.objective.clamp,
        flip=False,
        initial=mixture_batches(motion, torch.device("cpu"), config).initial,
    )
    truth = held_out.truth.joints
    x = sampler.sample(held_out.keypoints, 10, seeded_noise(0)).joints
    return {
        "mean_mpjpe_mm_5_steps": 1000 * float(mpjpe(x.mean(1), truth)),
        "energy_mm_5_steps": 1000 * float(energy_score(x, truth).mean()),
        "ece_5_steps": float(ece(x, truth).ece),
        "spread_mm": 1000 * float(x.std(1).square().sum(-1).sqrt().mean()),
    }

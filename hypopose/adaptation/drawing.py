"""Draws of a generator for windows of rays, in one evaluation, and where they would be seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.root import fit_root
from hypopose.networks.base import Network
from hypopose.networks.inputs import REFERENCE_SIZE, Encoded
from hypopose.skeletons import H36M17
from hypopose.training.config import TrainConfig
from hypopose.training.losses import with_latent
from hypopose.types import Camera, Keypoints2D

FRAMES_AT_ONCE = 4096
"""Frames, of all windows and hypotheses together, in one network call."""


def unit_camera() -> Camera:
    """A camera whose pixels are rays."""
    return Camera(torch.ones(2), torch.zeros(2), (1, 1))


@torch.no_grad()
def draw_motions(
    network: Network,
    encoded: Encoded,
    n_hypotheses: int,
    generator: torch.Generator,
    config: TrainConfig,
) -> Float[Tensor, "B H F J 3"]:
    """Motions that a generator draws from pure noise.

    Args:
        network: Trained for the objective ``"energy"``.
        encoded: Windows as it reads them.
        n_hypotheses: Of each window.
        generator: Source of noise, on the network's device.
        config: What it was trained with.

    Returns:
        Root-relative meters in the network's frame.
    """
    o = config.objective
    B, F, J = encoded.xy.shape[:3]
    drawn = []
    step = max(1, FRAMES_AT_ONCE // (F * n_hypotheses))
    for i in range(0, B, step):
        some = slice(i, i + step)
        context = None if encoded.context is None else encoded.context[some]
        n = len(encoded.xy[some])
        eps = torch.randn((n, n_hypotheses, F, J, 3), generator=generator, device=generator.device)
        x = (o.flicker * eps).clamp(-o.clamp * o.scale, o.clamp * o.scale) / o.scale
        x = with_latent(x, context, network.info.n_latent, generator, o.flicker)
        t = torch.full((n,), float(o.n_timesteps - 1), device=x.device)
        given = {"confidence": encoded.confidence[some], "context": context}
        drawn.append(network(x, encoded.xy[some], t, **given))
    joints = torch.cat(drawn).clamp(-o.clamp, o.clamp)
    return joints - joints[..., :1, :]


def in_network_frame(encoded: Encoded) -> Keypoints2D:
    """Windows as a camera sees them that is turned as the network's frame is; on the CPU.

    Args:
        encoded: With its size as the first context feature.
    """
    assert encoded.context is not None  # generators that read rays
    size = REFERENCE_SIZE * encoded.context[:, 0].exp()
    seen = encoded.confidence > 0
    plane = torch.where(seen[..., None], encoded.xy * size[:, None, None, None], torch.nan)
    return Keypoints2D(
        plane.cpu(), H36M17, confidence=encoded.confidence.cpu(), camera=unit_camera()
    )


@dataclass(frozen=True, eq=False)
class Residuals:
    """How far draws miss the keypoints once their roots are fitted.

    Args:
        offset: From the joint to the keypoint's ray at the joint's depth, across the line of
            sight, in meters; 0 where undetected.
        seen: 1 where detected.
    """

    offset: Float[Tensor, "B H F J 3"]
    seen: Float[Tensor, "B F J"]


def residuals(joints: Float[Tensor, "B H F J 3"], encoded: Encoded) -> Residuals:
    """Compare draws with the keypoints they were drawn for, in the network's frame.

    Args:
        joints: Root-relative meters.
        encoded: With its size as the first context feature.
    """
    keypoints = in_network_frame(encoded)
    root = fit_root(joints.cpu(), keypoints).to(joints)
    placed = joints + root[..., None, :]
    z = placed[..., 2:]
    seen = encoded.confidence > 0
    across = keypoints.xy.to(joints).nan_to_num(0.0)[:, None] * z - placed[..., :2]
    good = seen[:, None] & torch.isfinite(across).all(-1)
    across = torch.where(good[..., None], across, 0.0)
    offset = torch.cat([across, torch.zeros_like(z)], -1)
    return Residuals(offset, seen.to(joints))

"""Validation of a run: error on held-out subjects, clean keypoints, four fixed cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.calibration import ece, energy_score
from hypopose.cameras import look_at, project
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.metrics import mpjpe
from hypopose.networks.base import Network
from hypopose.networks.inputs import encode
from hypopose.samplers import D3DP, DistributionalDiffusion
from hypopose.simulation import Motion
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D, Poses3D, Sampler

VIEWS = ((0.3, 4.5, 1.5), (1.9, 3.0, 1.0), (3.5, 5.5, 1.6), (5.1, 2.5, 2.2))
"""Azimuth (rad), distance and height (m) of the cameras, taken in turn."""

PITCHED_FROM = 3.5
"""Meters to the pelvis from cameras that are given a pitch."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Windows of subjects that are not trained on.

    Args:
        keypoints: Clean projections.
        truth: Root-relative poses in the camera frame.
        world: The same in the world, meters, z up.
    """

    keypoints: Keypoints2D
    truth: Poses3D
    world: Float[Tensor, "B F J 3"]


def hold_out(motion: Motion, F: int = 27, stride: int = 54, pitch: float | None = None) -> HeldOut:
    """Cut clips into windows and look at them with the fixed cameras.

    Args:
        motion: Clips of the validation split, one at least as long as a window.
        F: Frames of a window.
        stride: Frames from one window to the next.
        pitch: How far cameras look down at the pelvis (up below 0), in degrees, from the same sides
            and :data:`PITCHED_FROM` meters away, but never from below 5 cm (nearer, then).

    Raises:
        OptionError: If cameras would stand right above or below.
    """
    if pitch is not None and not abs(pitch) < 90:
        raise OptionError(f"A pitch lies between -90 and 90 degrees, got {pitch}.")
    clips = (motion.clip(i) for i in range(motion.n_clips))
    windows = [c[a : a + F] for c in clips for a in range(0, len(c) - F + 1, stride)]
    world = torch.stack(windows)
    azimuth, distance, height = torch.tensor(VIEWS)[torch.arange(len(world)) % len(VIEWS)].T
    pelvis = world[:, :, 0].mean(1)
    if pitch is not None:
        down = math.radians(pitch)
        distance = torch.full_like(distance, PITCHED_FROM * math.cos(down))
        height = (pelvis[:, 2] + PITCHED_FROM * math.sin(down)).clamp(min=0.05)
    away = torch.stack([distance * azimuth.cos(), distance * azimuth.sin()], -1)
    position = torch.cat([pelvis[:, :2] + away, height[:, None]], -1)
    cam = (world - position[:, None, None]) @ look_at(pelvis - position)[:, None].mT
    camera = replace(Camera.from_fov((1000, 1000)), assumed=False)
    keypoints = Keypoints2D(project(cam, camera), H36M17, camera=camera, fps=motion.fps)
    root = cam[:, :, 0]
    return HeldOut(keypoints, Poses3D(cam - root[:, :, None], H36M17, root=root), world)


@torch.no_grad()
def validate_denoiser(
    network: torch.nn.Module, held_out: HeldOut, *, scale: float, clamp: float
) -> dict[str, float]:
    """Errors (mm) of the mean of 4 hypotheses after 1 and 5 evaluations, and of the lifter form.

    Args:
        network: A denoiser; one without a lifter form has no error of it.
        held_out: What it has not seen.
        scale: As in training.
        clamp: As in training.

    Returns:
        Numbers by name; ``spread_mm`` is the hypotheses' standard deviation after 5 evaluations.
    """
    denoiser = cast(Network, network)
    keypoints, truth = held_out.keypoints, held_out.truth.joints
    device = next(network.parameters()).device
    scores: dict[str, float] = {}
    if "lifter" in denoiser.info.forms:
        e = encode(keypoints, "screen" if denoiser.info.inputs == "screen" else "subject")
        xy, confidence = e.xy.to(device), e.confidence.to(device)
        context = None if e.context is None else e.context.to(device)
        lifted = network(None, xy, confidence=confidence, context=context).cpu()
        scores["lift_mpjpe_mm"] = _error_mm(lifted @ e.rotation[:, None, None], truth)
    for n_steps in (1, 5):
        sampler = D3DP(denoiser, n_steps=n_steps, scale=scale, clamp=clamp, flip=False)
        joints = sampler.sample(keypoints, 4, seeded_noise(0)).joints
        scores[f"mean_mpjpe_mm_{n_steps}_steps"] = _error_mm(joints, truth)
        scores["spread_mm"] = 1000 * float(joints.std(1).square().sum(-1).sqrt().mean())
    return scores


@torch.no_grad()
def validate_generator(
    network: torch.nn.Module,
    held_out: HeldOut,
    *,
    scale: float,
    clamp: float,
    flicker: float = 1.0,
) -> dict[str, float]:
    """Scores of 10 hypotheses drawn in one evaluation, and in three where a network can.

    Args:
        network: A generator.
        held_out: What it has not seen.
        scale: As in training.
        clamp: As in training.
        flicker: As in training.

    Returns:
        Errors in mm, fair energy score per joint in mm, ECE, by name.
    """
    scores: dict[str, float] = {}
    once = cast(Network, network).info.one_step
    for n in (1,) if once else (1, 3):
        sampler = DistributionalDiffusion(
            cast(Network, network), n_steps=n, scale=scale, clamp=clamp, frame_noise_scale=flicker
        )
        scores |= drawn_scores(sampler, held_out, n)
    return scores


def drawn_scores(sampler: Sampler, held_out: HeldOut, n_steps: int) -> dict[str, float]:
    """Scores of 10 hypotheses: error of the mean (mm), fair energy score per joint (mm), ECE."""
    truth = held_out.truth.joints
    x = sampler.sample(held_out.keypoints, 10, seeded_noise(0)).joints
    return {
        f"mean_mpjpe_mm_{n_steps}_steps": _error_mm(x, truth),
        f"energy_mm_{n_steps}_steps": 1000 * float(energy_score(x, truth).mean()),
        f"ece_{n_steps}_steps": float(ece(x, truth).ece),
        "spread_mm": 1000 * float(x.std(1).square().sum(-1).sqrt().mean()),
    }


def _error_mm(hypotheses: Float[Tensor, "B H F J 3"], truth: Float[Tensor, "B F J 3"]) -> float:
    mean = hypotheses.mean(1)
    return 1000 * float(mpjpe(mean - mean[:, :, :1], truth))

"""Windows of the target itself, with labels from several views, or from a teacher.

**Several views** (EpipolarPose; :mod:`hypopose.multiview.pseudo_labels`): the target is the
triangulated pose in the camera's frame. It has errors, which its covariance describes. A generator
trained on it as if it were exact would learn these errors as ambiguity. Errors of the same
distribution are therefore added to its draws before they are compared: the expected energy score of
the sums is lowest when the draws themselves follow the posterior of the true pose. The uncertainty
of the rig's scale is one such error, constant over a window.

**A teacher** (PoSynDA): a slow moving average of the network draws several hypotheses of every
window, each is scaled to the stature of the person's build, and they are made into a label by their
reprojection (:mod:`hypopose.training.reprojection_labels`); the root is fitted, none is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.adaptation.builds import BuildPosterior
from hypopose.adaptation.drawing import draw_motions, in_network_frame, unit_camera
from hypopose.adaptation.label_smoothing import smoothed
from hypopose.adaptation.recordings import Recording
from hypopose.networks.base import Network
from hypopose.networks.inputs import encode_rays
from hypopose.optimization.stature import stature
from hypopose.samplers.missing import interpolate_missing
from hypopose.simulation import Draws
from hypopose.skeletons import H36M17
from hypopose.training import Batch, labels_by_likelihood, labels_by_reprojection
from hypopose.training.batches import ENCODINGS, Inputs, Views
from hypopose.training.config import TrainConfig
from hypopose.training.target_options import Selection
from hypopose.types import Hypotheses, Keypoints2D

LASTING = 0.15
"""Share of a label's variance that lasts over a window."""

SLOW_S = 0.046
"""Seconds over which the rest changes: width of the Gaussian that white noise is averaged with. Of
labels of four simulated views a third of the errors was left after .1 s, a tenth after .2 s."""

MIN_KNOWN = 0.3
"""Share of the joints of a recording that need a label."""

CHOICES = 8
"""Hypotheses that a teacher chooses from."""


@dataclass(frozen=True, eq=False)
class LabeledClip:
    """Frames of a recording with a label.

    Args:
        rays: NaN where undetected.
        confidence: 0 where undetected.
        fps: Frames per second.
        joints: Root-relative meters in the camera's frame; NaN where there is no label.
        factor: Of the covariance of the label's errors; None if it is exact.
        scale_std: Relative standard deviation of the size of the whole label.
    """

    rays: Float[Tensor, "F 17 2"]
    confidence: Float[Tensor, "F 17"]
    fps: float
    joints: Float[Tensor, "F 17 3"]
    factor: Float[Tensor, "F 17 3 3"] | None = None
    scale_std: float = 0.0


class LabelBatchMaker:
    """Draws training windows from labeled clips.

    Args:
        clips: One at least.
        n_draws: Draws that a batch is compared with, for their errors.
        inputs: What the network reads, ``network.info.inputs``.
        gaps: Whether it reads missing keypoints; they are filled over time otherwise.
    """

    def __init__(
        self,
        clips: Sequence[LabeledClip],
        n_draws: int,
        inputs: Inputs = "subject",
        gaps: bool = True,
    ) -> None:
        self.n_draws, self.gaps = n_draws, gaps
        self.encode = ENCODINGS[inputs]
        self.replace(clips)

    def replace(self, clips: Sequence[LabeledClip]) -> None:
        """Draw from other clips from now on."""
        self.clips = tuple(clips if self.gaps else map(_filled, clips))
        self.weights = torch.tensor([float(len(c.rays)) for c in clips]).sqrt()

    def __call__(self, B: int, F: int, generator: torch.Generator) -> Batch:
        """Draw ``B`` windows of ``F`` frames; half of them as their mirror images."""
        draws = Draws(generator)
        pick = draws.pick(self.weights.to(draws.device), B).tolist()
        phase = draws.uniform(B).tolist()
        cut = [self._cut(self.clips[c], p, F) for c, p in zip(pick, phase, strict=True)]
        rays, confidence, joints, factor = (
            torch.stack(x).to(draws.device) for x in zip(*cut, strict=True)
        )
        fps = torch.tensor([self.clips[c].fps for c in pick], device=draws.device)
        sizes = torch.tensor([self.clips[c].scale_std for c in pick], device=draws.device)
        errors = self._errors(factor, fps, draws)
        errors = errors + self._sizes(sizes, draws) * joints.nan_to_num(0.0)[:, None]
        mirror = draws.chance(0.5, B)
        rays, confidence = _mirrored(rays, mirror), _swapped(confidence, mirror)
        joints, errors = _mirrored(joints, mirror), _mirrored(errors, mirror)
        known = torch.isfinite(joints).all(-1)
        exact = joints.nan_to_num(0.0)
        batch = self.encode(Views(rays, confidence, exact, exact, fps), draws)
        turn = batch.encoded.rotation.mT[:, None, None]
        return Batch(batch.encoded, batch.target, errors @ turn, known)

    def _cut(self, clip: LabeledClip, phase: float, F: int) -> tuple[Tensor, ...]:
        """A window; clips that are shorter go back and forth."""
        n = len(clip.rays)
        first = round(phase * max(0, n - F))
        at = (first + torch.arange(F)).remainder(max(1, 2 * n - 2))
        at = torch.minimum(at, (2 * n - 2 - at).clamp(min=0)) if n > 1 else at.clamp(max=0)
        none = clip.joints.new_zeros(F, 17, 3, 3)
        factor = none if clip.factor is None else clip.factor[at]
        return clip.rays[at], clip.confidence[at], clip.joints[at], factor

    def _errors(
        self, factor: Float[Tensor, "B F J 3 3"], fps: Float[Tensor, " B"], draws: Draws
    ) -> Float[Tensor, "B H F J 3"]:
        """Errors of the labels for every draw, which change slowly."""
        B, F, J = factor.shape[:3]
        between = slow_mixing(F, SLOW_S * float(fps.mean()), factor.device)
        fresh = draws.normal(B, self.n_draws, between.shape[1], J, 3)
        slow = torch.einsum("fg,bhgjc->bhfjc", between, fresh)
        lasting = draws.normal(B, self.n_draws, 1, J, 3)
        z = LASTING**0.5 * lasting + (1 - LASTING) ** 0.5 * slow
        return (factor[:, None] @ z[..., None])[..., 0]

    def _sizes(self, std: Float[Tensor, " B"], draws: Draws) -> Float[Tensor, "B H 1 1 1"]:
        """Relative errors of the labels' sizes for every draw: one of a whole window."""
        return std[:, None, None, None, None] * draws.normal(len(std), self.n_draws, 1, 1, 1)


def slow_mixing(n_frames: int, width: float, device: torch.device) -> Float[Tensor, "F G"]:
    """A matrix that makes slow noise of unit variance from white noise.

    Args:
        n_frames: Of the slow noise.
        width: Standard deviation of the Gaussian in frames.
        device: Of the matrix.

    Example:
        >>> mixing = slow_mixing(9, 2.0, torch.device("cpu"))
        >>> (mixing @ mixing.mT).diagonal().round(decimals=4).unique().tolist()
        [1.0]
    """
    reach = max(1, round(3 * width))
    at = torch.arange(-reach, n_frames + reach, device=device)
    apart = torch.arange(n_frames, device=device)[:, None] - at
    weight = (-0.5 * (apart / max(width, 1e-3)).square()).exp()
    return weight / weight.norm(dim=-1, keepdim=True)


def _filled(clip: LabeledClip) -> LabeledClip:
    """A clip without missing keypoints, for networks that read none."""
    keypoints = Keypoints2D(clip.rays, H36M17, camera=unit_camera())
    confidence = torch.where(clip.confidence > 0, clip.confidence, 1.0)
    return replace(clip, rays=interpolate_missing(keypoints).xy, confidence=confidence)


def labels_from_views(recordings: Sequence[Recording]) -> list[LabeledClip]:
    """Clips whose labels come from several views.

    Args:
        recordings: Those without labels, or with too few, are left out.
    """
    clips = []
    for r in recordings:
        if r.label is None:
            continue
        joints, covariance = smoothed(r.label.joints.float(), r.label.covariance, r.fps)
        relative = joints - joints[:, :1]
        known = torch.isfinite(relative).all(-1)
        if float(known.float().mean()) < MIN_KNOWN:
            continue
        covariance = (covariance + covariance[:, :1]).float().nan_to_num(0.0)
        if r.label.apart is not None:
            covariance = r.label.apart[:, None, None] * covariance
        covariance[:, 0] = 0.0
        factor = torch.linalg.cholesky(covariance + 1e-10 * torch.eye(3))
        relative = torch.where(known[..., None], relative, torch.nan)
        clips.append(LabeledClip(r.rays, r.confidence, r.fps, relative, factor, r.label.scale_std))
    return clips


def labels_from_teacher(
    teacher: Network,
    recordings: Sequence[Recording],
    config: TrainConfig,
    generator: torch.Generator,
    *,
    builds: BuildPosterior | None = None,
    n_clips: int = 48,
    length: int = 81,
) -> list[LabeledClip]:
    """Clips that a teacher labels.

    Args:
        teacher: A generator.
        recordings: Of everybody.
        config: What it was trained with.
        generator: Decides the clips, the hypotheses and the choices; on the teacher's device.
        builds: Statures that hypotheses are scaled to; None leaves them unchanged.
        n_clips: How many.
        length: Frames of each, as far as recordings go.
    """
    draws = Draws(generator)
    weights = torch.tensor([float(r.n_frames) for r in recordings], device=draws.device)
    clips = []
    for i in draws.pick(weights, n_clips).tolist():
        recording = recordings[i]
        n = min(length, recording.n_frames)
        first = int(float(draws.uniform(1)) * (recording.n_frames - n + 1))
        part = recording.part(first, n)
        rays, confidence = part.rays.to(draws.device), part.confidence.to(draws.device)
        encoded = encode_rays(rays[None], confidence[None], part.fps)
        x = draw_motions(teacher, encoded, CHOICES, generator, config)
        if builds is not None:
            x = x * _sizes(x, builds, recording.person, draws)
        joints = _chosen(x.cpu(), in_network_frame(encoded), config.target.selection, generator)
        turned = joints[0] @ encoded.rotation[0].cpu()
        clips.append(LabeledClip(part.rays, part.confidence, part.fps, turned))
    return clips


def _chosen(
    x: Float[Tensor, "B H F J 3"],
    keypoints: Keypoints2D,
    selection: Selection,
    generator: torch.Generator,
) -> Float[Tensor, "B F J 3"]:
    """The labels of hypotheses, without the joints that nothing decides."""
    hypotheses = Hypotheses(x, H36M17)
    if selection == "drawn":
        return labels_by_likelihood(hypotheses, keypoints, generator).joints
    labels = labels_by_reprojection(hypotheses, keypoints, level=selection)
    decided = labels.index >= 0
    decided[..., 0] = True  # the root is the origin by definition
    return torch.where(decided[..., None], labels.joints, torch.nan)


def _sizes(x: Tensor, builds: BuildPosterior, person: str, draws: Draws) -> Tensor:
    """Factors that give hypotheses statures drawn from a person's posterior."""
    which = builds.people.index(person)
    std = builds.stature_std[which] / builds.stature[which]
    drawn = float(builds.stature[which]) * (float(std) * draws.normal(1, x.shape[1])).exp()
    own = stature(x, H36M17).clamp(min=0.1)
    return (drawn / own).clamp(0.3, 3.0)[..., None, None, None]


def _mirrored(x: Float[Tensor, "B *rest"], some: Tensor) -> Tensor:
    """Points of some windows as their mirror images: x negated, left and right swapped."""
    negate = x.new_ones(x.shape[-1])
    negate[0] = -1.0
    flipped = x[..., list(H36M17.flip_order), :] * negate
    return torch.where(some.reshape(-1, *[1] * (x.dim() - 1)), flipped, x)


def _swapped(x: Float[Tensor, "B F J"], some: Tensor) -> Tensor:
    return torch.where(some[:, None, None], x[..., list(H36M17.flip_order)], x)

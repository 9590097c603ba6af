"""The sampler: chains on every clip, and draws taken evenly from them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float64
from torch import Tensor

from hypopose.checks import check_choice, check_positive
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.samplers.clip_by_clip import one_clip
from hypopose.samplers.mcmc.chains import Chains
from hypopose.samplers.mcmc.convergence import Convergence, convergence
from hypopose.samplers.mcmc.target import Target
from hypopose.samplers.pose_prior import PosePrior
from hypopose.skeletons import H36M17
from hypopose.types import MIN_CONFIDENCE, Hypotheses, Keypoints2D, NoiseSource, Skeleton

Frames = Literal["joint", "independent"]
"""Whether the frames of a clip share a posterior."""


@dataclass(frozen=True)
class Transition:
    """What a callback sees after every transition.

    Args:
        index: 0, 1, ... over warm-up and draws.
    """

    index: int


@dataclass(frozen=True)
class MCMC:
    """Draw poses from the posterior of a written-down prior and detector.

    Args:
        skeleton: The joint set of keypoints and hypotheses.
        prior: Of poses; None for the bundled one, which is for Human3.6M-17.
        detector_std: Deviation of a keypoint of confidence 1 as a share of the image width, for
            keypoints without covariance; it grows as 1 / √confidence.
        tails: Degrees of freedom of the keypoints' errors; None for normal ones.
        n_chains: Chains side by side.
        n_warmup: Transitions that adapt step sizes and are thrown away.
        n_draws: Transitions kept per chain; more hypotheses than draws are refused.
        frames: ``"joint"``: one posterior over a short clip; ``"independent"``: one per frame, so
            that hypotheses of neighboring frames have nothing to do with one another.
        max_frames: Frames of a joint posterior at most.

    Raises:
        OptionError: If an option is out of range.
        SkeletonMismatchError: If the prior is for another skeleton.

    Example:
        >>> MCMC(n_draws=50).n_steps
        151
    """

    skeleton: Skeleton = field(default=H36M17)
    prior: PosePrior | None = None
    detector_std: float = 0.004
    tails: float | None = 5.0
    n_chains: int = 4
    n_warmup: int = 100
    n_draws: int = 100
    frames: Frames = "joint"
    max_frames: int = 8

    def __post_init__(self) -> None:
        if min(self.n_chains, self.n_warmup, self.max_frames) < 1 or self.n_draws < 4:
            raise OptionError(
                "MCMC needs n_chains, n_warmup and max_frames of 1 or more, n_draws of 4 or more."
            )
        check_positive(detector_std=self.detector_std, tails=self.tails)
        check_choice("frames", self.frames, get_args(Frames))
        name = H36M17.name if self.prior is None else self.prior.skeleton.name
        if name != self.skeleton.name:
            raise SkeletonMismatchError(
                f"This pose prior is for {name!r}, not {self.skeleton.name!r}; pass "
                "prior=PosePrior.anywhere(skeleton, bone_lengths), or one you fitted."
            )

    @property
    def n_steps(self) -> int:
        """Calls of the callback for a clip sampled jointly."""
        return self.n_warmup + self.n_draws + 1

    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Any], None] | None = None,
    ) -> Hypotheses:
        """Run chains and take draws from them, evenly.

        Args:
            keypoints: With a camera; NaN where undetected.
            n_hypotheses: At most ``n_chains * n_draws``.
            noise: Asked once for ``(*batch, 1, 1, 1, 2)``, which seeds the chains.
            callback: Called with a :class:`Transition` after each, and a :class:`Convergence`
                at the end of each run.

        Returns:
            Hypotheses with roots.

        Raises:
            MissingCameraError: If the keypoints carry no camera.
            SkeletonMismatchError: If the keypoints are in another skeleton.
            OptionError: If the clip is too long, shows nothing, or too much is asked for.
        """
        self._check(keypoints, n_hypotheses)
        batch = keypoints.xy.shape[:-3]
        seeds = noise((*batch, 1, 1, 1, 2)).reshape(-1, 2)
        tell = callback or (lambda _: None)
        runs = []
        with torch.enable_grad():
            for i, seed in enumerate(seeds.float().contiguous().view(torch.int32).tolist()):
                clip = one_clip(keypoints, i, batch)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed((seed[0] << 32) ^ seed[1])
                    runs.append(self._posterior(clip, n_hypotheses, tell))
        worst = [run[1] for run in runs]
        if any(c.bad for c in worst):
            bad = max(worst, key=lambda c: (c.bad, c.r_hat))
            warnings.warn(
                f"Chains have not converged: {bad.note}. Draw more: n_draws={2 * self.n_draws}, "
                f"n_warmup={2 * self.n_warmup}.",
                stacklevel=2,
            )
        x = torch.stack([run[0] for run in runs]).reshape(
            *batch, n_hypotheses, *runs[0][0].shape[1:]
        )
        root = x[..., self.skeleton.root, :]
        dtype = keypoints.xy.dtype
        return Hypotheses((x - root.unsqueeze(-2)).to(dtype), self.skeleton, root.to(dtype))

    def _check(self, keypoints: Keypoints2D, n_hypotheses: int) -> None:
        if keypoints.camera is None:
            raise MissingCameraError(
                "MCMC projects joints into the image, but these keypoints carry no camera. Attach "
                "one with keypoints.with_camera(Camera.from_fov(image_size))."
            )
        if keypoints.skeleton.name != self.skeleton.name:
            raise SkeletonMismatchError(
                f"MCMC({self.skeleton.name!r}) got keypoints in {keypoints.skeleton.name!r}; "
                "bring them over with hypopose.skeletons.convert."
            )
        if not 1 <= n_hypotheses <= self.n_chains * self.n_draws:
            raise OptionError(
                f"n_hypotheses lies between 1 and the {self.n_chains * self.n_draws} draws of all "
                f"chains, got {n_hypotheses}; raise n_draws."
            )
        if self.frames == "joint" and keypoints.n_frames > self.max_frames:
            raise OptionError(
                f"MCMC draws clips of up to {self.max_frames} frames, these have "
                f"{keypoints.n_frames}. Cut a short clip, or sample every frame by itself with "
                "frames='independent' (--set frames=independent), which takes long."
            )
        if not bool(keypoints.detected.any(-1).all()):
            raise OptionError("A frame shows no keypoint at all; leave such frames out.")

    def _posterior(
        self, clip: Keypoints2D, n: int, tell: Callable[[Any], None]
    ) -> tuple[Float64[Tensor, "H F J 3"], Convergence]:
        if self.frames == "joint":
            return self._run(clip, n, tell)
        runs = [self._run(_frame(clip, f), n, tell) for f in range(clip.n_frames)]
        worst = max((run[1] for run in runs), key=lambda c: (c.bad, c.r_hat))
        return torch.cat([run[0] for run in runs], 1), worst

    def _run(
        self, clip: Keypoints2D, n: int, tell: Callable[[Any], None]
    ) -> tuple[Float64[Tensor, "H F J 3"], Convergence]:
        """Chains on one clip: H poses in the camera frame, evenly out of all draws."""
        began = time.monotonic()
        target = self.target(clip)
        chains = Chains(target, self.n_chains, self.n_warmup)
        kept = []
        for i in range(self.n_warmup + self.n_draws):
            chains.step()
            if i >= self.n_warmup:
                kept.append(chains.position)
            tell(Transition(i))
        draws = torch.stack(kept)  # (S, C, T, D)
        x = target.pose(draws)[0]
        agreement = convergence(
            x, target.root, chains.n_divergent, chains.flips, time.monotonic() - began
        )
        tell(agreement)
        at = torch.linspace(0, x.shape[0] * x.shape[1] - 1, n).round().long()
        x, draws = x.flatten(0, 1)[at], draws.flatten(0, 1)[at]
        return x * target.draw_scale(draws)[:, None, None, None], agreement

    def target(self, clip: Keypoints2D) -> Target:
        """The posterior of one clip without batch axes."""
        return Target.of(clip, self.prior or PosePrior.bundled(), self.covariance(clip), self.tails)

    def covariance(self, keypoints: Keypoints2D) -> Float64[Tensor, "*batch F J 2 2"]:
        """Of the detector's error in pixels."""
        if keypoints.covariance is not None:
            return keypoints.covariance.double()
        assert keypoints.camera is not None
        confidence = keypoints.confidence
        share = torch.ones_like(keypoints.xy[..., 0]) if confidence is None else confidence
        std = self.detector_std * keypoints.camera.image_size[0]
        variance = std**2 / share.double().nan_to_num(0.0).clamp(MIN_CONFIDENCE, 1.0)
        return variance[..., None, None] * torch.eye(2, dtype=torch.float64)


def _frame(clip: Keypoints2D, f: int) -> Keypoints2D:
    """One frame as a clip of its own."""
    parts: dict[str, Any] = {
        name: None if x is None else x[f : f + 1]
        for name in ("xy", "confidence", "covariance")
        for x in [getattr(clip, name)]
    }
    return replace(clip, **parts)

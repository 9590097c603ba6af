"""Posterior over an unknown focal length.

With a longer focal length, the same keypoints come from a person farther away, and perspective is
weaker. A wrong focal length has effects that accumulate over a clip: plausible poses no longer meet
the rays, and limbs placed onto the rays change their length as the person moves. For every focal
length of a grid the sampler is asked for poses, and two numbers are taken over the clip:

    ======= ======================================================================================
    r(f)    reprojection: RMS distance of the fitted poses from the rays, in subject sizes
    c(f)    bone-length constancy: coefficient of variation over time of the lengths of bones whose
            joints were moved onto their rays, at the depth of the pose; mean over bones
    ======= ======================================================================================

Normal errors of unknown size have the profile likelihood ``-n log r``, where n counts independent
observations. Frames are nearly copies of each other, and errors of a network's poses have one
direction for a whole clip, so n grows with the root of the clip's length in seconds T (at most 10):

    ``log p(f | keypoints) = log prior(f) + √T (rate x f - n_r log r(f) - n_c log c(f))``

``n_r``, ``n_c`` and ``rate`` (networks meet long lenses' rays a little better) were fitted to clips
of the validation subjects of 0.3 to 4.8 s with focal lengths from half to twice the longer image
side (``benchmarks/focal.py --fit``): once for networks that write poses freely, and once for those
that put them on rays (:mod:`hypopose.networks.ray_projection`), which miss rays by little if the
focal length is right, and by far more if it is not, since they then give keypoints little weight;
for these, bone lengths add no information. Even on these clips 80 % intervals hold no more than 72
and 69 %. The prior is log-normal around the longer image side, which two thirds of phones, video
and sports cameras are within a factor 1.4 of. Clips without information return the prior.

Several people seen by one camera count as one clip as long as all of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import fit_root, undistort
from hypopose.errors import MissingCameraError, OptionError
from hypopose.metrics import bone_lengths
from hypopose.skeletons import convert
from hypopose.types import (
    ASSUMED_FPS,
    Camera,
    Hypotheses,
    Keypoints2D,
    NoiseSource,
    Sampler,
    Skeleton,
)

LOWEST, HIGHEST = 0.4, 2.6
"""Focal lengths looked at, over the longer image side: 103 to 22 degrees."""

N_GRID = 13
"""Focal lengths that poses are sampled for."""

N_FINE = 178
"""Focal lengths of the answer."""

N_POSES = 3
"""Hypotheses whose mean stands for what is plausible at a focal length."""


class Worth(NamedTuple):
    """What the first second of a clip is worth.

    Args:
        residual: n_r, in independent observations.
        variation: n_c.
        rate: Correction per unit of log f.
    """

    residual: float
    variation: float
    rate: float


FREE = Worth(17.2, 15.6, -1.4)
"""Of networks that write three coordinates a joint."""

ON_RAYS = Worth(5.8, 0.0, 0.9)
"""Of networks whose poses are moved onto the rays of their keypoints."""

MAX_SECONDS = 10.0
"""Longer clips repeat themselves, and the sampler its errors."""

STRETCH = 250
"""Of longer recordings, four stretches of this many frames are looked at."""

MIN_RESIDUAL, MIN_VARIATION = 2e-3, 2e-3
"""Smaller ones are rounding, not evidence."""


@dataclass(frozen=True, eq=False)
class FocalPosterior:
    """A posterior, or a prior, over a focal length.

    Args:
        focal: Candidates in pixels, rising, evenly spaced in log.
        probability: Of each; sums to 1.
        prior: The same before any keypoint is used.
    """

    focal: Float[Tensor, " G"]
    probability: Float[Tensor, " G"]
    prior: Float[Tensor, " G"]

    @property
    def median(self) -> float:
        """The middle of the belief, in pixels."""
        return float(self.quantile(torch.tensor([0.5])))

    @property
    def log_std(self) -> float:
        """Standard deviation of log f: about the relative error to expect."""
        return _log_std(self.focal, self.probability)

    @property
    def learned(self) -> float:
        """Share of the prior's width that the keypoints took away: 0 if they add nothing."""
        return max(0.0, 1 - self.log_std / _log_std(self.focal, self.prior))

    def quantile(self, levels: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Focal lengths below which the belief holds these shares.

        Args:
            levels: Between 0 and 1.

        Returns:
            Pixels.
        """
        steps = self.probability.double()
        below = steps.cumsum(0) - steps / 2
        at = torch.searchsorted(below, levels.double()).clamp(1, len(below) - 1)
        low, high = below[at - 1], below[at]
        share = ((levels.double() - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        logs = self.focal.double().log()
        return (logs[at - 1] + share * (logs[at] - logs[at - 1])).exp().float()

    def interval(self, level: float = 0.8) -> tuple[float, float]:
        """The central interval that should hold the focal length with this probability."""
        low, high = self.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2])).tolist()
        return low, high

    def draws(self, n: int) -> Float[Tensor, " n"]:
        """Give n focal lengths that spread as the belief does; the first m are ``draws(m)``.

        Quantiles at the fractional parts of 0.5 + h/φ, which fill any interval evenly.

        Returns:
            Pixels.
        """
        golden = (math.sqrt(5) - 1) / 2
        return self.quantile((0.5 + golden * torch.arange(n, dtype=torch.float64)) % 1.0)

    def describe(self) -> str:
        """One line for reports.

        Example:
            >>> belief_of_prior((1920, 1080)).describe()
            'focal length estimated: 1921 px, 80 % between 1234 and 2993 (keypoints took 0 % off \
the width of the assumption)'
        """
        low, high = self.interval()
        return (
            f"focal length estimated: {self.median:.0f} px, 80 % between {low:.0f} and {high:.0f} "
            f"(keypoints took {100 * self.learned:.0f} % off the width of the assumption)"
        )


def belief_of_prior(
    image_size: tuple[int, int], ratio: float = 1.0, log_std: float = 0.35
) -> FocalPosterior:
    """The prior, before keypoints are seen.

    Args:
        image_size: Pixels.
        ratio: Middle of the belief over the longer image side.
        log_std: Standard deviation of its log.

    Returns:
        A log-normal belief on the grid.

    Raises:
        OptionError: If the middle lies outside the grid or the width is not positive.
    """
    if not LOWEST < ratio < HIGHEST or not log_std > 0:
        raise OptionError(
            f"A prior's ratio lies between {LOWEST} and {HIGHEST} and its width is positive, got "
            f"{ratio} and {log_std}."
        )
    logs = torch.linspace(math.log(LOWEST), math.log(HIGHEST), N_FINE, dtype=torch.float64)
    p = torch.softmax(-0.5 * ((logs - math.log(ratio)) / log_std) ** 2, 0)
    return FocalPosterior((logs.exp() * max(image_size)).float(), p.float(), p.float())


def estimate_focal(
    people: Sequence[Keypoints2D],
    sampler: Sampler,
    noise: NoiseSource,
    prior: FocalPosterior | None = None,
) -> FocalPosterior:
    """Infer the focal length of the camera that saw these people.

    Args:
        people: One or several, without batch axes, in the sampler's keypoint skeleton, seen by one
            camera. Its center is used, its focal length is not.
        sampler: Asked for three poses at each of 13 focal lengths; one step is enough.
        noise: The same for every focal length.
        prior: None for :func:`belief_of_prior` of the image.

    Returns:
        The posterior; as wide as the prior if the keypoints do not determine it.

    Raises:
        MissingCameraError: If there is no camera to take center and image size from.
        OptionError: If there are no people, or keypoints have batch axes.
    """
    if not people or any(person.xy.dim() != 3 for person in people):
        raise OptionError("A focal length is estimated from one or more people, each (F, J, 2).")
    camera = people[0].camera
    if camera is None:
        raise MissingCameraError(
            "Estimating the focal length needs the image's center, but these keypoints carry no "
            "camera. Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    prior = prior or belief_of_prior(camera.image_size)
    fine = (prior.focal / max(camera.image_size)).double().log()
    evidence = torch.zeros_like(fine)
    seconds = [_seconds(person) for person in people]
    total = max(sum(seconds), 1e-9)
    for person, own in zip(people, seconds, strict=True):
        curves = [_evidence(part, sampler, noise, fine) for part in _stretches(person)]
        evidence += own / total * torch.stack(curves).mean(0)
    evidence *= math.sqrt(min(total, MAX_SECONDS))
    log_p = prior.probability.double().clamp(min=1e-300).log() + evidence
    return replace(prior, probability=torch.softmax(log_p, 0).float())


def sample_with_focal(
    keypoints: Keypoints2D,
    belief: FocalPosterior,
    sampler: Sampler,
    n_hypotheses: int,
    noise: NoiseSource,
) -> Hypotheses:
    """Draw hypotheses, each with a focal length of its own.

    Args:
        keypoints: One person, with a camera whose center is used.
        belief: Where focal lengths are drawn from.
        sampler: Draws each hypothesis for its camera.
        n_hypotheses: How many.
        noise: As for ``sampler.sample``; hypothesis h gets the same noise as without belief.

    Returns:
        Hypotheses with ``focal``; each root fits its own camera.

    Raises:
        MissingCameraError: If there is no camera.
        OptionError: If the keypoints have batch axes.
    """
    if keypoints.xy.dim() != 3:
        raise OptionError("Hypotheses with their own focal lengths are drawn person by person.")
    focal = belief.draws(n_hypotheses).to(keypoints.xy)
    found = sampler.sample(with_focals(keypoints, focal), 1, lambda shape: _one_each(noise, shape))
    root = found.root
    return Hypotheses(
        found.joints[:, 0], found.skeleton, None if root is None else root[:, 0], focal=focal
    )


def with_focals(keypoints: Keypoints2D, focal: Float[Tensor, " B"]) -> Keypoints2D:
    """The same keypoints once for every focal length, as a batch.

    Args:
        keypoints: Without batch axes, with a camera.
        focal: Pixels.

    Returns:
        Keypoints ``(B, F, J, 2)`` whose camera has a batch axis.

    Raises:
        MissingCameraError: If there is no camera.
    """
    camera, n = keypoints.camera, len(focal)
    if camera is None:
        raise MissingCameraError("There is no camera whose focal length could be replaced.")
    both = camera.focal / camera.focal.mean() * focal[:, None]
    lens = camera.distortion
    each = Camera(
        focal=both,
        center=camera.center.expand(n, 2),
        image_size=camera.image_size,
        distortion=None if lens is None else lens.expand(n, 5),
        distortion_model=camera.distortion_model,
        assumed=camera.assumed,
    )

    def spread(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.expand(n, *x.shape)

    return replace(
        keypoints,
        xy=keypoints.xy.expand(n, *keypoints.xy.shape),
        confidence=spread(keypoints.confidence),
        covariance=spread(keypoints.covariance),
        camera=each,
    )


def _one_each(noise: NoiseSource, shape: tuple[int, ...]) -> Tensor:
    """Noise of shape (B, 1, ...) from the streams of hypotheses 0 .. B - 1."""
    return noise((shape[0], *shape[2:])).reshape(shape)


def _seconds(keypoints: Keypoints2D) -> float:
    """Seconds in which a person was seen."""
    seen = keypoints.detected.sum(-1) >= 3
    return float(seen.sum()) / (keypoints.fps or ASSUMED_FPS)


def _stretches(keypoints: Keypoints2D) -> list[Keypoints2D]:
    n = keypoints.n_frames
    if n <= 4 * STRETCH:
        return [keypoints]
    starts = [(n - STRETCH) * i // 3 for i in range(4)]
    return [_frames(keypoints, slice(s, s + STRETCH)) for s in starts]


def _frames(keypoints: Keypoints2D, some: slice) -> Keypoints2D:
    confidence, covariance = keypoints.confidence, keypoints.covariance
    return replace(
        keypoints,
        xy=keypoints.xy[some],
        confidence=None if confidence is None else confidence[some],
        covariance=None if covariance is None else covariance[some],
    )


def _evidence(
    keypoints: Keypoints2D, sampler: Sampler, noise: NoiseSource, fine: Float[Tensor, " G"]
) -> Float[Tensor, " G"]:
    """Log-likelihood of one second over log ratios ``fine``; zero without information."""
    worth = worth_of(sampler)
    log_residual, log_variation = log_misfits(keypoints, sampler, noise, fine)
    total = worth.rate * fine - worth.residual * log_residual - worth.variation * log_variation
    return total if bool(torch.isfinite(total).all()) else torch.zeros_like(fine)


def worth_of(sampler: Sampler) -> Worth:
    """The evidence of a clip about its focal length, with this sampler."""
    info = getattr(getattr(sampler, "network", None), "info", None)
    return ON_RAYS if getattr(info, "on_rays", False) else FREE


def log_misfits(
    keypoints: Keypoints2D, sampler: Sampler, noise: NoiseSource, fine: Float[Tensor, " G"]
) -> tuple[Float[Tensor, " G"], Float[Tensor, " G"]]:
    """Logs of reprojection and of bones' variation, smooth in the log ratios ``fine``.

    Args:
        keypoints: One person, with a camera whose center is used.
        sampler: Asked for three poses at each of 13 focal lengths.
        noise: The same for every focal length.
        fine: Logs of focal lengths over the longer image side.

    Returns:
        log r and log c; NaN where fewer than two frames can be used.
    """
    camera = keypoints.camera
    assert camera is not None
    coarse = torch.linspace(math.log(LOWEST), math.log(HIGHEST), N_GRID, dtype=torch.float64)
    focal = (coarse.exp() * max(camera.image_size)).to(keypoints.xy)
    batch = with_focals(keypoints, focal)
    found = sampler.sample(batch, N_POSES, lambda shape: _same_for_all(noise, shape))
    misfits = misfit(found.joints.mean(1), batch, found.skeleton)
    if not all(bool(torch.isfinite(curve).all()) for curve in misfits):
        unknown = torch.full_like(fine, torch.nan)
        return unknown, unknown
    log_r, log_c = (
        _smooth(coarse, curve.double().clamp(min=least).log(), fine)
        for curve, least in zip(misfits, (MIN_RESIDUAL, MIN_VARIATION), strict=True)
    )
    return log_r, log_c


def _same_for_all(noise: NoiseSource, shape: tuple[int, ...]) -> Tensor:
    return noise(shape[1:]).expand(shape)


def misfit(
    joints: Float[Tensor, "B F J 3"], keypoints: Keypoints2D, skeleton: Skeleton
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """How badly poses meet the rays of a clip, and how much bones on the rays change length.

    Args:
        joints: Root-relative meters.
        keypoints: With a camera; the same batch axis.
        skeleton: Of the joints.

    Returns:
        Reprojection in subject sizes (RMS over frames and joints), and the mean coefficient of
        variation of bone lengths. NaN where fewer than two frames can be used.
    """
    if keypoints.skeleton.name != skeleton.name:
        keypoints = convert(keypoints, skeleton)
    assert keypoints.camera is not None
    uv = undistort(keypoints.xy, keypoints.camera).to(joints)
    placed = joints + fit_root(joints, keypoints, robust=True)[..., None, :]
    depth = placed[..., 2:]
    off = placed[..., :2] / depth - uv
    size = _rms(uv - uv.nanmean(-2, keepdim=True), (-2, -1))[..., None, None]
    residual = _rms(off / size, (-3, -2, -1))
    lengths = bone_lengths(torch.cat((uv, torch.ones_like(depth)), -1) * depth, skeleton)
    mean = lengths.nanmean(-2, keepdim=True)
    variation = _rms(lengths / mean - 1, (-2,))
    return residual, variation.nanmean(-1)


def _rms(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return (x * x).nanmean(dims).sqrt()


def _smooth(x: Tensor, y: Tensor, at: Tensor) -> Tensor:
    """A quartic through noisy values."""
    powers = torch.arange(5, dtype=torch.float64)
    found = torch.linalg.lstsq(x[:, None] ** powers, y[:, None]).solution
    return ((at[:, None] ** powers) @ found)[:, 0]


def _log_std(focal: Tensor, probability: Tensor) -> float:
    logs, p = focal.double().log(), probability.double()
    mean = (p * logs).sum()
    return float((p * (logs - mean) ** 2).sum().sqrt())

"""A model of 2D detectors: correlated position errors, swapped sides, gaps, confidences.

One model serves benchmarks and training; they differ in parameters (:data:`COCO_BENCHMARK`,
:data:`COCO_TRAINING`, :data:`H36M_TRAINING`). A keypoint's error is a sum of up to four processes
of unit variance, scaled with the person's size in the image:

| process | over time |
| --- | --- |
| constant | one offset per clip and keypoint |
| slow | a sine of .01 to .12 rad a frame |
| lingering | a first-order autoregression |
| fresh | independent from frame to frame |

Swaps and gaps are two-state Markov chains: on for ``episode`` frames on average and for a given
share of the time. With ``episode=None`` frames are independent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.simulation.confidences import ExponentialConfidence, LinearConfidence
from hypopose.simulation.option_checks import check_interval, check_shares
from hypopose.simulation.random_draws import Draws, Range
from hypopose.skeletons import SKELETONS

HEIGHT_PX = 400.0
"""Errors are stated in pixels of a person this tall in the image."""

STEADY_KINDS = 2
"""How many of the processes, from the first, a steady detector has: constant and slow."""


@dataclass(frozen=True)
class Errors:
    """Position errors.

    Args:
        mix: Standard deviations of the constant, slow, lingering and fresh process; None draws the
            variances' shares for every clip from a flat Dirichlet distribution.
        outlier_scale: How many times larger an outlier's error is.
        weights: Each keypoint's error relative to a hip's.
    """

    mix: tuple[float, float, float, float] | None = (0.0, 0.0, 1.0, 0.0)
    outlier_scale: float = 4.0
    weights: tuple[float, ...] = (
        *(0.7,) * 5, *(1.0, 1.0, 1.1, 1.1, 1.6, 1.6), *(1.0, 1.0, 1.1, 1.1, 1.6, 1.6)
    )  # fmt: skip


@dataclass(frozen=True)
class Sides:
    """Left and right arms, or legs, that change places.

    Args:
        clips: Share of clips in which the arms do so, and likewise the legs.
        varying: Whether a clip's share of frames is drawn, from 0 to the stated one.
        ends_alone: Share of clips in which only forearms, or lower legs, are swapped.
        in_clean: Whether this also happens in clips without noise.
    """

    clips: float = 1.0
    varying: bool = False
    ends_alone: float = 1.0
    in_clean: bool = True


@dataclass(frozen=True)
class Gaps:
    """Keypoints that are not detected.

    Args:
        clips: Share of clips in which single keypoints are missing.
        power: A clip's share of missing keypoints is the stated one times ``u ** power`` with
            uniform ``u``; 0 for the same share in every clip.
        weighted: Whether the share follows :attr:`Errors.weights`.
        groups: ``(chance, keypoints)`` that are missing together in all frames.
        frames: ``(share of clips, greatest share of frames)`` of frames without a person.
        blackout: Share of clips with one contiguous gap, up to 0.3 of the clip.
        complete: Share of clips without any gap.
    """

    clips: float = 1.0
    power: float = 0.0
    weighted: bool = False
    groups: tuple[tuple[float, tuple[int, ...]], ...] = ()
    frames: tuple[float, float] = (0.0, 0.0)
    blackout: float = 0.0
    complete: float = 0.0


@dataclass(frozen=True)
class DetectorNoise:
    """The errors of a detector.

    Args:
        sigma_px: Range of the standard deviation per coordinate, for a person 400 px tall; one
            value a clip.
        persistence: Correlation of the lingering error from one frame to the next; a range is drawn
            from for every clip.
        outliers: Share of keypoints whose error is larger, see :class:`Errors`.
        swaps: Share of frames in which sides are swapped, see :class:`Sides`.
        missing: Share of keypoints that are missing, see :class:`Gaps`.
        episode: Mean length of swaps and of gaps, in frames; a range is drawn from, and None makes
            frames independent.
        clean: Share of clips with hardly any noise.
        clean_px: Greatest standard deviation there.
        skeleton: Name of the keypoints' skeleton.
        errors: Details of position errors.
        sides: Details of swapped sides.
        gaps: Details of missing keypoints.
        confidence: How confidences follow from errors.

    Raises:
        OptionError: If a value is out of range.

    Example:
        >>> xy = torch.zeros(50, 17, 2) + torch.arange(17.0)[:, None] * 20
        >>> noisy, confidence = DetectorNoise().apply(xy, torch.Generator().manual_seed(0))
        >>> noisy.shape, confidence.shape
        (torch.Size([50, 17, 2]), torch.Size([50, 17]))
    """

    sigma_px: tuple[float, float] = (4.0, 8.0)
    persistence: float | Range = 0.7
    outliers: float = 0.02
    swaps: float = 0.01
    missing: float = 0.03
    episode: float | Range | None = 8.0
    clean: float = 0.0
    clean_px: float = 0.0
    skeleton: str = "coco17"
    errors: Errors = field(default_factory=Errors)
    sides: Sides = field(default_factory=Sides)
    gaps: Gaps = field(default_factory=Gaps)
    confidence: ExponentialConfidence | LinearConfidence = field(
        default_factory=ExponentialConfidence
    )

    def __post_init__(self) -> None:
        check_interval(self, 0.0, 200.0, "sigma_px")
        check_shares(self, "clean")
        shares = (*_pair(self.persistence), self.outliers, self.swaps, self.missing)
        episodes = () if self.episode is None else _pair(self.episode)
        if not all(0 <= share < 1 for share in shares) or not all(e >= 1 for e in episodes):
            raise OptionError("Detector noise has shares in 0..1 and episodes of at least 1 frame.")

    def apply(
        self, xy: Float[Tensor, "F J 2"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "F J 2"], Float[Tensor, "F J"]]:
        """Add errors to the exact keypoints of one clip.

        Args:
            xy: Pixels.
            generator: Its state decides everything.

        Returns:
            Keypoints with NaN where missing, and confidences with 0 there.
        """
        if not len(xy):
            return xy, xy[..., 0]
        height = (xy.amax(1) - xy.amin(1)).amax(-1).median()
        noisy, confidence = self.simulate(xy[None], height[None], Draws(generator))
        return noisy[0], confidence[0]

    def simulate(
        self,
        xy: Float[Tensor, "B F J 2"],
        height: Float[Tensor, " B"],
        draws: Draws,
        *,
        clean: Bool[Tensor, " B"] | None = None,
        steady: Bool[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B F J 2"], Float[Tensor, "B F J"]]:
        """Add errors to the exact keypoints of several clips.

        Args:
            xy: Pixels, or rays.
            height: How tall each person appears, in the unit of ``xy``.
            draws: Random numbers.
            clean: Clips with hardly any noise; drawn if None.
            steady: Clips whose errors are constant and slow only, as those of filtered detections,
                without outliers and swapped sides; none if None.

        Returns:
            Keypoints with NaN where missing, and confidences with 0 there.
        """
        B, F, _ = xy.shape[:3]
        clean, steady = self._kinds(B, draws, clean, steady)
        level = draws.uniform(B, low=self.sigma_px[0], high=self.sigma_px[1])
        if clean is not None:
            level = torch.where(clean, draws.uniform(B, high=self.clean_px), level)
        unit = level * height / HEIGHT_PX
        sigma = unit[:, None] * xy.new_tensor(self.errors.weights)
        error = sigma[:, None, :, None] * self._processes(B, F, draws, steady)
        wild = draws.chance(self.outliers, *error.shape[:3])
        if steady is not None:
            wild = wild & ~steady[:, None, None]
        error = torch.where(wild[..., None], self.errors.outlier_scale * error, error)
        swapped = self._swapped(xy + error, draws, clean, steady)
        size = error.norm(dim=-1)
        confidence = self.confidence(size, sigma, level, height / HEIGHT_PX, draws, clean, steady)
        gone = self._missing(B, F, draws)
        confidence = torch.where(gone, 0.0, confidence)
        return torch.where(gone[..., None], torch.nan, swapped), confidence

    def _kinds(
        self, B: int, draws: Draws, clean: Tensor | None, steady: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        if clean is None and self.clean:
            clean = draws.chance(self.clean, B)
        if clean is not None and steady is not None:
            steady = steady & ~clean
        return clean, steady

    def _processes(
        self, B: int, F: int, draws: Draws, steady: Bool[Tensor, " B"] | None
    ) -> Float[Tensor, "B F J 2"]:
        """Errors of about unit variance."""
        J = len(self.errors.weights)
        mix = self.errors.mix
        sizes = _drawn_mix(B, draws, steady) if mix is None else _fixed_mix(mix, B, draws, steady)
        kinds = (
            lambda: draws.normal(B, 1, J, 2),
            lambda: draws.wave(B, F, J),
            lambda: draws.walk(B, F, J, draws.between(self.persistence, B, 1, 1)),
            lambda: draws.normal(B, F, J, 2),
        )
        used = [i for i in range(len(kinds)) if mix is None or mix[i]]
        total = draws.zeros(B, F, J, 2)
        for i in used:
            total = total + sizes[i] * kinds[i]()
        return total

    def _swapped(
        self, xy: Tensor, draws: Draws, clean: Tensor | None, steady: Tensor | None
    ) -> Float[Tensor, "B F J 2"]:
        B, F = xy.shape[:2]
        if not self.swaps:
            return xy
        allowed = draws.ones(B)
        if clean is not None and not self.sides.in_clean:
            allowed = allowed & ~clean
        if steady is not None:
            allowed = allowed & ~steady
        table = LIMBS[self.skeleton]
        for limbs in (table.arms, table.legs):
            share = draws.vary(self.swaps, B, 1, clips=self.sides.clips, varied=self.sides.varying)
            frames = draws.episodes(F, (B, 1), share, draws.between(self.episode, B, 1))
            ends = draws.some(self.sides.ends_alone, B, 1)
            joints = (table.mask(limbs, draws) & (table.mask(table.ends, draws) | ~ends))[:, None]
            some = frames & allowed[:, None, None] & joints
            xy = torch.where(some[..., None], xy[:, :, list(table.mirrored)], xy)
        return xy

    def _missing(self, B: int, F: int, draws: Draws) -> Bool[Tensor, "B F J"]:
        gaps, J = self.gaps, len(self.errors.weights)
        share = draws.vary(self.missing, B, 1, clips=gaps.clips, power=gaps.power)
        if gaps.weighted:
            share = share * torch.tensor(self.errors.weights, device=draws.device)
        length = draws.between(self.episode, B, 1)
        gone = draws.episodes(F, (B, J), share, length)
        if gaps.groups:
            gone = gone | _together(gaps.groups, B, J, draws)[:, None]
        if gaps.frames[0] or gaps.blackout:
            frames = self._lost_frames(B, F, length, draws)
            gone = gone | frames[..., None]
        return gone & ~draws.some(gaps.complete, B, 1, 1)

    def _lost_frames(
        self, B: int, F: int, length: Tensor | float | None, draws: Draws
    ) -> Bool[Tensor, "B F"]:
        """Frames without a person; never all of a clip."""
        clips, most = self.gaps.frames
        share = most * draws.uniform(B, 1) * draws.chance(clips, B, 1)
        frames = draws.episodes(F, (B, 1), share, length)[..., 0]
        if self.gaps.blackout:
            at, span = draws.uniform(B, 1) * F, draws.uniform(B, 1) * F * 0.3
            index = torch.arange(F, device=draws.device)
            inside = (index >= at) & (index < at + span)
            frames = frames | (draws.chance(self.gaps.blackout, B, 1) & inside)
        return frames & ~frames.all(1, keepdim=True)


def _pair(value: float | Range) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _fixed_mix(
    mix: tuple[float, ...], B: int, draws: Draws, steady: Bool[Tensor, " B"] | None
) -> Float[Tensor, "4 B 1 1 1"]:
    sizes = torch.tensor(mix, device=draws.device)[:, None].expand(len(mix), B).clone()
    if steady is not None:
        sizes[STEADY_KINDS:] *= ~steady
    return sizes[..., None, None, None]


def _drawn_mix(
    B: int, draws: Draws, steady: Bool[Tensor, " B"] | None
) -> Float[Tensor, "4 B 1 1 1"]:
    shares = -draws.uniform(4, B).clamp(min=1e-6).log()  # a flat Dirichlet's, unscaled
    if steady is not None:
        shares[STEADY_KINDS:] *= ~steady
    return (shares / shares.sum(0)).sqrt()[..., None, None, None]


def _together(
    groups: tuple[tuple[float, tuple[int, ...]], ...], B: int, J: int, draws: Draws
) -> Bool[Tensor, "B J"]:
    """Keypoints that are missing in all frames."""
    member = torch.zeros(len(groups), J, device=draws.device)
    for row, (_, joints) in enumerate(groups):
        member[row, list(joints)] = 1
    chances = torch.tensor([chance for chance, _ in groups], device=draws.device)
    return (draws.uniform(B, len(groups)) < chances).float() @ member > 0


@dataclass(frozen=True)
class Limbs:
    """Which keypoints of a skeleton change sides together.

    Args:
        arms: Shoulders, elbows and wrists.
        legs: Hips, knees and ankles.
        ends: Elbows, wrists, knees, ankles: forearms and lower legs.
        mirrored: The other side's index of every keypoint.
    """

    arms: tuple[int, ...]
    legs: tuple[int, ...]
    ends: tuple[int, ...]
    mirrored: tuple[int, ...]

    def mask(self, joints: tuple[int, ...], draws: Draws) -> Bool[Tensor, " J"]:
        """Which of all keypoints are among some."""
        index = torch.arange(len(self.mirrored), device=draws.device)
        return torch.isin(index, torch.tensor(joints, device=draws.device))


def _limbs(skeleton: str) -> Limbs:
    table = SKELETONS[skeleton]

    def named(*parts: str) -> tuple[int, ...]:
        return tuple(i for i, n in enumerate(table.joint_names) if n.endswith(parts))

    arms, legs = named("shoulder", "elbow", "wrist"), named("_hip", "knee", "ankle")
    return Limbs(arms, legs, named("elbow", "wrist", "knee", "ankle"), tuple(table.flip_order))


LIMBS = {name: _limbs(name) for name in ("coco17", "h36m17")}

COCO_BENCHMARK = DetectorNoise()
"""The benchmarks' detector: lingering errors, swapped forearms and lower legs, gaps."""

COCO_TRAINING = DetectorNoise(
    sigma_px=(0.5, 8.0),
    persistence=(0.5, 0.9),
    swaps=0.08,
    missing=0.1,
    episode=(1.0, 15.0),
    clean=0.15,
    errors=Errors(
        mix=None,
        outlier_scale=3.5,
        weights=(
            *(0.8, 0.7, 0.7, 0.8, 0.8, 0.9, 0.9, 1.15, 1.15),
            *(1.6, 1.6, 1.0, 1.0, 1.1, 1.1, 1.5, 1.5),
        ),
    ),
    sides=Sides(clips=0.35, varying=True, ends_alone=0.0),
    gaps=Gaps(
        clips=0.65,
        power=1.5,
        weighted=True,
        groups=(
            *((0.08, (3,)), (0.08, (4,)), (0.02, (1, 3)), (0.02, (2, 4)), (0.02, (1, 2))),
            *((0.03, (0, 1, 2)), (0.03, (0, 1, 2, 3, 4)), (0.02, (3, 4)), (0.02, (7, 9))),
            *((0.02, (8, 10)), (0.02, (15, 16)), (0.02, (13, 14, 15, 16))),
            (0.02, (11, 12, 13, 14, 15, 16)),
        ),
        frames=(0.12, 0.3),
        complete=0.15,
    ),
    confidence=LinearConfidence(
        slope=(0.04, 0.16), limit=2.0, jitter=0.07, certain=0.2, certain_clean=0.2
    ),
)
"""A COCO-17 detector whose kinds of errors differ between clips: from independent to constant."""

H36M_TRAINING = DetectorNoise(
    sigma_px=(0.5, 8.0),
    swaps=0.25,
    missing=0.15 / 1.1,
    episode=None,
    clean=0.45,
    clean_px=0.3,
    skeleton="h36m17",
    errors=Errors(
        mix=(0.55, 0.5, 0.0, 0.65),
        outlier_scale=3.0,
        weights=(
            *(1.0, 1.0, 1.1, 1.4, 1.0, 1.1, 1.4, 1.0, 0.9, 0.8, 0.9),
            *(0.9, 1.2, 1.6, 0.9, 1.2, 1.6),
        ),
    ),
    sides=Sides(clips=0.03, ends_alone=0.0, in_clean=False),
    gaps=Gaps(
        power=2.0,
        weighted=True,
        groups=(
            *((0.06, (9, 10)), (0.06, (10,)), (0.03, (9,)), (0.1, (7,)), (0.03, (12, 13))),
            *((0.03, (15, 16)), (0.03, (2, 3)), (0.03, (5, 6)), (0.03, (3, 6))),
            (0.03, (1, 2, 3, 4, 5, 6)),
        ),
        frames=(0.12, 0.3),
        blackout=0.06,
        complete=0.5,
    ),
    confidence=LinearConfidence(
        slope=(0.12, 0.12),
        limit=1.5,
        jitter=0.08,
        certain=0.15,
        certain_clean=0.745,
        certain_steady=0.4,
    ),
)
"""A detector of the Human3.6M-17 joints themselves."""

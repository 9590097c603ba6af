"""How the people of the target are built, and where its detector sees their joints.

Bone lengths of a network's hypotheses are biased estimates of a person's build: they are shrunk
towards common builds, and constant errors of a detector are absorbed partly by the pose and partly
by other bones. So the network's output is first simulated for known people and detectors, placed
where the target's people stand, and a linear model of it is inverted:

    s = A theta + b + e,     theta ~ N(m, C)

| symbol | here |
| --- | --- |
| theta | logarithms of ten segments; offsets of 17 joints in the trunk's frame, left as right |
| s | the same of the hypotheses: mean logarithms, and mean misses of the keypoints |
| A, b, cov(e) | least squares over simulated windows of people and detectors drawn widely |
| m, C | typical adults (of the given stature, if any), detectors with errors of typical size |

Windows of one person share theta. Because they share errors too, they count as :data:`MOST_WINDOWS`
at most. A given stature and segments measured by several views are further observations. The
posterior is normal; training draws from it.

Ours. Indirect inference: Gourieroux, Monfort and Renault, "Indirect inference", J. Appl. Econometrics
1993.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.adaptation.drawing import draw_motions, residuals
from hypopose.adaptation.placement import AlignedBatchMaker, Stands
from hypopose.adaptation.recordings import Recording
from hypopose.bodies.proportions import BONE_LENGTHS, BONE_PAIRS, SEGMENTS
from hypopose.metrics import bone_lengths
from hypopose.networks.base import Network
from hypopose.networks.inputs import Encoded, encode_rays
from hypopose.optimization.stature import ANKLE_HEIGHT
from hypopose.simulation import Builds, Draws, Motion, load_people
from hypopose.simulation.anatomy import MEANINGS, trunk_axes
from hypopose.skeletons import H36M17
from hypopose.training.config import TrainConfig

N_SEGMENTS = len(SEGMENTS)

WINDOW = 9
"""Frames of the windows that are compared."""

N_SIMULATED = 1536
"""Windows that A is fitted to."""

N_DRAWS = 3
"""Hypotheses of each window."""

MOST_WINDOWS = 8
"""Windows that a person's count as at most."""

PER_RECORDING = 48
"""Windows that are looked at in each recording."""

OFFSET_STD = 0.02
"""Meters by which detectors place joints of limbs elsewhere, along each axis."""

SIZE_STD, SEGMENT_STD = 0.05, 0.04
"""Standard deviations of the logarithms of adults' sizes, and of single segments beside that."""

WIDE = 0.2
"""Standard deviation of the logarithm of sizes that A is fitted to."""

HEIGHT_STD = 0.01
"""Relative standard deviation of a stature that is told."""

MEASURED_STD = 0.015
"""Relative standard deviation of segments that several views measure, beside that of their size."""

SURPRISE = 1.0
"""Offsets are used where they are larger than those of usual detectors, see
:attr:`BuildPosterior.surprise`. On simulated targets usual ones came to .84 and .90, biased ones to
1.18."""

CENTRAL = (0, 7, 8, 9, 10)
SIDES = tuple((j, H36M17.flip_order[j]) for j in sorted(H36M17.left))
N_OFFSETS = 2 * len(CENTRAL) + 3 * len(SIDES)
SIZE = N_SEGMENTS + N_OFFSETS
"""Numbers in theta."""

STANDING = torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 0, 0, 0])
"""Segments that a stature adds up."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A linear combination of theta that is known.

    Args:
        row: Its coefficients.
        value: What it is.
        std: Its standard deviation.
    """

    row: Float[Tensor, " D"]
    value: float
    std: float


@dataclass(frozen=True, eq=False)
class BuildPosterior:
    """Normal distributions of theta, one a person. Called, it draws builds for training.

    Args:
        people: Who they are.
        mean: Of theta.
        covariance: Of theta.
        weights: How often each person is drawn.
    """

    people: tuple[str, ...]
    mean: Float[Tensor, "P D"]
    covariance: Float[Tensor, "P D D"]
    weights: Float[Tensor, " P"]

    def __call__(self, B: int, draws: Draws) -> Builds:
        """Draw so many builds, each of one person."""
        pick = draws.pick(self.weights.to(draws.device), B)
        factor = torch.linalg.cholesky(self.covariance + 1e-9 * torch.eye(SIZE)).to(draws.device)
        z = draws.normal(B, SIZE)
        theta = self.mean.to(draws.device)[pick] + (factor[pick] @ z[..., None])[..., 0]
        return as_builds(theta)

    @property
    def stature(self) -> Float[Tensor, " P"]:
        """Meters."""
        return (self.mean[:, :N_SEGMENTS].exp() * STANDING).sum(-1) / (1 - ANKLE_HEIGHT)

    @property
    def stature_std(self) -> Float[Tensor, " P"]:
        """Meters."""
        row = _stature_rows(self.mean)
        return self.stature * (row[:, None] @ self.covariance @ row[..., None])[:, 0, 0].sqrt()

    def without_offsets(self) -> BuildPosterior:
        """The same people, seen by detectors as general training has them."""
        mean, covariance = self.mean.clone(), self.covariance.clone()
        mean[:, N_SEGMENTS:] = 0.0
        covariance[:, N_SEGMENTS:] = 0.0
        covariance[:, :, N_SEGMENTS:] = 0.0
        central = torch.arange(SIZE) < N_SEGMENTS + 2 * len(CENTRAL)
        own = torch.where(central[N_SEGMENTS:], offset_stds().square() / 2, 1e-8)
        offsets = torch.arange(N_SEGMENTS, SIZE)
        covariance[:, offsets, offsets] = own
        return replace(self, mean=mean, covariance=covariance)

    @property
    def surprise(self) -> float:
        """How large the detector's offsets are against what is usual before anything is seen.

        The mean of squared offsets, each over the variance that its estimate has among usual
        detectors: about 1 for a usual one.
        """
        prior = offset_stds().square()
        learned = (prior - self.covariance.diagonal(dim1=-2, dim2=-1)[:, N_SEGMENTS:]).clamp(
            min=1e-6
        )
        known = self.mean[:, N_SEGMENTS:].square()
        return float((known.sum(-1) / learned.sum(-1)).mean())


def as_builds(theta: Float[Tensor, "B D"]) -> Builds:
    """Segments and offsets of theta."""
    return Builds(theta[:, :N_SEGMENTS].clamp(-5.0, 1.0).exp(), offsets_of(theta[:, N_SEGMENTS:]))


def offsets_of(numbers: Float[Tensor, "B O"]) -> Float[Tensor, "B 17 3"]:
    """Offsets of all joints: none sideways for central joints, right as left.

    Example:
        >>> offsets_of(torch.ones(1, N_OFFSETS))[0, [0, 4, 1]].tolist()
        [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]
    """
    out = numbers.new_zeros(len(numbers), H36M17.n_joints, 3)
    n = 2 * len(CENTRAL)
    out[:, list(CENTRAL), 1:] = numbers[:, :n].reshape(-1, len(CENTRAL), 2)
    left, right = map(list, zip(*SIDES, strict=True))
    own = numbers[:, n:].reshape(-1, len(SIDES), 3)
    out[:, left] = own
    out[:, right] = own * own.new_tensor([-1.0, 1.0, 1.0])
    return out


def _numbers_of(offsets: Float[Tensor, "B 17 3"]) -> Float[Tensor, "B O"]:
    """Undo :func:`offsets_of`, right and left averaged."""
    left, right = map(list, zip(*SIDES, strict=True))
    both = offsets[:, left] + offsets[:, right] * offsets.new_tensor([-1.0, 1.0, 1.0])
    return torch.cat([offsets[:, list(CENTRAL), 1:].flatten(1), (both / 2).flatten(1)], -1)


def statistics(
    network: Network, encoded: Encoded, generator: torch.Generator, config: TrainConfig
) -> Float[Tensor, "B D"]:
    """s: Statistics of a network's hypotheses for windows, see the module.

    Args:
        network: A generator.
        encoded: Windows.
        generator: Source of noise.
        config: What the network was trained with.
    """
    x = draw_motions(network, encoded, N_DRAWS, generator, config)
    B, H = x.shape[:2]
    lengths = bone_lengths(x, H36M17).nan_to_num(1e-3).median(2).values.clamp(min=1e-3).log()
    pairs = torch.tensor(BONE_PAIRS, device=x.device)
    segments = x.new_zeros(B, H, N_SEGMENTS).index_add_(-1, pairs, lengths)
    segments = (segments / torch.bincount(pairs, minlength=N_SEGMENTS)).mean(1)
    missed = residuals(x, encoded)
    axes = trunk_axes(x.flatten(0, 1)).reshape(B, H, -1, 3, 3)
    turned = (missed.offset @ axes.mT).sum((1, 2))
    counted = H * missed.seen.sum(1).clamp(min=1.0)
    return torch.cat([segments, _numbers_of(turned / counted[..., None])], -1)


def common_people(B: int, draws: Draws, wide: bool = False) -> Float[Tensor, "B D"]:
    """Theta of common adults, or of people and detectors drawn widely.

    Args:
        B: How many.
        draws: Random numbers.
        wide: Sizes of children to giants, alike.
    """
    usual = torch.zeros(N_SEGMENTS, device=draws.device)
    usual[torch.tensor(BONE_PAIRS)] = torch.tensor(BONE_LENGTHS, device=draws.device).log()
    segments = usual + SIZE_STD * draws.normal(B, 1) + SEGMENT_STD * draws.normal(B, N_SEGMENTS)
    if wide:
        table = load_people().to(draws.device)
        some = table.lengths[draws.pick(torch.ones(len(table), device=draws.device), B)].log()
        segments = torch.where(draws.chance(0.25, B, 1), some, segments)
        segments = segments + WIDE * draws.normal(B, 1) + 0.03 * draws.normal(B, N_SEGMENTS)
    offsets = offset_stds().to(draws.device) * draws.normal(B, N_OFFSETS)
    return torch.cat([segments, offsets], -1)


def offset_stds() -> Float[Tensor, " O"]:
    """Standard deviations of usual detectors' offsets in meters."""
    std = torch.full((17, 3), OFFSET_STD)
    for joint, meaning in MEANINGS.items():
        std[joint] = torch.tensor(meaning)
    left = [j for j, _ in SIDES]
    return torch.cat([std[list(CENTRAL), 1:].flatten(), std[left].flatten()])


class _Known:
    """Draws builds from a wide distribution and keeps them."""

    def __init__(self) -> None:
        self.theta = torch.zeros(0, SIZE)

    def __call__(self, B: int, draws: Draws) -> Builds:
        self.theta = common_people(B, draws, wide=True)
        return as_builds(self.theta)


@dataclass(frozen=True, eq=False)
class Response:
    """How a network's statistics answer to theta.

    Args:
        slope: A.
        intercept: b.
        covariance: Of e.
    """

    slope: Float[Tensor, "D D"]
    intercept: Float[Tensor, " D"]
    covariance: Float[Tensor, "D D"]


def simulate_response(
    network: Network,
    config: TrainConfig,
    motion: Motion,
    stands: Stands,
    generator: torch.Generator,
    n_windows: int = N_SIMULATED,
) -> Response:
    """Fit A, b and cov(e) to simulated people and detectors where the target's people stand.

    Args:
        network: A generator.
        config: What it was trained with; its bodies and noise are simulated.
        motion: Clips.
        stands: Where people of the target stand.
        generator: Decides everything, on the network's device.
        n_windows: Simulated.
    """
    known = _Known()
    maker = AlignedBatchMaker(
        motion, stands, generator.device, config.bodies, config.noise, builds=known
    )
    thetas, said = [], []
    for _ in range(0, n_windows, 256):
        batch = maker(min(256, n_windows), WINDOW, generator)
        thetas.append(known.theta)
        said.append(statistics(network, batch.encoded, generator, config))
    return fit_response(torch.cat(thetas).double().cpu(), torch.cat(said).double().cpu())


def fit_response(theta: Float[Tensor, "N D"], said: Float[Tensor, "N D"]) -> Response:
    """Least squares with a small ridge.

    Args:
        theta: Of simulated people and detectors.
        said: Their statistics.
    """
    mean, center = theta.mean(0), said.mean(0)
    x, y = theta - mean, said - center
    gram = x.mT @ x
    ridge = 1e-3 * gram.diagonal().mean() * torch.eye(gram.shape[0], dtype=gram.dtype)
    slope = torch.linalg.solve(gram + 0.01 * ridge, x.mT @ y).mT
    rest = y - x @ slope.mT
    covariance = rest.mT @ rest / max(1, len(theta) - SIZE - 1)
    floor = 1e-3 * covariance.diagonal().mean() * torch.eye(SIZE, dtype=covariance.dtype)
    return Response(slope, center - slope @ mean, covariance + floor)


def worth_using(builds: BuildPosterior, is_size_known: bool) -> BuildPosterior | None:
    """The part of a posterior that is more precise than the bodies of general training.

    Sizes and segments guessed from one camera are known no better than those of common people, and
    offsets of usual detectors are known badly: trained on, both cost more than they bring.

    Args:
        builds: Of everybody.
        is_size_known: Whether a stature was given or segments were measured.

    Returns:
        None if nothing is worth using.
    """
    if builds.surprise > SURPRISE:
        return builds
    return builds.without_offsets() if is_size_known else None


def windows_of(recording: Recording, n: int = PER_RECORDING) -> Encoded:
    """Windows of a recording, evenly taken.

    Args:
        recording: With :data:`WINDOW` frames or more.
        n: At most.
    """
    last = max(0, recording.n_frames - WINDOW)
    starts = torch.linspace(0, last, min(n, last + 1)).round().long()
    at = (starts[:, None] + torch.arange(WINDOW)).clamp(max=recording.n_frames - 1)
    shown = (recording.confidence[at] > 0).float().mean((1, 2)) > 0.5
    at = at[shown] if bool(shown.any()) else at
    return encode_rays(recording.rays[at], recording.confidence[at], recording.fps)


def estimate_builds(
    network: Network,
    config: TrainConfig,
    recordings: Sequence[Recording],
    response: Response,
    generator: torch.Generator,
    *,
    height: float | None = None,
    scale_std: float = 0.0,
) -> BuildPosterior:
    """The posterior of everybody's build and the detector's offsets.

    Args:
        network: A generator.
        config: What it was trained with.
        recordings: Of everybody.
        response: Of this network, where these people stand.
        generator: Source of noise.
        height: Stature of everybody in meters, if it is known.
        scale_std: Relative standard deviation of the size of labels.
    """
    prior = common_people(4096, Draws(torch.Generator().manual_seed(0))).double()
    center = prior.mean(0)
    spread = (prior - center).mT @ (prior - center) / len(prior)
    people = tuple(dict.fromkeys(r.person for r in recordings))
    means, covariances, weights = [], [], []
    for person in people:
        own = [r for r in recordings if r.person == person]
        said = torch.cat([statistics(network, windows_of(r), generator, config) for r in own])
        told = measured_segments(own, scale_std)
        mean, covariance = posterior_of(said.double().cpu(), response, center, spread, told, height)
        means.append(mean)
        covariances.append(covariance)
        weights.append(float(sum(r.n_frames for r in own)))
    return BuildPosterior(
        people,
        torch.stack(means).float(),
        torch.stack(covariances).float(),
        torch.tensor(weights) ** 0.5,
    )


def posterior_of(
    said: Float[Tensor, "N D"],
    response: Response,
    mean: Float[Tensor, " D"],
    covariance: Float[Tensor, "D D"],
    told: Sequence[Observation] = (),
    height: float | None = None,
) -> tuple[Float[Tensor, " D"], Float[Tensor, "D D"]]:
    """Theta of one person from the statistics of their windows.

    Args:
        said: One row a window.
        response: How they answer to theta.
        mean: Before anything is seen.
        covariance: Before anything is seen.
        told: Further observations.
        height: Stature in meters, if it is known.

    Example:
        >>> eye = torch.eye(SIZE, dtype=torch.float64)
        >>> response = Response(eye, 0 * eye[0], 0.01 * eye)
        >>> m, C = posterior_of(torch.ones(8, SIZE).double(), response, 0 * eye[0], eye)
        >>> round(float(m[0]), 3)
        0.999
    """
    if height is not None:
        usual = (mean[:N_SEGMENTS].exp() * STANDING).sum() / (1 - ANKLE_HEIGHT)
        mean = mean.clone()
        mean[:N_SEGMENTS] += math.log(height) - usual.log()
    good = said[torch.isfinite(said).all(-1)]
    A, precision = response.slope, torch.linalg.inv(covariance)
    pull = precision @ mean
    if len(good):
        information = A.mT @ torch.linalg.inv(response.covariance) * min(len(good), MOST_WINDOWS)
        precision = precision + information @ A
        pull = pull + information @ (good.mean(0) - response.intercept)
    for one in told:
        row = one.row.to(precision)
        precision = precision + row[:, None] * row / one.std**2
        pull = pull + row * one.value / one.std**2
    found = torch.linalg.inv(precision)
    theta = found @ pull
    if height is None:
        return theta, found
    start, before = theta, found
    for _ in range(4):  # the logarithm of a sum is not linear
        row = _stature_rows(theta[None])[0]
        sum_ = (theta[:N_SEGMENTS].exp() * STANDING).sum() / (1 - ANKLE_HEIGHT)
        off = math.log(height) - float(sum_.log()) - float(row @ (start - theta))
        gain = before @ row / (float(row @ before @ row) + HEIGHT_STD**2)
        theta, found = start + gain * off, before - gain[:, None] * (before @ row)
    return theta, (found + found.mT) / 2


def _stature_rows(theta: Float[Tensor, "P D"]) -> Float[Tensor, "P D"]:
    """Slope of the logarithm of the stature."""
    parts = theta[:, :N_SEGMENTS].exp() * STANDING.to(theta)
    rows = torch.zeros_like(theta)
    rows[:, :N_SEGMENTS] = parts / parts.sum(-1, keepdim=True)
    return rows


def measured_segments(
    recordings: Sequence[Recording], scale_std: float = 0.0
) -> tuple[Observation, ...]:
    """Segments that labels from several views measure.

    Args:
        recordings: Of one person; those without labels are not used.
        scale_std: Relative standard deviation of the size of labels.
    """
    labels = [r.label.joints for r in recordings if r.label is not None]
    if not labels:
        return ()
    lengths = bone_lengths(torch.cat(labels).double(), H36M17)
    found: Mapping[int, list[Tensor]] = {i: [] for i in range(N_SEGMENTS)}
    for bone, pair in enumerate(BONE_PAIRS):
        found[pair].append(lengths[:, bone][torch.isfinite(lengths[:, bone])])
    std = math.hypot(MEASURED_STD, scale_std)
    observations = []
    for pair, lists in found.items():
        known = torch.cat(lists)
        if len(known) >= WINDOW and float(known.median()) > 0:
            row = torch.zeros(SIZE)
            row[pair] = 1.0
            observations.append(Observation(row, math.log(float(known.median())), std))
    return tuple(observations)

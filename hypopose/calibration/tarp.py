"""TARP: coverage tested from random reference points, for samples of any dimension.

Lemos, Coogan, Hezaveh and Perreault-Levasseur, "Sampling-based accuracy testing of posterior
estimators for general inference" (2023). Draw a reference point r, and ask which fraction f of the
samples lies closer to r than the truth. Under calibration f is uniform for every r chosen
independently of the truth; if it is uniform for all such choices, the samples are calibrated.

Axes are sample-first as in ``sbi`` and ``tarp``: samples ``(S, N, D)``, truth ``(N, D)``.
References lie in the cube that min-max normalization of the truth maps to [0, 1]^D.

Departures from the public implementations: the expected coverage is the plain distribution function
of the ranks at fixed levels, exactly uniform for every S, rather than a cumulated histogram with
N // 10 bins between the smallest and largest f; :func:`histogram_ecp` gives that one. Several
references can be averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hypopose.calibration.histograms import RankHistogram
from hypopose.calibration.ranks import coverage_matrix, rank_mass, ranks_of
from hypopose.errors import OptionError, ShapeError

LEVELS: tuple[float, ...] = tuple(i / 50 for i in range(1, 50))
ReferenceKind = Literal["uniform", "other", "hypothesis"]


@dataclass(frozen=True, eq=False)
class TarpResult:
    """Expected coverage from random references.

    Args:
        alpha: ``(L,)`` credibility levels.
        ecp: ``(L,)`` expected coverage, averaged over references.
        credibility: ``(R, N)`` fraction of samples closer to the reference than the truth.
        histogram: Ranks per reference set.
    """

    alpha: Tensor
    ecp: Tensor
    credibility: Tensor
    histogram: RankHistogram

    @property
    def area_to_curve(self) -> float:
        """Mean of coverage minus level above level 0.5: positive = too wide, negative = narrow."""
        upper = self.alpha > 0.5
        return float((self.ecp - self.alpha)[upper].mean())


def tarp_references(
    samples: Tensor, truth: Tensor, kind: ReferenceKind, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw references, and return the samples left to be ranked.

    Args:
        samples: ``(S, N, D)`` normalized.
        truth: ``(N, D)`` normalized.
        kind: ``uniform`` in the cube; ``other``: the truth of another item; ``hypothesis``: the
            first sample, moved by a tenth of the samples' spread and then left out, so that
            references follow the observation.
        seed: Seed of the drawing.

    Returns:
        References ``(N, D)`` and samples ``(S, N, D)`` or ``(S - 1, N, D)``.

    Raises:
        OptionError: If the kind is unknown, or nothing would be left.
    """
    g = torch.Generator().manual_seed(seed)
    n, d = truth.shape
    if kind == "uniform":
        return torch.rand(n, d, generator=g, dtype=torch.float64).to(truth), samples
    if kind == "other" and n > 1:
        shift = int(torch.randint(1, n, (1,), generator=g))
        return truth.roll(shift, 0), samples
    if kind == "hypothesis" and len(samples) > 1:
        spread = samples.std(0, correction=0)
        noise = torch.randn(n, d, generator=g, dtype=torch.float64).to(truth)
        return samples[0] + 0.1 * spread * noise, samples[1:]
    raise OptionError(
        f"References are 'uniform', 'other' (two items or more) or 'hypothesis' (two samples or "
        f"more); got {kind!r} with {n} items and {len(samples)} samples."
    )


def _reference_sets(
    x: Tensor, y: Tensor, references: Tensor | ReferenceKind, n_references: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """Each set of references ``(N, D)``, and the samples left to be ranked."""
    if not isinstance(references, Tensor):
        return [tarp_references(x, y, references, seed=seed + i) for i in range(n_references)]
    given = references if references.dim() == 3 else references[None]
    if given.shape[1:] != y.shape:
        raise ShapeError(f"References must be {tuple(y.shape)}, got {tuple(given.shape[1:])}.")
    return [(r, x) for r in given]


def tarp(
    samples: Tensor,
    truth: Tensor,
    *,
    references: Tensor | ReferenceKind = "uniform",
    n_references: int = 1,
    levels: Sequence[float] = LEVELS,
    normalize: bool = True,
    seed: int = 0,
) -> TarpResult:
    """Test coverage from random references.

    Args:
        samples: ``(S, N, D)``.
        truth: ``(N, D)``.
        references: ``(N, D)`` or ``(R, N, D)`` in normalized coordinates, or how to draw them.
        n_references: How many sets to draw and average.
        levels: Credibility levels.
        normalize: Map the truth's range to the unit cube first.
        seed: Seed of drawn references.

    Returns:
        Coverage per level, credibilities and ranks.

    Raises:
        ShapeError: If shapes disagree.
        OptionError: If a value is NaN.

    Example:
        >>> x = torch.randn(21, 3000, 6, generator=torch.Generator().manual_seed(0))
        >>> wide = tarp(2 * x[1:], x[0], references="hypothesis", n_references=3)
        >>> right = tarp(x[1:], x[0], references="hypothesis", n_references=3)
        >>> abs(right.area_to_curve) < 0.02 < wide.area_to_curve
        True
    """
    if samples.dim() != 3 or samples.shape[1:] != truth.shape:
        raise ShapeError(
            f"TARP takes samples (S, N, D) and truth (N, D); got {tuple(samples.shape)} and "
            f"{tuple(truth.shape)}."
        )
    if not bool(samples.isfinite().all() and truth.isfinite().all()):
        raise OptionError("TARP cannot place NaN; leave out items with NaN samples or truth.")
    samples, truth = samples.detach().cpu(), truth.detach().cpu()
    x, y = (_normalized(samples, truth), _normalized(truth, truth)) if normalize else (
        samples, truth)  # fmt: skip
    sets = _reference_sets(x, y, references, n_references, seed)
    fractions, rows = zip(*(_ranked(left, y, r.to(y)) for r, left in sets), strict=True)
    mass = torch.stack(rows)
    alpha = torch.tensor(list(levels), dtype=torch.float64)
    share = coverage_matrix(alpha, mass.shape[-1] - 1)[:-1]
    ecp = (mass @ share / mass.sum(-1, keepdim=True)).mean(0)
    n = torch.full((len(rows),), float(len(y)))
    names = tuple(f"references {i}" for i in range(len(rows)))
    return TarpResult(alpha, ecp, torch.stack(fractions), RankHistogram(mass, n, names))


def _normalized(x: Tensor, truth: Tensor) -> Tensor:
    low, high = truth.amin(0), truth.amax(0)
    return (x - low) / (high - low + 1e-10)


def _ranked(samples: Tensor, truth: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Fraction of samples strictly closer, ``(N,)``, and the rank histogram ``(S + 1,)``."""
    distance = (torch.cat([samples, truth[None]]) - reference).norm(dim=-1).T
    finite = torch.ones_like(distance[:, :-1], dtype=torch.bool)
    known = torch.ones(len(truth), dtype=torch.bool)
    ranks = ranks_of(distance[:, :-1], distance[:, -1], finite, known)
    mass = rank_mass(ranks, torch.zeros(len(truth), dtype=torch.long), 1, len(samples))
    return ranks.below / ranks.n.to(truth.dtype), mass[0, :-1]


def histogram_ecp(credibility: Tensor, n_bins: int) -> tuple[Tensor, Tensor]:
    """Expected coverage as the ``tarp`` 0.1.1 package and ``sbi`` compute it.

    Args:
        credibility: ``(N,)``.
        n_bins: Even bins between the smallest and the largest credibility; they use N // 10.

    Returns:
        Coverage and levels, each ``(n_bins + 1,)``; the first coverage is 0. The edges depend on
        the data: two results have different levels.
    """
    counts, edges = torch.histogram(credibility.cpu(), bins=n_bins)
    ecp = torch.cat([torch.zeros(1, dtype=counts.dtype), counts.cumsum(0) / counts.sum()])
    return ecp, edges

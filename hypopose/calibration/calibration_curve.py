"""The calibration curve of hypotheses: coverage against level, its error, and intervals of both.

The definitions are in :mod:`hypopose.calibration.curves`.

**Interval of the ECE.** Absolute values make the ECE of a sample too large on average: noise in G
adds to it and never cancels, most of all where G is near q. Percentiles of resampled ECEs contain
the noise twice and may all lie above the estimate. Instead: by the triangle inequality the true ECE
is no further from the measured one than the mean of |G_k(q) - true G_k(q)|, and how large that mean
gets is seen from its resampled counterpart. The interval is the estimate plus and minus that much;
its coverage is at least the nominal one, and equal to it for a calibrated model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hypopose.calibration.bootstrap import N_DRAWS, cluster_bootstrap, resamples, tail
from hypopose.calibration.extrapolated_ece import limit_curve, null_error
from hypopose.calibration.histograms import RankHistogram
from hypopose.calibration.provenance import Record
from hypopose.calibration.uniformity import null_coverage, simultaneous_band

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Coverage against nominal level, per cell and pooled.

    Args:
        levels: ``(L,)`` nominal levels q.
        coverage: ``(K, L)`` coverage per cell; NaN at levels that S hypotheses cannot resolve.
        n: ``(K,)`` observations per cell.
        n_effective: ``(K,)`` observations a set of *independent* frames would need for the same
            precision; estimated from the differences between sequences.
        sequence_cover: ``(C, K, L + 1)`` per sequence: sums of coverage (NaN where coverage is),
            then the count. Resample its rows for intervals.
        sequence_shape: ``(C, K, ORDER + 2)`` per sequence: sums of what moves :attr:`limit` off
            the diagonal, of point predictions, then the count.
        histogram: How often the truth has each rank.
        record: The conventions and counts.
        statistic: What was ranked.
    """

    levels: Tensor
    coverage: Tensor
    n: Tensor
    n_effective: Tensor
    sequence_cover: Tensor
    sequence_shape: Tensor
    histogram: RankHistogram
    record: Record
    statistic: str = "distance"

    @property
    def resolved(self) -> Tensor:
        """``(L,)`` True at levels that S hypotheses can resolve, those up to S / (S + 1)."""
        return resolved(self.levels, self.record.n_hypotheses)

    @property
    def curve(self) -> Tensor:
        """``(L,)`` coverage averaged over cells; cells may cancel here, unlike in :attr:`ece`."""
        return self.coverage.nanmean(0)

    @property
    def limit(self) -> Tensor:
        """``(K, L)`` coverage in the limit of many hypotheses, to two terms; never blank."""
        total = self.sequence_shape.sum(0)
        return limit_curve(self.levels, total[..., :-1] / total[..., -1:])

    @property
    def ece_per_cell(self) -> Tensor:
        """``(K,)`` mean over levels of the distance between :attr:`limit` and level."""
        return (self.limit - self.levels).abs().mean(-1)

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 0.5: the mean over cells of :attr:`ece_per_cell`."""
        return float(self.ece_per_cell.nanmean())

    @property
    def median_ece(self) -> float:
        """The ECE of the median cell's curve, as published tables have it: cells may cancel.

        That is the definition of Pierzchlewicz et al. (2022), with ranks that do not depend on the
        number of hypotheses; :attr:`ece` lets no joint that is too sure hide one that is unsure.
        """
        return float((_median_curve(self.limit) - self.levels).abs().mean())

    @property
    def excess(self) -> Tensor:
        """``(K,)`` mean of :attr:`limit` minus level: positive = underconfident (too wide)."""
        return (self.limit - self.levels).mean(-1)

    @property
    def null_ece_per_cell(self) -> Tensor:
        """``(K,)`` ECE a perfectly calibrated model would show by chance."""
        s = self.record.n_hypotheses
        values = [null_error(n, self.levels, s, self.statistic) for n in self.n_effective.tolist()]
        return torch.tensor(values, dtype=torch.float64)

    @property
    def null_ece(self) -> float:
        """The ECE a perfectly calibrated model would show by chance, on this much data."""
        return float(self.null_ece_per_cell.nanmean())

    def bands(self, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
        """Simultaneous bands of a calibrated model, lower and upper, each ``(K, L)``.

        Args:
            confidence: Probability that a calibrated cell's whole curve stays inside.

        Returns:
            NaN at levels that cannot be resolved and for cells without observations.
        """
        edges = np.full((2, len(self.n), len(self.levels)), np.nan)
        seen = self.resolved
        levels = tuple(self.levels[seen].tolist())
        for k, n in enumerate(self.n_effective.tolist()):
            if n >= 1 and levels:
                curves = null_coverage(_rounded(n), self.record.n_hypotheses, levels)
                edges[:, k, seen.numpy()] = np.stack(simultaneous_band(curves, confidence))
        low, high = torch.as_tensor(edges)
        return low, high

    def interval(
        self,
        confidence: float = 0.95,
        n_draws: int = N_DRAWS,
        seed: int = 0,
        *,
        median: bool = False,
    ) -> tuple[float, float]:
        """Interval of :attr:`ece`, whole sequences resampled; it holds the estimate.

        Args:
            confidence: Probability that it holds the truth.
            n_draws: Resamples.
            seed: Of the resamples.
            median: That of :attr:`median_ece` instead.

        Returns:
            Lower and upper end; NaN with fewer than two sequences.
        """
        n_sequences = len(self.sequence_shape)
        if n_sequences < 2:
            return float("nan"), float("nan")
        shape, here, draws = self.sequence_shape.numpy(), self.limit, []
        here, value = (_median_curve(here), self.median_ece) if median else (here, self.ece)
        for times in resamples(n_sequences, n_draws, seed):
            sums = torch.as_tensor(np.tensordot(times, shape, axes=1))
            drawn = limit_curve(self.levels, sums[..., :-1] / sums[..., -1:])
            off = ((_median_curve(drawn) if median else drawn) - here).abs()
            draws.append(finite_mean(off.flatten(1).numpy(), 1))
        half = np.nanquantile(np.concatenate(draws), 1 - 2 * tail(confidence, n_sequences))
        return max(0.0, value - float(half)), min(1.0, value + float(half))

    def coverage_interval(self, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
        """Interval of :attr:`curve`, whole sequences resampled.

        Args:
            confidence: Probability that it holds the truth, level by level.

        Returns:
            Lower and upper ends, ``(L,)`` each; NaN with fewer than two sequences.
        """

        def mean_over_cells(sums: Array) -> Array:
            with np.errstate(invalid="ignore"):
                return finite_mean(sums[..., :-1] / sums[..., -1:], 1)

        low, high = cluster_bootstrap(
            self.sequence_cover.numpy(), mean_over_cells, confidence=confidence
        )
        return torch.as_tensor(low), torch.as_tensor(high)

    def verdicts(self, confidence: float = 0.95) -> tuple[str, ...]:
        """Per cell: ``overconfident``, ``underconfident``, or ``calibrated`` within the band."""
        low, high = self.bands(confidence)
        outside = (self.coverage < low - 1e-9) | (self.coverage > high + 1e-9)
        inside = (~outside[:, self.resolved].any(-1)).tolist()
        words = ["overconfident" if e < 0 else "underconfident" for e in self.excess.tolist()]
        return tuple("calibrated" if i else w for i, w in zip(inside, words, strict=True))


def _median_curve(curves: Float[Tensor, "*any K L"]) -> Float[Tensor, "*any L"]:
    """Median over cells at every level; of an even number, the mean of the two in the middle."""
    return curves.nanquantile(0.5, dim=-2)


def resolved(levels: Tensor, n_hypotheses: int) -> Tensor:
    """Which levels S hypotheses can resolve: all up to S / (S + 1), and every level if S is 1.

    One hypothesis is a point prediction, whose regions cover 0 at any level.

    Example:
        >>> resolved(torch.tensor([0.5, 0.8, 0.95]), 5).tolist()
        [True, True, False]
    """
    highest = n_hypotheses / (n_hypotheses + 1) if n_hypotheses > 1 else 1.0
    return levels.double() <= highest + 1e-9


def finite_mean(x: Array, axis: int) -> Array:
    """Mean of the finite values along an axis; NaN where there is none, without a warning."""
    finite = np.isfinite(x)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(finite, x, 0).sum(axis) / finite.sum(axis))


def _rounded(n: float) -> int:
    """Three digits suffice for a null distribution, and share simulations between joints."""
    return int(float(f"{n:.3g}")) if n >= 1 else 0

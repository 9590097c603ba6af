"""Rank histograms: flat under calibration, U-shaped if overconfident, humped if underconfident.

Dawid (1984); Hamill, "Interpretation of rank histograms for verifying ensemble forecasts" (2001);
Gneiting, Balabdaoui and Raftery (2007). For one coordinate the rank is the probability integral
transform (PIT); a slope is a bias. Poses are ranked by a scalar pre-rank, see
:mod:`hypopose.calibration.preranks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hypopose.calibration.ranks import coverage_matrix
from hypopose.errors import OptionError

Test = Literal["ks", "cvm", "chi2"]
Array = NDArray[np.float64]
N_BINS = 20


@dataclass(frozen=True, eq=False)
class RankHistogram:
    """How often the truth has each rank, per cell.

    Args:
        counts: ``(K, S + 1)``, fractional where ties or missing hypotheses were split.
        n_effective: ``(K,)`` independent observations it is worth.
        cells: A name per cell.

    Example:
        >>> flat = RankHistogram(torch.full((1, 10), 50.0), torch.tensor([500.0]), ("depth",))
        >>> flat.p_values().item() > 0.9, flat.shapes()
        (True, ('flat',))
    """

    counts: Tensor
    n_effective: Tensor
    cells: tuple[str, ...]

    @property
    def n_hypotheses(self) -> int:
        """S."""
        return self.counts.shape[-1] - 1

    def density(self, n_bins: int = N_BINS) -> Tensor:
        """``(K, n_bins)`` relative frequency in even bins of [0, 1], 1 everywhere if flat."""
        share = torch.as_tensor(_rebin(self.n_hypotheses + 1, n_bins))
        return self.counts.double() @ share * n_bins / self.counts.sum(-1, keepdim=True)

    @property
    def mean(self) -> Tensor:
        """``(K,)`` mean of u; above 0.5 the truth tends to lie above the hypotheses."""
        return self._moment(1)

    @property
    def dispersion(self) -> Tensor:
        """``(K,)`` variance of u times 12, minus 1: positive = U-shape, overconfident."""
        return 12 * (self._moment(2) - self._moment(1) ** 2) - 1

    def _moment(self, power: int) -> Tensor:
        edges = torch.arange(self.counts.shape[-1] + 1, dtype=torch.float64)
        edges = (edges / edges[-1]) ** (power + 1) / (power + 1)
        per_bin = (edges[1:] - edges[:-1]) * self.counts.shape[-1]
        return (self.counts.double() * per_bin).sum(-1) / self.counts.sum(-1)

    def p_values(self, test: Test = "ks", n_draws: int = 10_000) -> Tensor:
        """``(K,)`` p-values of uniformity, from a simulated null of the effective size.

        Args:
            test: ``ks`` (Kolmogorov-Smirnov), ``cvm`` (Cramér-von Mises) or ``chi2``.
            n_draws: Simulated histograms; the smallest p-value is one over this.

        Raises:
            OptionError: If the test is unknown.
        """
        if test not in _STATISTICS:
            raise OptionError(f"No test {test!r}; choose one of {', '.join(_STATISTICS)}.")
        observed = _STATISTICS[test](self.density().numpy() / N_BINS)
        p = []
        for value, n in zip(observed, self.n_effective.tolist(), strict=True):
            if n < 1:
                p.append(float("nan"))
                continue
            null = _null(int(float(f"{n:.3g}")), self.n_hypotheses, test, n_draws)
            equal_or_more = float((null >= value - 1e-12).sum())
            p.append((1 + equal_or_more) / (1 + n_draws))
        return torch.tensor(p, dtype=torch.float64)

    def shapes(self, level: float = 0.05) -> tuple[str, ...]:
        """Per cell: ``flat`` unless the test rejects (Holm over cells), else what stands out.

        ``high`` or ``low`` if the truth lies mostly above or below the hypotheses, ``u`` if they
        are overconfident, ``hump`` if underconfident.
        """
        rejected = holm(self.p_values()) < level
        words = []
        for r, mean, dispersion in zip(
            rejected.tolist(), self.mean.tolist(), self.dispersion.tolist(), strict=True
        ):
            slope = abs(mean - 0.5) * 12**0.5 > abs(dispersion)
            tilt = "high" if mean > 0.5 else "low"
            bend = "u" if dispersion > 0 else "hump"
            words.append("flat" if not r else tilt if slope else bend)
        return tuple(words)


@lru_cache(maxsize=32)
def _rebin(n_ranks: int, n_bins: int) -> Array:
    """Share of each rank's bin that falls into each of ``n_bins`` even bins."""
    levels = torch.arange(1, n_bins + 1, dtype=torch.float64) / n_bins
    below = coverage_matrix(levels, n_ranks - 1)[:-1]
    return np.asarray(torch.diff(below, prepend=torch.zeros(n_ranks, 1), dim=-1).numpy())


def _ks(frequencies: Array) -> Array:
    edges = np.arange(1, frequencies.shape[-1] + 1) / frequencies.shape[-1]
    return np.asarray(np.abs(frequencies.cumsum(-1) - edges).max(-1))


def _cvm(frequencies: Array) -> Array:
    edges = np.arange(1, frequencies.shape[-1] + 1) / frequencies.shape[-1]
    return np.asarray(((frequencies.cumsum(-1) - edges) ** 2).sum(-1))


def _chi2(frequencies: Array) -> Array:
    return np.asarray(((frequencies - 1 / frequencies.shape[-1]) ** 2).sum(-1))


_STATISTICS = {"ks": _ks, "cvm": _cvm, "chi2": _chi2}


@lru_cache(maxsize=64)
def _null(n: int, n_hypotheses: int, test: str, n_draws: int) -> Array:
    rng = np.random.default_rng(0)
    n_ranks = n_hypotheses + 1
    counts = rng.multinomial(n, np.full(n_ranks, 1 / n_ranks), size=n_draws)
    return _STATISTICS[test](counts @ _rebin(n_ranks, N_BINS) / n)


def holm(p_values: Tensor) -> Tensor:
    """Holm's adjusted p-values: the chance of *any* false alarm stays below the level.

    Args:
        p_values: ``(K,)``; NaN stays NaN and is not counted.

    Example:
        >>> holm(torch.tensor([0.01, 0.04, 0.03], dtype=torch.float64)).tolist()
        [0.03, 0.06, 0.06]
    """
    p = p_values.double()
    order = p.argsort()
    m = int(p.isfinite().sum())
    factor = torch.arange(m, 0, -1, dtype=torch.float64)
    adjusted = torch.full_like(p, torch.nan)
    stepped = (p[order][:m] * factor).cummax(0).values.clamp(max=1)
    adjusted[order[:m]] = stepped
    return adjusted


def benjamini_hochberg(p_values: Tensor) -> Tensor:
    """Benjamini and Hochberg's adjusted p-values: the share of false alarms stays below the level.

    Args:
        p_values: ``(K,)``; NaN stays NaN and is not counted.

    Example:
        >>> benjamini_hochberg(torch.tensor([0.01, 0.04, 0.03], dtype=torch.float64)).tolist()
        [0.03, 0.04, 0.04]
    """
    p = p_values.double()
    order = p.argsort()
    m = int(p.isfinite().sum())
    factor = m / torch.arange(1, m + 1, dtype=torch.float64)
    adjusted = torch.full_like(p, torch.nan)
    stepped = (p[order][:m] * factor).flip(0).cummin(0).values.flip(0).clamp(max=1)
    adjusted[order[:m]] = stepped
    return adjusted

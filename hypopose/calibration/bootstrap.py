"""Intervals and comparisons with the sequence as the unit.

Frames at 50 Hz are almost copies of each other: an interval from resampled frames is too narrow.
Whole sequences are resampled instead (the cluster bootstrap), for one method or for the difference
of two on the same sequences (paired), which cancels the difficulty that both share.

Few sequences make percentile intervals too narrow: the bootstrap's variance is short by a factor
(n - 1) / n and a normal's tails are short of Student's. Percentiles are taken further out for both
(Hesterberg, "What teachers should know about the bootstrap", 2015, "expanded percentiles"); with
two sequences the interval is the whole range of the draws, and still too narrow to be relied on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit
from torch import Tensor

from hypopose.errors import OptionError

Array = NDArray[np.float64]
N_DRAWS = 2000
"""Resampled data sets behind an interval."""
Sums = tuple[float, float]
"""Sum of the values of a sequence, and how many there were."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Args:
        value: The estimate on all data.
        low: Lower end of the interval over sequences; NaN if there are fewer than two.
        high: Upper end.
        n_sequences: Units resampled.
        n_invalid_frames: Frames left out because joints are missing or a pose has no size.
        p_value: Two-sided, for differences: the chance under no difference; else None.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n_sequences: int = 0
    n_invalid_frames: int = 0
    p_value: float | None = None


def tail(confidence: float, n_sequences: int) -> float:
    """Share of the bootstrap draws to cut off at each end.

    Args:
        confidence: Nominal coverage of the interval.
        n_sequences: Units resampled, at least two.

    Returns:
        ``(1 - confidence) / 2`` for many units, less for few.

    Example:
        >>> round(tail(0.95, 5), 4), round(tail(0.95, 1000), 4)
        (0.001, 0.0248)
    """
    n = n_sequences
    t = stdtrit(n - 1, (1 - confidence) / 2)
    return float(ndtr(math.sqrt(n / (n - 1)) * t))


def equal_sequences(n_per_sequence: Tensor) -> Tensor:
    """How many sequences of equal length the given ones are worth: (sum n)^2 / sum n^2 (Kish).

    Args:
        n_per_sequence: ``(C, ...)`` observations per sequence.

    Returns:
        ``(...)`` float64; 0 without observations.

    Example:
        >>> import torch
        >>> equal_sequences(torch.tensor([9.0, 9.0, 9.0])).item()
        3.0
        >>> round(equal_sequences(torch.tensor([998.0, 1.0, 1.0])).item(), 2)
        1.0
    """
    n = n_per_sequence.double()
    return n.sum(0) ** 2 / (n**2).sum(0).clamp(min=1e-300)


def resamples(n: int, n_draws: int, seed: int) -> Iterator[Array]:
    """How often each of n sequences is drawn, ``(draws, n)`` at a time, in bounded memory."""
    rng = np.random.default_rng(seed)
    step = max(1, 2_000_000 // n)
    for i in range(0, n_draws, step):
        yield rng.multinomial(n, np.full(n, 1 / n), size=min(step, n_draws - i)).astype(np.float64)


def mean_of_sums(sums: Array) -> Array:
    """Mean from ``(..., 2)`` sums: the sum of the values and their number; NaN without values."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def cluster_bootstrap(
    sums: Array,
    statistic: Callable[[Array], Array] = mean_of_sums,
    *,
    confidence: float = 0.95,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Interval of a statistic of sums, whole sequences resampled.

    Args:
        sums: ``(C, *any)`` a row of sums per sequence, such that the rows of several sequences add.
        statistic: ``(draws, *any)`` summed rows to ``(draws, *out)`` values.
        confidence: Nominal coverage of the interval.
        n_draws: Resampled data sets.
        seed: Seed of the resampling.

    Returns:
        Lower and upper ends ``(*out)``; NaN with fewer than two sequences, and where no draw has a
        finite value.

    Example:
        >>> values = np.random.default_rng(0).normal(size=(50, 100))
        >>> low, high = cluster_bootstrap(np.stack([values.sum(1), np.full(50, 100.0)], 1))
        >>> bool(low < values.mean() < high)
        True
    """
    n = len(sums)
    if n < 2:
        empty = np.full(statistic(sums.sum(0, keepdims=True)).shape[1:], np.nan)
        return empty, empty.copy()
    drawn = np.concatenate(
        [statistic(np.tensordot(times, sums, axes=1)) for times in resamples(n, n_draws, seed)]
    )
    cut = tail(confidence, n)
    ends = np.full((2, *drawn.shape[1:]), np.nan)
    known = np.isfinite(drawn).any(0)
    shown = np.where(np.isfinite(drawn), drawn, np.nan)[:, known]
    if shown.size:
        ends[:, known] = np.nanquantile(shown, [cut, 1 - cut], axis=0)
    return np.asarray(ends[0]), np.asarray(ends[1])


def paired_difference(
    first: Mapping[Hashable, Sums],
    second: Mapping[Hashable, Sums],
    *,
    confidence: float = 0.95,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Estimate:
    """Mean of the first minus mean of the second, resampling the sequences they share.

    Args:
        first: Sum and number of the values of one method, by sequence.
        second: Sums of another on the same sequences.
        confidence: Nominal coverage of the interval.
        n_draws: Resampled data sets.
        seed: Seed of the resampling.

    Returns:
        The difference; its p-value swaps the methods at random within sequences.

    Raises:
        OptionError: If the two do not cover the same sequences.

    Example:
        >>> import torch
        >>> hard = 10 * torch.arange(40.0)[:, None]  # sequences differ far more than methods
        >>> noise = torch.randn(2, 40, 9, generator=torch.Generator().manual_seed(0))
        >>> a, b = (
        ...     {i: (float(row.sum()), 9.0) for i, row in enumerate(hard + shift + noise[shift])}
        ...     for shift in (0, 1)
        ... )
        >>> d = paired_difference(a, b)
        >>> d.high < 0, d.p_value < 0.01
        (True, True)
    """
    if set(first) != set(second):
        raise OptionError(
            "A paired difference needs both methods on the same sequences; "
            f"{len(set(first) ^ set(second))} are in one only."
        )
    keys = [k for k in first if first[k][1] > 0 and second[k][1] > 0]
    if not keys:
        raise OptionError("There is no sequence with finite values of both methods.")
    a = np.asarray([first[k] for k in keys], dtype=np.float64)
    b = np.asarray([second[k] for k in keys], dtype=np.float64)
    estimate = float(_gap(a.sum(0), b.sum(0)))
    rows = np.stack([a, b], 1)
    low, high = cluster_bootstrap(
        rows,
        lambda drawn: _gap(drawn[:, 0], drawn[:, 1]),
        confidence=confidence,
        n_draws=n_draws,
        seed=seed,
    )
    if len(keys) < 2:
        return Estimate(estimate, n_sequences=len(keys))
    rng = np.random.default_rng(seed)
    null = np.concatenate(
        [
            _gap(coins @ a + (1 - coins) @ b, coins @ b + (1 - coins) @ a)
            for coins in (
                rng.integers(0, 2, (len(part), len(keys))).astype(np.float64)
                for part in resamples(len(keys), n_draws, seed)
            )
        ]
    )
    p = (1 + float((np.abs(null) >= abs(estimate)).sum())) / (1 + n_draws)
    return Estimate(estimate, float(low), float(high), len(keys), p_value=p)


def _gap(a: Array, b: Array) -> Array:
    """Difference of two means; the last axis is (sum, count)."""
    return np.asarray(a[..., 0] / a[..., 1] - b[..., 0] / b[..., 1])

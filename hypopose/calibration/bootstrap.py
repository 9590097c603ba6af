"""Intervals and comparisons with the sequence as the unit.

Frames at 50 Hz are almost copies of each other: an interval from resampled frames is too narrow.
Whole sequences are resampled instead (the cluster bootstrap), for one method or for the difference
of two on the same sequences (paired), which cancels what makes a sequence hard for both.

Few sequences make percentile intervals too narrow: the bootstrap's variance is short by a factor
(n - 1) / n and a normal's tails are short of Student's. Percentiles are taken further out for both
(Hesterberg, "What teachers should know about the bootstrap", 2015, "expanded percentiles"); with
two sequences the interval is the whole range of the draws, and still too narrow to be relied on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit
from torch import Tensor

from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D

Array = NDArray[np.float64]
Sums = tuple[float, float]
"""Sum of the values of a sequence, and how many there were."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval.

    Args:
        estimate: The value on all data.
        low: Lower end.
        high: Upper end.
        confidence: Nominal coverage of the interval.
        n_sequences: Units resampled; with fewer than two the ends are NaN.
        p_value: Two-sided, for differences: the chance under no difference; else None.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    n_sequences: int
    p_value: float | None = None


def sequence_sums(
    values: Tensor, sequences: Sequence[Hashable] | None = None
) -> dict[Hashable, Sums]:
    """Sum finite values by sequence.

    Args:
        values: ``(N, ...)``, one row per item.
        sequences: N labels; None: every item is its own sequence.

    Raises:
        ShapeError: If there are not N labels.

    Example:
        >>> sequence_sums(torch.tensor([1.0, 2.0, 5.0]), ["a", "a", "b"])
        {'a': (3.0, 2.0), 'b': (5.0, 1.0)}
    """
    labels = list(range(len(values))) if sequences is None else list(sequences)
    if len(labels) != len(values):
        raise ShapeError(f"{len(values)} items need as many sequence labels, got {len(labels)}.")
    flat = values.detach().cpu().double().reshape(len(labels), -1)
    finite = flat.isfinite()
    totals = torch.where(finite, flat, 0).sum(-1).tolist()
    counts = finite.sum(-1).tolist()
    sums: dict[Hashable, Sums] = {}
    for label, total, count in zip(labels, totals, counts, strict=True):
        before = sums.get(label, (0.0, 0.0))
        sums[label] = (before[0] + total, before[1] + count)
    return sums


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


def cluster_bootstrap(
    sums: Mapping[Hashable, Sums], *, confidence: float = 0.95, n_draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean of all values with an interval from resampled sequences.

    Args:
        sums: From :func:`sequence_sums`, or an accumulator's.
        confidence: Nominal coverage of the interval.
        n_draws: Resampled data sets.
        seed: Seed of the resampling.

    Raises:
        OptionError: If there is no finite value.

    Example:
        >>> values = torch.randn(50, 100, generator=torch.Generator().manual_seed(0))
        >>> interval = cluster_bootstrap(sequence_sums(values))
        >>> interval.low < interval.estimate < interval.high
        True
    """
    rows = [row for row in sums.values() if row[1] > 0]
    if not rows:
        raise OptionError("There is no finite value to average.")
    estimate = sum(r[0] for r in rows) / sum(r[1] for r in rows)
    if len(rows) < 2:
        return Interval(estimate, float("nan"), float("nan"), confidence, len(rows))
    table = np.asarray(rows, dtype=np.float64)
    draws = np.concatenate([times @ table for times in resamples(len(rows), n_draws, seed)])
    cut = tail(confidence, len(rows))
    low, high = np.quantile(draws[:, 0] / draws[:, 1], [cut, 1 - cut])
    return Interval(estimate, float(low), float(high), confidence, len(rows))


def paired_difference(
    first: Mapping[Hashable, Sums],
    second: Mapping[Hashable, Sums],
    *,
    confidence: float = 0.95,
    n_draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of the first minus mean of the second, resampling the sequences they share.

    Args:
        first: Sums of one method.
        second: Sums of another on the same sequences.
        confidence: Nominal coverage of the interval.
        n_draws: Resampled data sets.
        seed: Seed of the resampling.

    Returns:
        The difference; its p-value swaps the methods at random within sequences.

    Raises:
        OptionError: If the two do not cover the same sequences.

    Example:
        >>> hard = 10 * torch.arange(40.0)[:, None]  # sequences differ far more than methods
        >>> noise = torch.randn(2, 40, 9, generator=torch.Generator().manual_seed(0))
        >>> a, b = sequence_sums(hard + noise[0]), sequence_sums(hard + 1 + noise[1])
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
    estimate = _gap(a.sum(0), b.sum(0))
    if len(keys) < 2:
        return Interval(float(estimate), float("nan"), float("nan"), confidence, len(keys))
    times = list(resamples(len(keys), n_draws, seed))
    draws = np.concatenate([_gap(t @ a, t @ b) for t in times])
    cut = tail(confidence, len(keys))
    low, high = np.quantile(draws, [cut, 1 - cut])
    rng = np.random.default_rng(seed)
    coins = [rng.integers(0, 2, t.shape).astype(np.float64) for t in times]
    null = np.concatenate([_gap(c @ a + (1 - c) @ b, c @ b + (1 - c) @ a) for c in coins])
    p = (1 + float((np.abs(null) >= abs(estimate)).sum())) / (1 + n_draws)
    return Interval(float(estimate), float(low), float(high), confidence, len(keys), p)


def _gap(a: Array, b: Array) -> Array:
    """Difference of two means; the last axis is (sum, count)."""
    return np.asarray(a[..., 0] / a[..., 1] - b[..., 0] / b[..., 1])


@dataclass(eq=False)
class ScoreAccumulator:
    """Streams a score, and gives its mean with an interval over sequences; mergeable.

    Memory: two numbers per sequence.

    Args:
        score: Hypotheses and truth to one value per item, frame or joint, ``(*batch, ...)``.

    Example:
        >>> from hypopose.calibration import energy_score
        >>> x = torch.randn(60, 9, 2, 3, 3, generator=torch.Generator().manual_seed(0))
        >>> accumulator = ScoreAccumulator(energy_score)
        >>> accumulator.update(x[:, 1:], x[:, 0], sequences=[i // 6 for i in range(60)])
        >>> interval = accumulator.compute()
        >>> interval.n_sequences, interval.low < interval.estimate < interval.high
        (10, True)
    """

    score: Callable[[Any, Any], Tensor]
    sums: dict[Hashable, Sums] = field(default_factory=dict)

    def update(
        self,
        hypotheses: Hypotheses | Tensor,
        truth: Poses3D | Tensor,
        *,
        sequences: Sequence[Hashable] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            hypotheses: ``(*batch, H, F, J, 3)``.
            truth: ``(*batch, F, J, 3)``.
            sequences: The sequence of each batch item; None: every item is its own.
        """
        values = self.score(hypotheses, truth)
        y = truth.joints if isinstance(truth, Poses3D) else truth
        n = y.shape[:-3].numel()
        labels = [_Anonymous() for _ in range(n)] if sequences is None else sequences
        self._add(sequence_sums(values.reshape(n, -1), labels))

    def merge(self, other: ScoreAccumulator) -> None:
        """Add another accumulator's sums; equal labels are one sequence."""
        self._add(other.sums)

    def _add(self, sums: Mapping[Hashable, Sums]) -> None:
        for label, (total, count) in sums.items():
            before = self.sums.get(label, (0.0, 0.0))
            self.sums[label] = (before[0] + total, before[1] + count)

    def compute(self, confidence: float = 0.95) -> Interval:
        """Mean and interval of everything seen so far."""
        return cluster_bootstrap(self.sums, confidence=confidence)


class _Anonymous:
    """Label of a sequence nobody named: equal to itself only."""

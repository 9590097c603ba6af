"""Where the truth ranks among the hypotheses, exactly uniform if they come from one distribution.

Under calibration the truth and the S hypotheses are exchangeable, so any statistic computed the
same way for all S+1 points ranks the truth uniformly on 0..S, *for every S*. The distance to a
center is such a statistic only if the center is computed from all S+1 points ("symmetrized"); a
center fitted to the hypotheses alone makes small S look overconfident.

Ties are split evenly. An observation with rank r, m ties and n hypotheses stands for the uniform
distribution on [r, r+m+1] / (n+1) (Czado, Gneiting and Held, "Predictive model assessment for count
data", 2009: the nonrandomized PIT), so no random numbers are drawn and results repeat exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import ascending, valid
from hypopose.calibration.provenance import Counts


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of truth values among their hypotheses, all of one shape.

    Args:
        below: Hypotheses strictly below the truth.
        ties: Hypotheses equal to the truth.
        n: Hypotheses that are finite; 0 where the observation is unusable.
        identical: True where all hypotheses agree and the truth lies elsewhere.
        counts: What was skipped and odd.
    """

    below: Tensor
    ties: Tensor
    n: Tensor
    identical: Tensor
    counts: Counts


def pooled_median(pool: Tensor, n: Tensor) -> Tensor:
    """Coordinate-wise median of the first ``n`` values in ascending order, middle two averaged.

    Args:
        pool: ``(..., D, P)``; points to leave out are infinite.
        n: ``(...)``, finite points per observation.

    Returns:
        ``(..., D)``.
    """
    rising = ascending(pool)
    n = n[..., None, None].expand(*pool.shape[:-1], 1)
    low, high = rising.gather(-1, (n - 1) // 2), rising.gather(-1, n // 2)
    return ((low + high) / 2).squeeze(-1)


def distance_ranks(samples: Tensor, truth: Tensor) -> Ranks:
    """Rank the truth's distance to the symmetrized center among the hypotheses'.

    Args:
        samples: ``(..., D, H)``.
        truth: ``(..., D)``.

    Returns:
        Ranks of shape ``(...)``; 0 is the center. Hypotheses that all agree are a point prediction:
        a single one cannot be told from it.

    Example:
        >>> x = torch.tensor([[[-2.0, -1.0, 1.0, 2.0]]])
        >>> distance_ranks(x, torch.tensor([[0.1]])).below.item()
        0
        >>> distance_ranks(x, torch.tensor([[9.0]])).below.item()
        4
    """
    finite = torch.isfinite(samples).all(-2)
    known = valid(truth)
    pool = torch.where(finite.unsqueeze(-2), samples, torch.inf)
    pool = torch.cat([pool, truth.nan_to_num().unsqueeze(-1)], -1)
    center = pooled_median(pool, finite.sum(-1) + 1)
    squared = (pool - center.unsqueeze(-1)).square_().sum(-2)
    e, t = squared[..., :-1], squared[..., -1]
    first = samples.gather(-1, finite.int().argmax(-1)[..., None, None].expand(*truth.shape, 1))
    same = ((samples == first).all(-2) | ~finite).all(-1)
    elsewhere = same & (truth != first.squeeze(-1)).any(-1)
    ranks = ranks_of(e, t, finite, known)
    alone = elsewhere & (ranks.n > 0)
    # One hypothesis and the truth are equally far from their mean: a tie without information.
    ties = torch.where(alone, 0, ranks.ties)
    counts = Counts(**{**vars(ranks.counts), "tied": int((ties > 0).sum()),
                       "identical": int((same & (ranks.n > 0)).sum())})  # fmt: skip
    return Ranks(torch.where(alone, ranks.n, ranks.below), ties, ranks.n, alone, counts)


def value_ranks(samples: Tensor, truth: Tensor) -> Ranks:
    """Rank a scalar truth among its hypotheses: the probability integral transform.

    Args:
        samples: ``(..., H)``.
        truth: ``(...)``.

    Returns:
        Ranks of shape ``(...)``; ``identical`` is False throughout, for a point prediction has a
        rank like any other (0 or S).
    """
    finite = torch.isfinite(samples)
    return ranks_of(samples, truth, finite, torch.isfinite(truth))


def ranks_of(e: Tensor, t: Tensor, finite: Tensor, known: Tensor) -> Ranks:
    """Rank values already computed.

    Args:
        e: ``(..., H)``, one value per hypothesis.
        t: ``(...)``, the truth's.
        finite: ``(..., H)``, hypotheses to use.
        known: ``(...)``, where the truth is known.
    """
    n_finite = finite.sum(-1)
    used = known & (n_finite > 0)
    n = torch.where(used, n_finite, 0)
    below = ((e < t.unsqueeze(-1)) & finite).sum(-1) * used
    ties = ((e == t.unsqueeze(-1)) & finite).sum(-1) * used
    counts = Counts(
        observations=int(used.sum()),
        missing_truth=int((~known).sum()),
        no_hypothesis=int((known & (n_finite == 0)).sum()),
        nan_hypotheses=int((e.shape[-1] - n)[used].sum()),
        tied=int((ties > 0).sum()),
    )
    return Ranks(below, ties, n, torch.zeros_like(used), counts)


def rank_mass(ranks: Ranks, group: Tensor, n_groups: int, n_hypotheses: int) -> Tensor:
    """Histogram of ranks per group, in fractions where ties or missing hypotheses need them.

    Args:
        ranks: Ranks of shape ``(M,)`` (flattened).
        group: Group of each, ``(M,)`` in 0..n_groups-1.
        n_groups: Rows of the result.
        n_hypotheses: S, which fixes the bins.

    Returns:
        ``(n_groups, S + 2)`` float64. Bins 0..S split [0, 1] evenly; bin S+1 holds observations
        beyond every level, which point predictions are.
    """
    n_bins = n_hypotheses + 2
    plain = (ranks.n == n_hypotheses) & (ranks.ties == 0)
    bin_ = torch.where(ranks.identical, n_hypotheses + 1, ranks.below)
    simple = (plain | ranks.identical) & (ranks.n > 0)
    index = group[simple] * n_bins + bin_[simple]
    mass = torch.bincount(index, minlength=n_groups * n_bins).double().reshape(n_groups, n_bins)
    odd = ~simple & (ranks.n > 0)
    if bool(odd.any()):
        shares = _shares(ranks.below[odd], ranks.ties[odd], ranks.n[odd], n_hypotheses)
        mass[:, :-1].index_add_(0, group[odd], shares)
    return mass


def _shares(below: Tensor, ties: Tensor, n: Tensor, n_hypotheses: int) -> Tensor:
    """How much of [r, r+m+1]/(n+1) falls into each of S+1 even bins: ``(M,) -> (M, S+1)``."""
    edges = torch.arange(n_hypotheses + 2, dtype=torch.float64, device=n.device)
    edges = edges / (n_hypotheses + 1)
    high = ((below + ties + 1).double() / (n + 1))[:, None]
    low = (below.double() / (n + 1))[:, None]
    overlap = torch.minimum(high, edges[1:]) - torch.maximum(low, edges[:-1])
    return overlap.clamp(min=0) / (high - low)


def coverage_matrix(levels: Tensor, n_hypotheses: int) -> Tensor:
    """Which share of each rank bin lies below each level: ``(S + 2, L)`` float64."""
    rank = torch.arange(n_hypotheses + 2, dtype=torch.float64)
    share = (levels.double() * (n_hypotheses + 1) - rank[:, None]).clamp(0, 1)
    share[-1] = 0
    return share

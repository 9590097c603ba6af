"""The calibration curve in the limit of many hypotheses, from as few as five.

A curve counted from S hypotheses depends on S unless it is the diagonal: S + 1 ranks blur it, and a
center found from few points lies off. The error (ECE) must not depend on S. So it is computed from
small pools of the same size whatever S is, and from an expansion that loses nothing to their size:

    s            size of a pool of hypotheses: 3 and 5; each is ranked together with the truth
    r            rank of the truth in the pool, 0..s: binomial given u, the truth's place in 0..1
    P_l          Legendre polynomials on 0..1; l = 1 tilts the curve, l = 2 bends it
    h_l(r)       the statistic with mean P_l(u) for *every* s: r^j / s^j with falling powers
    c_l          its mean over pools and observations; 0 under calibration, exactly, for every s
    F(q)         the curve: q + sum_l c_l (P_{l+1}(q) - P_{l-1}(q)) / 2

What remains of the pool's size is the center, which is off by terms in 1 / (s + 1): they cancel in
3 c(5) - 2 c(3) (Richardson's extrapolation; the weights follow from 1/6 and 1/4). All pools of a
data set have these sizes, so the expectation is the same for S = 5 and S = 200, calibrated or not,
and more hypotheses only make it less noisy. The truncation to two terms and the extrapolation cause
an error: up to 8 % of the ECE where the spread is off by a factor of up to two
(docs/reference/calibration.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from hypopose.calibration.ranks import Ranks, distance_ranks

Center = Callable[[list[Tensor]], Tensor]
ORDER = 2
"""Terms of the expansion."""
SMALL, LARGE = 3, 5
CACHE_BYTES = 2**18
"""Points ranked at a time: what a core keeps close decides the speed."""
MAX_GROUPS = 8
"""Groups of five hypotheses looked at: 8 leave 1.2 times the noise of all 40 among 200."""


@lru_cache(maxsize=64)
def rank_statistics(n_hypotheses: int) -> Tensor:
    """h_l(r), whose mean given u is P_l(u): ``(S + 1, ORDER)`` float64.

    Terms beyond S cannot be told from S hypotheses, and are 0.

    Example:
        >>> rank_statistics(2)[:, 0].tolist()  # P_1(u) = 2 u - 1
        [-1.0, 0.0, 1.0]
        >>> rank_statistics(7).mean(0).abs().max().item() < 1e-12  # 0 if ranks are uniform
        True
    """
    rank = torch.arange(n_hypotheses + 1, dtype=torch.float64)
    out = torch.zeros(n_hypotheses + 1, ORDER, dtype=torch.float64)
    for order in range(1, min(ORDER, n_hypotheses) + 1):
        power = torch.ones_like(rank)
        for j in range(order + 1):
            sign = (-1) ** (order - j) * math.comb(order, j) * math.comb(order + j, j)
            out[:, order - 1] += sign * power
            power = power * (rank - j) / max(n_hypotheses - j, 1)
    return out


@lru_cache(maxsize=8)
def _tied(size: int) -> Tensor:
    """h_l by (finite hypotheses, below, ties), averaged over ties: ``(s+1, s+1, s+1, ORDER)``."""
    table = torch.zeros(size + 1, size + 1, size + 1, ORDER, dtype=torch.float64)
    for n in range(1, size + 1):
        for below in range(n + 1):
            for ties in range(n + 1 - below):
                table[n, below, ties] = rank_statistics(n)[below : below + ties + 1].mean(0)
    return table


@lru_cache(maxsize=64)
def pools(n_hypotheses: int) -> tuple[tuple[float, Tensor], ...]:
    """Which hypotheses are pooled: (weight, ``(pools, size)`` indices) for each size.

    Fewer than five hypotheses make one pool and allow no extrapolation.

    Example:
        >>> [(weight, tuple(members.shape)) for weight, members in pools(20)]
        [(3.0, (4, 5)), (-2.0, (20, 3))]
    """
    if n_hypotheses < LARGE:
        return ((1.0, torch.arange(n_hypotheses)[None]),)
    groups = min(n_hypotheses // LARGE, MAX_GROUPS)
    large = torch.arange(groups * LARGE).reshape(groups, LARGE)
    small = torch.stack([large.roll(-i, 1)[:, :SMALL] for i in range(LARGE)], 1)
    return (3.0, large), (-2.0, small.reshape(-1, SMALL))


def distance_statistics(samples: Tensor, truth: Tensor, n_groupings: int = 1) -> Tensor:
    """What each observation adds to c_l, its truth ranked by the distance to the pool's center.

    Args:
        samples: ``(..., D, S)``; hypotheses that are NaN are left out.
        truth: ``(..., D)``.
        n_groupings: Groupings of the hypotheses into pools, averaged. On 24 views of test-clean
            eight single groupings of 20 hypotheses gave an ECE of .037 to .064 (of the median
            joint .009 to .025): hypotheses keep their place for a whole clip, so that few clips
            leave one grouping noisy.

    Returns:
        ``(..., ORDER)`` float64; 0 where nothing can be ranked.

    Example:
        >>> x = torch.randn(4000, 3, 6, generator=torch.Generator().manual_seed(0))
        >>> calibrated = distance_statistics(x[..., :5], x[..., 5])
        >>> narrow = distance_statistics(0.5 * x[..., :5], x[..., 5])
        >>> calibrated.mean(0).abs().max().item() < 0.05, narrow.mean(0)[0].item() > 0.65
        (True, True)
    """
    draws = [_grouped(samples, truth, grouping) for grouping in range(n_groupings)]
    return draws[0] if n_groupings == 1 else torch.stack(draws).mean(0)


def _grouped(samples: Tensor, truth: Tensor, grouping: int) -> Tensor:
    """The statistics of one grouping, block by block."""
    sizes = pools(samples.shape[-1])
    samples = _first(samples, int(sizes[0][1].max()) + 1, grouping)
    s, d = samples.shape[-1], samples.shape[-2]
    flat, target = samples.reshape(-1, d, s), truth.reshape(-1, d)
    rows = max(1, CACHE_BYTES // (d * MAX_GROUPS * LARGE * samples.element_size()))
    out = torch.zeros(len(target), ORDER, dtype=torch.float64, device=truth.device)
    for i in range(0, len(target), rows):
        for weight, members in sizes:
            x, y = flat[i : i + rows], target[i : i + rows]
            out[i : i + rows] += weight * _statistics(x, y, members)
    return out.reshape(*truth.shape[:-1], ORDER)


def _statistics(samples: Tensor, truth: Tensor, members: Tensor) -> Tensor:
    """Mean of h_l over the pools of one size: ``(M, D, S), (M, D) -> (M, ORDER)``."""
    size = members.shape[1]
    inside = [samples[..., at.to(samples.device)] for at in members.T]
    if size in CENTERS and bool(torch.isfinite(samples).all()):
        known = torch.isfinite(truth).all(-1, keepdim=True)
        below, ties = _ranked(inside, truth.nan_to_num().unsqueeze(-1), CENTERS[size])
        values = _tied(size).to(truth.device)[size, below, ties].mean(-2)
        return torch.where(known, values, 0)
    pooled = torch.stack(inside, -1).movedim(-2, -3)
    return _mean_over_pools(
        distance_ranks(pooled, truth.unsqueeze(-2).expand(pooled.shape[:-1])), size
    )


def _ranked(inside: list[Tensor], truth: Tensor, center: Center) -> tuple[Tensor, Tensor]:
    """Hypotheses nearer to the center than the truth, and as near: ``(..., P)`` each."""
    middle = center([*inside, truth.expand_as(inside[0])])
    far = (truth - middle).square_().sum(-2)
    near = [(x - middle).square_().sum(-2) for x in inside]
    below = torch.stack([e < far for e in near]).sum(0)
    return below, torch.stack([e == far for e in near]).sum(0)


def _middle_of_four(points: list[Tensor]) -> Tensor:
    a, b, c, d = points
    lower = torch.maximum(torch.minimum(a, b), torch.minimum(c, d))
    return (lower + torch.minimum(torch.maximum(a, b), torch.maximum(c, d))) / 2


def _middle_of_six(points: list[Tensor]) -> Tensor:
    """Third and fourth of two ascending triples merged, averaged."""
    a, b, c = _three(*points[:3])
    d, e, f = _three(*points[3:])
    low, high = torch.maximum, torch.minimum
    third = high(high(c, f), high(low(a, e), low(b, d)))
    fourth = low(low(a, d), low(high(b, f), high(c, e)))
    return (third + fourth) / 2


def _three(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a, b = torch.minimum(a, b), torch.maximum(a, b)
    b, c = torch.minimum(b, c), torch.maximum(b, c)
    return torch.minimum(a, b), torch.maximum(a, b), c


CENTERS: dict[int, Center] = {SMALL: _middle_of_four, LARGE: _middle_of_six}
"""The median of a full pool and the truth, without sorting."""


def _first(samples: Tensor, n: int, grouping: int = 0) -> Tensor:
    """The first ``n`` hypotheses in a fixed random order, whatever the sampler's; NaN last."""
    s = samples.shape[-1]
    order = torch.randperm(s, generator=torch.Generator().manual_seed(grouping)).to(samples.device)
    finite = torch.isfinite(samples).all(-2)
    if bool(finite.all()):
        return samples[..., order[:n]]
    at = order[(~finite)[..., order].int().sort(dim=-1, stable=True).indices[..., :n]]
    return samples.gather(-1, at.unsqueeze(-2).expand(*samples.shape[:-1], n))


def _mean_over_pools(ranks: Ranks, size: int) -> Tensor:
    """Mean of h_l over full pools, ``(..., P) -> (..., ORDER)``; over the fullest if none is."""
    n = ranks.n
    used = (n == n.amax(-1, keepdim=True)).double().unsqueeze(-1)
    values = _tied(size).to(n.device)[n, ranks.below, ranks.ties]
    return (values * used).sum(-2) / used.sum(-2)


def limit_curve(levels: Tensor, c: Tensor) -> Tensor:
    """Coverage in the limit of many hypotheses.

    Args:
        levels: ``(L,)`` nominal levels q.
        c: ``(..., ORDER + 1)``: c_l, then the share of point predictions, which cover 0.

    Returns:
        ``(..., L)`` within 0..1.

    Example:
        >>> q = torch.tensor([0.25, 0.5, 0.75])
        >>> limit_curve(q, torch.zeros(3)).tolist(), limit_curve(q, torch.tensor([0, 0, 1.0])).sum()
        ([0.25, 0.5, 0.75], tensor(0., dtype=torch.float64))
    """
    q = levels.double()
    return (q + c.double() @ _bends(q)).clamp(0, 1)


def _bends(levels: Tensor) -> Tensor:
    """How c and the share of points move the curve: ``(ORDER + 1, L)``."""
    x = 2 * levels.double() - 1
    legendre = [torch.ones_like(x), x]
    for k in range(1, ORDER + 1):
        legendre.append(((2 * k + 1) * x * legendre[k] - k * legendre[k - 1]) / (k + 1))
    rows = [(legendre[k + 1] - legendre[k - 1]) / 2 for k in range(1, ORDER + 1)]
    return torch.stack([*rows, -levels.double()])


@lru_cache(maxsize=64)
def null_covariance(n_hypotheses: int, statistic: str, n_draws: int = 20_000) -> Tensor:
    """Covariance of one observation's share in c_l under calibration: ``(ORDER, ORDER)``.

    Exact for whatever is ranked in one pool of all S; for distances simulated with normal points in
    three dimensions (in one dimension it is 4 % less).
    """
    if statistic != "distance":
        h = rank_statistics(n_hypotheses)
        return h.T @ h / len(h)
    g = torch.Generator().manual_seed(0)
    looked_at = min(n_hypotheses, MAX_GROUPS * LARGE)  # more would only take memory
    x = torch.randn(n_draws, 3, looked_at + 1, generator=g)
    c = distance_statistics(x[..., :-1], x[..., -1])
    return c.T @ c / n_draws


def null_error(n: float, levels: Tensor, n_hypotheses: int, statistic: str = "distance") -> float:
    """Expected ECE of a perfectly calibrated model with ``n`` independent observations.

    c_l is a mean of n, so nearly normal; a normal number's mean distance from 0 is sqrt(2 / pi) of
    its standard deviation.

    Example:
        >>> levels = torch.linspace(0.05, 0.95, 19)
        >>> null_error(100.0, levels, 20) > null_error(100.0, levels, 200) > 0
        True
        >>> round(null_error(100.0, levels, 20) / null_error(1e4, levels, 20), 6)
        10.0
    """
    if n < 1:
        return float("nan")
    bends = _bends(levels)[:-1]
    variance = (bends * (null_covariance(n_hypotheses, statistic) @ bends)).sum(0) / n
    return float((variance.clamp(min=0) * 2 / math.pi).sqrt().mean())

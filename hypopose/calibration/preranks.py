"""Multivariate ranks: a pre-rank reduces the many coordinates of a pose to one number.

Gneiting, Stanberry, Grimit, Held and Johnson, "Assessing probabilistic forecasts of multivariate
quantities, with an application to ensemble predictions of surface winds" (2008); Thorarinsdottir,
Scheuerer and Heinz (2016: average rank, band depth); Smith and Hansen (2004: spanning tree); Allen,
Ziegel and Ginsbourger (2024: location, scale, dependence). Nearest-neighbor distances rank by
density: the coverage of highest-density regions (Hyndman 1996) without a density.

A pre-rank sees the S+1 pooled points without knowing which is the truth, so the truth's rank is
exactly uniform on 0..S for every S. They differ in what they are sensitive to:

    average      all coordinates too high or too low
    band         too central or too outlying (low rank = outlying)
    mst          length of the spanning tree of the others (low rank = outlying)
    energy       mean distance to the others (high rank = outlying)
    nearest      distance to the k-th neighbor (high rank = low density; 1 - HPD credibility)
    location     mean of the coordinates
    scale        standard deviation of the coordinates
    dependence   variogram against the mean variogram (high rank = wrong dependence)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hypopose.calibration import paired_arrays
from hypopose.calibration.provenance import Counts
from hypopose.calibration.ranks import Ranks, ranks_of

PreRank = Callable[[Tensor], Tensor]
"""Pooled points ``(M, P, D)`` to one number per point, ``(M, P)``."""


def _coordinate_ranks(pool: Tensor) -> Tensor:
    """Rank 1..P of each coordinate among the pooled points, ties averaged."""
    x = pool.mT.contiguous()
    ascending = x.sort(-1).values
    low = torch.searchsorted(ascending, x, right=False)
    high = torch.searchsorted(ascending, x, right=True)
    return ((low + 1 + high).double() / 2).mT


def average(pool: Tensor) -> Tensor:
    """Mean over coordinates of the coordinate's rank."""
    return _coordinate_ranks(pool).mean(-1)


def band(pool: Tensor) -> Tensor:
    """Modified band depth: how often the point lies between two others, per coordinate."""
    rank = _coordinate_ranks(pool)
    return ((pool.shape[1] - rank) * (rank - 1)).mean(-1)


def _distances(pool: Tensor) -> Tensor:
    return torch.cdist(pool, pool, compute_mode="donot_use_mm_for_euclid_dist")


def energy(pool: Tensor) -> Tensor:
    """Mean distance to the other points."""
    return _distances(pool).sum(-1) / (pool.shape[1] - 1)


def nearest(pool: Tensor) -> Tensor:
    """Distance to the k-th nearest other point, k the rounded square root of their number."""
    k = max(1, round(math.sqrt(pool.shape[1] - 1)))
    return _distances(pool).kthvalue(min(k + 1, pool.shape[1]), dim=-1).values


def location(pool: Tensor) -> Tensor:
    """Mean of the coordinates."""
    return pool.mean(-1)


def scale(pool: Tensor) -> Tensor:
    """Variance of the coordinates within the point."""
    return pool.var(-1, correction=0)


def dependence(pool: Tensor) -> Tensor:
    """Squared distance of the point's variogram (p = 0.5) from the mean variogram of all."""
    a, b = torch.triu_indices(pool.shape[-1], pool.shape[-1], 1)
    g = (pool[..., a] - pool[..., b]).abs().sqrt()
    return ((g - g.mean(1, keepdim=True)) ** 2).sum(-1)


def mst(pool: Tensor) -> Tensor:
    """Length of the minimum spanning tree of the *other* points, by Prim's algorithm."""
    m, p, _ = pool.shape
    distance = _distances(pool)
    left_out = torch.eye(p, dtype=torch.bool, device=pool.device)[None].expand(m, p, p)
    start = torch.where(torch.arange(p) == 0, 1, 0)
    reached = left_out.clone()
    reached[:, torch.arange(p), start] = True
    nearest_edge = distance[:, start].clone()
    length = torch.zeros(m, p, dtype=pool.dtype, device=pool.device)
    for _ in range(p - 2):
        open_edge = torch.where(reached, torch.inf, nearest_edge)
        edge, joined = open_edge.min(-1)
        length = length + edge
        reached.scatter_(-1, joined.unsqueeze(-1), True)
        from_joined = distance.gather(1, joined.unsqueeze(-1).expand(m, p, p))
        nearest_edge = torch.minimum(nearest_edge, from_joined)
    return length


PRERANKS: dict[str, PreRank] = {
    "average": average,
    "band": band,
    "mst": mst,
    "energy": energy,
    "nearest": nearest,
    "location": location,
    "scale": scale,
    "dependence": dependence,
}


def prerank_ranks(name: str, samples: Tensor, truth: Tensor) -> Ranks:
    """Rank the truth among the hypotheses by a pre-rank.

    Args:
        name: A key of :data:`PRERANKS`.
        samples: ``(..., D, H)``.
        truth: ``(..., D)``.

    Returns:
        Ranks of shape ``(...)``. Ties are split evenly, so a pre-rank that cannot tell points apart
        (``nearest`` of two points) gives uniform ranks rather than wrong ones.
    """
    d, h = samples.shape[-2:]
    x, y = samples.reshape(-1, d, h), truth.reshape(-1, d)
    finite = x.isfinite().all(-2)
    known = y.isfinite().all(-1)
    value = torch.full((len(x), h + 1), torch.nan, dtype=torch.float64, device=x.device)
    whole = finite.all(-1) & known
    pool = torch.cat([x, y.unsqueeze(-1)], -1).mT
    size = 8 * (h + 1) * max(h + 1, d * d // 2 if name == "dependence" else d)
    rows = max(1, paired_arrays.WORKING_BYTES // size)
    for i in torch.split(whole.nonzero().flatten(), rows):
        value[i] = PRERANKS[name](pool[i]).double()
    for row in (known & ~whole & finite.any(-1)).nonzero().flatten().tolist():
        keep = torch.cat([finite[row], torch.ones_like(finite[row, :1])])
        value[row, keep] = PRERANKS[name](pool[row, keep][None])[0].double()
    ranks = ranks_of(value[:, :-1], value[:, -1], finite, known)
    shape = truth.shape[:-1]
    return Ranks(
        ranks.below.reshape(shape),
        ranks.ties.reshape(shape),
        ranks.n.reshape(shape),
        ranks.identical.reshape(shape),
        Counts(**vars(ranks.counts)),
    )

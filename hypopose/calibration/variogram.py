"""Variogram score: are the dependences between joints and times right?

Scheuerer and Hamill, "Variogram-based proper scoring rules for probabilistic forecasts of
multivariate quantities" (2015).

    g_ab         |y_a - y_b|^p for two components a, b; p is 0.5 unless given
    VS           sum over ordered pairs of w_ab (g_ab(y) - mean_s g_ab(x_s))^2

Components are coordinates, as in the paper, or joints with their distance (invariant to rotation),
or one joint at two times (its speed). The score ignores location: it is proper, not strictly so.
The fair form subtracts what the mean over S hypotheses adds: the variance of g_ab over S.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from hypopose.calibration import arrays
from hypopose.errors import OptionError
from hypopose.types import Hypotheses, Poses3D

Components = Literal["coordinates", "distances", "speeds"]
PairMap = Callable[[Tensor], Tensor]


def variogram_score_pairs(
    samples: Tensor, truth: Tensor, *, pair_weights: Tensor | None = None, fair: bool = True
) -> Tensor:
    """The score from values already formed for each unordered pair.

    Args:
        samples: ``(..., S, P)``; a hypothesis with a NaN is left out.
        truth: ``(..., P)``.
        pair_weights: ``(P,)``; ones if None.
        fair: Unbiased in the number of hypotheses.

    Returns:
        ``(...)`` float64, each pair counted twice (ordered pairs).
    """
    finite = samples.isfinite().all(-1, keepdim=True)
    n = finite.sum(-2)
    mean = torch.where(finite, samples, 0).double().sum(-2) / n
    term = (truth.double() - mean) ** 2
    if fair:
        deviation = torch.where(finite, samples.double() - mean.unsqueeze(-2), 0)
        variance = (deviation**2).sum(-2) / (n - 1).clamp(min=1)
        term = term - variance / n
    weights = 1.0 if pair_weights is None else pair_weights.to(term)
    return 2 * (term * weights).sum(-1)


def variogram_score_points(
    samples: Tensor, truth: Tensor, *, order: float = 0.5, fair: bool = True
) -> Tensor:
    """The score of vectors, over all pairs of their coordinates.

    Args:
        samples: ``(..., S, D)``.
        truth: ``(..., D)``.
        order: Power p of the differences.
        fair: Unbiased in the number of hypotheses.

    Returns:
        ``(...)`` float64.

    Example:
        >>> x = torch.tensor([[[0.0, 1.0]]])
        >>> variogram_score_points(x, torch.tensor([[0.0, 3.0]]), order=1.0).item()
        8.0
    """
    a, b = torch.triu_indices(truth.shape[-1], truth.shape[-1], 1)

    def pair(x: Tensor) -> Tensor:
        return (x[..., a] - x[..., b]).abs() ** order

    s, d = samples.shape[-2:]
    x, y = samples.reshape(-1, s, d), truth.reshape(-1, d)
    rows = max(1, arrays.WORKING_BYTES // (8 * s * max(1, len(a))))
    parts = [
        variogram_score_pairs(pair(x[i : i + rows]), pair(y[i : i + rows]), fair=fair)
        for i in range(0, len(x), rows)
    ]
    return torch.cat(parts).reshape(truth.shape[:-1])


def variogram_score(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    of: Components = "coordinates",
    order: float = 0.5,
    lag: int = 1,
    fair: bool = True,
    joints: Sequence[int] | None = None,
) -> Tensor:
    """Variogram score per frame.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        of: ``coordinates`` (all pairs of coordinates of a pose), ``distances`` (all pairs of
            joints; unchanged by rotation) or ``speeds`` (each joint against itself ``lag`` frames
            later).
        order: Power p of the differences.
        lag: Frames between the two times of ``speeds``.
        fair: Unbiased in the number of hypotheses.
        joints: Joints by index; all but the root if None.

    Returns:
        ``(*batch, F)``, or ``(*batch, F - lag)`` for speeds, in the unit to the power ``2 order``.

    Raises:
        OptionError: If ``of`` is unknown or the clip is shorter than the lag.

    Example:
        >>> x = torch.randn(8, 2, 5, 3)
        >>> variogram_score(x, x[0], of="distances").shape
        torch.Size([2])
    """
    pairs = arrays.paired(hypotheses, truth)
    chosen = list(pairs.judged_joints(joints))
    x, y = pairs.x[..., chosen, :].transpose(1, 2), pairs.y[..., chosen, :]
    if of == "coordinates":
        score = variogram_score_points(x.flatten(-2), y.flatten(-2), order=order, fair=fair)
    elif of == "distances":
        score = _in_blocks(_distances(len(chosen), order), x, y, fair)
    elif of == "speeds":
        if not 1 <= lag < y.shape[1]:
            raise OptionError(f"Speeds at lag {lag} need more than {lag} frames; got {y.shape[1]}.")
        step = x[:, lag:] - x[:, :-lag], y[:, lag:] - y[:, :-lag]
        score = _in_blocks(lambda d: d.norm(dim=-1) ** order, *step, fair)
    else:
        raise OptionError(f"of is 'coordinates', 'distances' or 'speeds', got {of!r}.")
    return score.reshape(*pairs.batch, score.shape[-1])


def _distances(n_joints: int, order: float) -> PairMap:
    a, b = torch.triu_indices(n_joints, n_joints, 1)
    return lambda x: (x[..., a, :] - x[..., b, :]).norm(dim=-1) ** order


def _in_blocks(pair: PairMap, x: Tensor, y: Tensor, fair: bool) -> Tensor:
    """Score ``x (N, F, S, J, 3)`` and ``y (N, F, J, 3)`` block by block."""
    n, f, s, j = x.shape[:4]
    score = torch.empty(n, f, dtype=torch.float64)
    for items, frames in arrays.blocks(n, f, 12 * s * j * max(3, j)):
        g_x, g_y = pair(x[items, frames]), pair(y[items, frames])
        score[items, frames] = variogram_score_pairs(g_x, g_y, fair=fair)
    return score

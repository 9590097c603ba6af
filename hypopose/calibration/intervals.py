"""Scores of intervals and quantiles: narrow is good, missing the truth costs.

Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation" (2007), section 6.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hypopose.calibration.arrays import blocks, paired
from hypopose.errors import OptionError
from hypopose.types import Hypotheses, Poses3D


def interval_score_points(lower: Tensor, upper: Tensor, truth: Tensor, level: float) -> Tensor:
    """Width plus ``2 / (1 - level)`` times the distance by which the truth is missed.

    Args:
        lower: Lower ends, any shape.
        upper: Upper ends.
        truth: The values.
        level: Nominal coverage of the central interval, for example 0.8.

    Returns:
        Scores in the unit of the ends.

    Raises:
        OptionError: If the level is not between 0 and 1.

    Example:
        >>> one = torch.tensor(1.0)
        >>> interval_score_points(0 * one, one, 3 * one, 0.5).item()
        9.0
    """
    if not 0 < level < 1:
        raise OptionError(f"A level lies between 0 and 1, got {level}.")
    missed = (lower - truth).clamp(min=0) + (truth - upper).clamp(min=0)
    return (upper - lower) + 2 / (1 - level) * missed


def quantile_score_points(quantile: Tensor, truth: Tensor, level: float) -> Tensor:
    """Twice the pinball loss: proper for the ``level`` quantile, for example a ball's radius.

    Args:
        quantile: Predicted quantiles, any shape.
        truth: The values.
        level: Nominal probability that the truth lies below.

    Raises:
        OptionError: If the level is not between 0 and 1.

    Example:
        >>> quantile_score_points(torch.tensor(2.0), torch.tensor(1.0), 0.5).item()
        1.0
    """
    if not 0 < level < 1:
        raise OptionError(f"A level lies between 0 and 1, got {level}.")
    return 2 * ((truth <= quantile).to(quantile) - level) * (quantile - truth)


def interval_score(
    hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor, *, level: float = 0.8
) -> Tensor:
    """Interval score of the central interval of every coordinate.

    The ends are the empirical quantiles of the hypotheses; with few of them the ends of a wide
    interval lie inside, and the score is worse: compare methods at equal S.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        level: Nominal coverage.

    Returns:
        ``(*batch, F, J, 3)`` in the unit of the inputs; NaN where the truth is NaN or no
        hypothesis is there.
    """
    pairs = paired(hypotheses, truth)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2]).to(pairs.x)
    score = torch.empty_like(pairs.y)
    n, s, f, j = pairs.x.shape[:4]
    for items, frames in blocks(n, f, 6 * s * j * pairs.x.element_size()):
        low, high = torch.nanquantile(pairs.x[items, :, frames], ends, dim=1)
        score[items, frames] = interval_score_points(low, high, pairs.y[items, frames], level)
    return score.reshape(*pairs.batch, *pairs.y.shape[1:])


def ball_score(
    hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor, *, level: float = 0.8
) -> Tensor:
    """Quantile score of the radius of the ball around the median hypothesis.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        level: Nominal coverage of the ball.

    Returns:
        ``(*batch, F, J)`` in the unit of the inputs.
    """
    pairs = paired(hypotheses, truth)
    score = torch.empty_like(pairs.y[..., 0])
    n, s, f, j = pairs.x.shape[:4]
    for items, frames in blocks(n, f, 8 * s * j * pairs.x.element_size()):
        x = pairs.x[items, :, frames]
        center = torch.nanquantile(x, 0.5, dim=1)
        radius = torch.nanquantile((x - center.unsqueeze(1)).norm(dim=-1), level, dim=1)
        distance = (pairs.y[items, frames] - center).norm(dim=-1)
        score[items, frames] = quantile_score_points(radius, distance, level)
    return score.reshape(*pairs.batch, *pairs.y.shape[1:-1])

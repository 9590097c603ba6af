"""Continuous ranked probability score: the proper score of one coordinate.

Matheson and Winkler (1976); Hersbach (2000); Gneiting and Raftery (2007); fair form: Ferro (2014),
Zamo and Naveau (2018).

    CRPS         E|X - y| - (1/2) E|X - X'|

``fair`` (= ``pwm``) is unbiased in the number of hypotheses; ``nrg`` (= ``qd`` = ``int``) takes the
hypotheses for the whole distribution, and is larger by spread/S; ``akr`` and ``akr_circperm`` pair
each hypothesis with one other only: fast, noisy, for comparison with tables that used them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from hypopose.calibration.arrays import WORKING_BYTES, paired
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D

Estimator = Literal["fair", "pwm", "nrg", "qd", "int", "akr", "akr_circperm"]


def _half_spread(x: Tensor, w: Tensor) -> Tensor:
    """(1/2) sum_st w_s w_t |x_s - x_t| in O(S log S); one weight stands for all."""
    if w.shape[-1] == 1:
        s = x.shape[-1]
        rank = torch.arange(1, s + 1, dtype=torch.float64, device=x.device)
        return x.sort(-1).values @ ((2 * rank - s - 1) / s**2)
    x, order = x.sort(-1)
    w = w.expand_as(x).gather(-1, order)
    cumulative = w.cumsum(-1)
    return (w * x * (2 * cumulative - w - 1)).sum(-1)


def _ensemble(x: Tensor, w: Tensor) -> Tensor:
    return _half_spread(x, w)


def _fair(x: Tensor, w: Tensor) -> Tensor:
    rest = 1 - (w**2).expand(len(w), x.shape[-1]).sum(-1)
    spread = _half_spread(x, w) / rest.clamp(min=1e-12)
    return torch.where(rest > 1e-12, spread, 0)


def _shifted(shift: Callable[[int], int]) -> Callable[[Tensor, Tensor], Tensor]:
    def half_spread(x: Tensor, w: Tensor) -> Tensor:
        return (w * (x - x.roll(shift(x.shape[-1]), -1)).abs()).sum(-1) / 2

    return half_spread


SPREADS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "fair": _fair,
    "pwm": _fair,
    "nrg": _ensemble,
    "qd": _ensemble,
    "int": _ensemble,
    "akr": _shifted(lambda s: 1),
    "akr_circperm": _shifted(lambda s: s // 2),
}


def crps_points(
    samples: Tensor,
    truth: Tensor,
    *,
    weights: Tensor | None = None,
    estimator: Estimator = "fair",
) -> Tensor:
    """CRPS of scalars.

    Args:
        samples: ``(..., S)``; NaN hypotheses are left out and the others reweighted.
        truth: ``(...)``.
        weights: ``(..., S)`` or ``(S,)``, at least 0; they are normalized.
        estimator: How the spread is estimated.

    Returns:
        ``(...)`` float64 in the unit of the samples; NaN without truth or hypotheses.

    Raises:
        OptionError: If the estimator is unknown, or a paired one meets NaN or weights.

    Example:
        >>> x = torch.tensor([[0.0, 2.0]])
        >>> crps_points(x, torch.tensor([1.0]), estimator="nrg").item()
        0.5
        >>> crps_points(x, torch.tensor([1.0])).item()
        0.0
    """
    if estimator not in SPREADS:
        raise OptionError(f"No CRPS estimator {estimator!r}; choose one of {', '.join(SPREADS)}.")
    s = samples.shape[-1]
    x = samples.reshape(-1, s)
    y = truth.reshape(-1)
    w = None if weights is None else weights.double().expand_as(samples).reshape(-1, s)
    if estimator.startswith("akr") and (weights is not None or not bool(x.isfinite().all())):
        raise OptionError("The akr estimators take neither weights nor NaN; use 'fair'.")
    rows = max(1, WORKING_BYTES // (8 * s))
    out = [
        _crps(x[i : i + rows], y[i : i + rows], None if w is None else w[i : i + rows], estimator)
        for i in range(0, len(x), rows)
    ]
    return torch.cat(out).reshape(truth.shape)


def _crps(x: Tensor, y: Tensor, w: Tensor | None, estimator: str) -> Tensor:
    difference = (x - y.unsqueeze(-1)).double()
    finite = x.isfinite()
    if w is None and bool(finite.all()):
        w = torch.full((1, 1), 1 / x.shape[-1], dtype=torch.float64, device=x.device)
    else:
        w = torch.where(finite, 1.0 if w is None else w, 0.0).double()
        w = w / w.sum(-1, keepdim=True)
    # The spread does not move with the origin; NaN hypotheses weigh nothing anywhere.
    difference = torch.where(finite, difference, 0)
    score = (w * difference.abs()).sum(-1) - SPREADS[estimator](difference, w)
    return torch.where(y.isfinite(), score, torch.nan)


def crps(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    weights: Tensor | None = None,
    estimator: Estimator = "fair",
) -> Tensor:
    """CRPS of every coordinate in the camera frame (x right, y down, z depth).

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        weights: ``(H,)`` or ``(*batch, H)``; equal if None.
        estimator: ``fair`` unless an old table used another.

    Returns:
        ``(*batch, F, J, 3)`` in the unit of the inputs.

    Raises:
        ShapeError: If shapes disagree.

    Example:
        >>> crps(torch.zeros(4, 1, 1, 3), torch.ones(1, 1, 3))[0, 0].tolist()
        [1.0, 1.0, 1.0]
    """
    pairs = paired(hypotheses, truth)
    x = pairs.x.movedim(1, -1)
    if weights is not None:
        n, s = pairs.x.shape[:2]
        if tuple(weights.shape) not in {(s,), (*pairs.batch, s)}:
            raise ShapeError(f"Weights must be {(s,)} or {(*pairs.batch, s)}, one per hypothesis.")
        weights = weights.expand(*pairs.batch, s).reshape(n, 1, 1, 1, s)
    score = crps_points(x, pairs.y, weights=weights, estimator=estimator)
    return score.reshape(*pairs.batch, *pairs.y.shape[1:])

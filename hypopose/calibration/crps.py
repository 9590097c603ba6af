"""Continuous ranked probability score: the proper score of one coordinate.

Matheson and Winkler (1976); Gneiting and Raftery (2007); fair form: Ferro (2014), Zamo and Naveau
(2018).

    CRPS         E|X - y| - (1/2) E|X - X'|

The fair form is unbiased in the number of hypotheses; pairs of a hypothesis with itself are left
out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import WORKING_BYTES, ascending, paired
from hypopose.types import Hypotheses, Poses3D


def crps_points(samples: Tensor, truth: Tensor) -> Tensor:
    """Fair CRPS of scalars.

    Args:
        samples: ``(..., S)``; NaN hypotheses are left out.
        truth: ``(...)``.

    Returns:
        ``(...)`` float64 in the unit of the samples; NaN without truth or hypotheses. A single
        hypothesis scores its distance from the truth.

    Example:
        >>> crps_points(torch.tensor([[0.0, 2.0]]), torch.tensor([1.0])).item()
        0.0
    """
    s = samples.shape[-1]
    x, y = samples.reshape(-1, s), truth.reshape(-1)
    rows = max(1, WORKING_BYTES // (8 * s))
    out = [_crps(x[i : i + rows], y[i : i + rows]) for i in range(0, len(x), rows)]
    return torch.cat(out).reshape(truth.shape)


def _crps(x: Tensor, y: Tensor) -> Tensor:
    # The spread does not depend on the origin; NaN hypotheses come last and have weight 0.
    difference = ascending((x - y.unsqueeze(-1)).double())
    finite = difference.isfinite()
    n = finite.sum(-1, keepdim=True)
    rank = torch.arange(1, x.shape[-1] + 1, dtype=torch.float64, device=x.device)
    pairs = torch.where(finite, difference * (2 * rank - n - 1), 0).sum(-1)
    miss = torch.where(finite, difference.abs(), 0).sum(-1) / n.squeeze(-1)
    spread = pairs / (n * (n - 1)).clamp(min=1).squeeze(-1)
    return torch.where(y.isfinite(), miss - spread, torch.nan)


def crps(hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor) -> Tensor:
    """Fair CRPS of every coordinate in the camera frame (x right, y down, z depth).

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.

    Returns:
        ``(*batch, F, J, 3)`` in the unit of the inputs.

    Raises:
        ShapeError: If shapes disagree.

    Example:
        >>> crps(torch.zeros(4, 1, 1, 3), torch.ones(1, 1, 3))[0, 0].tolist()
        [1.0, 1.0, 1.0]
    """
    pairs = paired(hypotheses, truth)
    score = crps_points(pairs.x.movedim(1, -1), pairs.y)
    return score.reshape(*pairs.batch, *pairs.y.shape[1:])

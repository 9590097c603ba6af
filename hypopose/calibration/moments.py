"""Dawid-Sebastiani score: log det C + (y - m)' C^-1 (y - m), the score of the first two moments.

Dawid and Sebastiani, "Coherent dispersion criteria for optimal experimental design" (1999). With
fewer hypotheses than dimensions C is singular; it is then shrunk towards a multiple of the identity
(Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hypopose.calibration.arrays import WORKING_BYTES, paired
from hypopose.errors import OptionError
from hypopose.types import Hypotheses, Poses3D


def ledoit_wolf(samples: Tensor) -> Tensor:
    """Shrunk covariance of ``(..., S, D)`` samples, ``(..., D, D)``.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> ledoit_wolf(x).diagonal().tolist()
        [0.5, 0.5]
    """
    s, d = samples.shape[-2:]
    x = samples - samples.mean(-2, keepdim=True)
    empirical = x.mT @ x / s
    mu = empirical.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    target = mu * torch.eye(d, dtype=x.dtype, device=x.device)
    delta = ((empirical - target) ** 2).sum((-2, -1))
    fourth = ((x**2).sum(-1) ** 2).mean(-1)
    beta = (fourth - (empirical**2).sum((-2, -1))) / s
    shrink = (torch.minimum(beta, delta) / delta).nan_to_num(0).clamp(0, 1)[..., None, None]
    return (1 - shrink) * empirical + shrink * target


def dawid_sebastiani_points(
    samples: Tensor, truth: Tensor, *, shrinkage: Literal["ledoit-wolf", "none"] = "ledoit-wolf"
) -> Tensor:
    """The score of vectors.

    Args:
        samples: ``(..., S, D)``.
        truth: ``(..., D)``.
        shrinkage: ``none`` takes the sample covariance (divided by S-1), which needs S > D.

    Returns:
        ``(...)`` float64; NaN where anything is NaN or the covariance is singular.

    Raises:
        OptionError: If there are too few hypotheses.
    """
    s, d = samples.shape[-2:]
    if s < 2 or (shrinkage == "none" and s <= d):
        raise OptionError(
            f"{s} hypotheses cannot give a covariance in {d} dimensions; draw more than {d}, or "
            "use shrinkage='ledoit-wolf'."
        )
    x, y = samples.reshape(-1, s, d), truth.reshape(-1, d)
    rows = max(1, WORKING_BYTES // (8 * d * max(s, d)))
    parts = [
        _score(x[i : i + rows].double(), y[i : i + rows].double(), shrinkage)
        for i in range(0, len(x), rows)
    ]
    return torch.cat(parts).reshape(truth.shape[:-1])


def _score(x: Tensor, y: Tensor, shrinkage: str) -> Tensor:
    bad = ~(x.isfinite().flatten(1).all(-1) & y.isfinite().all(-1))
    x, y = x.nan_to_num(), y.nan_to_num()
    mean = x.mean(-2)
    centered = x - mean.unsqueeze(-2)
    covariance = ledoit_wolf(x)
    if shrinkage == "none":
        covariance = centered.mT @ centered / (x.shape[-2] - 1)
    factor, info = torch.linalg.cholesky_ex(covariance)
    z = torch.linalg.solve_triangular(factor, (y - mean).unsqueeze(-1), upper=False).squeeze(-1)
    score = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + (z**2).sum(-1)
    return torch.where(bad | (info > 0), torch.nan, score)


def dawid_sebastiani(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    level: Literal["joint", "pose"] = "pose",
    shrinkage: Literal["ledoit-wolf", "none"] = "ledoit-wolf",
    joints: Sequence[int] | None = None,
) -> Tensor:
    """Dawid-Sebastiani score per joint or per pose.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        level: ``joint`` (3 dimensions) or ``pose`` (3 per joint).
        shrinkage: How a covariance is made from few hypotheses.
        joints: Joints by index; all but the root if None.

    Returns:
        ``(*batch, F, J')`` or ``(*batch, F)``; NaN where hypotheses or truth hold NaN, or where
        the hypotheses do not spread. Depends on the unit of the inputs through log det C.

    Raises:
        OptionError: If there are too few hypotheses.
    """
    pairs = paired(hypotheses, truth)
    chosen = list(pairs.judged_joints(joints))
    x, y = pairs.x[..., chosen, :], pairs.y[..., chosen, :]
    if level == "joint":
        score = dawid_sebastiani_points(x.permute(0, 2, 3, 1, 4), y, shrinkage=shrinkage)
    else:
        score = dawid_sebastiani_points(
            x.transpose(1, 2).flatten(-2), y.flatten(-2), shrinkage=shrinkage
        )
    return score.reshape(*pairs.batch, *score.shape[1:])

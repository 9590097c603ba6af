"""Unbiased min@k: the error of the best of k hypotheses, from one run with S >= k.

    d_(1) <= ... <= d_(S)    errors of the S hypotheses in ascending order
    min@k                    sum_i C(S-i, k-1) / C(S, k) d_(i)

the exact mean over all subsets of size k (the combinatorics of pass@k), so that one run gives the
whole curve without resampling noise. Min@k picks by the truth: it is an **oracle**, no method can
reach it, and a sampler that spreads too far wins by it. Its three meanings are named: ``clip`` (one
hypothesis for the whole clip), ``frame`` (one per frame), ``joint`` (one per joint and frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import ascending, paired
from hypopose.errors import OptionError
from hypopose.types import Hypotheses, Poses3D

Best = Literal["clip", "frame", "joint"]


@lru_cache(maxsize=16)
def min_at_k_weights(n_hypotheses: int) -> Tensor:
    """Weight of the i-th smallest error in min@k: ``(S, S)``, row k-1, float64.

    Example:
        >>> min_at_k_weights(3)[1].tolist()  # the best of two among three
        [0.6666666666666666, 0.3333333333333333, 0.0]
    """
    s = n_hypotheses
    if s == 0:
        return torch.zeros(0, 0, dtype=torch.float64)
    k = torch.arange(1, s + 1, dtype=torch.float64)[:, None]
    i = torch.arange(1, s, dtype=torch.float64)
    ratio = ((s - i - k + 1).clamp(min=0)) / (s - i)
    return torch.cat([k / s, k / s * ratio.cumprod(-1)], -1)


def min_at_k(errors: Tensor) -> Tensor:
    """Mean of the smallest of k errors, for every k.

    Args:
        errors: ``(..., S)``; NaN hypotheses are left out, and k then ends at their number.

    Returns:
        ``(..., S)`` float64: min@1 (the expected error) to min@S (the oracle).

    Example:
        >>> min_at_k(torch.tensor([3.0, 1.0, 2.0])).tolist()
        [2.0, 1.3333333333333333, 1.0]
    """
    rising = ascending(errors.double().where(errors.isfinite(), torch.nan))
    n = rising.isfinite().sum(-1)
    out = torch.full_like(rising, torch.nan)
    for count in torch.bincount(n.flatten()).nonzero().flatten().tolist():
        here = n == count
        weights = min_at_k_weights(count).to(out).mT
        out[here, :count] = rising[here][:, :count] @ weights
    return out


def oracle_min_at_k(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    best: Best = "clip",
    joints: Sequence[int] | None = None,
) -> Tensor:
    """The best of k hypotheses by the truth, per clip: an oracle curve over k.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        best: What one choice covers. Joint-best <= frame-best <= clip-best <= expected error.
        joints: Joints by index; all, the root included, if None (benchmarks count its zero).

    Returns:
        ``(*batch, H)`` in the unit of the inputs, k = 1..H; NaN joints of the truth are left out.

    Raises:
        OptionError: If ``best`` is unknown.

    Example:
        >>> x = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
        >>> y = torch.zeros(4, 3, 3)
        >>> clip, frame = oracle_min_at_k(x, y), oracle_min_at_k(x, y, best="frame")
        >>> bool((frame[1:] < clip[1:]).all()), bool(frame[0].isclose(clip[0]))
        (True, True)
    """
    pairs = paired(hypotheses, truth)
    x, y = pairs.x, pairs.y
    if joints is not None:
        x, y = x[..., list(joints), :], y[..., list(joints), :]
    errors = (x - y.unsqueeze(1)).norm(dim=-1).double().movedim(1, -1)
    missing = ~y.isfinite().all(-1, keepdim=True)
    if best == "joint":
        curve = min_at_k(errors).nanmean((1, 2))
    elif best == "frame":
        curve = min_at_k(_mean(errors, missing, (2,))).nanmean(1)
    elif best == "clip":
        curve = min_at_k(_mean(errors, missing, (1, 2)))
    else:
        raise OptionError(f"best is 'clip', 'frame' or 'joint', got {best!r}.")
    return curve.reshape(*pairs.batch, -1)


def _mean(errors: Tensor, missing: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean over axes without joints whose truth is missing; a NaN hypothesis stays NaN."""
    total = torch.where(missing, 0, errors).sum(axes)
    return total / (~missing).sum(axes)

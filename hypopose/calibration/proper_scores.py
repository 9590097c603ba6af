"""Proper scoring rules: lower is better, and the true distribution has the lowest expected score.

Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation" (2007). All scores
are *fair* by default (Ferro 2014): unbiased for the distribution the hypotheses are drawn from, so
that methods with different numbers of hypotheses compare. Fair scores can be negative.

    x_s, w_s     hypotheses and weights (1/S unless given)
    y            truth
    ES           sum_s w_s |x_s - y|^b - (1/2) sum_st w_s w_t |x_s - x_t|^b / (1 - sum_s w_s^2)

Hypotheses that are NaN are left out and the others reweighted; where the truth is NaN, or no
hypothesis is left, the score is NaN. One hypothesis has no spread: its score is its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import paired
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D

Level = Literal["joint", "pose", "clip"]
CACHE_BYTES = 2**18
"""Points compared at a time: what a core keeps close decides the speed."""
RING_DIMENSIONS = 8


def energy_score_points(
    samples: Tensor,
    truth: Tensor,
    *,
    weights: Tensor | None = None,
    fair: bool = True,
    beta: float = 1.0,
) -> Tensor:
    """Energy score of points of any dimension.

    Args:
        samples: ``(..., S, D)``.
        truth: ``(..., D)``.
        weights: ``(..., S)`` or ``(S,)``, at least 0; they are normalized.
        fair: Divide the pair term by 1 - sum w^2 (by S(S-1) for equal weights, not S^2).
        beta: Power of the distances, in (0, 2).

    Returns:
        ``(...)`` in the unit of the points to the power ``beta``.

    Raises:
        OptionError: If ``beta`` is out of range.

    Example:
        >>> x = torch.tensor([[[0.0], [2.0]]])
        >>> energy_score_points(x, torch.tensor([[1.0]]), fair=False).item()
        0.5
    """
    if not 0 < beta < 2:
        raise OptionError(f"The energy score needs beta between 0 and 2, got {beta}.")
    s, d = samples.shape[-2:]
    x, y = samples.reshape(-1, s, d), truth.reshape(-1, d)
    w = None if weights is None else _rows(weights, x)
    rows = max(1, CACHE_BYTES // (s * max(d, s if d > RING_DIMENSIONS else 1) * x.element_size()))
    out = [
        _energy(
            x[i : i + rows], y[i : i + rows], None if w is None else w[i : i + rows], fair, beta
        )
        for i in range(0, len(x), rows)
    ]
    return torch.cat(out).reshape(truth.shape[:-1])


def _rows(weights: Tensor, x: Tensor) -> Tensor:
    if bool((weights < 0).any()):
        raise OptionError("Weights of hypotheses must not be negative.")
    return weights.to(x).expand(*x.shape[:1], x.shape[1]) if weights.dim() == 1 else (
        weights.to(x).reshape(x.shape[:2])
    )  # fmt: skip


def _energy(x: Tensor, y: Tensor, w: Tensor | None, fair: bool, beta: float) -> Tensor:
    finite = torch.isfinite(x).all(-1)
    equal = w is None and bool(finite.all())
    if equal:
        weights = torch.full((1, x.shape[1]), 1 / x.shape[1], dtype=torch.float64)
    else:
        weights = torch.where(finite, 1.0 if w is None else w, 0).double()
        weights = weights / weights.sum(-1, keepdim=True)
    weights = weights.to(x.device)
    x = torch.where(finite.unsqueeze(-1), x, 0)
    error = (x - y.unsqueeze(-2)).norm(dim=-1).double() ** beta
    spread = (_ring if x.shape[-1] <= RING_DIMENSIONS else _table)(x, weights, equal, beta)
    if fair:
        rest = 1 - (weights**2).sum(-1)
        spread = torch.where(rest > 1e-12, spread / rest.clamp(min=1e-12), 0)
    return (weights * error).sum(-1) - spread / 2


def _ring(x: Tensor, w: Tensor, equal: bool, beta: float) -> Tensor:
    """sum_st w_s w_t |x_s - x_t|^b by cyclic shifts, ``(M, S, D) -> (M,)`` in O(M S D) memory."""
    s = x.shape[1]
    ring = x.movedim(-1, 0).repeat(1, 1, 2)
    here = ring[..., :s]
    twice = w.repeat(1, 2)
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for k in range(1, s // 2 + 1):
        there = ring[..., k : k + s]
        square = (there[0] - here[0]).square_()
        for a, b in zip(there[1:], here[1:], strict=True):
            step = a - b
            square.addcmul_(step, step)
        distance = square.sqrt_() if beta == 1 else square.pow_(beta / 2)
        part = distance.sum(-1) / s**2 if equal else (distance * w * twice[:, k : k + s]).sum(-1)
        total += part if 2 * k < s else part / 2
    return 2 * total


def _table(x: Tensor, w: Tensor, equal: bool, beta: float) -> Tensor:
    """The same sum from a table of all distances: faster in many dimensions."""
    pair = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    if beta != 1:
        pair = pair**beta
    if equal:
        return pair.flatten(1).sum(-1).double() / x.shape[1] ** 2
    return ((w.unsqueeze(1) @ pair.double()).squeeze(1) * w).sum(-1)


def half_pair_distance(samples: Tensor) -> Tensor:
    """Half the mean distance between two different hypotheses: the fair spread term.

    Args:
        samples: ``(..., S, D)`` without NaN, S at least 2.

    Returns:
        ``(...)`` float64.
    """
    truth = samples[..., 0, :]
    error = (samples - truth.unsqueeze(-2)).norm(dim=-1).double().mean(-1)
    return error - energy_score_points(samples, truth)


def energy_score(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    level: Level = "joint",
    weights: Tensor | None = None,
    fair: bool = True,
    beta: float = 1.0,
    joints: Sequence[int] | None = None,
) -> Tensor:
    """Energy score of hypotheses: a multi-hypothesis MPJPE that is least for a calibrated spread.

    Expected error minus half the expected distance between hypotheses; for identical hypotheses,
    the error itself. ``joint`` scores each joint alone, ``pose`` all joints of a frame as one
    vector, ``clip`` the whole motion as one vector.

    Convention:
        The unit of the inputs; pose and clip scores are norms of stacked coordinates, and grow with
        the number of joints and frames.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        level: ``joint``, ``pose`` or ``clip``.
        weights: ``(*batch, H)`` or ``(H,)``; equal if None.
        fair: Unbiased in the number of hypotheses.
        beta: Power of the distances.
        joints: Joints by index; all if None (the root adds nothing to pose and clip).

    Returns:
        ``(*batch, F, J)``, ``(*batch, F)`` or ``(*batch,)``.

    Raises:
        OptionError: If an option is out of range.
        ShapeError: If shapes disagree.

    Example:
        >>> x = torch.zeros(4, 1, 1, 3)
        >>> round(energy_score(x, torch.ones(1, 1, 3), level="pose").item(), 6)
        1.732051
    """
    pairs = paired(hypotheses, truth)
    x, y = pairs.x, pairs.y
    if joints is not None:
        chosen = list(pairs.judged_joints(joints))
        x, y = x[..., chosen, :], y[..., chosen, :]
    n, s, f, j, _ = x.shape
    times: tuple[int, ...]
    w = None if weights is None else _item_weights(weights, pairs.batch, n, s)
    if level == "joint":
        points, target, times = x.permute(0, 2, 3, 1, 4), y, (f, j)
    elif level == "pose":
        points, target, times = x.transpose(1, 2).flatten(-2), y.flatten(-2), (f,)
    elif level == "clip":
        points, target, times = x.flatten(2), y.flatten(1), ()
    else:
        raise OptionError(f"level is 'joint', 'pose' or 'clip', got {level!r}.")
    if w is not None:
        w = w.reshape(n, *(1 for _ in times), s).expand(n, *times, s)
    score = energy_score_points(points, target, weights=w, fair=fair, beta=beta)
    return score.reshape((*pairs.batch, *times))


def _item_weights(weights: Tensor, batch: tuple[int, ...], n: int, s: int) -> Tensor:
    if tuple(weights.shape) not in {(s,), (*batch, s)}:
        raise ShapeError(
            f"Weights must be {(s,)} or {(*batch, s)}, one per hypothesis; got "
            f"{tuple(weights.shape)}."
        )
    return weights.expand(*batch, s).reshape(n, s)

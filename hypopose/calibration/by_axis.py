"""Coverage by axis: spread along and across the line of sight, and over time.

One camera determines the position of a joint in the image well and its depth poorly. Hypotheses can
be too wide across the line of sight and too narrow along it, and still hold the stated share of all
joints in their regions. Spread can also tell hard joints from easy ones without telling hard frames
from easy ones.

| figure | calibrated | is |
| --- | --- | --- |
| :func:`axis_coverage` | the level | share of truths in central intervals of each axis |
| :func:`spread_over_error` | 1 | spread of the hypotheses over the error of their mean, each axis |
| :func:`error_ranking` | high | rank correlation of spread and error over the frames of a joint |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import ShapeError

AXES = ("sideways", "downwards", "depth")
"""Axes of :func:`along_sight`."""


def along_sight(
    joints: Float[Tensor, "*any J 3"], towards: Float[Tensor, "*any 3"]
) -> Float[Tensor, "*any J 3"]:
    """Coordinates with the third axis along the line of sight.

    Args:
        joints: Camera-frame offsets (x right, y down, z forward), meters.
        towards: Where the camera looks, the person's root for example; broadcasts.

    Returns:
        Sideways (right), downwards across the line of sight, and depth (away from the camera).

    Example:
        >>> behind = torch.tensor([[3.0, 0.0, 4.0]])
        >>> along_sight(behind, torch.tensor([3.0, 0.0, 4.0])).round(decimals=4).abs().tolist()
        [[0.0, 0.0, 5.0]]
    """
    depth = torch.nn.functional.normalize(towards, dim=-1)
    down = depth.new_tensor([0.0, 1.0, 0.0]).expand_as(depth)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, depth), dim=-1)
    axes = torch.stack([right, torch.linalg.cross(depth, right), depth], -2)
    return joints @ axes.mT


def axis_coverage(
    hypotheses: Float[Tensor, "*batch H F J C"],
    truth: Float[Tensor, "*batch F J C"],
    levels: Sequence[float] = (0.5, 0.8, 0.95),
) -> Float[Tensor, "L C"]:
    """Share of true coordinates in the central intervals of their hypotheses, axis by axis.

    By the rank of the truth among H hypotheses, with the part of a rank's cell that lies in the
    interval: exactly the level on average if truths are draws like the hypotheses, for any H.

    Args:
        hypotheses: Coordinates along any axes, see :func:`along_sight`.
        truth: The same of the truth; NaN does not count.
        levels: Of the intervals.

    Returns:
        One share per level and axis.

    Example:
        >>> x, y = torch.randn(20, 5000, 1, 3), torch.randn(5000, 1, 3)
        >>> bool((axis_coverage(x, y, [0.8]) - 0.8).abs().max() < 0.03)
        True
    """
    _check(hypotheses, truth)
    n = hypotheses.shape[-4]
    rank = (hypotheses < truth.unsqueeze(-4)).sum(-4).double()
    low, high = rank / (n + 1), (rank + 1) / (n + 1)
    counted = truth.isfinite().double()
    total = counted.flatten(0, -2).sum(0)
    rows = []
    for level in levels:
        inside = high.clamp(max=(1 + level) / 2) - low.clamp(min=(1 - level) / 2)
        held = inside.clamp(min=0) * (n + 1) * counted
        rows.append(held.flatten(0, -2).sum(0) / total)
    return torch.stack(rows)


def spread_over_error(
    hypotheses: Float[Tensor, "*batch H F J C"], truth: Float[Tensor, "*batch F J C"]
) -> Float[Tensor, " C"]:
    """Spread of hypotheses over the error of their mean, both root mean squares, axis by axis.

    The spread is that of a new draw about the mean of H (variance times 1 + 1/H), so that 1 is
    expected if truths are draws like the hypotheses.

    Args:
        hypotheses: Two at least.
        truth: NaN does not count.

    Returns:
        One ratio per axis: below 1 for hypotheses that are too narrow.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> x = torch.randn(20, 5000, 1, 3, generator=generator)
        >>> y = torch.randn(5000, 1, 3, generator=generator)
        >>> bool((spread_over_error(x, 2 * y) - 0.5).abs().max() < 0.05)
        True
    """
    _check(hypotheses, truth)
    n = hypotheses.shape[-4]
    counted = truth.isfinite()
    error = torch.where(counted, hypotheses.mean(-4) - truth, 0.0).square()
    spread = torch.where(counted, hypotheses.var(-4) * (1 + 1 / n), 0.0)
    return (spread.flatten(0, -2).double().sum(0) / error.flatten(0, -2).double().sum(0)).sqrt()


def error_ranking(
    hypotheses: Float[Tensor, "*batch H F J C"], truth: Float[Tensor, "*batch F J C"]
) -> Float[Tensor, "*batch J"]:
    """Spearman's correlation, over the frames of a clip, of a joint's spread and its mean's error.

    Args:
        hypotheses: Two at least, of three frames at least.
        truth: Without NaN.

    Returns:
        One correlation per clip and joint, -1 to 1; NaN where spread or error never changes.

    Example:
        >>> sigma = torch.linspace(0.1, 2.0, 400).reshape(400, 1, 1)
        >>> x, y = sigma * torch.randn(20, 400, 1, 3), sigma * torch.randn(400, 1, 3)
        >>> bool(error_ranking(x, y) > 0.5)
        True
    """
    _check(hypotheses, truth)
    spread = hypotheses.var(-4).sum(-1)
    error = (hypotheses.mean(-4) - truth).norm(dim=-1)
    a, b = _ranks(spread), _ranks(error)
    a, b = a - a.mean(-2, keepdim=True), b - b.mean(-2, keepdim=True)
    return (a * b).sum(-2) / (a.square().sum(-2) * b.square().sum(-2)).sqrt()


def _ranks(x: Float[Tensor, "*batch F J"]) -> Float[Tensor, "*batch F J"]:
    """Ranks over frames; equal numbers share the mean of theirs."""
    less = (x.unsqueeze(-2) < x.unsqueeze(-3)).sum(-3)
    same = (x.unsqueeze(-2) == x.unsqueeze(-3)).sum(-3)
    return (less + (same + 1) / 2).double()


def _check(hypotheses: Tensor, truth: Tensor) -> None:
    expected = (*hypotheses.shape[:-4], *hypotheses.shape[-3:])
    if hypotheses.dim() < 4 or hypotheses.shape[-4] < 2 or truth.shape != expected:
        raise ShapeError(
            f"Hypotheses are (*batch, H, F, J, C) with two or more, the truth the same without H; "
            f"got {tuple(hypotheses.shape)} and {tuple(truth.shape)}."
        )

"""Values shifted to match observations beside a gap: Ornstein-Uhlenbeck bridges, straight lines."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.types import ASSUMED_FPS, Skeleton

MEMORY_S = 0.2
"""Seconds after which the error at a seen frame counts for 37 %."""

LONG_S, SHORT_S = 1.0, 0.1
"""Gaps up to so many seconds, with both ends seen, are straight lines to either half of the
hypotheses."""


def bridged_gaps(
    points: Float[Tensor, "F J D"], fps: float | None, longest_s: float = LONG_S
) -> Float[Tensor, "F J D"]:
    """Short gaps as straight lines, so that a sampler sees what is plain; others stay missing.

    Args:
        points: NaN where missing.
        fps: Frames per second; 30 if unknown.
        longest_s: Of a gap, in seconds.

    Example:
        >>> x = torch.tensor([0.0, torch.nan, 2.0, torch.nan]).reshape(4, 1, 1)
        >>> bridged_gaps(x, 30.0).flatten().tolist()
        [0.0, 1.0, 2.0, nan]
    """
    filled, longest = points.clone(), longest_s * (fps or ASSUMED_FPS)
    for j in range(points.shape[1]):
        seen = torch.isfinite(points[:, j]).all(-1)
        if bool(seen.any()):
            _, ends = bridge_weights(seen, 1.0)
            frame = torch.arange(len(seen))
            inside = (ends[:, 0] <= frame) & (frame <= ends[:, 1])
            short = inside & (ends[:, 1] - ends[:, 0] - 1 <= longest)
            filled[:, j] = torch.where(short[:, None], between(points[:, j]), points[:, j])
    return filled


def bridge_weights(seen: Bool[Tensor, " F"], memory: float) -> tuple[Float[Tensor, "F 2"], Tensor]:
    """Weights of the nearest seen frames before and after every frame.

    Args:
        seen: At least one is True.
        memory: Frames after which an error counts for 37 %.

    Returns:
        Weights, and the two frames; 0 where there is none on that side, 1 at a seen frame.

    Example:
        >>> weights, frames = bridge_weights(torch.tensor([True, False, False, True]), 1e6)
        >>> weights[1].tolist(), frames[1].tolist()
        ([0.6666..., 0.3333...], [0, 3])
    """
    frame, known = torch.arange(len(seen)), seen.nonzero()[:, 0]
    after = torch.searchsorted(known, frame)
    before = torch.searchsorted(known, frame, right=True) - 1
    has_before, has_after = before >= 0, after < len(known)
    start = known[before.clamp(min=0)]
    end = known[after.clamp(max=len(known) - 1)]
    a = ((frame - start) / memory).double().clamp(min=0)
    b = ((end - frame) / memory).double().clamp(min=0)
    span = torch.where(has_before & has_after, a + b, torch.inf)
    # sinh(b) / sinh(a + b), written so that long gaps do not overflow
    total = -torch.expm1(-2 * span)
    w1 = torch.where(span > 0, (-a).exp() * -torch.expm1(-2 * b.clamp(max=span)) / total, 1.0)
    w2 = torch.where(span > 0, (-b).exp() * -torch.expm1(-2 * a.clamp(max=span)) / total, 0.0)
    w1 = torch.where(has_after, w1, (-a).exp()) * has_before
    w2 = torch.where(has_before, w2, (-b).exp()) * has_after
    return torch.stack([w1, w2], -1).float(), torch.stack([start, end], -1)


def nearest_joints(
    seen: Bool[Tensor, "F J"], skeleton: Skeleton
) -> tuple[Tensor, Bool[Tensor, "F J"]]:
    """The seen joint of the same frame that is fewest bones away.

    Args:
        seen: Where joints were seen.
        skeleton: Whose bones.

    Returns:
        Its index, and whether there is one within three bones; a seen joint is its own.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> seen = torch.ones(1, 17, dtype=torch.bool)
        >>> seen[0, 15:] = False  # an elbow and a wrist
        >>> nearest_joints(seen, H36M17)[0][0, -3:].tolist()
        [14, 14, 14]
    """
    n = skeleton.n_joints
    far = torch.full((n, n), float(4 * n)).fill_diagonal_(0.0)
    for a, b in skeleton.bones:
        far[a, b] = far[b, a] = 1.0
    for k in range(n):  # Floyd and Warshall
        far = torch.minimum(far, far[:, k, None] + far[k])
    away = torch.where(seen[:, None], far, torch.inf)  # frame, missing joint, seen joint
    best = away.min(-1)
    return best.indices, best.values <= 3


def bridged(
    values: Float[Tensor, "H F J D"],
    observed: Float[Tensor, "F J D"],
    seen: Bool[Tensor, "F J"],
    skeleton: Skeleton,
    memory: float,
) -> Float[Tensor, "H F J D"]:
    """Values moved onto what was seen, the more the nearer in time, and then with the body.

    Args:
        values: Of the hypotheses.
        observed: What was seen.
        seen: Where.
        skeleton: Of both.
        memory: In frames.

    Returns:
        Equal to ``observed`` where ``seen``.
    """
    known = seen & torch.isfinite(values).all(-1).all(0)
    off = torch.where(known[..., None], observed - values, 0.0)
    neighbor, near = nearest_joints(known, skeleton)
    frames = torch.arange(len(seen))[:, None]
    share = near.to(values)  # of the neighbor's error
    moved = values.clone()
    for j in range(seen.shape[1]):
        if bool(known[:, j].any()):
            weights, ends = bridge_weights(known[:, j], memory)
            for k in range(2):
                moved[:, :, j] += weights[:, k, None].to(values) * off[:, ends[:, k], j]
            share[:, j] *= 1 - weights.sum(-1).to(values)
    return moved + share[..., None] * off[:, frames, neighbor]


def between(x: Float[Tensor, "*any F C"]) -> Float[Tensor, "*any F C"]:
    """Rows that are not finite, linear between their neighbors; the first and last are held.

    Example:
        >>> between(torch.tensor([[1.0], [torch.nan], [3.0], [torch.nan]]))[:, 0].tolist()
        [1.0, 2.0, 3.0, 3.0]
    """
    out = x.clone()
    for row in out.reshape(-1, *x.shape[-2:]):
        known = torch.isfinite(row).all(-1)
        if bool(known.any()) and not bool(known.all()):
            weights, frames = bridge_weights(known, 1e9)
            row.copy_(weights[:, :1] * row[frames[:, 0]] + weights[:, 1:] * row[frames[:, 1]])
    return out


def deviation(
    spread: Float[Tensor, "H F J D"], mean: Float[Tensor, "F J D"]
) -> Float[Tensor, "F J D"]:
    """Root mean square distance from the mean per coordinate, as unbiased as that of one sample."""
    return ((spread - mean).square().sum(0) / (len(spread) - 1)).sqrt()

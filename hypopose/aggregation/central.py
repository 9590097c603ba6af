"""The middle of the hypotheses: mean, median, medoid. No camera, no truth.

The mean minimizes the expected squared error and is the best single answer for calibrated
hypotheses; it may lie between two modes and shorten bones. The coordinate-wise median resists stray
hypotheses. The medoid is one of the hypotheses, so it keeps their bone lengths.

A NaN in any hypothesis makes the result NaN there: nothing is left out silently.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.types import Hypotheses, Keypoints2D, Poses3D


def spread(hypotheses: Hypotheses) -> Float[Tensor, "*batch F J 3"]:
    """Standard deviation of the hypotheses per coordinate, in meters.

    Args:
        hypotheses: Any number.

    Returns:
        The deviation, dividing by H - 1; NaN for a single hypothesis, which says nothing about
        spread.
    """
    x = hypotheses.joints
    if len(hypotheses) == 1:
        return torch.full_like(x.squeeze(-4), torch.nan)
    return x.std(-4, correction=1)


def pick(x: Tensor, index: Tensor) -> Tensor:
    """Take one hypothesis per place.

    Args:
        x: ``(*batch, H, F, J, 3)``.
        index: ``(*batch, F, J)``, which hypothesis each joint comes from.

    Returns:
        ``(*batch, F, J, 3)``.
    """
    wide = index[..., None, :, :, None].expand(*x.shape[:-4], 1, *x.shape[-3:])
    return x.gather(-4, wide).squeeze(-4)


def mean(hypotheses: Hypotheses, keypoints: Keypoints2D | None = None) -> Poses3D:
    """Average the hypotheses.

    Args:
        hypotheses: Any number.
        keypoints: Not used; every aggregator has the same signature.

    Returns:
        The mean pose, the mean root if hypotheses have roots, and their spread.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.zeros(2, 1, 17, 3)
        >>> x[1, :, 5] = 0.2
        >>> round(mean(Hypotheses(x, H36M17)).joints[0, 5, 0].item(), 3)
        0.1
    """
    del keypoints
    root = None if hypotheses.root is None else hypotheses.root.mean(-3)
    joints = hypotheses.joints.mean(-4)
    return Poses3D(joints, hypotheses.skeleton, root=root, std=spread(hypotheses))


def _middle(x: Tensor, dim: int) -> Tensor:
    ordered = x.sort(dim).values  # NaN sorts last
    n = x.shape[dim]
    low, high = ordered.select(dim, (n - 1) // 2), ordered.select(dim, n // 2)
    return torch.where(x.isnan().any(dim), torch.nan, (low + high) / 2)


def median(hypotheses: Hypotheses, keypoints: Keypoints2D | None = None) -> Poses3D:
    """Take the median of every coordinate; for even H the mean of the two middle values.

    Args:
        hypotheses: Any number.
        keypoints: Not used; every aggregator has the same signature.

    Returns:
        The median pose, the median root if hypotheses have roots, and their spread.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.zeros(3, 1, 17, 3)
        >>> x[2] = 100.0  # one stray hypothesis
        >>> median(Hypotheses(x, H36M17)).joints.abs().max().item()
        0.0
    """
    del keypoints
    root = None if hypotheses.root is None else _middle(hypotheses.root, -3)
    joints = _middle(hypotheses.joints, -4)
    return Poses3D(joints, hypotheses.skeleton, root=root, std=spread(hypotheses))


def medoid_index(hypotheses: Hypotheses, level: str = "frame") -> Int[Tensor, "*batch F"]:
    """Which hypothesis has the smallest mean joint distance to all others.

    Args:
        hypotheses: Any number.
        level: Choose per frame, or one hypothesis for the whole clip.

    Returns:
        Index per frame; ties go to the lowest.

    Raises:
        OptionError: If the level is unknown.
    """
    if level not in ("frame", "clip"):
        raise OptionError(f"A medoid is chosen per 'frame' or per 'clip', got {level!r}.")
    x = hypotheses.joints
    total = torch.stack(
        [
            (x - x.select(-4, h).unsqueeze(-4)).norm(dim=-1).mean(-1).mean(-2)
            for h in range(len(hypotheses))
        ],
        -2,
    )  # (*batch, H, F), one hypothesis at a time: memory stays linear in H
    if level == "clip":
        total = total.mean(-1, keepdim=True).expand_as(total)
    return total.argmin(-2)


def medoid(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D | None = None,
    *,
    level: str = "frame",
) -> Poses3D:
    """Take the hypothesis that is closest to all others.

    Args:
        hypotheses: Any number.
        keypoints: Not used; every aggregator has the same signature.
        level: Choose per frame (may jump between hypotheses), or one for the whole clip.

    Returns:
        One of the hypotheses per frame, with its root if it has one; where any hypothesis is NaN in
        a frame, distances are unknown and the frame is NaN.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.tensor([0.0, 0.1, 1.0]).view(3, 1, 1, 1).expand(3, 1, 17, 3)
        >>> round(medoid(Hypotheses(x, H36M17)).joints.max().item(), 3)
        0.1
    """
    del keypoints
    x = hypotheses.joints
    index = medoid_index(hypotheses, level)
    joints = pick(x, index[..., None].expand(*index.shape, x.shape[-2]))
    unknown = x.isnan().any(-1).any(-1).any(-2)[..., None, None]
    root = hypotheses.root
    if root is not None:
        root = root.gather(-3, index[..., None, :, None].expand(*root.shape[:-3], 1, -1, 3))
        root = root.squeeze(-3)
    joints = torch.where(unknown, torch.nan, joints)
    return Poses3D(joints, hypotheses.skeleton, root=root, std=spread(hypotheses))

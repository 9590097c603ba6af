"""The calibration curve as published, quirks included: for comparison with published tables only.

``cgnf``: Pierzchlewicz et al., "Multi-hypothesis 3D human pose estimation metrics favor
miscalibrated distributions" (2022). Every frame is an item. ``platypose``: the release of
Pierzchlewicz et al., "Platypose: calibrated zero-shot multi-hypothesis 3D human motion estimation"
(2024).

    c_j          coordinate-wise median over hypotheses (the *lower* of the two middle ones)
    Q_j(q)       linear-interpolation quantile of |x_sj - c_j|, 21 levels 0, 0.05, ..., 1
    v(q, j)      1 if Q_j(q) > |y_j - c_j|, strictly
    F(q, j)      mean of v over items
    curve        median over joints of F; ECE is the mean over levels of |curve - q|

Departures of the Platypose release from the older definition, all kept here:

- the root is one of 17 joints; its strict comparison is never true, so one curve is zero;
- with ONE frame, joint i's quantile is compared with every joint k's distance, and averaged over k;
  a perfect model then scores about 0.08 if its joints differ in scale;
- with several frames, the comparison is averaged over the frames of an item before items are.

Both depend on the number of hypotheses: a calibrated model scores 0.15 with 5 and 0.003 with 200.
:func:`hypopose.calibration.ece` does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import Pairs, blocks, paired, valid
from hypopose.calibration.provenance import Counts, Record, Settings
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D

LEVELS_PUBLISHED: tuple[float, ...] = tuple(i * 0.05 for i in range(21))


@dataclass(frozen=True, eq=False)
class PublishedCurve:
    """A published curve and its error.

    Args:
        form: ``cgnf`` or ``platypose``.
        levels: ``(21,)``.
        per_item: ``(N, 21, J)`` comparisons averaged within each item.
        coverage: ``(21, J)`` their mean over items.
        curve: ``(21,)`` the median over joints.
        record: The conventions and counts.
    """

    form: str
    levels: Tensor
    per_item: Tensor
    coverage: Tensor
    curve: Tensor
    record: Record

    @property
    def ece(self) -> float:
        """Mean over levels of the distance between curve and level."""
        return float((self.curve - self.levels).abs().mean())


def _quantiles_and_distances(x: Tensor, y: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Radii ``(N, L, F, J)`` and the truth's distances ``(N, F, J)`` to the lower median."""
    center = x.median(dim=1, keepdim=True).values
    e = (x - center).norm(dim=-1)
    t = (y - center[:, 0]).norm(dim=-1)
    radii = torch.quantile(e, levels.to(e), dim=1, interpolation="linear")
    return radii.movedim(0, 1), t


def _comparisons(pairs: Pairs, match_joints: bool) -> Tensor:
    """Strict comparisons averaged over frames, ``(N, 21, J)`` float64."""
    levels = torch.tensor(LEVELS_PUBLISHED, dtype=torch.float64)
    n, s, n_frames, j = pairs.x.shape[:4]
    total = torch.zeros(n, len(levels), j, dtype=torch.float64)
    for items, frames in blocks(n, n_frames, 4 * s * j * 3 * pairs.x.element_size()):
        radii, t = _quantiles_and_distances(
            pairs.x[items, :, frames], pairs.y[items, frames], levels
        )
        if match_joints:
            inside = (radii > t[:, None]).double().sum(2)
        else:
            inside = (radii.unsqueeze(-1) > t[:, None, :, None, :]).double().mean(-1).sum(2)
        total[items] += inside.cpu()
    return total / n_frames


def _median(x: Tensor) -> Tensor:
    """Median over the last axis, the two middle values averaged."""
    return torch.quantile(x, 0.5, dim=-1, interpolation="linear")


def _record(pairs: Pairs, cells: tuple[str, ...], root: str, settings: Settings | None) -> Record:
    bad = ~valid(pairs.y) | ~valid(pairs.x).all(1)
    counts = Counts(
        observations=int((~bad).sum()),
        sequences=len(pairs.x),
        missing_truth=int((~valid(pairs.y)).sum()),
        nan_hypotheses=int((~valid(pairs.x)).sum()),
    )
    notes = ("depends on the number of hypotheses; published form",)
    return Record(pairs.n_hypotheses, cells, root, settings or Settings(), counts, notes)


def cgnf_curve(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    occluded: Tensor | None = None,
    settings: Settings | None = None,
) -> PublishedCurve:
    """The original curve: every frame is an item, the root is left out.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        occluded: ``(*batch, F, J)`` if only occluded joints count: averaged within the item first,
            then over items; items without any are skipped, and there is no median over joints.
            A joint with a NaN is skipped in its item.
        settings: What the record says about the data.

    Returns:
        The curve. Joints are the 16 (or J-1) without the root, or one pooled column if occluded.

    Raises:
        ShapeError: If shapes disagree.

    Example:
        >>> x = torch.randn(50, 22, 1, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> x[..., 0, :] = 0
        >>> cgnf_curve(x[:, 1:], x[:, 0]).coverage.shape
        torch.Size([21, 16])
    """
    pairs = paired(hypotheses, truth)
    joints = list(pairs.judged_joints(None))
    n, s, n_frames = pairs.x.shape[:3]
    x = pairs.x[..., joints, :].transpose(1, 2).reshape(-1, s, 1, len(joints), 3)
    y = pairs.y[..., joints, :].reshape(-1, 1, len(joints), 3)
    used = Pairs(x, y, (n * n_frames,), None)
    per_item = _comparisons(used, match_joints=True)
    bad = ~(valid(y).all(1) & valid(x).all(1).all(1)).unsqueeze(1)
    per_item = torch.where(bad, torch.nan, per_item)
    cells = tuple(pairs.names()[j] for j in joints)
    if occluded is not None:
        shape = (*pairs.batch, n_frames, pairs.x.shape[-2])
        if tuple(occluded.shape) != shape:
            raise ShapeError(f"occluded must be {shape}, got {tuple(occluded.shape)}.")
        hidden = occluded.reshape(-1, 1, shape[-1])[..., joints]
        per_item = torch.where(hidden, per_item, torch.nan).nanmean(-1, keepdim=True)
        cells = ("occluded joints",)
    coverage = per_item.nanmean(0)
    return PublishedCurve(
        "cgnf",
        torch.tensor(LEVELS_PUBLISHED, dtype=torch.float64),
        per_item,
        coverage,
        _median(coverage),
        _record(used, cells, "left out", settings),
    )


def platypose_curve(
    hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor, *, settings: Settings | None = None
) -> PublishedCurve:
    """The curve of the Platypose release, its root row and single-frame defect included.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``, the root among the joints.
        truth: ``(*batch, F, J, 3)``.
        settings: What the record says about the data.

    Returns:
        The curve over all joints.

    Raises:
        OptionError: If a value is NaN: the release has no rule for it.
        ShapeError: If shapes disagree.

    Example:
        >>> x = torch.randn(400, 51, 1, 5, 3, generator=torch.Generator().manual_seed(0))
        >>> x = x * torch.arange(5.0)[:, None]  # root at zero, joints of different scale
        >>> platypose_curve(x[:, 1:], x[:, 0]).ece > 0.05 > cgnf_curve(x[:, 1:], x[:, 0]).ece
        True
    """
    pairs = paired(hypotheses, truth)
    if not bool(torch.isfinite(pairs.x).all() and torch.isfinite(pairs.y).all()):
        raise OptionError(
            "The Platypose form has no rule for NaN; use hypopose.calibration.ece, which counts it."
        )
    per_item = _comparisons(pairs, match_joints=pairs.x.shape[2] > 1)
    coverage = per_item.mean(0)
    return PublishedCurve(
        "platypose",
        torch.tensor(LEVELS_PUBLISHED, dtype=torch.float64),
        per_item,
        coverage,
        _median(coverage),
        _record(pairs, pairs.names(), "kept as a joint of zero coverage", settings),
    )

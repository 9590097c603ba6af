"""Sums from which a calibration curve is computed, batch by batch; mergeable.

The definitions are in :mod:`hypopose.calibration.curves`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from hypopose.calibration.bootstrap import equal_sequences
from hypopose.calibration.calibration_curve import CalibrationCurve, resolved
from hypopose.calibration.extrapolated_ece import ORDER, distance_statistics, rank_statistics
from hypopose.calibration.histograms import RankHistogram
from hypopose.calibration.judged_quantities import JudgedQuantity, judged_quantity
from hypopose.calibration.paired_arrays import Pairs, blocks, paired
from hypopose.calibration.preranks import PRERANKS, prerank_ranks
from hypopose.calibration.provenance import Counts, Record, Settings
from hypopose.calibration.ranks import (
    Ranks,
    coverage_matrix,
    distance_ranks,
    rank_mass,
    value_ranks,
)
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D

LEVELS: tuple[float, ...] = tuple(i / 20 for i in range(1, 20))


@dataclass(eq=False)
class CurveAccumulator:
    """Streams hypotheses and truth into a :class:`CalibrationCurve`; mergeable.

    Memory: one histogram of S+2 bins per cell, and L+4 numbers per cell and sequence.

    Args:
        levels: Nominal levels, between 0 and 1.
        of: What is judged; a key of :data:`hypopose.calibration.JUDGED_QUANTITIES`.
        joints: Joints by index; all but the root if None (fixed by the first batch).
        settings: What the record says about the data.
        statistic: What is ranked: ``distance`` to the symmetrized center, ``value`` (one coordinate
            against the hypotheses': the PIT), or a key of :data:`hypopose.calibration.PRERANKS`.
        n_groupings: Groupings of the hypotheses into pools that the ECE is averaged over, see
            :mod:`hypopose.calibration.extrapolated_ece`; more are less noisy and slower.

    Example:
        >>> x = torch.randn(40, 10, 1, 3, 3, generator=torch.Generator().manual_seed(0))
        >>> whole, half = CurveAccumulator(), CurveAccumulator()
        >>> whole.update(x[:, 1:], x[:, 0])
        >>> half.update(x[:20, 1:], x[:20, 0])
        >>> rest = CurveAccumulator()
        >>> rest.update(x[20:, 1:], x[20:, 0])
        >>> half.merge(rest)
        >>> abs(half.compute().ece - whole.compute().ece) < 1e-12
        True
    """

    levels: Sequence[float] = LEVELS
    of: str = "joint"
    joints: Sequence[int] | None = None
    settings: Settings = field(default_factory=Settings)
    statistic: str = "distance"
    n_groupings: int = 1
    _record: Record | None = field(default=None, init=False, repr=False)
    _mass: Tensor | None = field(default=None, init=False, repr=False)
    _named: dict[Hashable, Tensor] = field(default_factory=dict, init=False, repr=False)
    _unnamed: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.levels or not all(0 < q < 1 for q in self.levels):
            raise OptionError(f"Levels lie strictly between 0 and 1, got {tuple(self.levels)}.")
        if self.statistic not in ("distance", "value", *PRERANKS):
            raise OptionError(
                f"No statistic {self.statistic!r}; choose distance, value, {', '.join(PRERANKS)}."
            )

    def update(
        self,
        hypotheses: Hypotheses | Tensor,
        truth: Poses3D | Tensor,
        *,
        sequences: Sequence[Hashable] | None = None,
        mask: Tensor | None = None,
    ) -> None:
        """Add a batch.

        Args:
            hypotheses: ``(*batch, H, F, J, 3)``.
            truth: ``(*batch, F, J, 3)``.
            sequences: The sequence each batch item is cut from; items with equal labels count as
                one unit, also across updates. None: every item is its own sequence.
            mask: ``(*batch, F, J)`` True where to look (occlusion, an action); joints elsewhere are
                left out as if the truth were missing. Only for quantities of single joints.

        Raises:
            ShapeError: If shapes disagree, or S differs from earlier batches.
        """
        pairs = paired(hypotheses, truth)
        if mask is not None:
            pairs = _masked(pairs, mask)
        cells = self._cells(pairs)
        n_items, s = len(pairs.x), pairs.n_hypotheses
        labels = list(range(n_items)) if sequences is None else list(sequences)
        if len(labels) != n_items:
            raise ShapeError(f"{n_items} items need as many sequence labels, got {len(labels)}.")
        unit = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        group = torch.tensor([unit[label] for label in labels])
        sums = _batch_sums(pairs, cells, group, len(unit), self.statistic, self.n_groupings)
        self._keep(*sums, cells, s, None if sequences is None else list(unit))

    def _cells(self, pairs: Pairs) -> JudgedQuantity:
        if self.joints is None:
            self.joints = pairs.judged_joints(None)
        joints = pairs.judged_joints(self.joints)
        return judged_quantity(self.of, joints, pairs.names(), pairs.skeleton)

    def _keep(
        self,
        mass: Tensor,
        shape: Tensor,
        counts: Counts,
        cells: JudgedQuantity,
        s: int,
        labels: list[Hashable] | None,
    ) -> None:
        notes = ("one hypothesis: judged as a point prediction",) if s == 1 else ()
        record = Record(s, cells.cells, "left out unless named", self.settings, counts, notes)
        self._record = record if self._record is None else self._record.merged(record)
        pooled = mass.sum(0)
        self._mass = pooled if self._mass is None else self._mass + pooled
        cover = mass @ coverage_matrix(torch.tensor(list(self.levels)), s)
        cover = torch.cat([cover, shape, mass[..., -1:], mass.sum(-1, keepdim=True)], -1)
        if labels is None:
            self._unnamed.append(cover)
            return
        for label, row in zip(labels, cover, strict=True):
            self._named[label] = self._named[label] + row if label in self._named else row.clone()

    def merge(self, other: CurveAccumulator) -> None:
        """Add another accumulator's sums.

        Raises:
            OptionError: If the two follow different conventions.
        """
        mine = (tuple(self.levels), self.of, self.statistic)
        if mine != (tuple(other.levels), other.of, other.statistic):
            raise OptionError(
                "Only accumulators with the same levels, quantity and statistic merge."
            )
        if other._record is None or other._mass is None:
            return
        self._record = other._record if self._record is None else self._record.merged(other._record)
        self._mass = other._mass.clone() if self._mass is None else self._mass + other._mass
        self.joints = other.joints
        self._unnamed += other._unnamed
        for label, row in other._named.items():
            self._named[label] = self._named[label] + row if label in self._named else row.clone()

    def compute(self) -> CalibrationCurve:
        """The curve of everything seen so far.

        Raises:
            OptionError: If nothing was seen.
        """
        if self._record is None or self._mass is None:
            raise OptionError("No data yet; call update(hypotheses, truth) first.")
        named = [torch.stack(list(self._named.values()))] if self._named else []
        rows = torch.cat([*self._unnamed, *named])
        rows = rows[rows[..., -1].sum(-1) > 0]
        counts = self._record.counts + Counts(sequences=len(rows))
        histogram = self._mass[:, :-1].clone()
        histogram[:, -1] += self._mass[:, -1]
        levels = torch.tensor(list(self.levels), dtype=torch.float64)
        shape = rows[..., len(levels) :]
        rows = torch.cat([rows[..., : len(levels)], rows[..., -1:]], -1)
        n_effective = _effective(rows)
        s = self._record.n_hypotheses
        points = self._mass[:, -1] == self._mass.sum(-1)  # point predictions: they cover 0
        unknown = ~resolved(levels, s) & ~points[:, None]
        rows = torch.cat([rows[..., :-1].masked_fill(unknown, torch.nan), rows[..., -1:]], -1)
        total = rows.sum(0)
        return CalibrationCurve(
            levels=levels,
            coverage=total[:, :-1] / total[:, -1:],
            n=total[:, -1],
            n_effective=n_effective,
            sequence_cover=rows,
            sequence_shape=shape,
            histogram=RankHistogram(histogram, n_effective, self._record.cells),
            record=replace(
                self._record, counts=counts, notes=(*self._record.notes, *_blanks(unknown, s))
            ),
            statistic=self.statistic,
        )


def _blanks(unknown: Tensor, n_hypotheses: int) -> tuple[str, ...]:
    """The note that belongs to levels left blank."""
    if not bool(unknown.any()):
        return ()
    highest = 100 * n_hypotheses / (n_hypotheses + 1)
    return (f"{n_hypotheses} hypotheses resolve levels up to {highest:.0f} %; others are blank",)


def _masked(pairs: Pairs, mask: Tensor) -> Pairs:
    if tuple(mask.shape) != (*pairs.batch, *pairs.y.shape[1:3]):
        raise ShapeError(
            f"The mask must be {(*pairs.batch, *pairs.y.shape[1:3])}, got {tuple(mask.shape)}."
        )
    looked_at = mask.to(pairs.y.device).reshape(pairs.y.shape[:-1]).unsqueeze(-1)
    y = torch.where(looked_at, pairs.y, torch.nan)
    return Pairs(pairs.x, y, pairs.batch, pairs.skeleton)


def _batch_sums(
    pairs: Pairs,
    cells: JudgedQuantity,
    group: Tensor,
    n_groups: int,
    statistic: str,
    n_groupings: int,
) -> tuple[Tensor, Tensor, Counts]:
    """Rank mass ``(groups, K, S + 2)`` and shape ``(groups, K, ORDER)`` of a batch, in blocks."""
    n_items, s, n_frames = pairs.x.shape[:3]
    k = len(cells.cells)
    mass = torch.zeros(n_groups * k, s + 2, dtype=torch.float64)
    shape = torch.zeros(n_groups * k, ORDER, dtype=torch.float64)
    counts = Counts()
    size = k * (s + 1) * 3 * pairs.x.element_size()
    for items, frames in blocks(n_items, n_frames, size, cells.extra_frames):
        x = cells.apply(pairs.x[items, :, frames]).movedim(1, -1).contiguous()
        y = cells.apply(pairs.y[items, frames])
        ranks = _rank(statistic, x, y)
        cell = (group[items][:, None, None] * k + torch.arange(k)).expand(y.shape[:-1]).reshape(-1)
        mass += rank_mass(_flat(ranks), cell, n_groups * k, s)
        if statistic == "distance":
            moved = distance_statistics(x, y, n_groupings).masked_fill(
                ranks.identical.unsqueeze(-1), 0
            )
            shape.index_add_(0, cell, moved.reshape(-1, ORDER).cpu())
        counts = counts + ranks.counts
    if statistic != "distance":
        shape = mass[:, :-1] @ rank_statistics(s)
    return mass.reshape(n_groups, k, s + 2), shape.reshape(n_groups, k, ORDER), counts


def _rank(statistic: str, x: Tensor, y: Tensor) -> Ranks:
    if statistic == "distance":
        return distance_ranks(x, y)
    if statistic != "value":
        return prerank_ranks(statistic, x, y)
    if y.shape[-1] != 1:
        raise OptionError(
            "Values rank one coordinate at a time; use of='axis', 'depth', 'bone_length', "
            "'bone_depth' or 'speed'."
        )
    return value_ranks(x.squeeze(-2), y.squeeze(-1))


def _flat(ranks: Ranks) -> Ranks:
    return Ranks(
        ranks.below.reshape(-1).cpu(),
        ranks.ties.reshape(-1).cpu(),
        ranks.n.reshape(-1).cpu(),
        ranks.identical.reshape(-1).cpu(),
        ranks.counts,
    )


def _effective(rows: Tensor) -> Tensor:
    """Effective observations per cell from the spread between sequences.

    The variance of the pooled coverage F = sum_c f_c / sum_c n_c is estimated by the jackknife over
    sequences, (C-1)/C sum_c ((f_c - F n_c) / (N - n_c))^2, and compared with F(1-F)/N, averaged
    over levels. Leaving a sequence out keeps a long one from being compared with itself. The result
    is at least the number of equally long sequences that carry as much.
    """
    sums, n_c = rows[..., :-1], rows[..., -1:]
    total = n_c.sum(0)
    n = total.squeeze(-1)
    f = sums.sum(0) / total
    rest = total - n_c
    off = torch.where(rest > 0, (sums - f * n_c) / rest, 0)
    c = (n_c > 0).sum(0)
    clustered = (off**2).sum(0) * (c - 1) / c
    independent = f * (1 - f) / total
    ratio = independent.sum(-1) / clustered.sum(-1).clamp(min=1e-300)
    worth = torch.maximum(torch.minimum(n * ratio, n), equal_sequences(n_c.squeeze(-1)))
    return torch.where(c.squeeze(-1) < 2, n, worth).where(n > 0, 0)

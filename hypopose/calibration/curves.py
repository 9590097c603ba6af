"""The calibration curve and its error (ECE), joint by joint, unbiased in the number of hypotheses.

Pierzchlewicz, Willeke, Cobos et al., "Multi-hypothesis 3D human pose estimation metrics favor
miscalibrated distributions" (2022), ask: how often does the truth fall inside the q-ball around the
median hypothesis? Here the center is the median of the hypotheses *and* the truth (see
:mod:`hypopose.calibration.ranks`), so that a calibrated model has coverage q for every S; joints
are compared with themselves; the error is averaged over joints after the absolute value, so an
overconfident joint cannot hide behind an underconfident one; and the curve comes with what a
perfect model would show by chance.

    q            levels, 0.05 to 0.95 (0 and 1 can contribute nothing and are left out)
    F_k(q)       coverage: share of observations whose truth lies inside the q-ball of cell k
    G_k(q)       the same in the limit of many hypotheses (:mod:`.extrapolated_ece`)
    ECE_k        mean over q of |G_k(q) - q|
    ECE          mean of ECE_k over the cells

F is what S hypotheses cover, and is nearer to the diagonal the fewer they are; it serves regions,
bands and verdicts. G has the same expectation for every S from 5 on, so the ECE has it too.

S hypotheses split [0, 1] into S + 1 ranks; a truth beyond all of them has the last. Levels above
S / (S + 1) cut through that rank: no count can tell their coverage, so F is NaN there, and noted.
A point prediction (one hypothesis, or all the same) is no such case: its regions
are points, hold nothing at any level, and cover 0.

**Interval of the ECE.** Absolute values make the ECE of a sample too large on average: noise in G
adds to it and never cancels, most of all where G is near q. Percentiles of resampled ECEs carry the
noise twice and may lie wholly above the estimate. Instead: by the triangle inequality the true ECE
is no further from the measured one than the mean of |G_k(q) - true G_k(q)|, and how large that mean
gets is seen from its resampled counterpart. The interval is the estimate plus and minus that much;
it covers at least as often as it says, and exactly so for a calibrated model.

The published forms, for comparison with published tables, are in
:mod:`hypopose.calibration.published_curve`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hypopose.calibration.bootstrap import (
    N_DRAWS,
    cluster_bootstrap,
    equal_sequences,
    resamples,
    tail,
)
from hypopose.calibration.extrapolated_ece import (
    ORDER,
    distance_statistics,
    limit_curve,
    null_error,
    rank_statistics,
)
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
from hypopose.calibration.uniformity import null_coverage, simultaneous_band
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D

Array = NDArray[np.float64]
LEVELS: tuple[float, ...] = tuple(i / 20 for i in range(1, 20))


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Coverage against nominal level, per cell and pooled.

    Args:
        levels: ``(L,)`` nominal levels q.
        coverage: ``(K, L)`` coverage per cell; NaN at levels that S hypotheses cannot resolve.
        n: ``(K,)`` observations per cell.
        n_effective: ``(K,)`` observations a set of *independent* frames would need for the same
            precision; estimated from the differences between sequences.
        sequence_cover: ``(C, K, L + 1)`` per sequence: sums of coverage (NaN where coverage is),
            then the count. Resample its rows for intervals.
        sequence_shape: ``(C, K, ORDER + 2)`` per sequence: sums of what moves :attr:`limit` off
            the diagonal, of point predictions, then the count.
        histogram: How often the truth has each rank.
        record: The conventions and counts.
        statistic: What was ranked.
    """

    levels: Tensor
    coverage: Tensor
    n: Tensor
    n_effective: Tensor
    sequence_cover: Tensor
    sequence_shape: Tensor
    histogram: RankHistogram
    record: Record
    statistic: str = "distance"

    @property
    def resolved(self) -> Tensor:
        """``(L,)`` True at levels that S hypotheses can resolve, those up to S / (S + 1)."""
        return resolved(self.levels, self.record.n_hypotheses)

    @property
    def curve(self) -> Tensor:
        """``(L,)`` coverage averaged over cells; cells may cancel here, unlike in :attr:`ece`."""
        return self.coverage.nanmean(0)

    @property
    def limit(self) -> Tensor:
        """``(K, L)`` coverage in the limit of many hypotheses, to two terms; never blank."""
        total = self.sequence_shape.sum(0)
        return limit_curve(self.levels, total[..., :-1] / total[..., -1:])

    @property
    def ece_per_cell(self) -> Tensor:
        """``(K,)`` mean over levels of the distance between :attr:`limit` and level."""
        return (self.limit - self.levels).abs().mean(-1)

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 0.5: the mean over cells of :attr:`ece_per_cell`."""
        return float(self.ece_per_cell.nanmean())

    @property
    def median_ece(self) -> float:
        """The ECE of the median cell's curve, as published tables have it: cells may cancel.

        That is the definition of Pierzchlewicz et al. (2022), with ranks that do not depend on the
        number of hypotheses; :attr:`ece` lets no joint that is too sure hide one that is unsure.
        """
        return float((_median_curve(self.limit) - self.levels).abs().mean())

    @property
    def excess(self) -> Tensor:
        """``(K,)`` mean of :attr:`limit` minus level: positive = underconfident (too wide)."""
        return (self.limit - self.levels).mean(-1)

    @property
    def null_ece_per_cell(self) -> Tensor:
        """``(K,)`` ECE a perfectly calibrated model would show by chance."""
        s = self.record.n_hypotheses
        values = [null_error(n, self.levels, s, self.statistic) for n in self.n_effective.tolist()]
        return torch.tensor(values, dtype=torch.float64)

    @property
    def null_ece(self) -> float:
        """The ECE a perfectly calibrated model would show by chance, on this much data."""
        return float(self.null_ece_per_cell.nanmean())

    def bands(self, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
        """Simultaneous bands of a calibrated model, lower and upper, each ``(K, L)``.

        Args:
            confidence: Probability that a calibrated cell's whole curve stays inside.

        Returns:
            NaN at levels that cannot be resolved and for cells without observations.
        """
        edges = np.full((2, len(self.n), len(self.levels)), np.nan)
        seen = self.resolved
        levels = tuple(self.levels[seen].tolist())
        for k, n in enumerate(self.n_effective.tolist()):
            if n >= 1 and levels:
                curves = null_coverage(_rounded(n), self.record.n_hypotheses, levels)
                edges[:, k, seen.numpy()] = np.stack(simultaneous_band(curves, confidence))
        low, high = torch.as_tensor(edges)
        return low, high

    def interval(
        self,
        confidence: float = 0.95,
        n_draws: int = N_DRAWS,
        seed: int = 0,
        *,
        median: bool = False,
    ) -> tuple[float, float]:
        """Interval of :attr:`ece`, whole sequences resampled; it holds the estimate.

        Args:
            confidence: Probability that it holds the truth.
            n_draws: Resamples.
            seed: Of the resamples.
            median: That of :attr:`median_ece` instead.

        Returns:
            Lower and upper end; NaN with fewer than two sequences.
        """
        n_sequences = len(self.sequence_shape)
        if n_sequences < 2:
            return float("nan"), float("nan")
        shape, here, draws = self.sequence_shape.numpy(), self.limit, []
        here, value = (_median_curve(here), self.median_ece) if median else (here, self.ece)
        for times in resamples(n_sequences, n_draws, seed):
            sums = torch.as_tensor(np.tensordot(times, shape, axes=1))
            drawn = limit_curve(self.levels, sums[..., :-1] / sums[..., -1:])
            off = ((_median_curve(drawn) if median else drawn) - here).abs()
            draws.append(finite_mean(off.flatten(1).numpy(), 1))
        half = np.nanquantile(np.concatenate(draws), 1 - 2 * tail(confidence, n_sequences))
        return max(0.0, value - float(half)), min(1.0, value + float(half))

    def coverage_interval(self, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
        """Interval of :attr:`curve`, whole sequences resampled.

        Args:
            confidence: Probability that it holds the truth, level by level.

        Returns:
            Lower and upper ends, ``(L,)`` each; NaN with fewer than two sequences.
        """

        def mean_over_cells(sums: Array) -> Array:
            with np.errstate(invalid="ignore"):
                return finite_mean(sums[..., :-1] / sums[..., -1:], 1)

        low, high = cluster_bootstrap(
            self.sequence_cover.numpy(), mean_over_cells, confidence=confidence
        )
        return torch.as_tensor(low), torch.as_tensor(high)

    def verdicts(self, confidence: float = 0.95) -> tuple[str, ...]:
        """Per cell: ``overconfident``, ``underconfident``, or ``calibrated`` within the band."""
        low, high = self.bands(confidence)
        outside = (self.coverage < low - 1e-9) | (self.coverage > high + 1e-9)
        inside = (~outside[:, self.resolved].any(-1)).tolist()
        words = ["overconfident" if e < 0 else "underconfident" for e in self.excess.tolist()]
        return tuple("calibrated" if i else w for i, w in zip(inside, words, strict=True))


def _median_curve(curves: Float[Tensor, "*any K L"]) -> Float[Tensor, "*any L"]:
    """Median over cells at every level; of an even number, the mean of the two in the middle."""
    return curves.nanquantile(0.5, dim=-2)


def resolved(levels: Tensor, n_hypotheses: int) -> Tensor:
    """Which levels S hypotheses can resolve: all up to S / (S + 1), and every level if S is 1.

    One hypothesis is a point prediction, whose regions cover 0 at any level.

    Example:
        >>> resolved(torch.tensor([0.5, 0.8, 0.95]), 5).tolist()
        [True, True, False]
    """
    highest = n_hypotheses / (n_hypotheses + 1) if n_hypotheses > 1 else 1.0
    return levels.double() <= highest + 1e-9


def finite_mean(x: Array, axis: int) -> Array:
    """Mean of the finite values along an axis; NaN where there is none, without a warning."""
    finite = np.isfinite(x)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(finite, x, 0).sum(axis) / finite.sum(axis))


def _rounded(n: float) -> int:
    """Three digits suffice for a null distribution, and share simulations between joints."""
    return int(float(f"{n:.3g}")) if n >= 1 else 0


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
    over levels. Leaving a sequence out keeps a long one from vouching for itself. At least as many
    as the sequences would be if they were of one length.
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


def ece(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    of: str = "joint",
    joints: Sequence[int] | None = None,
    levels: Sequence[float] = LEVELS,
    sequences: Sequence[Hashable] | None = None,
    mask: Tensor | None = None,
    settings: Settings | None = None,
) -> CalibrationCurve:
    """Calibration curve and expected calibration error of hypotheses against the truth.

    Does not depend on the number of hypotheses from 5 on, whether calibrated or not. Compare
    ``.ece`` with ``.null_ece``, which a perfect model would reach on as much data.

    Convention:
        Camera frame, root-relative, not aligned to the truth. The unit does not matter.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        of: What is judged: ``joint``, ``axis``, ``lateral``, ``depth``, ``bone_length``,
            ``bone_depth`` or ``speed``.
        joints: Joints by index; all but the root if None.
        levels: Nominal levels.
        sequences: The sequence of each batch item; None: every item is its own.
        mask: ``(*batch, F, J)`` True where to look.
        settings: What the record says about the data.

    Returns:
        The curve; ``.ece`` is the number, ``.histogram`` the ranks behind it.

    Raises:
        ShapeError: If shapes disagree.
        OptionError: If nothing is left to judge.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.randn(2000, 21, 1, 2, 3, generator=g)
        >>> calibrated, narrow = ece(x[:, 1:], x[:, 0]), ece(0.5 * x[:, 1:], x[:, 0])
        >>> calibrated.ece < 0.02, narrow.ece > 0.25, narrow.verdicts()
        (True, True, ('overconfident', 'overconfident'))
    """
    accumulator = CurveAccumulator(levels, of, joints, settings or Settings())
    accumulator.update(hypotheses, truth, sequences=sequences, mask=mask)
    return accumulator.compute()


def rank_histogram(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    of: str = "axis",
    statistic: str = "value",
    joints: Sequence[int] | None = None,
    sequences: Sequence[Hashable] | None = None,
    mask: Tensor | None = None,
) -> RankHistogram:
    """Rank histogram of a scalar (its PIT), or of whole poses by a pre-rank.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        of: A key of :data:`hypopose.calibration.JUDGED_QUANTITIES`.
        statistic: ``value``, ``distance``, or a key of :data:`hypopose.calibration.PRERANKS`.
        joints: Joints by index; all but the root if None.
        sequences: The sequence of each batch item; None: every item is its own.
        mask: ``(*batch, F, J)`` True where to look.

    Returns:
        The histogram; flat under calibration for every number of hypotheses.

    Raises:
        OptionError: If ``value`` meets more than one coordinate.

    Example:
        >>> x = torch.randn(2000, 10, 1, 2, 3, generator=torch.Generator().manual_seed(0))
        >>> too_far = x[:, 1:] + torch.tensor([0.0, 0.0, 1.0])
        >>> rank_histogram(too_far, x[:, 0], of="depth").shapes()
        ('low', 'low')
        >>> rank_histogram(0.4 * x[:, 1:], x[:, 0], of="pose", statistic="nearest").shapes()
        ('high',)
    """
    accumulator = CurveAccumulator(LEVELS, of, joints, Settings(), statistic)
    accumulator.update(hypotheses, truth, sequences=sequences, mask=mask)
    return accumulator.compute().histogram

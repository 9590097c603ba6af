"""Accumulate draws batch by batch, and compute scores and calibration from the sums.

Everything is kept as sums per action and sequence, so that two halves merge into the whole, memory
does not grow with the number of frames (but for two numbers per observation of the spread), and
intervals resample whole sequences: frames at 50 Hz are almost copies of each other, and intervals
over frames would be far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hypopose.calibration import (
    CalibrationCurve,
    CurveAccumulator,
    Estimate,
    RankHistogram,
    Settings,
    SpreadAccumulator,
    SpreadSkill,
)
from hypopose.calibration.min_at_k import Best, oracle_min_at_k
from hypopose.errors import OptionError
from hypopose.evaluation.benchmark_draws import Draw
from hypopose.evaluation.comparison import Comparison
from hypopose.evaluation.frame_scores import TITLES, Metric, choose_metrics, scores_of
from hypopose.evaluation.frame_sums import FrameSums
from hypopose.evaluation.published_ece import PublishedSums
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

COVERAGE_LEVELS = (0.5, 0.8, 0.95)
FEW = 10
"""Hypotheses of a second ECE: the calibration error must not depend on the number of hypotheses."""
BESTS: tuple[Best, ...] = ("clip", "frame", "joint")


@dataclass(eq=False)
class Evaluator:
    """Streams hypotheses and truth; everything that ``evaluate`` and ``calibrate`` say.

    Args:
        metrics: Key -> metric of the table; the default ones if empty.
        settings: What was done to the data before, and the seed.
        exclude_root: Leave the root joint out of errors; calibration never judges it.
        n_groupings: Groupings of the hypotheses that the ECE is averaged over.
        distributions: Also keep what only plots show: PIT histograms, spread against error, the
            best of k.
        min_at_k: Also keep the best of k, of what ``distributions`` keeps.
        published_ece: Also keep the ECE in the forms of published tables.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> x = truth.joints + 0.02 * torch.randn(12, *truth.joints.shape)
        >>> evaluator = Evaluator()
        >>> evaluator.add(Hypotheses(x, truth.skeleton), truth, ["walk"])
        >>> evaluator.scores()["mpjpe_mean_mm"].value < 20
        True
    """

    metrics: Mapping[str, Metric] = field(default_factory=choose_metrics)
    settings: Settings = field(default_factory=Settings)
    exclude_root: bool = False
    n_groupings: int = 1
    distributions: bool = False
    min_at_k: bool = False
    published_ece: bool = False
    sums: FrameSums = field(default_factory=FrameSums, init=False)
    n_hypotheses: int = field(default=0, init=False)
    n_items: int = field(default=0, init=False)
    n_frames: int = field(default=0, init=False)
    skeleton: str = field(default="", init=False)
    _curves: dict[str, CurveAccumulator] = field(default_factory=dict, init=False, repr=False)
    _axis: CurveAccumulator = field(init=False, repr=False)
    _recalibrated: dict[str, CurveAccumulator] = field(default_factory=dict, init=False, repr=False)
    _spread: SpreadAccumulator = field(default_factory=SpreadAccumulator, init=False, repr=False)
    _best: dict[Best, Tensor] = field(default_factory=dict, init=False, repr=False)
    _published: PublishedSums = field(default_factory=PublishedSums, init=False, repr=False)

    def __post_init__(self) -> None:
        self._axis = CurveAccumulator(of="axis", statistic="value")

    def add(
        self,
        hypotheses: Hypotheses,
        truth: Poses3D,
        sequences: Sequence[Hashable] | None = None,
        *,
        keypoints: Keypoints2D | None = None,
        recalibrated: Mapping[str, Hypotheses] | None = None,
    ) -> None:
        """Add one clip, or a batch of clips.

        Args:
            hypotheses: ``(*batch, H, F, J, 3)`` in meters.
            truth: The same batch axes.
            sequences: One label per clip: clips of one recording share it, and are resampled
                together. None: every clip is its own sequence.
            keypoints: With a camera, in the hypotheses' skeleton: adds the scores of JPMA.
            recalibrated: Label -> the hypotheses after a recalibration, for the coverage table.
        """
        compared = self._compared(hypotheses, truth, keypoints, ())
        frames = scores_of(compared, self.metrics)
        rows = {key: value.reshape(-1, value.shape[-1]) for key, value in frames.items()}
        moved = {k: Draw.of(x, truth).hypotheses for k, x in (recalibrated or {}).items()}
        self._keep(Draw.of(hypotheses, truth, sequences), rows, moved)

    def update(
        self, draw: Draw, recalibrated: Mapping[str, Hypotheses] | None = None
    ) -> Comparison:
        """Add a draw.

        Args:
            draw: Hypotheses and their truth.
            recalibrated: Label -> the hypotheses after a recalibration, for the coverage table.

        Returns:
            The draw with everything that its scores computed.
        """
        compared = self._compared(draw.hypotheses, draw.truth, draw.keypoints, draw.seams)
        self._keep(draw, scores_of(compared, self.metrics), recalibrated or {})
        return compared

    def _compared(
        self,
        hypotheses: Hypotheses,
        truth: Poses3D,
        keypoints: Keypoints2D | None,
        seams: Sequence[int],
    ) -> Comparison:
        return Comparison(hypotheses, truth, keypoints, seams, self.exclude_root)

    def _keep(
        self, draw: Draw, frames: Mapping[str, Tensor], recalibrated: Mapping[str, Hypotheses]
    ) -> None:
        self.sums.update(frames, draw.cells)
        for action, part in draw.by_action():
            self._curve(action).update(part.hypotheses, part.truth, sequences=part.sequences)
        if len(draw.hypotheses) > FEW:
            few = first(draw.hypotheses)
            self._curve(_FEW).update(few, draw.truth, sequences=draw.sequences)
        for label, moved in recalibrated.items():
            after = self._recalibrated.setdefault(label, CurveAccumulator())
            after.update(moved, draw.truth, sequences=draw.sequences)
        if self.distributions:
            self._keep_distributions(draw)
        if self.distributions or self.min_at_k:
            self._keep_best(draw)
        if self.published_ece:
            self._published.update(draw)
        n_items, n_frames = draw.truth.joints.shape[:2]
        self.n_items += n_items
        self.n_frames += n_items * n_frames
        self.skeleton = draw.hypotheses.skeleton.name
        self.n_hypotheses = len(draw.hypotheses)

    def _curve(self, name: str) -> CurveAccumulator:
        return self._curves.setdefault(name, CurveAccumulator(n_groupings=self.n_groupings))

    def _keep_distributions(self, draw: Draw) -> None:
        hypotheses, truth = draw.hypotheses, draw.truth
        self._axis.update(hypotheses, truth, sequences=draw.sequences)
        if len(hypotheses) > 1:
            self._spread.update(hypotheses, truth)

    def _keep_best(self, draw: Draw) -> None:
        hypotheses, truth = draw.hypotheses, draw.truth
        for best in BESTS:
            curve = 1000 * oracle_min_at_k(hypotheses, truth, best=best)
            frames = truth.joints.shape[-3] * curve.isfinite()
            both = torch.stack([(frames * curve.nan_to_num()).sum(0), frames.sum(0).double()])
            self._best[best] = self._best[best] + both if best in self._best else both

    def merge(self, other: Evaluator) -> None:
        """Add another evaluator's sums; equal sequences are one."""
        self.sums.merge(other.sums)
        for name, curve in other._curves.items():
            self._curve(name).merge(curve)
        for label, curve in other._recalibrated.items():
            self._recalibrated.setdefault(label, CurveAccumulator()).merge(curve)
        self._axis.merge(other._axis)
        self._spread.merge(other._spread)
        self._published.merge(other._published)
        for best, both in other._best.items():
            self._best[best] = self._best[best] + both if best in self._best else both
        self.n_items += other.n_items
        self.n_frames += other.n_frames
        self.skeleton = self.skeleton or other.skeleton
        self.n_hypotheses = self.n_hypotheses or other.n_hypotheses

    @property
    def keys(self) -> tuple[str, ...]:
        """Scores that are means over frames: of the metrics, and what :attr:`sums` was given."""
        return tuple(dict.fromkeys([*self.metrics, *self.sums.keys]))

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions seen."""
        return tuple(sorted(name for name in self._curves if name != _FEW))

    def curve(self, action: str | None = None) -> CalibrationCurve:
        """The calibration curve of everything seen, or of one action.

        Raises:
            OptionError: If nothing was seen.
        """
        if not self.n_items:
            raise OptionError("Nothing was evaluated yet; call update(draw) first.")
        if action is not None:
            return self._curves[action].compute()
        whole = CurveAccumulator(n_groupings=self.n_groupings)
        for name in self._curves:
            if name != _FEW:
                whole.merge(self._curves[name])
        return whole.compute()

    def recalibrated(self) -> dict[str, CalibrationCurve]:
        """Label -> curve after recalibration."""
        return {label: curve.compute() for label, curve in self._recalibrated.items()}

    def scores(self, action: str | None = None, *, intervals: bool = True) -> dict[str, Estimate]:
        """Scores by key, in the order of tables.

        Args:
            action: Only this one; None for everything seen.
            intervals: Whether to resample sequences; without, the ends are NaN.
        """
        found = {key: self.sums.estimate(key, action, interval=intervals) for key in self.keys}
        known = {key: estimate for key, estimate in found.items() if estimate is not None}
        known |= calibration_scores(self.curve(action), intervals)
        if action is None and _FEW in self._curves:
            few = self._curves[_FEW].compute()
            known[f"ece_{FEW}"] = calibration_scores(few, intervals)["ece"]
        if action is None:
            known |= self._published.scores(intervals)
        order = dict.fromkeys([*TITLES, *self.metrics, *known])
        return {key: known[key] for key in order if key in known}

    def axis_histogram(self) -> RankHistogram:
        """Ranks of the true coordinates; needs ``distributions``."""
        return self._axis.compute().histogram

    def spread_skill(self) -> SpreadSkill | None:
        """Spread against error; None for a single hypothesis. Needs ``distributions``."""
        return self._spread.compute() if self.n_hypotheses > 1 else None

    def best_of_k(self) -> dict[Best, Tensor]:
        """Oracle curves in millimeters for k = 1 to H; needs ``distributions`` or ``min_at_k``."""
        return {best: total / n for best, (total, n) in self._best.items()}


_FEW = " few"
"""Name among the curves of the first few hypotheses; no action begins with a space."""


def first(hypotheses: Hypotheses, n: int = FEW) -> Hypotheses:
    """The first few hypotheses."""
    return Hypotheses(hypotheses.joints[..., :n, :, :, :], hypotheses.skeleton)


def calibration_scores(curve: CalibrationCurve, intervals: bool = True) -> dict[str, Estimate]:
    """ECE, ECE of the median joint, and coverage of regions in percent."""
    n = len(curve.sequence_cover)
    scores = {"ece": Estimate(curve.ece, n_sequences=n)}
    scores["ece_median"] = Estimate(curve.median_ece, n_sequences=n)
    low = high = np.full(len(curve.levels), math.nan)
    if intervals:
        scores["ece"] = Estimate(curve.ece, *curve.interval(), n)
        scores["ece_median"] = Estimate(curve.median_ece, *curve.interval(median=True), n)
        low, high = (100 * np.asarray(end) for end in curve.coverage_interval())
    for level in COVERAGE_LEVELS:
        at = int((curve.levels - level).abs().argmin())
        scores[f"coverage_{round(100 * level)}_percent"] = Estimate(
            100 * float(curve.curve[at]), float(low[at]), float(high[at]), n
        )
    return scores

"""One method judged against the truth: the arrays that the report draws, as plain data.

A :class:`Judge` streams hypotheses and truth, clip by clip, and sums up as a :class:`Judgement`: no
files, no samplers, nothing that grows with the number of frames but two numbers per observation of
the spread. A judgement is written as JSON and read back, so that a benchmark judged in the night is
a report in the morning. The truth is only compared with; scores that pick by it are oracles and say
so in their name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hypopose.calibration.bootstrap import (
    Sums,
    cluster_bootstrap,
    equal_sequences,
    resamples,
    sequence_sums,
    tail,
)
from hypopose.calibration.curves import CalibrationCurve, CurveAccumulator, finite_mean
from hypopose.calibration.histograms import RankHistogram
from hypopose.calibration.min_at_k import Best, oracle_min_at_k
from hypopose.calibration.records import Settings
from hypopose.calibration.spread import SpreadAccumulator, SpreadSkill
from hypopose.calibration.uniformity import simultaneous_band
from hypopose.errors import FormatError, OptionError
from hypopose.io import write_atomically
from hypopose.report.evaluation import TITLES, frame_scores, is_oracle, notes_of
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

Array = NDArray[np.float64]
REGIONS = (0.5, 0.8, 0.95)
_AXES = ("to the right", "down", "depth")
_BESTS: tuple[Best, ...] = ("clip", "frame", "joint")
_N_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Reliability:
    """Coverage against nominal level, per joint and pooled.

    Args:
        joints: K names.
        levels: ``(L,)`` nominal levels.
        coverage: ``(K, L)`` per joint.
        band_low: ``(K, L)`` where a calibrated joint's curve stays with 95 % probability, lower.
        band_high: The same, upper.
        pooled: ``(L,)`` mean over joints.
        pooled_low: ``(L,)`` 95 % interval over sequences, NaN with fewer than two.
        pooled_high: The same, upper.
        excess: ``(K,)`` mean of coverage minus level; negative is overconfident.
        verdicts: K words: overconfident, underconfident, calibrated.
        ece: Expected calibration error.
        ece_low: Its 95 % interval over sequences.
        ece_high: The same, upper.
        null_ece: What a perfect model would show on as much data.
    """

    joints: tuple[str, ...]
    levels: Array
    coverage: Array
    band_low: Array
    band_high: Array
    pooled: Array
    pooled_low: Array
    pooled_high: Array
    excess: Array
    verdicts: tuple[str, ...]
    ece: float
    ece_low: float
    ece_high: float
    null_ece: float


@dataclass(frozen=True, eq=False)
class Histograms:
    """PIT histograms per camera axis, pooled over joints.

    Args:
        axes: Names of the axes.
        density: ``(A, B)`` relative frequency; 1 everywhere if calibrated.
        band_low: ``(A, B)`` 95 % simultaneous band of a calibrated model, lower.
        band_high: The same, upper.
        shapes: Per axis ``flat``, ``u``, ``hump``, ``high`` or ``low``.
    """

    axes: tuple[str, ...]
    density: Array
    band_low: Array
    band_high: Array
    shapes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Skill:
    """Does the spread tell the error? Millimeters.

    Args:
        spread: ``(B,)`` root-mean-square spread in bins of growing spread.
        skill: ``(B,)`` root-mean-square error of the mean in the same bins.
        ratio: Spread over error of everything; below 1 is overconfident.
        spearman: Rank correlation of spread and error.
        kept: ``(P,)`` share of joints kept.
        selective: ``(P,)`` mean error of those with the smallest spread.
        oracle_selective: ``(P,)`` mean error of those with the smallest error.
    """

    spread: Array
    skill: Array
    ratio: float
    spearman: float
    kept: Array
    selective: Array
    oracle_selective: Array


@dataclass(frozen=True, eq=False)
class OracleCurve:
    """Best of k hypotheses, picked by the truth: no method can reach it.

    Args:
        best: What one pick covers: ``clip``, ``frame`` or ``joint``.
        error: ``(S,)`` millimeters for k = 1 to S.
    """

    best: str
    error: Array


@dataclass(frozen=True)
class ScoreRow:
    """One row of the score table.

    Args:
        key: The score's key; its end is the unit.
        title: What it says.
        value: The estimate.
        low: 95 % interval over sequences; NaN with fewer than two.
        high: The same, upper.
        oracle: Whether it picks by the truth.
    """

    key: str
    title: str
    value: float
    low: float
    high: float
    oracle: bool


@dataclass(frozen=True, eq=False)
class CoverageRow:
    """How often regions that should hold a share of the truths do.

    Args:
        label: What was done to the hypotheses: ``as sampled``, or the recalibration's name.
        levels: ``(L,)`` nominal.
        coverage: ``(L,)`` measured; NaN at levels that the hypotheses are too few to resolve.
        low: ``(L,)`` 95 % interval over sequences; NaN with fewer than two.
        high: The same, upper.
    """

    label: str
    levels: Array
    coverage: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Judgement:
    """Everything the report says about one method against the truth.

    Args:
        name: The method, as tables call it.
        skeleton: Name of the joint set.
        scores: Rows of the table.
        settings: What the numbers depend on, in words; ``ground truth`` says what was used of it.
        reliability: Calibration curves; None if only scores are known.
        histograms: PIT histograms.
        skill: Spread against error.
        min_at_k: Oracle curves.
        coverage: Nominal against measured coverage, before and after recalibration.
    """

    name: str
    skeleton: str
    scores: tuple[ScoreRow, ...]
    settings: dict[str, str]
    reliability: Reliability | None = None
    histograms: Histograms | None = None
    skill: Skill | None = None
    min_at_k: tuple[OracleCurve, ...] = ()
    coverage: tuple[CoverageRow, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; NaN becomes None."""
        return {"hypopose": "judgement", "schema": 1, **_encode(self)}


@dataclass(eq=False)
class Judge:
    """Streams a method's hypotheses and the truth into a :class:`Judgement`.

    Args:
        name: The method, as tables shall call it.
        settings: What was done to the data before, and the seed.
        details: Further settings in words, for the report.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> x = truth.joints + 0.02 * torch.randn(12, *truth.joints.shape)
        >>> judge = Judge("noise")
        >>> judge.update(Hypotheses(x, truth.skeleton), truth, ["walk"])
        >>> judge.compute().reliability.verdicts[0]
        'underconfident'
    """

    name: str
    settings: Settings = field(default_factory=Settings)
    details: dict[str, str] = field(default_factory=dict)
    _joint: CurveAccumulator = field(default_factory=CurveAccumulator, init=False, repr=False)
    _axis: CurveAccumulator = field(
        default_factory=lambda: CurveAccumulator(of="axis", statistic="value"),
        init=False,
        repr=False,
    )
    _after: dict[str, CurveAccumulator] = field(default_factory=dict, init=False, repr=False)
    _spread: SpreadAccumulator = field(default_factory=SpreadAccumulator, init=False, repr=False)
    _sums: dict[str, dict[Hashable, Sums]] = field(default_factory=dict, init=False, repr=False)
    _best: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    _frames: int = field(default=0, init=False, repr=False)
    _clips: int = field(default=0, init=False, repr=False)
    _skeleton: str = field(default="", init=False, repr=False)
    _n_hypotheses: int = field(default=0, init=False, repr=False)

    def update(
        self,
        hypotheses: Hypotheses,
        truth: Poses3D,
        sequences: Sequence[Hashable],
        *,
        keypoints: Keypoints2D | None = None,
        recalibrated: Mapping[str, Hypotheses] | None = None,
    ) -> None:
        """Add one clip, or a batch of clips.

        Args:
            hypotheses: ``(*batch, H, F, J, 3)`` in meters.
            truth: The same batch axes.
            sequences: One label per clip: clips of one recording share it, and are resampled
                together.
            keypoints: With a camera, in the hypotheses' skeleton: adds the score of JPMA.
            recalibrated: Label -> the hypotheses after a recalibration, for the coverage table.
        """
        self._joint.update(hypotheses, truth, sequences=sequences)
        self._axis.update(hypotheses, truth, sequences=sequences)
        if len(hypotheses) > 1:
            self._spread.update(hypotheses, truth)
        for label, changed in (recalibrated or {}).items():
            self._after.setdefault(label, CurveAccumulator()).update(
                changed, truth, sequences=sequences
            )
        for key, values in frame_scores(hypotheses, keypoints, truth).items():
            rows = values if values.dim() > 1 else values[None]
            _add(self._sums.setdefault(key, {}), sequence_sums(rows.flatten(0, -2), sequences))
        n_frames = truth.joints.shape[-3]
        for best in _BESTS:
            curve = 1000 * oracle_min_at_k(hypotheses, truth, best=best).reshape(
                -1, len(hypotheses)
            )
            frames = n_frames * curve.isfinite()
            both = torch.stack([(frames * curve.nan_to_num()).sum(0), frames.sum(0).double()])
            self._best[best] = self._best[best] + both if best in self._best else both
        self._clips += len(sequences)
        self._frames += n_frames * len(sequences)
        self._skeleton = hypotheses.skeleton.name
        self._n_hypotheses = len(hypotheses)

    def compute(self) -> Judgement:
        """The judgement of everything seen so far.

        Raises:
            OptionError: If nothing was seen.
        """
        if not self._clips:
            raise OptionError("Nothing was judged yet; call update(hypotheses, truth, sequences).")
        curve = self._joint.compute()
        after = {label: a.compute() for label, a in self._after.items()}
        return Judgement(
            name=self.name,
            skeleton=self._skeleton,
            scores=(*_ece_rows(curve), *self._score_rows()),
            settings=self._words(curve),
            reliability=_reliability(curve),
            histograms=_histograms(self._axis.compute().histogram),
            skill=_skill(self._spread.compute()) if self._n_hypotheses > 1 else None,
            min_at_k=tuple(
                OracleCurve(best, _array(total / n)) for best, (total, n) in self._best.items()
            ),
            coverage=(
                _coverage_row("as sampled", curve),
                *(_coverage_row(label, c) for label, c in after.items()),
            ),
        )

    def _score_rows(self) -> list[ScoreRow]:
        rows = []
        for key in TITLES:
            if any(n > 0 for _, n in self._sums.get(key, {}).values()):
                i = cluster_bootstrap(self._sums[key])
                rows.append(ScoreRow(key, TITLES[key], i.estimate, i.low, i.high, is_oracle(key)))
        return rows

    def _words(self, curve: CalibrationCurve) -> dict[str, str]:
        counts = curve.record.counts
        return {
            **self.details,
            "hypotheses": str(self._n_hypotheses),
            "clips": str(self._clips),
            "sequences": _lengths(curve),
            "frames": str(self._frames),
            "skeleton": self._skeleton,
            "alignment to the truth": self.settings.alignment,
            "ground truth": "compared with only"
            if self.settings.ground_truth == "none"
            else f"compared with; before that: {self.settings.ground_truth}",
            "seed": "unknown" if self.settings.seed is None else str(self.settings.seed),
            "root joint": "zero by definition; counted in errors, not judged by calibration",
            "intervals": "95 %, whole sequences resampled (cluster bootstrap)",
            "truths missing": str(counts.missing_truth),
            "hypotheses missing": str(counts.nan_hypotheses),
            "ties": str(counts.tied),
            "identical hypotheses": str(counts.identical),
            **notes_of(curve),
        }


def _lengths(curve: CalibrationCurve) -> str:
    """How many sequences, and what they are worth if their lengths differ much."""
    n = len(curve.sequence_cover)
    worth = float(equal_sequences(curve.sequence_cover[..., -1].sum(-1)))
    return f"{n}, worth {worth:.1f} of one length" if worth < 0.8 * n else str(n)


def from_evaluation(data: Mapping[str, Any]) -> Judgement:
    """A judgement of scores alone, from what ``hypopose evaluate -o`` writes.

    Args:
        data: The JSON object.

    Returns:
        Scores and settings; the curves stay empty.

    Raises:
        FormatError: If it is no evaluation.
    """
    try:
        rows = {**data["scores"], **data["oracle_scores"]}
        sampler = data.get("sampler", {"name": data.get("result", "result")})
        settings = {k: str(v) for k, v in data.get("settings", {}).items() if v is not None}
        scores = tuple(_evaluated(key, rows[key]) for key in TITLES if key in rows)
        return Judgement(str(sampler["name"]), "", scores, settings)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError(
            f"This JSON is no evaluation ({error!r}); give what hypopose evaluate -o wrote."
        ) from None


def save_judgement(path: str | Path, judgement: Judgement) -> None:
    """Write a judgement as JSON.

    Args:
        path: Where to; written whole or not at all.
        judgement: What to write.
    """
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(judgement.to_dict(), allow_nan=False) + "\n")


def load_judgement(path: str | Path) -> Judgement:
    """Read a judgement, or the scores of an evaluation.

    Args:
        path: JSON that :func:`save_judgement` or ``hypopose evaluate -o`` wrote.

    Returns:
        The judgement.

    Raises:
        FormatError: If the file is neither.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is not JSON ({error}); give a judgement.") from None
    if not isinstance(data, dict) or data.get("hypopose", "judgement") != "judgement":
        raise FormatError(f"{path} is no judgement; give what hypopose calibrate -o wrote.")
    if "hypopose" not in data:
        return from_evaluation(data)
    try:
        judgement: Judgement = _decode(Judgement, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path} is a damaged judgement ({error!r}); write it again.") from None
    return judgement


def _evaluated(key: str, row: Any) -> ScoreRow:
    row = row if isinstance(row, dict) else {"value": row}
    value, low, high = (
        math.nan if row.get(name) is None else float(row[name]) for name in ("value", "low", "high")
    )
    return ScoreRow(key, TITLES[key], value, low, high, is_oracle(key))


def _add(sums: dict[Hashable, Sums], more: Mapping[Hashable, Sums]) -> None:
    for label, (total, count) in more.items():
        before = sums.get(label, (0.0, 0.0))
        sums[label] = (before[0] + total, before[1] + count)


def _ece_rows(curve: CalibrationCurve) -> tuple[ScoreRow, ScoreRow]:
    every, median = curve.interval(), curve.interval(median=True)
    return (
        ScoreRow("ece", TITLES["ece"], curve.ece, *every, False),
        ScoreRow("ece_median", TITLES["ece_median"], curve.median_ece, *median, False),
    )


def _reliability(curve: CalibrationCurve) -> Reliability:
    low, high = curve.bands()
    pooled_low, pooled_high = _pooled_interval(curve)
    ece_low, ece_high = curve.interval()
    return Reliability(
        joints=curve.record.cells,
        levels=_array(curve.levels),
        coverage=_array(curve.coverage),
        band_low=_array(low),
        band_high=_array(high),
        pooled=_array(curve.curve),
        pooled_low=pooled_low,
        pooled_high=pooled_high,
        excess=_array(curve.excess),
        verdicts=curve.verdicts(),
        ece=curve.ece,
        ece_low=ece_low,
        ece_high=ece_high,
        null_ece=curve.null_ece,
    )


def _pooled_interval(curve: CalibrationCurve) -> tuple[Array, Array]:
    """95 % interval of the mean over joints, whole sequences resampled."""
    cover = curve.sequence_cover.numpy()
    n = len(cover)
    if n < 2:
        empty = np.full(len(curve.levels), np.nan)
        return empty, empty
    draws = []
    for picks in resamples(n, _N_DRAWS, 0):
        sums = np.tensordot(picks, cover, axes=1)
        with np.errstate(invalid="ignore"):
            draws.append(finite_mean(sums[..., :-1] / sums[..., -1:], 1))
    cut, ends = tail(0.95, n), np.full((2, len(curve.levels)), np.nan)
    known = curve.curve.isfinite().numpy()
    ends[:, known] = np.nanquantile(np.concatenate(draws)[:, known], [cut, 1 - cut], axis=0)
    return ends[0], ends[1]


def _coverage_row(label: str, curve: CalibrationCurve) -> CoverageRow:
    low, high = _pooled_interval(curve)
    at = [int((curve.levels - level).abs().argmin()) for level in REGIONS]
    return CoverageRow(label, np.asarray(REGIONS), _array(curve.curve)[at], low[at], high[at])


def _histograms(per_coordinate: RankHistogram) -> Histograms:
    """Pool the joints of each axis; they are not independent, so the effective size is one's."""
    counts = per_coordinate.counts.reshape(-1, 3, per_coordinate.counts.shape[-1])
    size = per_coordinate.n_effective.reshape(-1, 3).mean(0)
    pooled = RankHistogram(counts.sum(0), size, _AXES)
    lows, highs = zip(*(_density_band(float(n), pooled.n_hypotheses) for n in size), strict=True)
    return Histograms(
        _AXES, _array(pooled.density()), np.stack(lows), np.stack(highs), pooled.shapes()
    )


def _density_band(n: float, n_hypotheses: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    n_ranks = n_hypotheses + 1
    counts = rng.multinomial(max(1, round(n)), np.full(n_ranks, 1 / n_ranks), size=_N_DRAWS)
    null = RankHistogram(torch.as_tensor(counts), torch.full((_N_DRAWS,), n), ())
    return simultaneous_band(null.density().numpy())


def _skill(spread: SpreadSkill) -> Skill:
    return Skill(
        spread=1000 * _array(spread.spread),
        skill=1000 * _array(spread.skill),
        ratio=spread.ratio,
        spearman=spread.spearman,
        kept=_array(spread.kept),
        selective=1000 * _array(spread.sparsification),
        oracle_selective=1000 * _array(spread.oracle_sparsification),
    )


def _array(x: Tensor) -> Array:
    return np.asarray(x.detach().cpu().double().numpy())


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        return _encode(value.tolist())
    if isinstance(value, list | tuple):
        return [_encode(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


_PARTS: dict[str, type] = {
    "reliability": Reliability,
    "histograms": Histograms,
    "skill": Skill,
    "min_at_k": OracleCurve,
    "coverage": CoverageRow,
    "scores": ScoreRow,
}


def _decode(cls: type, data: Mapping[str, Any]) -> Any:
    """Rebuild a dataclass of this module from what :func:`_encode` made of it."""
    return cls(**{f.name: _value(f.name, str(f.type), data[f.name]) for f in fields(cls)})


def _value(name: str, kind: str, value: Any) -> Any:
    if kind == "Array":
        return np.asarray(value, dtype=np.float64)  # None becomes NaN
    if kind == "float":
        return math.nan if value is None else float(value)
    if name in _PARTS and value is not None:
        cls = _PARTS[name]
        return tuple(_decode(cls, v) for v in value) if kind.startswith("tuple") else (
            _decode(cls, value)
        )  # fmt: skip
    return tuple(value) if kind.startswith("tuple") else value

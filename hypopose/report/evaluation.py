"""How good a sampler is on a benchmark: errors, scores and calibration with honest intervals.

Every number comes with a 95 % interval from resampling whole sequences: frames at 50 Hz are almost
copies of each other, so intervals over frames would be far too narrow. The truth is only compared
with; scores that pick hypotheses by it carry ``oracle`` in their name and stand apart. Roots are
fitted to the keypoints with the camera the sampler was given.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.aggregation import jpma, median
from hypopose.calibration import CalibrationCurve, CurveAccumulator, energy_score
from hypopose.calibration.bootstrap import tail
from hypopose.datasets import Benchmark, BenchmarkItem, batches, stack
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.metrics import (
    bone_lengths,
    check_target,
    joint_errors,
    p_joint_errors,
    velocity_errors,
)
from hypopose.samplers.windows import window_seams
from hypopose.skeletons import convert
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler, Skeleton

N_BOOTSTRAP = 2000
CONFIDENCE = 0.95
COVERAGE_LEVELS = (0.5, 0.8, 0.95)
FEW = 10
"""Hypotheses of a second ECE, which must agree: honesty is no matter of how many are drawn."""

TITLES: dict[str, str] = {
    "mpjpe_single_mm": "MPJPE of one hypothesis (expected)",
    "mpjpe_mean_mm": "MPJPE of the mean",
    "mpjpe_median_mm": "MPJPE of the median",
    "mpjpe_jpma_mm": "MPJPE of JPMA, root fitted",
    "p_mpjpe_single_mm": "P-MPJPE of one hypothesis (expected)",
    "p_mpjpe_mean_mm": "P-MPJPE of the mean",
    "p_mpjpe_median_mm": "P-MPJPE of the median",
    "p_mpjpe_jpma_mm": "P-MPJPE of JPMA, root fitted",
    "mpjve_single_mm_per_frame": "MPJVE of one hypothesis",
    "mpjve_seam_mm_per_frame": "MPJVE of one hypothesis, where windows meet",
    "mpjve_mean_mm_per_frame": "MPJVE of the mean",
    "energy_score_joint_mm": "energy score per joint",
    "energy_score_pose_mm": "energy score per pose",
    "energy_score_clip_mm": "energy score per clip, over the root of its frames",
    "bone_drift_single_mm": "bones of one hypothesis, SD over a clip",
    "ece": "ECE, 0 to 0.5 (symmetrized ranks)",
    "ece_median": "ECE of the median joint's curve, as published (joints may cancel)",
    "ece_10": "ECE of the first 10 hypotheses",
    "coverage_50_percent": "coverage of 50 % regions",
    "coverage_80_percent": "coverage of 80 % regions",
    "coverage_95_percent": "coverage of 95 % regions",
    "mpjpe_oracle_pose_best_clip_mm": "MPJPE of the best hypothesis per clip",
    "mpjpe_oracle_pose_best_frame_mm": "MPJPE of the best hypothesis per frame",
    "mpjpe_oracle_joint_best_mm": "MPJPE of the best hypothesis per joint",
}
"""Key of a score -> what it says; the unit ends the key."""


def is_oracle(key: str) -> bool:
    """Whether a score picks hypotheses by the truth.

    Example:
        >>> is_oracle("mpjpe_oracle_joint_best_mm"), is_oracle("mpjpe_mean_mm")
        (True, False)
    """
    return "oracle" in key


def frame_scores(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D | None,
    truth: Poses3D,
    seams: Sequence[int] = (),
) -> dict[str, Float[Tensor, "*batch F"]]:
    """Every error and score, per frame, in millimeters.

    Args:
        hypotheses: Root-relative, meters.
        keypoints: With a camera, in the hypotheses' skeleton; None leaves out JPMA.
        truth: Same batch axes.
        seams: Frames where windows meet, see :func:`hypopose.samplers.windows.window_seams`; the
            steps that lead there have a score of their own, if there are any.

    Returns:
        Score -> value per frame. A clip's score stands in each of its frames. NaN where joints
        are missing, where a pose cannot be aligned, and for velocities of a single frame.
    """
    check_target(hypotheses, truth)
    x, y = hypotheses.joints, truth.joints
    errors = joint_errors(x, y.unsqueeze(-4))
    pose_errors = errors.mean(-1)
    clip_best = pose_errors.mean(-1).amin(-1, keepdim=True)
    aggregates = {"mean": x.mean(-4), "median": median(hypotheses).joints}
    if keypoints is not None:
        aggregates["jpma"] = jpma(hypotheses, keypoints).joints
    scores = {
        "mpjpe_single": pose_errors.mean(-2),
        "p_mpjpe_single": p_joint_errors(x, y.unsqueeze(-4).expand_as(x)).mean((-3, -1)),
        "energy_score_joint": energy_score(hypotheses, truth).mean(-1),
        "energy_score_pose": energy_score(hypotheses, truth, level="pose"),
        "energy_score_clip": _clip_score(hypotheses, truth),
        "bone_drift_single": _bone_drift(x, hypotheses.skeleton),
        "mpjpe_oracle_pose_best_clip": clip_best.expand(y.shape[:-2]),
        "mpjpe_oracle_pose_best_frame": pose_errors.amin(-2),
        "mpjpe_oracle_joint_best": errors.amin(-3).mean(-1),
    }
    for name, joints in aggregates.items():
        scores[f"mpjpe_{name}"] = joint_errors(joints, y).mean(-1)
        scores[f"p_mpjpe_{name}"] = p_joint_errors(joints, y).mean(-1)
    out = {f"{name}_mm": 1000 * value for name, value in scores.items()}
    steps = _velocity(x, y.unsqueeze(-4)).mean(-2)
    out["mpjve_single_mm_per_frame"] = steps
    out["mpjve_mean_mm_per_frame"] = _velocity(aggregates["mean"], y)
    if seams:
        out["mpjve_seam_mm_per_frame"] = torch.full_like(steps, torch.nan)
        into = torch.tensor(seams)
        out["mpjve_seam_mm_per_frame"][..., into] = steps[..., into - 1]
    return out


def _clip_score(hypotheses: Hypotheses, truth: Poses3D) -> Tensor:
    """Energy score of the whole motion, over the root of the number of frames, for each frame."""
    n = truth.joints.shape[-3]
    score = energy_score(hypotheses, truth, level="clip") / n**0.5
    return score.unsqueeze(-1).expand(truth.joints.shape[:-2])


def _bone_drift(x: Float[Tensor, "*batch H F J 3"], skeleton: Skeleton) -> Tensor:
    """SD of bone lengths over a clip, mean over bones and hypotheses, for each frame."""
    drift = bone_lengths(x, skeleton).std(-2, correction=0).mean((-1, -2))
    return drift.unsqueeze(-1).expand(*drift.shape, x.shape[-3])


def _velocity(pred: Tensor, target: Tensor) -> Tensor:
    """Velocity errors in mm per frame; the last frame repeats the step before it."""
    if pred.shape[-3] < 2:
        return torch.full(pred.shape[:-2], torch.nan)
    errors = 1000 * velocity_errors(pred, target).mean(-1)
    return torch.cat((errors, errors[..., -1:]), -1)


def evaluate_pair(
    hypotheses: Hypotheses, keypoints: Keypoints2D | None, truth: Poses3D
) -> dict[str, float]:
    """Compare hypotheses with the truth.

    Args:
        hypotheses: Drawn without knowing the truth; any batch axes.
        keypoints: Their keypoints with a camera, for JPMA; None leaves it out.
        truth: Root-relative, same frame, skeleton and batch axes.

    Returns:
        Numbers by name, the unit at the end of the name; names with ``oracle`` pick by the truth.
        ``n_frames`` counts frames, ``n_invalid_frames`` those left out of ``mpjpe_single_mm``.
        NaN where it cannot be told: coverage of a level above H / (H + 1), for example.

    Raises:
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.samplers.boneflips import BoneFlips
        >>> keypoints, truth = example_pair()
        >>> hypotheses = BoneFlips().sample(keypoints, 8, seeded_noise(0))
        >>> scores = evaluate_pair(hypotheses, keypoints, truth)
        >>> scores["mpjpe_oracle_joint_best_mm"] < scores["mpjpe_single_mm"]
        True
    """
    frames = frame_scores(hypotheses, keypoints, truth)
    accumulator = CurveAccumulator()
    accumulator.update(hypotheses, truth)
    scores = {name: _finite_mean(value) for name, value in frames.items()}
    scores.update(_calibration(accumulator.compute()))
    if len(hypotheses) > FEW:
        few = CurveAccumulator()
        few.update(first(hypotheses), truth)
        scores["ece_10"] = few.compute().ece
    single = frames["mpjpe_single_mm"]
    scores["n_frames"] = float(single.numel())
    scores["n_invalid_frames"] = float((~single.isfinite()).sum())
    return {key: scores[key] for key in (*TITLES, "n_frames", "n_invalid_frames") if key in scores}


def first(hypotheses: Hypotheses, n: int = FEW) -> Hypotheses:
    """The first few of them."""
    return Hypotheses(hypotheses.joints[..., :n, :, :, :], hypotheses.skeleton)


def _finite_mean(x: Tensor) -> float:
    good = x[x.isfinite()].double()
    return float(good.mean()) if good.numel() else math.nan


def _calibration(curve: CalibrationCurve) -> dict[str, float]:
    out = {"ece": curve.ece, "ece_median": curve.median_ece}
    for level in COVERAGE_LEVELS:
        at = int((curve.levels - level).abs().argmin())
        out[f"coverage_{round(100 * level)}_percent"] = 100 * float(curve.curve[at])
    return out


def notes_of(curve: CalibrationCurve) -> dict[str, str]:
    """What a reader of a curve must know, as a setting; nothing if there is nothing."""
    return {"calibration": "; ".join(curve.record.notes)} if curve.record.notes else {}


@dataclass(frozen=True)
class Score:
    """One number of a table.

    Args:
        value: The estimate.
        low: Lower end of the 95 % interval over sequences; NaN if there are fewer than two.
        high: Upper end.
        n_invalid_frames: Frames left out because joints are missing or a pose has no size.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n_invalid_frames: int = 0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a sampler reached on a benchmark.

    Args:
        benchmark: Its name.
        sampler: The method and its options.
        settings: Everything else that the numbers depend on, and what was taken from the truth.
        scores: Key of :data:`TITLES` -> score over all frames.
        actions: Action -> the same scores over its frames, with ``n_frames``.
        action_intervals: Action -> score -> its 95 % interval over the action's sequences; actions
            of one sequence have none.
    """

    benchmark: str
    sampler: dict[str, Any]
    settings: dict[str, Any]
    scores: dict[str, Score]
    actions: dict[str, dict[str, float]] = field(default_factory=dict)
    action_intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; NaN becomes None, oracle scores stand apart."""
        scores = {key: _plain(asdict(score)) for key, score in self.scores.items()}
        return {
            "benchmark": self.benchmark,
            "sampler": self.sampler,
            "settings": self.settings,
            "scores": {k: v for k, v in scores.items() if not is_oracle(k)},
            "oracle_scores": {k: v for k, v in scores.items() if is_oracle(k)},
            "per_action": {action: _plain(row) for action, row in self.actions.items()},
            "per_action_95_percent": {
                action: {key: list(ends) for key, ends in row.items()}
                for action, row in self.action_intervals.items()
            },
        }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


class _Sums:
    """Per sequence and action: sum, count and invalid count of every score. Mergeable by adding."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], dict[str, Tensor]] = defaultdict(
            lambda: defaultdict(lambda: torch.zeros(3, dtype=torch.float64))
        )
        self.curves: dict[str, CurveAccumulator] = defaultdict(CurveAccumulator)
        self.few = CurveAccumulator()
        self.has_few = False

    def update(
        self, items: Sequence[BenchmarkItem], frames: dict[str, Tensor], x: Hypotheses, y: Poses3D
    ) -> None:
        for i, item in enumerate(items):
            row = self.table[(item.action, item.view.clip)]
            for key, values in frames.items():
                good = values[i].isfinite()
                total = torch.where(good, values[i], 0.0).double().sum()
                row[key] += torch.stack([total, good.sum().double(), (~good).sum().double()])
        for action in dict.fromkeys(item.action for item in items):
            rows = [i for i, item in enumerate(items) if item.action == action]
            clips = [items[i].view.clip for i in rows]
            guesses = Hypotheses(x.joints[rows], x.skeleton)
            truth = Poses3D(y.joints[rows], y.skeleton)
            self.curves[action].update(guesses, truth, sequences=clips)
        if len(x) > FEW:
            self.few.update(first(x), y, sequences=[item.view.clip for item in items])
            self.has_few = True

    def scores(self) -> dict[str, Score]:
        found = self._bootstrap(self.table)
        found.update(_calibration_scores(self.curve()))
        if self.has_few:
            found["ece_10"] = _calibration_scores(self.few.compute())["ece"]
        return {key: found[key] for key in TITLES if key in found}

    def curve(self) -> CalibrationCurve:
        whole = CurveAccumulator()
        for part in self.curves.values():
            whole.merge(part)
        return whole.compute()

    def _bootstrap(self, table: dict[tuple[str, str], dict[str, Tensor]]) -> dict[str, Score]:
        """Scores of some rows of the table, resampled by sequence."""
        found: dict[str, Score] = {}
        for key in {key for row in table.values() for key in row}:
            by_clip: dict[str, Tensor] = defaultdict(lambda: torch.zeros(3, dtype=torch.float64))
            for (_, clip), row in sorted(table.items()):
                by_clip[clip] = by_clip[clip] + row.get(key, torch.zeros(3))
            sums = torch.stack(list(by_clip.values()))
            total = sums.sum(0)
            value = float(total[0] / total[1]) if total[1] else math.nan
            low, high = _interval(sums, lambda drawn: drawn[:, 0] / drawn[:, 1])
            found[key] = Score(value, low, high, int(total[2]))
        return found

    def actions(self) -> dict[str, dict[str, Score]]:
        """Action -> scores; ``n_frames`` counts all frames."""
        out: dict[str, dict[str, Score]] = {}
        for action, accumulator in sorted(self.curves.items()):
            rows = {key: row for key, row in self.table.items() if key[0] == action}
            scores = self._bootstrap(rows) | _calibration_scores(accumulator.compute())
            n = sum(float(row["mpjpe_single_mm"][1:].sum()) for row in rows.values())
            ordered = {key: scores[key] for key in TITLES if key in scores}
            out[action] = {"n_frames": Score(n), **ordered}
        return out


def _interval(
    sums: Float[Tensor, "sequences *any"], value: Callable[[Tensor], Tensor]
) -> tuple[float, float]:
    """Interval of a value of sums, by drawing whole sequences; NaN for fewer than two."""
    n = len(sums)
    if n < 2:
        return math.nan, math.nan
    picks = torch.randint(n, (N_BOOTSTRAP, n), generator=torch.Generator().manual_seed(0))
    counts = torch.zeros(N_BOOTSTRAP, n, dtype=torch.float64)
    counts.scatter_add_(1, picks, torch.ones_like(picks, dtype=torch.float64))
    drawn = value(torch.tensordot(counts, sums, dims=1))
    drawn = drawn[drawn.isfinite()]
    if not len(drawn):
        return math.nan, math.nan
    cut = tail(CONFIDENCE, n)
    low, high = torch.quantile(drawn, torch.tensor([cut, 1 - cut]).double()).tolist()
    return low, high


def _calibration_scores(curve: CalibrationCurve) -> dict[str, Score]:
    scores = {
        "ece": Score(curve.ece, *curve.interval(CONFIDENCE, N_BOOTSTRAP)),
        "ece_median": Score(
            curve.median_ece, *curve.interval(CONFIDENCE, N_BOOTSTRAP, median=True)
        ),
    }
    values = _calibration(curve)
    for level in COVERAGE_LEVELS:
        at = int((curve.levels - level).abs().argmin())
        sums = curve.sequence_cover[..., [at, -1]]  # (sequences, joints, [covered, count])
        interval = _interval(sums, lambda drawn: 100 * (drawn[..., 0] / drawn[..., 1]).nanmean(1))
        key = f"coverage_{round(100 * level)}_percent"
        scores[key] = Score(values[key], *interval)
    return scores


def evaluate_benchmark(
    sampler: Sampler,
    benchmark: Benchmark,
    folder: str | Path,
    *,
    n_hypotheses: int = 20,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    sampler_record: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Sample every view of a benchmark and score it.

    Args:
        sampler: Reads keypoints of its own skeleton; they are converted to it.
        benchmark: The views.
        folder: Where the motion shards lie.
        n_hypotheses: Per view.
        seed: Every view has its own noise from seed, clip and first frame, whatever the batch.
        limit: Only this many views, spread evenly.
        batch_size: Views sampled together.
        sampler_record: The method and its options for the record; by default its class name.
        progress: Called with views done and views in all.

    Returns:
        Scores with intervals, and per action.

    Raises:
        FormatError: If the shards are not there, or not those of the benchmark.
        OptionError: If an option is out of range.
    """
    if n_hypotheses < 1 or batch_size < 1:
        raise OptionError("n_hypotheses and batch_size must be at least 1.")
    sums, done, n_frames, seconds = _Sums(), 0, 0, 0.0
    n_views = len(benchmark.views) if limit is None else min(limit, len(benchmark.views))
    for group in batches(benchmark.items(folder, limit), batch_size):
        keypoints, truth = stack(group)
        keypoints = convert(keypoints, sampler.skeleton)
        start = time.perf_counter()
        noise = seeded_noise(seed, [item.name for item in group])
        hypotheses = sampler.sample(keypoints, n_hypotheses, noise)
        seconds += time.perf_counter() - start
        hypotheses = replace(hypotheses, joints=hypotheses.joints.to(truth.joints))
        seams = window_seams(sampler, truth.joints.shape[-3])
        frames = frame_scores(hypotheses, keypoints, truth, seams)
        sums.update(group, frames, hypotheses, truth)
        done, n_frames = done + len(group), n_frames + truth.joints.shape[:-2].numel()
        if progress is not None:
            progress(done, n_views)
    settings = {
        "split": benchmark.split,
        "shards": list(benchmark.shards),
        "description": benchmark.description,
        "n_hypotheses": n_hypotheses,
        "seed": seed,
        "limit": limit,
        "n_views": done,
        "n_sequences": len({clip for _, clip in sums.table}),
        "n_frames": n_frames,
        "root_joint": "counts as one of the joints of MPJPE (always 0); not judged by ECE",
        "ground_truth": _ground_truth(benchmark),
        "intervals": f"95 %, {N_BOOTSTRAP} bootstrap draws of whole sequences",
        **notes_of(sums.curve()),
        "sampling_seconds": round(seconds, 3),
        "frames_per_second": round(n_frames / seconds, 1) if seconds else None,
    }
    record = sampler_record or {"name": type(sampler).__name__}
    actions = sums.actions()
    return Evaluation(
        benchmark.name,
        record,
        settings,
        sums.scores(),
        {action: {k: s.value for k, s in row.items()} for action, row in actions.items()},
        {
            action: {k: (s.low, s.high) for k, s in row.items() if math.isfinite(s.low)}
            for action, row in actions.items()
        },
    )


def _ground_truth(benchmark: Benchmark) -> str:
    lens = "true focal length" if benchmark.camera_known else "assumed focal length"
    return (
        f"compared with only; samplers get keypoints and a camera ({lens}, no orientation); JPMA's "
        "root is fitted to the keypoints; oracle scores pick by the truth"
    )

"""Evaluate a sampler on a benchmark, hypotheses against their truth, or any stream of draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from hypopose.calibration import Calibrator, Estimate, Settings
from hypopose.calibration.bootstrap import N_DRAWS
from hypopose.datasets import Benchmark
from hypopose.evaluation.accumulator import Evaluator
from hypopose.evaluation.benchmark_draws import Draw, benchmark_draws
from hypopose.evaluation.benchmark_parts import evaluate_in_parts
from hypopose.evaluation.evaluation_results import CalibrationResults, Evaluation
from hypopose.evaluation.frame_scores import Metric, choose_metrics
from hypopose.evaluation.summaries import calibration_results, notes_of
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler


def evaluate_pair(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D | None,
    truth: Poses3D,
    *,
    metrics: Mapping[str, Metric] | None = None,
    exclude_root: bool = False,
    n_groupings: int = 1,
) -> dict[str, float]:
    """Compare hypotheses with the truth.

    Args:
        hypotheses: Drawn without knowing the truth; any batch axes.
        keypoints: Their keypoints with a camera, for JPMA; None leaves it out.
        truth: Root-relative, same frame, skeleton and batch axes.
        metrics: Key -> metric; the default ones if None.
        exclude_root: Leave the root joint out of errors; it counts otherwise, as the field does.
        n_groupings: Groupings of the hypotheses that the ECE is averaged over.

    Returns:
        Numbers by name, the unit at the end of the name; names with ``oracle`` pick by the truth.
        ``n_frames`` counts frames, ``n_invalid_frames`` those left out of ``mpjpe_single_mm``.
        NaN where it cannot be told: coverage of a level above H / (H + 1), for example.

    Raises:
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.samplers.boneflips import BoneFlips
        >>> keypoints, truth = example_pair()
        >>> hypotheses = BoneFlips().sample(keypoints, 8, seeded_noise(0))
        >>> scores = evaluate_pair(hypotheses, keypoints, truth)
        >>> scores["mpjpe_oracle_joint_best_mm"] < scores["mpjpe_single_mm"]
        True
    """
    evaluator = Evaluator(
        choose_metrics() if metrics is None else metrics,
        exclude_root=exclude_root,
        n_groupings=n_groupings,
    )
    evaluator.add(hypotheses, truth, keypoints=keypoints)
    scores = evaluator.scores(intervals=False)
    values = {key: estimate.value for key, estimate in scores.items()}
    n_invalid = scores["mpjpe_single_mm"].n_invalid_frames if "mpjpe_single_mm" in scores else 0
    return {**values, "n_frames": float(evaluator.n_frames), "n_invalid_frames": float(n_invalid)}


def evaluate_benchmark(
    sampler: Sampler,
    benchmark: Benchmark,
    folder: str | Path,
    *,
    n_hypotheses: int = 20,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    metrics: Mapping[str, Metric] | None = None,
    exclude_root: bool = False,
    n_groupings: int = 1,
    sampler_record: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    executor: Executor | None = None,
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
        metrics: Key -> metric; the default ones if None.
        exclude_root: Leave the root joint out of errors; it counts otherwise, as the field does.
        n_groupings: Groupings of the hypotheses that the ECE is averaged over.
        sampler_record: The method and its options for the record; by default its class name.
        progress: Called with views done and views in all.
        executor: Where parts are evaluated, see :func:`hypopose.evaluation.evaluate_in_parts`; None
            for this process.

    Returns:
        Scores with intervals, and per action.

    Raises:
        FormatError: If the shards are not there, or not those of the benchmark.
        OptionError: If an option is out of range.
    """
    new = partial(
        Evaluator,
        choose_metrics() if metrics is None else metrics,
        exclude_root=exclude_root,
        n_groupings=n_groupings,
    )
    drawing: dict[str, Any] = {"n_hypotheses": n_hypotheses, "seed": seed, "limit": limit,
                               "batch_size": batch_size, "progress": progress}  # fmt: skip
    if executor is not None:
        evaluator, seconds = evaluate_in_parts(executor, sampler, new, benchmark, folder, **drawing)
    else:
        evaluator, seconds = new(), 0.0
        for draw in benchmark_draws(sampler, benchmark, folder, **drawing):
            evaluator.update(draw)
            seconds += draw.seconds
    n_frames = evaluator.n_frames
    settings = {
        "split": benchmark.split,
        "shards": list(benchmark.shards),
        "description": benchmark.description,
        "n_hypotheses": n_hypotheses,
        "seed": seed,
        "limit": limit,
        "n_views": evaluator.n_items,
        "n_sequences": len({sequence for _, sequence in evaluator.sums.table}),
        "n_frames": n_frames,
        "root_joint": root_words(exclude_root),
        **({} if n_groupings == 1 else {"ece_groupings": n_groupings}),
        "ground_truth": _ground_truth(benchmark),
        "intervals": f"95 %, {N_DRAWS} bootstrap draws of whole sequences",
        **notes_of(evaluator.curve()),
        "sampling_seconds": round(seconds, 3),
        "frames_per_second": round(n_frames / seconds, 1) if seconds else None,
    }
    return Evaluation(
        benchmark.name,
        sampler_record or {"name": type(sampler).__name__},
        settings,
        evaluator.scores(),
        {action: _action_row(evaluator, action) for action in evaluator.actions},
    )


def _action_row(evaluator: Evaluator, action: str) -> dict[str, Estimate]:
    """Scores of an action; ``n_frames`` counts all of its frames."""
    counts = evaluator.sums.by_sequence(next(iter(evaluator.metrics)), action)
    n_frames = sum(float(row[1:].sum()) for row in counts.values())
    return {"n_frames": Estimate(n_frames), **evaluator.scores(action)}


def root_words(exclude_root: bool) -> str:
    """What becomes of the root joint, for records and tables."""
    if exclude_root:
        return "left out of MPJPE and of every other error; not judged by ECE"
    return "counts as one of the joints of MPJPE (always 0); not judged by ECE"


def _ground_truth(benchmark: Benchmark) -> str:
    lens = "true focal length" if benchmark.camera_known else "assumed focal length"
    return (
        f"compared with only; samplers get keypoints and a camera ({lens}, no orientation); JPMA's "
        "root is fitted to the keypoints; oracle scores pick by the truth"
    )


def measure_calibration(
    name: str,
    draws: Iterable[Draw],
    *,
    calibrators: Mapping[str, Calibrator] | None = None,
    seed: int | None = None,
    details: Mapping[str, str] | None = None,
    exclude_root: bool = False,
) -> CalibrationResults:
    """Compare draws with their truth: calibration, scores, and everything that the report draws.

    Args:
        name: The method, as tables shall call it.
        draws: Hypotheses with truth, one batch at a time.
        calibrators: Label -> calibrator, for coverage before and after.
        seed: Seed of the hypotheses.
        details: Further settings in words.
        exclude_root: Leave the root joint out of errors; calibration never judges it.

    Raises:
        OptionError: If there are no draws.
    """
    settings = Settings(seed=seed)
    evaluator = Evaluator(settings=settings, exclude_root=exclude_root, distributions=True)
    for draw in draws:
        moved = {k: c.transform(draw.hypotheses) for k, c in (calibrators or {}).items()}
        evaluator.update(draw, moved)
    return calibration_results(name, evaluator, details)

"""A benchmark in parts, for many processes: each part is evaluated where it is drawn, then merged.

Every view has its own noise, so that hypotheses do not depend on the parts. Sums are added in the
order of the views, whichever part finishes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hypopose.calibration import Calibrator
from hypopose.datasets import Benchmark
from hypopose.evaluation.accumulator import Evaluator
from hypopose.evaluation.benchmark_draws import benchmark_draws
from hypopose.types import Sampler

BATCHES = 4
"""Batches in a part."""


def evaluate_in_parts(
    executor: Executor,
    sampler: Sampler,
    new_evaluator: Callable[[], Evaluator],
    benchmark: Benchmark,
    folder: str | Path,
    *,
    limit: int | None = None,
    batch_size: int = 16,
    calibrators: Mapping[str, Calibrator] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **drawing: Any,
) -> tuple[Evaluator, float]:
    """Sample and score a benchmark with an executor.

    Args:
        executor: Of ``concurrent.futures``, or of a cluster
            (:func:`hypopose.distributed.cluster.cluster_executor`). All but ``progress`` are sent
            by pickle.
        sampler: Reads keypoints of its own skeleton; they are converted to it.
        new_evaluator: Makes an empty accumulator.
        benchmark: The views.
        folder: Where the motion shards lie, on all machines.
        limit: Only this many views, spread evenly.
        batch_size: Views sampled together.
        calibrators: Label -> calibrator, for coverage before and after.
        progress: Called with views done and views in all.
        **drawing: Further options of :func:`hypopose.evaluation.benchmark_draws`.

    Returns:
        What one process would have accumulated, up to rounding, and the seconds of sampling.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from hypopose.datasets import load_benchmark
        >>> from hypopose.samplers.boneflips import BoneFlips
        >>> benchmark = load_benchmark("synthetic")
        >>> with ThreadPoolExecutor(2) as executor:
        ...     evaluator, seconds = evaluate_in_parts(
        ...         executor, BoneFlips(), Evaluator, benchmark, "", limit=2, n_hypotheses=2)
        >>> evaluator.n_items
        2
    """
    n = len(benchmark.views) if limit is None else min(limit, len(benchmark.views))
    views = [benchmark.views[i * len(benchmark.views) // n] for i in range(n)]
    size = BATCHES * batch_size
    parts = [tuple(views[i : i + size]) for i in range(0, n, size)]
    work = partial(
        _evaluate_part, sampler, new_evaluator, benchmark, str(folder),
        dict(calibrators or {}), {**drawing, "batch_size": batch_size},
    )  # fmt: skip
    futures = [executor.submit(work, part) for part in parts]
    whole, seconds, done = new_evaluator(), 0.0, 0
    for part, future in zip(parts, futures, strict=True):
        evaluator, spent = future.result()
        whole.merge(evaluator)
        seconds += spent
        done += len(part)
        if progress is not None:
            progress(done, n)
    return whole, seconds


def _evaluate_part(
    sampler: Sampler,
    new_evaluator: Callable[[], Evaluator],
    benchmark: Benchmark,
    folder: str,
    calibrators: dict[str, Calibrator],
    drawing: dict[str, Any],
    views: tuple[Any, ...],
) -> tuple[Evaluator, float]:
    evaluator, seconds = new_evaluator(), 0.0
    part = replace(benchmark, views=views)
    for draw in benchmark_draws(sampler, part, folder, **drawing):
        moved = {k: c.transform(draw.hypotheses) for k, c in calibrators.items()}
        evaluator.update(draw, moved)
        seconds += draw.seconds
    return evaluator, seconds

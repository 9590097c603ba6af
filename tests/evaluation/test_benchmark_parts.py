"""A benchmark in parts is the benchmark."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from hypopose.datasets import load_benchmark
from hypopose.evaluation import evaluate_benchmark
from hypopose.samplers import BoneFlips


def test_parts_merge_into_the_whole() -> None:
    benchmark = load_benchmark("synthetic")
    seen: list[tuple[int, int]] = []
    given = {"n_hypotheses": 3, "limit": 6, "batch_size": 1}
    whole = evaluate_benchmark(BoneFlips(), benchmark, "", **given)
    with ThreadPoolExecutor(2) as executor:
        parts = evaluate_benchmark(
            BoneFlips(), benchmark, "", **given, executor=executor,
            progress=lambda done, n: seen.append((done, n)),
        )  # fmt: skip
    assert seen == [(4, 6), (6, 6)]
    assert parts.scores.keys() == whole.scores.keys()
    for key, score in whole.scores.items():
        assert parts.scores[key].value == pytest.approx(score.value, rel=1e-9, nan_ok=True)
        assert parts.scores[key].low == pytest.approx(score.low, rel=1e-9, nan_ok=True)

"""The calibration measured for weights: ``calibration.json``, a small file in their folder.

It says for each benchmark which share of the joints the 50, 80 and 95 % regions contain, and the
ECE. Benchmarks of people on skeletons that no training data holds come first: they are the harder
ones. The file records the SHA-256 of the tensors, so that it is not cited for other weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypopose import __version__
from hypopose.calibration import CalibrationCurve, Calibrator
from hypopose.datasets import Benchmark, load_benchmark
from hypopose.errors import FormatError, OptionError
from hypopose.evaluation.accumulator import COVERAGE_LEVELS, Evaluator
from hypopose.evaluation.benchmark_draws import benchmark_draws
from hypopose.files import read_bounded
from hypopose.io import write_atomically
from hypopose.networks.pretrained import CONFIG_FILE, HASHES
from hypopose.networks.recorded_config import read_json
from hypopose.types import Sampler

NAME = "calibration.json"
BENCHMARKS = ("people-clean", "people-detector", "test-clean", "test-detector")
"""What is measured unless others are named."""

FORMAT = {"format": "hypopose-weights-calibration", "version": 1}
MAX_BYTES = 2**20
_LEAST = math.ceil(max(COVERAGE_LEVELS) / (1 - max(COVERAGE_LEVELS)) - 1e-9)
_NEVER_SEEN = "people on skeletons never seen"
_SEEN = "people on skeletons of training data"


@dataclass(frozen=True)
class BenchmarkCalibration:
    """The calibration on one benchmark.

    Args:
        benchmark: Its name.
        people: Whether training data holds their skeletons, in words.
        sequences: Recordings.
        views: Recordings seen by one camera each.
        frames: Of all views.
        ece: Expected calibration error, as sampled.
        coverage: Level of a region -> share of the joints it contains, as sampled.
        recalibrated: The same after the calibrator in the folder; empty if there is none.
    """

    benchmark: str
    people: str
    sequences: int
    views: int
    frames: int
    ece: float
    coverage: Mapping[str, float]
    recalibrated: Mapping[str, float]


@dataclass(frozen=True)
class WeightsCalibration:
    """What ``calibration.json`` holds.

    Args:
        sha256: Of the tensor files, as in ``config.json``.
        sampler: The method and its options, in words.
        n_hypotheses: Per view.
        seed: Of the hypotheses.
        hypopose: The version that measured.
        benchmarks: One each, people on skeletons never seen first.
    """

    sha256: Mapping[str, str]
    sampler: str
    n_hypotheses: int
    seed: int
    hypopose: str
    benchmarks: tuple[BenchmarkCalibration, ...]

    def is_of(self, folder: str | Path) -> bool:
        """Whether it was measured with the tensors that now lie in a folder."""
        return dict(self.sha256) == _hashes(Path(folder))


def measure_weights(
    sampler: Sampler,
    folder: str | Path,
    motion: str | Path,
    benchmarks: Sequence[str] = BENCHMARKS,
    *,
    words: str = "",
    calibrator: Calibrator | None = None,
    n_hypotheses: int = 20,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    progress: Callable[[str, int, int], None] | None = None,
) -> WeightsCalibration:
    """Measure the calibration of weights on benchmarks.

    Args:
        sampler: With the weights.
        folder: Of the weights.
        motion: Folder of the benchmarks' motion shards.
        benchmarks: Names.
        words: The sampler and its options, for the record.
        calibrator: Also measure after this one.
        n_hypotheses: Per view; 95 % regions need 19.
        seed: Of the hypotheses.
        limit: Only this many views of each benchmark, spread evenly.
        batch_size: Views sampled together.
        progress: Called with the benchmark, views done and views in all.

    Raises:
        FormatError: If the shards are not there.
        OptionError: If there are too few hypotheses, or an option is out of range.
    """
    if n_hypotheses < _LEAST:
        raise OptionError(
            f"Regions of 95 % need at least {_LEAST} hypotheses, got {n_hypotheses}; leave out "
            "--n-hypotheses, or give more."
        )
    loaded = sorted(map(load_benchmark, benchmarks), key=lambda benchmark: not benchmark.subjects)
    rows = []
    for benchmark in loaded:
        evaluator = Evaluator(metrics={})
        draws = benchmark_draws(
            sampler, benchmark, motion, n_hypotheses=n_hypotheses, seed=seed, limit=limit,
            batch_size=batch_size, progress=_named(progress, benchmark.name),
        )  # fmt: skip
        for draw in draws:
            moved = {} if calibrator is None else {NAME: calibrator.transform(draw.hypotheses)}
            evaluator.update(draw, moved)
        rows.append(_row(benchmark, evaluator))
    hashes = _hashes(Path(folder))
    return WeightsCalibration(hashes, words, n_hypotheses, seed, __version__, tuple(rows))


def _named(
    progress: Callable[[str, int, int], None] | None, name: str
) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)


def _row(benchmark: Benchmark, evaluator: Evaluator) -> BenchmarkCalibration:
    curve = evaluator.curve()
    after = evaluator.recalibrated().values()
    return BenchmarkCalibration(
        benchmark.name,
        _NEVER_SEEN if benchmark.subjects else _SEEN,
        len(curve.sequence_cover),
        evaluator.n_items,
        evaluator.n_frames,
        round(curve.ece, 4),
        _coverage(curve),
        next((_coverage(moved) for moved in after), {}),
    )


def _coverage(curve: CalibrationCurve) -> dict[str, float]:
    at = {level: int((curve.levels - level).abs().argmin()) for level in COVERAGE_LEVELS}
    return {f"{level:g}": round(float(curve.curve[i]), 4) for level, i in at.items()}


def _hashes(folder: Path) -> dict[str, str]:
    hashes = read_json(folder / CONFIG_FILE).get(HASHES, {})
    return dict(hashes) if isinstance(hashes, dict) else {}


def save_weights_calibration(folder: str | Path, calibration: WeightsCalibration) -> Path:
    """Write ``calibration.json``.

    Args:
        folder: Of the weights.
        calibration: What was measured.

    Returns:
        The file.
    """
    path = Path(folder) / NAME
    with write_atomically(path) as temporary:
        text = json.dumps({**FORMAT, **asdict(calibration)}, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def load_weights_calibration(folder: str | Path) -> WeightsCalibration | None:
    """Read ``calibration.json``, every entry checked.

    Args:
        folder: Of the weights.

    Returns:
        What was measured; None if the folder holds no such file.

    Raises:
        FormatError: If the file is damaged.

    Example:
        >>> load_weights_calibration("no such folder") is None
        True
    """
    path = Path(folder) / NAME
    if not path.is_file():
        return None
    data = read_bounded(path, MAX_BYTES, "the calibration of weights")
    try:
        document = _entries(json.loads(data), {**_kinds(FORMAT), **_WEIGHTS}, "the file")
        if {name: document.pop(name) for name in FORMAT} != FORMAT:
            raise ValueError(f"its format is not {FORMAT['format']} 1")
        rows = [_benchmark(row) for row in document.pop("benchmarks")]
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{path} is not the calibration of weights: {error}; write it anew with "
            "hypopose calibrate-weights MOTION WEIGHTS --force."
        ) from None
    return WeightsCalibration(**document, benchmarks=tuple(rows))


_WEIGHTS: dict[str, type] = {
    "sha256": dict, "sampler": str, "n_hypotheses": int, "seed": int, "hypopose": str,
    "benchmarks": list,
}  # fmt: skip
_BENCHMARK: dict[str, type] = {
    "benchmark": str, "people": str, "sequences": int, "views": int, "frames": int, "ece": float,
    "coverage": dict, "recalibrated": dict,
}  # fmt: skip


def _kinds(values: Mapping[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


def _entries(given: Any, kinds: Mapping[str, type], what: str) -> dict[str, Any]:
    """A JSON object with exactly these entries, each of its type."""
    if not isinstance(given, dict) or set(given) != set(kinds):
        raise ValueError(f"{what} must have the entries {', '.join(kinds)}")
    wrong = [name for name, kind in kinds.items() if type(given[name]) is not kind]
    if wrong:
        raise ValueError(f"{wrong[0]} of {what} must be a {kinds[wrong[0]].__name__}")
    return given


def _benchmark(given: Any) -> BenchmarkCalibration:
    row = _entries(given, _BENCHMARK, "a benchmark")
    levels = {f"{level:g}": float for level in COVERAGE_LEVELS}
    _entries(row["coverage"], levels, "coverage")
    _entries(row["recalibrated"], levels if row["recalibrated"] else {}, "recalibrated")
    shares = [row["ece"], *row["coverage"].values(), *row["recalibrated"].values()]
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError("shares and ECE must be from 0 to 1")
    return BenchmarkCalibration(**row)

"""The calibration measured for weights: what is written, what is refused, what the report says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hypopose.api import make_sampler
from hypopose.api.making import folder_of
from hypopose.cli import main
from hypopose.datasets import load_benchmark
from hypopose.errors import FormatError, OptionError
from hypopose.evaluation import Evaluator, benchmark_draws
from hypopose.evaluation.weights_calibration import (
    BENCHMARKS,
    FORMAT,
    NAME,
    BenchmarkCalibration,
    WeightsCalibration,
    load_weights_calibration,
    measure_weights,
    save_weights_calibration,
)
from hypopose.report.cited_calibration import calibration_sentence

BUNDLED = "distributional-frame-small"
LEVELS = {"0.5": 0.25, "0.8": 0.54, "0.95": 0.84}


def known(recalibrated: dict[str, float] | None = None) -> WeightsCalibration:
    row = BenchmarkCalibration("b", "people", 2, 3, 40, 0.2, LEVELS, recalibrated or {})
    return WeightsCalibration({"model.safetensors": "00"}, "d3dp", 20, 0, "0", (row,))


def folder(tmp_path: Path, digest: str = "00") -> Path:
    config = {"_class_name": "MixSTE", "_sha256": {"model.safetensors": digest}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_the_command_writes_what_an_evaluator_measures(tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    for file in folder_of(BUNDLED).iterdir():
        if file.name != NAME:
            (place / file.name).symlink_to(file.resolve())
    words = ["calibrate-weights", tmp_path, place, "--benchmark", "synthetic", "--limit", 2]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    (row,) = (load_weights_calibration(place) or known()).benchmarks
    evaluator, sampler = Evaluator(), make_sampler()
    for draw in benchmark_draws(sampler, load_benchmark("synthetic"), tmp_path, limit=2):
        evaluator.update(draw)
    scores = evaluator.scores()
    assert row.ece == pytest.approx(scores["ece"].value, abs=1e-4)
    for level, share in row.coverage.items():
        percent = scores[f"coverage_{round(100 * float(level))}_percent"].value
        assert 100 * share == pytest.approx(percent, abs=1e-2)
    assert (row.views, row.frames) == (2, evaluator.n_frames)
    assert f"regions contain {100 * row.coverage['0.8']:.0f} %" in calibration_sentence(str(place))


def test_the_default_weights_carry_theirs_the_harder_people_first() -> None:
    found = load_weights_calibration(folder_of(BUNDLED))
    assert found is not None
    assert found.is_of(folder_of(BUNDLED)), "measure them again: hypopose calibrate-weights"
    assert tuple(row.benchmark for row in found.benchmarks) == BENCHMARKS
    said = calibration_sentence(BUNDLED)
    assert said.index("never seen") < said.index("training data")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_weights_calibration(tmp_path, known())
    assert load_weights_calibration(tmp_path) == known()


def test_a_recalibrated_result_gets_the_shares_after_recalibration(tmp_path: Path) -> None:
    place = folder(tmp_path)
    save_weights_calibration(place, known())
    assert "before recalibration: 80 % regions contain 54 %" in calibration_sentence(
        str(place), recalibrated=True
    )
    save_weights_calibration(place, known({**LEVELS, "0.8": 0.79}))
    assert "after recalibration: 80 % regions contain 79 %" in calibration_sentence(
        str(place), recalibrated=True
    )


def test_the_calibration_of_other_tensors_is_not_cited(tmp_path: Path) -> None:
    save_weights_calibration(tmp_path, known())
    said = calibration_sentence(str(folder(tmp_path, digest="11")))
    assert "measured with other weights" in said
    assert "54" not in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "its format is not"),
        ({"more": 1}, "must have the entries"),
        ({"n_hypotheses": "20"}, "n_hypotheses of the file must be a int"),
        ({"benchmarks": [{}]}, "a benchmark must have the entries"),
        ({"benchmarks": [{**asdict(known().benchmarks[0]), "ece": 7.0}]}, "from 0 to 1"),
        ({"benchmarks": [{**asdict(known().benchmarks[0]), "coverage": {}}]}, "coverage must"),
    ],
)
def test_damage_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (tmp_path / NAME).write_text(json.dumps({**FORMAT, **asdict(known()), **change}))
    with pytest.raises(FormatError, match=said):
        load_weights_calibration(tmp_path)


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{")
    with pytest.raises(FormatError, match="calibrate-weights MOTION WEIGHTS"):
        load_weights_calibration(tmp_path)


def test_too_few_hypotheses_for_95_percent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="at least 19"):
        measure_weights(make_sampler("boneflips"), tmp_path, tmp_path, n_hypotheses=18)

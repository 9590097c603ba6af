"""Results of known problems, and the figures drawn from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hypopose.ambiguity import analyze, second_camera
from hypopose.calibration import Settings
from hypopose.datasets import example_pair
from hypopose.errors import FormatError, OptionError
from hypopose.evaluation import (
    CalibrationResults,
    Evaluator,
    calibration_results,
    is_oracle,
    load_results,
    save_results,
)
from hypopose.evaluation.result_files import from_evaluation, results_to_dict
from hypopose.report import clip_figures, figures
from hypopose.report.panel import Scene
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Poses3D

SCALE = torch.tensor([0.02, 0.02, 0.08])


def measured(factor: float, name: str = "normal", n_clips: int = 6) -> CalibrationResults:
    """A normal sampler whose spread is ``factor`` times the right one."""
    g = torch.Generator().manual_seed(0)
    evaluator = Evaluator(settings=Settings(seed=0), distributions=True)
    for clip in range(n_clips):
        draws = SCALE * torch.randn(21, 8, 17, 3, generator=g)
        draws[..., 0, :] = 0
        truth = Poses3D(draws[0], H36M17)
        x = Hypotheses(factor * draws[1:], H36M17)
        wider = Hypotheses(draws[1:], H36M17)
        evaluator.add(x, truth, [clip], recalibrated={"scaled": wider})
    return calibration_results(name, evaluator)


@pytest.fixture(scope="module")
def both() -> list[CalibrationResults]:
    return [measured(1.0, "calibrated"), measured(0.4, "narrow")]


def test_the_verdict_is_known(both: list[CalibrationResults]) -> None:
    calibrated, narrow = (j.reliability for j in both)
    assert calibrated is not None
    assert narrow is not None
    assert calibrated.ece < 1.5 * calibrated.null_ece < 0.12
    assert set(narrow.verdicts) == {"overconfident"}
    assert (narrow.pooled < narrow.levels).all()
    assert both[1].histograms is not None
    assert set(both[1].histograms.shapes) == {"u"}
    assert both[1].skill is not None
    assert both[1].skill.ratio == pytest.approx(0.4, abs=0.05)


def test_recalibration_stands_beside_the_raw_coverage(both: list[CalibrationResults]) -> None:
    raw, scaled = both[1].coverage
    assert (raw.label, scaled.label) == ("as sampled", "scaled")
    assert (raw.coverage < raw.levels - 0.2).all()
    assert np.abs(scaled.coverage - scaled.levels).max() < 0.05
    assert (scaled.low <= scaled.coverage).all()


def test_oracles_are_named_and_min_at_k_falls(both: list[CalibrationResults]) -> None:
    scores = both[0].scores
    assert sum(is_oracle(key) for key in scores) == 3
    for curve in both[0].min_at_k:
        assert (np.diff(curve.error) < 0).all()
    joint = next(c for c in both[0].min_at_k if c.best == "joint")
    assert joint.error[0] == pytest.approx(scores["mpjpe_single_mm"].value, rel=1e-5)
    assert joint.error[-1] == pytest.approx(scores["mpjpe_oracle_joint_best_mm"].value, rel=1e-5)


def test_batches_and_single_clips_judge_alike() -> None:
    g = torch.Generator().manual_seed(1)
    draws = torch.randn(3, 11, 5, 17, 3, generator=g)
    whole, parts = Evaluator(distributions=True), Evaluator(distributions=True)
    whole.add(Hypotheses(draws[:, 1:], H36M17), Poses3D(draws[:, 0], H36M17), list("abc"))
    for i, label in enumerate("abc"):
        parts.add(Hypotheses(draws[i, 1:], H36M17), Poses3D(draws[i, 0], H36M17), [label])
    one, other = (results_to_dict(calibration_results("a", e)) for e in (whole, parts))
    assert one.keys() == other.keys()
    for a, b in zip(one["scores"], other["scores"], strict=True):
        assert a["value"] == pytest.approx(b["value"])
    assert one["reliability"]["coverage"] == other["reliability"]["coverage"]


def test_one_hypothesis_is_judged_without_spread() -> None:
    evaluator = Evaluator(distributions=True)
    evaluator.add(
        Hypotheses(torch.randn(1, 5, 17, 3), H36M17), Poses3D(torch.randn(5, 17, 3), H36M17), ["a"]
    )
    result = calibration_results("point", evaluator)
    assert result.skill is None
    assert result.reliability is not None
    assert float(result.reliability.pooled.max()) == 0.0
    with pytest.raises(OptionError, match="Nothing was evaluated"):
        calibration_results("empty", Evaluator(distributions=True))


def test_results_come_back_from_json(both: list[CalibrationResults], tmp_path: Path) -> None:
    path = tmp_path / "calib.json"
    save_results(path, both[1])
    again = load_results(path)
    assert results_to_dict(again) == results_to_dict(both[1])
    assert again.settings["ground truth"] == "compared with only"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"hypopose": "result"}', "no calibration results"),
        ('{"hypopose": "judgement", "schema": 1}', "damaged"),
        ('{"scores": 3}', "not an evaluation"),
        ("[]", "no calibration results"),
    ],
)
def test_other_json_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=says):
        load_results(path)


def test_scores_of_an_evaluation_are_read() -> None:
    row = {"value": 41.0, "low": None, "high": None, "n_invalid_frames": 0}
    data = {
        "sampler": {"name": "d3dp"},
        "settings": {"seed": 3, "limit": None},
        "scores": {"mpjpe_mean_mm": row},
        "oracle_scores": {"mpjpe_oracle_joint_best_mm": 20.0},
    }
    result = from_evaluation(json.loads(json.dumps(data)))
    assert {key: e.value for key, e in result.scores.items()} == {
        "mpjpe_mean_mm": 41.0,
        "mpjpe_oracle_joint_best_mm": 20.0,
    }
    assert result.settings == {"seed": "3"}
    assert result.reliability is None


DRAWN = (
    figures.calibration_figure,
    figures.histogram_figure,
    figures.skill_figure,
    figures.min_at_k_figure,
    figures.coverage_figure,
)


@pytest.mark.parametrize("draw", DRAWN)
def test_every_figure_names_every_method(draw: object, both: list[CalibrationResults]) -> None:
    figure = draw(both)  # type: ignore[operator]
    figure.canvas.draw()
    texts = {t.get_text() for t in figure.findobj(match=lambda a: hasattr(a, "get_text"))}
    for name in ("calibrated", "narrow"):
        assert any(name in text for text in texts)


@pytest.mark.parametrize("draw", DRAWN)
def test_figures_without_their_part_say_so(draw: object, both: list[CalibrationResults]) -> None:
    bare = replace(both[0], reliability=None, histograms=None, skill=None, min_at_k=(), coverage=())
    with pytest.raises(OptionError, match="No method has"):
        draw([bare])  # type: ignore[operator]


def test_the_body_says_over_and_under_in_words(both: list[CalibrationResults]) -> None:
    figure = figures.body_figure(both)
    figure.canvas.draw()
    signs = [t.get_text() for t in figure.axes[1].texts]
    assert sum(s.startswith("−") for s in signs) == 16


def test_joints_without_a_place_on_the_body_become_bars(both: list[CalibrationResults]) -> None:
    narrow = both[1].reliability
    assert narrow is not None
    names = ("tail", *narrow.joints[1:])
    cat = replace(both[1], name="cat", skeleton="cat", reliability=replace(narrow, joints=names))
    boneless = replace(both[1], name="boneless", skeleton="unheard of")
    figure = figures.body_figure([both[0], cat, boneless])
    figure.canvas.draw()
    bars = figure.axes[1]
    assert next(t.get_text() for t in bars.get_yticklabels()) == "tail"
    assert sum(t.get_text().startswith("−") for t in bars.texts) == 16
    assert len(figure.axes[2].texts) == 18  # 16 joints and the two sides
    assert figures.body_figure([cat]).axes[0].patches


def test_levels_that_cannot_be_told_stay_blank_in_figures(both: list[CalibrationResults]) -> None:
    row = both[0].coverage[0]
    gone = np.where(row.levels > 0.9, np.nan, row.coverage)
    blank = replace(both[0], coverage=(replace(row, coverage=gone, low=gone, high=gone),))
    figure = figures.coverage_figure([blank])
    figure.canvas.draw()
    assert "too few" in figure.axes[0].texts[0].get_text()


def test_methods_differ_without_color() -> None:
    assert len({(str(line), marker) for _, line, marker in figures.STYLES}) == len(figures.STYLES)
    assert len({str(line) for _, line, _ in figures.STYLES}) == len(figures.STYLES)


def test_figures_without_truth_survive_missing_joints() -> None:
    g = torch.Generator().manual_seed(0)
    x = SCALE * torch.randn(12, 5, 17, 3, generator=g)
    x[..., 0, :] = 0
    x[:, 2] = torch.nan
    h = Hypotheses(x, H36M17)
    ambiguity = analyze(h)
    for figure in (
        clip_figures.spread_figure("clip", ambiguity),
        clip_figures.dependence_figure("clip", ambiguity),
        clip_figures.second_camera_figure([("clip", second_camera(h, [0.0, 90.0]))]),
    ):
        figure.canvas.draw()


def test_trajectories_show_bands_around_the_median_and_the_truth() -> None:
    keypoints, truth = example_pair(12)
    g = torch.Generator().manual_seed(0)
    x = truth.joints + 0.05 * torch.randn(400, *truth.joints.shape, generator=g)
    scene = Scene("walk", Hypotheses(x, truth.skeleton), keypoints, truth=truth)
    figure = clip_figures.trajectory_figure(scene)
    assert [a.get_title() for a in figure.axes] == ["walk\nto the right", "up", "depth"]
    for axis in figure.axes:
        bands = [c.get_paths()[0].get_extents() for c in axis.collections]
        assert len(bands) == 2 * 16
        median, known = axis.lines[3].get_ydata(), axis.lines[16 + 3].get_ydata()
        assert np.abs(median - known).max() < 10  # millimeters; 400 hypotheses about the truth
    frame = figure.axes[0].collections[0].get_paths()[0].vertices
    wide = np.ptp(frame[np.isclose(frame[:, 0], frame[3, 0])][:, 1])
    assert wide == pytest.approx(2 * 1.645 * 50, rel=0.2)  # 90 % of a normal of 50 mm
    blind = clip_figures.trajectory_figure(replace(scene, truth=None))
    assert np.isnan(blind.axes[0].lines[16].get_ydata()).all()

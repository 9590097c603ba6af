"""``hypopose calibrate``, and ``hypopose sample --calibrator``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from hypopose.api import calibrator_beside
from hypopose.calibration import ConformalBalls, SpreadScaling, load_calibrator, save_calibrator
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.errors import OptionError
from hypopose.evaluation import load_results
from hypopose.io import load_hypotheses, save_result
from hypopose.io.results import Result as Stored
from hypopose.types import Hypotheses, Poses3D


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Ten overconfident results around a walk, and their truth."""
    keypoints, truth = example_pair()
    skeleton, g = truth.skeleton, torch.Generator().manual_seed(0)
    (tmp_path / "results" / "truth").mkdir(parents=True)
    for i in range(10):
        error = 0.05 * torch.randn(13, *truth.joints.shape, generator=g)
        error[..., skeleton.root, :] = 0
        x = Hypotheses(truth.joints + error[0] + 0.4 * error[1:], skeleton)
        pose = Poses3D(x.joints.mean(0), skeleton)
        stored = Stored(x, pose, keypoints, 0, {"name": "test"}, "", "mean", "", "", "0", ())
        save_result(tmp_path / "results" / f"walk{i}.npz", stored)
        np.save(tmp_path / "results" / "truth" / f"walk{i}.npy", truth.joints.numpy())
    return tmp_path / "results"


@pytest.mark.parametrize("method", ["pose", "joint", "axis", "isotonic", "chain"])
def test_a_folder_is_measured_and_recalibrated(results: Path, tmp_path: Path, method: str) -> None:
    fit, out = tmp_path / "calibrator.json", tmp_path / "measured.json"
    fitted = run("fit-calibrator", results, "-o", fit, "--method", method)
    assert fitted.exit_code == 0, fitted.output
    assert "fitted on results in results: " in fitted.output
    shown = run("calibrate", results, "-o", out, "--calibrator", fit)
    assert shown.exit_code == 0, shown.output
    measured = load_results(out)
    before, after = measured.coverage
    assert before.coverage[1] < 0.75
    # Radii allow for an eleventh sequence: (n + 1) / n of the nominal share on those they saw.
    share = 0.8 * 11 / 10 if method in ("isotonic", "chain") else 0.8
    assert after.coverage[1] == pytest.approx(share, abs=0.05)
    assert "overconfident" in measured.reliability.verdicts


def test_the_old_way_of_fitting_still_works_and_says_so(results: Path, tmp_path: Path) -> None:
    old, new, out = (tmp_path / name for name in ("old.json", "new.json", "measured.json"))
    shown = run("calibrate", results, "-o", out, "--fit", old, "--method", "axis")
    assert shown.exit_code == 0, shown.output
    assert "calibrate --fit is now fit-calibrator" in shown.stderr
    assert run("fit-calibrator", results, "-o", new, "--method", "axis").exit_code == 0
    assert new.read_text() == old.read_text()
    assert load_results(out).coverage[1].label == "axis, fitted on these data"


def test_conformal_calibrators_work_where_others_do(results: Path, tmp_path: Path) -> None:
    fit, out = tmp_path / "balls.json", tmp_path / "measured.json"
    assert run("fit-calibrator", results, "-o", fit, "--method", "conformal").exit_code == 0
    balls = load_calibrator(fit)
    assert isinstance(balls, ConformalBalls)
    assert balls.n_units == 10
    shown = run("calibrate", results, "-o", out, "--calibrator", fit)
    assert shown.exit_code == 0, shown.output
    before, after = (row.coverage[1] for row in load_results(out).coverage)
    # Ten sequences: regions at 80 % hold 80 % * 11 / 10 of those they were fitted on.
    assert before < 0.75
    assert after == pytest.approx(0.88, abs=0.06)


def test_a_benchmark_needs_no_files(shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "motion"
    if not data.is_dir():
        pytest.skip(f"motion shards are not at {data}")
    out = tmp_path / "measured.json"
    shown = run("calibrate", data, "--benchmark", "val-clean", "--sampler", "boneflips",
                "--n-hypotheses", 5, "--limit", 4, "-o", out)  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert load_results(out).settings["hypotheses"] == "5"


@pytest.mark.parametrize("given", [("--set", "eta=1"), ("--limit", 3), ("--sampler", "d3dp")])
def test_options_of_sampling_need_a_benchmark(results: Path, tmp_path: Path, given) -> None:
    shown = run("calibrate", results, "-o", tmp_path / "out.json", *given)
    assert (shown.exit_code, shown.output.count("\n")) == (2, 1), shown.output
    assert f"{given[0]} is for --benchmark" in shown.output


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1000, "millimeters"), (100, "centimeters"), (0.001, "kilometers"), (10, "decimeters")],
)
def test_a_truth_in_another_unit_is_one_line(results: Path, tmp_path: Path, factor, words) -> None:
    truth = results / "truth" / "walk3.npy"
    np.save(truth, factor * np.load(truth))
    given = {
        "calibrate": (results, "-o", tmp_path / "out.json"),
        "evaluate": (results / "walk3.npz", "--truth", truth),
        "report": (results / "walk3.npz", "--truth", truth, "-o", tmp_path / "out.html"),
    }
    for command, arguments in given.items():
        shown = run(command, *arguments)
        assert shown.exit_code == 2, shown.output
        assert "walk3.npy" in shown.output
        assert words in shown.output
        assert len(shown.output.strip().splitlines()) == 1


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_hypotheses_of_a_wrong_size_are_judged(results: Path, tmp_path: Path, factor) -> None:
    truth = results / "truth" / "walk3.npy"
    np.save(truth, factor * np.load(truth))
    shown = run("evaluate", results / "walk3.npz", "--truth", truth)
    assert shown.exit_code == 0, shown.output


def test_few_hypotheses_leave_high_levels_blank(results: Path, tmp_path: Path) -> None:
    for path in results.glob("*.npz"):
        stored = load_hypotheses(path)
        few = Hypotheses(stored.hypotheses.joints[:5], stored.hypotheses.skeleton)
        save_result(path, replace(stored, hypotheses=few))
    shown = run("calibrate", results, "-o", tmp_path / "out.json")
    assert shown.exit_code == 0, shown.output
    assert "5 hypotheses resolve levels up to 83 %" in " ".join(shown.output.split())
    row = load_results(tmp_path / "out.json").coverage[0]
    assert np.isnan([row.coverage[2], row.low[2], row.high[2]]).all()
    assert np.isfinite([*row.coverage[:2], *row.low[:2], *row.high[:2]]).all()
    out, truth = tmp_path / "scores.json", results / "truth" / "walk3.npy"
    shown = run("evaluate", results / "walk3.npz", "--truth", truth, "-o", out)
    assert shown.exit_code == 0, shown.output
    scores = json.loads(out.read_text(), parse_constant=pytest.fail)["scores"]
    assert scores["coverage_95_percent"] is None
    assert scores["coverage_80_percent"] is not None
    assert "H / (H + 1)" in shown.output
    shown = run("report", tmp_path / "out.json", "-o", tmp_path / "report")
    assert shown.exit_code == 0, shown.output
    table = (tmp_path / "report" / "coverage.csv").read_text()
    assert table.splitlines()[-1].endswith(",-")
    assert "too few hypotheses" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "truth" / "walk3.npy").unlink(), "walk3.npz has no truth"),
        (lambda folder: np.save(folder / "truth" / "walk3.npy", np.zeros((2, 3))), "walk3.npy"),
        (lambda folder: [p.unlink() for p in folder.glob("*.npz")], "holds no results"),
    ],
)
def test_what_is_wrong_is_one_line(results: Path, tmp_path: Path, change, words) -> None:
    change(results)
    shown = run("calibrate", results, "-o", tmp_path / "out.json")
    assert shown.exit_code == 2
    assert words in shown.output
    assert not (tmp_path / "out.json").exists()


def test_options_are_checked_first(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert "--method" in run("calibrate", results, "-o", out, "--method", "magic").output
    assert "not a folder" in run("calibrate", tmp_path / "none", "-o", out).output


def test_sample_mends_its_spread(tmp_path: Path) -> None:
    keypoints, _ = example_pair()
    rows = keypoints.xy[:6].numpy()
    np.savez(tmp_path / "walk.npz", keypoints=rows)
    skeleton = keypoints.skeleton
    tau = torch.full((17, 3), 2.0, dtype=torch.float64)
    save_calibrator(SpreadScaling(tau, skeleton.name, skeleton.joint_names), tmp_path / "two.json")
    given = ("sample", tmp_path / "walk.npz", "--sampler", "boneflips", "--n-hypotheses", 8,
             "--skeleton", skeleton.name, "--image-size", *keypoints.image_size, "--no-overview",
             "-o")  # fmt: skip
    plain = run(*given, tmp_path / "plain.npz")
    assert plain.exit_code == 0, plain.output
    mended = run(*given, tmp_path / "mended.npz", "--calibrator", tmp_path / "two.json")
    assert mended.exit_code == 0, mended.output
    a, b = (load_hypotheses(tmp_path / f"{n}.npz") for n in ("plain", "mended"))
    factor = ((8 * 4 + 1) / 9) ** 0.5
    expected = factor * a.hypotheses.joints.std(0)
    assert torch.allclose(b.hypotheses.joints.std(0), expected, atol=1e-5)
    assert a.calibrator == {}
    assert b.calibrator == {
        "kind": "spread_scaling", "file": "two.json", "fitted_on": "", "fitted_hypotheses": 0
    }  # fmt: skip
    said = run("info", tmp_path / "mended.npz").output
    assert "recalibrated by spread_scaling of two.json" in said
    assert "as sampled" in run("info", tmp_path / "plain.npz").output
    assert not torch.equal(a.pose.joints, b.pose.joints)


def test_sample_refuses_what_is_no_calibrator(
    one_person: Path, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({"tau": 2}))
    given = ("sample", one_person, "--sampler", "boneflips", "-o", tmp_path / "x.npz")
    shown = run(*given, "--calibrator", tmp_path / "bad.json")
    assert shown.exit_code == 2
    assert "bad.json" in shown.output
    assert not (tmp_path / "x.npz").exists()
    balls = tmp_path / "balls.json"
    run("fit-calibrator", results, "-o", balls, "--method", "conformal")
    shown = run(*given, "--no-overview", "--calibrator", balls)
    assert shown.exit_code == 0, shown.output
    assert load_hypotheses(tmp_path / "x.npz").calibrator["kind"] == "conformal_balls"


def test_weights_come_with_their_calibrator_or_say_that_they_do_not(
    one_person: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.npz"
    given = ("sample", one_person, "--no-overview", "-o", out, "--n-hypotheses", 4)
    refused = run(*given, "--sampler", "boneflips", "--calibrator", "bundled")
    assert refused.exit_code == 2
    assert "no calibrator comes with them" in refused.output
    assert not out.exists()
    none = run(*given, "--calibrator", "bundled")
    assert none.exit_code == 2
    assert "come without a calibrator" in none.output
    scaled = run(*given, "--sampler", "d3dp", "--n-steps", 1, "--calibrator", "bundled")
    assert scaled.exit_code == 0, scaled.output
    assert load_hypotheses(out).calibrator["file"] == "calibrator.json"
    assert "val-people-clean" in load_hypotheses(out).calibrator["fitted_on"]
    with pytest.raises(OptionError, match="without a calibrator"):
        calibrator_beside(tmp_path)

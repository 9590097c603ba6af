"""``hypopose complete``: gaps filled and listed; what was seen, and files that exist, untouched."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import hypopose
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.io import load, load_people, save_keypoints, save_people
from hypopose.networks import MPM


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["complete", *map(str, words)])


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """Half a second of walking in which a wrist is lost for a while."""
    keypoints, _ = example_pair()
    xy = keypoints.xy[:25].clone()
    xy[8:14, 16] = torch.nan
    path = tmp_path / "gaps.npz"
    save_keypoints(path, replace(keypoints, xy=xy, confidence=None, covariance=None))
    return path


@pytest.fixture
def motion(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A 3D motion in which a leg is lost for a while."""
    _, truth = example_pair()
    assert truth.root is not None
    points = (truth.joints + truth.root[:, None])[:25].numpy().copy()
    points[10:15, 4:7] = np.nan
    path = tmp_path / "motion.npy"
    np.save(path, points)
    return path, points


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_keypoints_are_filled_and_listed(gaps: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"done{ending}"
    done = run(gaps, "-o", out, "--n-hypotheses", 4)
    assert done.exit_code == 0, done.output
    assert "6 of 425 keypoints filled, give or take" in done.output
    before, after = load(gaps), load(out)
    assert after.detected.all()
    assert torch.allclose(after.xy[before.detected], before.xy[before.detected], atol=1e-2)
    with (tmp_path / "done.filled.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["frame"]), r["joint"]) for r in rows] == [
        (frame, "right_wrist") for frame in range(8, 14)
    ]
    assert all(float(r["std_px"]) > 0 for r in rows)
    assert float(rows[0]["x"]) == pytest.approx(float(after.xy[8, 16, 0]), abs=0.01)


def test_everybody_of_a_file_is_completed(gaps: Path, tmp_path: Path) -> None:
    one = load(gaps)
    two = {"a": one, "b": replace(one, xy=one.xy + 50)}
    save_people(tmp_path / "two.csv", two)
    done = run(tmp_path / "two.csv", "-o", tmp_path / "done.csv", "--n-hypotheses", 2)
    assert done.exit_code == 0, done.output
    assert all(k.detected.all() for k in load_people(tmp_path / "done.csv").values())
    with (tmp_path / "done.filled.csv").open(encoding="utf-8") as file:
        assert {row["person"] for row in csv.DictReader(file)} == {"a", "b"}


def test_what_cannot_be_written_is_refused_before_the_work(
    gaps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypopose.api.complete", lambda *_, **__: pytest.fail("worked in vain"))
    one = load(gaps)
    save_people(tmp_path / "two.csv", {"a": one, "b": one})
    done = run(tmp_path / "two.csv", "-o", tmp_path / "two.npz")
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert "holds one person, these are a, b" in done.output
    done = run(tmp_path / "two.csv", "-o", tmp_path / "two.xlsx")
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert "keypoints are written as" in done.output


def test_results_are_completed_by_their_own_hypotheses(gaps: Path, tmp_path: Path) -> None:
    result = hypopose.estimate(load(gaps), n_hypotheses=3)
    hypopose.save_result(tmp_path / "result.npz", result)
    done = run(tmp_path / "result.npz", "-o", tmp_path / "done.npz")
    assert done.exit_code == 0, done.output
    assert load(tmp_path / "done.npz").detected.all()
    refused = run(tmp_path / "result.npz", "-o", tmp_path / "more.npz", "--sampler", "d3dp")
    assert refused.exit_code == 2
    assert "leave out --sampler" in refused.output
    for option in (("--fps", 30), ("--seed", 0), ("--n-hypotheses", 5), ("--camera", "c.json")):
        refused = run(tmp_path / "result.npz", "-o", tmp_path / "more.npz", *option)
        assert refused.exit_code == 2
        assert f"leave out {option[0]}" in refused.output


def test_3d_motions_are_filled(motion: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, points = motion
    out = tmp_path / "done.npz"
    done = run(path, "--3d", "-o", out, "--n-hypotheses", 4, "--fps", 50)
    assert done.exit_code == 0, done.output
    assert "15 of 425 joints filled, give or take" in done.output
    with np.load(out) as file:
        known = np.isfinite(points).all(-1)
        np.testing.assert_array_equal(file["joints"][known], points[known])
        np.testing.assert_array_equal(file["filled"] == 1, ~known)
        assert np.isfinite(file["joints"]).all()
        assert (file["std"][known] == 0).all()
    again = run(out, "--3d", "-o", tmp_path / "again.npz")
    assert "no gaps" in again.output


def test_masked_networks_complete_too(
    gaps: Path, motion: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    weights = tmp_path / "mpm"
    MPM(n_frames=9, width=16, hidden=16, n_layers=1).eval().save_pretrained(weights)
    done = run(gaps, "-o", tmp_path / "two.csv", "--weights", weights)
    assert done.output.startswith("6 of 425 keypoints filled ->"), done.output
    done = run(motion[0], "--3d", "-o", tmp_path / "three.npz", "--weights", weights)
    assert done.output.startswith("15 of 425 joints filled ->"), done.output


REFUSED: dict[str, tuple[list[str], str]] = {
    "an unknown ending": (["GAPS", "-o", "out.txt"], "keypoints are written as"),
    "the input": (["GAPS", "-o", "GAPS"], "replaced by its own result"),
    "the input, even with force": (["GAPS", "-o", "GAPS", "--force"], "replaced by its own result"),
    "keypoint options in 3D": (["MOTION", "--3d", "-o", "o.npz", "--below", "0.3"], "--below is"),
    "another ending in 3D": (["MOTION", "--3d", "-o", "o.csv"], "written as .npz"),
    "keypoints as 3D": (["GAPS", "--3d", "-o", "o.npz"], "no array 'joints'"),
    "another skeleton in 3D": (
        ["MOTION", "--3d", "-o", "o.npz", "--skeleton", "humaneva15"], "15 joints of humaneva15",
    ),
    "time that runs backwards": (["MOTION", "--3d", "-o", "o.npz", "--fps", "-1"], "--fps must be"),
    "doubt without confidences": (["GAPS", "-o", "o.csv", "--below", "0.3"], "without them"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(REFUSED))
def test_mistakes_are_one_line_and_write_nothing(
    case: str,
    gaps: Path,
    motion: tuple[Path, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    named: dict[str, Callable[[], str]] = {
        "GAPS": lambda: str(gaps),
        "MOTION": lambda: str(motion[0]),
    }
    words, expected = REFUSED[case]
    done = run(*(named.get(w, lambda w=w: w)() for w in words))
    assert done.exit_code == 2
    assert done.output.startswith("Error: "), done.output
    assert expected in done.output
    assert done.output.count("\n") == 1
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_the_list_of_what_was_filled_never_replaces_the_input(tmp_path: Path) -> None:
    source = tmp_path / "walk.filled.csv"
    source.write_text("seen")
    done = run(source, "-o", tmp_path / "walk.csv", "--force")
    assert (done.exit_code, source.read_text()) == (2, "seen")
    assert "walk.filled.csv would be replaced by its own result" in done.output


def test_millimeters_and_complete_files_are_refused(
    motion: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    _, points = motion
    np.save(tmp_path / "mm.npy", points * 1000)
    assert "Give meters" in run(tmp_path / "mm.npy", "--3d", "-o", tmp_path / "o.npz").output
    keypoints, _ = example_pair()
    save_keypoints(tmp_path / "whole.npz", keypoints)
    done = run(tmp_path / "whole.npz", "-o", tmp_path / "o.npz")
    assert "has no gaps" in done.output
    assert not (tmp_path / "o.npz").exists()

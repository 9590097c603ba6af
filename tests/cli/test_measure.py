"""``hypopose measure`` from the outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from handed_body import make_result

from hypopose.io import save_result
from hypopose.quantities import FAMILIES

Run = Callable[..., Result]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save_result(tmp_path / "walk.npz", make_result())
    return tmp_path / "walk.npz"


def test_a_table_and_a_figure(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    done = hypopose("measure", stored, "-o", tmp_path / "out.csv", "--what",
                    "knee_flexion,elbow_flexion_range", "--plot", "--samples")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.glob("out*")) == [
        "out.csv", "out_knee_flexion.png", "out_samples.csv", "out_summary.csv",
    ]  # fmt: skip
    assert "left_elbow_flexion_range" in done.stdout
    assert "80 %:" in done.stdout
    assert "Note: vertical of the camera's world" in done.stderr
    header, first, *_ = (tmp_path / "out.csv").read_text().splitlines()
    assert header == ("person,quantity,side,unit,frame,time,mean,median,low_50,high_50,low_80,"
                      "high_80,low_95,high_95,share,intervals,coverage_80")  # fmt: skip
    assert first.startswith("0,knee_flexion,left,deg,0,0,")
    again = hypopose("measure", stored, "-o", tmp_path / "out.csv", "--what", "knee_flexion")
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_everything_that_can_be_measured(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    done = hypopose("measure", stored, "-o", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    assert "left out: left_ankle_flexion" in done.stderr
    summary = (tmp_path / "out_summary.csv").read_text()
    assert all(f",{family}," in summary for family in FAMILIES if "ankle_flexion" not in family)


def test_several_people_in_one_table(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    save_result(tmp_path / "ann.npz", replace(make_result(), person="ann"))
    done = hypopose("measure", stored, tmp_path / "ann.npz", "-o", tmp_path / "out.csv",
                    "--what", "hip_width")  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["0", "ann"]
    same = hypopose("measure", stored, stored, "-o", tmp_path / "same.csv", "--what", "hip_width")
    assert [row.split(",")[0] for row in (tmp_path / "same.csv").read_text().splitlines()[1:]] == [
        "walk", "walk",
    ], same.output  # fmt: skip


def test_the_list_names_every_family(hypopose: Run) -> None:
    done = hypopose("measure", "--list")
    assert done.exit_code == 0
    assert all(f"  {family} (" in done.stdout for family in FAMILIES)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "out.xlsx"), ".csv, .parquet or .nc"),
        (("-o", "out.csv", "--what", "knee"), "Did you mean"),
        (("-o", "out.csv", "--what", "hip_width", "--plot"), "--plot draws quantities per frame"),
        (("-o", "out.csv", "--height", "9"), "stature lies between"),
        (("-o", "nowhere/out.csv", "--what", "hip_width"), "does not exist"),
    ],
)
def test_errors_are_one_line(
    hypopose: Run, stored: Path, monkeypatch: pytest.MonkeyPatch, options, words: str
) -> None:
    monkeypatch.chdir(stored.parent)
    done = hypopose("measure", stored, *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_an_assumed_camera_needs_a_height(hypopose: Run, tmp_path: Path) -> None:
    result = make_result()
    camera = replace(result.keypoints.camera, assumed=True)
    guessed = replace(result, keypoints=replace(result.keypoints, camera=camera))
    save_result(tmp_path / "walk.npz", guessed)
    command = ("measure", tmp_path / "walk.npz", "-o", tmp_path / "out.csv", "--what", "hip_width")
    done = hypopose(*command)
    assert (done.exit_code, "--height 1.78" in done.stderr) == (2, True)
    assert hypopose(*command, "--height", "1.7").exit_code == 0


def test_cures_are_options_and_named_once(hypopose: Run, tmp_path: Path) -> None:
    result = make_result()
    unclocked = replace(result, keypoints=replace(result.keypoints, fps=None))
    save_result(tmp_path / "walk.npz", unclocked)
    command = ("measure", tmp_path / "walk.npz", "-o", tmp_path / "out.csv", "--what")
    refused = hypopose(*command, "knee_speed")
    assert (refused.exit_code, refused.stderr.count("--fps 30")) == (2, 1)
    noted = hypopose(*command, "knee_flexion,gait")
    assert (noted.exit_code, "fps=" in noted.stderr) == (0, False)
    assert noted.stderr.count("--fps 30") == 1


def test_recalibrated_intervals_say_so(hypopose: Run, tmp_path: Path) -> None:
    result = make_result()
    x = result.hypotheses
    many = replace(x, joints=x.joints.repeat(7, 1, 1, 1), root=x.root.repeat(7, 1, 1))
    result = replace(result, hypotheses=many, weights="distributional-frame-small")
    save_result(tmp_path / "walk.npz", result)
    done = hypopose("measure", tmp_path / "walk.npz", "-o", tmp_path / "out.csv", "--what",
                    "knee_flexion_range,stature", "--recalibrate")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Note: intervals recalibrated; factors fitted on val-people-detector" in done.stderr
    assert "as sampled, for want of factors: stature" in done.stderr
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()]
    column = rows[0].index("intervals")
    assert [row[column] for row in rows[1:]] == ["recalibrated", "recalibrated", "as sampled"]
    assert float(rows[1][column + 1]) > 0.8  # coverage on the test split
    assert rows[3][column + 1] == ""


def test_the_recalibration_is_for_its_weights(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    done = hypopose("measure", stored, "-o", tmp_path / "out.csv", "--what", "hip_flexion",
                    "--recalibrate")  # fmt: skip
    assert (done.exit_code, "fitted to distributional-frame-small" in done.stderr) == (2, True)


def test_feet_make_ankles_measurable(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    done = hypopose("sample", one_person, "-o", tmp_path / "walk.npz", "--image-size", 640, 640,
                    "--fps", 30, "--sampler", "boneflips", "--n-hypotheses", 4, "--feet",
                    "--format", "trc")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "left_big_toe" in (tmp_path / "walk.trc").read_text().splitlines()[3]
    done = hypopose("measure", tmp_path / "walk.npz", "-o", tmp_path / "a.csv", "--what",
                    "ankle_flexion")  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert len(rows) == 24
    assert all(abs(float(row.split(",")[6])) < 70 for row in rows)

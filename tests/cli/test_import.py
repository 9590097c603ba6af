"""``hypopose import``: files of other programs, then the commands that take what it made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from walker import in_axes, walk, write_trc

from hypopose.io import load_hypotheses
from hypopose.skeletons import get_skeleton

Run = Callable[..., Result]
H36M = get_skeleton("h36m17").joint_names


@pytest.fixture
def markers(tmp_path: Path) -> Path:
    return write_trc(tmp_path / "walk.trc", H36M, 1000 * in_axes(walk(H36M), "y"), unit="mm")


def test_import_then_evaluate_export_and_report(
    hypopose: Run, markers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "walk.npz"
    done = hypopose("import", markers, "-o", out)
    assert done.exit_code == 0, done.output
    assert "trc, 20 frames, 60 Hz, h36m17 (17 joints)" in done.output
    np.save(tmp_path / "truth.npy", load_hypotheses(out).pose.joints.numpy())
    scores = hypopose("evaluate", out, "--truth", tmp_path / "truth.npy")
    assert scores.exit_code == 0, scores.output
    assert "mpjpe_single_mm" in scores.output
    assert "jpma" not in scores.output
    assert hypopose("export", out, "-o", tmp_path / "back.bvh").exit_code == 0
    report = hypopose("report", out, "--truth", out, "-o", tmp_path / "report.html")
    assert report.exit_code == 0, report.output
    info = hypopose("info", out)
    assert "format=trc, frame=file, y up" in info.output


def test_doubts_are_lines_that_name_options_of_this_command(hypopose: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", 100 * walk(H36M))
    out = tmp_path / "a.npz"
    done = hypopose("import", tmp_path / "a.npy", "-o", out)
    assert done.exit_code == 2
    assert "--skeleton h36m17" in done.output
    done = hypopose("import", tmp_path / "a.npy", "-o", out, "--skeleton", "h36m17")
    assert done.exit_code == 0, done.output
    assert "read in centimeters: hip to knee is 43.1 units; --unit says otherwise" in done.stderr
    assert "--camera-unit" not in done.output
    assert done.output.count("centimeters") == 1
    told = hypopose("import", tmp_path / "a.npy", "-o", out, "--skeleton", "h36m17", "--unit",
                    "cm", "--up", "z", "--force")  # fmt: skip
    assert told.exit_code == 0
    assert told.stderr == ""
    down = hypopose("import", tmp_path / "a.npy", "-o", out, "--skeleton", "h36m17", "--unit",
                    "cm", "--up", "-z", "--force")  # fmt: skip
    assert down.exit_code == 0, down.output


def test_people_are_files(hypopose: Run, tmp_path: Path) -> None:
    x = walk(H36M)
    np.save(tmp_path / "two.npy", np.stack([x, walk(H36M, aside=(0, 1.0, 0))], 1))
    told = ("--skeleton", "h36m17", "--unit", "m", "--up", "z")
    done = hypopose("import", tmp_path / "two.npy", "-o", tmp_path / "a.npz", *told)
    assert done.exit_code == 0, done.output
    assert {p.name for p in tmp_path.glob("*.npz")} == {"a_person0.npz", "a_person1.npz"}
    one = hypopose("import", tmp_path / "two.npy", "-o", tmp_path / "b.npz", "--person", "1", *told)
    assert one.exit_code == 0, one.output
    none = hypopose(
        "import", tmp_path / "two.npy", "-o", tmp_path / "c.npz", "--person", "7", *told
    )
    assert none.exit_code == 2
    assert "it has 0, 1" in none.output


def test_refusals(hypopose: Run, markers: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    assert "written as .npz" in hypopose("import", markers, "-o", tmp_path / "a.trc").output
    assert hypopose("import", markers, "-o", out).exit_code == 0
    again = hypopose("import", markers, "-o", out)
    assert again.exit_code == 2
    assert "--force" in again.output
    assert "is a result already" in hypopose("import", out, "-o", tmp_path / "b.npz").output
    assert (
        "does not exist" in hypopose("import", tmp_path / "no.trc", "-o", tmp_path / "b.npz").output
    )
    assert "holds no keypoints" in hypopose("sample", out, "-o", tmp_path / "s.npz").output
    refined = hypopose("refine", out, "-o", tmp_path / "r.npz")
    assert "imported 3D motion has none" in refined.output
    assert (
        hypopose("aggregate", out, "-o", tmp_path / "m.npz", "--aggregate", "median").exit_code == 0
    )


def test_a_calibration_places_the_motion(hypopose: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", walk(H36M))
    rig = tmp_path / "rig.toml"
    rig.write_text(
        '[cam1]\nname = "cam1"\nsize = [1280, 720]\n'
        "matrix = [[900, 0, 640], [0, 900, 360], [0, 0, 1]]\n"
        "rotation = [1.5707963267948966, 0, 0]\ntranslation = [-1.2, 1000, 3000]\n"
    )  # a camera at y = -3 m that looks along y, in millimeters but for x
    done = hypopose("import", tmp_path / "a.npy", "-o", tmp_path / "a.npz", "--skeleton", "h36m17",
                    "--camera", rig, "--camera-unit", "mm")  # fmt: skip
    assert done.exit_code == 0, done.output
    stored = load_hypotheses(tmp_path / "a.npz")
    assert stored.sampler["frame"] == "camera"
    assert float(stored.pose.root[0, 2]) == pytest.approx(3 + walk(H36M)[0, 0, 1], abs=1e-4)

"""``hypopose export`` from the outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from handed_body import make_result

from hypopose.cli.jobs import FORMATS
from hypopose.io import EXPORTERS, save_result

Run = Callable[..., Result]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save_result(tmp_path / "walk.npz", make_result())
    return tmp_path / "walk.npz"


def test_the_command_lines_know_every_format() -> None:
    assert set(FORMATS) == set(EXPORTERS)


def test_several_formats_at_once(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    out = [tmp_path / f"out.{ending}" for ending in ("c3d", "bvh", "glb", "csv")]
    done = hypopose("export", stored, *(word for path in out for word in ("-o", path)))
    assert done.exit_code == 0, done.output
    assert all(path.stat().st_size > 500 for path in out)
    assert done.stdout.count("-> ") == 4
    assert "out.c3d: world frame; z up; millimeters" in done.stdout
    assert "out.bvh: world frame; y up; centimeters" in done.stdout
    assert "out.csv: world frame; z up; meters" in done.stdout
    assert "constant bones" in done.stdout


def test_all_motions_and_the_world(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    done = hypopose("export", stored, "-o", tmp_path / "out.trc", "--motion", "all", "--frame",
                    "world", "--unit", "m")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "out.trc to out_h02.trc: world frame; y up; meters" in done.stdout
    lines = (tmp_path / "out_h01.trc").read_text().splitlines()
    assert lines[2].split("\t")[4] == "m"
    again = hypopose("export", stored, "-o", tmp_path / "out.trc", "--motion", "all")
    assert again.exit_code == 2
    assert "out.trc exists already" in again.stderr


def test_two_exports_are_never_one_file(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    done = hypopose("export", stored, "-o", tmp_path / "a.trc", "--motion", "all", "-o",
                    tmp_path / "a_h00.trc")  # fmt: skip
    assert (done.exit_code, "would be one file" in done.stderr) == (2, True)
    assert not list(tmp_path.glob("*.trc"))


def test_an_unknown_rate_is_assumed_and_said(hypopose: Run, tmp_path: Path) -> None:
    result = make_result()
    slow = replace(result, keypoints=replace(result.keypoints, fps=None))
    save_result(tmp_path / "slow.npz", slow)
    done = hypopose("export", tmp_path / "slow.npz", "-o", tmp_path / "slow.bvh")
    assert "frame rate unknown: 30 Hz assumed" in done.stdout
    done = hypopose("export", tmp_path / "slow.npz", "-o", tmp_path / "b.bvh", "--fps", 50)
    assert "assumed" not in done.stdout
    assert "Frame Time: 0.020000000" in (tmp_path / "b.bvh").read_text()


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        ("out.fbx", (), "Results are written as .npz"),
        ("out.glb", ("--up", "z"), "fixes up to 'y'"),
        ("out.trc", ("--motion", "best"), "not 'best'"),
        ("out.trc", ("--motion", "7"), "There is no hypothesis 7"),
        ("out.trc", ("--root", "apart"), "cannot hold the root separately"),
        ("nowhere/out.trc", (), "does not exist"),
    ],
)
def test_errors_are_one_line(
    hypopose: Run, stored: Path, tmp_path: Path, file: str, options: tuple[str, ...], words: str
) -> None:
    done = hypopose("export", stored, "-o", tmp_path / file, *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["walk.npz"]


def test_set_ups_stand_beside_a_trc_and_are_kept(
    hypopose: Run, stored: Path, tmp_path: Path
) -> None:
    done = hypopose("export", stored, "-o", tmp_path / "a.trc")
    assert "also wrote: a_markers.xml, a_scale.xml, a_ik.xml" in done.stdout
    (tmp_path / "a.trc").unlink()
    done = hypopose("export", stored, "-o", tmp_path / "a.trc")
    assert (done.exit_code, "a_markers.xml exists already" in done.stderr) == (2, True)


def test_the_ground_of_a_run_is_the_ground_of_its_exports(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    done = hypopose("sample", one_person, "-o", tmp_path / "walk.npz", "--image-size", 640, 640,
                    "--sampler", "boneflips", "--n-hypotheses", 3, "--ground", "--no-overview",
                    *(w for f in ("trc", "bvh", "csv") for w in ("--format", f)))  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "walk.trc").read_text().splitlines()
    assert "world frame; y up; millimeters" in lines[0]
    names = [n for n in lines[3].split("\t")[2:] if n]
    heights = {n: float(lines[6].split("\t")[3 + 3 * i]) for i, n in enumerate(names)}
    assert 600 < heights["pelvis"] < 1200
    assert -100 < heights["left_ankle"] < 400
    motion = (tmp_path / "walk.bvh").read_text().split("Frame Time:")[1].splitlines()[1]
    assert float(motion.split()[1]) == pytest.approx(heights["pelvis"] / 10, abs=0.1)
    first = (tmp_path / "walk.csv").read_text().splitlines()[1]
    assert "world frame; z up; meters" in first


def test_rigs_presets_and_several_people(hypopose: Run, stored: Path, tmp_path: Path) -> None:
    done = hypopose("export", stored, "-o", tmp_path / "a.bvh", "--rig", "mixamo", "--lock-feet",
                    "--preset", "walk")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "mm of slide each" in done.stdout
    assert "ROOT mixamorig:Hips" in (tmp_path / "a.bvh").read_text()
    save_result(tmp_path / "ann.npz", replace(make_result(), person="ann"))
    both = hypopose("export", stored, tmp_path / "ann.npz", "-o", tmp_path / "two.glb")
    assert both.exit_code == 0, both.output
    assert "person_ann: aggregate: constant bones" in both.stdout
    one = hypopose("export", stored, tmp_path / "ann.npz", "-o", tmp_path / "two.bvh")
    assert (one.exit_code, "such a file holds one person" in one.stderr) == (2, True)
    table = hypopose("export", stored, tmp_path / "ann.npz", *(w for e in ("csv", "trc", "c3d")
                     for w in ("-o", tmp_path / f"two.{e}")))  # fmt: skip
    assert table.exit_code == 0, table.output
    assert "labels begin with P0:, ann:" in table.stdout
    clash = hypopose("sample", stored, "-o", tmp_path / "b.npz", "--preset", "walk", "--smooth", 3)
    assert "--preset and --smooth contradict each other" in clash.stderr

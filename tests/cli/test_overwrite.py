"""No command replaces a file unless it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from handed_body import make_result

from hypopose.errors import CheckpointError
from hypopose.io import save_result
from hypopose.networks.checkpoint_conversion import _check_free, _move

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 2, "--image-size", 640, 640)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save_result(tmp_path / "stored.npz", make_result())
    np.save(tmp_path / "truth.npy", make_result().pose.joints.numpy())
    return tmp_path / "stored.npz"


def commands(stored: Path, one_person: Path) -> dict[str, tuple[tuple[object, ...], str]]:
    """Each command that writes: its arguments and the file it would replace."""
    folder = stored.parent
    truth = folder / "truth.npy"
    return {
        "sample": (("sample", one_person, *FAST, "--no-overview"), "out.npz"),
        "sample csv": (("sample", one_person, *FAST, "--no-overview"), "out.csv"),
        "export": (("export", stored), "out.trc"),
        "aggregate": (("aggregate", stored, "--aggregate", "mean"), "out.npz"),
        "evaluate": (("evaluate", stored, "--truth", truth), "out.json"),
        "report": (("report", stored), "out.html"),
    }


@pytest.mark.parametrize(
    "name", ["sample", "sample csv", "export", "aggregate", "evaluate", "report"]
)
def test_without_force_a_file_stays(
    hypopose: Run, stored: Path, one_person: Path, name: str
) -> None:
    arguments, file = commands(stored, one_person)[name]
    target = stored.parent / "target" / file
    target.parent.mkdir()
    target.write_text("mine")
    done = hypopose(*arguments, "-o", target)
    assert done.exit_code == 2, done.output
    assert done.stderr.strip().startswith("Error: ")
    assert done.stderr.strip().count("\n") == 0
    assert "--force to replace it" in done.stderr
    assert target.read_text() == "mine"
    assert [p.name for p in target.parent.iterdir()] == [file]
    done = hypopose(*arguments, "-o", target, "--force")
    assert done.exit_code == 0, done.output
    assert target.read_bytes() != b"mine"


def test_calibrate_stops_before_it_reads_anything(hypopose: Run, tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text("mine")
    done = hypopose("calibrate", tmp_path, "-o", tmp_path / "out.json", "--fit",
                    tmp_path / "fit.json")  # fmt: skip
    assert done.exit_code == 2
    assert "fit.json exists already" in done.stderr
    forced = hypopose("calibrate", tmp_path, "-o", tmp_path / "out.json", "--fit",
                      tmp_path / "fit.json", "--force")  # fmt: skip
    assert "exists already" not in forced.stderr


def test_a_folder_with_files_is_no_place_for_a_report(hypopose: Run, stored: Path) -> None:
    done = hypopose("report", stored, "-o", stored.parent)
    assert done.exit_code == 2
    assert "is a folder with files in it" in done.stderr


def test_pictures_and_exports_are_kept_too(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    for name in ("out.png", "out.bvh"):
        (tmp_path / name).write_text("mine")
        done = hypopose("sample", one_person, "-o", out, *FAST, "--format", "bvh")
        assert done.exit_code == 2
        assert f"{name} exists already" in done.stderr
        assert not out.exists()
        (tmp_path / name).unlink()


def test_an_input_is_no_output_even_with_force(hypopose: Run, stored: Path) -> None:
    before = stored.read_bytes()
    done = hypopose("export", stored, "-o", stored, "--force")
    assert done.exit_code == 2
    assert "replaced by its own result" in done.stderr
    walk = stored.with_name("walk.json")
    walk.write_text("{}")
    done = hypopose("sample", walk, "-o", stored.with_name("walk.npz"), *FAST, "--format", "json",
                    "--no-overview", "--force")  # fmt: skip
    assert done.exit_code == 2
    assert walk.read_text() == "{}"
    assert stored.read_bytes() == before


def test_only_weights_are_replaced_by_weights(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    _check_free(home, False)
    (home / "thesis.tex").write_text("mine")
    with pytest.raises(CheckpointError, match="--force"):
        _check_free(home, False)
    with pytest.raises(CheckpointError, match="not a folder of weights"):
        _check_free(home, True)
    (home / "config.json").write_text("{}")
    _check_free(home, True)
    (tmp_path / "new").mkdir()
    _move(tmp_path / "new", home)
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    assert list(home.iterdir()) == []

"""Where results go: nobody's file, and nobody's input, is replaced by another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypopose.cli.batch import Job, plan_jobs
from hypopose.errors import OptionError


def test_people_whose_names_look_alike_in_a_file_name_get_their_own_files() -> None:
    outputs = Job(Path("a.json"), Path("out.npz")).outputs_of(["a/b", "a_b", "a b", "A_B"])
    assert len({path.name.casefold() for path in outputs}) == 4


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    walk = tmp_path / "walk.json"
    walk.write_text("[]")
    with pytest.raises(OptionError, match="replaced by its own result"):
        plan_jobs((walk,), walk)
    other = tmp_path / "other.npz"
    other.write_bytes(b"")
    with pytest.raises(OptionError, match="replaced by its own result"):
        plan_jobs((walk, other), tmp_path)
    person = tmp_path / "out_person1.npz"
    with pytest.raises(OptionError, match="replaced by its own result"):
        Job(person, tmp_path / "out.npz").outputs_of(["0", "1"])


def test_a_folder_that_is_there_takes_the_result(tmp_path: Path) -> None:
    (job,) = plan_jobs((_touched(tmp_path / "walk.json"),), _made(tmp_path / "results"))
    assert job.output == tmp_path / "results" / "walk.npz"


def _touched(path: Path) -> Path:
    path.write_text("[]")
    return path


def _made(path: Path) -> Path:
    path.mkdir()
    return path

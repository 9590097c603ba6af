"""Names of files that are made of somebody else's text work on every file system."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from handed_body import make_result

from hypopose.cli import main
from hypopose.cli.jobs import Job, plan_jobs
from hypopose.errors import OptionError
from hypopose.files import RESERVED, portable_name
from hypopose.io import load_hypotheses, save_people
from hypopose.io.atomic import write_atomically

ODD = [
    "12:30", "a/b", "a\\b", "con", "CON", "aux.1", "nul", "com1", "lpt9.x", "x.", "x. .", " ", "",
    ".", "..", "a*b?", '"q"', "<a>", "a|b", "tab\tnew\nline", "\x1b[2J", "$\\frac{a", "名前", "é",
    "=1+1", "-rf", "~",
]  # fmt: skip


def is_portable(name: str) -> bool:
    """Whether Windows, macOS and Linux take a file of this name."""
    stem = name.partition(".")[0].strip().lower()
    bad = set('<>:"/\\|?*') & set(name) or any(ord(c) < 32 for c in name)
    return bool(name) and not bad and name[-1] not in ". " and stem not in RESERVED


@pytest.mark.parametrize("text", ODD)
def test_any_text_becomes_a_name(text: str) -> None:
    name = portable_name(text)
    assert is_portable(name)
    assert portable_name(name) == name
    assert is_portable(f"{name}.npz")


@pytest.mark.parametrize("text", ["walk", "walk.1", "person 2", "名前", "a-b_c"])
def test_good_names_stay(text: str) -> None:
    assert portable_name(text) == text


def test_people_of_odd_names_have_files_of_their_own(tmp_path: Path) -> None:
    paths = Job(Path("in.json"), tmp_path / "out.npz").outputs_of(ODD)
    assert len({path.name.casefold() for path in paths}) == len(ODD)
    assert all(is_portable(path.name) and path.parent == tmp_path for path in paths)


@pytest.mark.skipif(os.name == "nt", reason="makes inputs of names that Windows refuses")
def test_inputs_of_odd_names_have_results_of_good_ones(tmp_path: Path) -> None:
    body = make_result().keypoints
    (tmp_path / "in").mkdir()
    for name in ("12:30", "con", "a?b", "a*b"):
        save_people(tmp_path / "in" / f"{name}.json", {"0": body})
    plan = plan_jobs((tmp_path / "in",), tmp_path / "out")
    names = [job.output.name for job in plan.jobs]
    assert sorted(names) == ["12_30.npz", "a_b.npz", "a_b_2.npz", "con_.npz"]


def test_odd_people_keep_their_names_inside(tmp_path: Path) -> None:
    body = make_result().keypoints
    moved = replace(body, xy=body.xy + 200, camera=None)
    save_people(tmp_path / "two.json", {"12:30": replace(body, camera=None), "$\\frac{a": moved})
    words = [
        "sample", tmp_path / "two.json", "-o", tmp_path / "out.npz", "--sampler", "boneflips",
        "--n-hypotheses", 2, "--no-overview", "--format", "csv", "--keep-identities",
    ]  # fmt: skip
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    results = sorted(tmp_path.glob("out*.npz"))
    assert all(is_portable(path.name) for path in tmp_path.iterdir())
    assert {load_hypotheses(path).person for path in results} == {"12:30", "$\\frac{a"}


def test_windows_refuses_what_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypopose.io.atomic.WINDOWS", True)
    with (
        pytest.raises(OptionError, match=r"con\.npz is not a file name .*name it con_\.npz"),
        write_atomically(tmp_path / "con.npz"),
    ):
        pass
    with write_atomically(tmp_path / "walk.npz") as path:
        path.write_text("a")

"""Manifests: what was done is known again, whatever happened to the file's end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypopose.distributed.manifest import Entry, Manifest, stamp_of
from hypopose.errors import FormatError, OptionError

DONE = Entry("a.json", "done", "x", (3, 5), 2, 0.5, "", ({"written": "a.npz"},))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.jsonl"


def test_entries_come_back(path: Path) -> None:
    with Manifest(path, "x") as manifest:
        manifest.add(DONE)
        manifest.add(Entry("b.json", "failed", "x", error="no people"))
    again = Manifest(path, "x").entries
    assert again["a.json"] == DONE
    assert again["b.json"].error == "no people"


def test_the_last_entry_of_an_input_counts(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.add(Entry("a.json", "failed"))
        manifest.add(Entry("a.json", "done"))
    assert Manifest(path).entries["a.json"].state == "done"


@pytest.mark.parametrize("end", ['{"input": "c', "[1]\n", '{"input": 3}\n', "\x00\xff"])
def test_a_line_that_was_cut_off_costs_nothing_else(path: Path, end: str) -> None:
    with Manifest(path, "x") as manifest:
        manifest.add(DONE)
    with path.open("a") as file:
        file.write(end)
    with Manifest(path, "x") as manifest:
        assert set(manifest.entries) == {"a.json"}
        manifest.add(Entry("d.json", "done", "x"))
    assert set(Manifest(path, "x").entries) == {"a.json", "d.json"}


def test_other_files_are_refused(path: Path) -> None:
    path.write_text('{"inputs": []}\n')
    with pytest.raises(FormatError, match="is not a manifest"):
        Manifest(path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    manifest = Manifest(tmp_path / "file" / "manifest.jsonl")
    with pytest.raises(OptionError, match="cannot be written"):
        manifest.add(DONE)


def test_a_stamp_changes_with_the_file(path: Path) -> None:
    path.write_text("a")
    before = stamp_of(path)
    path.write_text("ab")
    assert before is not None
    assert before != stamp_of(path)
    assert stamp_of(path.parent) is None

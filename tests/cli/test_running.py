"""A folder of inputs: in processes or not, in parts or whole, the results are the same bytes."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from hypopose import load
from hypopose.api import Pipeline
from hypopose.io import save_keypoints

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 2, "--no-overview")
forks = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")


@pytest.fixture
def folder(one_person: Path, tmp_path: Path) -> Path:
    inputs = tmp_path / "in"
    inputs.mkdir()
    keypoints = load(one_person, image_size=(640, 640))
    for i in range(5):
        save_keypoints(inputs / f"clip{i}.npz", replace(keypoints, xy=keypoints.xy + i))
    return inputs


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@forks
def test_processes_parts_and_one_at_a_time_write_the_same_bytes(
    hypopose: Run, folder: Path, tmp_path: Path
) -> None:
    serial = hypopose("sample", folder, "-o", tmp_path / "a", *FAST, "--jobs", 1)
    assert serial.exit_code == 0, serial.output
    assert hypopose("sample", folder, "-o", tmp_path / "b", *FAST, "--jobs", 3).exit_code == 0
    for part in ("1/2", "2/2"):
        done = hypopose("sample", folder, "-o", tmp_path / "c", *FAST, "--shard", part)
        assert done.exit_code == 0, done.output
    one = hypopose("sample", folder / "clip3.npz", "-o", tmp_path / "clip3.npz", *FAST)
    assert one.exit_code == 0
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert sorted(a) == [f"clip{i}.npz" for i in range(5)]
    assert a == b == c
    assert a["clip3.npz"] == (tmp_path / "clip3.npz").read_bytes()


def test_parts_have_nothing_in_common(hypopose: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert hypopose("sample", folder, "-o", out, *FAST, "--shard", "2/3").exit_code == 0
    assert sorted(contents(out)) == ["clip1.npz", "clip4.npz"]
    empty = hypopose("sample", folder, "-o", out, *FAST, "--shard", "6/6")
    assert (empty.exit_code, "this part has none" in empty.output) == (0, True)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_parts_that_do_not_exist(hypopose: Run, folder: Path, tmp_path: Path, part: str) -> None:
    done = hypopose("sample", folder, "-o", tmp_path / "out", *FAST, "--shard", part)
    assert (done.exit_code, "--shard takes I/N" in done.stderr) == (2, True)


@forks
def test_a_process_that_is_killed_costs_one_input(
    hypopose: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = Pipeline.estimate_people

    def deadly(pipeline, people, **options):
        if options["source"] == "clip2.npz":
            os.kill(os.getpid(), signal.SIGKILL)
        return estimate(pipeline, people, **options)

    monkeypatch.setattr(Pipeline, "estimate_people", deadly)
    out = tmp_path / "out"
    done = hypopose("sample", folder, "-o", out, *FAST, "--jobs", 2)
    assert done.exit_code == 1
    assert "clip2.npz: its process was ended from outside" in done.stderr
    results = [name for name in sorted(contents(out)) if name[0] != "."]
    assert results == ["clip0.npz", "clip1.npz", "clip3.npz", "clip4.npz"]


def test_pictures_are_drawn_after_the_results(
    hypopose: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def draw(path: object, result: object) -> None:
        seen.append(sorted(contents(tmp_path / "out")))
        if len(seen) == 2:
            raise ValueError("no\ncolor")

    monkeypatch.setattr("hypopose.report.overview.draw_overview", draw)
    done = hypopose("sample", folder, "-o", tmp_path / "out", *FAST[:-1], "--jobs", 1)
    assert seen[0] == [f"clip{i}.npz" for i in range(5)]
    assert len(seen) == 5
    assert done.exit_code == 1
    assert "clip1.png: ValueError: no color" in done.stderr


def test_the_log_has_a_line_per_input(hypopose: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.json").write_text("{")
    log, out = tmp_path / "log.jsonl", tmp_path / "out"
    command = ("sample", folder, "-o", out, *FAST, "--jobs", 1, "--log", log, "--log-json")
    assert hypopose(*command).exit_code == 1
    assert hypopose(*command).exit_code == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["state"] for line in lines] == ["failed", *["done"] * 5, "failed", *["kept"] * 5]
    assert lines[1]["frames"] == 12
    assert set(lines[1]["seconds"]) == {"read", "estimate", "write"}
    assert lines[1]["results"] == [str(out / "clip0.npz")]
    assert "bad.json" in lines[0]["error"]
    text = tmp_path / "log.txt"
    hypopose("sample", folder, "-o", out, *FAST, "--jobs", 1, "--log", text)
    assert " kept " in text.read_text().splitlines()[1]


def test_the_summary_counts_and_groups_failures(
    hypopose: Run, folder: Path, tmp_path: Path
) -> None:
    for name in ("x.json", "y.json"):
        (folder / name).write_text('{"people": []}')
    done = hypopose("sample", folder, "-o", tmp_path / "out", *FAST, "--jobs", 1)
    assert done.exit_code == 1
    assert "2 inputs failed alike: " in done.stdout
    assert "7 inputs, 5 people, 60 frames in " in done.stdout
    assert "5 results written, 2 inputs failed." in done.stdout

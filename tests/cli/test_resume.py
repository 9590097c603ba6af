"""A batch that was stopped goes on, and tells results of other options apart."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.dom import minidom

import pytest
import torch
from click.testing import Result

from hypopose import load, load_hypotheses
from hypopose.cli.resume import differences, digest, made_with
from hypopose.io import save_keypoints
from hypopose.io.camera_files import camera_to_dict
from hypopose.types import Camera

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 2, "--image-size", 640, 640)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(one_person: Path, tmp_path: Path) -> Path:
    """Eight good files and four bad ones, mixed."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    keypoints = load(one_person, image_size=(640, 640))
    for i in range(8):
        save_keypoints(inputs / f"clip{i}.npz", replace(keypoints, xy=keypoints.xy + i))
    shutil.copy(next(iter(one_person.glob("*.json"))), inputs / "clip3.json")
    for i, text in ((0, "{"), (2, ""), (4, '{"people": []}'), (7, "[1")):
        (inputs / f"clip{i}_bad.json").write_text(text)
    return inputs


def stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.name[0] != "."}


KILLED_LATE = """
import os, signal, sys
from hypopose.cli import main
from hypopose.cli import worker

write, done = worker._write, []

def counting(*arguments, **options):
    if len(done) == 3:
        from pathlib import Path
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    done.append(0)
    return write(*arguments, **options)

worker._write = counting
main(sys.argv[1:])
"""


def test_a_killed_batch_goes_on_where_it_stopped(
    hypopose: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["sample", str(folder), "-o", str(out), *map(str, FAST), "--no-overview", "--format",
               "csv", "--jobs", "1"]  # fmt: skip
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_LATE, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = stamps(out)
    assert sorted(before) == [f"clip{i}.{e}" for i in range(3) for e in ("csv", "npz")]
    done = hypopose(*command)
    assert done.exit_code == 1
    after = stamps(out)
    assert {name: after[name] for name in before} == before
    assert sorted(after) == sorted(
        f"clip{i}.{e}" for i in (*range(8), "3_2") for e in ("csv", "npz")
    )
    assert done.stderr.count("Error: ") == 4
    assert all(f"clip{i}_bad.json" in done.stderr for i in (0, 2, 4, 7))
    assert (
        "6 results written, 3 kept from an earlier run with the same options, 4 inputs failed"
        in (done.stdout)
    )
    fresh = hypopose("sample", folder / "clip1.npz", "-o", tmp_path / "fresh.npz", *FAST,
                     "--no-overview")  # fmt: skip
    assert fresh.exit_code == 0, fresh.output
    kept, new = (
        load_hypotheses(path).hypotheses.joints
        for path in (out / "clip1.npz", tmp_path / "fresh.npz")
    )
    assert torch.equal(kept.nan_to_num(), new.nan_to_num())


def test_what_is_missing_beside_a_kept_result_is_added(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    assert hypopose("sample", one_person, "-o", out, *FAST, "--no-overview").exit_code == 0
    before = stamps(tmp_path)["out.npz"]
    done = hypopose("sample", one_person, "-o", out, *FAST, "--format", "trc", "--format", "bvh")
    assert done.exit_code == 0, done.output
    assert "kept, made before with the same options" in done.stdout
    assert stamps(tmp_path).keys() > {"out.npz", "out.trc", "out.bvh", "out.png"}
    assert stamps(tmp_path)["out.npz"] == before


def test_other_options_are_refused_and_named(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    hypopose("sample", one_person, "-o", out, *FAST, "--no-overview")
    before = stamps(tmp_path)["out.npz"]
    done = hypopose("sample", one_person, "-o", out, *FAST, "--no-overview", "--seed", 4, "--set",
                    "scale=0.9")  # fmt: skip
    assert done.exit_code == 2
    assert "out.npz was made differently (" in done.stderr
    assert "seed 0, now 4" in done.stderr
    assert "sampler.scale" in done.stderr
    next(iter(one_person.glob("*.json"))).unlink()
    done = hypopose("sample", one_person, "-o", out, *FAST, "--no-overview")
    assert "the input has changed" in done.stderr
    assert stamps(tmp_path)["out.npz"] == before
    forced = hypopose("sample", one_person, "-o", out, *FAST, "--no-overview", "--force")
    assert forced.exit_code == 0, forced.output
    assert stamps(tmp_path)["out.npz"] != before


def test_a_surprise_in_one_file_does_not_lose_the_others(
    hypopose: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hypopose.api import Pipeline

    estimate = Pipeline.estimate_people

    def sometimes(pipeline, people, **options):
        if options["source"] == "clip3.npz":
            raise RuntimeError("out of\nluck")
        return estimate(pipeline, people, **options)

    monkeypatch.setattr(Pipeline, "estimate_people", sometimes)
    done = hypopose("sample", folder, "-o", tmp_path / "out", *FAST, "--no-overview")
    assert done.exit_code == 1
    assert len(list((tmp_path / "out").glob("*.npz"))) == 8
    line = next(text for text in done.stderr.splitlines() if "clip3.npz" in text)
    assert line.startswith("Error: unexpected RuntimeError: ")
    assert "8 results written, 5 inputs failed." in done.stdout


def test_results_without_a_record_are_not_taken_for_ours() -> None:
    assert differences({}, {"seed": 1}) == "unknown options, none recorded"
    same = {"seed": 0, "image_size": [640, 480], "sampler": {"a": {"b": 1}}}
    assert differences(same, {**same, "image_size": (640, 480)}) == ""
    assert differences(same, {**same, "sampler": {"a": {"b": 2}}}) == "sampler.a.b 1, now 2"


def test_digests_see_contents_and_names(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "2")):
        (tmp_path / name).write_text(text)
    first = digest(tmp_path)
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    (tmp_path / "b").rename(tmp_path / "c")
    assert digest(tmp_path) != first
    options = {"weights": str(tmp_path), "seed": 1, "force": True,
               "camera_file": str(tmp_path / "a"), "sampler": None, "settings": ("x=1",),
               "device": "cuda"}  # fmt: skip
    made = made_with(options, {"name": "d3dp"}, "1")
    assert made == {
        "version": "1",
        "sampler": {"name": "d3dp"},
        "weights": digest(tmp_path),
        "seed": 1,
        "camera_file": digest(tmp_path / "a"),
    }


GIVEN = Camera(torch.tensor([700.0, 700.0]), torch.tensor([320.0, 320.0]), (640, 640))
CAMERA = json.dumps(camera_to_dict(GIVEN))
POSES = "\n".join(f"{f} 0 0 700.0 0 0 0 1" for f in range(12))


@pytest.mark.parametrize(
    ("option", "name", "text"),
    [("camera", "c.json", CAMERA), ("camera-motion", "poses.txt", POSES)],
)
def test_a_changed_camera_is_not_what_was_used(
    hypopose: Run, one_person: Path, tmp_path: Path, option: str, name: str, text: str
) -> None:
    file = tmp_path / name
    size = () if option == "camera" else FAST[4:]
    command = ("sample", one_person, "-o", tmp_path / "out.npz", *FAST[:4], *size,
               "--no-overview", f"--{option}", file)  # fmt: skip
    file.write_text(text)
    first = hypopose(*command)
    assert first.exit_code == 0, first.output
    assert "kept" in hypopose(*command).stdout
    file.write_text(text.replace("700.0", "800.0"))
    changed = hypopose(*command)
    assert changed.exit_code == 2
    assert re.search(rf"the {option.replace('-', ' ')}( file)? has changed", changed.stderr)


def test_digests_of_named_files(tmp_path: Path) -> None:
    """A camera chosen by name in a file, a skeleton of one's own, and names that are no files."""
    file = tmp_path / "own.toml"

    def made() -> dict[str, object]:
        options = {"camera_file": f"{file}:cam_02", "skeleton": str(file), "weights": "small"}
        return made_with({**options, "sampler": None}, {}, "1")

    file.write_text("a = 1")
    before = made()
    assert before["camera_file"] == f"{digest(file)}:cam_02"
    assert before["weights"] == "small"
    file.write_text("a = 2")
    assert differences(before, made()) == "the camera file has changed; the skeleton has changed"


def test_results_in_the_folder_of_the_inputs_are_no_inputs(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    into_frames = ("sample", one_person, "-o", one_person / "in.npz", *FAST)
    assert hypopose(*into_frames).exit_code == 0
    assert "kept" in hypopose(*into_frames).stdout
    table = (*into_frames, "--format", "csv")
    assert "kept" in hypopose(*table).stdout
    assert (one_person / "in.csv").is_file()
    assert "kept" in hypopose(*table).stdout  # the table is no second input of the folder
    assert hypopose(*table, "--force").exit_code == 0
    clips = tmp_path / "clips"
    clips.mkdir()
    save_keypoints(clips / "a.npz", load(one_person, image_size=(640, 640)))
    shutil.copy(next(iter(one_person.glob("*.json"))), clips / "b.json")
    into_clips = ("sample", clips, "-o", clips, *FAST, "--no-overview")
    refused = hypopose(*into_clips)
    assert "a.npz would be replaced by its own result" in refused.stderr
    (clips / "a.npz").rename(tmp_path / "a.npz")
    assert "1 results written, 0 inputs failed" in hypopose(*into_clips).stdout
    assert "0 results written, 1 kept" in hypopose(*into_clips).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_text(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"in\xff")
    odd.mkdir()
    save_keypoints(odd / os.fsdecode(b"\xfe.npz"), load(one_person, image_size=(640, 640)))
    (odd / os.fsdecode(b"\xfd.json")).write_text("{")
    formats = [word for name in ("c3d", "trc", "parquet", "json") for word in ("--format", name)]
    done = hypopose("sample", odd, "-o", tmp_path / "out", *FAST, "--no-overview", *formats)
    assert (done.exit_code, "1 results written, 1 inputs failed" in done.stdout) == (1, True)
    written = list((tmp_path / "out").iterdir())
    assert len(written) == 8  # set-ups of OpenSim beside the TRC
    for path in written:
        if path.suffix == ".xml":
            minidom.parse(str(path))
    lone = odd / os.fsdecode(b"\xfe.npz")
    assert hypopose("info", lone).exit_code == 0
    assert hypopose("convert-keypoints", lone, "-o", odd / "k.parquet").exit_code == 0
    refused = hypopose("sample", lone, "-o", odd / "r.npz", *FAST, "--no-overview", "--format",
                       "c3d")  # fmt: skip
    assert (refused.exit_code, "folder whose name is UTF-8" in refused.stderr) == (2, True)

"""``hypopose sample --cluster``: the same bytes as one at a time, and a run that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from hypopose import load
from hypopose.io import save_keypoints

pytest.importorskip("distributed", reason="needs pip install 'hypopose[cluster]'")

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 2, "--no-overview")
CLUSTER = ("--cluster", "local", "--jobs", 2)

DEADLY = '''
import os, signal
from dataclasses import dataclass
from hypopose.samplers import BoneFlips

@dataclass(frozen=True)
class Deadly(BoneFlips):
    """Ends its process when it sees a person left of the image."""

    def sample(self, keypoints, n_hypotheses, noise):
        if float(keypoints.xy.nanmean()) < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().sample(keypoints, n_hypotheses, noise)
'''


@pytest.fixture
def folder(one_person: Path, tmp_path: Path) -> Path:
    inputs = tmp_path / "in"
    inputs.mkdir()
    keypoints = load(one_person, image_size=(640, 640))
    for i in range(6):
        save_keypoints(inputs / f"clip{i}.npz", replace(keypoints, xy=keypoints.xy + i))
    return inputs


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.npz")}


def entries(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]


def test_results_are_those_of_one_machine_and_a_run_goes_on(
    hypopose: Run, folder: Path, tmp_path: Path
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert hypopose("sample", folder, "-o", a, *FAST, "--jobs", 1).exit_code == 0
    done = hypopose("sample", folder, "-o", b, *FAST, *CLUSTER)
    assert done.exit_code == 0, done.output
    assert results(a) == results(b)
    assert len(results(b)) == len(entries(b)) == 6

    keypoints = load(folder / "clip2.npz")
    (b / "clip2.npz").unlink()
    save_keypoints(folder / "clip2.npz", replace(keypoints, xy=keypoints.xy + 1))
    again = hypopose("sample", folder, "-o", b, *FAST, *CLUSTER)
    assert again.exit_code == 0, again.output
    assert "1 results written, 5 kept" in again.output
    assert [entry["input"] for entry in entries(b)][6:] == [str(folder / "clip2.npz")]


def test_a_poisoned_input_fails_alone(
    hypopose: Run, folder: Path, tmp_path: Path, one_person: Path
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    keypoints = load(one_person, image_size=(640, 640))
    save_keypoints(folder / "clip3.npz", replace(keypoints, xy=keypoints.xy - 5000))
    out = tmp_path / "out"
    method = ("--sampler", f"{tmp_path / 'deadly.py'}:Deadly", *FAST[2:])
    done = hypopose("sample", folder, "-o", out, *method, *CLUSTER)
    assert done.exit_code == 1, done.output
    assert "clip3.npz: its process was ended from outside 2 times" in done.output
    assert sorted(results(out)) == [f"clip{i}.npz" for i in (0, 1, 2, 4, 5)]
    states = {str(entry["input"]): entry["state"] for entry in entries(out)}
    assert states[str(folder / "clip3.npz")] == "failed"


def test_one_input_needs_no_cluster(hypopose: Run, folder: Path, tmp_path: Path) -> None:
    done = hypopose("sample", folder / "clip1.npz", "-o", tmp_path / "x.npz", *FAST, *CLUSTER)
    assert (done.exit_code, "there is one input" in done.output) == (2, True)


def test_a_benchmark_on_a_cluster_has_the_same_scores(tmp_path: Path) -> None:
    """In processes of their own: functions with run-time checks of types cannot be sent."""
    command = (sys.executable, "-c", "from hypopose.cli import main; main()")
    method = ("--benchmark", "synthetic", "--sampler", "boneflips", "--n-hypotheses", "4",
              "--limit", "6", "--batch-size", "1")  # fmt: skip
    for name, more in {"a": (), "b": ("--cluster", "local")}.items():
        for words in (
            ("evaluate", "-o", f"{name}.json"),
            ("calibrate", ".", "-o", f"{name}_c.json"),
        ):
            done = subprocess.run(
                [*command, *words, *method, *more],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    a, b = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert a["scores"].keys() == b["scores"].keys()
    for key, score in a["scores"].items():
        told = None if score["value"] is None else pytest.approx(score["value"], rel=1e-9)
        assert b["scores"][key]["value"] == told
    a, b = (json.loads((tmp_path / f"{name}_c.json").read_text()) for name in "ab")
    for x, y in zip(a["coverage"], b["coverage"], strict=True):
        assert x["coverage"] == pytest.approx(y["coverage"])

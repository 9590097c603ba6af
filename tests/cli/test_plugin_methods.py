"""Methods from outside the package in every command that takes one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from hypopose import load_hypotheses
from hypopose.datasets import Benchmark, define, example_motion, to_json

Run = Callable[..., Result]

CODE = '''
from dataclasses import dataclass
from hypopose import Hypotheses, Poses3D, Skeleton, get_skeleton

@dataclass(frozen=True)
class Jitter:
    """Every joint near the root."""

    size: float = 0.1
    skeleton: Skeleton = get_skeleton("h36m17")

    def sample(self, keypoints, n_hypotheses, noise):
        *batch, F, J, _ = keypoints.xy.shape
        joints = self.size * noise((*batch, n_hypotheses, F, J, 3))
        return Hypotheses(joints - joints[..., :1, :], self.skeleton)

def last(hypotheses, keypoints):
    return Poses3D(hypotheses.joints[-1], hypotheses.skeleton)
'''


@pytest.fixture
def jitter(tmp_path: Path) -> Path:
    path = tmp_path / "jitter.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def result(hypopose: Run, one_person: Path, jitter: Path, tmp_path: Path) -> Path:
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, "--sampler", f"{jitter}:Jitter", "--set",
                    "size=0.2", "--n-hypotheses", 6, "--no-overview", "--image-size", 640, 640,
                    "--aggregate", f"{jitter}:last")  # fmt: skip
    assert done.exit_code == 0, done.output
    return out


def test_sample_names_the_plugin(hypopose: Run, result: Path) -> None:
    stored = load_hypotheses(result)
    assert stored.sampler["name"] == "jitter.py:Jitter"
    assert stored.sampler["plugin"].startswith("sha256 ")
    assert (stored.sampler["size"], stored.aggregate) == (0.2, "jitter.py:last")
    shown = hypopose("info", result).output
    assert "jitter.py:Jitter" in shown
    assert "plugin=sha256" in shown


def test_a_changed_plugin_is_not_what_was_used(
    hypopose: Run, one_person: Path, result: Path, jitter: Path
) -> None:
    command = ("sample", one_person, "-o", result, "--sampler", f"{jitter}:Jitter", "--set",
               "size=0.2", "--n-hypotheses", 6, "--no-overview", "--image-size", 640, 640,
               "--aggregate", f"{jitter}:last")  # fmt: skip
    assert "kept" in hypopose(*command).stdout
    jitter.write_text(CODE.replace("[-1]", "[0]"))
    changed = hypopose(*command)
    assert changed.exit_code == 2
    assert "sampler.plugin sha256" in changed.stderr
    assert "plugins" in changed.stderr


def test_aggregate_and_report(hypopose: Run, result: Path, jitter: Path, tmp_path: Path) -> None:
    out = tmp_path / "last.npz"
    done = hypopose("aggregate", result, "-o", out, "--aggregate", f"{jitter}:last")
    assert done.exit_code == 0, done.output
    stored = load_hypotheses(out)
    assert np.array_equal(stored.pose.joints, stored.hypotheses.joints[-1])
    page = tmp_path / "report.html"
    done = hypopose("report", result, "-o", page)
    assert done.exit_code == 0, done.output
    assert "jitter.py:Jitter" in page.read_text()


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    clips = [example_motion(n).numpy() for n in (30, 40)]
    np.savez(
        tmp_path / "walks.npz",
        joints=np.concatenate([np.round(c / 0.00025) for c in clips]).astype(np.int16),
        scale=np.float32(0.00025),
        fps=np.float32(50),
        start=np.array([0, 30]),
        length=np.array([30, 40], np.int32),
        name=np.array(["a", "b"]),
        subject=np.array(["s"] * 2),
        action=np.array(["walk"] * 2),
        license=np.array(["CC0"] * 2),
        split=np.array(["train", "test"]),
    )
    draft = Benchmark("tiny", "Walks.", ("walks",), "test", seed=1, window=20)
    path = tmp_path / "tiny.json"
    path.write_text(to_json(define(draft, tmp_path)))
    return path


def test_evaluate_and_calibrate_on_a_benchmark(
    hypopose: Run, benchmark: Path, jitter: Path, tmp_path: Path
) -> None:
    sampling = ("--benchmark", benchmark, "--sampler", f"{jitter}:Jitter", "--n-hypotheses", 5)
    done = hypopose("evaluate", "--data", tmp_path, *sampling, "-o", tmp_path / "e.json")
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "e.json").read_text())
    assert data["sampler"]["name"] == "jitter.py:Jitter"
    assert data["sampler"]["plugin"].startswith("sha256 ")
    done = hypopose("calibrate", tmp_path, *sampling, "-o", tmp_path / "c.json")
    assert done.exit_code == 0, done.output
    assert "jitter.py:Jitter" in (tmp_path / "c.json").read_text()


def test_an_entry_point(
    hypopose: Run,
    one_person: Path,
    jitter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jitter.rename(tmp_path / "hypo_jitter.py")
    info = tmp_path / "hypo_jitter-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hypo-jitter\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(
        "[hypopose.samplers]\njitter = hypo_jitter:Jitter\n"
        "[hypopose.aggregators]\nlast = hypo_jitter:last\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, "--sampler", "jitter", "--aggregate", "last",
                    "--n-hypotheses", 2, "--no-overview", "--image-size", 640, 640)  # fmt: skip
    assert done.exit_code == 0, done.output
    stored = load_hypotheses(out)
    assert (stored.sampler["name"], stored.aggregate) == ("jitter", "last")
    assert stored.sampler["plugin"] == "hypo-jitter 3.1"
    wrong = hypopose("sample", one_person, "-o", tmp_path / "b.npz", "--sampler", "jiter")
    assert wrong.exit_code == 2
    assert "jitter, or name your own" in wrong.stderr

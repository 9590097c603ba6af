"""``hypopose adapt``: files in, weights or a reason out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from tiny_generator import save_generator

from hypopose.adaptation import adapt_run, sources
from hypopose.datasets import example_motion
from hypopose.networks import RefinedNetwork, load_network

Run = Callable[..., Result]
DATA = Path(__file__).parents[2] / "examples" / "data" / "two_cameras"
VIEWS = (DATA / "front.csv", DATA / "side.csv")
QUICK = ("--n-frames", 54, "--set", "batch_frames=27", "--set", "builds=false")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny generator of random weights."""
    monkeypatch.setattr(sources, "MOST_HELD_OUT", 2)
    monkeypatch.setattr(adapt_run, "MOST_JUDGED", 4)
    return save_generator(tmp_path / "tiny")


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """The built-in walk, to train on."""
    path = tmp_path / "walks.npz"
    joints = (example_motion(60).numpy() / 0.00025).round().astype(np.int16)
    one = {"start": [0], "length": [60], "name": ["a"], "action": ["walk"], "split": ["train"]}
    np.savez(path, joints=joints, scale=0.00025, fps=25, **{k: np.array(v) for k, v in one.items()})
    return path


def given(weights: Path, out: Path) -> tuple[Any, ...]:
    return ("-o", out, "--weights", weights, *QUICK)


def test_views_of_a_rig_label_each_other(
    hypopose: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: "")
    done = hypopose("adapt", *VIEWS, *given(weights, tmp_path / "out"), "--views",
                    DATA / "rig.json", "--set", "aligned=0", "--set", "teacher=0")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "2 recordings" in done.output
    assert "other_view" in done.output
    assert (tmp_path / "out" / "model.safetensors").exists()
    again = hypopose("adapt", *VIEWS, *given(weights, tmp_path / "out"))
    assert again.exit_code == 2
    assert "--force" in again.output


def test_it_says_so_if_nothing_improved(
    hypopose: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: "hidden became worse")
    done = hypopose("adapt", VIEWS[0], *given(weights, tmp_path / "out"), "--fov", 60)
    assert done.exit_code == 1, done.output
    assert "Nothing is written: hidden became worse" in done.output
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.adapting").exists()


@pytest.mark.parametrize(
    ("more", "cure"),
    [
        (("--offset", "side", 3), "--views RIG"),
        (("--views", DATA / "rig.json", "--focal", 900), "leave --camera, --focal and --fov out"),
        (("--views", DATA / "rig.json", "--name", "a", "--name", "b"), "--name once for each"),
        (("--set", "speed=3"), "speed"),
        (("--height", 9), "stature"),
        (("--focal", 900, "--fov", 50), "contradict"),
    ],
)
def test_mistakes_are_one_line_with_a_cure(
    hypopose: Run, weights: Path, tmp_path: Path, more: tuple[Any, ...], cure: str
) -> None:
    done = hypopose("adapt", *VIEWS, *given(weights, tmp_path / "out"), *more)
    assert done.exit_code == 2
    assert cure in done.output
    assert done.output.strip().count("\n") == 0


def test_a_training_run_learns_from_a_target_and_goes_on(
    hypopose: Run, weights: Path, tmp_path: Path, shard: Path
) -> None:
    run = tmp_path / "run"
    done = hypopose(
        "train", run, "--config", weights / "training.json", "--set", f'shards=["{shard}"]',
        "--start", weights, "--target", VIEWS[0], "--target", VIEWS[1], "--views",
        DATA / "rig.json", "--n-frames", 54, "--set", "batch_frames=27", "--set", "builds=false",
        "--set", "low_rank=2", "--set", "augmented=0.2", "--set", "lengths=[9]",
        "--set", "length_shares=[1]", "--set", "refinement=0.5",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    kept = json.loads((run / "config.json").read_text())["target"]
    assert [Path(path).name for path in kept["keypoints"]] == ["front.csv", "side.csv"]
    written = json.loads((run / "weights" / "training.json").read_text())["target"]
    assert written["keypoints"] == ["front.csv", "side.csv"]
    assert written["rig"] == "rig.json"
    assert isinstance(load_network(run / "weights"), RefinedNetwork)
    more = hypopose("train", run, "--n-frames", 81)  # reads the same files
    assert more.exit_code == 0, more.output

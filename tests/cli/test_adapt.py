"""``hypopose adapt``: files in, weights or a reason out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from hypopose.adaptation import running, sources
from hypopose.networks.pretrained import save_weights
from hypopose.training import TrainConfig
from hypopose.training.new_network import new_network

Run = Callable[..., Result]
DATA = Path(__file__).parents[2] / "examples" / "data" / "two_cameras"
VIEWS = (DATA / "front.csv", DATA / "side.csv")
QUICK = ("--n-frames", 54, "--set", "batch_frames=27", "--set", "builds=false")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny generator of random weights."""
    monkeypatch.setattr(sources, "MOST_HELD_OUT", 2)
    monkeypatch.setattr(running, "MOST_JUDGED", 4)
    config = TrainConfig.from_options(
        shards=("walks.npz",), width=16, n_layers=1, n_heads=2, n_latent=48,
        network_options={"on_rays": True, "one_step": True}, objective="energy", flicker=0.0,
        lift_share=0.0, one_step_share=1.0, lengths=(9, 27), length_shares=(0.5, 0.5),
    )  # fmt: skip
    folder = tmp_path / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    network = new_network(config)
    network.save_config(folder)
    save_weights(network.state_dict(), folder)
    (folder / "training.json").write_text(config.to_json())
    (folder / "sampler.json").write_text(json.dumps({"sampler": "distributional", "n_steps": 1}))
    return folder


def given(weights: Path, out: Path) -> tuple[Any, ...]:
    return ("-o", out, "--weights", weights, *QUICK)


def test_views_of_a_rig_label_each_other(
    hypopose: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "has_improved", lambda changes: True)
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
    monkeypatch.setattr(running, "has_improved", lambda changes: False)
    done = hypopose("adapt", VIEWS[0], *given(weights, tmp_path / "out"), "--fov", 60)
    assert done.exit_code == 1, done.output
    assert "Nothing improved" in done.output
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

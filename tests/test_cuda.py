"""What has ``device=`` runs on a GPU and agrees with the processor; skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import hypopose
from hypopose.cli import main
from hypopose.diffusion import seeded_noise
from hypopose.io import load_hypotheses, save_keypoints
from hypopose.samplers import SAMPLERS
from hypopose.training import TrainConfig, Trainer
from hypopose.types import Keypoints2D

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]

DEVICE = "cuda"
TOLERANCE_M = {"float32": 1e-3, "bfloat16": 2e-2}
"""Largest distance of a joint from the processor's; TensorFloat is off by default in torch."""

WITH_WEIGHTS = ("d3dp", "diffpose", "distributional", "lifter", "platypose")


@pytest.fixture(scope="module")
def walk() -> Keypoints2D:
    keypoints, _ = hypopose.datasets.example_pair(27)
    return hypopose.prepare(keypoints)


def drawn(name: str, keypoints: Keypoints2D, device: str, **options: Any) -> torch.Tensor:
    sampler = hypopose.make_sampler(name, device=device, **options)
    return sampler.sample(keypoints, 2, seeded_noise(0)).joints


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_samplers_agree_with_the_processor(name: str, walk: Keypoints2D) -> None:
    assert name in SAMPLERS
    there, here = drawn(name, walk, DEVICE), drawn(name, walk, "cpu")
    assert there.device.type == "cpu"
    assert (there - here).norm(dim=-1).max() < TOLERANCE_M["float32"]


def test_half_bits_stay_close(walk: Keypoints2D) -> None:
    there = drawn("distributional", walk, DEVICE, precision="bfloat16")
    here = drawn("distributional", walk, "cpu")
    assert (there - here).norm(dim=-1).mean() < TOLERANCE_M["bfloat16"]


def test_the_command_writes_the_same_poses(walk: Keypoints2D, tmp_path: Path) -> None:
    save_keypoints(tmp_path / "walk.npz", walk)
    found = {}
    for device in ("cpu", DEVICE):
        out = tmp_path / f"{device}.npz"
        words = ["sample", str(tmp_path / "walk.npz"), "-o", str(out), "--device", device]
        told = CliRunner().invoke(main, [*words, "--no-overview", "--n-hypotheses", "2"])
        assert told.exit_code == 0, told.output
        found[device] = load_hypotheses(out).hypotheses.joints
    np.testing.assert_allclose(found[DEVICE], found["cpu"], atol=TOLERANCE_M["float32"])


def test_a_network_is_trained_there(shared: Path) -> None:
    motion = shared / "data" / "motion" / "procedural_seated.npz"
    config = TrainConfig.from_options(
        shards=(str(motion),), n_frames=6000, device=DEVICE, batch_frames=600, width=32, n_layers=1
    )
    trainer = Trainer(config)
    first = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    told = [trainer.step() for _ in range(2)]
    assert all(np.isfinite(value) for step in told for value in step.values())
    after = trainer.network.state_dict()
    assert after["to_pose.weight"].device.type == DEVICE
    assert any(not torch.equal(first[name], after[name]) for name in first)

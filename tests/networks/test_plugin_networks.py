"""A network of another package: one file and one entry point, then it loads, samples and saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hypopose
from hypopose.errors import CheckpointError
from hypopose.networks import load_network

CODE = '''
import torch
from hypopose.networks import NetworkInfo, PretrainedNetwork
from hypopose.networks.recorded_config import recorded


class Shrinking(PretrainedNetwork):
    """Predicts the noisy pose, a little smaller."""

    @recorded
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.full((width,), 0.5))

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("screen", None, uses_confidence=True)

    def forward(self, x_t, keypoints, t=None, confidence=None, mask=None, context=None):
        return x_t * self.gain.mean()
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    (tmp_path / "shrinking_pose.py").write_text(CODE)
    folder = tmp_path / "shrinking_pose-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: shrinking_pose\nVersion: 0.1\n")
    points = "[hypopose.networks]\nShrinking = shrinking_pose:Shrinking\n"
    (folder / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    from shrinking_pose import Shrinking  # type: ignore[import-not-found]

    return Shrinking  # type: ignore[no-any-return]


def test_a_network_of_another_package_loads_and_samples(
    installed: type[Any], tmp_path: Path
) -> None:
    installed(width=8).save_pretrained(tmp_path / "weights")
    network = load_network(tmp_path / "weights")
    assert type(network) is installed
    assert network.config.width == 8
    keypoints, _ = hypopose.datasets.example_pair()
    drawn = hypopose.sample(
        keypoints, sampler="d3dp", weights=tmp_path / "weights", n_hypotheses=2, n_steps=2
    )
    assert drawn.joints.shape[-2:] == (17, 3)


def test_its_config_is_checked_like_ours(installed: type[Any], tmp_path: Path) -> None:
    installed(width=8).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for width in ("wide", 10**9, 4):
        (tmp_path / "config.json").write_text(json.dumps({**config, "width": width}))
        with pytest.raises(CheckpointError, match=r"config\.json|does not fit Shrinking"):
            load_network(tmp_path)


def test_names_out_of_a_folder_run_no_code(installed: type[Any], tmp_path: Path) -> None:
    installed().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for name in ("shrinking_pose:Shrinking", "./shrinking_pose.py:Shrinking", "os:system"):
        (tmp_path / "config.json").write_text(json.dumps({**config, "_class_name": name}))
        with pytest.raises(CheckpointError, match="names the network class"):
            load_network(tmp_path)

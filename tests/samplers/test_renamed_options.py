"""Files of earlier versions: former names of options and methods are still read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import hypopose
from hypopose.networks.load import BUNDLED
from hypopose.samplers import Lifter, Platypose, ReleasedPlatypose


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    def copy(name: str, advice: dict[str, Any]) -> Path:
        shutil.copytree(BUNDLED / name, tmp_path / name)
        (tmp_path / name / "sampler.json").write_text(json.dumps(advice))
        return tmp_path / name

    return copy


def test_former_names_in_sampler_json_are_read(folder: Any) -> None:
    weights = folder("lifter-frame-small", {"sampler": "lifter", "kinship": 0.4, "flip": False})
    sampler = hypopose.make_sampler(weights=weights)
    assert isinstance(sampler, Lifter)
    assert sampler.parent_correlation == 0.4


@pytest.mark.parametrize(
    ("mode", "method"), [("posterior", Platypose), ("reference", ReleasedPlatypose)]
)
def test_a_former_mode_is_a_sampler(folder: Any, mode: str, method: type) -> None:
    advice = {"sampler": "platypose", "mode": mode, "n_steps": 7, "eta": 0.0}
    weights = folder("platypose-prior-small", advice)
    options: dict[str, Any] = {}
    if method is ReleasedPlatypose:
        options["root_world"] = hypopose.datasets.example_pair()[1].joints[:, 0]
    sampler: Any = hypopose.make_sampler(weights=weights, **options)
    assert type(sampler) is method
    assert sampler.n_steps == 7


def test_former_options_are_taken_from_python() -> None:
    sampler: Any = hypopose.make_sampler("distributional", flicker=0.5)
    assert sampler.frame_noise_scale == 0.5


def test_a_short_window_needs_no_overlap() -> None:
    sampler: Any = hypopose.make_sampler(window=1)
    assert (sampler.window, sampler.overlap) == (1, None)
    assert hypopose.make_sampler(window=9).overlap == 6  # type: ignore[attr-defined]
    keypoints, _ = hypopose.datasets.example_pair()
    drawn = hypopose.sample(keypoints, sampler=sampler, n_hypotheses=2)
    assert drawn.joints.shape[-3] == keypoints.n_frames

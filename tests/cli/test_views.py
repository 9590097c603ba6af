from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from hypopose import load_hypotheses
from hypopose.cameras import cam_to_world, project, world_to_cam
from hypopose.io import load, load_camera

Run = Callable[..., Result]
DATA = Path(__file__).parents[2] / "examples" / "data" / "two_cameras"
RIG = f"{DATA / 'rig.json'}:"
FAST = ("--sampler", "platypose", "--n-hypotheses", 2, "--n-steps", 4, "--no-overview")
ONE = (DATA / "front.csv", "--camera", f"{RIG}front")
TWO = (*ONE, "--view", DATA / "side.csv", f"{RIG}side")


def side_error_px(path: Path) -> float:
    """How far hypotheses land from what the second camera saw."""
    result = load_hypotheses(path)
    front, side = load_camera(DATA / "rig.json", "front"), load_camera(DATA / "rig.json", "side")
    assert result.hypotheses.root is not None
    joints = result.hypotheses.joints + result.hypotheses.root[..., None, :]
    seen = load(DATA / "side.csv").xy
    px = torch.stack([project(world_to_cam(cam_to_world(h, front), side), side) for h in joints])
    return float((px - seen).norm(dim=-1).mean())


def test_a_second_camera_pins_down_the_depth(hypopose: Run, tmp_path: Path) -> None:
    for name, views in (("one", ONE), ("two", TWO)):
        done = hypopose("sample", *views, "-o", tmp_path / f"{name}.npz", *FAST)
        assert done.exit_code == 0, done.output
    assert side_error_px(tmp_path / "two.npz") < 10
    assert side_error_px(tmp_path / "one.npz") > 20


def test_the_same_views_are_kept_and_others_are_told_apart(hypopose: Run, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "two.npz", *FAST)
    for _ in range(2):
        done = hypopose("sample", *TWO, *out)
        assert done.exit_code == 0, done.output
    assert "kept" in done.stdout
    other = hypopose("sample", *ONE, "--view", DATA / "front.csv", f"{RIG}side", *out)
    assert other.exit_code == 2
    assert "the view files has changed" in other.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*TWO, "--sampler", "d3dp"), "--sampler platypose"),
        ((DATA / "front.csv", *TWO[3:], "--sampler", "platypose"), "add --camera"),
        ((DATA / "side.csv", *TWO, "--sampler", "platypose"), "one input"),
        ((*ONE, "--view", DATA / "side.csv", RIG[:-1], "--sampler", "platypose"), "Say which"),
    ],
)
def test_a_view_that_cannot_be_read_names_the_cure(
    hypopose: Run, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    done = hypopose("sample", *arguments, "-o", tmp_path / "out", "--n-hypotheses", 2)
    assert done.exit_code != 0
    assert words in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()

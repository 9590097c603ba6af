"""``hypopose mesh``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result

import hypopose as package
from hypopose.bodies.example import example_arrays

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keypoints, _ = package.datasets.example_pair(5)
    path = tmp_path_factory.mktemp("mesh") / "walk.npz"
    package.save_result(path, package.estimate(keypoints, sampler="boneflips", n_hypotheses=3))
    return path


def test_writes_surfaces_and_says_how_near_they_are(
    hypopose: Run, drawn: Path, tmp_path: Path
) -> None:
    out, picture = tmp_path / "walk.glb", tmp_path / "walk.png"
    done = hypopose("mesh", drawn, "-o", out, "--picture", picture)
    assert done.exit_code == 0, done.output
    assert "5 frames, 3 hypotheses" in done.output
    assert "joint error" in done.output
    assert "y up" in done.output
    assert out.read_bytes()[:4] == b"glTF"
    assert picture.exists()
    again = hypopose("mesh", drawn, "-o", out)
    assert again.exit_code == 2
    assert "--force" in again.output


def test_bodies_motions_and_frames(hypopose: Run, drawn: Path, tmp_path: Path) -> None:
    arrays = example_arrays()
    np.savez(tmp_path / "mine.npz", **arrays)
    out = tmp_path / "out.npz"
    words = ("mesh", drawn, "-o", out, "--body", tmp_path / "mine.npz", "--motion", "all")
    done = hypopose(*words, "--frame", 2, "--shape", "hypothesis")
    assert done.exit_code == 0, done.output
    assert "y down" in done.output
    with np.load(out) as stored:
        assert stored["vertices"].shape == (4, 1, 96, 3)
    done = hypopose("mesh", drawn, "-o", tmp_path / "one.ply", "--motion", 1, "--up", "z")
    assert done.exit_code == 0, done.output
    assert "z up" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "a.obj"), ".glb, .ply, .npz"),
        (("-o", "a.glb", "--up", "z"), "glTF has y up"),
        (("-o", "a.glb", "--body", "smpl"), "There is no body 'smpl'"),
        (("-o", "a.glb", "--motion", "7"), "There is no hypothesis 7"),
        (("-o", "a.ply", "--frame", "9"), "There is no frame 9"),
        (("-o", "a.glb", "--shape", "frame"), "--shape shared"),
    ],
)
def test_what_it_refuses(
    hypopose: Run, drawn: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    given = ["mesh", drawn, words[0], tmp_path / words[1], *words[2:]]
    done = hypopose(*given)
    assert done.exit_code == 2
    assert said in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / words[1]).exists()


def test_nothing_is_written_where_something_cannot_be(
    hypopose: Run, drawn: Path, tmp_path: Path
) -> None:
    stored = package.io.load_hypotheses(drawn)
    joints = stored.hypotheses.joints.clone()
    joints[:, 2] = torch.nan
    gap = replace(
        stored,
        hypotheses=replace(stored.hypotheses, joints=joints),
        pose=replace(stored.pose, joints=joints.mean(0)),
    )
    package.save_result(tmp_path / "gap.npz", gap)
    joints = torch.full_like(joints, torch.nan)
    none = replace(
        stored,
        hypotheses=replace(stored.hypotheses, joints=joints),
        pose=replace(stored.pose, joints=joints[0]),
    )
    package.save_result(tmp_path / "none.npz", none)
    out, picture = tmp_path / "out.npz", tmp_path / "out.png"
    for words, said in (
        (("gap.npz", "-o", out, "--picture", picture), "could not be placed in frame 2"),
        (("none.npz", "-o", out), "could not be placed in any frame"),
        (("gap.npz", "-o", out, "--picture", out), "give another --picture"),
    ):
        done = hypopose("mesh", tmp_path / words[0], *words[1:])
        assert done.exit_code == 2
        assert said in done.output
        assert not out.exists()
        assert not picture.exists()
    done = hypopose("mesh", tmp_path / "gap.npz", "-o", out, "--frame", 1, "--picture", picture)
    assert done.exit_code == 0, done.output
    assert picture.exists()

"""``hypopose refine`` and ``hypopose sample --refine``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import hypopose
from hypopose.cli import main


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keypoints, _ = hypopose.datasets.example_pair()
    result = hypopose.estimate(keypoints, sampler="lifter", n_hypotheses=5)
    path = tmp_path_factory.mktemp("refine") / "walk.npz"
    hypopose.save_result(path, result)
    return path


def test_writes_a_result_that_reprojects_better(drawn: Path, tmp_path: Path) -> None:
    done = run("refine", drawn, "-o", tmp_path / "out.npz", "--spread", "follow")
    assert done.exit_code == 0, done.output
    words = done.output.split()
    assert float(words[4]) < float(words[1])
    before, after = hypopose.load_hypotheses(drawn), hypopose.load_hypotheses(tmp_path / "out.npz")
    assert after.notes[-1].startswith("refined against the keypoints, root fitted")
    assert not torch.equal(after.pose.joints, before.pose.joints)
    again = run("refine", drawn, "-o", tmp_path / "out.npz")
    assert again.exit_code == 2
    assert "--force" in again.output


def test_a_given_root_is_recorded(drawn: Path, tmp_path: Path) -> None:
    n = hypopose.load_hypotheses(drawn).keypoints.n_frames
    np.save(tmp_path / "root.npy", np.tile([0.0, 0.0, 4.0], (n, 1)))
    given = ("refine", drawn, "-o", tmp_path / "out.npz", "--root", "given")
    assert "root='given' needs" in run(*given).output
    done = run(*given, "--root-file", tmp_path / "root.npy", "--n-steps", 2)
    assert done.exit_code == 0, done.output
    assert "ground truth" in hypopose.load_hypotheses(tmp_path / "out.npz").notes[-1]
    np.save(tmp_path / "short.npy", np.zeros((3, 3)))
    wrong = run("refine", drawn, "-o", tmp_path / "b.npz", "--root-file", tmp_path / "short.npy")
    assert wrong.exit_code == 2
    assert "root positions" in wrong.output


def test_sample_refines_as_it_draws(drawn: Path, tmp_path: Path) -> None:
    keypoints, _ = hypopose.datasets.example_pair()
    np.save(tmp_path / "walk.npy", keypoints.xy.numpy())
    words = ("sample", tmp_path / "walk.npy", "--skeleton", "h36m17", "--image-size", 1000, 1000)
    more = ("--sampler", "boneflips", "--n-hypotheses", 2, "--no-overview", "--refine")
    done = run(*words, *more, "-o", tmp_path / "out.npz")
    assert done.exit_code == 0, done.output
    assert any("refined" in n for n in hypopose.load_hypotheses(tmp_path / "out.npz").notes)
    learned = ("--sampler", "d3dp", "--n-hypotheses", 2, "--no-overview", "--refine",
               "--calibrator", "bundled")  # fmt: skip
    both = run(*words, *learned, "-o", tmp_path / "two.npz")
    assert both.exit_code == 2
    assert "not both" in both.output


def test_the_verb_takes_results_hypotheses_and_poses(drawn: Path) -> None:
    result = hypopose.load_hypotheses(drawn)
    a = hypopose.refine(result, n_steps=3)
    b = hypopose.refine(result.hypotheses, result.keypoints, n_steps=3)
    assert torch.equal(a.hypotheses.joints, b.joints)
    one = hypopose.refine(result.pose, result.keypoints, n_steps=3)
    assert one.joints.shape == result.pose.joints.shape
    with pytest.raises(hypopose.HypoPoseError, match="keypoints"):
        hypopose.refine(result.pose)
    with pytest.raises(hypopose.HypoPoseError, match="option"):
        hypopose.refine(result, color="red")

"""``hypopose evaluate`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hypopose.cli import main
from hypopose.datasets import Benchmark, define, example_motion, to_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lengths = [30, 40, 44]
    clips = [example_motion(n).numpy() for n in lengths]
    np.savez(
        tmp_path / "walks.npz",
        joints=np.concatenate([np.round(c / 0.00025) for c in clips]).astype(np.int16),
        scale=np.float32(0.00025),
        fps=np.float32(50),
        start=np.cumsum([0, *lengths[:-1]]),
        length=np.array(lengths, np.int32),
        name=np.array(["a", "b", "c"]),
        subject=np.array(["s"] * 3),
        action=np.array(["walk", "walk", "stroll"]),
        license=np.array(["CC0"] * 3),
        split=np.array(["train", "test", "test"]),
    )
    draft = Benchmark("tiny", "Walks.", ("walks",), "test", seed=1, window=20)
    (tmp_path / "tiny.json").write_text(to_json(define(draft, tmp_path)))
    return tmp_path


def call(*arguments: object):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


@pytest.mark.parametrize("sampler", ["boneflips", "mean-pose"])
def test_a_benchmark_prints_tables_and_writes_json(folder: Path, sampler: str) -> None:
    out = folder / "out.json"
    result = call(
        "--benchmark", folder / "tiny.json", "--data", folder, "--sampler", sampler,
        "--n-hypotheses", 3, "-o", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "ORACLE" in result.output
    assert "stroll" in result.output
    data = json.loads(out.read_text())
    assert data["sampler"]["name"] == sampler
    assert data["settings"]["n_hypotheses"] == 3
    assert data["scores"]["mpjpe_mean_mm"]["value"] > 0
    assert set(data["per_action"]) == {"walk", "stroll"}
    assert set(data["per_action_95_percent"]) == {"walk", "stroll"}


def test_short_windows_show_seams(folder: Path) -> None:
    result = call(
        "--benchmark", folder / "tiny.json", "--data", folder, "--n-hypotheses", 12,
        "--window", 14, "--limit", 2, "-o", folder / "seams.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    scores = json.loads((folder / "seams.json").read_text())["scores"]
    assert scores["mpjve_seam_mm_per_frame"]["value"] > 0
    assert 0 <= scores["ece_10"]["value"] <= 0.5


def test_any_option_of_the_sampler_can_be_set(folder: Path) -> None:
    single = {}
    for mirror in ("true", "false"):
        result = call(
            "--benchmark", folder / "tiny.json", "--data", folder, "--n-hypotheses", 2,
            "--limit", 1, "--set", f"mirror={mirror}", "-o", folder / f"{mirror}.json",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        data = json.loads((folder / f"{mirror}.json").read_text())
        assert data["sampler"]["mirror"] is (mirror == "true")
        single[mirror] = data["scores"]["mpjpe_single_mm"]["value"]
    assert single["true"] != single["false"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--benchmark NAME"),
        (("--benchmark", "test-clean"), "--data FOLDER"),
        (("--benchmark", "no-such", "--data", "."), "choose one of"),
        (("--benchmark", "test-clean", "--data", "/nowhere"), "cmu_permissive"),
        (("--benchmark", "test-clean", "--data", ".", "--sampler", "magic"), "magic"),
        (
            ("--benchmark", "test-clean", "--data", ".", "--sampler", "mean-pose", "--n-steps", 5),
            "no network",
        ),
        (
            ("--benchmark", "test-clean", "--data", ".", "--sampler", "mean-pose", "--set", "a=1"),
            "no network",
        ),
        (("--benchmark", "test-clean", "--data", ".", "--set", "mirror"), "NAME=VALUE"),
        (("result.npz", "--truth", "truth.npz", "--set", "a=1"), "--set is for --benchmark"),
        (("result.npz",), "--truth FILE"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: tuple[object, ...], says: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_result_file_against_its_truth(tmp_path: Path) -> None:
    import hypopose
    from hypopose.datasets import example_pair

    keypoints, truth = example_pair(10)
    result = hypopose.api.estimate(keypoints, sampler="boneflips", n_hypotheses=4)
    hypopose.api.save_result(tmp_path / "walk.npz", result)
    world = (truth.joints + truth.root[:, None]).numpy()  # the root is subtracted for you
    np.savez(tmp_path / "truth.npz", joints=world)
    np.save(tmp_path / "truth.npy", world)
    for name in ("truth.npz", "truth.npy"):
        out = tmp_path / f"{name}.json"
        told = call(tmp_path / "walk.npz", "--truth", tmp_path / name, "-o", out)
        assert told.exit_code == 0, told.output
        data = json.loads(out.read_text())
        assert 0 < data["oracle_scores"]["mpjpe_oracle_joint_best_mm"] < 300
        assert data["scores"]["mpjpe_jpma_mm"] > 0
        assert "ORACLE" in told.output
    for name, content in (("bad.npz", b"no archive"), ("cut.npz", b"PK\x03\x04cut short")):
        (tmp_path / name).write_bytes(content)
        told = call(tmp_path / "walk.npz", "--truth", tmp_path / name)
        assert told.exit_code == 2
        assert isinstance(told.exception, SystemExit)
        assert name in told.output
    told = call(tmp_path / "walk.npz", "--truth", tmp_path / "truth.npz", "--limit", 3)
    assert told.exit_code == 2
    assert "--limit is for --benchmark" in told.output

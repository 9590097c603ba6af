"""Options that no range refuses, and functions of strangers: one line, and no traceback."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import hypopose
from hypopose.cli import COMMANDS, main
from hypopose.datasets import example_pair
from hypopose.errors import OptionError
from hypopose.io import save_result


def numbers_of(command: click.Command) -> Iterator[click.Parameter]:
    for parameter in command.params:
        if isinstance(parameter.type, click.types.FloatParamType):
            yield parameter
    for child in getattr(command, "commands", {}).values():
        yield from numbers_of(child)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_takes_what_is_no_number(name: str) -> None:
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None
    for parameter in numbers_of(command):
        assert parameter.callback is not None
        with pytest.raises(click.ClickException):
            parameter.callback(context, parameter, math.nan)


def test_what_is_no_number_is_said_in_a_line() -> None:
    done = CliRunner().invoke(main, ["cameras", "a.json", "b.json", "--max-offset", "nan"])
    assert done.exit_code == 2
    assert "nan is not a number" in done.output


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["sample", "a.json", "-o", "b.npz", "--person", "1", "--person", "2"], "--person"),
        (["measure", "a.npz", "-o", "b.csv", "--output", "c.csv"], "--output"),
        (["data", "prepare", "a.bvh", "-o", "b.npz", "-o", "c.npz"], "--output"),
    ],
)
def test_an_option_of_one_value_is_given_once(words: list[str], name: str) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert f"{name} was given 2 times; give it once." in done.output


@pytest.mark.parametrize("words", [["--image-size", "640x480"], ["--image-size=640X480"]])
def test_a_size_may_be_one_word(words: list[str], tmp_path: Path) -> None:
    keypoints, _ = example_pair()
    np.save(tmp_path / "a.npy", keypoints.xy.numpy())
    given = ["info", str(tmp_path / "a.npy"), "--skeleton", "h36m17"]
    done = CliRunner().invoke(main, [*given, *words])
    assert done.exit_code == 0, done.output
    assert "640 x 480 px" in done.output


def test_options_of_many_values_may_be_repeated(result: Path, tmp_path: Path) -> None:
    out = tmp_path / "angles.csv"
    words = ["measure", str(result), "-o", str(out), "--what", "knee_flexion"]
    done = CliRunner().invoke(main, [*words, "--what", "elbow_flexion"])
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert "knee" in text
    assert "elbow" in text


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("result") / "walk.npz"
    keypoints, _ = example_pair()
    save_result(path, hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=2))
    return path


OWN = {
    "raises": "def f(motion):\n    raise KeyError('x')",
    "returns nothing": "def f(motion):\n    return None",
    "returns text": "def f(motion):\n    return 'text'",
    "takes two": "def f(motion, more):\n    return 1.0",
}


@pytest.mark.parametrize("name", OWN)
def test_a_function_of_your_own_that_fails(name: str, result: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN[name])
    out = tmp_path / "out.csv"
    done = CliRunner().invoke(main, ["measure", str(result), "-o", str(out), "--what", f"{own}:f"])
    assert done.exit_code == 2
    assert "failed with" in done.output
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("fps", ["1e308", "1e18", "0", "-5", "inf"])
def test_a_rate_of_no_camera(fps: str, result: Path, tmp_path: Path) -> None:
    words = ["measure", str(result), "-o", str(tmp_path / "out.csv"), "--what", "gait"]
    done = CliRunner().invoke(main, [*words, "--fps", fps])
    assert done.exit_code == 2
    assert "fps" in done.output


@pytest.mark.parametrize("n", [10**9, 10**20])
def test_hypotheses_beyond_the_memory_are_refused_at_once(n: int) -> None:
    keypoints, _ = example_pair()
    with pytest.raises(OptionError, match=r"take about .* GiB.*draw fewer"):
        hypopose.sample(keypoints, n_hypotheses=n, sampler="boneflips")


def test_a_run_that_does_not_begin_leaves_no_folder(result: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = CliRunner().invoke(main, ["train", str(run), "--shard", str(result), "--no-compile"])
    assert done.exit_code == 2
    assert "is not a motion shard" in done.output
    assert not run.exists()

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from hypopose import load_hypotheses
from hypopose.cli import COMMANDS, CommandError, LazyGroup, main

Run = Callable[..., Result]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(hypopose: Run, name: str) -> None:
    done = hypopose(name, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_help_lists_every_command(hypopose: Run) -> None:
    output = hypopose("--help").output
    assert all(name in output for name in COMMANDS)


def test_unknown_command(hypopose: Run) -> None:
    assert hypopose("dance").exit_code == 2


def test_system_errors_are_one_line() -> None:
    @click.group(cls=LazyGroup)
    def group() -> None: ...

    def fail(ctx: click.Context, name: str) -> click.Command:
        @click.command()
        def command() -> None:
            Path("/nowhere/at/all").read_text()

        return command

    group.get_command = fail  # type: ignore[method-assign, assignment]
    done = CliRunner().invoke(group, ["sample"])
    assert done.exit_code == CommandError.exit_code
    assert done.stderr == "Error: /nowhere/at/all: No such file or directory.\n"


def test_info_of_keypoints(hypopose: Run, two_people: Path) -> None:
    done = hypopose("info", two_people)
    assert done.exit_code == 0
    assert "people      2" in done.output


def test_info_of_a_result(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    hypopose("sample", one_person, "-o", out, "--sampler", "boneflips", "--n-hypotheses", 2,
             "--no-overview", "--image-size", 640, 640)  # fmt: skip
    done = hypopose("info", out)
    assert done.exit_code == 0
    for words in ("hypotheses  2", "boneflips", "camera      assumed", "pelvis"):
        assert words in done.output


def test_info_of_nothing(hypopose: Run, tmp_path: Path) -> None:
    done = hypopose("info", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")


def test_aggregate_again(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    out, mean = tmp_path / "out.npz", tmp_path / "mean.npz"
    hypopose("sample", one_person, "-o", out, "--sampler", "boneflips", "--n-hypotheses", 4,
             "--no-overview", "--image-size", 640, 640)  # fmt: skip
    done = hypopose("aggregate", out, "--method", "mean", "-o", mean)
    assert done.exit_code == 0, done.output
    result = load_hypotheses(mean)
    assert result.aggregate == "mean"
    expected = result.hypotheses.joints.mean(0)
    assert (result.pose.joints - expected).nan_to_num().abs().max() < 1e-6


@pytest.mark.parametrize("options", [("-o", "out.txt"), ("-o", "out.npz", "--method", "magic")])
def test_aggregate_refuses(
    hypopose: Run, one_person: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    out = tmp_path / "first.npz"
    hypopose("sample", one_person, "-o", out, "--sampler", "boneflips", "--n-hypotheses", 2,
             "--no-overview", "--image-size", 640, 640)  # fmt: skip
    options = (options[0], str(tmp_path / options[1]), *options[2:])
    done = hypopose("aggregate", out, *options)
    assert done.exit_code == 2
    assert not (tmp_path / options[1]).exists()


def test_main_is_the_group() -> None:
    assert isinstance(main, LazyGroup)

"""Commands agree: shared options look alike everywhere, former names work, examples run."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import hypopose as hp
from hypopose.api import calibrator_beside
from hypopose.calibration import load_calibrator, save_calibrator
from hypopose.cli import COMMANDS, main
from hypopose.cli.options import OPTIONS
from hypopose.datasets import example_pair
from hypopose.io import (
    CameraRig,
    export_result,
    load_rig,
    save_calibration,
    save_people,
    save_rig,
)
from hypopose.types import Keypoints2D

Run = Callable[..., Result]
TWO = Path(__file__).parents[2] / "examples" / "data" / "two_cameras"
APART = {"data", "train"}
"""Commands whose options mean other things: a group, and the options of training."""


def commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        yield name, command


@pytest.mark.parametrize(("name", "command"), [(n, c) for n, c in commands() if n not in APART])
def test_shared_options_come_in_the_tables_order(name: str, command: click.Command) -> None:
    mine = [p.name for p in command.params if isinstance(p, click.Option) and p.name in OPTIONS]
    assert mine == [option for option in OPTIONS if option in mine]


def test_one_word_for_one_thing() -> None:
    """An option of a name has one spelling and one form in every command."""
    seen: dict[str, tuple[object, ...]] = {}
    for name, command in commands():
        if name in APART:
            continue
        for option in command.params:
            if isinstance(option, click.Option) and option.name in OPTIONS:
                form = (option.opts, option.metavar)
                assert seen.setdefault(option.name, form) == form, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_line_and_an_example(hypopose: Run, name: str) -> None:
    help_text = " ".join(hypopose("--help").output.split())
    assert COMMANDS[name].help in help_text
    assert COMMANDS[name].example in help_text
    assert COMMANDS[name].example.startswith(f"hypopose {name} ")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples speak of."""
    folder = tmp_path_factory.mktemp("workshop")
    keypoints, truth = example_pair()
    xy = keypoints.xy[:30].clone()
    xy[8:12, 16] = float("nan")
    person = replace(keypoints, xy=xy, confidence=xy[..., 0].isfinite().float(), covariance=None)
    (folder / "clips").mkdir()
    for path in ("walk.json", "clip.json", "clips/a.json", "clips/b.json"):
        save_people(folder / path, {"0": person})
    for path in ("walk.npz", "walk_person0.npz", "walk_person1.npz"):
        hp.save_result(folder / path, hp.estimate(person, n_hypotheses=5))
    assert truth.root is not None
    np.save(folder / "truth.npy", (truth.joints + truth.root[:, None])[:30].numpy())
    (folder / "results" / "truth").mkdir(parents=True)
    shutil.copy(folder / "walk.npz", folder / "results")
    shutil.copy(folder / "truth.npy", folder / "results" / "truth" / "walk.npy")
    save_calibrator(load_calibrator(calibrator_beside(sampler="d3dp")), folder / "calibrator.json")
    _write_motion(folder, hp.load_hypotheses(folder / "walk.npz"))
    (folder / "mine.py").write_text(
        "def reach_m(motion):\n"
        "    return (motion.joints[..., 13, :] - motion.joints[..., 11, :]).norm(dim=-1)\n"
    )
    rig = load_rig(TWO / "rig.json")
    save_rig(folder / "rig.json", rig)
    save_calibration(folder / "lenses.toml", rig)
    front_and_side = [rig.cameras[name] for name in ("front", "side")]
    named = dict(zip(("cam1", "cam2"), front_and_side, strict=True))
    save_calibration(folder / "Calib.toml", CameraRig(named))
    for view, name in (("front", "cam1"), ("side", "cam2")):
        shutil.copy(TWO / f"{view}.csv", folder / f"{name}.csv")
        save_people(folder / f"{view}.json", hp.load_people(TWO / f"{view}.csv"))
    _write_masks(folder / "walk-masks", person)
    (folder / "jitter.py").write_text("from hypopose.samplers import BoneFlips as Jitter\n")
    return folder


def _write_masks(folder: Path, person: Keypoints2D) -> None:
    """A box around somebody in every fifth frame."""
    folder.mkdir()
    for f in range(0, person.n_frames, 5):
        xy = person.xy[f][person.detected[f]].int()
        (left, top), (right, bottom) = xy.amin(0).tolist(), xy.amax(0).tolist()
        mask = np.zeros((1000, 1000), np.uint8)
        mask[top : bottom + 1, left : right + 1] = 255
        Image.fromarray(mask).save(folder / f"walk_{f:03d}.png")


def _write_motion(folder: Path, result: Any) -> None:
    """3D motion of other programs, and a rig that is placed in its axes."""
    for name in ("walk.trc", "markers.trc", "a.bvh", "b.bvh"):
        export_result(folder / name, result)
    places = (result.pose.joints + result.pose.root[:, None]).numpy()
    np.save(folder / "points.npy", 1000 * places[..., [0, 2, 1]] * [1, 1, -1])
    (folder / "calibration.toml").write_text(
        '[cam01]\nname = "cam01"\nsize = [1000, 1000]\ndistortions = [0, 0, 0, 0]\n'
        "matrix = [[1100, 0, 500], [0, 1100, 500], [0, 0, 1]]\n"
        "rotation = [1.5707963, 0, 0]\ntranslation = [0, 1, 4]\n"
    )


def examples() -> list[str]:
    lines = [line.strip() for name, command in commands() if name not in APART
             for line in (command.epilog or "").splitlines()]  # fmt: skip
    apart = (
        ".onnx",
        "--benchmark",
        "hypopose report",
        "hypopose convert ",
        "camera:",
        ".mp4",
        "--protocol",
        "--body anny",
        "calibrate-weights",
        "hypopose adapt ",
        " - ",
    )
    return [line for line in lines if line.startswith("hypopose ")
            and not any(word in line for word in apart)]  # fmt: skip


@pytest.mark.parametrize("line", examples())
def test_examples_of_the_help_run(
    line: str, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(line)[1:]
    monkeypatch.chdir(workshop)
    for i, word in enumerate(words):
        if words[i - 1] == "-o":
            words[i] = str(tmp_path / word)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output


def test_every_help_ends_with_examples(hypopose: Run) -> None:
    for name, _ in commands():
        if name not in APART:
            assert re.search(
                rf"Examples:\n( +hypopose {name} .*\n?)+$", hypopose(name, "--help").output
            )


@pytest.fixture
def walk(workshop: Path, tmp_path: Path) -> tuple[Path, Path]:
    return workshop / "walk.json", tmp_path / "out.npz"


def test_former_names_still_work_with_a_warning(
    hypopose: Run, workshop: Path, tmp_path: Path
) -> None:
    out = tmp_path / "median.npz"
    done = hypopose("aggregate", workshop / "walk.npz", "-o", out, "--method", "median")
    assert done.exit_code == 0, done.output
    assert done.stderr == "Warning: --method is now --aggregate; the former name goes with 0.2.\n"
    assert hp.load_hypotheses(out).aggregate == "median"


def test_the_former_word_for_bundled_calibrators(hypopose: Run, walk: tuple[Path, Path]) -> None:
    source, out = walk
    done = hypopose("sample", source, "-o", out, "--n-hypotheses", 3, "--no-overview",
                    "--sampler", "d3dp", "--n-steps", 1, "--calibrator", "box")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "--calibrator box is now --calibrator bundled" in done.stderr
    assert hp.load_hypotheses(out).calibrator["file"] == "calibrator.json"


@pytest.mark.parametrize(
    ("words", "skeleton", "warns"),
    [
        (("--to", "coco17"), "coco17", False),
        (("--skeleton", "h36m17", "--to", "h36m17"), "h36m17", False),
        (("--skeleton", "coco17"), "coco17", True),
        (("--from-skeleton", "h36m17", "--skeleton", "coco17"), "coco17", True),
        (("--skeleton=coco17",), "coco17", True),
        (("--from-skeleton=h36m17",), "h36m17", True),
    ],
)
def test_the_skeleton_is_the_inputs(
    hypopose: Run, walk: tuple[Path, Path], words: tuple[str, ...], skeleton: str, warns: bool
) -> None:
    source, out = walk
    done = hypopose("convert-keypoints", source, "-o", out, *words)
    assert done.exit_code == 0, done.output
    assert hp.load(out).skeleton.name == skeleton
    assert ("Warning:" in done.stderr) is warns


def test_an_image_size_in_words_is_told_how_to_write_it(
    hypopose: Run, walk: tuple[Path, Path]
) -> None:
    keypoints, out = walk
    done = hypopose("sample", keypoints, "-o", out, "--image-size", "wide", "1")
    assert done.exit_code == 2
    assert "write --image-size 1920 1080" in " ".join(done.stderr.split())

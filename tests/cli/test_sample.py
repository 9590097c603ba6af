from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from hypopose import load_hypotheses
from hypopose.io import save_camera
from hypopose.types import Camera

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 3)


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_one_person_gives_a_result_and_a_picture(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "walk.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, "--image-size", 640, 640, "--seed", 5)
    assert done.exit_code == 0, done.output
    assert files(out.parent) == ["walk.npz", "walk.png"]
    result = load_hypotheses(out)
    assert len(result.hypotheses) == 3
    assert result.seed == 5
    assert result.sampler["name"] == "boneflips"
    assert result.source == "one"
    assert result.keypoints.camera is not None
    assert result.keypoints.camera.assumed
    assert "camera assumed" in done.stdout


def test_the_default_sampler_runs_with_the_weights_in_the_box(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, "--n-hypotheses", 2,
                    "--image-size", 640, 640, "--no-overview")  # fmt: skip
    assert done.exit_code == 0, done.output
    result = load_hypotheses(out)
    assert result.weights == "distributional-frame-small"
    assert result.sampler["n_steps"] == 1
    assert bool(torch.isfinite(result.hypotheses.joints).all())
    assert not (tmp_path / "out.png").exists()


def test_two_people_give_two_results_with_one_camera(
    hypopose: Run, two_people: Path, tmp_path: Path
) -> None:
    done = hypopose("sample", two_people, "-o", tmp_path / "out.npz", *FAST, "--no-overview",
                    "--skeleton", "body25b")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert files(tmp_path) == ["out_person0.npz", "out_person1.npz"]
    sizes = {load_hypotheses(p).keypoints.image_size for p in tmp_path.glob("*.npz")}
    assert len(sizes) == 1


def test_person_selects(hypopose: Run, two_people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = hypopose("sample", two_people, "-o", out, *FAST, "--no-overview", "--person", "1",
                    "--skeleton", "body25b")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert load_hypotheses(out).person == "1"


@pytest.mark.parametrize("camera", ["focal", "file"])
def test_a_given_camera_is_not_assumed(
    hypopose: Run, one_person: Path, tmp_path: Path, camera: str
) -> None:
    given = Camera(torch.tensor([700.0, 700.0]), torch.tensor([320.0, 320.0]), (640, 640))
    save_camera(tmp_path / "camera.json", given)
    options = {
        "focal": ("--focal", 700, "--image-size", 640, 640),
        "file": ("--camera", tmp_path / "camera.json"),
    }[camera]
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, "--no-overview", *options)
    assert done.exit_code == 0, done.output
    stored = load_hypotheses(out).keypoints.camera
    assert stored is not None
    assert not stored.assumed
    assert stored.focal.tolist() == [700.0, 700.0]
    assert stored.center.tolist() == [320.0, 320.0]


def test_formats(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    options = (*FAST, "--no-overview", "--image-size", 640, 640)
    assert hypopose("sample", one_person, "-o", tmp_path / "a.csv", *options).exit_code == 0
    done = hypopose("sample", one_person, "-o", tmp_path / "b", *options, "--format", "json")
    assert done.exit_code == 0
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * 17 * (3 + 1)
    assert json.loads((tmp_path / "b.json").read_text())["seed"] == 0


def test_set_reaches_the_sampler(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = hypopose("sample", one_person, "-o", out, *FAST, "--no-overview", "--set", "scale=0.9",
                    "--image-size", 640, 640)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert load_hypotheses(out).sampler["scale"] == 0.9


def test_same_seed_same_file_content(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        hypopose("sample", one_person, "-o", tmp_path / f"{name}.npz", *FAST, "--no-overview",
                 "--seed", seed, "--image-size", 640, 640)  # fmt: skip
    a, b, c = (load_hypotheses(tmp_path / f"{n}.npz").hypotheses.joints for n in "abc")
    assert torch.equal(a.nan_to_num(), b.nan_to_num())
    assert not torch.equal(a.nan_to_num(), c.nan_to_num())


def test_a_batch_goes_on_past_a_bad_file(
    hypopose: Run, one_person: Path, two_people: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(one_person, folder / "one")
    shutil.copytree(two_people, folder / "two")
    (folder / "bad.json").write_text("{")
    (folder / "notes.txt").write_text("not an input")
    out = tmp_path / "out"
    done = hypopose("sample", folder, "-o", out, *FAST, "--no-overview", "--skeleton", "body25b")
    assert done.exit_code == 1
    assert files(out) == ["one.npz", "two_person0.npz", "two_person1.npz"]
    assert "bad.json" in done.stderr
    assert done.stderr.count("Error:") == 1
    assert "failed" in done.stdout


def test_a_batch_of_bad_files_exits_with_2_and_writes_nothing(
    hypopose: Run, tmp_path: Path
) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[]")
    out = tmp_path / "out"
    done = hypopose("sample", tmp_path / "a.json", tmp_path / "b.json", "-o", out, *FAST)
    assert done.exit_code == 2
    assert not out.exists()


def test_files_of_the_same_name_do_not_overwrite_each_other(
    hypopose: Run, one_person: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(one_person, tmp_path / name / "clip")
    out = tmp_path / "out"
    done = hypopose("sample", tmp_path / "a", tmp_path / "b", "-o", out, *FAST, "--no-overview",
                    "--image-size", 640, 640)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert files(out) == ["clip.npz", "clip_2.npz"]


BAD = {
    "absent": ("nowhere.json", None, ()),
    "cut short": ("a.json", '{"people": [', ()),
    "empty": ("a.json", "", ()),
    "no people": ("a.json", '{"people": []}', ()),
    "odd numbers": ("a.json", '{"people": [{"pose_keypoints_2d": [1, 2]}]}', ()),
    "unknown sampler": ("a.json", "{}", ("--sampler", "magic")),
    "unknown aggregation": ("a.json", "{}", ("--aggregate", "magic")),
    "no such weights": ("a.json", "{}", ("--sampler", "d3dp", "--weights", "nowhere")),
    "weights for none": ("a.json", "{}", ("--weights", "d3dp-frame-small")),
    "no such device": ("a.json", "{}", ("--sampler", "d3dp", "--device", "abacus")),
    "setting without value": ("a.json", "{}", ("--set", "scale")),
    "unknown setting": ("a.json", "{}", ("--set", "magic=1")),
    "wrong type": ("a.json", "{}", ("--set", "scale=big")),
    "steps of none": ("a.json", "{}", ("--n-steps", 3)),
    "focal without size": ("a.json", "{}", ("--focal", 700)),
    "two cameras": ("a.json", "{}", ("--focal", 700, "--camera", "c.json")),
    "no camera file": ("a.json", "{}", ("--camera", "nowhere.json")),
    "no hypotheses": ("good", None, ("--n-hypotheses", 0)),
    "negative size": ("good", None, ("--image-size", -1, 5)),
    "unknown skeleton": ("good", None, ("--skeleton", "octopus")),
    "wrong skeleton": ("good", None, ("--skeleton", "coco17")),
    "unknown format": ("good", None, ("--input-format", "magic")),
    "no such person": ("good", None, ("--person", "7")),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_one_line_and_nothing_is_written(
    hypopose: Run, one_person: Path, tmp_path: Path, case: str
) -> None:
    name, text, options = BAD[case]
    path = one_person if name == "good" else tmp_path / name
    if text is not None:
        path.write_text(text)
    out = tmp_path / "out"
    sampler = () if "--sampler" in options else ("--sampler", "boneflips")
    done = hypopose("sample", path, "-o", out / "out.npz", *sampler, *options)
    assert done.exit_code == 2, done.output
    lines = done.stderr.strip().splitlines()
    assert len([line for line in lines if line.startswith("Error: ")]) == 1, done.stderr
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.output
    assert not out.exists()


def test_several_inputs_need_a_folder(hypopose: Run, one_person: Path, tmp_path: Path) -> None:
    done = hypopose("sample", one_person, one_person, "-o", tmp_path / "out.npz", *FAST)
    assert done.exit_code == 2
    assert "needs a folder" in done.stderr or "need a folder" in done.stderr


def test_an_empty_folder_is_an_error(hypopose: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = hypopose("sample", tmp_path / "in", "-o", tmp_path / "out", *FAST)
    assert done.exit_code == 2
    assert "neither keypoint files nor videos in the folder" in done.stderr


def test_a_lone_keypoint_gives_a_result_that_says_it_is_empty(
    hypopose: Run, tmp_path: Path
) -> None:
    values = [300, 200, 2, *[0] * 48]
    entry = {"image_id": 3, "category_id": 1, "keypoints": values, "score": 1.0}
    (tmp_path / "one.json").write_text(json.dumps([entry]))
    out = tmp_path / "out.npz"
    done = hypopose("sample", tmp_path / "one.json", "-o", out, *FAST, "--image-size", 640, 480,
                    "--min-joints", 0)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Note: out: no joint could be placed in any frame" in done.stderr
    assert (tmp_path / "out.png").exists()
    assert load_hypotheses(out).hypotheses.joints.isnan().all()

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
    assert "also seen in side.csv by the camera rig.json:side" in hypopose("info", out[1]).stdout
    moved = tmp_path / "moved.csv"
    moved.write_text((DATA / "side.csv").read_text().replace(",0,pelvis,", ",0,pelvis,1"))
    other = hypopose("sample", *ONE, "--view", moved, f"{RIG}side", *out)
    assert other.exit_code == 2
    assert "the view files has changed" in other.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*TWO, "--sampler", "d3dp"), "--sampler platypose"),
        ((DATA / "front.csv", *TWO[3:], "--sampler", "platypose"), "add --camera"),
        ((DATA / "side.csv", *TWO, "--sampler", "platypose"), "one input"),
        ((*ONE, "--view", DATA / "side.csv", RIG[:-1], "--sampler", "platypose"), "Say which"),
        ((*TWO, "--view", DATA / "side.csv", f"{RIG}front"), "side.csv is given twice"),
        ((*ONE, "--view", DATA / "side.csv", f"{RIG}front"), "rig.json:front is given twice"),
        ((*TWO, "--height", "1.7"), "leave out --height"),
        ((*TWO, "--ground"), "leave out --ground"),
        ((*TWO, "--set", "views=[]"), "--view"),
    ],
)
def test_a_view_that_cannot_be_read_names_the_cure(
    hypopose: Run, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    if "--sampler" not in arguments:
        arguments = (*arguments, "--sampler", "platypose")
    done = hypopose("sample", *arguments, "-o", tmp_path / "out", "--n-hypotheses", 2)
    assert done.exit_code != 0
    assert words in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def side_file(path: Path, change: Callable[[list[str]], list[str]]) -> Path:
    """The second camera's keypoints with their rows (frame, person, joint, x, y) changed."""
    rows = (DATA / "side.csv").read_text().splitlines()
    head = [row for row in rows if not row[0].isdigit()]
    body = [change(row.split(",")) for row in rows if row[0].isdigit()]
    path.write_text("\n".join([*head, *(",".join(row) for row in body)]) + "\n")
    return path


def test_frames_numbered_otherwise_are_pointed_out(hypopose: Run, tmp_path: Path) -> None:
    later = side_file(tmp_path / "later.csv", lambda row: [str(int(row[0]) + 5), *row[1:]])
    out = ("-o", tmp_path / "a.npz", *FAST)
    done = hypopose("sample", *ONE, "--view", later, f"{RIG}side", *out)
    assert done.exit_code == 0, done.output
    assert "starts at frame 5" in done.stderr
    assert "starts at frame" not in hypopose("sample", *TWO, "--force", *out).stderr


def test_rates_and_people_have_to_agree(hypopose: Run, tmp_path: Path) -> None:
    fast = tmp_path / "fast.csv"
    fast.write_text((DATA / "side.csv").read_text().replace("# fps: 25", "# fps: 50"))
    out = ("-o", tmp_path / "a.npz", *FAST)
    done = hypopose("sample", *ONE, "--view", fast, f"{RIG}side", *out)
    assert done.exit_code == 2
    assert "25 and 50 Hz" in done.output
    crowd = tmp_path / "crowd.csv"
    other = side_file(tmp_path / "one.csv", lambda row: [row[0], "1", *row[2:]]).read_text()
    rows = [row for row in other.splitlines() if row[0].isdigit()]
    crowd.write_text((DATA / "front.csv").read_text() + "\n".join(rows) + "\n")
    done = hypopose("sample", crowd, *TWO[1:], *out)
    assert done.exit_code == 2
    assert "--person" in done.output
    assert not (tmp_path / "a.npz").exists()
    assert hypopose("sample", crowd, *TWO[1:], "--person", "0", *out).exit_code == 0

"""``hypopose cameras`` and ``hypopose triangulate`` on the dance that two cameras saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from angles import angle_deg
from click.testing import Result

from hypopose import load_hypotheses
from hypopose.io import load, load_cameras, load_rig
from hypopose.types import Camera

Run = Callable[..., Result]
DATA = Path(__file__).parents[2] / "examples" / "data" / "two_cameras"
VIEWS = (DATA / "front.csv", DATA / "side.csv")
TRUTH = DATA / "rig.json"


def relative(cameras: dict[str, Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation from the front camera to the side one."""
    (R1, t1), (R2, t2) = (
        (c.rotation.double().numpy(), c.translation.double().numpy()) for c in cameras.values()
    )
    R = R2 @ R1.T
    return R, t2 - R @ t1


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rig found with measured focal lengths, the side recording 4 frames late."""
    from click.testing import CliRunner

    from hypopose.cli import main

    folder = tmp_path_factory.mktemp("rig")
    lines = VIEWS[1].read_text().splitlines(keepends=True)
    head = [line for line in lines if line.startswith("#") or line.startswith("frame")]
    rows = [line for line in lines if line[0].isdigit() and int(line.split(",")[0]) >= 4]
    late = [f"{int(r.split(',')[0]) - 4},{r.partition(',')[2]}" for r in rows]
    (folder / "side.csv").write_text("".join([*head, *late]))
    (folder / "front.csv").write_text(VIEWS[0].read_text())
    done = CliRunner().invoke(main, [
        "cameras", str(folder / "front.csv"), str(folder / "side.csv"), "-o",
        str(folder / "rig.json"), "--camera", str(TRUTH), "--baseline", "5.0",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    (folder / "said.txt").write_text(done.output)
    return folder


def test_the_rig_is_found_and_said(found: Path) -> None:
    said = (found / "said.txt").read_text()
    for words in ("RMS px", "baseline angles: front–side ", "the baseline of 5 m", "floor at 0"):
        assert words in said
    rig = load_rig(found / "rig.json")
    R, t = relative(dict(rig.cameras))
    true_R, true_t = relative(load_cameras(TRUTH))
    assert angle_deg(R, true_R) < 1.5
    assert angle_deg(t, true_t) < 1.5
    assert np.linalg.norm(t) == pytest.approx(5.0, rel=1e-3)
    assert rig.clocks["side"].offset == pytest.approx(-4, abs=0.3)
    up = rig.cameras["front"].rotation[:, 2] @ load_cameras(TRUTH)["front"].rotation[:, 2]
    assert float(up) > np.cos(np.radians(12))


def test_the_rig_serves_triangulation(hypopose: Run, found: Path, tmp_path: Path) -> None:
    done = hypopose(
        "triangulate", found / "front.csv", found / "side.csv", "--camera", found / "rig.json",
        "-o", tmp_path / "walk.npz", "--format", "csv", "--n-hypotheses", 8,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "walk.csv").is_file()
    result = load_hypotheses(tmp_path / "walk.npz")
    covariance = result.pose.covariance
    assert covariance is not None
    std = result.pose.std
    assert std is not None
    own = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    torch.testing.assert_close(own, std, equal_nan=True)
    assert len(result.hypotheses) == 8
    assert result.pose.joints[6:36].isfinite().float().mean() > 0.98
    assert result.pose.joints[:4].isnan().all()  # the side camera was not filming yet
    assert "reprojection RMS" in hypopose("info", tmp_path / "walk.npz").stdout


def test_known_cameras_bring_the_dance_back(hypopose: Run, tmp_path: Path) -> None:
    out = tmp_path / "dance.npz"
    done = hypopose("triangulate", *VIEWS, "--camera", TRUTH, "-o", out)
    assert done.exit_code == 0, done.output
    result = load_hypotheses(out)
    pose, camera = result.pose, load_cameras(TRUTH)["front"]
    from hypopose.cameras import project

    px = project(pose.joints + pose.root[:, None], camera)
    seen = load(VIEWS[0]).xy
    assert float((px - seen).norm(dim=-1).nanmean()) < 3
    place = [line for line in done.output.splitlines() if "RMS" in line]
    assert len(place) == 1


def test_files_of_the_wrong_cameras_are_told(hypopose: Run, found: Path, tmp_path: Path) -> None:
    """Residuals are larger than those the rig was found with; copies are refused."""
    rig = ("--camera", found / "rig.json", "--name", "front", "--name", "side", "-o")
    done = hypopose("triangulate", *VIEWS, *rig, tmp_path / "a.npz", "--offset", "side", 20)
    assert "check that each file belongs to its camera" in done.output, done.output
    copy = tmp_path / "copy.csv"
    copy.write_text(VIEWS[0].read_text())
    done = hypopose("triangulate", VIEWS[0], copy, *rig, tmp_path / "b.npz")
    assert done.exit_code == 2
    assert "front and side have the same keypoints" in done.output


def test_posteriors_of_both_views_agree_better_than_one(hypopose: Run, tmp_path: Path) -> None:
    pose = {}
    for name, more in (("plain", ()), ("fused", ("--fuse", "--sampler", "boneflips"))):
        done = hypopose("triangulate", *VIEWS, "--camera", TRUTH, "-o", tmp_path / f"{name}.npz",
                        "--n-hypotheses", 16, *more)  # fmt: skip
        assert done.exit_code == 0, done.output
        pose[name] = load_hypotheses(tmp_path / f"{name}.npz")
    alone = hypopose("sample", VIEWS[0], "-o", tmp_path / "alone.npz", "--camera", f"{TRUTH}:front",
                     "--sampler", "boneflips", "--n-hypotheses", 16, "--no-overview")  # fmt: skip
    assert alone.exit_code == 0, alone.output
    truth = pose["plain"].pose.joints
    single = load_hypotheses(tmp_path / "alone.npz").pose.joints
    error = {n: float((x - truth).norm(dim=-1).nanmean())
             for n, x in (("fused", pose["fused"].pose.joints), ("one", single))}  # fmt: skip
    assert error["fused"] < 0.7 * error["one"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cameras", VIEWS[0], "-o", "rig.json"), "two views or more"),
        (("cameras", VIEWS[0], VIEWS[0], "-o", "rig.json"), "is given twice"),
        (("cameras", *VIEWS, "-o", "rig.xml"), "written as .json"),
        (("cameras", *VIEWS, "-o", "rig.json", "--height", 1.7, "--baseline", 3), "give one of"),
        (("cameras", *VIEWS, "-o", "rig.json", "--focal", 900, "--fov", 50), "contradict"),
        (("cameras", *VIEWS, "-o", "rig.json", "--name", "a"), "once for each of the 2 views"),
        (("cameras", *VIEWS, "-o", "rig.json", "--offset", "front", 3), "count from front"),
        (("triangulate", *VIEWS, "--camera", TRUTH, "-o", "a.npz", "--name", "front", "--name",
          "back"), "has no camera 'back'; it has front, side"),
        (("triangulate", *VIEWS, "--camera", TRUTH, "-o", "a.npz", "--sampler", "d3dp"), "--fuse"),
        (("triangulate", *VIEWS, "--camera", TRUTH, "-o", "a.npz", "--max-residual", 0), "pixels"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_line(
    hypopose: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = hypopose(*arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


def test_files_and_cameras_mixed_up_are_noted(hypopose: Run, tmp_path: Path) -> None:
    done = hypopose("triangulate", *VIEWS, "--camera", TRUTH, "-o", tmp_path / "a.npz", "--name",
                    "side", "--name", "front")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "check that each file belongs to its camera" in done.output
    right = hypopose("triangulate", *VIEWS, "--camera", TRUTH, "-o", tmp_path / "b.npz")
    assert "check that" not in right.output


def test_the_same_view_twice_is_refused(hypopose: Run, tmp_path: Path) -> None:
    (tmp_path / "copy.csv").write_text(VIEWS[0].read_text())
    done = hypopose("cameras", VIEWS[0], tmp_path / "copy.csv", "-o", tmp_path / "rig.json")
    assert done.exit_code == 2
    assert "front and copy have the same keypoints" in done.output
    assert not (tmp_path / "rig.json").exists()


def test_further_views_are_put_on_the_first_ones_clock(
    hypopose: Run, found: Path, tmp_path: Path
) -> None:
    """The rig knows that the side recording began 4 frames late."""
    from hypopose.cli.multi_camera import load_views

    options = {
        "view_files": ((found / "side.csv", f"{found / 'rig.json'}:side"),),
        "camera_file": f"{found / 'rig.json'}:front", "sampler": "platypose", "weights": None,
        "input_format": None, "skeleton": None, "fps": None, "image_size": None, "person": None,
        "height": None, "ground": False, "camera_motion": None,
    }  # fmt: skip
    (side,) = load_views(options, [found / "front.csv"])
    whole = load(VIEWS[1])
    assert side.n_frames == whole.n_frames
    assert side.xy[:3].isnan().all()
    off = (side.xy[6:] - whole.xy[6:]).norm(dim=-1)
    assert float(off.nanmedian()) < 3
    assert json.loads((found / "rig.json").read_text())["clocks"]["side"]["n_frames"] == 36

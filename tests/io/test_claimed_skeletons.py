"""A skeleton that a file claims and its points deny is refused with the file's name, by all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from handed_body import make_result

from hypopose.cli import main
from hypopose.errors import FormatError
from hypopose.io import load, load_hypotheses, save_keypoints, save_people, save_result
from hypopose.io.motion_files import load_motion
from hypopose.skeletons import get_skeleton

COCO = get_skeleton("coco17")
XY = np.random.default_rng(0).uniform(100, 400, (4, 12, 2)).round(1)
"""Twelve points a frame."""


def _triples(xy: np.ndarray) -> list[float]:
    return np.column_stack([xy, np.full(len(xy), 0.9)]).ravel().tolist()


def arrays(path: Path) -> Path:
    np.savez(path / "a.npz", xy=XY, skeleton="coco17")
    return path / "a.npz"


def videopose3d(path: Path) -> Path:
    np.savez(
        path / "data_2d_a.npz",
        positions_2d=np.array({"v": {"custom": [XY]}}, dtype=object),
        metadata=np.array({"layout_name": "coco"}, dtype=object),
    )
    return path / "data_2d_a.npz"


def mmpose(path: Path) -> Path:
    people = [{"keypoints": xy.tolist(), "keypoint_scores": [1] * 12} for xy in XY]
    frames = [{"frame_id": f, "instances": [person]} for f, person in enumerate(people)]
    top = {"meta_info": {"dataset_name": "coco"}, "instance_info": frames}
    (path / "a.json").write_text(json.dumps(top))
    return path / "a.json"


def annotations(path: Path) -> Path:
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joint_names)}
    images = [{"id": f, "width": 640, "height": 480} for f in range(4)]
    listed = [{"id": f, "image_id": f, "category_id": 1, "keypoints": _triples(xy)}
              for f, xy in enumerate(XY)]  # fmt: skip
    top = {"images": images, "annotations": listed, "categories": [category]}
    (path / "a.json").write_text(json.dumps(top))
    return path / "a.json"


def tidy(path: Path) -> Path:
    rows = [f"{f},p{j},{x},{y}" for f, xy in enumerate(XY) for j, (x, y) in enumerate(xy)]
    (path / "a.csv").write_text("\n".join(["# skeleton: coco17", "frame,joint,x,y", *rows]))
    return path / "a.csv"


def _forged(path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    """An npz of ours whose arrays were changed."""
    with np.load(path) as stored:
        kept = dict(stored)
    change(kept)
    np.savez(path, **kept)
    return path


SEEN = ("keypoints_xy", "keypoints_confidence")


def own_keypoints(path: Path) -> Path:
    save_keypoints(path / "a.npz", make_result().keypoints)
    return _forged(
        path / "a.npz", lambda a: a.update({k: a[k][:, :12] for k in ("xy", "confidence")})
    )


def own_json(path: Path) -> Path:
    save_people(path / "a.json", {"0": make_result().keypoints})
    top = json.loads((path / "a.json").read_text())
    for person in top["keypoints"].values():
        person["xy"] = [None if f is None else f[:12] for f in person["xy"]]
    (path / "a.json").write_text(json.dumps(top))
    return path / "a.json"


def own_result(path: Path) -> Path:
    save_result(path / "a.npz", make_result())
    return _forged(path / "a.npz", lambda a: a.update({k: a[k][:, :12] for k in SEEN}))


KEYPOINTS = (arrays, videopose3d, mmpose, annotations, tidy, own_keypoints, own_json, own_result)


@pytest.mark.parametrize("writer", KEYPOINTS, ids=lambda w: w.__name__)
def test_keypoints(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    path = writer(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FormatError) as caught:
            load(path)
    said = str(caught.value)
    assert path.name in said
    assert "\n" not in said
    assert "must be (*batch" not in said
    done = CliRunner().invoke(main, ["info", str(path)])
    assert done.exit_code == 2
    assert path.name in done.stderr


RESULTS = {
    "hypotheses": lambda a: a.update({"hypotheses": a["hypotheses"][:, :, :12]}),
    "pose": lambda a: a.update({"pose": a["pose"][:, :12]}),
    "frames": lambda a: a.update({"pose": a["pose"][:-2]}),
    "roots": lambda a: a.update({"hypotheses_root": a["hypotheses_root"][:1]}),
    "keypoints": lambda a: a.update({k: a[k][:, :12] for k in SEEN}),
    "all": lambda a: a.update({k: a[k][..., :12, :] for k in ("hypotheses", "pose", "pose_std")}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(name: str, tmp_path: Path) -> None:
    save_result(tmp_path / "a.npz", make_result())
    path = _forged(tmp_path / "a.npz", RESULTS[name])
    with pytest.raises(FormatError, match=r"a\.npz") as caught:
        load_hypotheses(path)
    assert "\n" not in str(caught.value)
    for words in (["export", path, "-o", tmp_path / "b.bvh"], ["info", path],
                  ["aggregate", path, "-o", tmp_path / "c.npz"]):  # fmt: skip
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == 2
        assert "a.npz" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("claim", [{"skeleton": "h36m17"}, {"joint_names": list(COCO.joint_names)}])
def test_motion(claim: dict[str, object], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.zeros((4, 12, 3)) + 1.0, **claim)
    with pytest.raises(FormatError, match=r"a\.npz"):
        load_motion(tmp_path / "a.npz")

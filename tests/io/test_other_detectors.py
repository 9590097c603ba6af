"""The three ways to keypoints of docs/how-to/video.md, run as the page has them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import hypopose
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.skeletons import COCO17, HALPE26, MEDIAPIPE33

SECTION = (Path(__file__).parents[2] / "docs" / "how-to" / "video.md").read_text()
SECTION = SECTION.split("## Without the extra", 1)[1].split("\n## ", 1)[0]
N = 6


def points(n_joints: int) -> np.ndarray:
    """A walker's joints in pixels of 1920 x 1080, as many as asked for, and how sure (N, J, 3)."""
    xy = 0.9 * example_pair(N)[0].xy.numpy()[:, np.arange(n_joints) % 17]
    return np.concatenate([xy, np.full((N, n_joints, 1), 0.8)], -1)


def command(name: str) -> list[str]:
    """The words of the page's command that reads a file or folder."""
    line = re.search(rf"^hypopose (sample {name} .*)$", SECTION, re.MULTILINE)
    assert line is not None, f"the page has no command for {name}"
    return line[1].split()


def read(arguments: list[str]) -> hypopose.Keypoints2D:
    quick = ["--no-overview", "--sampler", "boneflips", "--n-hypotheses", "2"]
    result = CliRunner().invoke(main, [*arguments, *quick])
    assert result.exit_code == 0, result.output
    return hypopose.load_hypotheses(arguments[arguments.index("-o") + 1]).keypoints


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_mediapipes_rows() -> None:
    header = re.search(r"`(x0,y0,z0,v0,x1),\.\.\.`", SECTION)
    assert header is not None
    told = points(MEDIAPIPE33.n_joints)
    rows = np.insert(told / (1920, 1080, 1), 2, 0.0, axis=-1).reshape(N, -1)
    names = ",".join(f"{axis}{j}" for j in range(33) for axis in "xyzv")
    assert names.startswith(header[1])
    lines = [names, *(",".join(f"{x:.6f}" for x in row) for row in rows)]
    Path("landmarks.csv").write_text("\n".join(lines))
    found = read(command("landmarks.csv"))
    assert (found.n_frames, found.fps) == (N, 30)
    np.testing.assert_allclose(found.xy[:, 4], told[:, 23, :2], atol=0.01)  # left hip


def test_rtmlibs_keypoints(monkeypatch: pytest.MonkeyPatch) -> None:
    told = points(HALPE26.n_joints)

    class Video:
        def __init__(self, name: str) -> None:
            assert name == "walk.mp4"
            self.n = 0

        def read(self) -> tuple[bool, Any]:
            self.n += 1
            return self.n <= N, self.n if self.n <= N else None

        def get(self, what: int) -> float:
            return float(self.n)

    class Body:
        def __call__(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
            person = told[None, frame - 1]
            return person[..., :2], person[..., 2] + 0.4

    cv2, rtmlib = ModuleType("cv2"), ModuleType("rtmlib")
    cv2.VideoCapture, cv2.CAP_PROP_POS_FRAMES = Video, 1  # type: ignore[attr-defined]
    rtmlib.BodyWithFeet = Body  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    monkeypatch.setitem(sys.modules, "rtmlib", rtmlib)
    script = re.search(r"```py\n(.*?)```", SECTION, re.DOTALL)
    assert script is not None
    exec(script[1], {})
    assert len(json.loads(Path("walk.json").read_text())) == N
    found = read(command("walk.json"))
    assert (found.n_frames, found.fps) == (N, 30)
    np.testing.assert_allclose(found.xy[:, 4], told[:, 11, :2], atol=0.01)


def test_yolos_labels() -> None:
    folder = Path("runs/pose/predict/labels")
    folder.mkdir(parents=True)
    told = points(COCO17.n_joints)
    for f, person in enumerate(told):
        scaled = person / (1920, 1080, 1)
        low, high = scaled[:, :2].min(0), scaled[:, :2].max(0)
        box = [*(low + high) / 2, *(high - low)]
        row = ["0", *(f"{x:.6f}" for x in [*box, *scaled.ravel(), 0.9])]
        (folder / f"walk_{f + 1}.txt").write_text(" ".join(row))
    found = read(command(str(folder)))
    assert (found.n_frames, found.fps) == (N, 30)
    np.testing.assert_allclose(found.xy[:, 4], told[:, 11, :2], atol=0.01)

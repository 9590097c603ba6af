"""Formats of other packages and of your own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypopose.errors import FormatError, OptionError
from hypopose.io import detect_format, inspect, load

CODE = """
import numpy as np
from hypopose.io import Format
from hypopose.io.detections import Detections
from hypopose.skeletons import get_skeleton

def sniff(source):
    return source.path.suffix == ".dots"

def read(source, options):
    rows = np.loadtxt(source.path).reshape(-1, 17, 2)
    frames = np.arange(len(rows))
    return Detections(
        frames=frames,
        ids=("0",) * len(rows),
        xy=rows,
        confidence=None,
        first_frame=0,
        last_frame=len(rows) - 1,
        skeleton=get_skeleton("h36m17"),
    )

DOTS = Format("dots", "Numbers in a text file.", sniff, read)
WRONG = 3
"""


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    path = tmp_path / "walk.dots"
    rows = [f"{100 + 20 * (j % 4) + f} {200 + 15 * j}" for f in range(3) for j in range(17)]
    path.write_text("\n".join(rows))
    return path


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    path = tmp_path / "dots_reader.py"
    path.write_text(CODE)
    return path


def test_a_reader_of_your_own(dots: Path, reader: Path) -> None:
    keypoints = load(dots, format=f"{reader}:DOTS", image_size=(640, 480))
    assert keypoints.n_frames == 3
    assert keypoints.xy[0, 0].tolist() == [100.0, 200.0]
    assert any(n.startswith("read by dots_reader.py:DOTS (sha256 ") for n in keypoints.notes)
    assert inspect(dots, format=f"{reader}:DOTS").format == "dots"


def test_what_is_not_a_format_is_refused(dots: Path, reader: Path) -> None:
    with pytest.raises(OptionError, match=r"is not a hypopose\.io\.Format"):
        load(dots, format=f"{reader}:WRONG")
    with pytest.raises(FormatError, match="in no keypoint format"):
        load(dots)


def test_an_installed_reader_takes_part_in_detection(
    dots: Path, reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "hypo_dots-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hypo-dots\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[hypopose.readers]\ndots = dots_reader:DOTS\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert detect_format(dots) == "dots"
    assert any("read by dots (hypo-dots 2.0)" in n for n in load(dots).notes)

"""The guard of every path: what is no regular file is refused before it is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hypopose.calibration import load_calibrator
from hypopose.errors import FormatError, HypoPoseError
from hypopose.files import check_regular, read_bounded
from hypopose.io import inspect, load, load_camera, load_camera_motion, load_hypotheses
from hypopose.skeletons import load_skeleton
from hypopose.types import Camera

READERS: dict[str, Callable[[Path], Any]] = {
    "keypoints": load,
    "info": inspect,
    "camera": load_camera,
    "camera motion": lambda path: load_camera_motion(path, Camera.from_fov((640, 480)), 3),
    "result": load_hypotheses,
    "calibrator": load_calibrator,
    "skeleton": load_skeleton,
    "skeleton option": lambda path: load(__file__, skeleton=str(path)),
}


def hostile(folder: Path) -> dict[str, Path]:
    os.mkfifo(folder / "pipe.toml")
    (folder / "loop.toml").symlink_to(folder / "loop.toml")
    (folder / "zero.toml").symlink_to("/dev/zero")
    (folder / "folder.toml").mkdir()
    odd = os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.toml")
    Path(odd).write_bytes(b"\xff\x00\xfe")
    return {
        "pipe": folder / "pipe.toml",
        "loop": folder / "loop.toml",
        "device": folder / "zero.toml",
        "absent": folder / "gone.toml",
        "folder": folder / "folder.toml",
        "nul": folder / "a\0b.toml",
        "not utf-8": Path(odd),
        "long": folder / ("x" * 5000 + ".toml"),
    }


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_in_one_line(reader: str, tmp_path: Path) -> None:
    for kind, path in hostile(tmp_path).items():
        with pytest.raises(HypoPoseError) as caught:
            READERS[reader](path)
        message = str(caught.value)
        assert "\n" not in message, kind
        assert message.isprintable(), kind
        message.encode()


def test_a_file_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100))
    assert read_bounded(path, 100) == bytes(100)
    with pytest.raises(FormatError, match="more than 99 bytes"):
        read_bounded(path, 99)
    assert check_regular(path) == path

"""A runner, and small keypoint files written on the spot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hypopose.cli import main

DATA = Path(__file__).parents[2] / "examples" / "data"


@pytest.fixture
def hypopose() -> Callable[..., Result]:
    """Run the command line in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments])

    return run


@pytest.fixture
def one_person(tmp_path: Path) -> Path:
    """Twelve OpenPose frames of one person."""
    folder = tmp_path / "one"
    folder.mkdir()
    for frame in sorted((DATA / "openpose").glob("*.json"))[:12]:
        shutil.copy(frame, folder)
    return folder


@pytest.fixture
def two_people() -> Path:
    """Ten OpenPose frames of two people."""
    return DATA / "openpose_two_people"

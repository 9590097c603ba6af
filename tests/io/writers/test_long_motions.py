"""Motions longer than a format counts become several files, all or none."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hypopose.errors import OptionError
from hypopose.io import EXPORTERS, ExportOptions, Result, export_result
from hypopose.io.writers import export_paths


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C3D that counts five frames."""
    monkeypatch.setitem(EXPORTERS, "c3d", replace(EXPORTERS["c3d"], max_frames=5))


@pytest.mark.usefixtures("_short")
def test_a_long_motion_is_split_and_said(tmp_path: Path, result: Result) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    path = tmp_path / "walk.c3d"
    done = export_result(path, result)
    assert done.paths == export_paths(path, result)
    assert [p.name for p in done.paths[:2]] == ["walk_part1.c3d", "walk_part2.c3d"]
    assert any("a file holds 5 frames" in note for note in done.notes)
    parts = [ezc3d.c3d(str(p))["data"]["points"] for p in done.paths]
    assert [p.shape[2] for p in parts[:-1]] == [5] * (len(parts) - 1)
    joined = np.concatenate(parts, -1)
    whole = EXPORTERS["c3d"]
    EXPORTERS["c3d"] = replace(whole, max_frames=None)
    export_result(tmp_path / "whole.c3d", result)
    np.testing.assert_allclose(
        joined, ezc3d.c3d(str(tmp_path / "whole.c3d"))["data"]["points"], atol=1e-3
    )


def test_the_count_is_the_formats() -> None:
    assert EXPORTERS["c3d"].max_frames == 65_535


@pytest.mark.parametrize("ending", ["trc", "bvh"])
def test_several_files_appear_together_or_not_at_all(
    ending: str, tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, calls = EXPORTERS[ending], []

    def fails_at_the_third(path: Path, scene: Any) -> tuple[str, ...]:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return exporter.write(path, scene)

    monkeypatch.setitem(EXPORTERS, ending, replace(exporter, write=fails_at_the_third))
    with pytest.raises(OptionError, match="could not be written"):
        export_result(tmp_path / f"walk.{ending}", result, ExportOptions(which="all"))
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(EXPORTERS, ending, exporter)
    done = export_result(tmp_path / f"walk.{ending}", result, ExportOptions(which="all"))
    assert sorted(tmp_path.iterdir()) == sorted((*done.paths, *done.beside))

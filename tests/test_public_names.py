"""What users may import, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hypopose

ROOT = Path(__file__).parents[1]

PUBLIC = {
    "Camera", "HypoPoseError", "Hypotheses", "Keypoints2D", "Poses3D", "Result", "Skeleton",
    "Stream", "adapt", "adjust", "aggregate", "complete", "detect", "estimate", "estimate_file",
    "estimate_focal",
    "estimate_people", "evaluate", "get_skeleton", "import_motion", "load", "load_hypotheses",
    "load_people",
    "make_pipeline", "make_sampler", "measure", "prepare", "recalibrate", "refine", "sample",
    "save_result", "share_camera",
}  # fmt: skip


def test_public_names_are_these() -> None:
    assert set(hypopose.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_names_load_and_are_documented(name: str) -> None:
    assert getattr(hypopose, name).__doc__


def test_rooms_load_as_attributes() -> None:
    assert callable(hypopose.datasets.example_pair)
    assert "datasets" in dir(hypopose)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hypopose.nothing  # noqa: B018


def test_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert hypopose.__version__ == project["version"]


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(out.stdout.splitlines()[-1].split())


def test_import_loads_no_plotting_library() -> None:
    loaded = loaded_after("import hypopose; hypopose.load, hypopose.sample, hypopose.evaluate")
    assert "hypopose.api" in loaded
    assert "matplotlib" not in loaded


def test_plain_import_loads_no_torch() -> None:
    assert "torch" not in loaded_after("import hypopose")


def test_help_loads_nothing_but_click() -> None:
    """Help comes at once: what takes time to import is not imported for it."""
    loaded = loaded_after(
        "from hypopose.cli import main; main(['--help'], standalone_mode=False); "
        "main(['sample', '--help'], standalone_mode=False)"
    )
    outer = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    assert outer - sys.stdlib_module_names == {"click", "hypopose"}

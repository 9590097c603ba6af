"""The README and the pages of docs/ run: their Python blocks, and the README's commands in CI."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


WITH_CODE = [
    pytest.param(page, id=page.name, marks=[pytest.mark.onnx] if page.name == "onnx.md" else [])
    for page in PAGES
    if blocks(page, "python")
]


@pytest.mark.parametrize("page", WITH_CODE)
def test_python_blocks_run(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if page.name == "onnx.md":
        request.getfixturevalue("onnx_extra")
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "examples" / "data")
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # dataclasses look their module up
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, str(page), "exec"), module.__dict__)


def test_readme_starts_with_two_commands_that_ci_runs() -> None:
    commands = blocks(ROOT / "README.md", "bash")[:2]
    ci = (ROOT / ".ci" / "run").read_text()
    for block in commands:
        for line in block.strip().splitlines():
            for command in line.split(" && "):
                wanted = command.replace("pip install", "pip install --quiet")
                assert wanted in ci, f"CI does not run {command!r}"


def test_readme_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken

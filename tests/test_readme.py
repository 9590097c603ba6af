"""The README and the pages of docs/ run: their Python blocks, and the README's commands in CI.

Commands of hypopose in the pages name commands and options that exist.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from hypopose.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated"} & {*p.parts}),
    *sorted((ROOT / "hypopose" / "weights").glob("*/README.md")),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


WITH_CODE = [
    pytest.param(
        page, id=page.name, marks=[pytest.mark.onnx] if page.name == "export-onnx.md" else []
    )
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
    if page.name == "export-onnx.md":
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


def commands(page: Path) -> list[list[str]]:
    """Words of every hypopose command in the blocks, tables and text of a page."""
    text = page.read_text().replace("\\\n", " ")
    listings = re.findall(r"```(?:bash|console)\n(.*?)```", text, re.DOTALL)
    lines = [line for listing in listings for line in listing.splitlines()]
    lines += re.findall(r"`(hypopose [^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = []
    for line in lines:
        for part in line.removeprefix("$ ").split(" && "):
            if part.startswith("hypopose "):
                found.append(shlex.split(part, comments=True)[1:])
    return found


def unknown_words(words: list[str]) -> list[str]:
    """Subcommands and options of a command that the command line does not have."""
    group: click.Command = main
    context = click.Context(main)
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        name, words = words[0], words[1:]
        if name == "COMMAND":
            return []
        found = group.get_command(context, name)
        if found is None:
            return [name]
        group = found
    options = {"--help", "-h", "--version"}
    for parameter in group.params:
        options |= {*parameter.opts, *parameter.secondary_opts}
    asked = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [word for word in asked if word not in options]


def test_pages_named_in_code_exist() -> None:
    missing = []
    for folder in ("hypopose", "tests", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            named = re.findall(r"\bdocs/[\w/-]+\.(?:md|png|svg)", path.read_text())
            missing += [f"{path.name}: {page}" for page in named if not (ROOT / page).exists()]
    assert not missing


def said(path: Path) -> Iterator[str]:
    """Every text constant of a module; what is filled in becomes a space."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else " " for p in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_messages_in_troubleshooting_exist() -> None:
    page = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text()
    tables = re.findall(r"\| message contains .*?\n\n", page + "\n\n", re.DOTALL)
    quoted = [m for table in tables for m in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)]
    texts = [text for path in (ROOT / "hypopose").rglob("*.py") for text in said(path)]
    assert len(quoted) > 10
    assert not [message for message in quoted if not any(message in text for text in texts)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_commands_exist(page: Path) -> None:
    wrong = {" ".join(words): unknown_words(words) for words in commands(page)}
    assert not {command: words for command, words in wrong.items() if words}


def test_a_wrong_option_is_noticed() -> None:
    assert unknown_words(["sample", "walk.json", "--no-such-option"]) == ["--no-such-option"]
    assert unknown_words(["no-such-command"]) == ["no-such-command"]
    assert not unknown_words(["sample", "walk.json", "-o", "walk.npz", "--fps", "30"])


def listed(marker: str) -> list[str]:
    lines = (ROOT / "tests" / f"{marker}.txt").read_text().splitlines()
    return [x for x in (line.partition("#")[0].strip() for line in lines) if x]


@pytest.mark.parametrize("marker", ["slow", "thorough"])
def test_listed_tests_exist(marker: str) -> None:
    named = [line.partition("[")[0].split("::") for line in listed(marker)]
    names = [(path, n.rpartition(".")[2]) for path, *_, n in named]
    assert not [n for path, n in names if f"def {n}(" not in (ROOT / path).read_text()]
    assert len({*listed(marker)}) == len(listed(marker))


def test_tests_are_slow_or_thorough_or_neither() -> None:
    assert not {*listed("slow")} & {*listed("thorough")}


def test_make_and_ci_run_the_readmes_tests_and_leave_out_none() -> None:
    command = blocks(ROOT / "README.md", "bash")[1].strip().rpartition(" && ")[2]
    left_out = re.findall(r"not (\w+)", command)
    targets = dict(re.findall(r"^(\w+):.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.M))
    assert targets["test"].strip() == command
    assert "thorough" in left_out
    assert "thorough" not in targets["shapes"]
    ci = (ROOT / ".ci" / "run").read_text()
    for step in ("make shapes", "make slow", '-m "onnx and not slow"'):
        assert step in ci
    markers = {line.partition(":")[0] for line in pytest_markers()}
    assert {*left_out} < markers


def pytest_markers() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text()
    found: list[str] = tomllib.loads(text)["tool"]["pytest"]["ini_options"]["markers"]
    return found


def recipes(page: Path) -> list[list[str]]:
    """Words of every hypopose command within the scripts and job files of a page."""
    listings = re.findall(r"```(?:yaml|py)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = re.findall(r"\bhypopose (sample .*)", "\n".join(listings))
    return [
        shlex.split(re.sub(r'"\s*$', "", line) if line.count('"') % 2 else line) for line in lines
    ]


def test_recipes_of_clusters_run_commands_that_exist() -> None:
    page = ROOT / "docs" / "how-to" / "a-million-clips.md"
    found = recipes(page)
    assert len(found) == 2
    assert not [words for words in found if unknown_words(words)]
    job = yaml.safe_load(blocks(page, "yaml")[0])
    assert f"/{job['spec']['completions']}" in found[0][-1]
    compile(blocks(page, "py")[0], str(page), "exec")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_for_arrays_of_jobs_runs(tmp_path: Path) -> None:
    """Its words as the shell gives them to the command, with a number that SLURM would set."""
    scripts = blocks(ROOT / "docs" / "how-to" / "a-million-clips.md", "bash")
    (script,) = (text for text in scripts if "#SBATCH" in text)
    told = tmp_path / "hypopose"
    told.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    told.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "7"}
    subprocess.run(["bash", "-c", script], env=environment, cwd=tmp_path, check=True)
    words = (tmp_path / "007.txt").read_text().split()
    assert words[:4] == ["sample", "clips/007", "-o", "results/007"]
    assert not unknown_words(words)

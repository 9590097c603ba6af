"""The script of the code figures counts what it says; the drawing shows the imports."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

CODE = '''"""A module."""


class Walk:
    """A class."""

    def step(self, a, b, c, d, e, f, *, g=1):
        """Step.

        Raises:
            ValueError: Never.
        """
        if a and b or c:
            return [x for x in d for y in e]
        return 1 if f else 2


def run():
    # nothing
    for i in range(3):
        while i:
            i -= 1
'''


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_figures_of_a_known_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "walk.py").write_text(CODE)
    (tmp_path / "walk.py").write_text("class Walk:\n    pass\n")
    figures = script("code_figures").measure(tmp_path)
    assert (figures.files, figures.lines) == (2, 24)
    assert figures.code_lines == 9 + 2
    assert figures.many_parameters == 1  # seven without self
    assert (figures.same_basenames, figures.same_classes) == (["walk.py"], ["Walk"])
    assert figures.documented == pytest.approx(50)  # Walk and step, not run and the second Walk
    assert figures.with_raises == pytest.approx(25)


def test_decisions_of_known_functions() -> None:
    module = script("code_figures")
    functions = [n for n in module.ast.walk(module.ast.parse(CODE)) if hasattr(n, "args")]
    counts = {f.name: module.decisions(f) for f in functions if hasattr(f, "name")}
    # if, and, or, two loops of a comprehension, one conditional expression; for and while.
    assert counts == {"step": 6, "run": 2}


def test_rooms_point_at_what_they_import(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    (package / "low").mkdir(parents=True)
    (package / "low" / "__init__.py").write_text('"""Low things."""\n')
    (package / "middle.py").write_text("from pack.low import x\n")
    (package / "high.py").write_text("import pack.middle\n\ndef f():\n    import pack.low\n")
    module = script("draw_rooms")
    graph = module.room_graph(package)
    assert set(graph.edges) == {("middle", "low"), ("high", "middle"), ("high", "low")}
    assert module.first_line(package, "low") == "Low things."
    module.main(package, tmp_path / "rooms.svg")
    assert "middle" in (tmp_path / "rooms.svg").read_text()


def test_a_distribution_without_weights_or_with_tests_is_refused() -> None:
    spec = importlib.util.spec_from_file_location(
        "check_distribution", BENCHMARKS.parent / ".ci" / "check_distribution.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    good = [*module.NEEDED, "hypopose-0.1.0.dist-info/METADATA"]
    assert not module.faults(good, {"hypopose"})
    assert module.faults(good[1:], {"hypopose"}) == ["misses hypopose/__init__.py"]
    assert module.faults([*good, "tests/a.py"], None) == ["contains tests/a.py"]
    assert module.faults([*good, "other/a.py"], {"hypopose"}) == ["contains other"]
    cache = "hypopose/__pycache__/a.pyc"
    assert module.faults([*good, cache], {"hypopose"}) == [f"contains {cache}"]

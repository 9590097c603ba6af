"""Figures about code: sizes, decisions, parameters, names that occur twice, docstrings.

Usage: python benchmarks/code_figures.py FOLDER [FOLDER...]

Prints one Markdown table with a column per folder. A *decision* is an ``if``, a loop, a
comprehension, an ``except`` clause, a ``case``, or one more operand of ``and`` or ``or``; nested
functions count for the function around them too.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BRANCHES = (
    ast.If,
    ast.For,
    ast.While,
    ast.IfExp,
    ast.ExceptHandler,
    ast.comprehension,
    ast.match_case,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
FEW_PARAMETERS = 6
MANY_DECISIONS = 10


def decisions(function: Function) -> int:
    """Decision points of a function."""
    nodes = list(ast.walk(function))
    branches = sum(isinstance(node, BRANCHES) for node in nodes)
    return branches + sum(len(n.values) - 1 for n in nodes if isinstance(n, ast.BoolOp))


def parameters(function: Function) -> int:
    """Parameters of a function, without ``self`` and ``cls``."""
    listed = function.args
    names = [a.arg for a in (*listed.posonlyargs, *listed.args, *listed.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def code_lines(source: str, tree: ast.Module) -> int:
    """Lines that hold neither only a comment, nor nothing, nor a docstring."""
    texts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            texts |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and i not in texts
        for i, line in lines
    )


def public_docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings of the public functions, classes and methods of a module; empty if missing."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if not isinstance(node, kinds) or node.name.startswith("_"):
            continue
        yield ast.get_docstring(node) or ""
        inner = node.body if isinstance(node, ast.ClassDef) else []
        methods = [m for m in inner if isinstance(m, kinds) and not m.name.startswith("_")]
        yield from (ast.get_docstring(method) or "" for method in methods)


@dataclass(frozen=True)
class Figures:
    """What :func:`measure` finds in a folder; percentages are of functions or definitions."""

    files: int
    lines: int
    code_lines: int
    file_median: float
    file_max: int
    functions: int
    function_median: float
    function_p90: float
    many_decisions: int
    many_parameters: int
    same_basenames: list[str]
    same_classes: list[str]
    documented: float
    with_raises: float
    with_example: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values of a table."""
        n = max(self.functions, 1)
        return [
            ("files", f"{self.files}"),
            ("lines / code lines", f"{self.lines:,} / {self.code_lines:,}"),
            ("lines per file, median / max", f"{self.file_median:.0f} / {self.file_max}"),
            ("functions", f"{self.functions:,}"),
            (
                "lines per function, median / 90 %",
                f"{self.function_median:.0f} / {self.function_p90:.0f}",
            ),
            (
                f"functions with >= {MANY_DECISIONS} decisions",
                f"{self.many_decisions} ({100 * self.many_decisions / n:.1f} %)",
            ),
            (
                f"functions with > {FEW_PARAMETERS} parameters",
                f"{self.many_parameters} ({100 * self.many_parameters / n:.1f} %)",
            ),
            ("file names that occur twice", f"{len(self.same_basenames)}"),
            ("class names that occur twice", f"{len(self.same_classes)}"),
            (
                "public docstrings / with Raises / with Example",
                f"{self.documented:.0f} / {self.with_raises:.0f} / {self.with_example:.0f} %",
            ),
        ]


def measure(folder: Path) -> Figures:
    """Measure every Python file below a folder."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    if not sources:
        raise SystemExit(f"{folder} holds no Python files; give the folder of a package.")
    trees = {path: ast.parse(source) for path, source in sources.items()}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    functions = [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    classes = Counter(n.name for n in nodes if isinstance(n, ast.ClassDef))
    basenames = Counter(path.name for path in sources if path.name != "__init__.py")
    sizes = [len(source.splitlines()) for source in sources.values()]
    lengths = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions] or [0]
    public = [doc for tree in trees.values() for doc in public_docstrings(tree)] or [""]

    def share(found: list[bool]) -> float:
        return 100 * sum(found) / len(found)

    return Figures(
        files=len(sources),
        lines=sum(sizes),
        code_lines=sum(code_lines(s, trees[p]) for p, s in sources.items()),
        file_median=statistics.median(sizes),
        file_max=max(sizes),
        functions=len(functions),
        function_median=statistics.median(lengths),
        function_p90=sorted(lengths)[int(0.9 * (len(lengths) - 1))],
        many_decisions=sum(decisions(f) >= MANY_DECISIONS for f in functions),
        many_parameters=sum(parameters(f) > FEW_PARAMETERS for f in functions),
        same_basenames=sorted(name for name, n in basenames.items() if n > 1),
        same_classes=sorted(name for name, n in classes.items() if n > 1),
        documented=share([bool(doc) for doc in public]),
        with_raises=share(["Raises:" in doc for doc in public]),
        with_example=share(["Example" in doc or ">>>" in doc for doc in public]),
    )


def table(folders: list[Path]) -> str:
    """A Markdown table with a column per folder."""
    columns = [measure(folder).rows() for folder in folders]
    head = ["", *(str(folder) for folder in folders)]
    rows = [[name, *(c[i][1] for c in columns)] for i, (name, _) in enumerate(columns[0])]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main(arguments: list[str]) -> None:
    """Print the table, then the names that occur twice in the last folder."""
    if not arguments:
        raise SystemExit(__doc__)
    folders = [Path(argument) for argument in arguments]
    print(table(folders))
    last = measure(folders[-1])
    print("\nfile names that occur twice:", ", ".join(last.same_basenames) or "none")
    print("class names that occur twice:", ", ".join(last.same_classes) or "none")


if __name__ == "__main__":
    main(sys.argv[1:])

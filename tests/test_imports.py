"""Imports point one way: each room imports from the rungs above it and from nothing beside it."""

from __future__ import annotations

import ast
from pathlib import Path

import hypopose

ROOT = Path(hypopose.__file__).parent

RUNGS: tuple[tuple[str, ...], ...] = (
    ("errors", "checks", "files", "remote", "types"),
    ("plugins", "skeletons", "cameras", "multiview", "distributed"),
    ("quantities",),
    ("io", "metrics", "diffusion"),
    ("bodies",),
    ("rendering",),
    ("networks", "aggregation", "ambiguity", "calibration", "simulation"),
    ("samplers", "optimization", "datasets"),
    ("evaluation", "training", "video"),
    ("adaptation", "report"),
    ("api",),
    ("cli",),
)
# types, checks and files import errors, and several views are geometry of cameras; nothing else on
# one rung knows its neighbors.
WITHIN = {
    ("types", "errors"), ("checks", "errors"), ("files", "errors"), ("remote", "errors"),
    ("multiview", "cameras"),
}  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {m.split(".")[1] for m in modules if m.startswith("hypopose.")} - {"__version__"}


def test_rooms_import_only_from_rungs_above() -> None:
    rung = {room: i for i, rooms in enumerate(RUNGS) for room in rooms}
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = room_of(path)
        if room == "__init__":
            continue
        for other in imported_rooms(path) - {room}:
            allowed = rung[other] < rung[room] or (room, other) in WITHIN
            if not allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {other}")
    assert not wrong

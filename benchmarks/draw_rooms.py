"""Draw which packages ("rooms") of a library import which, from the imports themselves.

Usage: python benchmarks/draw_rooms.py hypopose docs/images/rooms.svg

Rooms stand below the rooms they import from. An arrow that follows from two others is left out.
Also prints one line per room: the first line of its docstring.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import matplotlib as mpl
import networkx as nx

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "rooms"  # the same imports give the same file
mpl.rcParams["svg.fonttype"] = "none"


def imported_rooms(path: Path, package: str) -> set[str]:
    """Rooms that a file imports, also inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith(f"{package}.")}


def room_graph(folder: Path) -> nx.DiGraph:
    """Rooms and their imports; an edge points from the room that imports."""
    graph = nx.DiGraph()
    files = [path for path in sorted(folder.rglob("*.py")) if path != folder / "__init__.py"]
    for path in files:
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        graph.add_node(room)
        graph.add_edges_from((room, other) for other in imported_rooms(path, folder.name))
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    known = {p.name.removesuffix(".py") for p in folder.iterdir()}
    graph.remove_nodes_from([room for room in list(graph) if room not in known])
    return graph


def first_line(folder: Path, room: str) -> str:
    """First line of a room's docstring."""
    path = folder / f"{room}.py"
    path = path if path.is_file() else folder / room / "__init__.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else ""
    return (text or "").split("\n\n")[0].replace("\n", " ")


def draw(graph: nx.DiGraph, out: Path) -> None:
    """Write the drawing as SVG."""
    import matplotlib.pyplot as plt

    reduced = nx.transitive_reduction(graph)
    ranks = list(nx.topological_generations(reduced.reverse()))
    figure, axes = plt.subplots(figsize=(9, 1.0 * len(ranks) + 0.4))
    place = {}
    for row, rooms in enumerate(ranks):
        for column, room in enumerate(sorted(rooms)):
            place[room] = ((column + 0.5) / len(rooms), -float(row))
    for room, other in reduced.edges:
        axes.annotate(
            "",
            xy=place[other],
            xytext=place[room],
            arrowprops={"arrowstyle": "->", "color": "0.6", "shrinkA": 14, "shrinkB": 14},
        )
    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.4", "facecolor": "#e8f0f8", "edgecolor": "#4878a8"}
        axes.text(x, y, room, ha="center", va="center", fontsize=10, bbox=box)
    axes.set(xlim=(0, 1), ylim=(-len(ranks) + 0.5, 0.5))
    axes.axis("off")
    figure.savefig(out, bbox_inches="tight", metadata={"Date": None})


def main(folder: Path, out: Path) -> None:
    """Draw the rooms of a package and print their first lines."""
    graph = room_graph(folder)
    cycles = list(nx.simple_cycles(graph))
    if cycles:
        sys.exit(f"{folder} imports in circles: {cycles[0]}")
    draw(graph, out)
    for rank in nx.topological_generations(graph.reverse()):
        for room in sorted(rank):
            print(f"| `{room}` | {first_line(folder, room)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

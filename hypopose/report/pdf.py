"""The report in print: the same sentences, tables and figures, as vectors on A4 pages."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypopose import __version__
from hypopose.io import write_atomically
from hypopose.report.exhibits import (
    NO_TRUTH,
    Exhibit,
    Report,
    Table,
    exhibits,
    findings,
    scene_findings,
    tables,
)
from hypopose.report.plotting import settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAGE = (11.69, 8.27)  # A4 across, inches
_LINES = 42
_WIDTH = 145
_ROWS = 26
_MARGIN = 0.45


def save_pdf(path: str | Path, report: Report, drawn: tuple[Exhibit, ...] | None = None) -> Path:
    """Write the report as a PDF.

    Args:
        path: Where to; written whole or not at all.
        report: What to show.
        drawn: Its exhibits, if they are drawn already; captions are added to the figures.

    Returns:
        The path.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    metadata = {"Title": report.title, "Creator": f"HypoPose {__version__}", "CreationDate": None}
    with (
        write_atomically(path) as temporary,
        PdfPages(temporary, metadata=metadata) as pdf,
    ):
        for page in _pages(report, exhibits(report) if drawn is None else drawn):
            pdf.savefig(page)
    return Path(path)


def _pages(report: Report, drawn: tuple[Exhibit, ...]) -> list[Figure]:
    pages = _words(report.title, _opening(report))
    for table in tables(report):
        rows = [table.rows[i : i + _ROWS] for i in range(0, len(table.rows), _ROWS)]
        pages += [_table_page(table, part) for part in rows]
    return [*pages, *(_captioned(exhibit) for exhibit in drawn)]


def _opening(report: Report) -> list[str]:
    judged = any(j.reliability for j in report.results)
    said = [f"HypoPose {__version__}", "", *([] if judged else [NO_TRUTH, ""]), *findings(report)]
    for scene in report.scenes:
        said += ["", f"{scene.name} (no truth involved):", *scene_findings(scene)]
    return said


def _words(title: str, said: list[str]) -> list[Figure]:
    lines = [line for text in said for line in (textwrap.wrap(text, _WIDTH) or [""])]
    parts = [lines[i : i + _LINES] for i in range(0, max(1, len(lines)), _LINES)]
    pages = []
    for part in parts:
        page = _blank(_PAGE)
        page.text(0.05, 0.95, title, fontsize=16, weight="bold", va="top")
        page.text(0.05, 0.88, "\n".join(part), fontsize=8.5, va="top", linespacing=1.35)
        pages.append(page)
    return pages


def _table_page(table: Table, rows: tuple[tuple[str, ...], ...]) -> Figure:
    page = _blank(_PAGE)
    page.text(0.05, 0.95, table.title, fontsize=14, weight="bold", va="top")
    note = "\n".join(textwrap.wrap(table.note, 130))
    page.text(0.05, 0.90, note, fontsize=9, va="top", weight="bold" if table.oracle else None)
    axis = page.add_axes((0.05, 0.05, 0.9, 0.78))
    axis.axis("off")
    width = max(14, 120 // len(table.head))
    cells = [["\n".join(textwrap.wrap(cell, width)) for cell in row] for row in rows]
    drawn: Any = axis.table(
        cellText=cells, colLabels=list(table.head), loc="upper left", cellLoc="left"
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(7.5)
    for (row, _), cell in drawn.get_celld().items():
        n_lines = max(text.count("\n") for text in cells[row - 1]) + 1 if row else 1
        cell.set_height(0.024 * n_lines + 0.012)
        cell.set_edgecolor("#AAAAAA")
        cell.set_facecolor("#EDEDED" if table.oracle or row == 0 else "white")
        if table.oracle:
            cell.set_linestyle("--")
    return page


def _captioned(exhibit: Exhibit) -> Figure:
    """The figure on a page of its own, below its title and caption; it is shrunk, never grown."""
    figure = exhibit.figure
    words = textwrap.wrap(exhibit.caption, _WIDTH)
    top = _MARGIN + 0.35 + 0.17 * len(words)
    room = (_PAGE[0] - 2 * _MARGIN, _PAGE[1] - top - _MARGIN)
    size = figure.get_size_inches()
    scale = min(1.0, room[0] / size[0], room[1] / size[1])
    width, height = scale * size
    left = (_PAGE[0] - width) / 2
    bottom = _PAGE[1] - top - height
    figure.set_size_inches(_PAGE)
    figure.set_layout_engine(
        "constrained",
        rect=(left / _PAGE[0], bottom / _PAGE[1], width / _PAGE[0], height / _PAGE[1]),
    )
    settle(figure)
    figure.text(_MARGIN / _PAGE[0], 1 - _MARGIN / _PAGE[1], exhibit.title, fontsize=13,
                weight="bold", va="top")  # fmt: skip
    figure.text(_MARGIN / _PAGE[0], 1 - (_MARGIN + 0.3) / _PAGE[1], "\n".join(words), fontsize=9,
                va="top")  # fmt: skip
    return figure


def _blank(size: tuple[float, float]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = Figure(figsize=size)
    FigureCanvasAgg(page)
    return page

"""The report as one self-contained page: no network, no files beside it.

Figures are inlined as SVG pictures, the 3D panel's script and data as scripts. The page can be read
without color, and operated without a mouse.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hypopose import __version__
from hypopose.errors import OptionError
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
from hypopose.report.panel import panel_data
from hypopose.report.pdf import save_pdf
from hypopose.report.plotting import settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ASSETS = files("hypopose.report") / "assets"


def save_report(path: str | Path, report: Report) -> tuple[Path, ...]:
    """Write a report in the form of its ending.

    Args:
        path: ``.html`` for one page, ``.pdf`` for print, no ending for a folder with the page, the
            PDF, every figure as SVG and PNG, and every table as CSV.
        report: What to show.

    Returns:
        The files written.

    Raises:
        OptionError: If the ending is another one.
    """
    path = Path(path)
    if path.suffix == ".html":
        return (save_page(path, report),)
    if path.suffix == ".pdf":
        return (save_pdf(path, report),)
    if path.suffix:
        raise OptionError(f"A report is written as .html, .pdf or a folder, not as {str(path)!r}.")
    return save_folder(path, report)


def save_page(path: str | Path, report: Report, drawn: tuple[Exhibit, ...] | None = None) -> Path:
    """Write the report as one HTML page.

    Args:
        path: Where to; written whole or not at all.
        report: What to show.
        drawn: Its exhibits, if they are drawn already.

    Returns:
        The path.
    """
    text = page(report, drawn)
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def save_folder(path: str | Path, report: Report) -> tuple[Path, ...]:
    """Write page, PDF, figures and tables into a folder.

    Args:
        path: The folder; made if absent.
        report: What to show.

    Returns:
        The files written.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = exhibits(report)
    written = [save_page(folder / "report.html", report, drawn)]
    for exhibit in drawn:
        for ending, data in (("svg", exhibit.svg), ("png", _png(exhibit.figure))):
            target = folder / f"{exhibit.key}.{ending}"
            with write_atomically(target) as temporary:
                temporary.write_bytes(data)
            written.append(target)
    for table in tables(report):
        target = folder / f"{table.key}.csv"
        with write_atomically(target) as temporary:
            temporary.write_text(_csv(table), encoding="utf-8")
        written.append(target)
    written.append(save_pdf(folder / "report.pdf", report, drawn))
    return tuple(written)


def page(report: Report, drawn: tuple[Exhibit, ...] | None = None) -> str:
    """The report as HTML text.

    Args:
        report: What to show.
        drawn: Its exhibits, if they are drawn already.

    Returns:
        A whole document; nothing in it points outside.
    """
    drawn = exhibits(report) if drawn is None else drawn
    judged = any(j.reliability for j in report.results)
    every = tables(report)
    body = [
        f"<header><h1>{_text(report.title)}</h1>",
        f"<p class='made'>HypoPose {__version__}</p></header>",
        _nav(report),
        "<main>",
        _findings(report, judged),
        _scores([t for t in every if t.key in ("scores", "oracle_scores", "coverage")]),
        *(_figure(e) for e in drawn if e.needs_truth),
        _panel(report),
        *_quantities(every, [e for e in drawn if e.key.startswith("quantity_")]),
        *_scenes(
            report,
            [e for e in drawn if not e.needs_truth and not e.key.startswith("quantity_")],
        ),
        *(_table(t) for t in every if t.key == "settings"),
        "</main>",
    ]
    return _document(report, "\n".join(body))


def _png(figure: Figure) -> bytes:
    settle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _csv(table: Table) -> str:
    import csv

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([table.head, *table.rows])
    return buffer.getvalue()


def _document(report: Report, body: str) -> str:
    script = f"<script>\n{_asset('panel.js')}\n</script>" if report.scenes else ""
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<link rel='icon' href='data:,'>\n"
        f"<title>{_text(report.title)}</title>\n<style>\n{_asset('report.css')}\n</style>\n"
        f"</head>\n<body>\n<a class='skip' href='#findings'>Skip to the findings</a>\n{body}\n"
        f"{script}\n</body>\n</html>\n"
    )


def _nav(report: Report) -> str:
    places = [("findings", "Findings")]
    places += [("scores", "Scores"), ("figures", "Figures")] if report.results else []
    places += [("panel", "3D panel")] if report.scenes else []
    places += [("table-quantities", "Quantities")] if report.people else []
    places += [("ambiguity", "Ambiguity")] if report.scenes else []
    links = "".join(f"<li><a href='#{key}'>{word}</a></li>" for key, word in places)
    return f"<nav aria-label='Sections'><ul>{links}</ul></nav>"


def _findings(report: Report, judged: bool) -> str:
    said = "".join(f"<li>{_text(s)}</li>" for s in findings(report))
    missing = "" if judged else f"<p class='warning' role='note'>{_text(NO_TRUTH)}</p>"
    return f"<section id='findings'><h2>Findings</h2>{missing}<ul>{said}</ul></section>"


def _scores(shown: Sequence[Table]) -> str:
    if not shown:
        return ""
    return f"<div id='scores'>{''.join(_table(t) for t in shown)}</div><div id='figures'></div>"


def _table(table: Table) -> str:
    head = "".join(f"<th scope='col'>{_text(cell)}</th>" for cell in table.head)
    rows = "".join(
        f"<tr><th scope='row'>{_text(row[0])}</th>"
        + "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    kind = " class='oracle'" if table.oracle else ""
    return (
        f"<section{kind} id='table-{table.key}'><h2>{_text(table.title)}</h2>"
        f"<p>{_text(table.note)}</p><div class='wide' tabindex='0' role='region' "
        f"aria-label='{_text(table.title)}'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _figure(exhibit: Exhibit) -> str:
    data = base64.b64encode(exhibit.svg).decode("ascii")
    width = round(96 * exhibit.figure.get_figwidth())
    return (
        f"<section id='figure-{exhibit.key}'><h2>{_text(exhibit.title)}</h2><figure>"
        f"<img alt='{_text(exhibit.title)}. {_text(exhibit.caption)}' width='{width}' "
        f"src='data:image/svg+xml;base64,{data}'>"
        f"<figcaption>{_text(exhibit.caption)}</figcaption></figure></section>"
    )


def _quantities(every: Sequence[Table], drawn: Sequence[Exhibit]) -> list[str]:
    """The table of what was measured, then its figures."""
    return [*(_table(t) for t in every if t.key == "quantities"), *(_figure(e) for e in drawn)]


def _scenes(report: Report, drawn: Sequence[Exhibit]) -> list[str]:
    """Sentences of each scene, then the figures that need no truth."""
    if not report.scenes:
        return []
    said = []
    for scene in report.scenes:
        items = "".join(f"<li>{_text(s)}</li>" for s in scene_findings(scene))
        said.append(f"<h3>{_text(scene.name)}</h3><ul>{items}</ul>")
    words = (
        "<section id='ambiguity'><h2>What the hypotheses disagree on</h2>"
        f"<p>From the hypotheses alone; no truth is involved.</p>{''.join(said)}</section>"
    )
    return [words, *(_figure(e) for e in drawn)]


def _panel(report: Report) -> str:
    if not report.scenes:
        return ""
    data = json.dumps([panel_data(scene) for scene in report.scenes], allow_nan=False)
    options = "".join(
        f"<option value='{i}'>{_text(scene.name)}</option>" for i, scene in enumerate(report.scenes)
    )
    template = _asset("panel.html").replace("{{options}}", options)
    safe = data.replace("</", "<\\/")
    return f"{template}\n<script type='application/json' id='panel-data'>{safe}</script>"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _text(words: str) -> str:
    return html.escape(words, quote=True)

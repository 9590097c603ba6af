"""A card of an evaluation by a protocol: Markdown with the tables and where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypopose.evaluation import ProtocolEvaluation
from hypopose.io import write_atomically
from hypopose.report.protocol_tables import TextTable, protocol_tables, setting_rows


def write_card(path: str | Path, evaluation: ProtocolEvaluation) -> None:
    """Write a card.

    Args:
        path: Markdown file to make or replace; written whole or not at all.
        evaluation: What was measured.

    Raises:
        OptionError: If it cannot be written there.
    """
    with write_atomically(path) as temporary:
        temporary.write_text(card_text(evaluation), encoding="utf-8")


def card_text(evaluation: ProtocolEvaluation) -> str:
    """The card as Markdown.

    Args:
        evaluation: What was measured.
    """
    return "\n".join(_lines(evaluation)).rstrip() + "\n"


def _lines(evaluation: ProtocolEvaluation) -> Iterator[str]:
    name = evaluation.sampler["name"]
    yield f"# {_plain(str(name))} on {evaluation.benchmark}"
    yield ""
    yield f"**{evaluation.column}.**"
    yield ""
    if "command" in evaluation.provenance:
        yield from ("```bash", evaluation.provenance["command"], "```", "")
    for table in protocol_tables(evaluation):
        yield f"## {table.title}"
        yield ""
        yield from _markdown(table)
    yield from _section("Conditions", setting_rows(evaluation))
    yield from _section("Method", _flat(evaluation.sampler))
    yield from _section("Provenance", _flat(evaluation.provenance))


def _section(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield from _markdown(TextTable(title, ("", ""), tuple(rows)))


def _markdown(table: TextTable) -> Iterator[str]:
    yield _row(table.heads)
    yield _row(["---"] + ["---:" if table.heads[-1] else "---"] * (len(table.heads) - 1))
    yield from map(_row, table.rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text with Markdown's special characters escaped."""
    return " ".join(text.replace("|", "\\|").split())


def _flat(record: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested records as rows."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        name = f"{before}{key}".replace("_", " ") if not before else f"{before}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}: ")
        else:
            rows.append((name, value if isinstance(value, str) else json.dumps(value)))
    return rows

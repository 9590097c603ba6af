"""What a run of ``hypopose sample`` prints at its end, and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from hypopose.cli import CommandError


@dataclass(frozen=True)
class Row:
    """One line of the summary: what became of a person, or of a file that failed."""

    source: str
    person: str = ""
    written: str = ""
    frames: str = ""
    camera: str = ""
    error: str = ""
    kept: bool = False
    notes: tuple[str, ...] = ()


def finish(rows: Sequence[Row], *, is_batch: bool) -> None:
    """Print the summary and choose the exit code.

    Args:
        rows: Of all inputs.
        is_batch: Whether a table is printed, rather than a line for each person.

    Raises:
        CommandError: If every input failed.
        SystemExit: With code 1 if some inputs failed.
    """
    failed = [row for row in rows if row.error]
    for note in (note for row in rows for note in row.notes):
        click.echo(f"Note: {note}", err=True)
    if is_batch:
        _print_table(rows)
        for row in failed:
            click.echo(f"Error: {row.error}", err=True)
        click.echo(_count(rows, failed))
    else:
        for row in rows:
            click.echo(_sentence(row, alone=len(rows) == 1))
    if failed and len(failed) == len(rows):
        raise CommandError("None of the inputs could be read; nothing was written.")
    if failed:
        raise SystemExit(1)


def _sentence(row: Row, *, alone: bool) -> str:
    who = "" if alone else f"{row.person}: "
    done = "kept, made before with the same options:" if row.kept else "->"
    return f"{who}{row.frames} frames, camera {row.camera} {done} {row.written}"


def _count(rows: Sequence[Row], failed: Sequence[Row]) -> str:
    """How many results there are now, and how many inputs have none."""
    kept = sum(row.kept for row in rows)
    words = [f"{len(rows) - len(failed) - kept} results written"]
    if kept:
        words.append(f"{kept} kept from an earlier run with the same options")
    words.append(f"{len(failed)} inputs failed")
    return ", ".join(words) + "."


def _print_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("input", "person", "frames", "camera", "result"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.source, row.person, row.frames, row.camera, _outcome(row))
    Console().print(table)


def _outcome(row: Row) -> str:
    if row.error:
        return "failed"
    return f"{row.written} (kept)" if row.kept else row.written

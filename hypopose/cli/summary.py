"""What a run of ``hypopose sample`` prints at its end, and its exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from hypopose.cli import CommandError


@dataclass(frozen=True)
class SummaryRow:
    """One line of the summary: what became of a person, or of a file that failed.

    Args:
        source: The input.
        person: Identity in it.
        written: The result file.
        n_frames: Its frames.
        camera: ``given`` or ``assumed``.
        error: Why it failed, with the file's name.
        reason: The same in words that other files share.
        kept: Whether an earlier run had made it.
        notes: What the user should know.
        picture: A picture that is still to be drawn.
        seconds: What took how long, by stage; the same for all people of an input.
    """

    source: str
    person: str = ""
    written: str = ""
    n_frames: int = 0
    camera: str = ""
    error: str = ""
    reason: str = ""
    kept: bool = False
    notes: tuple[str, ...] = ()
    picture: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


def finish(rows: Sequence[SummaryRow], *, is_batch: bool, seconds: float = 0.0) -> None:
    """Print the summary and choose the exit code.

    Args:
        rows: Of all inputs.
        is_batch: Whether a table is printed, rather than a line for each person.
        seconds: How long the run took.

    Raises:
        CommandError: If every input failed.
        SystemExit: With code 1 if some inputs failed.
    """
    failed = [row for row in rows if row.error]
    for note in (note for row in rows for note in row.notes):
        click.echo(f"Note: {note}", err=True)
    if is_batch:
        _print_batch(rows, failed, seconds)
    else:
        for row in rows:
            click.echo(_sentence(row, alone=len(rows) == 1))
    if not failed:
        return
    if len(failed) == len(rows):
        raise CommandError("None of the inputs could be read; nothing was written.")
    raise SystemExit(1)


def _print_batch(rows: Sequence[SummaryRow], failed: Sequence[SummaryRow], seconds: float) -> None:
    """A table, what failed, what failed for one reason, and how much was done."""
    _print_table(rows)
    for row in failed:
        click.echo(f"Error: {row.error}", err=True)
    for reason, n in Counter(row.reason for row in failed).most_common():
        if n > 1:
            click.echo(f"{n} inputs failed alike: {reason}")
    click.echo(_pace(rows, seconds))
    click.echo(_count(rows, failed))


def _sentence(row: SummaryRow, *, alone: bool) -> str:
    who = "" if alone else f"{row.person}: "
    done = "kept, made before with the same options:" if row.kept else "->"
    frames = f"{row.n_frames} frame{'s' * (row.n_frames != 1)}"
    return f"{who}{frames}, camera {row.camera} {done} {row.written}"


def _pace(rows: Sequence[SummaryRow], seconds: float) -> str:
    """How much was done how fast, as a line.

    Example:
        >>> _pace([SummaryRow("a.json", n_frames=30), SummaryRow("b.json", n_frames=50)], 2.0)
        '2 inputs, 2 people, 80 frames in 2.0 s: 1.0 inputs/s, 40 frames/s'
    """
    inputs = len({row.source for row in rows})
    people = sum(not row.error for row in rows)
    frames = sum(row.n_frames for row in rows)
    rates = f": {inputs / seconds:.1f} inputs/s, {frames / seconds:.0f} frames/s" if seconds else ""
    return f"{inputs} inputs, {people} people, {frames} frames in {seconds:.1f} s{rates}"


def _count(rows: Sequence[SummaryRow], failed: Sequence[SummaryRow]) -> str:
    """How many results there are now, and how many inputs have none."""
    kept = sum(row.kept for row in rows)
    words = [f"{len(rows) - len(failed) - kept} results written"]
    if kept:
        words.append(f"{kept} kept from an earlier run with the same options")
    words.append(f"{len(failed)} inputs failed")
    return ", ".join(words) + "."


def _print_table(rows: Sequence[SummaryRow]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("input", "person", "frames", "camera", "result"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.source, row.person, str(row.n_frames or ""), row.camera, _outcome(row))
    Console().print(table)


def _outcome(row: SummaryRow) -> str:
    if row.error:
        return "failed"
    return f"{row.written} (kept)" if row.kept else row.written

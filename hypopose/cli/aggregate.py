"""``hypopose aggregate``: another summary of the hypotheses in a result file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hypopose.cli.options import renamed, shared
from hypopose.cli.overwrite import force_option, refuse_existing

EXAMPLES = """\b
Examples:
  hypopose aggregate walk.npz -o walk-median.npz --aggregate median
  hypopose aggregate walk.npz -o walk-jpma.bvh --aggregate jpma"""

RESULT_HELP = "Result file to write: npz, or any ending that hypopose export writes."


@click.command(cls=renamed({"--method": "--aggregate"}), epilog=EXAMPLES)
@click.argument("result", type=click.Path(path_type=Path))
@shared("aggregate", output={"help": RESULT_HELP})
@force_option
def aggregate(result: Path, output: Path, aggregate: str, force: bool) -> None:
    """Aggregate the hypotheses of RESULT again and write a new result file."""
    from hypopose.api import aggregate_result
    from hypopose.io import load_hypotheses, save_result
    from hypopose.io.writers import check_ending

    check_ending(output)
    refuse_existing(output, force=force)
    stored = load_hypotheses(result)
    changed = replace(aggregate_result(stored, aggregate), made_with={})
    for note in save_result(output, changed):
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{aggregate} of {len(stored.hypotheses)} hypotheses -> {output}")

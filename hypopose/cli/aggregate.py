"""``hypopose aggregate``: another summary of the hypotheses in a result file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hypopose.cli.options import MASKS, masks_given, renamed, shared
from hypopose.cli.overwrite import force_option, refuse_existing

EXAMPLES = """\b
Examples:
  hypopose aggregate walk.npz -o walk-median.npz --aggregate median
  hypopose aggregate walk.npz -o walk-jpma.bvh --aggregate jpma
  hypopose aggregate walk.npz -o walk-masks.npz --mask walk-masks/"""

RESULT_HELP = "Result file to write: npz, or any ending that hypopose export writes."


@click.command(cls=renamed({"--method": "--aggregate"}), epilog=EXAMPLES)
@click.argument("result", type=click.Path(path_type=Path))
@shared("aggregate", *MASKS, output={"help": RESULT_HELP})
@force_option
def aggregate(
    result: Path, output: Path, aggregate: str | None, force: bool, **mask_options: Any
) -> None:
    """Aggregate the hypotheses of RESULT again and write a new result file."""
    from hypopose.api import aggregate_result
    from hypopose.io import load_hypotheses, save_result
    from hypopose.io.writers import check_ending

    check_ending(output)
    refuse_existing(output, force=force)
    stored = load_hypotheses(result)
    masks = masks_given(mask_options)
    changed = replace(aggregate_result(stored, aggregate, masks=masks), made_with={})
    for note in save_result(output, changed):
        click.echo(f"Note: {note}", err=True)
    if masks is not None:
        said = [
            note
            for note in changed.notes
            if note.startswith("weighted by") or note not in stored.notes
        ]
        click.echo("\n".join(f"Note: {note}" for note in said), err=True)
    click.echo(f"{changed.aggregate} of {len(stored.hypotheses)} hypotheses -> {output}")

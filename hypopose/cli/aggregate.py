"""``hypopose aggregate``: another summary of the hypotheses in a result file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hypopose.cli.targets import force_option, refuse_existing


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Result file to write: npz, or any ending that hypopose export writes.",
)
@click.option(
    "--method", default="mean", show_default=True, help="mean, median, medoid, jpma or ppma."
)
@force_option
def aggregate(result: Path, output: Path, method: str, force: bool) -> None:
    """Aggregate the hypotheses of RESULT again and write a new result file."""
    from hypopose.api import aggregate as combine
    from hypopose.io import load_hypotheses, save_result
    from hypopose.io.writers import check_ending

    check_ending(output)
    refuse_existing(output, force=force)
    stored = load_hypotheses(result)
    pose = combine(stored.hypotheses, stored.keypoints, method)
    changed = replace(stored, pose=pose, aggregate=method, made_with={})
    for note in save_result(output, changed):
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{method} of {len(stored.hypotheses)} hypotheses -> {output}")

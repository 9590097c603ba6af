"""``hypopose aggregate``: another summary of the hypotheses in a result file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hypopose.errors import OptionError


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Result file to write (npz, json or csv by its ending).",
)
@click.option(
    "--method", default="jpma", show_default=True, help="jpma, ppma, mean, median or medoid."
)
def aggregate(result: Path, output: Path, method: str) -> None:
    """Aggregate the hypotheses of RESULT again and write a new result file."""
    from hypopose.api import aggregate as combine
    from hypopose.io import RESULT_WRITERS, load_hypotheses

    if output.suffix[1:] not in RESULT_WRITERS:
        raise OptionError(f"{output}: the result's ending must be .npz, .json or .csv.")
    stored = load_hypotheses(result)
    pose = combine(stored.hypotheses, stored.keypoints, method)
    RESULT_WRITERS[output.suffix[1:]](output, replace(stored, pose=pose, aggregate=method))
    click.echo(f"{method} of {len(stored.hypotheses)} hypotheses -> {output}")

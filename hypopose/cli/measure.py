"""``hypopose measure``: quantities of results as tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.cli.wording import in_cli_words
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.quantities import Measurement, Measurements

EXAMPLES = """\b
Examples:
  hypopose measure walk.npz -o walk.csv --what knee_flexion,hip_flexion --plot
  hypopose measure walk.npz -o gait.csv --what gait --height 1.78
  hypopose measure walk_person0.npz walk_person1.npz -o people.nc --samples
  hypopose measure walk.npz -o mine.csv --what angle:thorax/neck/head,./mine.py:reach_m
  hypopose measure --list"""

MOST = 24
RARE = 0.5
"""Values that fewer of the hypotheses have are in the table only."""


def _list(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    click.echo("\n".join(describe_quantities()))
    context.exit()


@click.command(epilog=EXAMPLES)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared(output={"help": "Table to write: .csv, .parquet or .nc. Further tables and figures get "
                        "its name with _summary, _events, _samples, _<quantity>."})  # fmt: skip
@click.option(
    "--what",
    multiple=True,
    metavar="NAME,...",
    help="Quantities: names, groups (angles, gait, ...), all, angle:JOINT/JOINT/JOINT, or your own "
    "(./file.py:function). Default: all that can be measured; --list shows them.",
)
@click.option(
    "--plot", is_flag=True, help="Also draw each quantity per frame; without --what: angles."
)
@click.option("--samples", is_flag=True, help="Also write the values of every hypothesis.")
@click.option("--height", type=float, help="The subject's stature in meters: sets the scale.")
@shared("fps")
@click.option(
    "--recalibrate",
    is_flag=True,
    help="Scale intervals by factors fitted on people who are not in the training data.",
)
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list,
    help="Show all quantities, their units and definitions.",
)  # fmt: skip
@force_option
def measure(results: tuple[Path, ...], output: Path, force: bool, **options: Any) -> None:
    """Measure quantities of RESULTS (npz of hypopose sample): angles, speeds, gait, balance.

    Every hypothesis is measured; tables hold mean, median and the middle 50, 80 and 95 % of them,
    per frame, and per clip in the summary. Several results become one table with a row for each
    person.
    """
    from hypopose.io.writers.measurements import (
        check_measurement_ending,
        measurement_paths,
        write_measurements,
    )

    check_measurement_ending(output)
    refuse_overwriting(output, *results)
    people = measured_people(results, options)
    planned = measurement_paths(output, people, samples=options["samples"])
    figures = _figures(output, people, options) if options["plot"] else {}
    refuse_existing(*planned, *figures, force=force)
    written = write_measurements(output, people, samples=options["samples"])
    for path, family in figures.items():
        _draw(path, family, people)
    _say(people)
    click.echo(f"-> {', '.join(str(path) for path in (*written, *figures))}")


def measured_people(results: Sequence[Path], options: dict[str, Any]) -> list[Measurements]:
    """What ``--what``, ``--height``, ``--fps`` and ``--recalibrate`` ask for, of every result."""
    people = [_measure(path, options) for path in results]
    return _told_apart(people, results)


def _measure(path: Path, options: dict[str, Any]) -> Measurements:
    from hypopose.api import measure as measured
    from hypopose.io import load_hypotheses

    what = [word for words in options["what"] for word in words.split(",") if word]
    given = {name: options[name] for name in ("height", "fps", "recalibrate")}
    return measured(load_hypotheses(path), *what, **given)


def _told_apart(people: list[Measurements], results: Sequence[Path]) -> list[Measurements]:
    """People by identity; by file where two have the same."""
    if max(Counter(p.person for p in people).values()) == 1:
        return people
    return [replace(p, person=path.stem) for p, path in zip(people, results, strict=True)]


def _figures(
    output: Path, people: Sequence[Measurements], options: dict[str, Any]
) -> dict[Path, str]:
    """The family that each figure shows."""
    families = {
        family: measured[0].quantity
        for person in people
        for family, measured in person.families().items()
    }
    wanted = [
        family
        for family, quantity in families.items()
        if quantity.per == "frame" and (options["what"] or quantity.group == "angles")
    ]
    if not wanted:
        raise OptionError("--plot draws quantities per frame; ask for one, for example angles.")
    from hypopose.report.quantity_figures import file_word

    return {output.with_name(f"{output.stem}_{file_word(f)}.png"): f for f in wanted}


def _draw(path: Path, family: str, people: Sequence[Measurements]) -> None:
    from hypopose.io import write_atomically
    from hypopose.report.quantity_figures import quantity_figure

    with write_atomically(path) as temporary:
        quantity_figure(family, people).savefig(temporary, dpi=130)


def _say(people: Sequence[Measurements]) -> None:
    """Values per clip, and notes, each once."""
    for person in people:
        rate = "" if person.fps is None else f", {person.n_frames / person.fps:.1f} s"
        click.echo(f"person {person.person or '0'}: {person.n_frames} frames{rate}")
        lines = [_line(m) for m in person.values() if m.quantity.per == "clip"]
        found = [line for line in lines if line]
        click.echo("\n".join(found[:MOST])) if found else None
        if len(found) > MOST:
            click.echo(f"  and {len(found) - MOST} more in the summary")
    for note in dict.fromkeys(note for person in people for note in person.notes):
        click.echo(f"Note: {in_cli_words(note)}", err=True)


def _line(measurement: Measurement) -> str:
    """Median and 80 % interval; empty if few hypotheses have a value."""
    import numpy as np

    middle = float(measurement.median)
    if np.isnan(middle) or measurement.share < RARE:
        return ""
    low, high = measurement.interval(0.8)
    q = measurement.quantity
    some = "" if measurement.share > 0.99 else f", {100 * float(measurement.share):.0f} % have it"
    return f"  {q.name:<30} {middle:8.4g} {q.unit:<6} 80 %: {low:.4g} to {high:.4g}{some}"


def describe_quantities() -> list[str]:
    """Lines of all quantities by group: name, unit, whether per frame, definition."""
    from hypopose.quantities import FAMILIES, GROUPS

    lines: list[str] = []
    for group in GROUPS:
        lines += [f"{group}:"]
        for family, (quantity, *others) in FAMILIES.items():
            if quantity.group != group:
                continue
            sides = ", left and right" if others else ""
            unit = quantity.unit or "no unit"
            scale = "; needs a scale" if quantity.scale else ""
            lines += [f"  {family} ({unit}, per {quantity.per}{sides}{scale})"]
            lines += [f"      {quantity.definition}"]
    return lines

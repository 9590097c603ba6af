"""``hypopose convert-keypoints``: 2D keypoints from any format and skeleton to another."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import READING, reading_given, renamed, shared, warn_of_former
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.cli.wording import in_cli_words
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.types import Skeleton


EXAMPLES = """\b
Examples:
  hypopose convert-keypoints walk.json -o walk.csv
  hypopose convert-keypoints walk.json -o walk-h36m17.csv --to h36m17"""


class _Command(renamed({"--from-skeleton": "--skeleton"})):  # type: ignore[misc]
    """``--skeleton`` alone named the skeleton to write until 0.1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {word.partition("=")[0] for word in args}
        former = "--from-skeleton" in names or "--to" not in names
        if former and "--skeleton" in names:
            warn_of_former("--skeleton for the skeleton to write", "--to")
            args = [re.sub("^--skeleton(?==|$)", "--to", word) for word in args]
        return super().parse_args(ctx, args)


@click.command("convert-keypoints", cls=_Command, epilog=EXAMPLES)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@shared(
    "person", "skeleton", "input_format", "image_size", "fps", *READING,
    output={"help": "New file; .csv, .parquet, .nc or .json for everybody, .npz for one person."},
)  # fmt: skip
@click.option("--to", "target", help="Skeleton to write: a name or a TOML file.")
@click.option(
    "--conversion", default="default", show_default=True, help="A published conversion by name."
)
@force_option
def convert_keypoints(source: Path, output: Path, force: bool, **options: Any) -> None:
    """Convert 2D keypoints to another format and skeleton, and list what is approximate."""
    from dataclasses import replace

    from hypopose.io import load_people, save_people
    from hypopose.skeletons import convert

    refuse_overwriting(source, output)
    refuse_existing(output, force=force)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts are in the notes, which are printed
        people = load_people(
            source,
            format=options["input_format"],
            skeleton=options["skeleton"],
            image_size=options["image_size"],
            fps=options["fps"],
            **reading_given(options),
        )
    notes = next(iter(people.values())).notes
    if options["person"] is not None:
        if options["person"] not in people:
            raise OptionError(f"No person {options['person']!r}; there are {', '.join(people)}.")
        people = {options["person"]: people[options["person"]]}
    before = next(iter(people.values())).skeleton
    after = before if options["target"] is None else _target(options["target"])
    converted = {
        name: convert(k, after, conversion=options["conversion"]) for name, k in people.items()
    }
    if output.suffix.lower() != ".npz":
        converted = {name: replace(k, covariance=None) for name, k in converted.items()}
    save_people(output, converted)
    _tell(output, converted, before, after, options["conversion"])
    for note in notes:
        click.echo(f"  note        {in_cli_words(note)}")


def _target(name: str) -> Skeleton:
    from hypopose.skeletons import get_skeleton, load_skeleton

    if name.lower().endswith(".toml"):
        return load_skeleton(name).skeleton
    return get_skeleton(name)


def _tell(
    output: Path, people: dict[str, Any], before: Skeleton, after: Skeleton, name: str
) -> None:
    from hypopose.skeletons import get_conversion

    first = next(iter(people.values()))
    who = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
    click.echo(f"Wrote {output}: {who}, {first.n_frames} frames, {after.name}.")
    if before == after:
        click.echo(f"  {before.name}, no joint converted")
        return
    conversion = get_conversion(before, after, name)
    click.echo(f"  from {before.name}: {_copied(conversion)} joints copied")
    for line in conversion.describe():
        joint, _, formula = line.partition(": ")
        word = "missing    " if joint == "missing" else "approximate"
        click.echo(f"  {word} {formula if joint == 'missing' else line}")


def _copied(conversion: Any) -> int:
    formed = set(conversion.approximate)
    return sum(bool(conversion.recipes.get(j)) for j in conversion.target.joint_names
               if j not in formed)  # fmt: skip

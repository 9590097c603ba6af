"""``hypopose convert-keypoints``: 2D keypoints from any format and skeleton to another."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.types import Skeleton


def refuse_overwriting(source: Path, output: Path, *, force: bool) -> None:
    """Refuse to replace a file unless told to, and the input in any case.

    Raises:
        OptionError: If ``output`` is there.
    """
    if output.exists() and output.resolve() == source.resolve():
        raise OptionError(f"{output} is the input; give another -o.")
    if output.exists() and not force:
        raise OptionError(f"{output} exists; add --force to replace it.")


@click.command("convert-keypoints")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="New file; .csv, .parquet, .nc or .json for everybody, .npz for one person.",
)
@click.option("--skeleton", help="Skeleton to write, a name or a TOML file; default: as it is.")
@click.option(
    "--from-skeleton", help="Skeleton of IN where it does not say: a name, or a TOML file of names."
)
@click.option("--conversion", default="default", help="A published conversion by name.")
@click.option("--person", help="Only this person; default: everybody.")
@click.option("--input-format", help="Force the keypoint format instead of detecting it.")
@click.option("--image-size", type=(int, int), metavar="W H", help="Image size in pixels.")
@click.option("--fps", type=float, help="Frames per second, where the file does not say.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def convert_keypoints(source: Path, output: Path, **options: Any) -> None:
    """Convert 2D keypoints to another format and skeleton, and list what is approximate."""
    from dataclasses import replace

    from hypopose.io import load_people, save_people
    from hypopose.skeletons import convert

    refuse_overwriting(source, output, force=options["force"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is in the notes, which are printed
        people = load_people(
            source,
            format=options["input_format"],
            skeleton=options["from_skeleton"],
            image_size=options["image_size"],
            fps=options["fps"],
        )
    notes = next(iter(people.values())).notes
    if options["person"] is not None:
        if options["person"] not in people:
            raise OptionError(f"No person {options['person']!r}; there are {', '.join(people)}.")
        people = {options["person"]: people[options["person"]]}
    before = next(iter(people.values())).skeleton
    after = before if options["skeleton"] is None else _target(options["skeleton"])
    converted = {
        name: convert(k, after, conversion=options["conversion"]) for name, k in people.items()
    }
    if output.suffix.lower() != ".npz":
        converted = {name: replace(k, covariance=None) for name, k in converted.items()}
    save_people(output, converted)
    _tell(output, converted, before, after, options["conversion"])
    for note in notes:
        click.echo(f"  note        {note}")


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

"""``hypopose detect``: 2D keypoints of everybody in a video, pictures or a camera's stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hypopose.cli.footage_options import footage_options, read_footage
from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import OptionError

EXAMPLES = """\b
Examples:
  hypopose detect walk.mp4 -o walk.json
  hypopose detect walk.mp4 -o walk.csv --start 2 --end 10"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="VIDEO")
@shared(
    "person",
    fps={"help": "Frames per second; overrides the timestamps."},
    output={
        "help": "Keypoint file: .json, .csv, .parquet or .nc for everybody, .npz for one person.",
    },
)
@footage_options
@force_option
def detect(source: str, output: Path, **options: Any) -> None:
    """Find 2D keypoints in a video, a picture, a folder of pictures or camera:0.

    Needs the extra hypopose[video]. The same command again continues a run that was stopped.
    """
    from dataclasses import replace

    from hypopose.io import save_people
    from hypopose.io.writers.keypoint_tables import check_writable
    from hypopose.remote import is_remote

    if is_remote(source):
        raise OptionError(
            f"{source}: hypopose detect reads files of this machine; download it first, or give "
            "the URL to hypopose sample."
        )
    check_writable(output)
    refuse_existing(output, force=options["force"])
    people = read_footage(source, options, journal=output.with_name(f"{output.name}.part"))
    if options["person"] is not None:
        if options["person"] not in people:
            raise OptionError(f"No person {options['person']!r}; there are {', '.join(people)}.")
        people = {options["person"]: people[options["person"]]}
    check_writable(output, people)
    if output.suffix.lower() != ".npz":
        people = {name: replace(k, covariance=None) for name, k in people.items()}
    save_people(output, people)
    output.with_name(f"{output.name}.part").unlink(missing_ok=True)
    first = next(iter(people.values()))
    who = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
    frames = f"{first.n_frames} {'frame' if first.n_frames == 1 else 'frames'}"
    rate = "" if first.fps is None else f" at {first.fps:g} frames/s"
    click.echo(f"Wrote {output}: {who}, {frames}{rate}, {first.skeleton.name}.")
    for note in first.notes:
        click.echo(f"Note: {note}", err=True)

"""``hypopose tracks``: identities in a keypoint file, shown and corrected."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import READING, reading_given, shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.cli.wording import in_cli_words
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.io.recording import ReadRecording

WIDTH = 50
MOST = 20


EXAMPLES = """\b
Examples:
  hypopose tracks clip.json
  hypopose tracks clip.json -o clip-fixed.csv --max-gap 10 --keep-main"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@shared(
    "skeleton", "input_format", "image_size", "fps", *READING,
    output={"required": False, "help": "Write the corrected people to this file."},
)  # fmt: skip
@click.option(
    "--max-gap",
    type=click.IntRange(0, 100_000),
    help="Frames a person may be unseen and still be the same; default: a second, or 30.",
)
@click.option(
    "--split",
    "splits",
    type=(str, int),
    multiple=True,
    metavar="PERSON FRAME",
    help="Make two people of one, from FRAME on.",
)
@click.option(
    "--merge",
    "merges",
    type=(str, str),
    multiple=True,
    metavar="PERSON OTHER",
    help="Make one person of two.",
)
@click.option("--keep", "kept", multiple=True, metavar="PERSON", help="Leave out everybody else.")
@click.option("--keep-main", is_flag=True, help="Keep the person seen in most frames.")
@force_option
def tracks(source: Path, output: Path | None, force: bool, **options: Any) -> None:
    """Show who was seen when in INPUT, and correct identities: split, then merge, then keep.

    Frames are counted from the clip's first. Every line is a person: when they were seen (#), for
    how long. Suspicious places follow: jumps within a person, people who begin where another ended.
    Write the corrected people with -o; .csv, .parquet, .nc and .json hold everybody, with their
    identities.
    """
    from hypopose.io import TrackingOptions
    from hypopose.io.recording import read_recording

    if output is not None:
        refuse_overwriting(source, output)
        refuse_existing(output, force=force)
    tracking = None if options["max_gap"] is None else TrackingOptions(max_gap=options["max_gap"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts are in the notes
        recording = read_recording(
            source,
            options["input_format"],
            options["skeleton"],
            options["fps"],
            options["image_size"],
            tracking,
            **reading_given(options),
        )
    for doubt in recording.detections.doubts:
        click.echo(f"Warning: {in_cli_words(doubt)}", err=True)
    recording = corrected(recording, options)
    click.echo("\n".join(describe_people(recording)))
    if output is not None:
        _write(recording, output, options)


def corrected(recording: ReadRecording, options: dict[str, Any]) -> ReadRecording:
    """The recording after all splits, merges and keeps, in this order.

    Raises:
        OptionError: If one of them cannot be done.
    """
    from hypopose.io.people import identities

    for person, frame in options["splits"]:
        recording = identities.split(recording, person, frame)
    for person, other in options["merges"]:
        recording = identities.merge(recording, person, other)
    if options["kept"] and options["keep_main"]:
        raise OptionError("Give either --keep or --keep-main, not both.")
    if options["keep_main"]:
        return identities.keep(recording, [next(iter(recording.people))])
    return identities.keep(recording, options["kept"]) if options["kept"] else recording


def describe_people(recording: ReadRecording) -> list[str]:
    """A line per person, and what is suspicious."""
    from hypopose.io.people import identities

    detections = recording.detections
    n_frames = detections.last_frame - detections.first_frame + 1
    given = {i for i in detections.ids if i is not None}
    found = sum(name not in given for name in recording.people)
    lines = [
        f"{recording.source.path}: {len(recording.people)} people in {n_frames} frames "
        f"({len(recording.people) - found} named by the file, {found} followed)"
    ]
    names = list(recording.people)[:MOST]
    wide = max(map(len, names))
    lines += [f"  {name:<{wide}} {_line(recording, name)}" for name in names]
    if len(recording.people) > MOST:
        lines.append(f"  and {len(recording.people) - MOST} more")
    lines += [
        f"  jump: {j.person} moves {j.distance:.1f} body sizes into frame {j.frame}; if that is "
        f"somebody else: --split {j.person} {j.frame}"
        for j in identities.jumps(recording)[:5]
    ]
    lines += [
        f"  perhaps one: {s.second} begins {s.gap} frames after {s.first} ended, "
        f"{s.distance:.1f} body sizes away: --merge {s.first} {s.second}"
        for s in identities.sequels(recording)[:5]
    ]
    return lines


def _line(recording: ReadRecording, name: str) -> str:
    import numpy as np

    from hypopose.io.recording import frame_range

    rows = recording.people[name]
    first, last = frame_range(recording.detections, rows)
    at = recording.detections.frames[rows] - first
    bins = np.zeros(min(WIDTH, last - first + 1), dtype=bool)
    bins[at * len(bins) // (last - first + 1)] = True
    bar = "".join("#" if seen else "." for seen in bins)
    gaps = int((np.diff(at) > 1).sum())
    return f"{bar} {len(rows)} frames, {at[0]} to {at[-1]}, {gaps} gap{'s' * (gaps != 1)}"


def _write(recording: ReadRecording, output: Path, options: dict[str, Any]) -> None:
    from hypopose.io import save_people
    from hypopose.io.recording import assemble

    people = {
        name: assemble(recording, name, options["image_size"], options["fps"], None)
        for name in recording.people
    }
    save_people(output, people)
    click.echo(f"Wrote {output}: {', '.join(people)}.")

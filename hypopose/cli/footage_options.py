"""Options of the commands that read footage, and the reading itself with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hypopose.types import Keypoints2D

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--detector",
        default="auto",
        show_default=True,
        help="Videos: rtmpose, mediapipe, or auto for the first of them that works here.",
    ),
    click.option(
        "--detector-models",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Videos: folder of RTMPose's models, for machines without network.",
    ),
    click.option("--start", type=float, default=0.0, help="Videos: seconds to skip at first."),
    click.option("--end", type=float, help="Videos: seconds at which to stop."),
    click.option("--every", type=int, default=1, help="Videos: read each N-th frame only."),
)


def footage_options(command: Command) -> Command:
    """Give a command the options of this file."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


FOOTAGE_OPTIONS = ("detector", "detector_models", "start", "end", "every")
"""Names of the options, for records of how a result was made."""


def read_footage(
    source: str | Path, options: Mapping[str, Any], *, journal: Path | None = None
) -> dict[str, Keypoints2D]:
    """Keypoints of everybody in footage, with a progress bar on standard error.

    Args:
        source: A video, picture, folder of pictures, or ``camera:0``.
        options: Of the command: those of this file, and ``fps``.
        journal: Where detections are kept until the run is done.

    Returns:
        As :func:`hypopose.video.detect_people`.
    """
    from hypopose.cli.resume import digest
    from hypopose.errors import OptionError
    from hypopose.io import Source
    from hypopose.io.footage import camera_number
    from hypopose.video import Clip, DetectOptions, choose_detector, detect_people, open_footage

    clip = Clip(options["start"], options["end"], options["every"])
    live = camera_number(source) is not None
    if live and clip.end is None:
        raise OptionError(f"{source} has no end; say with --end after how many seconds to stop.")
    made: dict[str, Any] = {"clip": [clip.start, clip.end, clip.every, clip.max_side]}
    if not live:
        made["input"] = digest(Source(source).path)
        open_footage(source, clip).close()  # says what is wrong with it before models are loaded
    detector, why = choose_detector(options["detector"], options["detector_models"])
    with progress_bar(f"detecting in {Path(source).name}") as advance:
        people = detect_people(
            source,
            detector,
            DetectOptions(clip, options["fps"]),
            progress=advance,
            journal=None if live else journal,
            made_with=made,
        )
    return {name: replace(k, notes=(why, *k.notes)) for name, k in people.items()}


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error with the frames done and the time that is left; none in a file.

    Yields:
        A function of the frames done and, if known, their total.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("frames"), TimeRemainingColumn())  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(
            task, completed=done, total=None if total is None else max(total, done)
        )

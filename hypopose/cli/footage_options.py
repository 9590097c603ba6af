"""Options of the commands that read footage, and the reading itself with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
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
    click.option("--start", type=float, default=0.0, help="Videos: seconds to skip at the start."),
    click.option("--end", type=float, help="Videos: seconds at which to stop."),
    click.option("--every", type=int, default=1, help="Videos: read only every N-th frame."),
)


def footage_options(command: Command) -> Command:
    """Give a command the options of this file."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


FOOTAGE_OPTIONS = ("detector", "detector_models", "start", "end", "every")
"""Names of the options, for records of how a result was made."""


def read_footage(
    source: str | Path,
    options: Mapping[str, Any],
    *,
    journal: Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Keypoints2D]:
    """Keypoints of everybody in footage, with a progress bar on standard error.

    Args:
        source: A video, picture, folder of pictures, or ``camera:0``.
        options: Of the command: those of this file, and ``fps``.
        journal: Where detections are kept.
        progress: Called with the frames done and their total, in place of a bar.

    Returns:
        As :func:`hypopose.video.detect_people`.
    """
    from hypopose.errors import OptionError
    from hypopose.io.footage import camera_number
    from hypopose.video import Clip, DetectOptions, choose_detector, detect_people, open_footage

    clip = Clip(options["start"], options["end"], options["every"])
    live = camera_number(source) is not None
    if live and clip.end is None:
        raise OptionError(f"{source} has no end; say with --end after how many seconds to stop.")
    made: dict[str, Any] = {"clip": [clip.start, clip.end, clip.every, clip.max_side]}
    made["input"] = digest_of(source)
    if not live:
        open_footage(source, clip).close()  # raises for unreadable footage before models are loaded
    detector, why = choose_detector(options["detector"], options["detector_models"])
    bar = progress_bar(f"detecting in {Path(source).name}") if progress is None else None
    with bar or nullcontext(progress) as advance:
        people = detect_people(
            source,
            detector,
            DetectOptions(clip, options["fps"]),
            progress=advance,
            journal=None if live else journal,
            made_with=made,
        )
    return {name: replace(k, notes=(why, *k.notes)) for name, k in people.items()}


def as_read(
    people: Mapping[str, Keypoints2D], reading: Mapping[str, Any], person: str | None, source: Path
) -> dict[str, Keypoints2D]:
    """What was detected, as options of reading keypoint files would have it.

    Args:
        people: By identity.
        reading: ``camera``, ``image_size`` and ``skeleton`` as given.
        person: One person, or None for everybody.
        source: For messages.

    Raises:
        OptionError: If there is no such person, or the options contradict the footage.
    """
    from hypopose.errors import OptionError

    if person is not None and person not in people:
        raise OptionError(f"No person {person!r} in {source}; it has {', '.join(people)}.")
    for name in ("skeleton", "rotate"):
        if name in reading:
            raise OptionError(
                f"--{name} is for keypoint files; detectors bring their skeleton, videos say which "
                "way is up."
            )
    camera = reading.get("camera")
    given = reading.get("image_size") if camera is None else camera.image_size
    _check_size(source, next(iter(people.values())).image_size, given)
    chosen = people if person is None else {person: people[person]}
    if camera is None:
        return dict(chosen)
    return {name: k.with_camera(camera) for name, k in chosen.items()}


def _check_size(source: Path, size: tuple[int, int] | None, given: Sequence[int] | None) -> None:
    """Refuse an image size that is not the footage's."""
    from hypopose.errors import OptionError

    if given is not None and size is not None and tuple(given) != size:
        raise OptionError(
            f"{source} shows {size[0]} x {size[1]} pixels, not {given[0]} x {given[1]}; leave out "
            "--image-size, or give a camera for this size."
        )


def with_footage_size(options: dict[str, Any], sources: Sequence[Path]) -> dict[str, Any]:
    """The options of a command with the footage's size, where --focal or --fov need one.

    Args:
        options: Of the command.
        sources: Its inputs; one, if it is to say the size.
    """
    from hypopose.io.footage import footage_kind

    wanted = options["image_size"] is None and (options["focal"] or options["fov"])
    if not wanted or len(sources) != 1 or footage_kind(sources[0]) is None:
        return options
    from hypopose.video import open_footage

    reader = open_footage(sources[0])
    reader.close()
    return {**options, "image_size": reader.footage.size}


def digest_of(source: str | Path) -> str:
    """A fingerprint of footage; cameras never show the same twice.

    Raises:
        FormatError: If there is no such file.
    """
    from hypopose.cli.resume import digest
    from hypopose.io import Source
    from hypopose.io.footage import camera_number

    if camera_number(source) is not None:
        return f"{source} at {time.time():.3f}"
    return digest(Source(source).path)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON would give them back."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}


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

"""Keypoint files of several views: their names, who is in them, options that they share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypopose.cli.options import reading_given
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.types import Camera, Keypoints2D

Command = TypeVar("Command", bound=Callable[..., Any])

READ = {"skeleton": "skeleton", "format": "input_format", "image_size": "image_size", "fps": "fps"}
"""Keyword of ``load_people`` -> option."""


@dataclass(frozen=True, eq=False)
class ViewFile:
    """What one camera saw.

    Args:
        name: Of the view.
        path: Its file or folder.
        people: Everybody in it.
        first_frame: What the file calls frame 0.
    """

    name: str
    path: Path
    people: Mapping[str, Keypoints2D]
    first_frame: int

    @property
    def n_frames(self) -> int:
        """Frames of the recording."""
        return next(iter(self.people.values())).n_frames


def view_options(command: Command) -> Command:
    """Give a command the options of this file."""
    for option in (
        click.option(
            "--offset",
            "offsets",
            type=(str, float),
            multiple=True,
            metavar="VIEW FRAMES",
            help="Frames by which a view's clock is ahead of the first view's; repeat for several.",
        ),
        click.option(
            "--name",
            "names",
            multiple=True,
            help="Names of the views, in their order; default: what tells their files apart.",
        ),
    ):
        command = option(command)
    return command


def view_names(paths: Sequence[Path], given: Sequence[str] = ()) -> list[str]:
    """Names of views: as given, else file names, or the folders that tell files apart.

    Raises:
        OptionError: If there are fewer than two views, or names are missing or alike.

    Example:
        >>> view_names([Path("a/front.csv"), Path("a/side.csv")])
        ['front', 'side']
        >>> view_names([Path("cam1/out.json"), Path("cam2/out.json")])
        ['cam1', 'cam2']
    """
    if len(paths) < 2:
        raise OptionError("Give the keypoint files of two views or more.")
    resolved = [path.resolve() for path in paths]
    repeated = [str(p) for i, p in enumerate(paths) if resolved[i] in resolved[:i]]
    if repeated:
        raise OptionError(f"{repeated[0]} is given twice; every view has a file of its own.")
    if given:
        if len(given) != len(paths) or len(set(given)) < len(given):
            raise OptionError(
                f"Give --name once for each of the {len(paths)} views, all different; got "
                f"{', '.join(given)}."
            )
        return list(given)
    for depth in range(max(len(path.parts) for path in resolved)):
        names = [_part(path, depth) for path in resolved]
        if len(set(names)) == len(names) and all(names):
            return names
    raise OptionError("The files do not tell the views apart; name them: --name front --name side.")


def _part(path: Path, depth: int) -> str:
    """File name without ending, or the folder so many levels above it."""
    if depth == 0:
        return path.stem
    return path.parts[-1 - depth] if depth < len(path.parts) else ""


def read_views(
    paths: Sequence[Path],
    names: Sequence[str],
    options: Mapping[str, Any],
    cameras: Mapping[str, Camera],
) -> list[ViewFile]:
    """Read the files of views.

    Args:
        paths: Files or folders.
        names: Of the views.
        options: Of the command.
        cameras: Cameras by the name of the view, as far as known.

    Raises:
        FormatError: If a file is not what its format says.
        OptionError: If an option is out of range.
    """
    from hypopose.io import inspect, load_people

    given = {k: options[v] for k, v in READ.items() if options.get(v) is not None}
    given |= reading_given(options)
    found = []
    for path, name in zip(paths, names, strict=True):
        own = dict(given)
        if name in cameras:
            own["camera"] = cameras[name]
            own.pop("image_size", None)
        people = load_people(path, **own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when it was read
            first = inspect(path, **{k: v for k, v in given.items() if k != "camera"}).first_frame
        found.append(ViewFile(name, path, people, first))
    return found


def offsets_of(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """``--offset`` by view.

    Raises:
        OptionError: If a name is no view's, or that of the first.
    """
    given = dict(options["offsets"])
    unknown = [name for name in given if name not in names[1:]]
    if unknown:
        raise OptionError(
            f"--offset {unknown[0]}: offsets belong to {', '.join(names[1:])}, and count from "
            f"{names[0]}."
        )
    return given

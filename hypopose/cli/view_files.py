"""Keypoint files of several views: their names, who is in them, options that they share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypopose.cli.camera_options import refuse_two_lenses
from hypopose.cli.options import reading_given
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.io import CameraRig, RigClock
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
            help="Names of the views, in their order; default: what distinguishes their file "
            "names.",
        ),
    ):
        command = option(command)
    return command


def view_names(paths: Sequence[Path], given: Sequence[str] = (), least: int = 2) -> list[str]:
    """Names of views: as given, else file names, or the folders that tell files apart.

    Raises:
        OptionError: If there are fewer than two views, or names are missing or alike.

    Example:
        >>> view_names([Path("a/front.csv"), Path("a/side.csv")])
        ['front', 'side']
        >>> view_names([Path("cam1/out.json"), Path("cam2/out.json")])
        ['cam1', 'cam2']
    """
    if len(paths) < least:
        raise OptionError("Give the keypoint files of two views or more.")
    resolved = [path.resolve() for path in paths]
    repeated = [str(p) for i, p in enumerate(paths) if resolved[i] in resolved[:i]]
    if repeated:
        raise OptionError(f"{repeated[0]} is given twice; every view has a file of its own.")
    return _one_for_each(given, len(paths)) if given else _telling_apart(resolved)


def _one_for_each(given: Sequence[str], n_views: int) -> list[str]:
    if len(given) != n_views or len(set(given)) < len(given):
        raise OptionError(
            f"Give --name once for each of the {n_views} views, all different; got "
            f"{', '.join(given)}."
        )
    return list(given)


def _telling_apart(resolved: Sequence[Path]) -> list[str]:
    """File names, or the nearest folders that differ."""
    for depth in range(max(len(path.parts) for path in resolved)):
        names = [_part(path, depth) for path in resolved]
        if len(set(names)) == len(names) and all(names):
            return names
    raise OptionError("File names do not distinguish views; name them: --name front --name side.")


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
            warnings.simplefilter("ignore")  # warned of when it was read
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


def cameras_of_views(
    options: Mapping[str, Any], views: Sequence[Path], names: Sequence[str]
) -> dict[str, Camera]:
    """Measured cameras by view; those of a file that has one for all, or one of each name.

    Raises:
        OptionError: If options contradict each other, or the file has other names.
    """
    refuse_two_lenses(options)
    if options["camera_file"] is None:
        return {}
    from hypopose.io import load_cameras

    found = load_cameras(options["camera_file"], options["image_size"])
    if len(found) == 1:
        return dict.fromkeys(names, next(iter(found.values())))
    missing = [name for name in names if name not in found]
    if missing:
        raise OptionError(
            f"{options['camera_file']} has no camera {missing[0]!r}; it has {', '.join(found)}. "
            "Name the views: --name once for each, in their order."
        )
    return {name: found[name] for name in names}


def with_focal(files: Sequence[ViewFile], options: Mapping[str, Any]) -> dict[str, Any]:
    """People by view, with the camera that ``--focal`` or ``--fov`` says."""
    focal, fov = options["focal"], options["fov"]
    if focal is None and fov is None:
        return {file.name: file.people for file in files}
    import torch

    from hypopose.cameras import resolve_camera
    from hypopose.types import Camera

    if focal is not None and not 0 < focal < float("inf"):
        raise OptionError(f"--focal is a length in pixels, got {focal}.")
    found = {}
    for file in files:
        people = list(file.people.values())
        size = resolve_camera(people[0], people[1:]).image_size
        assert size is not None  # resolved
        camera = (
            Camera(torch.tensor([focal, focal]), torch.tensor(size) / 2, size)
            if fov is None
            else replace(Camera.from_fov(size, fov), assumed=False)
        )
        found[file.name] = [person.with_camera(camera) for person in people]
    return found


def names_in_rig(views: Sequence[Path], options: dict[str, Any], rig: CameraRig) -> list[str]:
    """Names of the views, each a camera's.

    Raises:
        OptionError: If one is none.
    """
    names = view_names(views, options["names"])
    unknown = [name for name in names if name not in rig.cameras]
    if unknown:
        raise OptionError(
            f"{options['camera_file']} has no camera {unknown[0]!r}; it has "
            f"{', '.join(rig.cameras)}. Say which view is which: --name once for each, in order."
        )
    return names


def clocks_of(
    files: Sequence[ViewFile], rig: CameraRig, offsets: dict[str, float]
) -> dict[str, RigClock]:
    """Clocks of the views: as told, as the rig found them for these files, else by frame numbers.

    Of files that the rig was not found from, frames of the same number are the same moment.
    """
    from hypopose.io import RigClock

    known = [
        (c := rig.clocks.get(file.name)) is not None and c.belongs_to(file.path, file.n_frames)
        for file in files
    ]
    first = files[0]
    clocks = {}
    for file, own in zip(files, known, strict=True):
        rate = _rate(first, file)
        numbered = rate * first.first_frame - file.first_frame
        if file.name in offsets:
            clocks[file.name] = RigClock(numbered + offsets[file.name], rate)
        elif own and all(known):
            clocks[file.name] = rig.clocks[file.name]
        else:
            clocks[file.name] = RigClock(numbered, rate)
    if rig.clocks and not all(known) and not offsets:
        click.echo(
            "Warning: the rig was found from other recordings, so its clocks do not count; frames "
            "of the same number are taken as the same moment. Say offsets with --offset.",
            err=True,
        )
    return clocks


def _rate(first: ViewFile, other: ViewFile) -> float:
    one, two = (next(iter(f.people.values())).fps for f in (first, other))
    return two / one if one and two else 1.0

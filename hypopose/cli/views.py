"""``--view``: further cameras of one person, for samplers that read several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.types import Keypoints2D

Command = TypeVar("Command", bound=Callable[..., Any])


def view_option(command: Command) -> Command:
    """Give a command the option of this file."""
    return click.option(
        "--view",
        "view_files",
        type=(click.Path(path_type=Path), str),
        multiple=True,
        metavar="INPUT FILE[:NAME]",
        help="Keypoints of the same person and frames by another camera, and that camera, placed "
        "in one world with z up as --camera is; repeat for more. With --sampler platypose.",
    )(command)


def load_views(options: Mapping[str, Any], n_inputs: int) -> tuple[Keypoints2D, ...]:
    """Keypoints of the further cameras, ready to sample.

    Args:
        options: Of the command.
        n_inputs: How many inputs it was given.

    Returns:
        One person per ``--view``, in the order given.

    Raises:
        OptionError: If the sampler reads one camera only, there are several inputs, or it is not
            clear who is meant.
    """
    if not options["view_files"]:
        return ()
    from hypopose.api import default_sampler, prepare
    from hypopose.io import load, load_camera, load_people, split_camera_name
    from hypopose.samplers import SAMPLERS

    sampler = options["sampler"] or default_sampler(options["weights"])
    method = SAMPLERS.get(sampler)
    if method is None or "views" not in {field.name for field in fields(method)}:
        raise OptionError(
            f"The sampler {sampler!r} reads one camera; --view needs --sampler platypose."
        )
    if n_inputs > 1:
        raise OptionError("--view belongs to one input; give the others in runs of their own.")
    if options["camera_file"] is None:
        raise OptionError("--view needs to know where the first camera stands: add --camera.")
    names = {"format": "input_format", "skeleton": "skeleton", "fps": "fps"}
    given = {k: options[v] for k, v in names.items() if options[v] is not None}
    views = []
    for path, camera in options["view_files"]:
        placed = load_camera(*split_camera_name(camera), options["image_size"])
        read = {**given, "camera": placed}
        if options["person"] is not None:
            views.append(prepare(load(path, person=options["person"], **read)))
            continue
        people = load_people(path, **read)
        if len(people) > 1:
            raise OptionError(
                f"{path} shows {len(people)} people: {', '.join(people)}. Say who with --person, "
                "the same label in every file."
            )
        views.append(prepare(next(iter(people.values()))))
    return tuple(views)

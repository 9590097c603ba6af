"""Options of ``hypopose evaluate --protocol``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from hypopose.cli.options import shared
from hypopose.cli.set_option import json_or_text
from hypopose.errors import OptionError

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--protocol",
        metavar="NAME",
        help="Evaluate as published on your copy of a data set: h36m, 3dhp, 3dpw, humaneva, "
        "aist++, custom.",
    ),
    click.option(
        "--variant",
        multiple=True,
        metavar="NAME=VALUE",
        help="A variant of the protocol: keypoints=gt, joints=16, stride=5, ...",
    ),
    click.option(
        "--prediction",
        type=click.Path(path_type=Path),
        help="Score these predictions instead of sampling: npz, npy, h5, mat, json or pkl.",
    ),
    click.option("--unit", type=click.Choice(["m", "cm", "mm"]), default="m", show_default=True,
                 help="Of the predictions."),
    click.option("--axes", default="x,y,z", show_default=True,
                 help="Where right, down and forward are: --axes=x,-y,-z for y up, z backward."),
    click.option("--frame", type=click.Choice(["camera", "world"]), default="camera",
                 show_default=True, help="Of the predictions."),
    click.option("--swap-sides", is_flag=True, help="Exchange left and right of the predictions."),
    shared(skeleton={"help": "Joint set of the predictions; default: the protocol's."}),
    click.option(
        "--consumed",
        multiple=True,
        metavar="DETAIL=WORDS",
        help="What the predictions used: keypoints, camera, root, scale, action or choice; "
        "scale=truth if it was the true one.",
    ),
    click.option("--unchecked", is_flag=True,
                 help="Score predictions without checking their unit, axes and size."),
    click.option("--clip-frames", default=243, show_default=True, type=click.IntRange(min=1),
                 help="Frames of a clip, for scores per clip and the ECE of Platypose."),
    click.option("--card", type=click.Path(path_type=Path),
                 help="Write a model card (Markdown): tables, hashes, command, version, machine."),
)  # fmt: skip

OWN = (
    "protocol", "variant", "prediction", "unit", "axes", "frame", "swap_sides", "skeleton",
    "consumed", "unchecked", "clip_frames", "card",
)  # fmt: skip
"""Names of the parameters."""
OF_PREDICTIONS = ("unit", "axes", "frame", "swap_sides", "skeleton", "consumed", "unchecked")


def protocol_options(command: Command) -> Command:
    """Give a command the options of protocols."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_on_command_line() -> dict[str, Any]:
    """Parameters that the user gave, by name."""
    context = click.get_current_context()
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE
    }


def refuse_others(allowed: tuple[str, ...], why: str) -> None:
    """Stop if an option was given that would be ignored.

    Args:
        allowed: Names of parameters that are not.
        why: Ends the message.

    Raises:
        OptionError: If there is one.
    """
    given = given_on_command_line()
    for parameter in click.get_current_context().command.params:
        name = parameter.name or ""
        if isinstance(parameter, click.Option) and name in given and name not in allowed:
            raise OptionError(f"{parameter.opts[-1]} {why}")


def command_line() -> str:
    """The command as it was given, for records."""
    context = click.get_current_context()
    words = ["hypopose", context.command.name or ""]
    given = given_on_command_line()
    for parameter in context.command.params:
        if parameter.name not in given:
            continue
        value = given[parameter.name]
        if isinstance(parameter, click.Argument):
            words.append(str(value))
        elif value is True:
            words.append(max(parameter.opts, key=len))
        else:
            long = max(parameter.opts, key=len)  # -o=FILE would name a file "=FILE"
            items = value if isinstance(value, tuple) else (value,)
            words += [f"{long}={item}" for item in items]
    return shlex.join(words)


def variants(words: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` words of ``--variant``.

    Raises:
        OptionError: If one has no ``=``.

    Example:
        >>> variants(("stride=5", "skeleton=coco17"))
        {'stride': 5, 'skeleton': 'coco17'}
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise OptionError(f"--variant takes NAME=VALUE, got {word!r}.")
        found[name.strip()] = json_or_text(value)
    return found


def details(words: tuple[str, ...]) -> dict[str, str]:
    """``DETAIL=WORDS`` of ``--consumed``.

    Raises:
        OptionError: If one has no ``=``.

    Example:
        >>> details(("keypoints=CPN", "scale=truth"))
        {'keypoints': 'CPN', 'scale': 'truth'}
    """
    found = {}
    for word in words:
        detail, equals, said = word.partition("=")
        if not equals or not said.strip():
            raise OptionError(f"--consumed takes DETAIL=WORDS, got {word!r}.")
        found[detail.strip()] = said
    return found

"""``--set NAME=VALUE``: any option of a sampler."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hypopose.errors import OptionError

Command = TypeVar("Command", bound=Callable[..., Any])


def settings_option(command: Command) -> Command:
    """Give a command the option of this file."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any option of the sampler: --set flip=false --set precision=bfloat16.",
    )(command)


def read_settings(words: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` words as options: JSON values (numbers, true, null), else text.

    Example:
        >>> read_settings(("eta=0.5", "flip=false", "scheduler=unipc"))
        {'eta': 0.5, 'flip': False, 'scheduler': 'unipc'}
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name == "views":
            raise OptionError("--set takes no views; hypopose sample reads them with --view.")
        if not equals or name in ("denoiser", "skeleton", "n_steps", "weights", "device"):
            raise OptionError(
                f"--set takes NAME=VALUE with an option of the sampler, got {word!r}."
            )
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings

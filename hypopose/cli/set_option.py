"""``--set NAME=VALUE``: any option of a sampler."""

from __future__ import annotations

import json
from typing import Any

import click
from click.core import ParameterSource

from hypopose.errors import OptionError


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
        if not equals or name in (
            "network",
            "denoiser",
            "skeleton",
            "n_steps",
            "weights",
            "device",
        ):
            raise OptionError(
                f"--set takes NAME=VALUE with an option of the sampler, got {word!r}."
            )
        settings[name] = json_or_text(value)
    return settings


def json_or_text(value: str) -> Any:
    """A word as JSON, or itself.

    Example:
        >>> json_or_text("0.5"), json_or_text("true"), json_or_text("unipc")
        (0.5, True, 'unipc')
    """
    try:
        return json.loads(value)
    except ValueError:
        return value


def refuse_sampling_options(others: tuple[str, ...]) -> None:
    """Stop where existing results are evaluated: options of sampling would be ignored.

    Args:
        others: Options of this command that are not about sampling.

    Raises:
        OptionError: If one of sampling was given.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if not isinstance(parameter, click.Option) or source != ParameterSource.COMMANDLINE:
            continue
        if name not in ("output", "force", *others):
            raise OptionError(
                f"{parameter.opts[-1]} is for --benchmark; these results have been sampled already."
            )

"""Recommended sampler options of a folder of weights: its ``sampler.json``, checked before use."""

from __future__ import annotations

import math
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypopose.checks import check_choice
from hypopose.errors import CheckpointError, OptionError
from hypopose.networks.recorded_config import read_json

SAMPLER_FILE = "sampler.json"
"""Name of the file in a folder of weights."""

MAX_ITEMS = 64
"""Longest list."""

LARGEST = {"n_steps": 10_000, "n_timesteps": 100_000}
"""Largest whole number of an option; that of others is a million."""


def read_recommended(folder: Path) -> dict[str, Any]:
    """Read ``sampler.json``.

    Args:
        folder: Of weights.

    Returns:
        The sampler's name under ``sampler``, and options by name; empty without the file.

    Raises:
        CheckpointError: If it is not a JSON object of words, numbers and switches.
    """
    path = folder / SAMPLER_FILE
    if not path.is_file():
        return {}
    options = read_json(path)
    for name, value in options.items():
        if not isinstance(value, str | int | float | bool | list | NoneType):
            raise CheckpointError(f"{path}: {name!r} is a {type(value).__name__}, not a value.")
    if not isinstance(options.get("sampler", ""), str):
        raise CheckpointError(f"{path}: 'sampler' is the name of a sampler.")
    return options


def check_recommended(method: Any, options: dict[str, Any], folder: Path) -> None:
    """Check recommended options against the annotations of a sampler.

    Args:
        method: A dataclass; of anything else the annotations are not known.
        options: By name.
        folder: They come from, for the message.

    Raises:
        CheckpointError: If one is unknown, of another type or far out of range.
    """
    if not (is_dataclass(method) and isinstance(method, type)):
        return
    hints = get_type_hints(method)
    path = folder / SAMPLER_FILE
    for name, value in options.items():
        if name not in hints:
            raise CheckpointError(f"{path}: {method.__name__} has no option {name!r}.")
        try:
            _check_value(name, value, hints[name])
        except OptionError as error:
            raise CheckpointError(f"{path}: {error}") from error


def _check_value(name: str, value: Any, hint: Any) -> None:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return
    kind = kinds[0]
    if get_origin(kind) is Literal:
        check_choice(name, value, get_args(kind))
    elif kind is bool and not isinstance(value, bool):
        raise OptionError(f"{name} is true or false, got {value!r}.")
    elif kind in (int, float):
        _check_number(name, value, whole=kind is int)
    elif get_origin(kind) is tuple:
        _check_list(name, value)
    elif kind not in (bool, str):
        raise OptionError(f"{name} is not set in a file.")


def _check_list(name: str, value: Any) -> None:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise OptionError(f"{name} is a list of at most {MAX_ITEMS} numbers.")
    for item in value:
        _check_number(name, item, whole=False)


def _check_number(name: str, value: Any, *, whole: bool) -> None:
    largest = LARGEST.get(name, 1_000_000)
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    if type(value) not in kinds or not math.isfinite(value) or abs(value) > largest:
        what = "whole number" if whole else "number"
        shown = repr(value)[:40]
        raise OptionError(f"{name} is a {what} of at most {largest}, got {shown}.")

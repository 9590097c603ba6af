"""The arguments a network is built from: checked, recorded, and read from ``config.json``.

A weights folder may be untrusted. Every argument is checked against the annotation of the
network's ``__init__`` and a range, before anything is built or allocated.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hypopose.checks import check_choice
from hypopose.errors import CheckpointError, OptionError
from hypopose.skeletons import SKELETONS

MAX_JSON_BYTES = 1 << 20
"""Longest JSON file of a weights folder."""

MAX_ITEMS = 64
"""Longest list of an argument."""

Init = TypeVar("Init", bound=Callable[..., None])


class Config(Mapping[str, Any]):
    """Arguments by name, as items and as attributes; they cannot be changed.

    Args:
        values: Arguments by name.

    Example:
        >>> config = Config({"width": 16})
        >>> config.width, config["width"], dict(config)
        (16, 16, {'width': 16})
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        vars(self).update(values)

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]

    def __getattr__(self, name: str) -> Any:  # only asked for names that are absent
        raise AttributeError(f"The config has no {name!r}.")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("A network's config cannot be changed; build another network.")

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self))

    def __len__(self) -> int:
        return len(vars(self))

    def __repr__(self) -> str:
        return f"Config({vars(self)})"


def recorded(init: Init) -> Init:
    """Decorate a network's ``__init__``: its arguments are checked and kept as ``self.config``.

    A subclass that calls the ``__init__`` of its base records the arguments of both.

    Args:
        init: Every argument is annotated.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        values = {name: value for name, value in bound.arguments.items() if name != "self"}
        check_arguments(init, values)
        before = vars(self).get("config", {})
        object.__setattr__(self, "config", Config({**before, **values}))
        init(self, *args, **kwargs)

    return wrapper  # type: ignore[return-value]


def check_arguments(init: Callable[..., None], values: Mapping[str, Any]) -> None:
    """Check arguments against their annotations and ranges.

    Args:
        init: Of a network.
        values: Some or all of its arguments.

    Raises:
        OptionError: If one is unknown, of another type or out of range.
    """
    hints = _hints(init)
    for name, value in values.items():
        if name not in hints:
            raise OptionError(f"{name!r} is unknown; known are {', '.join(hints)}.")
        _check_value(name, value, hints[name])


@cache
def _hints(init: Callable[..., None]) -> dict[str, Any]:
    hints = get_type_hints(inspect.unwrap(init))
    return {name: hint for name, hint in hints.items() if name != "return"}


def _check_value(name: str, value: Any, hint: Any) -> None:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        kinds = get_args(hint)
        if value is None and NoneType in kinds:
            return
        hint = next(kind for kind in kinds if kind is not NoneType)
        origin = get_origin(hint)
    if origin is Literal:
        check_choice(name, value, get_args(hint))
    elif origin in (list, tuple):
        _check_items(name, value)
    elif origin is dict:
        if not isinstance(value, Mapping):
            raise OptionError(f"{name} is an object of options, got {_short(value)}.")
    else:
        _CHECKS[hint](name, value)


def _check_items(name: str, value: Any) -> None:
    """Lists hold whole numbers."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_ITEMS:
        raise OptionError(f"{name} is a list of 1 to {MAX_ITEMS} numbers, got {_short(value)}.")
    for item in value:
        _check_whole(name, item)


def _check_whole(name: str, value: Any) -> None:
    low, high = WHOLE.get(name, (1, 4096))
    if type(value) is not int or not low <= value <= high:
        raise OptionError(f"{name} is a whole number from {low} to {high}, got {_short(value)}.")


def _check_number(name: str, value: Any) -> None:
    low, high = NUMBERS.get(name, (0.0, 1e6))
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise OptionError(f"{name} is a number from {low:g} to {high:g}, got {_short(value)}.")


def _check_switch(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise OptionError(f"{name} is true or false, got {_short(value)}.")


def _check_word(name: str, value: Any) -> None:
    if name.endswith("skeleton"):
        check_choice(name, value, SKELETONS)
    elif not isinstance(value, str) or not 0 < len(value) <= MAX_ITEMS:
        raise OptionError(f"{name} is a name, got {_short(value)}.")


_CHECKS: dict[Any, Callable[[str, Any], None]] = {
    int: _check_whole,
    float: _check_number,
    bool: _check_switch,
    str: _check_word,
}

WHOLE: dict[str, tuple[int, int]] = {
    "width": (1, 65536),
    "hidden": (1, 262144),
    "rep_width": (1, 65536),
    "n_frames": (1, 8192),
    "max_frames": (1, 100_000),
    "n_timesteps": (1, 100_000),
    "n_latent": (0, 65536),
    "n_shared": (0, 4096),
    "n_vertices": (1, 200_000),
    "n_faces": (1, 400_000),
    "n_coarse": (1, 65536),
    "cond_dim": (1, 65536),
    "decoder_depth": (0, 4096),
    "parents": (-1, 4096),
    "pruned": (0, 8192),
}
"""Ranges of whole numbers; those of others are 1 to 4096."""

NUMBERS: dict[str, tuple[float, float]] = {
    "dropout": (0.0, 1.0),
    "drop_path": (0.0, 1.0),
    "mlp_ratio": (1e-3, 1e3),
    "scale": (1e-6, 1e6),
    "layer_scale": (0.0, 1e3),
}
"""Ranges of numbers."""


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | NoneType) else ""
    return text if 0 < len(text) <= MAX_ITEMS else f"a {type(value).__name__}"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a weights folder.

    Args:
        path: Of at most 1 MiB.

    Raises:
        CheckpointError: If it is absent, too long, no JSON object, or nested too deeply.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is absent; a folder of weights holds it.")
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise CheckpointError(f"{path} has {size} bytes; at most {MAX_JSON_BYTES} are read.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path} is not a JSON object: {error}.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object but a {type(value).__name__}.")
    return value

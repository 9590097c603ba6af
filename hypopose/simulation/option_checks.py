"""Options as dataclasses: checks of ranges, and reading from JSON, with errors that name them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hypopose.errors import OptionError

T = TypeVar("T")

MAX_COUNT = 2**62
"""Whole numbers of options are smaller."""


def check_range(options: Any, low: float, high: float, *names: str) -> None:
    """Raise unless options, or every number of a pair, lie in a range.

    Args:
        options: Has the attributes.
        low: Least value allowed.
        high: Greatest value allowed.
        *names: Attributes to check.

    Raises:
        OptionError: If one is out of range or not a number.
    """
    for name in names:
        value = getattr(options, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not numbers or not all(_is_within(number, low, high) for number in numbers):
            kind = "holds numbers" if isinstance(value, tuple) else "is a number"
            raise OptionError(f"{name} {kind} between {low:g} and {high:g}, got {value!r}.")


def check_shares(options: Any, *names: str) -> None:
    """Raise unless options are shares, 0 to 1.

    Args:
        options: Has the attributes.
        *names: Attributes to check.

    Raises:
        OptionError: If one is not.
    """
    for name in names:
        value = getattr(options, name)
        if not _is_within(value, 0.0, 1.0):
            raise OptionError(f"{name} is a share, 0 to 1, got {value!r}.")


def check_interval(options: Any, low: float, high: float, *names: str) -> None:
    """Raise unless options are intervals ``(least, greatest)`` inside a range.

    Args:
        options: Has the attributes.
        low: Least value allowed.
        high: Greatest value allowed.
        *names: Attributes to check.

    Raises:
        OptionError: If one is not.
    """
    for name in names:
        value = getattr(options, name)
        ok = isinstance(value, tuple) and len(value) == 2
        if not ok or not all(_is_within(v, low, high) for v in value) or value[0] > value[1]:
            raise OptionError(
                f"{name} is an interval (least, greatest) between {low:g} and {high:g}, "
                f"got {value!r}."
            )


def _is_within(value: Any, low: float, high: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and low <= value <= high


def from_dict(kind: type[T], data: Any, *, name: str) -> T:
    """Build a dataclass of options from what JSON holds.

    Lists become tuples, whole numbers become floats where a field asks for one, and dictionaries
    become the dataclasses that their fields ask for.

    Args:
        kind: A dataclass.
        data: Names and values; absent names keep their defaults.
        name: Named in errors.

    Returns:
        An instance.

    Raises:
        OptionError: If a name is unknown, or a value has another type than its field.

    Example:
        >>> from hypopose.simulation import BodyOptions
        >>> from_dict(BodyOptions, {"bone_sd": [0, 0.1]}, name="bodies").bone_sd
        (0.0, 0.1)
    """
    if not isinstance(data, dict):
        raise OptionError(f"{name} holds options by name, got {_shown(data)}.")
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in set(data) - set(hints))
    if unknown:
        raise OptionError(f"{name} has no option {unknown[0]!r}; it has {', '.join(hints)}.")
    values = {key: _as(hints[key], value, f"{name}.{key}") for key, value in data.items()}
    absent = [
        f.name
        for f in fields(kind)  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in values
    ]
    if absent:
        raise OptionError(f"{name} needs the option {absent[0]!r}.")
    return kind(**values)


def given(options: Any) -> dict[str, Any]:
    """Options that differ from their defaults, nested as their dataclasses are, ready for JSON."""
    out: dict[str, Any] = {}
    for f in fields(options):
        value = getattr(options, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if value == default:
            continue
        if is_dataclass(value):
            law = {"law": value.law} if hasattr(value, "law") else {}
            out[f.name] = given(value) | law
        else:
            out[f.name] = value
    return out


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _as(hint: Any, value: Any, name: str) -> Any:
    """A JSON value as a field's annotation has it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _as_one_of(inner, value, name)
    if is_dataclass(hint):
        return from_dict(hint, value, name=name)  # type: ignore[arg-type]
    if origin is tuple:
        return _as_tuple(inner, value, name)
    if origin in (dict, Mapping) and isinstance(value, dict):
        return value
    if origin is Literal and value in inner:
        return value
    return _as_plain(hint, value, name)


_FITS: dict[Any, Callable[[Any], bool]] = {
    float: lambda value: type(value) in (int, float) and math.isfinite(value),
    int: lambda value: type(value) is int and abs(value) < MAX_COUNT,
    bool: lambda value: isinstance(value, bool),
    str: lambda value: isinstance(value, str),
    NoneType: lambda value: value is None,
    Any: lambda value: True,
}
"""Annotation -> whether a JSON value is one."""


def _as_plain(hint: Any, value: Any, name: str) -> Any:
    if hint not in _FITS or not _FITS[hint](value):
        raise OptionError(f"{name} is {_described(hint)}, got {_shown(value)}.")
    return float(value) if hint is float else value


def _as_tuple(inner: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise OptionError(f"{name} is a list, got {_shown(value)}.")
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_as(inner[0], item, name) for item in value)
    if len(value) != len(inner):
        raise OptionError(f"{name} is a list of {len(inner)}, got {_shown(value)}.")
    return tuple(_as(hint, item, name) for hint, item in zip(inner, value, strict=True))


def _as_one_of(inner: tuple[Any, ...], value: Any, name: str) -> Any:
    """The first member of a union that takes the value; dataclasses are told apart by ``law``."""
    laws = [hint for hint in inner if is_dataclass(hint) and isinstance(value, dict)]
    named = [hint for hint in laws if value.get("law") == getattr(hint, "law", None)]
    errors = []
    for hint in named or inner:
        try:
            return _as(hint, value, name)
        except OptionError as error:
            errors.append(error)
    raise errors[0]


def _described(hint: Any) -> str:
    words: dict[Any, str] = {
        float: "a finite number",
        int: "a whole number below 2**62",
        bool: "true or false",
        str: "a text",
    }
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices:
        return f"one of {', '.join(map(str, choices))}"
    return words.get(hint, str(hint))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

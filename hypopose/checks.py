"""Checks of options that many methods share; each raises one line that says what was expected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hypopose.errors import OptionError


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Refuse a word that is none of the choices.

    Args:
        name: Of the option.
        value: What was given.
        choices: What is allowed.

    Raises:
        OptionError: If the value is none of them.

    Example:
        >>> check_choice("precision", "float32", ("float32", "bfloat16"))
    """
    known = list(choices)
    if not isinstance(value, str | int | float | None) or value not in known:
        shown = repr(value) if len(repr(value)) <= 64 else f"a {type(value).__name__}"
        raise OptionError(f"{name}={shown} is not one of {', '.join(map(str, known))}.")


def check_positive(**values: float | int | None) -> None:
    """Refuse numbers that are not positive and finite; None is allowed.

    Args:
        **values: Options by name.

    Raises:
        OptionError: If one is not positive.

    Example:
        >>> check_positive(scale=3.0, clamp=None)
    """
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise OptionError(f"{name} must be positive and finite, got {value}.")


def check_between(low: float | int, high: float | int, **values: float | int) -> None:
    """Refuse numbers outside a closed range.

    Args:
        low: Least allowed.
        high: Most allowed.
        **values: Options by name.

    Raises:
        OptionError: If one lies outside.

    Example:
        >>> check_between(0, 1, eta=0.5)
    """
    for name, value in values.items():
        if not low <= value <= high:
            raise OptionError(f"{name} lies between {low:g} and {high:g}, got {value}.")


def check_n_hypotheses(n_hypotheses: int) -> None:
    """Refuse to draw no hypothesis.

    Args:
        n_hypotheses: How many are to be drawn.

    Raises:
        OptionError: If there is less than one.
    """
    if n_hypotheses < 1:
        raise OptionError(f"n_hypotheses must be at least 1, got {n_hypotheses}.")

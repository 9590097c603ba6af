"""Checks of options that many methods share; each raises one line that says what was expected."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

from hypopose.errors import OptionError

BYTES = 12
"""Of a coordinate while it is drawn: the result and what it is made of."""
ASSUMED_MEMORY = 64 * 2.0**30
"""Bytes of memory where the system does not say."""


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


def check_room(n_hypotheses: int, n_poses: int, n_joints: int) -> None:
    """Refuse hypotheses that this machine's memory does not hold.

    Args:
        n_hypotheses: How many are to be drawn.
        n_poses: Frames of each, over all clips.
        n_joints: Joints of a pose.

    Raises:
        OptionError: If they need more memory than available; states how much.

    Example:
        >>> check_room(20, 1000, 17)
    """
    needed = float(n_hypotheses) * n_poses * (n_joints + 1) * 3 * BYTES
    try:
        there = float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no such system call here
        there = ASSUMED_MEMORY
    if needed > there:
        raise OptionError(
            f"{n_hypotheses} hypotheses of {n_poses} frames take about {needed / 2**30:.3g} GiB, "
            f"and this machine has {there / 2**30:.3g}; draw fewer (n_hypotheses)."
        )

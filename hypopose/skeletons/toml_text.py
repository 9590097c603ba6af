"""Untrusted TOML: the standard library's parser, with limits on slow constructs."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_BYTES = 1 << 19
"""A larger file is refused."""

MAX_LINES = 20_000
MAX_DOTS = 20
"""Dots in a key or a table's name, at most: tables nest as deep."""

_BETWEEN = re.compile(r"[=,\[\]{}\n]")


def parse_toml(text: str) -> dict[str, Any]:
    r"""Read TOML text.

    Args:
        text: At most :data:`MAX_BYTES` characters and :data:`MAX_LINES` lines.

    Returns:
        The table.

    Raises:
        ValueError: If the text is longer, its keys nest deeper than :data:`MAX_DOTS`, or it is not
            TOML; the message is a reason.

    Example:
        >>> parse_toml("[a]\nb = 1")
        {'a': {'b': 1}}
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"{len(text)} characters, more than {MAX_BYTES}")
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise ValueError(f"{len(lines)} lines, more than {MAX_LINES}")
    deepest = max(piece.count(".") for piece in _BETWEEN.split(text))
    if deepest > MAX_DOTS:
        raise ValueError(f"a key with {deepest} dots, more than {MAX_DOTS}")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None

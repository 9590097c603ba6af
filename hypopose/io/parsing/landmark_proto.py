"""MediaPipe's text protos: ``landmarks { landmark { x: y: z: visibility: presence: } }``.

A field that is zero is left out of a text proto. The text is read in one pass, token by token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from hypopose.io.source import Source

N_LANDMARKS = 33
MAX_TEXT_BYTES = 64 * 2**20
MAX_NESTING = 20

_OPENING = re.compile(r"\s*landmarks?\s*:?\s*\{")
_COMMENT = re.compile(r"#[^\n]*")
_TOKEN = re.compile(r"[A-Za-z_]\w*|[{}:]|[^\s{}:]+")
_WORD = re.compile(r"[A-Za-z_]")
_NOT_FIELDS = ("nan", "inf", "infinity")
_STEPS = {"{": 1, "}": -1}
_READ = ("x", "y", "z", "visibility")


def is_landmark_proto(lines: Sequence[str]) -> bool:
    """Whether one of the lines opens a list of landmarks."""
    return any(_OPENING.match(line[:200]) for line in lines)


def read_landmark_proto(source: Source) -> list[Float[np.ndarray, "33 4"]]:
    """x, y, z and visibility of the landmarks of every person.

    Raises:
        FormatError: If it is not a text proto of 33 landmarks per person.
    """
    text = source.read_text(MAX_TEXT_BYTES, "a frame of landmarks")
    points = list(_landmarks(source, text))
    if not points or len(points) % N_LANDMARKS:
        raise source.error(
            f"{len(points)} landmarks, not {N_LANDMARKS} per person",
            "write pose landmarks, all of them",
        )
    return list(np.array(points).reshape(-1, N_LANDMARKS, 4))


def _landmarks(source: Source, text: str) -> Iterator[tuple[float, float, float, float]]:
    """x, y, z and visibility of every ``landmark { ... }``."""
    tokens = _TOKEN.findall(_COMMENT.sub(" ", text))
    depth = _depth_at_end(source, tokens)
    field = ""
    current: dict[str, float] | None = None
    for token in tokens:
        if token == "{":
            current = {} if field == "landmark" else None
        elif token == "}":
            if current is not None:
                yield _point(current)
            current = None
        elif _is_field(token):
            field = token
        elif current is not None and field in _READ and token != ":":
            current[field] = _value(source, token)
    if depth != 0:
        raise source.error("its braces do not match", "the file may be cut off, write it again")


def _depth_at_end(source: Source, tokens: Sequence[str]) -> int:
    """Braces that are open at the end, negative if one closes that was never opened."""
    depth = 0
    for token in tokens:
        depth += _STEPS.get(token, 0)
        if depth > MAX_NESTING:
            raise source.error("nested too deeply", "this is not a frame of landmarks")
        if depth < 0:
            break
    return depth


def _is_field(token: str) -> bool:
    return _WORD.match(token) is not None and token.lower() not in _NOT_FIELDS


def _value(source: Source, token: str) -> float:
    try:
        return float(token.rstrip(",;fF"))
    except ValueError:
        raise source.error(f"expected a number, got {token[:40]!r}", "write it again") from None


def _point(fields: dict[str, float]) -> tuple[float, float, float, float]:
    x, y, z = (fields.get(name, 0.0) for name in "xyz")
    return x, y, z, fields.get("visibility", float("nan"))

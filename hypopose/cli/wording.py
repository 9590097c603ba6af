"""Messages in the words of the command line.

Errors and doubts name keywords of Python (``image_size=(W, H)``); on the command line they name
options (``--image-size W H``).
"""

from __future__ import annotations

import re

_OPTIONS = {
    "skeleton": "--skeleton",
    "format": "--input-format",
    "image_size": "--image-size",
    "person": "--person",
    "fps": "--fps",
    "camera": "--camera",
    "unit": "--camera-unit",
    "rotate": "--rotate",
    "y_up": "--y-up",
    "fractions": "--fractions",
    "resample": "--resample",
    "ignore_identities": "--ignore-identities",
    "keep_identities": "--keep-identities",
    "min_joints": "--min-joints",
}
_WORD = re.compile(
    rf"(?<![\w-])(?P<name>{'|'.join(_OPTIONS)})=(?P<value>\([^()]*\)|[\w./:-]*[\w/:-])?"
)


def in_cli_words(text: str) -> str:
    """A message whose keywords are the command line's options.

    Example:
        >>> in_cli_words("give it: image_size=(W, H), or fractions=True; check skeleton=")
        'give it: --image-size W H, or --fractions; check --skeleton'
    """
    return _WORD.sub(_option, text)


def _option(match: re.Match[str]) -> str:
    value = match["value"] or ""
    words = "" if value == "True" else value.strip("()").replace(",", "")
    return f"{_OPTIONS[match['name']]} {words}".strip()

"""Messages in the words of the command line.

Errors and doubts name keywords of Python (``image_size=(W, H)``); on the command line they name
options (``--image-size W H``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPTIONS = {
    "skeleton": "--skeleton",
    "format": "--input-format",
    "image_size": "--image-size",
    "person": "--person",
    "fps": "--fps",
    "height": "--height",
    "camera": "--camera",
    "unit": "--camera-unit",
    "rotate": "--rotate",
    "y_up": "--y-up",
    "fractions": "--fractions",
    "resample": "--resample",
    "ignore_identities": "--ignore-identities",
    "keep_identities": "--keep-identities",
    "min_joints": "--min-joints",
    "up": "--up",
    "to": "--to",
    "mirror": "--mirror",
    "masks": "--mask",
    "mask_values": "--mask-values",
    "mask_start": "--mask-start",
}
_OF_COMMAND = {"import": {"unit": "--unit"}}
"""Options that another command calls otherwise."""
_WORD = re.compile(
    rf"(?<![\w-])(?<!--variant )(?P<name>{'|'.join(_OPTIONS)})="
    r"(?P<value>\([^()]*\)|[\w./:-]*[\w/:-])?"
)


def in_cli_words(text: str, command: str | None = None) -> str:
    """A message whose keywords are the command line's options.

    Args:
        text: A message.
        command: The command it is printed by, which may have options of its own.

    Example:
        >>> in_cli_words("give it: image_size=(W, H), or fractions=True; check skeleton=")
        'give it: --image-size W H, or --fractions; check --skeleton'
        >>> in_cli_words("add --variant skeleton=coco17")
        'add --variant skeleton=coco17'
    """
    own = _OF_COMMAND.get(command or "", {})
    return _WORD.sub(lambda match: _option(match, own), text)


def _option(match: re.Match[str], own: Mapping[str, str]) -> str:
    value = match["value"] or ""
    words = "" if value == "True" else value.strip("()").replace(",", "")
    return f"{own.get(match['name'], _OPTIONS[match['name']])} {words}".strip()

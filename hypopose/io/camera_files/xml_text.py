"""XML of calibration tools: the standard library's parser, without entities, and bounded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from hypopose.io.camera_files.refusals import camera_error
from hypopose.io.source import Source

MAX_BYTES = 8 * 2**20
"""A larger file is refused."""

MAX_DEPTH = 32

_FIRST = re.compile(r"\A\s*(?:<\?[^>]*>\s*|<!--[^>]*-->\s*)*<(\w+)")


def is_xml(source: Source, root: str) -> bool:
    """Whether a text file's first element has this name."""
    found = _FIRST.search("\n".join(source.opening)[:4096])
    return found is not None and found[1] == root


def parse_xml(source: Source) -> ElementTree.Element:
    """The root element of a file.

    Raises:
        FormatError: If it is not XML, too large, nested too deeply, or declares entities.
    """
    text = source.read_text(MAX_BYTES, "a camera file")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise source.error("XML with entities or a document type", "take these lines out")
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    depth, root = 0, None
    try:
        for at in range(0, len(text), 65536):
            parser.feed(text[at : at + 65536])
            for event, element in parser.read_events():
                depth += 1 if event == "start" else -1
                root = element if root is None else root
                if depth > MAX_DEPTH:
                    raise source.error("XML nested too deeply", "this is not a camera file")
        parser.close()
    except ElementTree.ParseError as error:
        raise source.error(f"not valid XML ({str(error)[:80]})", "export it again") from None
    if root is None or depth != 0:
        raise source.error("not valid XML (cut off)", "export it again")
    return root


def values_of(
    attributes: Mapping[str, str], place: str, key: str, n: int | None = None
) -> list[float]:
    """The numbers of an attribute.

    Args:
        attributes: Of an element.
        place: File and camera, for messages.
        key: The attribute.
        n: How many there should be; any number if None.

    Raises:
        FormatError: If it is absent or holds anything else.
    """
    try:
        found = [float(word) for word in attributes.get(key, "").split()]
    except ValueError:
        found = [math.nan]
    if not found or (n is not None and len(found) != n) or not all(abs(x) < 1e9 for x in found):
        wanted = "numbers" if n is None else f"{n} number{'s' * (n != 1)}"
        raise camera_error(place, key, f"expected {wanted}", "export the calibration again")
    return found


def value_of(attributes: Mapping[str, str], place: str, key: str) -> float:
    """The number of an attribute.

    Raises:
        FormatError: If it is absent or none.
    """
    return values_of(attributes, place, key, 1)[0]

"""The YAML that calibration tools write, and no more: mappings, lists, numbers and text.

OpenCV's FileStorage writes ``%YAML:1.0`` (which YAML readers refuse), tags such as
``!!opencv-matrix`` and lists that run over several lines; ROS writes the same without tags. This
reader knows block mappings, block lists of scalars or flow lists, and flow lists. Tags are dropped,
nothing is built or run, and anchors, aliases and multi-line text are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hypopose.errors import FormatError

MAX_BYTES = 1 << 20
"""A calibration file larger than this is refused."""

MAX_DEPTH = 16
"""Mappings and lists inside each other, at most."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TOKEN = re.compile(r"\s*(\[|\]|,|\"[^\"]*\"|'[^']*'|[^\[\],\s]+)")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "true": True, "false": False,
    ".nan": float("nan"), ".inf": float("inf"), "-.inf": float("-inf"),
}  # fmt: skip


@dataclass(frozen=True)
class _Line:
    number: int
    indent: int
    text: str


def parse_small_yaml(text: str, file: str) -> Any:
    r"""Read a document.

    Args:
        text: At most a mebibyte.
        file: Its name, for messages.

    Returns:
        Dicts, lists, numbers, texts, booleans and None.

    Raises:
        FormatError: If the text is longer, nested deeper, or uses more of YAML than this.

    Example:
        >>> text = "%YAML:1.0\n---\nK: !!opencv-matrix\n   data: [ 1., 2.,\n 3 ]"
        >>> parse_small_yaml(text, "camera.yml")
        {'K': {'data': [1.0, 2.0, 3]}}
    """
    if len(text) > MAX_BYTES:
        raise FormatError(f"{file}: {len(text)} characters; this is no camera file.")
    lines = _logical_lines(text, file)
    if not lines:
        raise FormatError(f"{file}: the file is empty; write the calibration again.")
    value, rest = _block(lines, 0, lines[0].indent, file, 0)
    if rest < len(lines):
        raise _error(file, lines[rest], "indented unlike the lines above")
    return value


def _logical_lines(text: str, file: str) -> list[_Line]:
    """Lines with something on them; a flow list that is left open takes the next ones in."""
    lines: list[_Line] = []
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = _without_comment(raw).rstrip()
        body = stripped.lstrip(" ")
        if not body or body.startswith(("%", "---", "...")):
            continue
        if lines and _is_open(lines[-1].text):
            last = lines.pop()
            lines.append(_Line(last.number, last.indent, f"{last.text} {body}"))
        else:
            lines.append(_Line(number, len(stripped) - len(body), body))
    if lines and _is_open(lines[-1].text):
        raise _error(file, lines[-1], "a list without its closing bracket")
    return lines


def _without_comment(line: str) -> str:
    at = re.search(r"(^|\s)#", line)
    quoted = '"' in line or "'" in line
    return line if at is None or quoted else line[: at.start()]


def _is_open(text: str) -> bool:
    return text.count("[") > text.count("]")


def _block(lines: list[_Line], i: int, indent: int, file: str, depth: int) -> tuple[Any, int]:
    """The mapping or list that begins at line ``i``; and the first line after it."""
    if depth > MAX_DEPTH:
        raise _error(file, lines[i], f"nested deeper than {MAX_DEPTH}")
    if lines[i].text.startswith("- ") or lines[i].text == "-":
        return _block_list(lines, i, indent, file)
    mapping: dict[str, Any] = {}
    while i < len(lines) and lines[i].indent == indent:
        key, colon, rest = lines[i].text.partition(":")
        if not colon or (rest and not rest.startswith(" ")):
            raise _error(file, lines[i], "expected 'name: value'")
        rest = re.sub(r"^!\S*\s*", "", rest.strip())
        name = key.strip().strip("\"'")
        if name in mapping:
            raise _error(file, lines[i], f"{name!r} stands here twice")
        line, i = lines[i], i + 1
        if rest or i == len(lines) or not _goes_deeper(lines[i], indent):
            mapping[name] = _value(rest, file, line)
        else:
            mapping[name], i = _block(lines, i, lines[i].indent, file, depth + 1)
    return mapping, i


def _goes_deeper(line: _Line, indent: int) -> bool:
    return line.indent > indent or (line.indent == indent and line.text.startswith("-"))


def _block_list(lines: list[_Line], i: int, indent: int, file: str) -> tuple[list[Any], int]:
    items = []
    while i < len(lines) and lines[i].indent == indent and lines[i].text.startswith("-"):
        items.append(_value(lines[i].text[1:].strip(), file, lines[i]))
        i += 1
    return items, i


def _value(text: str, file: str, line: _Line) -> Any:
    if text.startswith("["):
        return _flow_list(text, file, line)
    return _scalar(text, file, line)


def _flow_list(text: str, file: str, line: _Line) -> list[Any]:
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            break
        token, at = match.group(1), match.end()
        if token == "[":
            stack[-1].append([])
            stack.append(stack[-1][-1])
        elif token == "]":
            stack.pop()
        elif token != ",":
            stack[-1].append(_scalar(token, file, line))
        if not 1 <= len(stack) <= MAX_DEPTH:
            raise _error(file, line, "brackets do not match")
    if len(stack) != 1 or len(stack[0]) != 1:
        raise _error(file, line, "brackets do not match")
    return list(stack[0][0])


def _scalar(text: str, file: str, line: _Line) -> Any:
    if text[:1] in ("&", "*", "|", ">", "{"):
        raise _error(file, line, f"{text[:1]!r} is more YAML than camera files need")
    if text[:1] in ('"', "'"):
        return text.strip("\"'")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdigit() and len(text) < 20 else float(text)
    return text


def _error(file: str, line: _Line, problem: str) -> FormatError:
    return FormatError(f"{file}: line {line.number}: {problem}; write the calibration again.")

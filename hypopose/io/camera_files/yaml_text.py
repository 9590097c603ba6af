"""The YAML that calibration tools write, read by PyYAML and bounded.

OpenCV's FileStorage begins with ``%YAML:1.0``, which YAML readers refuse, and marks matrices with
``!!opencv-matrix``. The directive is taken away and tags are ignored: a tagged value is the plain
mapping, list or text that it holds, so nothing a file names is built or run. Size, depth, aliases
and the length of plain words are checked on PyYAML's stream of events, before any value is made.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

from hypopose.errors import FormatError

MAX_BYTES = 1 << 20
"""A calibration file larger than this is refused."""

MAX_DEPTH = 16
"""Mappings and lists inside each other, at most."""

MAX_VALUES = 50_000
"""Numbers, texts and containers, at most."""

MAX_WORD = 400
"""Characters of a text without quotes; longer runs of digits are no numbers."""

_DIRECTIVE = re.compile(r"\A\s*%YAML:1\.\d[^\n]*")
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # of C where PyYAML was built with it
    """PyYAML's safe loader; tags it does not know are ignored, and dates stay text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = Counter(str(key.value)[:80] for key, _ in node.value)
        name, count = next(iter(names.most_common(1)), ("", 0))
        if count > 1:
            raise yaml.MarkedYAMLError(
                problem=f"{name!r} is there twice", problem_mark=node.start_mark
            )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=True)
        return mapping


def _untagged(loader: Any, node: yaml.Node) -> Any:
    """What a value with an unknown tag holds."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_constructor(None, _untagged)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _untagged)
_Loader.add_implicit_resolver(  # 1e-05, which YAML 1.1 takes for text
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+\Z"), list("-+0123456789")
)


def parse_yaml(text: str, file: str) -> Any:
    r"""Read a document.

    Args:
        text: At most a mebibyte.
        file: Its name, for messages.

    Returns:
        Dicts, lists, numbers, texts, booleans and None.

    Raises:
        FormatError: If the text is longer, nested deeper, not YAML, or has aliases.

    Example:
        >>> text = "%YAML:1.0\n---\nK: !!opencv-matrix\n   data: [ 1., 2.,\n 3e-1 ]"
        >>> parse_yaml(text, "camera.yml")
        {'K': {'data': [1.0, 2.0, 0.3]}}
    """
    if len(text) > MAX_BYTES:
        raise FormatError(f"{file}: {len(text)} characters; this is not a camera file.")
    text = _DIRECTIVE.sub("", text, count=1)
    try:
        _check_events(text)
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise _refusal(file, f"{where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _refusal(file, str(error)) from None
    if value is None:
        raise FormatError(f"{file}: the file is empty; write the calibration again.")
    return value


def _check_events(text: str) -> None:
    """Refuse aliases, deep nesting and endless words while the text is only being scanned."""
    depth = 0
    for n, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("anchors and aliases are more YAML than camera files need")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and not event.style:
            _check_word(event.value)
        if depth > MAX_DEPTH or n > MAX_VALUES:
            raise ValueError(f"nested deeper than {MAX_DEPTH}, or more than {MAX_VALUES} values")


def _check_word(word: str) -> None:
    if len(word) > MAX_WORD:
        raise ValueError(f"a number or word of {len(word)} characters")


def _refusal(file: str, problem: str) -> FormatError:
    words = " ".join(problem.split())[:160]
    return FormatError(f"{file}: not readable YAML ({words}); write the calibration again.")

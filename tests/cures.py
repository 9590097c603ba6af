"""Messages that name an option or a call: where they are in the source, and what they say.

A message is a template: constant text with ``{}`` where something is put in. ``source.error`` and
``camera_error`` join problem and cure as ``problem; cure``.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hypopose
from hypopose.cli.wording import _OPTIONS as KEYWORDS
from hypopose.cli.wording import in_cli_words

ROOT = Path(hypopose.__file__).parent

ERRORS = {
    "FormatError", "OptionError", "MissingCameraError", "SkeletonMismatchError", "ShapeError",
    "CheckpointError", "NoImageSizeError",
}  # fmt: skip
"""Exceptions whose first argument is the message."""

NAMES_A_CURE = re.compile(
    rf"(?<![\w-])--[a-z][a-z-]+|(?<![\w.-])(?:{'|'.join(KEYWORDS)})=|hypopose [a-z-]+ "
)


@dataclass(frozen=True)
class Message:
    """A message in the source.

    Args:
        place: File and line.
        templates: Its text; several where the source chooses.
    """

    place: str
    templates: tuple[str, ...]

    def says(self, text: str) -> bool:
        """Whether this message was printed, in the words of Python or of the command line."""
        forms = [f for t in self.templates for f in (t, in_cli_words(t), in_cli_words(t, "import"))]
        return any(re.search(_pattern(form), text) for form in forms)


def _pattern(template: str) -> str:
    words = " ".join(template.split()).rstrip(".")
    return ".*".join(re.escape(part) for part in words.split("{}")).replace(r"\ ", r"\s+")


def _texts(node: ast.expr) -> list[str]:
    """All texts an expression can be, as templates."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)]
    if isinstance(node, ast.BinOp):
        pairs = itertools.product(_texts(node.left), _texts(node.right))
        return [a + b for a, b in pairs]
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    return ["{}"]


def _arguments(call: ast.Call) -> list[ast.expr]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in ERRORS:
        return call.args[:1]
    if name == "error" and len(call.args) >= 2:
        return call.args[:2]
    if name == "camera_error" and len(call.args) >= 4:
        return call.args[2:4]
    return []


@functools.cache
def all_messages() -> tuple[Message, ...]:
    """All messages of the package that name an option or a command."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        if "error(" not in text and "Error(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and (parts := _arguments(node)):
                texts = tuple("; ".join(words) for words in itertools.product(*map(_texts, parts)))
                if any(NAMES_A_CURE.search(words) for words in texts):
                    found.append(Message(f"{path.relative_to(ROOT)}:{node.lineno}", texts))
    return tuple(found)


def messages(folders: tuple[str, ...]) -> Iterator[Message]:
    """The messages of some packages and modules.

    Args:
        folders: Below ``hypopose``: ``io``, or ``cli/sample.py``.
    """
    return (m for m in all_messages() if m.place.startswith(folders))


class CureTable:
    """Cases that provoke an error and then do what it says, for the messages of some packages.

    Args:
        packages: Folders or files below ``hypopose``.
        apart: Words of messages that are not applied here, and why.
    """

    def __init__(self, packages: tuple[str, ...], apart: dict[str, str]) -> None:
        self.cases: dict[str, Callable[[Any], Iterator[Callable[[], Any]]]] = {}
        self._packages, self._apart = packages, apart
        self._said: dict[str, str] = {}

    def case(self, function: Any) -> Any:
        """Add a generator of two calls: the first is refused, the second is the cure."""
        self.cases[function.__name__] = function
        return function

    def apply(self, name: str, box: Any, refusals: tuple[type[Exception], ...]) -> None:
        """The first call is refused in one line, the second succeeds."""
        first, cure = self.cases[name](box)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(refusals) as refused:
                first()
            self._said[name] = str(refused.value)
            assert "\n" not in self._said[name]
            cure()

    def untried(self) -> list[str]:
        """Messages that no case that ran was refused with, and that are not set apart."""
        return [
            f"{m.place}: {m.templates[0][:120]}"
            for m in messages(self._packages)
            if not any(m.says(text) for text in self._said.values())
            and not any(word in text for word in self._apart for text in m.templates)
        ]

    def check_all(
        self, folder: Path, box: Callable[[Path], Any], refusals: tuple[type[Exception], ...]
    ) -> None:
        """Run cases that have not run yet; every message was tried by one of all, or is apart."""
        for name in [name for name in self.cases if name not in self._said]:
            (folder / name).mkdir()
            self.apply(name, box(folder / name), refusals)
        assert not self.untried()

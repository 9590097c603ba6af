"""Samplers, networks, readers, aggregators, metrics and quantities from outside the package.

A name is looked up in the table of the room first, for example ``SAMPLERS``. Then come installed
packages that register it as an entry point, in the group ``hypopose.samplers``,
``hypopose.networks``, ``hypopose.readers``, ``hypopose.aggregators``, ``hypopose.metrics`` or
``hypopose.quantities``::

    [project.entry-points."hypopose.samplers"]
    jitter = "my_package.jitter:Jitter"

A name with a colon is Python code and needs no registration: ``my_package.jitter:Jitter`` imports a
module, ``./jitter.py:Jitter`` runs a file. Only pass on such a name from a source that may run
code: names from data files are looked up with ``code=False``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

from hypopose.errors import OptionError

Kind = Literal["samplers", "networks", "readers", "aggregators", "metrics", "quantities"]
T = TypeVar("T")

_ONE: dict[Kind, str] = {
    "samplers": "sampler",
    "networks": "network",
    "readers": "format",
    "aggregators": "aggregation",
    "metrics": "metric",
    "quantities": "quantity",
}


@dataclass(frozen=True)
class Plugin:
    """Something that was found outside the package.

    Args:
        found: The class, function or instance.
        name: How results name it: the entry point, ``module:Object`` or ``file.py:Object``.
        origin: The distribution and its version, or a hash of the file, so that a result tells
            which code made it.
    """

    found: Any
    name: str
    origin: str


_FOUND: dict[int, Plugin] = {}  # by id; the record keeps the object alive


def look_up(kind: Kind, name: str, table: Mapping[str, T], *, code: bool = True) -> T:
    """The member of a table by name, else the plug-in of that name.

    Args:
        kind: What is wanted; decides the group of entry points.
        name: A name of the table, an entry point, or ``module:Object`` or ``file.py:Object``.
        table: The room's own members. They cannot be replaced.
        code: Whether a name with a colon may import a module or run a file.

    Returns:
        The member. What it must be able to do is checked where it is used.

    Raises:
        OptionError: If there is nothing of that name, or it cannot be imported.

    Example:
        >>> look_up("metrics", "half", {"half": 0.5})
        0.5
    """
    if name in table:
        return table[name]
    plugin = _from_code(name) if code and ":" in name else _from_entry_point(kind, name)
    if plugin is None:
        raise OptionError(_unknown(kind, name, table))
    found: T = plugin.found
    if not any(found is own for own in table.values()):  # a file may import one of ours
        _FOUND[id(found)] = plugin
    return found


def available(kind: Kind, table: Mapping[str, Any]) -> tuple[str, ...]:
    """All names of a kind: the table's, then those that installed packages register.

    Example:
        >>> available("aggregators", {"mean": None})[0]
        'mean'
    """
    return tuple(dict.fromkeys([*table, *(point.name for point in _entry_points(kind))]))


def plugin_of(found: Any) -> Plugin | None:
    """The record of something that :func:`look_up` found outside the package, else None.

    Args:
        found: What it returned. An instance of a class is not the class: ask for its type.

    Returns:
        Name and origin, for the record of a result.

    Example:
        >>> plugin_of(dict) is None
        True
    """
    return _FOUND.get(id(found))


def _unknown(kind: Kind, name: str, table: Mapping[str, Any]) -> str:
    return (
        f"There is no {_ONE[kind]} {name!r}; choose one of {', '.join(available(kind, table))}, "
        "or name your own as package.module:Name or ./file.py:Name."
    )


def _entry_points(kind: Kind) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=f"hypopose.{kind}")


def _from_entry_point(kind: Kind, name: str) -> Plugin | None:
    points = tuple(dict.fromkeys(point for point in _entry_points(kind) if point.name == name))
    if not points:
        return None
    if len({point.value for point in points}) > 1:
        values = " or ".join(point.value for point in points)
        raise OptionError(
            f"Two packages register the {_ONE[kind]} {name!r}; name the one you mean: {values}."
        )
    try:
        found = points[0].load()
    except Exception as error:  # the code of others can raise anything
        raise OptionError(
            f"The {_ONE[kind]} {name!r} ({points[0].value}) cannot be imported: {_words(error)}."
        ) from error
    dist = points[0].dist
    return Plugin(found, name, points[0].value if dist is None else f"{dist.name} {dist.version}")


def _from_code(reference: str) -> Plugin:
    """``module:Object`` or ``file.py:Object``."""
    place, _, attribute = reference.rpartition(":")
    if not place or not attribute:
        raise OptionError(f"{reference!r} is not package.module:Name or ./file.py:Name.")
    is_file = place.endswith(".py")
    module = _run_file(Path(place)) if is_file else _import_module(place)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise OptionError(f"{place} has no {attribute!r}{_similar(part, found)}.")
        found = getattr(found, part)
    name = f"{Path(place).name}:{attribute}" if is_file else reference
    return Plugin(found, name, _hash(module))


def _similar(name: str, owner: Any) -> str:
    public = [word for word in vars(owner) if not word.startswith("_")]
    close = get_close_matches(name, public, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise OptionError(f"{path}: there is no such file; give the path of a Python file.")
    path = path.resolve()
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"hypopose_plugin_{path.stem}_{digest}"  # a file that was edited is run again
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the code of others can raise anything
        del sys.modules[name]
        raise OptionError(f"{path} cannot be imported: {_words(error)}.") from error
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # the code of others can raise anything
        raise OptionError(
            f"The module {name!r} cannot be imported: {_words(error)}. Install its package, or "
            "name a file: ./file.py:Name."
        ) from error


def _hash(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    if file is None:
        return module.__name__
    return f"sha256 {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

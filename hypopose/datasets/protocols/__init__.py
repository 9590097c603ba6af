"""Published ways to evaluate on data that users have: which frames count, and what they are called.

A protocol is a frozen dataclass whose fields are its variants; ``open(folder)`` lists the views of
a folder in the official layout, or refuses it with what is missing. Nothing is downloaded:
``hypopose data fetch-notes NAME`` says where files come from and under which terms.
"""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from typing import Any

from hypopose.datasets.protocols.human36m import Human36M
from hypopose.datasets.protocols.humaneva import HumanEva
from hypopose.datasets.protocols.mpi_inf_3dhp import MpiInf3dhp
from hypopose.datasets.protocols.npz_pairs import AistPlusPlus, NpzPairs
from hypopose.datasets.protocols.protocol_data import (
    EvaluationProtocol,
    ProtocolData,
    ProtocolView,
    PublishedBatches,
    SurfaceTruth,
    ViewEntry,
)
from hypopose.datasets.protocols.threedpw import ThreeDPW
from hypopose.errors import OptionError

__all__ = [
    "PROTOCOLS",
    "AistPlusPlus",
    "EvaluationProtocol",
    "Human36M",
    "HumanEva",
    "MpiInf3dhp",
    "NpzPairs",
    "ProtocolData",
    "ProtocolView",
    "PublishedBatches",
    "SurfaceTruth",
    "ThreeDPW",
    "ViewEntry",
    "fetch_notes",
    "make_protocol",
]

PROTOCOLS: dict[str, Any] = {
    protocol.name: protocol
    for protocol in (Human36M, MpiInf3dhp, ThreeDPW, HumanEva, AistPlusPlus, NpzPairs)
}
"""Name -> protocol."""


def fetch_notes(name: str) -> str:
    """Where a data set comes from, which terms it carries, and how to lay it out.

    Args:
        name: A key of :data:`PROTOCOLS`.

    Raises:
        OptionError: If there is no such protocol.

    Example:
        >>> fetch_notes("h36m").splitlines()[0]
        'Human3.6M (protocol h36m)'
    """
    _check_name(name)
    folder = files("hypopose.datasets.protocols") / "fetch_notes"
    return (folder / f"{name}.txt").read_text(encoding="utf-8")


def _check_name(name: str) -> None:
    if name not in PROTOCOLS:
        raise OptionError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")


def make_protocol(name: str, **variant: Any) -> EvaluationProtocol:
    """A protocol by name.

    Args:
        name: A key of :data:`PROTOCOLS`.
        **variant: Its fields that differ from their defaults.

    Raises:
        OptionError: If there is no such protocol or variant.

    Example:
        >>> make_protocol("h36m", stride=5).stride
        5
    """
    _check_name(name)
    method = PROTOCOLS[name]
    known = {field.name: field.default for field in fields(method)}
    for option, value in variant.items():
        if option not in known:
            raise OptionError(
                f"The protocol {name} has no variant {option!r}; it has {', '.join(known)}."
            )
        if type(value) is not type(known[option]):
            kind = type(known[option]).__name__
            raise OptionError(f"The variant {option} of {name} is a {kind}, got {value!r}.")
    made: EvaluationProtocol = method(**variant)
    return made

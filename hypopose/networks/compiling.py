"""``torch.compile`` for the blocks of a network."""

from __future__ import annotations

import os
import shutil

import torch

from hypopose.errors import BackendError

COMPILERS = ("g++", "clang++", "c++", "cl")
"""C++ compilers that torch looks for."""


def compile_blocks(network: torch.nn.Module) -> None:
    """Compile the blocks of a network, or all of it if it has none, for any shape.

    Calls become faster after the first ones, which take 20 s or so. Changes the network in place.

    Args:
        network: On its device.

    Raises:
        BackendError: If it is on a processor and there is no C++ compiler.
    """
    device = next((p.device.type for p in network.parameters()), "cpu")
    named = os.environ.get("CXX")
    names = (named,) if named else COMPILERS
    if device == "cpu" and not any(map(shutil.which, names)):
        raise BackendError(
            f"compile=True needs a C++ compiler, and there is no {' or '.join(names)}; install "
            "one, or leave compile out."
        )
    for block in getattr(network, "blocks", [network]):
        if block._compiled_call_impl is None:
            block.compile(dynamic=True)

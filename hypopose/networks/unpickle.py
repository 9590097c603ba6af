"""Read the tensors of a PyTorch checkpoint in a process of its own, and write them as safetensors.

Run as ``python -I unpickle.py SOURCE TARGET ENTRY``. torch's ``weights_only`` unpickler refuses
every global that is not on its list. Released checkpoints also hold a numpy ``RandomState``; the
few names it needs are allowed, but stand for :class:`Inert`, which does nothing: no numpy code runs
either. On refusal the last line of standard error says why, and the exit code is 3.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import save_file

ALLOWED_NAMES = (
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random.__RandomState_ctor",
    "numpy.random.mtrand.RandomState",
    "numpy.random.mtrand.__RandomState_ctor",
    "numpy.random._mt19937.MT19937",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "numpy.ndarray",
    "numpy.dtype",
)
"""What a pickled ``RandomState``, old or new, names besides built-in types."""


ENTRIES = ("model_pos", "model", "model_state_dict")
"""Where released checkpoints have their tensors."""


class Inert:
    """Takes the place of an allowed name: accepts anything, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class RefusedCheckpointError(Exception):
    """The file is not a checkpoint we read."""


def extract(source: str, entry: str) -> dict[str, torch.Tensor]:
    """The tensors of ``checkpoint[entry]``, or of the checkpoint if it is a plain dict of them.

    A number as entry is a place in a list; ``*`` looks where released checkpoints have them.

    Raises:
        RefusedError: If the file is damaged, would run code, or has no such entry.
    """
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]]
    allowed = [(Inert, name) for name in ALLOWED_NAMES]
    try:
        with torch.serialization.safe_globals(allowed):
            loaded = torch.load(source, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        IndexError,
    ) as error:
        raise RefusedCheckpointError(_reason(error)) from error
    return _tensors(_entry(loaded, entry), entry)


def _tensors(state: Any, entry: str) -> dict[str, torch.Tensor]:
    if not isinstance(state, dict) or not state:
        what = "dictionary" if entry == "*" else f"dictionary {entry!r}"
        raise RefusedCheckpointError(f"it holds no {what} of tensors")
    tensors = {k: v for k, v in state.items() if isinstance(v, torch.Tensor)}
    if len(tensors) < len(state) or not all(isinstance(k, str) for k in tensors):
        raise RefusedCheckpointError(f"its {entry!r} holds other things than tensors by name")
    return {k: v.detach().clone().contiguous() for k, v in tensors.items()}


def _entry(loaded: Any, entry: str) -> Any:
    """The entry of a dictionary, or of a list if it is a number; else all there is."""
    if entry == "*":
        return _released(loaded)
    if isinstance(loaded, dict):
        return loaded.get(entry, loaded)
    if isinstance(loaded, list) and entry.isdigit() and int(entry) < len(loaded):
        return loaded[int(entry)]
    return loaded


def _released(loaded: Any) -> Any:
    """Under one of :data:`ENTRIES`, first in a list, or all there is."""
    if isinstance(loaded, list):
        return loaded[0] if loaded else loaded
    if isinstance(loaded, dict):
        return next((loaded[k] for k in ENTRIES if k in loaded), loaded)
    return loaded


def _reason(error: Exception) -> str:
    """The line of torch's long message that names the refused global."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (telling or lines or [type(error).__name__])[0]


def main(source: str, target: str, entry: str) -> int:
    """Convert one file; returns the exit code."""
    try:
        save_file(extract(source, entry), target)
    except RefusedCheckpointError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

"""Weights of one byte each: matrices as 8-bit integers with a scale per row.

Bundled weights must stay small. Large matrices are rounded to 255 levels of the largest number
in their row; a scale per row, in half precision, turns them back when they are read. Vectors and
small matrices stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALE_SUFFIX = "::scale"
"""Ends the name of a matrix's scales."""

SMALLEST = 4096
"""Matrices with fewer numbers are not rounded."""


def compact(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Round large matrices to 8 bits.

    Args:
        state: Tensors by name.

    Returns:
        The same names; rounded matrices are int8 and have their scales beside them.

    Example:
        >>> stored = compact({"weight": torch.randn(64, 64), "bias": torch.randn(64)})
        >>> {name: str(x.dtype) for name, x in stored.items()}["weight"]
        'torch.int8'
        >>> sorted(expanded(stored))
        ['bias', 'weight']
    """
    stored: dict[str, Tensor] = {}
    for name, x in state.items():
        if x.dim() < 2 or x.numel() < SMALLEST or not x.is_floating_point():
            stored[name] = x
            continue
        rows = x.detach().float().flatten(1)
        scale = (rows.abs().amax(1) / 127).clamp(min=1e-7).half()
        stored[name] = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
        stored[name] = stored[name].reshape(x.shape)
        stored[name + SCALE_SUFFIX] = scale
    return stored


def expanded(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo :func:`compact`, in float32; tensors that were not rounded are returned as they are."""
    state: dict[str, Tensor] = {}
    for name, x in stored.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        state[name] = x if scale is None else _times(x, scale)
    return state


def _times(x: Tensor, scale: Tensor) -> Tensor:
    return x.float() * scale.float().reshape(-1, *(1,) * (x.dim() - 1))

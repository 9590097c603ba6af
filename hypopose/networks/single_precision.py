"""Poses in single precision inside a network whose matrices are multiplied in bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def single_precision(x: Tensor) -> AbstractContextManager[object]:
    """Turn autocast off: bfloat16 would round a pose to steps of 5 mm.

    Args:
        x: A tensor on the device in question.
    """
    if torch.compiler.is_exporting():  # autocast cannot be exported
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)

"""Poses in single precision inside a network whose matrices are multiplied in bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def whole_bits(x: Tensor) -> AbstractContextManager[object]:
    """No autocast for a while: bfloat16 would round a pose to steps of 5 mm.

    Args:
        x: On the device that is meant.
    """
    if torch.compiler.is_exporting():  # where there is none
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)

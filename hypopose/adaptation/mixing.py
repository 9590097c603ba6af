"""Batches of several kinds of windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.networks.inputs import Encoded
from hypopose.training import Batch

Maker = Callable[[int, int, torch.Generator], Batch]


@dataclass(frozen=True, eq=False)
class Part:
    """One kind of windows.

    Args:
        name: For the record.
        share: Of the windows of a batch; shares are divided by their sum.
        maker: Draws them.
    """

    name: str
    share: float
    maker: Maker


class MixedBatchMaker:
    """Draws batches from several makers.

    Args:
        parts: In a fixed order; those with a share of 0 are left out.

    Raises:
        OptionError: If no share is above 0, or one is below.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        if not parts or min(p.share for p in parts) < 0 or not any(p.share for p in parts):
            raise OptionError("Shares of training windows are not negative and not all 0.")
        self.parts = tuple(p for p in parts if p.share > 0)

    def __call__(self, B: int, F: int, generator: torch.Generator) -> Batch:
        """Draw ``B`` windows of ``F`` frames."""
        total = sum(p.share for p in self.parts)
        u = float(torch.rand((), generator=generator, device=generator.device))
        ends, done = [], 0.0
        for part in self.parts:
            done += part.share / total * B
            ends.append(min(B, int(done + u)))  # the expected count is exact for any shares
        ends[-1] = B
        counts = [b - a for a, b in zip([0, *ends], ends, strict=False)]
        drawn = [p.maker(n, F, generator) for p, n in zip(self.parts, counts, strict=True) if n > 0]
        return joined(drawn)


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several."""
    return Batch(
        _joined_inputs([b.encoded for b in batches]),
        torch.cat([b.target for b in batches]),
        _optional([b.error for b in batches], [b.target[:, None] * 0 for b in batches]),
        _optional(
            [b.known for b in batches], [torch.ones_like(b.target[..., 0]) > 0 for b in batches]
        ),
    )


def _joined_inputs(encoded: Sequence[Encoded]) -> Encoded:
    contexts = [e.context for e in encoded if e.context is not None]
    return Encoded(
        xy=torch.cat([e.xy for e in encoded]),
        confidence=torch.cat([e.confidence for e in encoded]),
        mask=torch.cat([e.mask for e in encoded]),
        context=torch.cat(contexts) if len(contexts) == len(encoded) else None,
        rotation=torch.cat([e.rotation for e in encoded]),
    )


def _optional(given: Sequence[Tensor | None], otherwise: Sequence[Tensor]) -> Tensor | None:
    """Tensors end to end, None if all are None; broadcast over draws where one has them."""
    some = [x for x in given if x is not None]
    if not some:
        return None
    full = [x if x is not None else y for x, y in zip(given, otherwise, strict=True)]
    if some[0].dim() == 5:
        full = [x.expand(-1, some[0].shape[1], -1, -1, -1) for x in full]
    return torch.cat(full)

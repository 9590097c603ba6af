"""Sources of random numbers: seeded for users, recorded for golden cases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from hypopose.errors import OptionError, ShapeError
from hypopose.types import NoiseSource


class _SeededNoise:
    """One generator per (item, hypothesis), kept over the draws of a run."""

    def __init__(self, seed: int, items: Sequence[int | str] | None) -> None:
        self._seed = seed
        self._items = items
        self._generators: dict[tuple[int | str, int], torch.Generator] = {}

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        if len(shape) < 4:
            raise ShapeError(f"Noise has the shape (*items, H, F, J, C), got {shape}.")
        n_items = 1
        for n in shape[:-4]:
            n_items *= n
        items = range(n_items) if self._items is None else self._items
        if len(items) != n_items:
            raise OptionError(f"Noise was seeded for {len(items)} items, but {n_items} came.")
        streams = [
            torch.randn(shape[-3:], generator=self._generator(item, h), dtype=torch.float32)
            for item in items
            for h in range(shape[-4])
        ]
        return torch.stack(streams).reshape(shape)

    def _generator(self, item: int | str, hypothesis: int) -> torch.Generator:
        key = (item, hypothesis)
        if key not in self._generators:
            digest = hashlib.sha256(f"{self._seed}/{item}/{hypothesis}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
            self._generators[key] = generator
        return self._generators[key]


def seeded_noise(seed: int, items: Sequence[int | str] | None = None) -> NoiseSource:
    """Standard normals from a seed; every (item, hypothesis) has its own stream.

    The first five hypotheses are the same whether 5 or 500 are drawn, and a clip's hypotheses are
    the same whether it is sampled alone or in a batch, if ``items`` names it alike.

    Args:
        seed: Any integer.
        items: A name for each item of the flattened batch axes; 0, 1, 2, ... if None.

    Returns:
        A source: each call continues the streams. Use a fresh one to repeat a run.

    Example:
        >>> few = seeded_noise(7)((2, 4, 17, 3))
        >>> many = seeded_noise(7)((5, 4, 17, 3))
        >>> bool((few == many[:2]).all())
        True
    """
    return _SeededNoise(seed, items)


def recorded_noise(draws: Iterable[Tensor]) -> NoiseSource:
    """Replay recorded draws in order, as golden cases need.

    Args:
        draws: The tensors, in the order the sampler asks for them.

    Returns:
        A source that raises :class:`ShapeError` if asked for another shape, or once too often.
    """
    queue = iter(draws)

    def source(shape: tuple[int, ...]) -> Tensor:
        draw = next(queue, None)
        if draw is None or tuple(draw.shape) != tuple(shape):
            came = "no draw is left" if draw is None else f"the next draw is {tuple(draw.shape)}"
            raise ShapeError(f"The sampler asked for noise {tuple(shape)}, but {came}.")
        return draw

    return source

"""Which pixels each triangle reaches: the sparse list that the soft rasterizer works on.

A triangle has an influence on the pixels of its bounding box, enlarged by the distance at which its
influence is cut off. Triangles of a body are small, so that the list is a few percent of all pairs
of triangles and pixels. Where it is still too long, the picture is cut into bands of rows, and
batches into items: tiles that are worked on one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Boxes:
    """Bounding boxes of triangles in pixels, inclusive; empty where the last is below the first.

    Args:
        item: Item of the batch that each triangle belongs to.
        face: Its number in the flattened batch.
        rows: First and last row.
        columns: First and last column.
    """

    item: Int[Tensor, " n"]
    face: Int[Tensor, " n"]
    rows: Int[Tensor, "n 2"]
    columns: Int[Tensor, "n 2"]

    def counts(self) -> Int[Tensor, " n"]:
        """Pixels of each."""
        height = (self.rows[:, 1] - self.rows[:, 0] + 1).clamp(min=0)
        width = (self.columns[:, 1] - self.columns[:, 0] + 1).clamp(min=0)
        return height * width

    def within(self, items: tuple[int, int], rows: tuple[int, int]) -> Boxes:
        """The parts that lie in a tile: items and rows from the first to before the last."""
        here = (self.item >= items[0]) & (self.item < items[1])
        low = self.rows[:, 0].clamp(min=rows[0])
        high = self.rows[:, 1].clamp(max=rows[1] - 1)
        here &= (high >= low) & (self.columns[:, 1] >= self.columns[:, 0])
        span = torch.stack([low, high], 1)
        return Boxes(self.item[here], self.face[here], span[here], self.columns[here])


@dataclass(frozen=True)
class Tile:
    """A part of a batch of pictures.

    Args:
        items: First item, and the one after the last.
        rows: First row, and the one after the last.
    """

    items: tuple[int, int]
    rows: tuple[int, int]


def boxes_of(corners: Float[Tensor, "B T 3 2"], size: tuple[int, int], reach: float) -> Boxes:
    """Bounding boxes of triangles.

    Args:
        corners: Normalized coordinates: the longer side of the picture spans -1 to 1, y is up.
        size: Height and width of the picture.
        reach: Normalized distance beyond the box that still counts.

    Returns:
        Boxes inside the picture; empty for triangles with a corner that is not finite.
    """
    height, width = size
    longer = max(size)
    low, high = corners.amin(2) - reach, corners.amax(2) + reach
    finite = torch.isfinite(corners).flatten(2).all(-1)
    limit = 2.0 * longer  # outside every picture; keeps integers small
    left = ((low[..., 0] * longer + width - 1) / 2).clamp(-limit, limit)
    right = ((high[..., 0] * longer + width - 1) / 2).clamp(-limit, limit)
    top = ((height - 1 - high[..., 1] * longer) / 2).clamp(-limit, limit)
    bottom = ((height - 1 - low[..., 1] * longer) / 2).clamp(-limit, limit)
    spans = [_span(top, bottom, height, finite), _span(left, right, width, finite)]
    B, T = finite.shape
    item = torch.arange(B, device=corners.device).repeat_interleave(T)
    face = torch.arange(B * T, device=corners.device)
    return Boxes(item, face, spans[0].flatten(0, 1), spans[1].flatten(0, 1))


def _span(low: Tensor, high: Tensor, n: int, finite: Tensor) -> Int[Tensor, "B T 2"]:
    first = low.nan_to_num(0.0).ceil().long().clamp(min=0)
    last = high.nan_to_num(0.0).floor().long().clamp(max=n - 1)
    return torch.stack([first, torch.where(finite, last, first - 1)], -1)


def tiles_of(boxes: Boxes, n_items: int, height: int, max_pairs: int) -> Iterator[Tile]:
    """Tiles with few enough pairs each, in order.

    Args:
        boxes: Of all triangles.
        n_items: Pictures in the batch.
        height: Rows of a picture.
        max_pairs: Pairs of triangles and pixels that a tile may have; a single row of one picture
            is never divided.
    """
    waiting = [Tile((0, n_items), (0, height))]
    while waiting:
        tile = waiting.pop()
        n = int(boxes.within(tile.items, tile.rows).counts().sum())
        halves = _halved(tile) if n > max_pairs else ()
        if halves:
            waiting += reversed(halves)
        else:
            yield tile


def _halved(tile: Tile) -> tuple[Tile, ...]:
    """Two halves, of the items as long as there are several; none of a single row."""
    (a, b), (r, s) = tile.items, tile.rows
    if b - a > 1:
        middle = (a + b) // 2
        return Tile((a, middle), tile.rows), Tile((middle, b), tile.rows)
    if s - r > 1:
        middle = (r + s) // 2
        return Tile(tile.items, (r, middle)), Tile(tile.items, (middle, s))
    return ()


def pairs_of(boxes: Boxes) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Rows of ``boxes``, and the picture's row and column, of every pair.

    Example:
        >>> one = torch.tensor([0])
        >>> boxes = Boxes(one, one, torch.tensor([[2, 3]]), torch.tensor([[5, 6]]))
        >>> [x.tolist() for x in pairs_of(boxes)]
        [[0, 0, 0, 0], [2, 2, 3, 3], [5, 6, 5, 6]]
    """
    counts = boxes.counts()
    which = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    first = (counts.cumsum(0) - counts)[which]
    k = torch.arange(len(which), device=counts.device) - first
    width = (boxes.columns[:, 1] - boxes.columns[:, 0] + 1)[which]
    return which, boxes.rows[which, 0] + k // width, boxes.columns[which, 0] + k % width

"""COCO's run lengths: how many pixels in a row, down the columns, are outside, inside, outside, ...

Uncompressed counts are a list. Compressed ones are text: each count is cut into groups of five
bits, the lowest first; a sixth bit says that more follow, 48 is added to make a character, and from
the fourth count on the number is the difference from the count two before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from hypopose.io.source import Source

MAX_SIDE = 16384
"""A picture with a longer side is refused."""
MAX_TEXT = 2**22
"""Compressed counts are no longer than so many characters."""


def decode_mask(source: Source, value: Any, place: str) -> Bool[np.ndarray, "h w"]:
    """A mask from ``{"size": [h, w], "counts": ...}``.

    Args:
        source: The file, for messages.
        value: The object.
        place: Where it is in the file.

    Raises:
        FormatError: If it is none, or its counts do not make up the size.
    """
    h, w = size_of(source, value, place)
    counts = value.get("counts")
    lengths = _from_text(source, counts, place) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(type(n) is int and n >= 0 for n in lengths):
        raise source.error(
            "counts are no list of whole numbers and no text", "write COCO's run lengths", place
        )
    if sum(lengths) != h * w:
        raise source.error(
            f"counts make {sum(lengths)} pixels, the size {h} x {w} has {h * w}",
            "write the mask again",
            place,
        )
    runs = np.array(lengths, np.int64)
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(w, h).T


def size_of(source: Source, value: Any, place: str) -> tuple[int, int]:
    """Height and width of a mask in run lengths.

    Raises:
        FormatError: If it is none.
    """
    size = value.get("size") if isinstance(value, dict) else None
    good = isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)
    if not good or not all(0 < n <= MAX_SIDE for n in size or ()):
        raise source.error(
            f"expected a mask with a size [h, w] of up to {MAX_SIDE} pixels",
            "write COCO's run lengths; polygons become such with pycocotools' annToRLE",
            place,
        )
    assert size is not None
    return size[0], size[1]


def encode_mask(mask: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """Uncompressed run lengths of a mask.

    Args:
        mask: True inside.

    Example:
        >>> encode_mask(np.array([[False, True], [True, True]]))
        {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    ends = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(ends).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[:1].any() else counts}


def _from_text(source: Source, text: str, place: str) -> list[int]:
    if len(text) > MAX_TEXT:
        raise source.error(f"counts of {len(text)} characters", "write smaller masks", place)
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    if len(codes) == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise source.error("counts are damaged", "write the mask again", place)
    lengths = _differences(codes).tolist()
    for i in range(3, len(lengths)):
        lengths[i] += lengths[i - 2]
    return lengths


def _differences(codes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Numbers from groups of five bits; a set fifth bit of the last group makes them negative."""
    last = (codes & 32) == 0
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    number = np.concatenate([[0], np.cumsum(last)[:-1]])
    place = np.arange(len(codes)) - starts[number]
    shifted = (codes & 31) << np.minimum(5 * place, 50)
    total = np.zeros(len(ends), np.int64)
    np.add.at(total, number, shifted)
    bits = np.minimum(5 * (ends - starts + 1), 55)
    return np.where(codes[ends] & 16, total - (np.int64(1) << bits), total)

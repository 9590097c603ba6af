"""Masks in an npz archive: ``masks`` (F, h, w), or (F, P, h, w) for P people.

``frames`` (F) numbers them from 0 where it is absent; ``unknown`` (F, h, w) is true where nothing
is known. An archive with one array may call it anything.
"""

from __future__ import annotations

import numpy as np

from hypopose.io.mask_files.mask_values import Values, frame_of
from hypopose.io.mask_files.masks import FrameMasks, Masks
from hypopose.io.mask_files.run_lengths import MAX_SIDE
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive


def read_arrays(source: Source, kind: Values | None) -> Masks:
    """Masks of an archive.

    Args:
        source: The file.
        kind: What numbers mean; booleans are the person.

    Raises:
        FormatError: If arrays do not belong together.
    """
    archive = NpzArchive(source)
    name = archive.names[0] if len(archive.names) == 1 else "masks"
    values = archive.array(name)
    if values.ndim not in (3, 4) or values.dtype.kind not in "biu" or 0 in values.shape:
        raise source.error(
            f"{name} is {values.dtype} {values.shape}",
            "give booleans or whole numbers (F, h, w), or (F, P, h, w) for P people",
        )
    F, h, w = (values.shape[0], *values.shape[-2:])
    if max(h, w) > MAX_SIDE:
        raise source.error(f"{w} x {h} pixels", f"masks have up to {MAX_SIDE} a side")
    unknown = _unknown(source, archive, (F, h, w))
    rows = {number: row for row, number in enumerate(_numbers(source, archive, F))}

    def read(number: int) -> FrameMasks:
        row = rows[number]
        hidden = None if unknown is None else unknown[row]
        if values.ndim == 4:
            return FrameMasks(tuple(values[row] != 0), hidden)
        found = frame_of(source, values[row], kind, f"frame {number}")
        if hidden is None:
            return found
        hidden = hidden if found.unknown is None else hidden | found.unknown
        return FrameMasks(found.people, hidden, found.labels)

    return Masks(source.path.name, (w, h), tuple(sorted(rows)), read)


def _numbers(source: Source, archive: NpzArchive, n: int) -> list[int]:
    if "frames" not in archive.names:
        return list(range(n))
    frames = archive.array("frames")
    good = frames.shape == (n,) and frames.dtype.kind in "iu" and len(np.unique(frames)) == n
    if not good or frames.min() < 0:
        raise source.error(
            f"frames is {frames.dtype} {frames.shape}", f"give {n} different whole numbers from 0"
        )
    return [int(number) for number in frames]


def _unknown(source: Source, archive: NpzArchive, shape: tuple[int, int, int]) -> np.ndarray | None:
    if "unknown" not in archive.names:
        return None
    unknown = archive.array("unknown")
    if unknown.shape != shape or unknown.dtype.kind != "b":
        raise source.error(
            f"unknown is {unknown.dtype} {unknown.shape}", f"give booleans of the shape {shape}"
        )
    return unknown

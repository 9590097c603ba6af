"""Masks by path: a folder of PNG files, COCO's JSON, or npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from hypopose.checks import check_choice
from hypopose.errors import OptionError
from hypopose.io.mask_files.mask_arrays import read_arrays
from hypopose.io.mask_files.mask_json import read_json
from hypopose.io.mask_files.mask_pictures import read_pictures
from hypopose.io.mask_files.mask_values import Values
from hypopose.io.mask_files.masks import FrameMasks, Masks
from hypopose.io.source import Source


def load_masks(
    path: str | Path,
    *,
    mask_values: str | None = None,
    mask_start: int | None = None,
    rotate: int | None = None,
) -> Masks:
    """Open masks of people; frames are read when they are asked for.

    Args:
        path: A folder of PNG files with a number in their names; COCO's JSON with run lengths
            (results, annotations, or a list of masks, one a frame); or npz with ``masks``.
        mask_values: What the numbers of pictures and arrays mean: ``"person"`` (all but 0),
            ``"people"`` (a number for each, 255 unknown) or ``"parts"`` (the 20 classes of
            :data:`hypopose.rendering.LABELS`). None if they are 0 and one other number.
        mask_start: Number of the mask of the first frame of the keypoints; None for 0, or where
            there is no mask 0, for the lowest.
        rotate: Turn masks clockwise by 90, 180 or 270 degrees, as the keypoints were.

    Raises:
        FormatError: If there are no masks that can be read.
        OptionError: If an option is none.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "masks.npz"
        >>> np.savez(path, masks=np.zeros((5, 48, 64), bool))
        >>> load_masks(path).size
        (64, 48)
    """
    if mask_values is not None:
        check_choice("mask_values", mask_values, get_args(Values))
    if mask_start is not None and mask_start < 0:
        raise OptionError(f"mask_start is a frame number from 0, got {mask_start}.")
    source, kind = Source(path), cast("Values | None", mask_values)
    if source.is_folder:
        masks = read_pictures(source, kind)
    elif source.is_npz:
        masks = read_arrays(source, kind)
    elif source.is_json:
        masks = read_json(source)
    else:
        raise source.error(
            f"no masks in {source.contents}", "give a folder of PNG files, COCO's JSON, or npz"
        )
    return _turned(_started(masks, mask_start), rotate)


def _started(masks: Masks, start: int | None) -> Masks:
    if start is None and masks.numbers[0] > 0:
        first = masks.numbers[0]
        note = f"mask {first} is taken for the first frame of the keypoints"
        return replace(masks, start=first, notes=(*masks.notes, note))
    return replace(masks, start=start or 0)


def _turned(masks: Masks, rotate: int | None) -> Masks:
    """Masks turned clockwise."""
    if not rotate:
        return masks
    check_choice("rotate", rotate, (90, 180, 270))
    quarters = -rotate // 90
    w, h = masks.size

    def turn(part: np.ndarray | None) -> np.ndarray | None:
        return None if part is None else np.rot90(part, quarters)

    def read(number: int) -> FrameMasks:
        frame = masks.read(number)
        people = tuple(np.rot90(mask, quarters) for mask in frame.people)
        return FrameMasks(people, turn(frame.unknown), turn(frame.labels))

    return replace(masks, size=(w, h) if rotate == 180 else (h, w), read=read)

"""A folder of PNG files, one a frame, numbered by the last number in their names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from hypopose.io.mask_files.mask_values import Values, frame_of
from hypopose.io.mask_files.masks import FrameMasks, Masks
from hypopose.io.mask_files.run_lengths import MAX_SIDE
from hypopose.io.parsing.numbered_files import files_ending, numbered
from hypopose.io.source import Source

MAX_FILES = 500_000


def read_pictures(source: Source, kind: Values | None) -> Masks:
    """Masks of a folder; pictures are opened when their frame is asked for.

    Args:
        source: The folder.
        kind: What the numbers of pictures mean.

    Raises:
        FormatError: If it holds no numbered PNG files.
    """
    files = files_ending(source, ".png")
    if not 0 < len(files) <= MAX_FILES:
        raise source.error(f"{len(files)} PNG files", "give a folder with a mask for each frame")
    by_number = dict(numbered(source, files))
    size = _size(source, files[0])

    def read(number: int) -> FrameMasks:
        path = by_number[number]
        return frame_of(source, _values(source, path, size, kind), kind, path.name)

    return Masks(source.path.name, size, tuple(by_number), read)


def _size(source: Source, path: Path) -> tuple[int, int]:
    image = _opened(source, path)
    with image:
        w, h = image.size
    if max(w, h) > MAX_SIDE:
        raise source.error(f"{w} x {h} pixels", f"masks have up to {MAX_SIDE} a side", path.name)
    return w, h


def _values(
    source: Source, path: Path, size: tuple[int, int], kind: Values | None
) -> Shaped[np.ndarray, "h w"]:
    """Labels, grays, or the opacity of a picture that has been cut out."""
    if _size(source, path) != size:
        raise source.error("another size than the first mask", "write masks of one size", path.name)
    try:
        with _opened(source, path) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B", "LA", "RGB", "RGBA"):
                raise source.error(f"a picture of mode {image.mode}", "write grays", path.name)
            values = np.asarray(image)
            if image.mode == "P" and kind in (None, "person"):
                values = _gray_palette(image.getpalette("RGB"), values)
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        raise source.error(
            f"cannot be read ({_words(error)})", "write it again", path.name
        ) from None
    return values if values.ndim == 2 else _one_channel(source, values, path.name)


def _gray_palette(
    palette: list[int] | None, values: Shaped[np.ndarray, "h w"]
) -> Shaped[np.ndarray, "h w"]:
    """What black and white entries show, whichever comes first; labels of other palettes."""
    colors = np.array(palette or [], np.uint8).reshape(-1, 3)
    used = np.unique(values)
    if len(used) > 2 or used[-1] >= len(colors) or not np.isin(colors[used], (0, 255)).all():
        return values
    gray = bool((colors[used] == colors[used, :1]).all())
    return colors[:, 0][values] if gray else values


def _one_channel(source: Source, values: Shaped[np.ndarray, "h w c"], name: str) -> np.ndarray:
    """The opacity if it differs within the picture, else the gray."""
    if values.shape[2] in (2, 4) and values[..., -1].min() < values[..., -1].max():
        return values[..., -1]
    if values.shape[2] > 2 and (values[..., :3] != values[..., :1]).any():
        raise source.error("colors, not labels", "write grays or a palette", name)
    return values[..., 0]


def _opened(source: Source, path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=["PNG"])
    except Image.DecompressionBombError:
        raise source.error("too many pixels", "write smaller masks", path.name) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise source.error(
            f"is not a PNG ({_words(error)})", "write masks as PNG files", path.name
        ) from None


def _words(error: BaseException) -> str:
    return type(error).__name__

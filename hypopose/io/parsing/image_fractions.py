"""Fractions of the image as pixels, for the formats that write them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.io.format import ReadOptions
from hypopose.io.source import Source

BECAME_PIXELS = "fractions of the image became pixels"
"""How the note begins."""
LIMIT = 8.0
"""Points beyond the image are fractions beyond 0 to 1, but not as far as this."""


def to_pixels(
    source: Source, options: ReadOptions, xy: Float[np.ndarray, "*any J 2"], whose: str
) -> tuple[Float[np.ndarray, "*any J 2"], tuple[str, ...]]:
    """Fractions of the image as pixels; pixels as they are. With a note that says which.

    Args:
        source: The file, for messages.
        options: Carries the image size.
        xy: Fractions of width and height, or pixels.
        whose: What the points are, for messages: ``"MediaPipe's landmarks"``.

    Raises:
        FormatError: If they are fractions and the image size is not known.
    """
    known = np.abs(xy[np.isfinite(xy)])
    if known.size and np.median(known) > LIMIT:
        return xy, (f"{whose} were saved in pixels",)
    if options.image_size is None:
        raise source.error(
            f"{whose} are fractions of the image, whose size the file does not state",
            "give it: image_size=(W, H)",
        )
    w, h = options.image_size
    return xy * np.array([w, h]), (f"{BECAME_PIXELS} of {w} x {h}",)

"""The focal length that a photo's EXIF block says it was taken with."""

from __future__ import annotations

from pathlib import Path

import torch

from hypopose.errors import FormatError
from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.source import Source
from hypopose.types import Camera

SUFFIXES = (".jpg", ".jpeg", ".tif", ".tiff", ".png", ".webp", ".heic")
"""Endings of photos."""

FILM_WIDTH = 36.0
"""Width of 35 mm film in millimeters: what 35 mm equivalents refer to."""

_EXIF_IFD = 0x8769
_FOCAL_35MM = 0xA405
_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)  # orientations that swap width and height


def camera_from_photo(path: str | Path) -> Camera:
    """A centered pinhole with the photo's 35 mm equivalent: ``focal = F / 36 x longer side``.

    Only the header is read. Good for photos; videos of the same phone are usually cropped (by 10
    to 30 %) for stabilization.

    Args:
        path: A photo with an EXIF block.

    Returns:
        The camera at the photo's size, the way up it is shown; ``assumed`` is False.

    Raises:
        FormatError: If the file is no photo, or does not say its 35 mm equivalent.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            size, exif = image.size, image.getexif()
            focal_35mm = exif.get_ifd(_EXIF_IFD).get(_FOCAL_35MM)
            lying = exif.get(_ORIENTATION) in _LYING
    except (UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise FormatError(f"{path}: not a photo that can be read ({type(error).__name__}); give "
                          "--fov or --focal instead.") from None  # fmt: skip
    if not isinstance(focal_35mm, int | float) or not 5 <= focal_35mm <= 2000:
        raise FormatError(
            f"{path}: the EXIF block names no 35 mm equivalent focal length; give --fov or --focal."
        )
    return camera_from_35mm((size[1], size[0]) if lying else size, float(focal_35mm))


def camera_from_35mm(image_size: tuple[int, int], focal_35mm: float) -> Camera:
    """A centered pinhole from a 35 mm equivalent focal length.

    Args:
        image_size: Width and height in pixels.
        focal_35mm: Millimeters on film 36 mm wide.

    Returns:
        The camera.

    Example:
        >>> camera_from_35mm((3600, 2400), 26.0).focal.tolist()
        [2600.0, 2600.0]
    """
    focal = focal_35mm / FILM_WIDTH * max(image_size)
    w, h = image_size
    return Camera(torch.tensor([focal, focal]), torch.tensor([w / 2, h / 2]), (int(w), int(h)))


def suits(source: Source) -> bool:
    """By its ending."""
    return source.path.suffix.lower() in SUFFIXES


def read(source: Source) -> Tables:
    """The camera that took the photo."""
    return {source.path.stem: camera_from_photo(source.path)}


FORMAT = CameraFormat("photo", suits, read)

"""Pictures and folders of pictures as footage, through Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.io.camera_files.photo import camera_from_photo
from hypopose.io.footage import pictures_in
from hypopose.io.source import Source
from hypopose.video.decode import Clip, Footage, Frame, reduced_size

ASSUMED_RATE = 25.0
"""Frames per second of pictures, which do not say; ``--fps`` overrides it."""

ANIMATED = ("WEBP", "PNG", "TIFF")
"""Formats of Pillow whose further pictures are frames."""


class PictureReader:
    """One picture, or the pictures of a folder as the frames of a clip.

    Args:
        paths: In order.
        name: For messages.
        clip: Which of them.

    Raises:
        FormatError: If the first cannot be read.
    """

    def __init__(self, paths: list[Path], name: str, clip: Clip) -> None:
        self._paths, self._clip = paths, clip
        size = _opened(paths[0]).size
        camera, notes = None, []
        with suppress(FormatError):
            camera = camera_from_photo(paths[0])
            notes.append("focal length from the EXIF block")
        single = len(paths) == 1
        self.footage = Footage(
            name=name,
            kind="picture" if single else "pictures",
            size=size,
            rate=None if single else ASSUMED_RATE,
            seconds=None if single else len(paths) / ASSUMED_RATE,
            n_frames=len(paths),
            camera=camera,
            notes=notes,
        )

    def close(self) -> None:
        """Nothing is open between frames."""

    def frames(self) -> Iterator[Frame]:
        """The pictures, the way up their EXIF block says.

        Raises:
            FormatError: If none can be read, or they differ in size.
        """
        clip, index, bad = self._clip, 0, 0
        size = self.footage.size
        small = reduced_size(size, clip.max_side)
        for i, path in enumerate(self._paths):
            seconds = i / ASSUMED_RATE
            if seconds < clip.start or i % clip.every:
                continue
            if clip.end is not None and seconds >= clip.end:
                break
            try:
                picture = _opened(path)
            except FormatError:
                bad += 1
                continue
            if picture.size != size:
                raise FormatError(
                    f"{path}: {picture.size[0]} x {picture.size[1]} pixels, the first picture has "
                    f"{size[0]} x {size[1]}; put pictures of one size into a folder."
                )
            yield Frame(index, seconds, np.asarray(picture.resize(small)))
            index += 1
        if index == 0:
            raise FormatError(f"{self.footage.name}: no picture lies in that time; check --start.")
        if bad:
            self.footage.notes.append(f"{bad} pictures could not be read and were left out")


class AnimationReader:
    """A file of several pictures: animated WebP or PNG, or a TIFF of pages.

    Args:
        path: The file.
        clip: Which of its pictures.
        n_frames: How many there are.

    Raises:
        FormatError: If the first cannot be read.
    """

    def __init__(self, path: Path, clip: Clip, n_frames: int) -> None:
        self._path, self._clip = path, clip
        first = _opened(path)
        self.footage = Footage(name=str(path), kind="video", size=first.size, n_frames=n_frames)

    def close(self) -> None:
        """Nothing is open between runs."""

    def frames(self) -> Iterator[Frame]:
        """The pictures at the times the file says; pages are shown at 25 a second.

        Raises:
            FormatError: If none lies in the time asked for.
        """
        from PIL import Image

        clip, index, seconds = self._clip, 0, 0.0
        small = reduced_size(self.footage.size, clip.max_side)
        with Image.open(self._path) as image:
            for i in range(self.footage.n_frames or 0):
                picture = self._at(image, i)
                if picture is None or (clip.end is not None and seconds >= clip.end):
                    break
                if seconds >= clip.start and i % clip.every == 0:
                    yield Frame(index, seconds, np.asarray(picture.convert("RGB").resize(small)))
                    index += 1
                seconds += (image.info.get("duration") or 1000 / ASSUMED_RATE) / 1000
        if index == 0:
            raise FormatError(f"{self._path}: no picture lies in that time; check --start.")

    def _at(self, image: Any, i: int) -> Any:
        """The i-th picture; None and a note if the file ends there."""
        n = self.footage.n_frames
        try:
            image.seek(i)
            image.load()
        except (OSError, ValueError, SyntaxError, EOFError):
            self.footage.notes.append(f"the file ends after {i} of {n} pictures: it is cut off")
            return None
        if image.size != self.footage.size:
            self.footage.notes.append(f"pictures change size: {i} of {n} were read")
            return None
        return image


def open_pictures(path: Path, clip: Clip) -> PictureReader | AnimationReader:
    """Open a picture, an animation, or a folder of pictures in natural order."""
    source = Source(path)
    n = 1 if source.is_folder else _n_pictures(path)
    if n > 1:
        return AnimationReader(path, clip, n)
    return PictureReader(pictures_in(path) if source.is_folder else [path], str(path), clip)


def _n_pictures(path: Path) -> int:
    """Of an animation or a TIFF; 1 for others, whose further pictures are previews."""
    from PIL import Image

    with (
        suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError),
        Image.open(path) as image,
    ):
        return getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
    return 1


def _opened(path: Path) -> Any:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError,
            SyntaxError) as error:  # fmt: skip
        raise FormatError(
            f"{path}: not a picture that can be read ({type(error).__name__}); it may be cut off, "
            "copy it again."
        ) from None

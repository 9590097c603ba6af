"""Checks of users' data folders; each failure is one line that states how to fix it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.errors import FormatError, OptionError
from hypopose.files import shown
from hypopose.io.source import Source, printable
from hypopose.io.untrusted.arrays import NpzArchive

BODY_M = (0.3, 2.0)
"""How far from the root the farthest joint of a person is, in meters."""


@dataclass(frozen=True)
class Checks:
    """Refuses what is wrong with the folder of one protocol.

    Args:
        protocol: Its name.
        folder: The folder.
    """

    protocol: str
    folder: Path

    def error(self, problem: str, cure: str = "", path: Path | None = None) -> FormatError:
        """One line: file or folder, problem, cure, and the command that says more."""
        where = shown(self.folder if path is None else path)
        more = f"see hypopose data fetch-notes {self.protocol}"
        words = f"{where}: {problem}; {f'{cure}, or ' if cure else ''}{more}."
        return FormatError(printable(" ".join(words.split())))

    def check_folder(self) -> None:
        """Refuse what is not a folder."""
        if not self.folder.is_dir():
            raise self.error("is not a folder" if self.folder.exists() else "does not exist")

    def check_files(self, names: Iterable[str], alternatives: str = "") -> None:
        """Refuse a folder that lacks files, listing all of them."""
        missing = [name for name in names if not (self.folder / name).is_file()]
        if missing:
            raise self.error(f"lacks {listed(missing)}", alternatives)

    def check_keys(
        self, path: Path, found: Collection[str], wanted: Iterable[str], what: str
    ) -> None:
        """Refuse a file that lacks entries, listing those it lacks and those it has."""
        missing = [name for name in wanted if name not in found]
        if missing:
            raise self.error(
                f"lacks {what} {listed(missing)}; it has {listed(list(found)) or 'nothing'}",
                "get the whole file",
                path,
            )

    def dictionary(self, path: Path, name: str) -> dict[str, Any]:
        """A pickled dictionary of an npz; nothing in it is run."""
        source = Source(path)
        if not source.is_npz:
            raise self.error("is not an npz archive", "get it again", path)
        archive = NpzArchive(source)
        self.check_keys(path, archive.names, [name], "the array")
        return self.mapping(path, archive.pickled(name), name)

    def mapping(self, path: Path, value: Any, place: str) -> dict[str, Any]:
        """A dictionary with its keys as text."""
        if not isinstance(value, dict):
            raise self.error(f"{place} is not a dictionary", "get the file again", path)
        return {str(key): item for key, item in value.items()}

    def numbers(
        self,
        path: Path,
        value: Any,
        place: str,
        shape: Sequence[int | Collection[int] | None],
    ) -> np.ndarray:
        """A finite numeric array of a shape.

        Args:
            path: Where it stands.
            value: What stands there.
            place: What it is, for the message.
            shape: Length of every axis, several allowed ones, or None for any but zero.

        Raises:
            FormatError: If it is anything else.
        """
        wanted = ", ".join(_axis(n) for n in shape)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            raise self.error(f"{place} is not an array of numbers ({wanted})", "", path)
        fits = value.ndim == len(shape) and all(
            _allowed(n, n_wanted) for n, n_wanted in zip(value.shape, shape, strict=True)
        )
        if not fits:
            raise self.error(f"{place} is {value.shape}, not ({wanted})", "get it again", path)
        if not np.isfinite(value).all():
            raise self.error(f"{place} holds NaN or infinity", "get the file again", path)
        return value

    def check_meters(self, path: Path, joints: np.ndarray, root: int, place: str) -> None:
        """Refuse bodies that are not in meters, ``(F, J, 3)``."""
        reach = float(np.median(np.linalg.norm(joints - joints[:, root, None], axis=-1).max(-1)))
        if not BODY_M[0] < reach < BODY_M[1]:
            unit = "millimeters" if 300 < reach < 2000 else "another unit"
            raise self.error(
                f"{place} holds bodies that reach {reach:.3g} from the pelvis, {unit} it seems",
                "bring it to meters",
                path,
            )

    def check_pixels(self, path: Path, xy: np.ndarray, size: tuple[int, int], place: str) -> None:
        """Refuse keypoints that are not in pixels of the image."""
        known = xy[np.isfinite(xy).all(-1)]
        spread = float(np.median(np.abs(known))) if len(known) else 0.0
        if not 5.0 < spread < 4 * max(size):
            raise self.error(
                f"{place} holds keypoints around {spread:.3g}, not pixels of a {size[0]} x "
                f"{size[1]} image",
                "give pixels, not normalized coordinates",
                path,
            )


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for a message, the first of many.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    shown_names = ", ".join(str(name)[:60] for name in names[:most])
    return shown_names + (f" and {len(names) - most} more" if len(names) > most else "")


def check_options(name: str, options: Mapping[str, tuple[Any, Collection[Any]]]) -> None:
    """Refuse variants that a protocol does not have.

    Args:
        name: Of the protocol.
        options: Option -> what was given, and what there is.

    Raises:
        OptionError: If one is not among those.
    """
    for option, (given, known) in options.items():
        if given not in known:
            choices = ", ".join(map(str, known))
            raise OptionError(f"The protocol {name} has {option}={choices}; got {given!r}.")


def _axis(n: int | Collection[int] | None) -> str:
    if n is None:
        return "any"
    return str(n) if isinstance(n, int) else " or ".join(map(str, n))


def _allowed(n: int, wanted: int | Collection[int] | None) -> bool:
    if wanted is None:
        return n > 0
    return n == wanted if isinstance(wanted, int) else n in wanted

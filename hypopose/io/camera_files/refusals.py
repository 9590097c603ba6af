"""Errors and warnings of camera files."""

from __future__ import annotations

import warnings

from hypopose.errors import FormatError
from hypopose.io.source import printable


class CameraFileWarning(UserWarning):
    """Something about a camera file was inferred or left out; the message says what."""


class NoImageSizeError(FormatError):
    """A camera file does not name the size of its pictures, and the caller did not either."""


def camera_error(place: str, key: str, problem: str, cure: str) -> FormatError:
    """One line: file, key, problem; cure."""
    return FormatError(printable(" ".join(f"{place}: {key}: {problem}; {cure}.".split())))


def camera_note(place: str, note: str) -> None:
    """Say what was inferred about a camera, as a warning."""
    text = printable(" ".join(f"{place}: {note}".split()))
    warnings.warn(text, CameraFileWarning, stacklevel=4)

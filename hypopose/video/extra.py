"""The optional libraries of this room, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from hypopose.errors import BackendError
from hypopose.io.footage import HOW_TO, INSTALL


def import_av() -> Any:
    """PyAV, quiet about the streams it reads.

    Raises:
        BackendError: If it is not installed; one line with the cure and three ways around it.
    """
    av = import_extra("av", "Reading videos needs PyAV")
    # We count and report damage. Any level but None calls Python from decoding threads, and
    # closing a file, which waits for them, can then wait for ever.
    av.logging.set_level(None)
    return av


def import_extra(module: str, why: str, install: str = INSTALL) -> Any:
    """A module of an extra.

    Args:
        module: Its name.
        why: Start of the error's sentence.
        install: The command that brings it.

    Raises:
        BackendError: If it is not there, or does not start.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = getattr(error, "name", None) or module
        raise BackendError(
            f"{why}, and {missing} is not installed: {install}. Or get keypoints elsewhere, from "
            f"MediaPipe, RTMPose (rtmlib) or `yolo pose`, and give HypoPose the keypoint file: see "
            f"{HOW_TO}."
        ) from None

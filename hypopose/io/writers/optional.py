"""Packages that only some formats need."""

from __future__ import annotations

import importlib
from typing import Any

from hypopose.errors import BackendError


def require(package: str, ending: str) -> Any:
    """Import a package of the ``export`` extra.

    Args:
        package: Its name.
        ending: The ending that needs it, for the message.

    Returns:
        The module.

    Raises:
        BackendError: If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package.partition(".")[0]:
            raise
        raise BackendError(
            f"Writing .{ending} needs the package {package.partition('.')[0]}: "
            "pip install 'hypopose[export]'."
        ) from None

"""Bodies by name: the built-in one, Anny, or a file of arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypopose.bodies.anny_body import make_anny
from hypopose.bodies.array_bodies import load_arrays
from hypopose.bodies.body_model import BodyModel
from hypopose.bodies.capsules import CapsuleBody
from hypopose.errors import OptionError

BODIES = ("capsules", "anny")
"""Names; the file of a user's own model is a path that ends in ``.npz``."""


def make_body(name: str | Path, say: Callable[[str], None] | None = None) -> BodyModel:
    """A body by its name.

    Args:
        name: ``"capsules"`` (needs nothing), ``"anny"`` (extra ``mesh``), or the path of an npz
            in SMPL's layout, see :mod:`hypopose.bodies.array_bodies`.
        say: Called with a line of text before work that takes long.

    Raises:
        OptionError: If there is no such body.
        BackendError: If its package is not installed.
        FormatError: If the file is no body.

    Example:
        >>> make_body("capsules").shapes.names[-1]
        'girth'
    """
    if name == "capsules":
        return CapsuleBody()
    if name == "anny":
        return make_anny(say)
    if str(name).endswith(".npz"):
        return load_arrays(name)
    raise OptionError(
        f"There is no body {str(name)!r}; use {' or '.join(BODIES)}, or the path of an npz file "
        "with the arrays of SMPL or SMPL-X."
    )

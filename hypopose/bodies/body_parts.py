"""Parts of bodies, and which of them a bone belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.errors import FormatError

PARTS = (
    "head", "trunk", "hips", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm",
    "left_hand", "right_hand", "left_thigh", "right_thigh", "left_shin", "right_shin",
    "left_foot", "right_foot",
)  # fmt: skip
"""Names of parts; part labels are indices into this."""

_SIDED = {"upper_arm", "forearm", "hand", "thigh", "shin", "foot"}


def part_of(bone: str, table: Mapping[str, str]) -> str:
    """The part a bone belongs to.

    Args:
        bone: Its name, with ``left``, ``right``, ``.L`` or ``.R`` if it has a side.
        table: Beginning of a name without its side -> part without its side; the longest counts.

    Raises:
        FormatError: If no beginning fits.

    Example:
        >>> part_of("lowerarm01.L", {"lower": "trunk", "lowerarm": "forearm"})
        'left_forearm'
    """
    side = "left" if bone.startswith("left_") or bone.endswith(".L") else "right"
    bare = bone.removeprefix(f"{side}_")
    fitting = [start for start in table if bare.startswith(start)]
    if not fitting:
        raise FormatError(f"The bone {bone!r} belongs to no known part; known are {list(table)}.")
    part = table[max(fitting, key=len)]
    return f"{side}_{part}" if part in _SIDED else part


def parts_of_vertices(
    weights: Float[Tensor, "V B"], bones: Sequence[str], table: Mapping[str, str]
) -> Int[Tensor, " V"]:
    """Part of each vertex: that of the parts' bones that move it most.

    Args:
        weights: Of skinning.
        bones: Names.
        table: As for :func:`part_of`.
    """
    parts = [PARTS.index(part_of(bone, table)) for bone in bones]
    total = weights.new_zeros(len(weights), len(PARTS))
    total.index_add_(1, torch.tensor(parts), weights)
    return total.argmax(1)

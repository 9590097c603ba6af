"""Skeleton, image size and frame rate that a file states as text beside its table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from hypopose.io import native
from hypopose.io.parsing.named_joints import MAX_JOINTS
from hypopose.io.source import Source
from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton


def stated_facts(
    source: Source, stated: Mapping[str, Any], *, skeleton_told: bool = False
) -> dict[str, Any]:
    """Skeleton, image size, rate and formed joints from texts beside a table; None if absent.

    Args:
        source: The file, for messages.
        stated: Texts by name.
        skeleton_told: The user names the skeleton: what the file says does not count.

    Raises:
        FormatError: If one of them is not what it should be.
    """
    return {
        "skeleton": None if skeleton_told else _stated_skeleton(source, stated.get("skeleton")),
        "image_size": _stated_size(source, stated.get("image_size")),
        "fps": _stated_rate(source, stated.get("fps")),
        "approximate": tuple(str(stated.get("approximate") or "").split()[:MAX_JOINTS]),
    }


_COLUMNS = {
    "fps": ("fps", "frame_rate", "framerate"),
    "width": ("image_width", "img_width", "frame_width", "video_width"),
    "height": ("image_height", "img_height", "frame_height", "video_height"),
}


def stated_columns(header: Sequence[str]) -> dict[str, int]:
    """Columns of a table that state a fact in every row: its rate, and the size of its image.

    Example:
        >>> stated_columns(["frame", "FPS", "image_width", "width"])
        {'fps': 1, 'width': 2}
    """
    names = [name.strip().lower() for name in header]
    return {
        fact: next(names.index(alias) for alias in aliases if alias in names)
        for fact, aliases in _COLUMNS.items()
        if set(aliases) & set(names)
    }


def constant_facts(seen: Mapping[str, Set[str]]) -> dict[str, str]:
    """What columns state whose cells are all alike, as :func:`stated_facts` takes it.

    Args:
        seen: The different cells of each column of :func:`stated_columns`.

    Example:
        >>> constant_facts({"fps": {"25"}, "width": {"1920"}, "height": {"1080"}})["image_size"]
        '1920 1080'
    """
    once = {fact: next(iter(cells)) for fact, cells in seen.items() if len(cells) == 1}
    width, height = once.pop("width", ""), once.pop("height", "")
    return {**once, "image_size": f"{width} {height}"} if width and height else once


def _stated_skeleton(source: Source, value: Any) -> Skeleton | None:
    if not isinstance(value, str) or not value:
        return None
    if value in SKELETONS:
        return SKELETONS[value]
    if not value.startswith("{"):
        raise source.error(f"HypoPose knows no skeleton {value[:40]!r}", "name one with skeleton=")
    try:
        table = json.loads(value)
    except (ValueError, RecursionError):
        raise source.error("its skeleton is not JSON", "write it again") from None
    return native.skeleton_from_dict(source, table)


def _stated_size(source: Source, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        w, h = (float(word) for word in words)
    except (ValueError, TypeError):
        w, h = 0.0, 0.0
    if not (1 <= w < 100_000 and 1 <= h < 100_000):
        raise source.error("image_size is not a width and height", "give two pixel counts")
    return int(w), int(h)


def _stated_rate(source: Source, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        rate = float(value)
    except (ValueError, TypeError):
        rate = math.nan
    if not 0 < rate < 100_000:
        raise source.error("fps is not a frame rate", "give frames per second")
    return rate

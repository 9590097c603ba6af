"""Renamed options and methods, so that files of earlier versions can still be read."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

RENAMED = {
    "denoiser": "network",
    "flicker": "frame_noise_scale",
    "kinship": "parent_correlation",
}
"""Former name of a sampler's option -> its name today."""

MODES = {
    "posterior": "platypose",
    "heuristic": "platypose-heuristic",
    "reference": "platypose-released",
}
"""Former ``mode`` of ``platypose`` -> the sampler it is today."""

FAMILIES = {"platypose-heuristic": "platypose", "platypose-released": "platypose"}
"""Sampler -> the one whose weights it takes too."""


def current_names(options: Mapping[str, Any], known: Container[str] = ()) -> dict[str, Any]:
    """Options under their names of today.

    Args:
        options: Of a sampler, as ``sampler.json`` or a result file's record has them.
        known: Options the sampler has; a former name that is one of them stays.

    Example:
        >>> current_names({"flicker": 0.0, "n_steps": 1})
        {'frame_noise_scale': 0.0, 'n_steps': 1}
    """
    renamed = {old: new for old, new in RENAMED.items() if old not in known}
    return {renamed.get(name, name): value for name, value in options.items()}


def current_method(name: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A sampler's name and options; what was a mode of ``platypose`` is a sampler of its own.

    Args:
        name: Of a sampler.
        options: Its options.

    Example:
        >>> current_method("platypose", {"mode": "heuristic", "n_steps": 5})
        ('platypose-heuristic', {'n_steps': 5})
    """
    mode = options.get("mode")
    if name not in MODES.values() or not isinstance(mode, str) or mode not in MODES:
        return name, dict(options)
    return MODES[mode], {key: value for key, value in options.items() if key != "mode"}


def takes_weights_of(name: str, other: str) -> bool:
    """Whether a sampler takes the weights that were made for another one.

    Example:
        >>> takes_weights_of("platypose-heuristic", "platypose")
        True
    """
    return FAMILIES.get(name, name) == FAMILIES.get(other, other)

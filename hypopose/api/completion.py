"""Fill in gaps: missing 2D keypoints, or missing joints of a 3D motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch

from hypopose.api.making import resolve_sampler
from hypopose.cameras import resolve_camera
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.networks import MPM, load_network
from hypopose.samplers.completion import (
    MEMORY_S,
    CompletedKeypoints,
    CompletedMotion,
    complete_keypoints_by_network,
    complete_motion,
    complete_motion_by_network,
    completed_keypoints,
)
from hypopose.types import Keypoints2D, Poses3D, Sampler


@overload
def complete(gaps: Keypoints2D, **options: Any) -> CompletedKeypoints: ...
@overload
def complete(gaps: Poses3D, **options: Any) -> CompletedMotion: ...
def complete(
    gaps: Keypoints2D | Poses3D,
    *,
    sampler: str | Sampler | None = None,
    weights: str | Path | None = None,
    n_hypotheses: int = 20,
    below: float | None = None,
    fps: float | None = None,
    memory_s: float = MEMORY_S,
    seed: int = 0,
    device: str = "cpu",
    **options: Any,
) -> CompletedKeypoints | CompletedMotion:
    """Fill in missing 2D keypoints, or missing joints of a 3D motion; the others stay as they are.

    Gaps get the mean of hypotheses that are moved onto the rest, see
    :mod:`hypopose.samplers.completion`. Weights of an :class:`hypopose.networks.MPM` fill in both
    by themselves.

    Args:
        gaps: One person, without batch axes; NaN where missing. 3D in meters, y down.
        sampler: A name, or a method you made yourself; None for the default.
        weights: Bundled weights by name, or a folder; None for the sampler's own.
        n_hypotheses: How many motions are drawn, at least 2.
        below: For 2D: replace keypoints of less confidence too.
        fps: Frames per second of a 3D motion; keypoints bring their own.
        memory_s: How fast keypoints beside a gap lose their weight, in seconds.
        seed: Same seed, same result.
        device: Where the network runs.
        **options: Further fields of the method.

    Returns:
        What came, filled; which joints were filled, and how sure that is.

    Raises:
        OptionError: If an option does not fit, or nothing is known to go by.
        SkeletonMismatchError: If a 3D motion is in another skeleton than the sampler's.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> xy = keypoints.xy.clone()
        >>> xy[10:20, 16] = float("nan")
        >>> broken = replace(keypoints, xy=xy, confidence=None, covariance=None)
        >>> done = complete(broken, n_hypotheses=3)
        >>> int(done.filled.sum()), bool(done.keypoints.detected.all())
        (10, True)
    """
    network = None if weights is None else _masked(weights, sampler, options)
    if isinstance(gaps, Poses3D):
        if below is not None:
            raise OptionError("below is about confidences of 2D keypoints; a 3D motion has none.")
        if network is not None:
            return complete_motion_by_network(gaps, network, fps=fps, memory_s=memory_s)
        made = resolve_sampler(sampler, weights, None, device, options)
        given: dict[str, Any] = {"fps": fps, "memory_s": memory_s}
        return complete_motion(gaps, made, n_hypotheses, seeded_noise(seed), **given)
    gaps = _doubted(gaps, below)
    gaps = resolve_camera(gaps)
    if network is not None:
        return complete_keypoints_by_network(gaps, network, memory_s=memory_s)
    built_here = sampler is None or isinstance(sampler, str)
    made = resolve_sampler(sampler, weights if built_here else None, None, device, options)
    return completed_keypoints(gaps, made, n_hypotheses, seeded_noise(seed), memory_s=memory_s)


def _masked(weights: str | Path, sampler: Any, options: Mapping[str, Any]) -> MPM | None:
    """Weights that complete by themselves, or None."""
    network = load_network(weights)
    if not isinstance(network, MPM):
        return None
    if sampler is not None or options:
        raise OptionError("An MPM completes by itself; leave out the sampler and its options.")
    return network


def _doubted(keypoints: Keypoints2D, below: float | None) -> Keypoints2D:
    """Keypoints of less confidence than that are missing."""
    if below is None:
        return keypoints
    if keypoints.confidence is None or not 0 < below <= 1:
        raise OptionError(
            "below is a confidence between 0 and 1, for keypoints that carry confidences; got "
            f"{below} for keypoints {'without' if keypoints.confidence is None else 'with'} them."
        )
    doubted = keypoints.confidence < below
    return replace(
        keypoints,
        xy=torch.where(doubted[..., None], torch.nan, keypoints.xy),
        confidence=torch.where(doubted, 0.0, keypoints.confidence),
    )

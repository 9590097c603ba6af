"""Videos of any length for networks of bounded length: windows, padding, blending, seams.

Overlapping windows share one noisy pose per absolute frame. At every step the clean poses that the
windows predict are blended with smooth weights and ONE step moves the whole video, so hypothesis h
is one continuous motion (MultiDiffusion, Bar-Tal et al., ICML 2023, does so for images). The
published evaluation of D3DP uses clips whose hypotheses are unrelated; its cuts are available as
:func:`published_windows` and :func:`published_training_windows`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError


def window_starts(n_frames: int, window: int, overlap: int) -> list[int]:
    """Where windows begin: spread evenly, the first at 0, the last ending with the video.

    Args:
        n_frames: Length of the video.
        window: Length of a window; a shorter video has one window from 0.
        overlap: Frames that neighbors share at least.

    Returns:
        First frames, rising.

    Raises:
        OptionError: If the overlap is not in 0 .. window - 1.

    Example:
        >>> window_starts(20, window=9, overlap=3)
        [0, 6, 11]
    """
    if not 0 <= overlap < window:
        raise OptionError(f"overlap lies between 0 and window - 1 = {window - 1}, got {overlap}.")
    last = n_frames - window
    if last <= 0:
        return [0]
    n = math.ceil(last / (window - overlap))
    return [(last * i + n // 2) // n for i in range(n + 1)]


def blend_weights(
    starts: Sequence[int], window: int, n_frames: int, overlap: int
) -> Float[Tensor, "W L"]:
    """Weight of every window at each of its frames; weights of one absolute frame sum to 1.

    A window fades in and out as sin², over its overlap. It does not fade at the video's ends, where
    no other window is.

    Args:
        starts: First frames of the windows.
        window: Their length.
        n_frames: Length of the (padded) video.
        overlap: Length of the ramps.

    Returns:
        Weights in double precision.

    Example:
        >>> blend_weights([0, 3], window=4, n_frames=7, overlap=1)[:, [0, 3]]
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]], dtype=torch.float64)
    """
    ramp = torch.arange(1, window + 1, dtype=torch.float64) / (overlap + 1)
    fade = torch.sin(math.pi / 2 * torch.minimum(ramp, ramp.flip(0)).clamp(max=1)) ** 2
    total = torch.zeros(n_frames, dtype=torch.float64)
    for start in starts:
        total[start : start + window] += fade
    return torch.stack([fade / total[start : start + window] for start in starts])


def take_frames(
    x: Float[Tensor, "*any F J C"], start: int, length: int
) -> Float[Tensor, "*any L J C"]:
    """Frames start .. start + length - 1; frames outside the video repeat its first or last.

    Args:
        x: Per-frame values, the frame axis third from last.
        start: May be negative.
        length: May reach beyond the end.

    Returns:
        Exactly ``length`` frames.

    Example:
        >>> take_frames(torch.arange(3.0).reshape(3, 1, 1), -1, 6).flatten().tolist()
        [0.0, 0.0, 1.0, 2.0, 2.0, 2.0]
    """
    index = torch.arange(start, start + length, device=x.device).clamp(0, x.shape[-3] - 1)
    return x.index_select(-3, index)


def published_windows(n_frames: int, window: int) -> list[tuple[int, int]]:
    """Evaluation clips of D3DP: consecutive, the last one moved back to end with the video.

    Args:
        n_frames: Length of the video.
        window: Length T of a clip; a shorter video is one clip, padded on the right.

    Returns:
        (start, end) pairs; an end beyond the video means repeating its last frame.

    Example:
        >>> published_windows(20, 9)
        [(0, 9), (9, 18), (11, 20)]
    """
    starts = [i * window for i in range(math.ceil(n_frames / window))]
    starts[-1] = max(n_frames - window, 0)
    return [(start, start + window) for start in starts]


def published_training_windows(n_frames: int, window: int) -> list[tuple[int, int]]:
    """Training clips of D3DP: consecutive, padded equally on both sides of the video.

    Args:
        n_frames: Length of the video.
        window: Length T of a clip.

    Returns:
        (start, end) pairs; frames outside the video repeat its first or last.

    Example:
        >>> published_training_windows(20, 9)
        [(-3, 6), (6, 15), (15, 24)]
    """
    n = math.ceil(n_frames / window)
    offset = -((n * window - n_frames) // 2)
    return [(offset + i * window, offset + (i + 1) * window) for i in range(n)]


def window_seams(sampler: Any, n_frames: int) -> list[int]:
    """Frames at which a window of a sampler begins or has just ended.

    Args:
        sampler: With fields ``network``, ``window`` and ``overlap``; others have no windows.
        n_frames: Length of the video.

    Returns:
        Rising frames inside the video: the change from the frame before is a seam's. Empty if one
        window holds the video.

    Example:
        >>> window_seams(object(), 200)
        []
    """
    if not all(hasattr(sampler, name) for name in ("network", "window", "overlap")):
        return []
    info = sampler.network.info
    if info.sequence_to_one:
        return []
    length = info.n_frames or min(sampler.window or info.max_frames or n_frames, n_frames)
    overlap = length // 4 if sampler.overlap is None else min(sampler.overlap, length - 1)
    starts = window_starts(n_frames, length, overlap)
    return sorted({f for start in starts for f in (start, start + length) if 0 < f < n_frames})


def seam_jump(joints: Float[Tensor, "*any F J 3"], seams: Sequence[int]) -> tuple[float, float]:
    """How far joints move between frames at seams, and everywhere else.

    Args:
        joints: Motions, meters.
        seams: Frames f where a window begins, or just ended: the change from f - 1 to f counts.

    Returns:
        Mean frame-to-frame change in meters at the seams, and at all other frames.

    Raises:
        OptionError: If there is no seam inside the video, or nothing but seams.

    Example:
        >>> still_then_jump = torch.cat([torch.zeros(4, 1, 3), torch.ones(4, 1, 3)])
        >>> [round(change, 2) for change in seam_jump(still_then_jump, [4])]
        [1.73, 0.0]
    """
    change = joints.diff(dim=-3).norm(dim=-1).mean(-1)
    at_seam = torch.zeros(change.shape[-1], dtype=torch.bool, device=joints.device)
    at_seam[[f - 1 for f in seams if 0 < f <= len(at_seam)]] = True
    if not bool(at_seam.any()) or bool(at_seam.all()):
        raise OptionError("A seam jump needs seams inside the video and frames between them.")
    return change[..., at_seam].mean().item(), change[..., ~at_seam].mean().item()

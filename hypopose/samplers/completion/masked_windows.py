"""What both completions share: halves of the hypotheses, roots, windows of a masked network."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.networks.mpm import MPM
from hypopose.samplers.completion.keypoint_bridging import LONG_S, SHORT_S, between
from hypopose.samplers.windows import blend_weights, take_frames, window_starts
from hypopose.types import Hypotheses

N_FOR_ROOT = 4
"""Keypoints of a frame that place the root; with fewer it lies between its neighbors."""


def halves(n_hypotheses: int) -> tuple[tuple[int, float], tuple[int, float]]:
    """Numbers of hypotheses of both halves, and up to how many seconds they see straight lines."""
    if n_hypotheses < 2:
        raise OptionError(f"n_hypotheses must be at least 2 here, got {n_hypotheses}.")
    return ((n_hypotheses + 1) // 2, LONG_S), (n_hypotheses // 2, SHORT_S)


def root_everywhere(
    hypotheses: Hypotheses, detected: Bool[Tensor, "F J"]
) -> Float[Tensor, "H F 3"]:
    """Roots of all frames; those of frames that show too little lie between the others."""
    root = hypotheses.root
    placed = detected.sum(-1) >= min(N_FOR_ROOT, detected.shape[-1])
    if root is None or not bool((placed & torch.isfinite(root).all(-1).any(0)).any()):
        raise OptionError(
            f"No frame shows {N_FOR_ROOT} keypoints at least, so nothing says where the person is."
        )
    return between(torch.where(placed[:, None], root, torch.nan))


def reconstructed(
    network: MPM, points: Float[Tensor, "F J D"], missing: Bool[Tensor, "F J"]
) -> Float[Tensor, "F J D"]:
    """The network's prediction of all joints, in windows of its length that overlap and blend."""
    n, length = len(points), network.config.n_frames
    padded, overlap = max(n, length), length // 4
    starts = window_starts(n, length, overlap)
    weights = blend_weights(starts, length, padded, overlap).to(points)
    out = torch.zeros(padded, *points.shape[1:]).to(points)
    place = next(network.parameters()).device
    for w, start in zip(weights, starts, strict=True):
        part = take_frames(points.nan_to_num(0.0), start, length).to(place)
        hidden = take_frames(missing[..., None].float(), start, length)[..., 0] > 0.5
        with torch.no_grad():
            tokens = network.encode(part[None].float(), hidden[None].to(place))
            said = network.decode(tokens, points.shape[-1])[0]
        out[start : start + length] += w[:, None, None] * said.to(out)
    return out[:n]

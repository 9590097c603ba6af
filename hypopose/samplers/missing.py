"""Keypoints that a network can read: in its skeleton, without gaps unless it reads confidences."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.networks.base import NetworkInfo
from hypopose.types import Keypoints2D

FillMissing = Literal["error", "interpolate"]
"""What becomes of undetected keypoints where a network cannot read gaps."""


def readable(keypoints: Keypoints2D, info: NetworkInfo, fill_missing: FillMissing) -> Keypoints2D:
    """Keypoints a network can read: in its skeleton, and without gaps unless it reads confidences.

    Args:
        keypoints: As given to a sampler.
        info: Of the network.
        fill_missing: ``"interpolate"`` fills gaps and warns; ``"error"`` refuses them.

    Raises:
        ShapeError: If there are no frames.
        SkeletonMismatchError: If the skeleton is another.
        OptionError: If there are gaps and they are not to be filled.
    """
    if keypoints.n_frames < 1:
        raise ShapeError("These keypoints have no frames; there is nothing to sample.")
    if keypoints.skeleton.name != info.keypoint_skeleton:
        raise SkeletonMismatchError(
            f"This network reads {info.keypoint_skeleton!r} keypoints, got "
            f"{keypoints.skeleton.name!r}. Convert them with hypopose.skeletons.convert("
            f"keypoints, get_skeleton({info.keypoint_skeleton!r}))."
        )
    n_missing = int((~keypoints.detected).sum())
    if info.uses_confidence or not n_missing:
        return keypoints
    if fill_missing == "error":
        raise OptionError(
            f"{n_missing} of {keypoints.detected.numel()} keypoints are undetected, and this "
            "network cannot read gaps. Pass fill_missing='interpolate', or use a network that "
            "reads confidences."
        )
    warnings.warn(
        f"{n_missing} of {keypoints.detected.numel()} undetected keypoints were interpolated "
        "over time.",
        stacklevel=3,
    )
    return interpolate_missing(keypoints)


def interpolate_missing(keypoints: Keypoints2D) -> Keypoints2D:
    """Fill undetected keypoints linearly over time; before the first and after the last they stay.

    Args:
        keypoints: Each joint detected in one frame at least.

    Returns:
        Keypoints without gaps, and a note of how many were filled. Confidence stays as it was.

    Raises:
        OptionError: If a joint is never detected.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> xy = torch.tensor([0.0, torch.nan, 4.0]).reshape(3, 1, 1).expand(3, 17, 2)
        >>> keypoints = Keypoints2D(xy.clone(), H36M17)
        >>> interpolate_missing(keypoints).xy[1, 0].tolist()
        [2.0, 2.0]
    """
    detected = keypoints.detected
    xy = keypoints.xy.detach().cpu().double().numpy().copy()
    frames = np.arange(keypoints.n_frames)
    for index in np.ndindex(*detected.shape[:-2], detected.shape[-1]):
        track = (*index[:-1], slice(None), index[-1])
        seen = detected[track].cpu().numpy()
        if not seen.any():
            joint = keypoints.skeleton.joint_names[index[-1]]
            raise OptionError(
                f"Joint {joint!r} is never detected, so it cannot be interpolated. Use a network "
                "that reads confidences."
            )
        for c in range(2):
            xy[(*track, c)] = np.interp(frames, frames[seen], xy[(*track, c)][seen])
    note = f"{int((~detected).sum())} undetected keypoints were interpolated over time"
    return replace(
        keypoints,
        xy=torch.from_numpy(xy).to(keypoints.xy),
        notes=(*keypoints.notes, note),
    )

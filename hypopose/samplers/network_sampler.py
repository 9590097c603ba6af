"""What samplers with a network share: its skeletons, windows and device, steps, roots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import fit_root
from hypopose.checks import check_choice, check_positive
from hypopose.errors import OptionError
from hypopose.networks.base import Network
from hypopose.samplers.missing import FillMissing
from hypopose.samplers.windows import window_starts
from hypopose.skeletons import SKELETONS, convert
from hypopose.types import Keypoints2D, Skeleton


@dataclass(frozen=True, eq=False)
class Step:
    """What a callback sees of one step; padded frames are cut off, the root is as predicted.

    Args:
        index: 0 .. n_steps - 1.
        t: Timestep.
        x_t: Noisy poses that entered, in the solver's units (meters times ``scale``).
        x0: Clean poses the network predicted, clamped and blended, meters.
    """

    index: int
    t: int
    x_t: Float[Tensor, "*batch H F J 3"]
    x0: Float[Tensor, "*batch H F J 3"]


class WindowedSampler:
    """Base of samplers that lay windows over a video, as long as their network takes."""

    network: Network
    window: int | None
    overlap: int | None
    chunk: int
    fill_missing: FillMissing

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the hypotheses."""
        return SKELETONS[self.network.info.skeleton]

    @property
    def keypoint_skeleton(self) -> Skeleton:
        """The skeleton keypoints must have."""
        return SKELETONS[self.network.info.keypoint_skeleton]

    def _check_windows(self) -> None:
        """Raise unless the network takes such windows, and gaps are treated in a known way.

        Raises:
            OptionError: If not.
        """
        fixed = self.network.info.n_frames
        if fixed is not None and self.window not in (None, fixed):
            raise OptionError(
                f"This network takes windows of {fixed} frames only; leave window=None."
            )
        check_choice("fill_missing", self.fill_missing, get_args(FillMissing))
        check_positive(chunk=self.chunk)
        if self.window is not None:
            overlap = self.window // 4 if self.overlap is None else self.overlap
            window_starts(1, self.window, overlap)

    def _window_of(self, n_frames: int) -> tuple[int, int]:
        """Length of a window over so many frames, and how far neighbors overlap."""
        info = self.network.info
        length = info.n_frames or min(self.window or info.max_frames or n_frames, n_frames)
        return length, length // 4 if self.overlap is None else min(self.overlap, length - 1)

    def _device(self, otherwise: torch.device) -> torch.device:
        return device_of(self.network, otherwise)


def device_of(network: object, otherwise: torch.device) -> torch.device:
    """Where a network's parameters are; ``otherwise`` if it has none."""
    if isinstance(network, torch.nn.Module):
        return next((p.device for p in network.parameters()), otherwise)
    return otherwise


def fitted_root(
    joints: Float[Tensor, "*batch H F J 3"], keypoints: Keypoints2D, skeleton: Skeleton
) -> Float[Tensor, "*batch H F 3"] | None:
    """Roots that explain the keypoints; None without a camera.

    Args:
        joints: Root-relative meters in ``skeleton``.
        keypoints: In any skeleton with a conversion.
        skeleton: Of the joints.
    """
    if keypoints.camera is None:
        return None
    if keypoints.skeleton.name != skeleton.name:
        keypoints = convert(keypoints, skeleton)
    return fit_root(joints, keypoints)

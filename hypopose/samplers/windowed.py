"""What samplers share that lay the windows of one network over a video."""

from __future__ import annotations

import torch

from hypopose.errors import OptionError
from hypopose.networks.base import Network
from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton


class Windowed:
    """Base of samplers with a network, and windows as long as it takes."""

    denoiser: Network
    window: int | None
    overlap: int | None
    fill_missing: str

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the hypotheses."""
        return SKELETONS[self.denoiser.info.skeleton]

    @property
    def keypoint_skeleton(self) -> Skeleton:
        """The skeleton keypoints must have."""
        return SKELETONS[self.denoiser.info.keypoint_skeleton]

    def _check_windows(self) -> None:
        """Raise unless the network takes such windows, and gaps are treated in a known way.

        Raises:
            OptionError: If not.
        """
        fixed = self.denoiser.info.n_frames
        if fixed is not None and self.window not in (None, fixed):
            raise OptionError(
                f"This network takes windows of {fixed} frames only; leave window=None."
            )
        if self.fill_missing not in ("error", "interpolate"):
            raise OptionError(
                f"fill_missing={self.fill_missing!r} is not one of error, interpolate."
            )

    def _window_of(self, n_frames: int) -> tuple[int, int]:
        """Length of a window over so many frames, and how far neighbors overlap."""
        info = self.denoiser.info
        length = info.n_frames or min(self.window or info.max_frames or n_frames, n_frames)
        return length, length // 4 if self.overlap is None else min(self.overlap, length - 1)

    def _device(self, otherwise: torch.device) -> torch.device:
        """Where the network's parameters are; where the keypoints are if it has none."""
        if isinstance(self.denoiser, torch.nn.Module):
            return next((p.device for p in self.denoiser.parameters()), otherwise)
        return otherwise
